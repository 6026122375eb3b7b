//! What stands before an agent: it wants a password, or takes something away.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use crate::agent::GENEROUS;

/// What happens to a request.
#[derive(Clone, Copy)]
enum Rule {
    /// It needs this in `Authorization`.
    Wants(&'static str),
    /// It loses these parameters.
    TakesAway(&'static [&'static str]),
}

/// A way to an agent. Its threads end with the process.
pub(super) struct Proxy {
    pub(super) port: u16,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    /// Lets pass what carries these credentials, and asks everybody else for them.
    pub(super) fn that_wants(agent: u16, authorization: &'static str) -> Self {
        Self::start(agent, Rule::Wants(authorization))
    }

    /// Lets everything pass, but for these parameters.
    pub(super) fn that_takes_away(agent: u16, parameters: &'static [&'static str]) -> Self {
        Self::start(agent, Rule::TakesAway(parameters))
    }

    /// Path and query of every request so far, as it came.
    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    fn start(agent: u16, rule: Rule) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::default();
        let seen = Arc::clone(&requests);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let seen = Arc::clone(&seen);
                // That the client goes away is the end of every test.
                std::thread::spawn(move || pass(client?, agent, rule, &seen));
            }
        });
        Self { port, requests }
    }
}

/// Passes one request on, and its answer: the agent ends the connection behind it.
fn pass(
    mut client: TcpStream,
    agent: u16,
    rule: Rule,
    seen: &Mutex<Vec<String>>,
) -> io::Result<()> {
    client.set_read_timeout(Some(GENEROUS))?;
    let mut from = BufReader::new(client.try_clone()?);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        if from.read_line(&mut line)? == 0 {
            return Ok(());
        }
        if line == "\r\n" {
            break;
        }
        head.push(line);
    }
    let mut words = head[0].split(' ');
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return Ok(());
    };
    seen.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(target.to_owned());
    let field = |name: &str| {
        let mut fields = head.iter().filter_map(|line| line.split_once(':'));
        let field = fields.find(|(field, _)| field.eq_ignore_ascii_case(name));
        field.map(|(_, value)| value.trim())
    };
    let length = field("content-length").and_then(|length| length.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    from.read_exact(&mut body)?;

    let target = match rule {
        Rule::Wants(authorization) if field("authorization") != Some(authorization) => {
            return client.write_all(
                b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"consul\"\r\n\
                  Content-Length: 0\r\nConnection: close\r\n\r\n",
            );
        }
        Rule::Wants(_) => target.to_owned(),
        Rule::TakesAway(parameters) => without(target, parameters),
    };
    let mut agent = TcpStream::connect(("127.0.0.1", agent))?;
    write!(agent, "{method} {target} HTTP/1.1\r\nConnection: close\r\n")?;
    for line in &head[1..] {
        agent.write_all(line.as_bytes())?;
    }
    agent.write_all(b"\r\n")?;
    agent.write_all(&body)?;
    io::copy(&mut agent, &mut client)?;
    Ok(())
}

fn without(target: &str, parameters: &[&str]) -> String {
    let Some((path, query)) = target.split_once('?') else {
        return target.to_owned();
    };
    let left: Vec<&str> = query
        .split('&')
        .filter(|pair| !parameters.contains(&pair.split('=').next().unwrap_or_default()))
        .collect();
    format!("{path}?{}", left.join("&"))
}
