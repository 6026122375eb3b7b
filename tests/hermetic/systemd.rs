//! What systemd is told, heard on a socket of its kind.

use std::ffi::OsString;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use vip_elector::election::lease::Terms;
use vip_elector::election::time::Timestamp;
use vip_elector::status::board::{Board, Seats};
use vip_elector::status::snapshot::{About, Snapshot};
use vip_elector::systemd::{Systemd, Word};

/// A service manager, and the environment that leads to it.
struct Manager {
    socket: UnixDatagram,
    variables: Vec<(&'static str, OsString)>,
    _directory: tempfile::TempDir,
}

impl Manager {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self {
            socket,
            variables: vec![("NOTIFY_SOCKET", path.into())],
            _directory: directory,
        }
    }

    fn watching(mut self, process: u32) -> Self {
        self.variables.push(("WATCHDOG_USEC", "4000000".into()));
        self.variables
            .push(("WATCHDOG_PID", process.to_string().into()));
        self
    }

    fn find(&self) -> Systemd {
        Systemd::find(|name| {
            let found = self.variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| value.clone())
        })
    }

    /// Returns the next message, if there is one.
    fn hears(&self) -> Option<String> {
        hear(&self.socket)
    }
}

fn hear(socket: &UnixDatagram) -> Option<String> {
    let mut bytes = [0; 1024];
    let length = socket.recv(&mut bytes).ok()?;
    Some(String::from_utf8(bytes[..length].to_vec()).unwrap())
}

#[test]
fn each_word_is_one_message() {
    let manager = Manager::new();
    let systemd = manager.find();
    for (word, message) in [
        (Word::Ready, "READY=1"),
        (Word::Stopping, "STOPPING=1"),
        (Word::Alive, "WATCHDOG=1"),
        (Word::Status("two\nREADY=1"), "STATUS=two READY=1"),
        (
            Word::Reloading(Duration::from_millis(1500)),
            "RELOADING=1\nMONOTONIC_USEC=1500000",
        ),
    ] {
        systemd.tell(&word);
        assert_eq!(manager.hears().as_deref(), Some(message));
    }
    assert_eq!(manager.hears(), None);
}

#[test]
fn a_reload_says_since_when() {
    let manager = Manager::new();
    manager.find().reloading();
    let said = manager.hears().unwrap();
    let since = said.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
    assert!(since.parse::<u64>().unwrap() > 0, "{said}");
}

#[test]
fn an_abstract_socket_is_found() {
    let name = format!("vip-elector-test-{}", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).unwrap();
    let socket = UnixDatagram::bind_addr(&address).unwrap();
    let systemd =
        Systemd::find(|known| (known == "NOTIFY_SOCKET").then(|| format!("@{name}").into()));
    systemd.tell(&Word::Ready);
    assert_eq!(hear(&socket).as_deref(), Some("READY=1"));
}

#[test]
fn without_systemd_nothing_is_said_and_nothing_goes_wrong() {
    for address in ["", "relative", "/nowhere/at/all", "@"] {
        let systemd = Systemd::find(|name| (name == "NOTIFY_SOCKET").then(|| address.into()));
        assert!(!systemd.is_there(), "{address}");
        systemd.tell(&Word::Ready);
    }
    let nothing = Systemd::find(|_| None);
    assert!(!nothing.is_there());
    nothing.tell(&Word::Stopping);
}

#[test]
fn a_manager_that_does_not_listen_is_not_waited_for() {
    let manager = Manager::new();
    let systemd = manager.find();
    // More than any queue takes.
    let start = std::time::Instant::now();
    for _ in 0..600 {
        systemd.tell(&Word::Alive);
        if start.elapsed() > Duration::from_secs(1) {
            break;
        }
    }
    let heard = std::iter::from_fn(|| manager.hears()).count();
    assert!((1..600).contains(&heard), "{heard}");
}

fn group(name: &str) -> (watch::Sender<Snapshot>, watch::Receiver<Snapshot>) {
    let about = About {
        group: name.to_owned(),
        value: "host1".to_owned(),
        priority: 0,
        terms: Terms::companion(Duration::from_secs(1), Duration::from_secs(10)),
        vips: Vec::new(),
        deeds: Arc::default(),
        hooks: Arc::default(),
    };
    watch::channel(Snapshot::new(
        about,
        SystemTime::UNIX_EPOCH,
        Timestamp::ZERO,
    ))
}

fn board(groups: Seats) -> (watch::Sender<Seats>, Board) {
    let (seats, seated) = watch::channel(groups);
    (seats, Board::new(SystemTime::UNIX_EPOCH, seated))
}

fn turn(group: &watch::Sender<Snapshot>) {
    group.send_if_modified(|group| {
        group.turned_at = group.turned_at + Duration::from_millis(1);
        false
    });
}

/// One look of the watchdog, which allows 4 s and so looks each 2 s.
async fn one_look() {
    tokio::time::sleep(Duration::from_secs(2)).await;
    tokio::task::yield_now().await;
}

#[tokio::test(start_paused = true)]
async fn the_watchdog_is_fed_only_while_every_group_turns() {
    let manager = Manager::new().watching(std::process::id());
    let (one, one_seen) = group("one");
    let (other, other_seen) = group("other");
    let feeding = tokio::spawn(manager.find().feed(board(vec![one_seen, other_seen]).1));
    tokio::task::yield_now().await;
    for (turning, fed) in [
        (vec![&one, &other], true),
        (vec![&one], false),
        (vec![], false),
        (vec![&one, &other], true),
    ] {
        for group in &turning {
            turn(group);
        }
        one_look().await;
        let heard = manager.hears();
        assert_eq!(
            heard.as_deref(),
            fed.then_some("WATCHDOG=1"),
            "{} turn",
            turning.len()
        );
    }
    // One that failed takes no part, and is not waited for.
    other.send_modify(|group| group.fail("no lock".to_owned(), SystemTime::UNIX_EPOCH));
    turn(&one);
    one_look().await;
    assert_eq!(manager.hears().as_deref(), Some("WATCHDOG=1"));
    // One that has ended is not missed.
    drop(other);
    turn(&one);
    one_look().await;
    assert_eq!(manager.hears().as_deref(), Some("WATCHDOG=1"));
    feeding.abort();
}

#[tokio::test(start_paused = true)]
async fn a_watchdog_of_another_process_is_not_fed() {
    let manager = Manager::new().watching(1);
    let (_one, seen) = group("one");
    manager.find().feed(board(vec![seen]).1).await;
    assert_eq!(manager.hears(), None);
}

#[tokio::test(start_paused = true)]
async fn the_status_line_follows_the_groups_once_a_second_at_most() {
    let manager = Manager::new();
    let (one, seen) = group("service/one");
    let (seats, board) = board(vec![seen]);
    let showing = tokio::spawn(manager.find().show(board));
    tokio::task::yield_now().await;
    assert_eq!(manager.hears(), None, "nothing is known yet");
    for last in ["a", "b", "c"] {
        one.send_modify(|group| group.about.group = format!("service/{last}"));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let said = manager.hears().unwrap();
    assert!(said.starts_with("STATUS=joining service/a: "), "{said}");
    assert_eq!(manager.hears(), None);
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let said = manager.hears().unwrap();
    assert!(said.starts_with("STATUS=joining service/c: "), "{said}");
    one.send_modify(|_| ());
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(manager.hears(), None, "nothing new");

    let (_two, seen) = group("service/two");
    seats.send_modify(|seats| seats.push(seen));
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let said = manager.hears().unwrap();
    assert_eq!(said, "STATUS=joining service/c, service/two");
    drop(one);
    seats.send_modify(|seats| drop(seats.remove(0)));
    tokio::time::sleep(Duration::from_millis(1100)).await;
    let said = manager.hears().unwrap();
    assert!(said.starts_with("STATUS=joining service/two: "), "{said}");
    seats.send_replace(Vec::new());
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(manager.hears().as_deref(), Some("STATUS=no group yet"));
    showing.abort();
}
