//! Questions over real sockets.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use vip_elector::driver::clock;
use vip_elector::election::lease::Lease;
use vip_elector::election::status::Phase;
use vip_elector::status::board::Board;
use vip_elector::status::serve::{self, Socket};

use super::{begin, leader, then};

const LIMIT: Duration = Duration::from_secs(20);

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
        let board = Board::new(begin(), watch::channel(vec![watch::channel(live).1]).1);
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
