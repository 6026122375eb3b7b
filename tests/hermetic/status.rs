//! What a daemon says over HTTP, asked over real sockets.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use vip_elector::config::Vip;
use vip_elector::driver::clock;
use vip_elector::election::call::{
    Answer, Entry, Failure, FailureKind, KeyRead, LOCK_FLAG, OpId, SessionId,
};
use vip_elector::election::health::Health;
use vip_elector::election::lease::{Lease, Terms};
use vip_elector::election::machine::Event;
use vip_elector::election::status::{Ending, Feature, Holder, Phase, Status};
use vip_elector::election::target::{Blocker, VipReport};
use vip_elector::election::time::Timestamp;
use vip_elector::status::board::{Board, View};
use vip_elector::status::counters::Timed;
use vip_elector::status::http::{self, Response};
use vip_elector::status::serve::{self, Socket};
use vip_elector::status::snapshot::{About, Said, Snapshot};
use vip_elector::status::{Report, Role, TRANSITIONS, routes};

const NOW: Timestamp = Timestamp::from_boot(Duration::from_secs(3600));
const LIMIT: Duration = Duration::from_secs(20);

/// 2026-01-02 03:04:05.678 UTC.
fn begin() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(1_767_323_045_678)
}

fn group(key: &str, managed: bool) -> Snapshot {
    let (ttl, lock_delay) = (Duration::from_secs(10), Duration::from_secs(3));
    let about = About {
        group: key.into(),
        value: "web1".into(),
        priority: 7,
        terms: match managed {
            true => Terms::managed(lock_delay, ttl),
            false => Terms::companion(lock_delay, ttl),
        },
        vip: managed.then(|| Vip {
            address: "192.0.2.1".parse().unwrap(),
            prefix: 24,
            interface: "eth0".into(),
        }),
        deeds: Arc::default(),
    };
    Snapshot::new(about, begin(), NOW)
}

/// A second later, something is so.
fn then(group: &mut Snapshot, change: impl FnOnce(&mut Status)) {
    let mut status = group.status.clone();
    change(&mut status);
    group.follow(
        group.since + Duration::from_secs(1),
        Said::default(),
        status,
    );
}

fn completed(result: Result<Answer, Failure>) -> Event {
    Event::Completed {
        op: OpId(1),
        result,
    }
}

fn leader(key: &str) -> Snapshot {
    let mut group = group(key, true);
    let session = SessionId::new("6a5c");
    then(&mut group, |status| {
        status.phase = Phase::Standby;
        status.session = Some(session.clone());
        status.health = Health::Good;
        status.candidate = true;
    });
    let entry = Entry {
        value: Some(b"web1".to_vec()),
        flags: LOCK_FLAG,
        session: Some(session),
        modify_index: 42,
    };
    let entry = Some(entry);
    let said = group.turn(
        NOW,
        Some(&completed(Ok(Answer::Key(KeyRead { index: 42, entry })))),
    );
    let lease = Lease::new(group.about.terms, NOW);
    let status = Status {
        phase: Phase::Leading(lease),
        ..group.status.clone()
    };
    assert!(group.follow(group.since + Duration::from_secs(1), said, status));
    let report = VipReport {
        version: 1,
        held: true,
        blocker: None,
    };
    let _ = group.turn(NOW, Some(&Event::Vip(report)));
    group.time(Timed::Proof, Duration::from_millis(3));
    group.time(Timed::Proof, Duration::from_micros(62_500));
    group.time(Timed::Renewal, Duration::from_secs(5));
    group
        .about
        .deeds
        .announcements
        .fetch_add(3, Ordering::Relaxed);
    group
}

fn standby(key: &str) -> Snapshot {
    let mut group = group(key, false);
    then(&mut group, |status| {
        status.phase = Phase::Standby;
        status.session = Some(SessionId::new("77aa"));
        let (session, value) = (SessionId::new("6a5c"), "web2".into());
        status.holder = Some(Holder { session, value });
        status.health = Health::Bad("http://127.0.0.1/ answers 500".into());
        status
            .lost
            .insert(Feature::Liveness, "Permission denied".into());
    });
    for kind in [
        FailureKind::Unavailable,
        FailureKind::Held,
        FailureKind::Unavailable,
    ] {
        let failure = Failure {
            kind,
            message: "no answer".into(),
        };
        let _ = group.turn(NOW, Some(&completed(Err(failure))));
    }
    group
}

fn view(groups: Vec<Snapshot>) -> View {
    let (started_at, pid) = (begin(), 1);
    View {
        started_at,
        pid,
        groups,
    }
}

fn ask(view: &View, now: Timestamp, question: &str) -> Response {
    let head = format!("GET {question} HTTP/1.1\r\nHost: a\r\n\r\n");
    let request = http::parse(head.as_bytes()).unwrap().unwrap();
    routes::answer(view.clone(), now, &request)
}

fn code(view: &View, now: Timestamp, question: &str) -> &'static str {
    ask(view, now, question).status.code()
}

#[test]
fn the_report_is_complete_and_is_read_back() {
    let view = view(vec![leader("service/pg/leader"), standby("odd \"key\"")]);
    let answer = ask(&view, NOW + Duration::from_secs(1), "/status");
    assert_eq!(answer.content_type, "application/json");
    let report: Report = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(report, view.report(NOW + Duration::from_secs(1)));
    let pretty = serde_json::to_string_pretty(&report).unwrap();
    insta::assert_snapshot!(pretty);
}

#[test]
fn metrics_are_written_as_they_are_asked_for() {
    let view = view(vec![leader("service/pg/leader"), standby("odd \"key\"")]);
    let plain = ask(&view, NOW, "/metrics");
    assert_eq!(
        plain.content_type,
        "text/plain; version=0.0.4; charset=utf-8"
    );
    insta::assert_snapshot!("metrics", plain.body);

    // As Prometheus asks.
    let head = "GET /metrics HTTP/1.1\r\naccept: application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.2\r\n\r\n";
    let open = routes::answer(view, NOW, &http::parse(head.as_bytes()).unwrap().unwrap());
    assert_eq!(
        open.content_type,
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    let (text, end) = open.body.split_at(open.body.len() - "# EOF\n".len());
    assert_eq!(end, "# EOF\n");
    // A counter is declared without the ending that its samples carry; the rest is the same.
    let counters = |line: &&str| line.starts_with("# ") && line.contains("_total ");
    assert_eq!(text.lines().filter(counters).count(), 0);
    let samples = |text: &str| {
        text.lines()
            .filter(|line| !line.starts_with('#'))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(samples(text), samples(&plain.body));
}

#[test]
fn only_a_leader_whose_lease_lives_is_one() {
    let view = view(vec![leader("a"), standby("b")]);
    let late = NOW + Duration::from_millis(2_920);
    for (question, now, answer) in [
        ("/leader?group=a", NOW, "200"),
        ("/leader?group=a", NOW + Duration::from_millis(2_919), "200"),
        ("/leader?group=a", late, "503"),
        ("/leader?group=b", NOW, "503"),
        ("/leader?group=c", NOW, "404"),
        ("/leader", NOW, "400"),
        ("/leader/", NOW, "404"),
        ("/", NOW, "200"),
    ] {
        assert_eq!(code(&view, now, question), answer, "{question} at {now:?}");
    }
    assert_eq!(ask(&view, NOW, "/leader?group=a").body, "");
}

#[test]
fn who_can_lead_next_is_ready_and_who_goes_round_is_alive() {
    let mut candidate = leader("a");
    then(&mut candidate, |status| {
        status.phase = Phase::Standby;
        status.ending = Some(Ending::LeaseExpired);
        status.candidate = true;
    });
    let mut barred = candidate.clone();
    then(&mut barred, |status| status.candidate = false);
    let mut unlisted = barred.clone();
    then(&mut unlisted, |status| {
        status
            .lost
            .insert(Feature::Candidates, "Permission denied".into());
    });
    for (group, answer) in [
        (leader("a"), "200"),
        (candidate.clone(), "200"),
        (barred, "503"),
        (unlisted, "200"),
        (standby("a"), "503"),
        (group("a", true), "503"),
    ] {
        let view = view(vec![candidate.clone(), group]);
        assert_eq!(
            code(&view, NOW, "/readyz"),
            answer,
            "{}",
            ask(&view, NOW, "/readyz").body
        );
    }
    let view = view(vec![leader("a"), standby("b")]);
    assert_eq!(
        ask(&view, NOW, "/readyz").body,
        "a: leader\nb: this host is not healthy: http://127.0.0.1/ answers 500\n"
    );
    assert_eq!(code(&view, NOW + Duration::from_secs(4), "/livez"), "200");
    let stuck = ask(&view, NOW + Duration::from_secs(60), "/livez");
    assert_eq!(
        (stuck.status.code(), stuck.body.as_str()),
        ("503", "a: stuck for 60 s\nb: stuck for 60 s\n")
    );
}

#[test]
fn a_standby_says_why() {
    let mut group = group("key", true);
    then(&mut group, |status| {
        status.phase = Phase::Standby;
        status.health = Health::Good;
    });
    let mut why = |change: fn(&mut Status)| {
        then(&mut group, change);
        group.why().unwrap()
    };
    assert_eq!(why(|_| ()), "nobody leads, and this host asks for the lock");
    assert_eq!(
        why(|status| status.ending = Some(Ending::Unlocked)),
        "nobody leads, and this host asks for the lock; it led last until: the trigger key is no longer locked: \
         consul ended the session, or somebody unlocked it"
    );
    assert_eq!(
        why(|status| status.blocker = Some(Blocker::InterfaceDown)),
        "the address cannot be held here: the interface is down or has no carrier"
    );
    assert_eq!(
        why(|status| status.phase = Phase::Joining),
        "it is getting a session"
    );
}

#[test]
fn of_many_transitions_the_last_are_told() {
    let mut group = group("key", true);
    for number in 0..100 {
        then(&mut group, |status| {
            status.phase = if number % 2 == 0 {
                Phase::Standby
            } else {
                Phase::Joining
            };
        });
    }
    let report = group.report(NOW);
    assert_eq!(report.transitions.len(), TRANSITIONS);
    let last = report.transitions.last().unwrap();
    assert_eq!(
        (last.to, last.at.as_str()),
        (Role::Joining, "2026-01-02T03:05:45.678Z")
    );
    assert_eq!(group.counters.transitions.values().sum::<u64>(), 100);
}

/// A daemon's socket, and its port.
struct Served {
    directory: tempfile::TempDir,
    listen: watch::Sender<Option<SocketAddr>>,
    tasks: tokio::task::JoinSet<()>,
}

impl Served {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut live = leader("key");
        // The server has a clock of its own.
        let lease = Lease::new(live.about.terms, clock::now() + LIMIT);
        then(&mut live, |status| status.phase = Phase::Leading(lease));
        let _ = live.turn(clock::now(), None);
        let board = Board::new(begin(), vec![watch::channel(live).1]);
        let (listen, listened) = watch::channel(None);
        let mut tasks = tokio::task::JoinSet::new();
        std::fs::write(directory.path().join("sock"), "left by a crash").unwrap();
        let socket = Socket::bind(&directory.path().join("sock")).unwrap();
        tasks.spawn(socket.serve(board.clone()));
        tasks.spawn(serve::serve_tcp(listened, board));
        Self {
            directory,
            listen,
            tasks,
        }
    }

    fn socket(&self) -> std::path::PathBuf {
        self.directory.path().join("sock")
    }

    /// Moves to a port that was free a moment ago.
    async fn moved(&self) -> SocketAddr {
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = free.local_addr().unwrap();
        drop(free);
        self.listen.send_replace(Some(address));
        address
    }
}

const QUESTION: &[u8] = b"GET /leader HTTP/1.1\r\nHost: a\r\n\r\n";

async fn over_unix(path: &Path, question: &[u8]) -> String {
    let mut stream = UnixStream::connect(path).await.unwrap();
    stream.write_all(question).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

/// Until somebody listens there.
async fn over_tcp(address: SocketAddr, question: &[u8]) -> String {
    let connect = async {
        loop {
            match TcpStream::connect(address).await {
                Ok(stream) => return stream,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    };
    let mut stream = tokio::time::timeout(LIMIT, connect).await.unwrap();
    stream.write_all(question).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn the_socket_is_for_the_daemons_group_and_goes_with_it() {
    use std::os::unix::fs::{FileTypeExt, PermissionsExt};
    let mut served = Served::start();
    let data = std::fs::metadata(served.socket()).unwrap();
    assert!(data.file_type().is_socket());
    assert_eq!(data.permissions().mode() & 0o777, 0o660);
    let answer = over_unix(&served.socket(), QUESTION).await;
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    let answer = over_unix(
        &served.socket(),
        b"POST /status HTTP/1.1\r\ncontent-length: 3\r\n\r\nabc",
    )
    .await;
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
    served.tasks.shutdown().await;
    assert!(!served.socket().exists());
}

#[tokio::test]
async fn the_port_is_another_one_when_it_is_told_so() {
    let served = Served::start();
    let first = served.moved().await;
    assert!(over_tcp(first, QUESTION).await.starts_with("HTTP/1.1 200 "));
    let second = served.moved().await;
    assert!(
        over_tcp(second, QUESTION)
            .await
            .starts_with("HTTP/1.1 200 ")
    );
    assert!(
        TcpStream::connect(first).await.is_err(),
        "nobody listens there any more"
    );
    served.listen.send_replace(None);
    let closed = async {
        while TcpStream::connect(second).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LIMIT, closed).await.unwrap();
}

#[tokio::test]
async fn a_port_that_is_another_programs_is_waited_for() {
    let served = Served::start();
    let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = other.local_addr().unwrap();
    served.listen.send_replace(Some(address));
    over_unix(&served.socket(), QUESTION).await;
    drop(other);
    assert!(
        over_tcp(address, QUESTION)
            .await
            .starts_with("HTTP/1.1 200 ")
    );
}

#[tokio::test]
async fn clients_that_say_nothing_keep_nobody_from_an_answer() {
    let served = Served::start();
    let mut silent = Vec::new();
    for _ in 0..100 {
        silent.push(UnixStream::connect(served.socket()).await.unwrap());
    }
    let asked = async { over_unix(&served.socket(), QUESTION).await };
    let answer = tokio::time::timeout(LIMIT, asked).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    // Each of them has been given up, for another or for its silence.
    for stream in &mut silent {
        let mut byte = [0];
        let gone = tokio::time::timeout(LIMIT, stream.read(&mut byte))
            .await
            .unwrap();
        assert!(!matches!(gone, Ok(1..)), "{gone:?}");
    }
}

#[tokio::test]
async fn a_flood_of_questions_is_answered_at_a_pace() {
    let served = Served::start();
    let begun = std::time::Instant::now();
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let socket = served.socket();
        asking.spawn(async move {
            let mut answered = 0;
            while begun.elapsed() < Duration::from_secs(1) {
                let answer = over_unix(&socket, QUESTION).await;
                assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
                answered += 1;
            }
            answered
        });
    }
    let answered: usize = asking.join_all().await.into_iter().sum();
    // 16 in each tenth of a second, the first and the last included.
    let windows = begun.elapsed().as_millis() as usize / 100 + 1;
    assert!(answered <= windows * 16, "{answered} in {windows} windows");
}

#[test]
fn alerts_and_dashboard_name_only_what_is_there() {
    let view = view(vec![leader("a")]);
    let metrics = ask(&view, NOW, "/metrics").body;
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let known = |name: &str| {
        metrics.lines().any(|line| {
            line.split(|letter| !is_part(letter))
                .any(|word| word == name)
        })
    };
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/monitoring");
    let read = |name: &str| std::fs::read_to_string(place.join(name)).unwrap();
    let (alerts, tests, dashboard) = (
        read("alerts.yml"),
        read("alerts.test.yml"),
        read("dashboard.json"),
    );
    for text in [&alerts, &tests, &dashboard] {
        let names: Vec<_> = text
            .split(|letter| !is_part(letter))
            .filter(|word| word.starts_with("vip_elector_"))
            .collect();
        assert!(names.len() > 10);
        for name in names {
            assert!(known(name), "there is no {name}");
        }
    }
    let alerts: Vec<_> = alerts
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
        .collect();
    assert!(alerts.len() > 10);
    for alert in alerts {
        assert!(
            tests.contains(&format!("alertname: {alert}")),
            "{alert} is not tried"
        );
    }
}

#[tokio::test]
async fn a_client_that_spells_its_question_is_given_up() {
    let served = Served::start();
    let mut stream = UnixStream::connect(served.socket()).await.unwrap();
    let mut sent = 0;
    for byte in QUESTION.iter().cycle() {
        if stream.write_all(&[*byte]).await.is_err() {
            break;
        }
        sent += 1;
        assert!(sent < 1_000_000, "it is read for ever");
        // Each byte is read by itself.
        tokio::task::yield_now().await;
    }
    let answer = over_unix(&served.socket(), QUESTION).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}
