//! Pure: as much of HTTP/1.1 (RFC 9112) as it takes to answer one question on each connection.
//!
//! A question is a head without a body. Whatever else comes is answered with what is wrong with it.

use crate::status::metrics::Format;

/// The longest head that is read, in bytes.
pub const MAX_HEAD: usize = 8 * 1024;

/// The most header lines that are read.
const MAX_HEADERS: usize = 64;

/// A question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The path, without the query.
    pub path: String,
    /// `group` in the query, decoded.
    pub group: Option<String>,
    /// What metrics are wanted in.
    pub format: Format,
    /// Whether the body is wanted, and not only its length.
    pub body: bool,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// One of HTTP's.
    pub status: Status,
    /// What the body is.
    pub content_type: &'static str,
    /// May be empty.
    pub body: String,
}

/// The status codes that are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "RFC 9110 has them")]
pub enum Status {
    Ok,
    BadRequest,
    NotFound,
    MethodNotAllowed,
    HeadTooLarge,
    Unavailable,
}

/// Plain text.
pub const TEXT: &str = "text/plain; charset=utf-8";

/// Reads the head of a request. `None` means that there is more to come.
pub fn parse(bytes: &[u8]) -> Option<Result<Request, Response>> {
    let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
    let mut head = httparse::Request::new(&mut headers);
    match head.parse(bytes) {
        Ok(httparse::Status::Complete(_)) => Some(understand(&head)),
        Ok(httparse::Status::Partial) if bytes.len() >= MAX_HEAD => Some(Err(too_large())),
        Ok(httparse::Status::Partial) => None,
        Err(httparse::Error::TooManyHeaders) => Some(Err(too_large())),
        Err(_) => Some(Err(Response::text(
            Status::BadRequest,
            "this is not HTTP/1.1\n",
        ))),
    }
}

fn understand(head: &httparse::Request<'_, '_>) -> Result<Request, Response> {
    // OPTIONS is what HAProxy asks with if it is not told otherwise.
    let body = match head.method {
        Some("GET") => true,
        Some("HEAD" | "OPTIONS") => false,
        Some(_) | None => {
            let what = "GET, HEAD and OPTIONS are answered; nothing can be changed here\n";
            return Err(Response::text(Status::MethodNotAllowed, what));
        }
    };
    let target = head.path.unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let accept = head
        .headers
        .iter()
        .filter(|header| header.name.eq_ignore_ascii_case("accept"));
    Ok(Request {
        path: path.to_owned(),
        group: url::form_urlencoded::parse(query.as_bytes())
            .find(|(name, _)| name == "group")
            .map(|(_, value)| value.into_owned()),
        format: Format::accepted(accept.map(|header| header.value)),
        body,
    })
}

fn too_large() -> Response {
    Response::text(
        Status::HeadTooLarge,
        "the head of this request is too large\n",
    )
}

impl Response {
    /// An answer in plain text.
    pub fn text(status: Status, body: impl Into<String>) -> Self {
        Self {
            status,
            content_type: TEXT,
            body: body.into(),
        }
    }

    /// Writes the answer out.
    pub fn whole(&self) -> String {
        self.head() + &self.body
    }

    /// The same without its body.
    pub fn head(&self) -> String {
        let mut head = format!(
            "HTTP/1.1 {}\r\ncontent-length: {}\r\nconnection: close\r\ncache-control: no-store\r\n",
            self.status.line(),
            self.body.len()
        );
        if !self.body.is_empty() {
            head.push_str("content-type: ");
            head.push_str(self.content_type);
            head.push_str("\r\n");
        }
        if self.status == Status::MethodNotAllowed {
            head.push_str("allow: GET, HEAD, OPTIONS\r\n");
        }
        head + "\r\n"
    }
}

impl Status {
    /// The code alone.
    pub fn code(self) -> &'static str {
        self.line().split(' ').next().unwrap_or_default()
    }

    const fn line(self) -> &'static str {
        match self {
            Self::Ok => "200 OK",
            Self::BadRequest => "400 Bad Request",
            Self::NotFound => "404 Not Found",
            Self::MethodNotAllowed => "405 Method Not Allowed",
            Self::HeadTooLarge => "431 Request Header Fields Too Large",
            Self::Unavailable => "503 Service Unavailable",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(head: &str) -> Request {
        parse(head.as_bytes()).unwrap().unwrap()
    }

    fn refused(head: &[u8]) -> Status {
        parse(head).unwrap().unwrap_err().status
    }

    #[test]
    fn a_question_is_a_path_and_perhaps_a_group() {
        let request = asked("GET /status?x=1&group=service%2Fpg+one HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(request.path, "/status");
        assert_eq!(request.group.as_deref(), Some("service/pg one"));
        assert!(request.body);
        let haproxy = asked("OPTIONS /leader HTTP/1.0\r\n\r\n");
        assert_eq!(
            (haproxy.path.as_str(), haproxy.group, haproxy.body),
            ("/leader", None, false)
        );
        assert!(!asked("HEAD / HTTP/1.1\r\n\r\n").body);
    }

    #[test]
    fn what_is_cut_off_is_waited_for() {
        let whole = b"GET /leader HTTP/1.1\r\nHost: a\r\n\r\n";
        for length in 0..whole.len() {
            assert_eq!(parse(&whole[..length]), None);
        }
    }

    #[test]
    fn what_is_no_question_is_told_so() {
        assert_eq!(
            refused(b"POST /status HTTP/1.1\r\n\r\n"),
            Status::MethodNotAllowed
        );
        assert_eq!(refused(b"\x16\x03\x01\x02\x00"), Status::BadRequest, "TLS");
        assert_eq!(refused(b"GET / HTTP/2.0\r\n\r\n"), Status::BadRequest);
        let long = format!("GET /{} HTTP/1.1\r\n", "a".repeat(MAX_HEAD));
        assert_eq!(refused(long.as_bytes()), Status::HeadTooLarge);
        let many = format!(
            "GET / HTTP/1.1\r\n{}\r\n",
            "a: b\r\n".repeat(MAX_HEADERS + 1)
        );
        assert_eq!(refused(many.as_bytes()), Status::HeadTooLarge);
    }

    #[test]
    fn an_answer_says_how_long_it_is() {
        let answer = Response::text(Status::Ok, "yes\n");
        let whole = answer.whole();
        assert_eq!(
            whole,
            "HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\ncache-control: no-store\r\n\
             content-type: text/plain; charset=utf-8\r\n\r\nyes\n"
        );
        let head = answer.head();
        assert_eq!(whole.strip_suffix("yes\n"), Some(head.as_str()));
    }
}
