//! What somebody sends to the daemon's own port: a question, or anything else. It is answered with a head and
//! a body as they are announced, and nothing in them is a line of the sender's making.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use vip_elector::election::lease::Terms;
use vip_elector::election::time::Timestamp;
use vip_elector::status::board::Board;
use vip_elector::status::http::{self, MAX_HEAD, Response};
use vip_elector::status::routes;
use vip_elector::status::snapshot::{About, Snapshot};

/// More than two groups take to describe.
const LONGEST: usize = 64 * 1024;

pub(crate) fn take(input: &[u8]) {
    // The server reads no more.
    let head = &input[..input.len().min(MAX_HEAD)];
    let Some(read) = http::parse(head) else {
        assert!(head.len() < MAX_HEAD, "it would wait for ever");
        return;
    };
    let (response, with_body) = match read {
        Ok(request) => (
            routes::answer(&board(), Timestamp::ZERO, &request),
            request.body,
        ),
        Err(refusal) => {
            assert!(refusal.status.code().starts_with('4'));
            (refusal, true)
        }
    };
    assert_whole(&response, with_body);
}

fn assert_whole(response: &Response, with_body: bool) {
    let bytes = response.write(with_body);
    assert!(bytes.len() < LONGEST);
    let text = String::from_utf8(bytes).expect("text");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
    assert_eq!(
        body,
        if with_body {
            response.body.as_str()
        } else {
            ""
        }
    );
    let status = format!("HTTP/1.1 {} ", response.status.code());
    assert!(head.starts_with(&status), "{head}");
    let length = format!("content-length: {}", response.body.len());
    for (number, line) in head.split("\r\n").enumerate() {
        assert!(
            line.chars().all(|letter| (' '..='~').contains(&letter)),
            "{line:?}"
        );
        assert!(number != 1 || line == length, "{line}");
    }
}

fn board() -> Board {
    let group = |name: &str| {
        let about = About {
            group: name.to_owned(),
            value: "web1".to_owned(),
            priority: 0,
            terms: Terms::companion(Duration::from_secs(1), Duration::from_secs(10)),
            vip: None,
            deeds: Arc::default(),
        };
        watch::channel(Snapshot::new(
            about,
            SystemTime::UNIX_EPOCH,
            Timestamp::ZERO,
        ))
        .1
    };
    Board::new(SystemTime::UNIX_EPOCH, vec![group("a/b"), group("c")])
}
