//! Driver: what the daemon of this host says of itself, at its Unix socket.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use url::form_urlencoded;

use crate::consul::below::is_trigger_value;
use crate::runtime::RuntimeDirectory;
use crate::status::{GroupReport, Report};

/// What a daemon that is well takes a hundredth of.
const PATIENCE: Duration = Duration::from_secs(2);

/// More than any report has.
const MAX_ANSWER: usize = 1024 * 1024;

/// Asks the daemon of a group on this host, which is the one that has that group's socket. `None` where none runs, or none
/// that could say.
pub(super) fn report(directories: &[RuntimeDirectory], group: &str) -> Option<GroupReport> {
    let until = Instant::now() + PATIENCE;
    let report = |directory: &RuntimeDirectory| {
        report_in(&ask(&directory.socket(group), group, until).ok()?, group)
    };
    directories.iter().find_map(report)
}

/// Takes the report on a group out of a daemon's answer, byte for byte as it came.
pub fn report_in(answer: &[u8], group: &str) -> Option<GroupReport> {
    let report: Report = serde_json::from_slice(body(answer)?).ok()?;
    let mut groups = report.groups.into_iter();
    groups.find(|one| one.group == group && is_trigger_value(&one.value))
}

/// One request, with a connection of its own, so that the answer ends with it.
fn ask(socket: &Path, group: &str, until: Instant) -> io::Result<Vec<u8>> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let group: String = form_urlencoded::byte_serialize(group.as_bytes()).collect();
    let question = format!(
        "GET /status?group={group} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(question.as_bytes())?;
    let mut answer = Vec::new();
    let mut part = [0; 16 * 1024];
    loop {
        let left = until.saturating_duration_since(Instant::now());
        stream.set_read_timeout(Some(left.max(Duration::from_millis(1))))?;
        let length = stream.read(&mut part)?;
        if length == 0 {
            return Ok(answer);
        }
        answer.extend_from_slice(&part[..length]);
        if answer.len() > MAX_ANSWER || left.is_zero() {
            return Err(io::ErrorKind::InvalidData.into());
        }
    }
}

/// The body of an answer with status 200 and a length (RFC 9112, section 6).
fn body(answer: &[u8]) -> Option<&[u8]> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let head = std::str::from_utf8(&answer[..end]).ok()?;
    let mut lines = head.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?;
    let length = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))?;
    let length: usize = length.1.trim().parse().ok()?;
    let body = &answer[end + 4..];
    (status == "200" && body.len() >= length).then(|| &body[..length])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_as_long_as_the_answer_says() {
        for (answer, expected) in [
            ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", Some("{}")),
            (
                "HTTP/1.1 200 OK\r\nx: y\r\ncontent-length:  2 \r\n\r\n{}more",
                Some("{}"),
            ),
            ("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n{}", None),
            ("HTTP/1.1 503 x\r\nContent-Length: 2\r\n\r\n{}", None),
            ("HTTP/1.1 200 OK\r\n\r\n{}", None),
            ("garbage", None),
            ("", None),
        ] {
            let body = body(answer.as_bytes()).map(|body| std::str::from_utf8(body).unwrap());
            assert_eq!(body, expected, "{answer:?}");
        }
    }
}
