use std::time::UNIX_EPOCH;

use super::*;

const KEY: &str = "a/k";

fn terms(contact: Option<Contact>) -> Terms {
    Terms {
        key: KEY.to_owned(),
        value: "host1".to_owned(),
        ttl: Duration::from_secs(10),
        lock_delay: Duration::from_micros(2_999_001),
        check_id: None,
        priority: -7,
        contact,
        liveness_ttl: None,
    }
}

fn contact() -> Contact {
    let mut secret = [0; 32];
    secret[0] = 0xab;
    secret[31] = 0x01;
    Contact {
        address: "10.0.0.1:8547".parse().unwrap(),
        secret: Secret(secret),
    }
}

fn entry(value: &[u8], session: Option<&str>) -> Entry {
    Entry {
        value: Some(value.to_vec()),
        flags: 0,
        session: session.map(SessionId::new),
        modify_index: 5,
    }
}

/// Reads keys given by their names below the trigger key.
fn read_all(entries: Vec<(&str, Entry)>) -> (GroupRead, Vec<String>) {
    let entries = entries
        .into_iter()
        .map(|(name, entry)| (format!("{KEY}/{name}"), entry))
        .collect();
    read(KEY, PrefixRead { index: 9, entries })
}

#[test]
fn an_entry_is_written_for_people_and_programs() {
    let id = SessionId::new("s1");
    let text = String::from_utf8(describe(&terms(Some(contact())), &id, UNIX_EPOCH).unwrap());
    let zeros = "0".repeat(60);
    assert_eq!(
        text.unwrap(),
        format!(
            r#"{{"session":"s1","priority":-7,"lock_delay_ms":3000,"version":"{}","since":"1970-01-01T00:00:00.000Z","peer":"10.0.0.1:8547","secret":"ab{zeros}01"}}"#,
            env!("CARGO_PKG_VERSION")
        )
    );
    let text = describe(&terms(None), &id, UNIX_EPOCH).unwrap();
    assert!(!String::from_utf8(text).unwrap().contains("peer"));
}

#[test]
fn what_is_written_is_read_back() {
    for contact in [None, Some(contact())] {
        let own = SessionId::new("as consul says");
        let text = describe(
            &terms(contact),
            &SessionId::new("as it says itself"),
            UNIX_EPOCH,
        );
        assert!(text.as_ref().unwrap().len() < MAX_ENTRY / 2);
        let held = entry(&text.unwrap(), Some(own.as_str()));
        let (group, ignored) = read_all(vec![("candidates/my host", held)]);
        assert_eq!(ignored, [""; 0]);
        assert_eq!(
            group,
            GroupRead {
                index: 9,
                candidates: vec![Candidate {
                    value: "my host".to_owned(),
                    session: own,
                    priority: -7,
                    lock_delay: Duration::from_secs(3),
                    contact,
                }],
                request: None,
                drained: Vec::new(),
            }
        );
    }
}

#[test]
fn an_entry_without_a_session_is_no_candidate() {
    let good = br#"{"priority":0,"lock_delay_ms":1000}"#;
    let (group, ignored) = read_all(vec![
        ("candidates/dead", entry(good, None)),
        ("candidates/alive", entry(good, Some("s1"))),
        ("something/else", entry(b"?", Some("s1"))),
    ]);
    let values: Vec<_> = group.candidates.iter().map(|one| &one.value).collect();
    assert_eq!(values, ["alive"]);
    assert_eq!(ignored, [""; 0]);
}

#[test]
fn a_bad_entry_is_left_out_and_says_why() {
    let good = r#"{"priority":1,"lock_delay_ms":1000,"from":"the future"}"#;
    let secret = "0f".repeat(32);
    let with = |more: &str| format!(r#"{{"priority":1,"lock_delay_ms":1000,{more}}}"#);
    let bad = [
        (String::new(), "EOF while parsing"),
        ("[]".to_owned(), "invalid"),
        (
            r#"{"lock_delay_ms":1}"#.to_owned(),
            "missing field `priority`",
        ),
        (
            r#"{"priority":1}"#.to_owned(),
            "missing field `lock_delay_ms`",
        ),
        (
            r#"{"priority":1,"lock_delay_ms":-1}"#.to_owned(),
            "invalid value",
        ),
        (
            r#"{"priority":2147483648,"lock_delay_ms":1}"#.to_owned(),
            "invalid value",
        ),
        (with(r#""peer":"10.0.0.1:8547""#), "go together"),
        (with(&format!(r#""secret":"{secret}""#)), "go together"),
        (
            with(&format!(r#""peer":"db.example:8547","secret":"{secret}""#)),
            "invalid socket address",
        ),
        (
            with(&format!(r#""peer":"10.0.0.1:8547","secret":"{secret}0""#)),
            "64 hexadecimal digits",
        ),
        (
            with(&format!(
                r#""peer":"10.0.0.1:8547","secret":"+{}""#,
                &secret[1..]
            )),
            "64 hexadecimal digits",
        ),
        (with(r#""peer":"10.0.0.1:8547","secret":"""#), "64 hexa"),
        (" ".repeat(MAX_ENTRY) + good, "longer than 1024 bytes"),
    ];
    for (text, why) in bad {
        let (group, ignored) = read_all(vec![
            ("candidates/bad", entry(text.as_bytes(), Some("s1"))),
            ("candidates/good", entry(good.as_bytes(), Some("s2"))),
        ]);
        assert_eq!(group.candidates.len(), 1, "{text}");
        assert_eq!(group.candidates[0].value, "good");
        let [ignored] = ignored.try_into().unwrap();
        assert!(
            ignored.starts_with("'a/k/candidates/bad': ") && ignored.contains(why),
            "{text}: {ignored}"
        );
        assert!(!ignored.contains("0f0f"), "{ignored}");
    }
    for name in ["candidates/", "candidates/a/b"] {
        let (group, ignored) = read_all(vec![(name, entry(good.as_bytes(), Some("s1")))]);
        assert_eq!((group.candidates.len(), ignored.len()), (0, 1), "{name}");
    }
}

/// Nobody can make the others wait longer than Consul itself would.
#[test]
fn numbers_and_lengths_are_bounded() {
    let text = format!(r#"{{"priority":1,"lock_delay_ms":{}}}"#, u64::MAX);
    let many = (0..=MAX_CANDIDATES).map(|number| {
        let key = format!("{KEY}/candidates/host{number:03}");
        (key, entry(text.as_bytes(), Some("s1")))
    });
    let all = PrefixRead {
        index: 9,
        entries: many.collect(),
    };
    let (group, ignored) = read(KEY, all);
    assert_eq!(group.candidates.len(), MAX_CANDIDATES);
    assert_eq!(ignored, ["'a/k/candidates/host064': there are 64 others"]);
    assert_eq!(group.candidates[0].lock_delay, MAX_LOCK_DELAY);
}

#[test]
fn a_request_is_a_trigger_value_or_nothing() {
    let longest = "x".repeat(MAX_VALUE);
    for (text, to) in [
        ("", None),
        (" \n", None),
        ("host2", Some("host2")),
        (" my host\n", Some("my host")),
        (&longest, Some(longest.as_str())),
    ] {
        let (group, ignored) = read_all(vec![("switchover", entry(text.as_bytes(), None))]);
        let request = Request {
            index: 5,
            to: to.map(str::to_owned),
        };
        assert_eq!((group.request, ignored), (Some(request), Vec::new()));
    }
    let null = Entry {
        value: None,
        ..entry(b"", None)
    };
    let (group, _) = read_all(vec![("switchover", null)]);
    assert_eq!(group.request.unwrap().to, None);
    for text in [b"x".repeat(MAX_VALUE + 1), b"host\xff".to_vec()] {
        let (group, ignored) = read_all(vec![("switchover", entry(&text, None))]);
        assert_eq!((group.request, ignored.len()), (None, 1), "{text:?}");
    }
}

#[test]
fn a_host_is_drained_whatever_is_written_there() {
    let (group, ignored) = read_all(vec![
        ("drain/", entry(b"", None)),
        ("drain/a/b", entry(b"", None)),
        ("drain/my host", entry(b"", None)),
        ("drain/web2", entry(b"{\"by\":\"me\"}", Some("s1"))),
        ("drain/web3", entry(b"\xff", None)),
    ]);
    assert_eq!(group.drained, ["my host", "web2", "web3"]);
    assert_eq!(
        ignored,
        [
            "'a/k/drain/': no trigger value",
            "'a/k/drain/a/b': no trigger value"
        ]
    );
}
