//! Driver: one connection through a proxy.
//!
//! Requests are told apart (head, and `content-length` bytes), because what happens is decided for
//! each. Answers are passed on as they come: a client that waits for one sends no other request.

use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::AsFd;

use nix::sys::socket::{setsockopt, sockopt};

use super::Trouble;
use crate::worker::{Ready, Stop};

/// Passes on what either side says until one of them ends, or `stop`.
pub(super) fn serve(
    stop: &Stop,
    client: TcpStream,
    agent: SocketAddr,
    trouble: impl Fn() -> Trouble,
) -> io::Result<()> {
    client.set_nonblocking(false)?;
    let agent = TcpStream::connect(agent)?;
    for side in [&client, &agent] {
        side.set_nodelay(true)?;
    }
    let mut connection = Connection {
        stop,
        client,
        agent,
        asked: Vec::new(),
        fate: Trouble::None,
    };
    let mut block = vec![0; 1 << 16];
    loop {
        let sides = [connection.client.as_fd(), connection.agent.as_fd()];
        let goes_on = match stop.wait_for_either(sides) {
            Ready::First => match connection.client.read(&mut block)? {
                0 => false,
                length => {
                    connection.asked.extend_from_slice(&block[..length]);
                    connection.pass_requests(&trouble)?
                }
            },
            Ready::Second => match connection.agent.read(&mut block)? {
                0 => false,
                length => connection.pass_answer(&block[..length], &trouble)?,
            },
            Ready::Stopped => false,
        };
        if !goes_on {
            return Ok(());
        }
    }
}

struct Connection<'a> {
    stop: &'a Stop,
    client: TcpStream,
    agent: TcpStream,
    /// What the client said and the agent was not yet told.
    asked: Vec<u8>,
    /// What happens to the answer that comes next.
    fate: Trouble,
}

impl Connection<'_> {
    /// Returns whether the connection goes on.
    fn pass_requests(&mut self, trouble: &impl Fn() -> Trouble) -> io::Result<bool> {
        while let Some(length) = request_length(&self.asked) {
            let request: Vec<u8> = self.asked.drain(..length).collect();
            self.fate = trouble();
            match self.fate {
                Trouble::LostRequests | Trouble::Silence => continue,
                Trouble::Refused(status) => {
                    refuse(&mut self.client, status)?;
                    continue;
                }
                Trouble::Reset => {
                    reset(&self.client)?;
                    return Ok(false);
                }
                Trouble::LateRequests(late) => {
                    if !self.stop.pause(late) {
                        return Ok(false);
                    }
                }
                Trouble::None
                | Trouble::LateAnswers(_)
                | Trouble::LostAnswers
                | Trouble::CutAnswers => {}
            }
            self.agent.write_all(&request)?;
        }
        Ok(true)
    }

    /// Returns whether the connection goes on.
    fn pass_answer(&mut self, part: &[u8], trouble: &impl Fn() -> Trouble) -> io::Result<bool> {
        if trouble() == Trouble::Silence {
            return Ok(true);
        }
        match self.fate {
            Trouble::LostAnswers => return Ok(true),
            Trouble::CutAnswers => {
                self.client.write_all(&part[..part.len() / 2])?;
                self.client.shutdown(Shutdown::Both)?;
                return Ok(false);
            }
            Trouble::LateAnswers(late) => {
                if !self.stop.pause(late) {
                    return Ok(false);
                }
            }
            Trouble::None
            | Trouble::LateRequests(_)
            | Trouble::LostRequests
            | Trouble::Silence
            | Trouble::Reset
            | Trouble::Refused(_) => {}
        }
        self.client.write_all(part)?;
        Ok(true)
    }
}

/// Returns the length of the first request, once all of it is there.
fn request_length(said: &[u8]) -> Option<usize> {
    let head = said.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&said[..head]);
    let body = text
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .and_then(|(_, value)| value.trim().parse::<usize>().ok())
        .unwrap_or_default();
    (said.len() >= head + body).then_some(head + body)
}

fn refuse(client: &mut TcpStream, status: u16) -> io::Result<()> {
    let body = "refused by the lab";
    let length = body.len();
    let answer = format!("HTTP/1.1 {status} Refused\r\ncontent-length: {length}\r\n\r\n{body}");
    client.write_all(answer.as_bytes())
}

/// Closes with RST instead of FIN.
fn reset(client: &TcpStream) -> io::Result<()> {
    let at_once = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    Ok(setsockopt(client, sockopt::Linger, &at_once)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_complete_with_its_body() {
        let request = b"PUT /v1/txn HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody";
        for end in 0..request.len() {
            assert_eq!(request_length(&request[..end]), None, "{end}");
        }
        let all = request.len();
        assert_eq!(request_length(request), Some(all));
        let two = [&request[..], b"GET / HTTP/1.1\r\n\r\n"].concat();
        assert_eq!(request_length(&two), Some(all));
        assert_eq!(request_length(&two[all..]), Some(two.len() - all));
    }
}
