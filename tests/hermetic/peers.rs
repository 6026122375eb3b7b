//! Heartbeats over real sockets, on the loopback interface.

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::task::JoinHandle;
use vip_elector::election::call::SessionId;
use vip_elector::election::candidate::{Contact, Secret};
use vip_elector::election::peer::{Datagram, GroupId, Message};
use vip_elector::peers::post::{Counts, Letterbox, Post};
use vip_elector::peers::wire::Key;
use vip_elector::peers::{Peers, own};

/// Of real time; nothing here takes more than milliseconds of it.
const LIMIT: Duration = Duration::from_secs(30);

/// A host with one letterbox.
struct Host {
    contact: Contact,
    letterbox: Letterbox,
    counts: Arc<Counts>,
    post: Post,
}

impl Host {
    async fn new() -> Self {
        Self::at("127.0.0.1:0").await
    }

    /// Reached over IPv4, whatever it listens on.
    async fn at(listen: &str) -> Self {
        let post = Post::bind(listen.parse().unwrap()).await.unwrap();
        let secret = own::fresh_secret().unwrap();
        Self {
            contact: Contact {
                address: (Ipv4Addr::LOCALHOST, post.listen().port()).into(),
                secret,
            },
            letterbox: post.open(&secret),
            counts: post.counts(),
            post,
        }
    }

    fn deliver(self) -> (Contact, Letterbox, Arc<Counts>, JoinHandle<()>) {
        let task = tokio::spawn(self.post.deliver());
        (self.contact, self.letterbox, self.counts, task)
    }
}

fn heartbeat(sequence: u64) -> Datagram {
    Datagram {
        from: SessionId::new("01234567-89ab-cdef-0123-456789abcdef"),
        leader: SessionId::new("01234567-89ab-cdef-0123-456789abcdef"),
        sequence,
        message: Message::Heartbeat {
            patience: Duration::from_millis(300),
        },
    }
}

async fn next(letterbox: &mut Letterbox) -> Datagram {
    letterbox.heard(None).await.1
}

async fn soon<T>(awaited: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, awaited).await.unwrap()
}

/// Lets the others run until so much has been refused; returns how often they had their turn.
async fn refused(counts: &Counts, expected: u64) -> u64 {
    soon(async {
        let mut turns = 0;
        while counts.refused() < expected {
            tokio::task::yield_now().await;
            turns += 1;
        }
        turns
    })
    .await
}

/// What somebody sends who does not know the secret, and has seen a datagram.
fn forged(key: &Key, number: u64) -> Vec<u8> {
    let mut bytes = key.seal(&heartbeat(number)).unwrap().to_vec();
    match number % 4 {
        0 => bytes[60] ^= 1,
        1 => bytes.push(0),
        2 => bytes.truncate(105),
        _ => bytes = vec![0; 1400],
    }
    bytes
}

fn attacker(target: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.connect(target).unwrap();
    socket
}

#[tokio::test]
async fn what_one_host_says_the_other_one_hears() {
    let (one, mut one_box, one_counts, _) = Host::new().await.deliver();
    let (other, mut other_box, other_counts, _) = Host::at("[::]:0").await.deliver();
    one_box.send(&other, &heartbeat(1));
    assert_eq!(soon(next(&mut other_box)).await, heartbeat(1));
    other_box.send(&one, &heartbeat(2));
    assert_eq!(soon(next(&mut one_box)).await, heartbeat(2));
    for counts in [one_counts, other_counts] {
        assert_eq!((counts.sent(), counts.heard()), (1, 1));
        assert_eq!((counts.unsent(), counts.refused()), (0, 0));
    }
}

#[tokio::test]
async fn each_group_hears_what_is_said_to_it() {
    let host = Host::new().await;
    let secret = own::fresh_secret().unwrap();
    let mut second = host.post.open(&secret);
    let (first_contact, mut first, _, _) = host.deliver();
    let second_contact = Contact {
        secret,
        ..first_contact
    };
    first.send(&second_contact, &heartbeat(2));
    second.send(&first_contact, &heartbeat(1));
    assert_eq!(soon(next(&mut first)).await, heartbeat(1));
    assert_eq!(soon(next(&mut second)).await, heartbeat(2));
    assert_eq!(next(&mut first).now_or_never(), None);
    assert_eq!(next(&mut second).now_or_never(), None);
}

#[tokio::test]
async fn a_flood_costs_its_reading() {
    let (_, mut sender, _, _) = Host::new().await.deliver();
    let (contact, mut letterbox, counts, _) = Host::new().await.deliver();
    let (attacker, key) = (attacker(contact.address), Key::new(&contact.secret));
    sender.send(&contact, &heartbeat(1));
    // No more at a time than the kernel has room for: what it drops, nobody here could refuse.
    for number in 0..10_000 {
        attacker.send(&forged(&key, number)).unwrap();
        if number % 50 == 49 {
            refused(&counts, number + 1).await;
        }
    }
    sender.send(&contact, &heartbeat(2));
    assert_eq!(soon(next(&mut letterbox)).await, heartbeat(1));
    assert_eq!(soon(next(&mut letterbox)).await, heartbeat(2));
    assert_eq!(next(&mut letterbox).now_or_never(), None);
    assert_eq!((counts.heard(), counts.refused()), (2, 10_000));
}

#[tokio::test]
async fn others_have_their_turn_during_a_flood() {
    let host = Host::new().await;
    let (attacker, key) = (
        attacker(host.contact.address),
        Key::new(&host.contact.secret),
    );
    // All of it is there before anybody reads.
    for number in 0..100 {
        attacker.send(&forged(&key, 4 * number)).unwrap();
    }
    let (_, _, counts, _) = host.deliver();
    let turns = refused(&counts, 100).await;
    assert!(turns >= 4, "the others ran {turns} times");
}

#[tokio::test]
async fn a_full_letterbox_keeps_the_newest() {
    let (_, mut sender, _, _) = Host::new().await.deliver();
    let (contact, mut letterbox, counts, _) = Host::new().await.deliver();
    for number in 1..=100 {
        sender.send(&contact, &heartbeat(number));
        soon(async {
            while counts.heard() < number {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
    for number in 37..=100 {
        assert_eq!(next(&mut letterbox).now_or_never(), Some(heartbeat(number)));
    }
    assert_eq!(next(&mut letterbox).now_or_never(), None);
    assert_eq!((counts.heard(), counts.overrun()), (100, 36));
}

#[tokio::test]
async fn what_cannot_be_sent_is_counted() {
    let (contact, mut letterbox, counts, _) = Host::new().await.deliver();
    let mut nameless = heartbeat(1);
    nameless.leader = SessionId::new("not a uuid");
    letterbox.send(&contact, &nameless);
    let other_family = Contact {
        address: "[::1]:9".parse().unwrap(),
        ..contact
    };
    letterbox.send(&other_family, &heartbeat(2));
    assert_eq!((counts.sent(), counts.unsent()), (0, 2));
}

#[tokio::test]
async fn without_a_post_nothing_is_heard() {
    let (_, mut letterbox, _, delivering) = Host::new().await.deliver();
    delivering.abort();
    assert!(delivering.await.unwrap_err().is_cancelled());
    assert_eq!(next(&mut letterbox).now_or_never(), None);

    let contact = Contact {
        address: "127.0.0.1:9".parse().unwrap(),
        secret: Secret([0; 32]),
    };
    let mut nobody = None::<Letterbox>;
    nobody.send(&contact, &heartbeat(1));
    assert_eq!(nobody.heard(None).now_or_never(), None);
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let taken = Host::new().await.contact.address;
    let _holder = UdpSocket::bind(taken).unwrap();
    let error = Post::bind(taken).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("listening for other hosts on udp {taken}")
    );
}

#[tokio::test]
async fn groups_that_share_a_secret_say_a_heartbeat_once_and_hear_every_one() {
    let interval = Duration::from_millis(200);
    let listen = "127.0.0.1:0".parse().unwrap();
    let (ours, theirs) = (
        Post::bind(listen).await.unwrap(),
        Post::bind(listen).await.unwrap(),
    );
    let secret = own::fresh_secret().unwrap();
    let contact = Contact {
        address: theirs.listen(),
        secret,
    };
    let mut sayers: Vec<_> = (0..10)
        .map(|group| ours.open_shared(&own::fresh_secret().unwrap(), interval, GroupId(group)))
        .collect();
    let mut hearers: Vec<_> = (0..10)
        .map(|group| theirs.open_shared(&secret, interval, GroupId(group)))
        .collect();
    for sayer in &mut sayers {
        sayer.send(&contact, &heartbeat(1));
    }
    assert_eq!(ours.counts().sent(), 1);
    let counts = theirs.counts();
    let task = tokio::spawn(theirs.deliver());
    let leader = heartbeat(1).leader;
    for hearer in &mut hearers {
        let (_, said) = soon(hearer.heard(Some(leader.clone()))).await;
        assert_eq!(said, heartbeat(1));
        assert_eq!(hearer.unheard(&leader), None, "it was heard");
        assert_eq!(hearer.heard(None).now_or_never(), None);
    }

    // The post goes on for a while, and the newest is there for whoever asks.
    let repeating = tokio::spawn(ours.clone().deliver());
    soon(async {
        while counts.heard() < 3 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    for hearer in &mut hearers {
        let (_, said) = hearer.unheard(&leader).unwrap();
        assert!(said.sequence > 1);
    }
    soon(async {
        let mut last = 0;
        while counts.heard() != std::mem::replace(&mut last, counts.heard()) {
            tokio::time::sleep(interval * 7).await;
        }
    })
    .await;
    assert!(
        ours.counts().sent() < 10,
        "for no longer than a group is heard"
    );
    task.abort();
    repeating.abort();
}

#[tokio::test]
async fn groups_that_share_a_secret_ask_once_and_all_have_the_answer() {
    let interval = Duration::from_secs(60);
    let listen = "127.0.0.1:0".parse().unwrap();
    let (ours, theirs) = (
        Post::bind(listen).await.unwrap(),
        Post::bind(listen).await.unwrap(),
    );
    let (our_secret, their_secret) = (own::fresh_secret().unwrap(), own::fresh_secret().unwrap());
    let contact = |post: &Post, secret| Contact {
        address: post.listen(),
        secret,
    };
    let (us, them) = (contact(&ours, our_secret), contact(&theirs, their_secret));
    let mut askers: Vec<_> = (0..100)
        .map(|group| ours.open_shared(&our_secret, interval, GroupId(group)))
        .collect();
    let mut asked: Vec<_> = (0..100)
        .map(|group| theirs.open_shared(&their_secret, interval, GroupId(group)))
        .collect();
    let leader = heartbeat(1).leader;
    let me = SessionId::new("11111111-89ab-cdef-0123-456789abcdef");
    let question = |sequence| Datagram {
        from: me.clone(),
        leader: leader.clone(),
        sequence,
        message: Message::Question,
    };
    // Whoever listens to that leader, and nobody else.
    for (number, letterbox) in asked.iter_mut().enumerate() {
        let listens_to = (number >= 50).then(|| leader.clone());
        assert_eq!(letterbox.heard(listens_to).now_or_never(), None);
    }
    let (our_counts, their_counts) = (ours.counts(), theirs.counts());
    let tasks = [ours.clone(), theirs.clone()].map(|post| tokio::spawn(post.deliver()));
    for (number, asker) in (0..99).zip(&mut askers) {
        asker.send(&them, &question(1_000 + number));
    }
    assert_eq!(our_counts.sent(), 1);
    for asked in &mut asked[50..] {
        let (_, heard) = soon(asked.heard(Some(leader.clone()))).await;
        assert_eq!(heard, question(1_000));
    }
    for asked in &mut asked[..50] {
        assert_eq!(asked.heard(None).now_or_never(), None);
    }
    assert_eq!(their_counts.heard(), 1);

    let answer = |question| Datagram {
        message: Message::Heard {
            question,
            ago: Duration::from_millis(7),
        },
        ..heartbeat(2)
    };
    // What nobody has asked is no answer.
    asked[50].send(&us, &answer(77));
    // The first does not know who asks; of the others one answers.
    for asked in &mut asked[51..] {
        asked.send(&us, &answer(1_000));
    }
    assert_eq!(their_counts.sent(), 2);
    for (number, asker) in (0..99).zip(&mut askers) {
        let (_, heard) = soon(asker.heard(Some(leader.clone()))).await;
        assert_eq!(heard, answer(1_000 + number));
    }
    // Who asks a little later has it too, and it is a little older then.
    let late = &mut askers[99];
    assert_eq!(late.heard(Some(leader.clone())).now_or_never(), None);
    late.send(&them, &question(2_000));
    let (_, heard) = soon(late.heard(Some(leader))).await;
    let Message::Heard { question, ago } = heard.message else {
        panic!("{heard:?}")
    };
    assert_eq!(question, 2_000);
    assert!(ago > Duration::from_millis(7), "{ago:?}");
    assert_eq!(our_counts.sent(), 1);
    for task in tasks {
        task.abort();
    }
}

#[tokio::test]
async fn of_the_groups_that_share_a_secret_one_hears_that_the_lock_is_its_own() {
    let Host { contact, post, .. } = Host::new().await;
    let secret = contact.secret;
    let mut hearers: Vec<_> = (0..10)
        .map(|group| post.open_shared(&secret, Duration::from_secs(1), GroupId(group)))
        .collect();
    let given = Datagram {
        message: Message::Given { group: GroupId(7) },
        ..heartbeat(1)
    };
    let task = tokio::spawn(post.clone().deliver());
    hearers[3].send(&contact, &given);
    let (_, said) = soon(hearers[7].heard(None)).await;
    assert_eq!(said, given);
    for hearer in &mut hearers {
        assert_eq!(hearer.heard(None).now_or_never(), None);
    }
    task.abort();
}

#[tokio::test]
async fn who_is_asked_about_a_leader_hears_its_newest_heartbeat_first() {
    let Host { contact, post, .. } = Host::new().await;
    let mut asked = post.open_shared(&contact.secret, Duration::from_secs(60), GroupId(1));
    // Each of its own process, as far as the post can tell.
    let mut others: Vec<_> = (0..3)
        .map(|_| post.open(&own::fresh_secret().unwrap()))
        .collect();
    let leader = heartbeat(1).leader;
    let task = tokio::spawn(post.clone().deliver());
    others[0].send(&contact, &heartbeat(1));
    let (_, said) = soon(asked.heard(Some(leader.clone()))).await;
    assert_eq!(said, heartbeat(1));
    // Too soon after it for the group to be woken.
    others[1].send(&contact, &heartbeat(2));
    let question = Datagram {
        message: Message::Question,
        ..heartbeat(3)
    };
    others[2].send(&contact, &question);
    for expected in [heartbeat(2), question] {
        let (_, said) = soon(asked.heard(Some(leader.clone()))).await;
        assert_eq!(said, expected);
    }
    task.abort();
}
