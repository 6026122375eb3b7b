//! A Consul with one trick.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use vip_elector::election::call::LOCK_FLAG;

/// How it answers when a key is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trick {
    /// With a no, as any Consul may.
    Refusal,
    /// With a body that never ends, in chunks.
    EndlessBody,
    /// With a body of the greatest length that can be promised.
    PromisedBody,
    /// With headers that never end.
    EndlessHead,
    /// With one header that never ends.
    EndlessHeader,
    /// By saying again and again that it will answer.
    Continue,
    /// With a million candidates.
    Candidates,
    /// With a mebibyte of the smallest values that JSON has, where a key should be.
    Values,
    /// With the same within a key.
    ValuesInside,
    /// With brackets in brackets.
    Depth,
    /// With one byte a second.
    Trickle,
    /// With an index that no number holds.
    Index,
}

/// As much as an answer may have.
const MOST: usize = 1024 * 1024;

const OK: &str = "HTTP/1.1 200 OK\r\nX-Consul-Index: 7\r\n";

impl Trick {
    pub(super) const ALL: [Self; 12] = [
        Self::Refusal,
        Self::EndlessBody,
        Self::PromisedBody,
        Self::EndlessHead,
        Self::EndlessHeader,
        Self::Continue,
        Self::Candidates,
        Self::Values,
        Self::ValuesInside,
        Self::Depth,
        Self::Trickle,
        Self::Index,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Refusal => "a refusal",
            Self::EndlessBody => "an endless body",
            Self::PromisedBody => "a body of the greatest length",
            Self::EndlessHead => "endless headers",
            Self::EndlessHeader => "an endless header",
            Self::Continue => "100 Continue without end",
            Self::Candidates => "a million candidates",
            Self::Values => "a mebibyte of values",
            Self::ValuesInside => "a mebibyte of values within a key",
            Self::Depth => "a mebibyte of brackets",
            Self::Trickle => "a byte a second",
            Self::Index => "an index that overflows",
        }
    }

    fn play(self, to: &mut impl Write) -> std::io::Result<()> {
        match self {
            Self::Refusal => write!(to, "{}", whole(500, "No cluster leader")),
            Self::EndlessBody => {
                write!(to, "{OK}Transfer-Encoding: chunked\r\n\r\n")?;
                for_ever(to, &format!("10000\r\n{}\r\n", "[".repeat(0x10000)))
            }
            Self::PromisedBody => {
                write!(to, "{OK}Content-Length: {}\r\n\r\n", u64::MAX - 1)?;
                for_ever(to, &" ".repeat(0x10000))
            }
            Self::EndlessHead => {
                write!(to, "{OK}")?;
                for_ever(to, &"X-More: more\r\n".repeat(1000))
            }
            Self::EndlessHeader => {
                write!(to, "{OK}X-More: ")?;
                for_ever(to, &"more".repeat(1000))
            }
            Self::Continue => for_ever(to, &"HTTP/1.1 100 Continue\r\n\r\n".repeat(1000)),
            Self::Candidates => {
                write!(to, "{OK}Transfer-Encoding: chunked\r\n\r\n")?;
                for number in 0..1_000_000 {
                    let begins = if number == 0 { "[" } else { "," };
                    let entry = format!(
                        r#"{begins}{{"Key":"k/candidates/{number}","Value":"e30=","Flags":0,"Session":"s{number}","ModifyIndex":7}}"#
                    );
                    write!(to, "{:x}\r\n{entry}\r\n", entry.len())?;
                }
                write!(to, "1\r\n]\r\n0\r\n\r\n")
            }
            Self::Values => {
                let values = vec!["1"; MOST / 2 - 1].join(",");
                write!(to, "{}", found(&format!("[{values}]")))
            }
            Self::ValuesInside => {
                let values = vec!["1"; MOST / 2 - 200].join(",");
                // Of a lock that another host holds.
                let entry = format!(
                    r#""Key":"k","Value":null,"Flags":{LOCK_FLAG},"Session":"s2","ModifyIndex":7"#
                );
                let body = format!(r#"[{{{entry},"More":[{values}]}}]"#);
                write!(to, "{}", found(&body))
            }
            Self::Depth => write!(to, "{}", found(&"[".repeat(MOST))),
            Self::Trickle => {
                write!(to, "{OK}Transfer-Encoding: chunked\r\n\r\n")?;
                loop {
                    to.write_all(b"1\r\n[\r\n")?;
                    std::thread::sleep(Duration::from_secs(1));
                }
            }
            Self::Index => write!(
                to,
                "HTTP/1.1 404 x\r\nX-Consul-Index: 18446744073709551616\r\nContent-Length: 0\r\n\r\n"
            ),
        }
    }
}

fn for_ever(to: &mut impl Write, text: &str) -> std::io::Result<()> {
    loop {
        to.write_all(text.as_bytes())?;
    }
}

fn whole(status: u16, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status} x\r\nContent-Length: {length}\r\n\r\n{body}")
}

fn found(body: &str) -> String {
    format!("{OK}Content-Length: {}\r\n\r\n{body}", body.len())
}

/// The server. Its threads end with the process, or with the daemon's connections.
pub(super) struct Server {
    address: SocketAddr,
    reads: Receiver<()>,
}

impl Server {
    pub(super) fn start(trick: Trick) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (read, reads) = channel();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let read = read.clone();
                // That the client goes away is the end of every trick.
                std::thread::spawn(move || serve(stream?, trick, &read));
            }
        });
        Self { address, reads }
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Waits for the next time that a key is read.
    pub(super) fn is_read_within(&self, limit: Duration) -> bool {
        self.reads.recv_timeout(limit).is_ok()
    }
}

fn serve(mut stream: TcpStream, trick: Trick, read: &Sender<()>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream.try_clone()?);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if lines.read_line(&mut head)? == 0 {
                return Ok(());
            }
        }
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .map_or(0, |length| length.parse().unwrap_or(0));
        lines.read_exact(&mut vec![0; length])?;
        if head.starts_with("GET /v1/kv/") {
            // Nobody counts any more when the test is over.
            let _ = read.send(());
            trick.play(&mut stream)?;
        } else {
            stream.write_all(polite(&head).as_bytes())?;
        }
    }
}

/// What a Consul says to the first line of any other request.
fn polite(head: &str) -> String {
    const SESSION: &str = "11111111-1111-4111-8111-111111111111";
    let session =
        format!(r#"{{"ID":"{SESSION}","Name":"n","Node":"web1","LockDelay":1000000000}}"#);
    let path = head.split(' ').nth(1).unwrap_or_default();
    if path.starts_with("/v1/session/create") {
        whole(200, &session)
    } else if path.starts_with("/v1/session/destroy") {
        whole(200, "true")
    } else if path.starts_with("/v1/session/renew") || path.starts_with("/v1/session/info") {
        whole(200, &format!("[{session}]"))
    } else if path.starts_with("/v1/session/") {
        whole(200, "[]")
    } else if path.starts_with("/v1/agent/self") {
        whole(200, r#"{"Config":{"NodeName":"web1","Version":"1.8.7"}}"#)
    } else if path.starts_with("/v1/agent/checks") {
        whole(200, "{}")
    } else if path.starts_with("/v1/health/node") {
        found("[]")
    } else if path.starts_with("/v1/txn") {
        whole(409, r#"{"Results":null,"Errors":[]}"#)
    } else {
        whole(200, "")
    }
}
