//! A server with one trick, for tests of what a network and a broken agent can do.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::consul::access::{Access, Endpoint};

/// Returns how to reach these URLs, and nothing more.
pub(in crate::consul) fn access(endpoints: &[String]) -> Access {
    Access::plain(
        endpoints
            .iter()
            .map(|url| Endpoint::Http(url.parse().unwrap()))
            .collect(),
    )
}

/// Returns a whole answer.
pub(in crate::consul) fn answer(status: u16, body: &str) -> String {
    format!(
        "HTTP/1.1 {status} x\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// What a [`Server`] does to each connection.
#[derive(Clone)]
pub(in crate::consul) enum Behavior {
    /// Reads the request and says nothing.
    Silence,
    /// Says this and then nothing.
    Hold(String),
    /// Says this and closes.
    Answer(String),
    /// Says this to every request.
    KeepAlive(String),
    /// Says more and more.
    Endless,
    /// Closes after the request.
    Reset,
}

/// A server with one trick. Its threads end with the process, or with the client's connections.
pub(in crate::consul) struct Server {
    pub(in crate::consul) address: SocketAddr,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    requests: AtomicUsize,
    head: Mutex<String>,
}

impl Server {
    pub(in crate::consul) fn start(behavior: Behavior) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen::default());
        let serving = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (seen, behavior) = (Arc::clone(&serving), behavior.clone());
                seen.connections.fetch_add(1, Ordering::SeqCst);
                // That the client goes away is the end of many a test.
                std::thread::spawn(move || serve(stream?, &seen, behavior));
            }
        });
        Self { address, seen }
    }

    pub(in crate::consul) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(in crate::consul) fn requests(&self) -> usize {
        self.seen.requests.load(Ordering::SeqCst)
    }

    pub(in crate::consul) fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    pub(in crate::consul) fn last_head(&self) -> String {
        self.seen.head.lock().unwrap().clone()
    }
}

fn serve(mut stream: TcpStream, seen: &Seen, behavior: Behavior) -> std::io::Result<()> {
    loop {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") {
            if stream.read(&mut byte)? == 0 {
                return Ok(());
            }
            head.push(byte[0]);
        }
        *seen.head.lock().unwrap_or_else(PoisonError::into_inner) =
            String::from_utf8_lossy(&head).into_owned();
        seen.requests.fetch_add(1, Ordering::SeqCst);
        match &behavior {
            Behavior::Silence => {}
            Behavior::Hold(text) | Behavior::KeepAlive(text) => {
                stream.write_all(text.as_bytes())?
            }
            Behavior::Answer(text) => return stream.write_all(text.as_bytes()),
            Behavior::Endless => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")?;
                let chunk = format!("10000\r\n{}\r\n", " ".repeat(0x10000));
                loop {
                    stream.write_all(chunk.as_bytes())?;
                }
            }
            Behavior::Reset => return Ok(()),
        }
    }
}
