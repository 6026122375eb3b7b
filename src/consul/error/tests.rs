use super::*;

/// Status and words as Consul 1.8.7 and later print them, and what follows.
#[test]
fn consuls_words_are_sorted() {
    use FailureKind::{CheckCritical, CheckMissing, Denied, Refused, SessionGone, Unavailable};
    use Operation::{
        CreateSession, DeposeSession, DestroySession, PassCheck, ReadAgent, ReadGroup, ReadKey,
        ReadSession, RemoveService, RenewSession, Transact, TransactGroup, WriteService,
    };
    for (operation, status, words, expected) in [
        (CreateSession, 200, r#"{"ID":"x"}"#, None),
        (
            CreateSession,
            500,
            "Check 'vip-http' is in critical state",
            Some(CheckCritical),
        ),
        (
            CreateSession,
            500,
            "rpc error making call: Check 'serfHealth' is in critical state",
            Some(CheckCritical),
        ),
        (
            CreateSession,
            500,
            "Missing check 'vip-http' registration",
            Some(CheckMissing),
        ),
        (
            CreateSession,
            500,
            "Missing node registration",
            Some(CheckMissing),
        ),
        (
            CreateSession,
            500,
            "Invalid Session TTL '5000000000', must be between [10s=24h0m0s]",
            Some(Refused),
        ),
        (
            CreateSession,
            400,
            "Request decode failed: EOF",
            Some(Refused),
        ),
        (CreateSession, 403, "Permission denied", Some(Denied)),
        (
            CreateSession,
            403,
            "Permission denied: token with AccessorID 'x' lacks permission 'session:write' on \"n1\"",
            Some(Denied),
        ),
        (
            RenewSession,
            404,
            "Session id '565fe19a' not found",
            Some(SessionGone),
        ),
        (
            RenewSession,
            500,
            "rpc error making call: No cluster leader",
            Some(Unavailable),
        ),
        (DestroySession, 500, "Unknown session \"565fe19a\"", None),
        (
            DestroySession,
            500,
            "rpc error making call: Unknown session \"565fe19a\"",
            None,
        ),
        (DestroySession, 500, "No cluster leader", Some(Unavailable)),
        (DestroySession, 404, "", Some(Refused)),
        (ReadSession, 403, "ACL not found", Some(Denied)),
        (
            ReadSession,
            500,
            "rpc error making call: ACL not found",
            Some(Denied),
        ),
        (ReadKey, 404, "", None),
        (ReadKey, 400, "Invalid index", Some(Refused)),
        (
            ReadKey,
            403,
            "rpc error making call: Permission denied",
            Some(Denied),
        ),
        (ReadKey, 401, "", Some(Denied)),
        (ReadKey, 429, "Resource Exhausted", Some(Unavailable)),
        (ReadKey, 408, "", Some(Unavailable)),
        (
            ReadKey,
            500,
            "rpc error making call: EOF",
            Some(Unavailable),
        ),
        (ReadKey, 503, "rate limit exceeded", Some(Unavailable)),
        (ReadKey, 301, "Moved", Some(Unavailable)),
        (
            ReadKey,
            400,
            "Client sent an HTTP request to an HTTPS server.",
            Some(Refused),
        ),
        (Transact, 409, r#"{"Errors":[]}"#, None),
        (
            Transact,
            413,
            "Value exceeds 524288 byte limit",
            Some(Refused),
        ),
        (Transact, 500, "No cluster leader", Some(Unavailable)),
        (ReadGroup, 404, "", None),
        (TransactGroup, 409, r#"{"Errors":[]}"#, None),
        (DeposeSession, 403, "Permission denied", Some(Denied)),
        (DeposeSession, 500, "Unknown session \"565fe19a\"", None),
        (
            PassCheck,
            500,
            "CheckID \"c\" does not have associated TTL",
            Some(CheckMissing),
        ),
        (PassCheck, 500, "Unknown check \"c\"", Some(CheckMissing)),
        (
            PassCheck,
            404,
            "Unknown check ID \"c\". Ensure that the check ID is passed, not the check name.",
            Some(CheckMissing),
        ),
        (PassCheck, 403, "Permission denied", Some(Denied)),
        (PassCheck, 500, "EOF", Some(Unavailable)),
        (RemoveService, 500, "Unknown service \"s\"", None),
        (RemoveService, 404, "Unknown service ID \"s\".", None),
        (RemoveService, 403, "Permission denied", Some(Denied)),
        (WriteService, 403, "Permission denied", Some(Denied)),
        (WriteService, 404, "", Some(Refused)),
        (ReadAgent, 404, "", Some(Refused)),
        // Words that mean something to one operation mean nothing to another.
        (
            ReadKey,
            500,
            "Check 'x' is in critical state",
            Some(Unavailable),
        ),
        (ReadAgent, 409, "", Some(Refused)),
    ] {
        let status = StatusCode::from_u16(status).unwrap();
        assert_eq!(
            kind_of(operation, status, words.as_bytes()),
            expected,
            "{operation:?} {status} {words}"
        );
    }
}

#[test]
fn a_rollback_is_sorted_by_the_most_telling_reason() {
    use FailureKind::{Changed, Denied, Held, LockDelayed, Refused, SessionGone, Unavailable};
    let held = r#"failed to lock key "k", lock is already held"#;
    let index = r#"failed index check for key "k", current modify index 19 != 3"#;
    let session = r#"failed session check for key "k", current session "" != "a7a2227c""#;
    for (reasons, expected) in [
        (vec![held], Held),
        (vec![index], Changed),
        (vec![index, held], Held),
        (
            vec![r#"failed to lock key "k" due to lock delay"#],
            LockDelayed,
        ),
        (vec![r#"invalid session "565fe19a""#], SessionGone),
        (
            vec![
                r#"failed to check session, key "k" doesn't exist"#,
                r#"invalid session "565fe19a""#,
            ],
            SessionGone,
        ),
        (
            vec![r#"failed to check index, key "k" doesn't exist"#],
            Changed,
        ),
        (vec![r#"key "k" exists"#], Changed),
        (
            vec![
                session,
                r#"failed to unlock key "k", lock isn't held, or is held by another session"#,
            ],
            Changed,
        ),
        (vec![r#"failed to set key "k", index is stale"#], Changed),
        (vec!["Permission denied", "Permission denied"], Denied),
        (vec![r#"unknown KV verb "zonk""#], Refused),
        (vec![], Unavailable),
    ] {
        let reasons: Vec<String> = reasons.into_iter().map(String::from).collect();
        assert_eq!(
            sort_rollback(Operation::Transact, "do it", &reasons).kind,
            expected,
            "{reasons:?}"
        );
    }
}

/// A key whose name contains one of Consul's phrases must not change what a rollback means.
#[test]
fn a_keys_name_does_not_decide() {
    let reasons =
        [r#"failed index check for key "due to lock delay", current modify index 19 != 3"#];
    let failure = sort_rollback(Operation::Transact, "do it", &reasons.map(String::from));
    assert_eq!(failure.kind, FailureKind::Changed);
}

#[test]
fn messages_say_what_we_did_what_came_back_and_what_to_do() {
    let request = |operation, doing: &str| Request::get(operation, "x", doing.to_owned());
    let message = |operation, doing: &str, status, words: &str| {
        let status = StatusCode::from_u16(status).unwrap();
        sort(
            &request(operation, doing),
            status,
            words.as_bytes(),
            &"http://127.0.0.1:8500",
        )
        .unwrap_err()
        .message
    };
    insta::assert_snapshot!(
        [
            message(Operation::CreateSession, "create session 'a'", 403, "Permission denied"),
            message(Operation::ReadKey, "read key 'k'", 403, "ACL not found"),
            message(Operation::ReadKey, "read key 'k'", 401, "Authorization Required"),
            message(
                Operation::CreateSession,
                "create session 'a'",
                500,
                "Missing check 'vip-http' registration\n",
            ),
            message(
                Operation::CreateSession,
                "create session 'a'",
                500,
                "Missing node registration",
            ),
            message(Operation::ReadKey, "read key 'k'", 502, "<html>\n<h1>Bad Gateway</h1>"),
            message(Operation::ReadKey, "read key 'k'", 503, ""),
            message(Operation::ReadAgent, "ask the agent its name", 404, ""),
            message(
                Operation::ReadKey,
                "read key 'k'",
                400,
                "Client sent an HTTP request to an HTTPS server.\n",
            ),
            sort_rollback(
                Operation::Transact,
                "acquire the lock",
                &["Permission denied".to_owned()],
            )
            .message,
        ]
        .join("\n"),
        @r#"
        cannot create session 'a': http://127.0.0.1:8500 answered 403: Permission denied; the token needs session "<this node>" { policy = "write" }
        cannot read key 'k': http://127.0.0.1:8500 answered 403: ACL not found; consul does not know this token: check where it comes from
        cannot read key 'k': http://127.0.0.1:8500 answered 401: Authorization Required; what stands before consul wants a user and a password that it knows: CONSUL_HTTP_AUTH, --http-auth-file
        cannot create session 'a': http://127.0.0.1:8500 answered 500: Missing check 'vip-http' registration; register the check with this host's agent
        cannot create session 'a': http://127.0.0.1:8500 answered 500: Missing node registration; consul does not know the agent's node yet
        cannot read key 'k': http://127.0.0.1:8500 answered 502: <html> <h1>Bad Gateway</h1>
        cannot read key 'k': http://127.0.0.1:8500 answered 503 Service Unavailable
        cannot ask the agent its name: http://127.0.0.1:8500 answered 404 Not Found; check that a consul agent listens there
        cannot read key 'k': http://127.0.0.1:8500 answered 400: Client sent an HTTP request to an HTTPS server; this port speaks TLS: write https:// in front of it
        cannot acquire the lock: consul rolled it back: Permission denied; the token needs key "<trigger key>" { policy = "write" }
        "#
    );
}

#[test]
fn a_foreign_text_becomes_one_short_line() {
    assert_eq!(shorten(b" a\r\n\tb\x1b[31m\0 "), "a b [31m");
    let long = shorten("ä".repeat(10_000).as_bytes());
    assert_eq!(long.chars().count(), SHOWN + 1);
    assert!(long.ends_with('…'));
    assert_eq!(shorten(b"\xff\xfe"), "\u{fffd}\u{fffd}");
}

/// Each with what this host had shown.
#[test]
fn what_goes_wrong_with_tls_is_said_with_what_to_do() {
    use rustls::Error::{AlertReceived, InvalidCertificate, InvalidMessage};
    use rustls::{AlertDescription, CertificateError, InvalidMessage as Message};
    let certificate = |error| (InvalidCertificate(error), Shown::Nothing);
    let alert = |alert, shown| (AlertReceived(alert), shown);
    let said = [
        certificate(CertificateError::UnknownIssuer),
        certificate(CertificateError::BadSignature),
        certificate(CertificateError::Expired),
        certificate(CertificateError::NotValidYet),
        certificate(CertificateError::NotValidForName),
        certificate(CertificateError::Revoked),
        (InvalidMessage(Message::InvalidContentType), Shown::Nothing),
        alert(AlertDescription::BadCertificate, Shown::Nothing),
        alert(AlertDescription::BadCertificate, Shown::Certificate),
        alert(AlertDescription::CertificateExpired, Shown::Certificate),
        alert(AlertDescription::InternalError, Shown::Nothing),
    ]
    .map(|(error, shown)| tls::explain(&error, shown));
    insta::assert_snapshot!(said.join("\n"), @r"
    TLS: invalid peer certificate: UnknownIssuer; the CA that signed consul's certificate is not trusted: name it with --ca-file (CONSUL_CACERT)
    TLS: invalid peer certificate: BadSignature; the CA that signed consul's certificate is not trusted: name it with --ca-file (CONSUL_CACERT)
    TLS: invalid peer certificate: Expired; consul's certificate has expired: renew it, or set this host's clock right
    TLS: invalid peer certificate: NotValidYet; consul's certificate is not valid yet: set this host's clock right
    TLS: invalid peer certificate: NotValidForName; consul's certificate is for another name: give that one with --tls-server-name (CONSUL_TLS_SERVER_NAME)
    TLS: invalid peer certificate: Revoked
    TLS: received corrupt message of type InvalidContentType; this port does not speak TLS: write http:// in front of it, and leave CONSUL_HTTP_SSL out
    TLS: received fatal alert: BadCertificate; consul wants a client certificate: give one with --client-cert (CONSUL_CLIENT_CERT) and --client-key (CONSUL_CLIENT_KEY)
    TLS: received fatal alert: BadCertificate; consul does not take this host's client certificate: it must be of a CA that consul trusts, and must not have expired (--client-cert, CONSUL_CLIENT_CERT)
    TLS: received fatal alert: CertificateExpired; this host's client certificate has expired: renew it, or set the clock of consul's host right
    TLS: received fatal alert: InternalError
    ");
}
