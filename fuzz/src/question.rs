//! What somebody sends to the daemon's own port: a question, or anything else. It is answered with a head and
//! a body as they are announced, and nothing in them is a line of the sender's making.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use vip_elector::election::lease::Terms;
use vip_elector::election::time::Timestamp;
use vip_elector::status::board::View;
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
            routes::answer(view(), Timestamp::ZERO, &request),
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
    let text = if with_body {
        response.whole()
    } else {
        response.head()
    };
    assert!(text.len() < LONGEST);
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

fn view() -> View {
    let group = |name: &str| {
        let about = About {
            group: name.to_owned(),
            value: "web1".to_owned(),
            priority: 0,
            terms: Terms::companion(Duration::from_secs(1), Duration::from_secs(10)),
            vips: Vec::new(),
            deeds: Arc::default(),
            hooks: Arc::default(),
        };
        Snapshot::new(about, SystemTime::UNIX_EPOCH, Timestamp::ZERO)
    };
    View {
        started_at: SystemTime::UNIX_EPOCH,
        pid: 1,
        groups: vec![group("a/b"), group("c")],
    }
}
