//! Pure: what follows from an answer that is none, and how to say it to an operator.
//!
//! Consul has few status codes and many sentences, so that its words decide. They are the same from
//! 1.7 to today; through a client agent `rpc error making call: ` stands in front, and a newer Consul
//! says more behind `Permission denied` and `ACL not found`.

mod tls;

use std::error::Error;
use std::fmt::Display;
use std::io;

use reqwest::StatusCode;

pub(super) use self::tls::Shown;
use crate::consul::request::{Operation, Request};
use crate::election::call::{Failure, FailureKind};

/// No more of a foreign body than this gets into a message.
const SHOWN: usize = 200;

/// No message is longer, in characters.
const MAX_MESSAGE: usize = 1000;

/// Lets an answer pass, or says what its status and words mean for the request.
pub(super) fn sort(
    request: &Request,
    status: StatusCode,
    body: &[u8],
    endpoint: &impl Display,
) -> Result<(), Failure> {
    let Some(kind) = kind_of(request.operation, status, body) else {
        return Ok(());
    };
    let doing = &request.doing;
    let words = shorten(body);
    let words = words.trim_end_matches('.');
    let said = if words.is_empty() {
        format!("{endpoint} answered {status}")
    } else {
        format!("{endpoint} answered {}: {words}", status.as_u16())
    };
    let message = match hint(request, status, kind, words) {
        Some(hint) => format!("cannot {doing}: {said}; {hint}"),
        None => format!("cannot {doing}: {said}"),
    };
    Err(failure(kind, &message))
}

/// Sorts status and words; `None` lets the answer pass.
fn kind_of(operation: Operation, status: StatusCode, body: &[u8]) -> Option<FailureKind> {
    if status.is_success() {
        return None;
    }
    let body = String::from_utf8_lossy(body);
    let says = |words: &str| body.contains(words);
    match operation {
        // The key is not there, the transaction was rolled back: answers, not failures.
        Operation::ReadKey | Operation::ReadGroup if status == StatusCode::NOT_FOUND => {
            return None;
        }
        Operation::Transact | Operation::TransactGroup if status == StatusCode::CONFLICT => {
            return None;
        }
        // Consul 1.7 with ACLs; later ones say that it is done.
        Operation::DestroySession | Operation::DeposeSession if says("Unknown session") => {
            return None;
        }
        // Later ones than 1.11, and 1.8 with ACLs; without, it says that it is done.
        Operation::RemoveService if says("Unknown service") => return None,
        // The first where there is no such check, with ACLs or later than 1.11; the second without.
        Operation::PassCheck if says("Unknown check") || says("does not have associated TTL") => {
            return Some(FailureKind::CheckMissing);
        }
        Operation::RenewSession if status == StatusCode::NOT_FOUND => {
            return Some(FailureKind::SessionGone);
        }
        Operation::CreateSession
        | Operation::RenewSession
        | Operation::DestroySession
        | Operation::DeposeSession
        | Operation::ReadSession
        | Operation::ReadKey
        | Operation::Transact
        | Operation::ReadGroup
        | Operation::TransactGroup
        | Operation::ReadAgent
        | Operation::ReadChecks
        | Operation::WriteService
        | Operation::PassCheck
        | Operation::RemoveService => {}
    }
    let creating = operation == Operation::CreateSession;
    let busy = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_MANY_REQUESTS].contains(&status);
    let forbidden = [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN].contains(&status);
    Some(if forbidden || denies(&body) {
        FailureKind::Denied
    } else if creating && says("is in critical state") {
        FailureKind::CheckCritical
    } else if creating && (says("Missing check ") || says(NO_NODE)) {
        // A node that is not there yet will come with its agent, as a check does.
        FailureKind::CheckMissing
    } else if (creating && says("Invalid Session TTL")) || (status.is_client_error() && !busy) {
        FailureKind::Refused
    } else {
        FailureKind::Unavailable
    })
}

/// Consul's words when it does not know the node a session shall belong to.
pub(super) const NO_NODE: &str = "Missing node registration";

pub(super) fn denies(words: &str) -> bool {
    words.contains("Permission denied") || words.contains("ACL not found")
}

fn hint(request: &Request, status: StatusCode, kind: FailureKind, words: &str) -> Option<String> {
    if words.contains("Client sent an HTTP request to an HTTPS server") {
        return Some("this port speaks TLS: write https:// in front of it".to_owned());
    }
    match kind {
        FailureKind::Denied if status == StatusCode::UNAUTHORIZED => {
            // Consul itself answers 403.
            Some(
                "what stands before consul wants a user and a password that it knows: \
                 CONSUL_HTTP_AUTH, --http-auth-file"
                    .to_owned(),
            )
        }
        FailureKind::Denied if words.contains("ACL not found") => {
            Some("consul does not know this token: check where it comes from".to_owned())
        }
        FailureKind::Denied => Some(format!("the token needs {}", request.right())),
        FailureKind::CheckMissing if words.contains(NO_NODE) || words.contains("'serfHealth'") => {
            Some("consul does not know the agent's node yet".to_owned())
        }
        FailureKind::CheckMissing if request.operation == Operation::PassCheck => None,
        FailureKind::CheckMissing => Some("register the check with this host's agent".to_owned()),
        FailureKind::Refused if status == StatusCode::NOT_FOUND => {
            Some("check that a consul agent listens there".to_owned())
        }
        FailureKind::Unavailable if status.is_redirection() => {
            Some("check that a consul agent listens there".to_owned())
        }
        FailureKind::SessionGone
        | FailureKind::CheckCritical
        | FailureKind::Held
        | FailureKind::LockDelayed
        | FailureKind::Changed
        | FailureKind::Unavailable
        | FailureKind::Refused => None,
    }
}

/// Sorts why a transaction was rolled back: what each failed operation says.
///
/// Where several failed, the most telling one counts: a dead session before the lock's state, the
/// lock's state before a key that is not as it was.
pub(super) fn sort_rollback(request: &Request, reasons: &[String]) -> Failure {
    let doing = &request.doing;
    let kinds: Vec<FailureKind> = reasons.iter().map(|said| kind_of_rollback(said)).collect();
    let kind = [
        FailureKind::Denied,
        FailureKind::Refused,
        FailureKind::SessionGone,
        FailureKind::LockDelayed,
        FailureKind::Held,
        FailureKind::Changed,
    ]
    .into_iter()
    .find(|kind| kinds.contains(kind))
    .unwrap_or(FailureKind::Unavailable);
    let said = shorten(reasons.join("; ").as_bytes());
    let mut message = format!("cannot {doing}: consul rolled it back: {said}");
    if let Some(hint) = hint(request, StatusCode::CONFLICT, kind, &said) {
        message.push_str("; ");
        message.push_str(&hint);
    }
    failure(kind, &message)
}

/// Looks at both ends of the sentence only: the key's name in the middle may say anything.
fn kind_of_rollback(said: &str) -> FailureKind {
    if said.starts_with("Permission denied") || said.starts_with("ACL not found") {
        FailureKind::Denied
    } else if said.starts_with("invalid session ") {
        FailureKind::SessionGone
    } else if said.ends_with("due to lock delay") {
        FailureKind::LockDelayed
    } else if said.ends_with("lock is already held") {
        FailureKind::Held
    } else if [
        "failed index check",
        "failed to check index",
        "failed session check",
        "failed to check session",
        "failed to unlock key",
        "failed to set key",
        "failed to delete key",
    ]
    .iter()
    .any(|start| said.starts_with(start))
        || said.ends_with(" exists")
        || said.ends_with(" doesn't exist")
    {
        FailureKind::Changed
    } else {
        FailureKind::Refused
    }
}

/// No usable answer, and why.
pub(super) fn unavailable(doing: &str, why: &str) -> Failure {
    failure(FailureKind::Unavailable, &format!("cannot {doing}: {why}"))
}

/// The ACL stands in the way, although no status says so.
pub(super) fn denied(request: &Request, why: &str) -> Failure {
    let (doing, right) = (&request.doing, request.right());
    let message = format!("cannot {doing}: {why}; the token needs {right}");
    failure(FailureKind::Denied, &message)
}

/// Whatever words of others are in the message, it is one line of bounded length.
fn failure(kind: FailureKind, message: &str) -> Failure {
    Failure {
        kind,
        message: cut(&printable(message), MAX_MESSAGE),
    }
}

/// Says what went wrong on the way, as far as the chain of causes tells, and what to do about it.
/// What a server refuses depends on what this host has shown of itself.
pub(super) fn explain(error: &(dyn Error + 'static), shown: Shown) -> String {
    let mut innermost = error;
    loop {
        if let Some(error) = innermost.downcast_ref::<rustls::Error>() {
            return tls::explain(error, shown);
        }
        // An `io::Error` hides what it wraps from `source`.
        let wrapped = innermost
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref);
        let next = match wrapped {
            Some(wrapped) => Some(wrapped as &(dyn Error + 'static)),
            None => innermost.source(),
        };
        match next {
            Some(cause) => innermost = cause,
            None => {
                let said = shorten(innermost.to_string().as_bytes());
                let advice = innermost.downcast_ref().and_then(about_socket);
                return match advice {
                    Some(advice) => format!("{said}; {advice}"),
                    None => said,
                };
            }
        }
    }
}

/// Connecting to an address has other errors than these two of `connect(2)`.
fn about_socket(error: &io::Error) -> Option<&'static str> {
    if error.kind() == io::ErrorKind::NotFound {
        Some("no socket is there: start consul, or write the path of its unix socket")
    } else if error.raw_os_error() == Some(nix::libc::EACCES) {
        Some("this user may not write to the socket: set unix_sockets in the agent's configuration")
    } else {
        None
    }
}

/// Returns a foreign text as one short line.
pub(super) fn shorten(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(&text[..text.len().min(4 * SHOWN)]);
    let printable = printable(&text);
    let words: Vec<&str> = printable.split_whitespace().collect();
    cut(&words.join(" "), SHOWN)
}

fn printable(text: &str) -> String {
    let shown = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(shown).collect()
}

fn cut(line: &str, most: usize) -> String {
    match line.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests;
