use std::path::Path;
use std::time::Duration;

use secrecy::ExposeSecret;

use super::*;
use crate::consul::kv::Consistency;
use crate::consul::tests::scripted::{Behavior, Server, access, answer};

const GENEROUS: Duration = Duration::from_secs(10);

#[test]
fn a_token_is_one_line_with_any_space_around_it() {
    for (bytes, expected) in [
        (&b"abc"[..], Ok("abc")),
        (b" abc\r\n", Ok("abc")),
        (b"a b", Ok("a b")),
        (b"", Err("is empty; ")),
        (b" \n\t\n", Err("is empty; ")),
        (b"abc\ndef\n", Err("cannot be sent in an HTTP header; ")),
        (
            "größe".as_bytes(),
            Err("cannot be sent in an HTTP header; "),
        ),
        (&[0xff, 0xfe], Err("is not UTF-8 text")),
    ] {
        match (parse(bytes), expected) {
            (Ok(token), Ok(expected)) => assert_eq!(token.expose_secret(), expected),
            (Err(error), Err(expected)) => {
                assert!(error.to_string().starts_with(expected), "{error}");
            }
            (parsed, expected) => panic!("{expected:?}, but {:?}", parsed.map(|_| "a token")),
        }
    }
}

/// A server that denies everything, and a client whose token is `first` and comes from a file.
fn denied(file: &Path) -> (Server, Client) {
    let server = Server::start(Behavior::KeepAlive(answer(403, "ACL not found")));
    let mut access = access(&[server.url()]);
    access.token = Some(SecretString::from("first"));
    access.token_file = Some(file.to_owned());
    (server, Client::new(&access).unwrap())
}

/// Has one read denied, while the file is followed.
async fn ask(client: &Client) {
    let asking = client.read("k", Consistency::Default, GENEROUS);
    tokio::select! {
        answer = asking => assert!(answer.is_err()),
        () = follow(client.clone()) => {}
    }
}

#[tokio::test]
async fn what_is_denied_is_asked_once_more_with_the_token_that_the_file_has_by_then() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    std::fs::write(&file, "second\n").unwrap();
    let (server, client) = denied(&file);
    ask(&client).await;
    assert_eq!(server.requests(), 2);
    let head = server.last_head();
    assert!(head.contains("x-consul-token: second\r\n"), "{head}");

    ask(&client).await;
    assert_eq!(server.requests(), 3, "there is no other token to try");
}

#[tokio::test]
async fn a_file_that_cannot_be_used_leaves_the_token_as_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    let (server, client) = denied(&file);
    for content in [None, Some(""), Some("one\ntwo\n"), Some("first\n")] {
        if let Some(content) = content {
            std::fs::write(&file, content).unwrap();
        }
        let before = server.requests();
        ask(&client).await;
        assert_eq!(server.requests(), before + 1, "{content:?}");
        let head = server.last_head();
        assert!(head.contains("x-consul-token: first\r\n"), "{head}");
    }
}

#[test]
fn a_file_is_read_again_only_when_it_is_another() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    std::fs::write(&file, "first").unwrap();
    let (stamp, _) = read(&file, None).unwrap().unwrap();
    assert!(read(&file, Some(stamp.clone())).unwrap().is_none());
    // As a writer does who lets nobody see half a file.
    let beside = directory.path().join("new");
    std::fs::write(&beside, "other").unwrap();
    std::fs::rename(&beside, &file).unwrap();
    let (_, token) = read(&file, Some(stamp)).unwrap().unwrap();
    assert_eq!(token.expose_secret(), "other");
}
