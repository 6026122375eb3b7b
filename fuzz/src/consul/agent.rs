//! A Consul agent that answers what it was told to, under a clock that stands still while anything can
//! be done.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;
use vip_elector::consul::Client;
use vip_elector::consul::access::{Access, Endpoint};

/// What a call gets.
pub(crate) const TIMEOUT: Duration = Duration::from_millis(500);

/// What stands between two answers.
const BETWEEN: &[u8] = b"\n--\n";

/// An agent on a socket, and a client of it.
pub(crate) struct Agent {
    runtime: Runtime,
    client: Client,
    answers: Arc<Mutex<Answers>>,
    _directory: tempfile::TempDir,
}

/// The bytes to be answered with, and whether the connection ends with each.
#[derive(Default)]
struct Answers {
    next: VecDeque<Vec<u8>>,
    last: Vec<u8>,
    closes: bool,
}

thread_local! {
    static AGENT: RefCell<Option<Agent>> = const { RefCell::new(None) };
}

/// Reads answers as they stand in an input, and writes them as Consul would.
pub(crate) fn answers(input: &[u8]) -> Vec<Vec<u8>> {
    let mut answers = Vec::new();
    let mut rest = input;
    while let Some((first, others)) = cut(rest) {
        answers.push(answer(first));
        rest = others;
    }
    answers.push(answer(rest));
    answers
}

/// Cuts at the first line `--`, if there is one.
pub(crate) fn cut(input: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = find(input, BETWEEN)?;
    Some((&input[..at], &input[at + BETWEEN.len()..]))
}

fn answer(written: &[u8]) -> Vec<u8> {
    let end = written.iter().position(|byte| *byte == b'\n');
    let (head, body) = written.split_at(end.unwrap_or(written.len()));
    let body = body.strip_prefix(b"\n").unwrap_or(body);
    let head = String::from_utf8_lossy(head);
    let mut words = head.split_whitespace();
    let status = words.next().and_then(|word| word.parse::<u16>().ok());
    // Below, it would be no answer yet.
    let status = status
        .filter(|status| (200..=599).contains(status))
        .unwrap_or(200);
    let mut answer = format!("HTTP/1.1 {status} x\r\nContent-Length: {}\r\n", body.len());
    let index = words.next().filter(|word| word.is_ascii());
    if let Some(index) = index {
        answer.push_str(&format!("X-Consul-Index: {index}\r\n"));
    }
    if words.next().is_some() {
        answer.push_str("X-Consul-Results-Filtered-By-ACLs: true\r\n");
    }
    answer.push_str("\r\n");
    let mut answer = answer.into_bytes();
    answer.extend_from_slice(body);
    answer
}

impl Agent {
    /// Runs something with the agent of this thread.
    pub(crate) fn with(work: impl FnOnce(&Self)) {
        AGENT.with_borrow_mut(|agent| work(agent.get_or_insert_with(Self::start)));
    }

    fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory for a socket");
        let path = directory.path().join("consul.sock");
        let runtime = Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .expect("a runtime");
        let answers = Arc::new(Mutex::new(Answers::default()));
        let listener = {
            let _entered = runtime.enter();
            UnixListener::bind(&path).expect("a socket")
        };
        runtime.spawn(accept(listener, Arc::clone(&answers)));
        let access = Access::plain(vec![Endpoint::Unix(path)]);
        Self {
            runtime,
            client: Client::new(&access).expect("a client"),
            answers,
            _directory: directory,
        }
    }

    pub(crate) fn client(&self) -> Client {
        self.client.clone()
    }

    /// Sets what is answered from now on, over connections that last.
    pub(crate) fn answer_with(&self, answers: Vec<Vec<u8>>) {
        self.set(Answers {
            last: answers.last().cloned().unwrap_or_default(),
            next: answers.into(),
            closes: false,
        });
    }

    /// Sets the bytes that are said to every request, before the connection is closed.
    pub(crate) fn say(&self, bytes: &[u8]) {
        self.set(Answers {
            last: bytes.to_vec(),
            next: VecDeque::new(),
            closes: true,
        });
    }

    fn set(&self, answers: Answers) {
        *self.answers.lock().unwrap_or_else(PoisonError::into_inner) = answers;
    }

    /// Runs a call to its end; returns also how long it took by the clock that stands still.
    pub(crate) fn run<F: Future>(&self, call: F) -> (F::Output, Duration) {
        self.runtime.block_on(async {
            let start = Instant::now();
            (call.await, start.elapsed())
        })
    }
}

async fn accept(listener: UnixListener, answers: Arc<Mutex<Answers>>) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve(stream, Arc::clone(&answers)));
    }
}

/// Ends with the connection.
async fn serve(mut stream: UnixStream, answers: Arc<Mutex<Answers>>) -> io::Result<()> {
    let mut request = Vec::new();
    loop {
        request.clear();
        let head = loop {
            if let Some(end) = find(&request, b"\r\n\r\n") {
                break end + 4;
            }
            if stream.read_buf(&mut request).await? == 0 {
                return Ok(());
            }
        };
        let whole = head + length(&request[..head]);
        while request.len() < whole {
            if stream.read_buf(&mut request).await? == 0 {
                return Ok(());
            }
        }
        let (answer, closes) = {
            let mut answers = answers.lock().unwrap_or_else(PoisonError::into_inner);
            let next = answers.next.pop_front();
            (next.unwrap_or_else(|| answers.last.clone()), answers.closes)
        };
        stream.write_all(&answer).await?;
        if closes {
            return Ok(());
        }
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}

fn length(head: &[u8]) -> usize {
    let head = String::from_utf8_lossy(head).to_lowercase();
    head.lines()
        .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())
        .unwrap_or_default()
}
