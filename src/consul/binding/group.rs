//! Pure: what stands below the trigger key, and how it is written.
//!
//! ```text
//! <trigger key>/candidates/<trigger value>   locked by its host's session, JSON
//! <trigger key>/drain/<trigger value>        that host shall not lead, whatever is written there
//! <trigger key>/switchover                   the trigger value that shall lead; empty for the best
//! ```

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::Terms;
use crate::calendar::rfc3339;
use crate::consul::error::shorten;
use crate::consul::kv::PrefixRead;
use crate::consul::name::is_name;
use crate::consul::session::MAX_LOCK_DELAY;
use crate::election::call::{Entry, SessionId};
use crate::election::candidate::{Candidate, Contact, GroupRead, Request, Secret};

/// More hosts than this do not share one address; those that come later by name are left out.
pub(crate) const MAX_CANDIDATES: usize = 64;

/// What a candidate writes is a third of this.
const MAX_ENTRY: usize = 1024;

/// No trigger value is longer, in bytes.
const MAX_VALUE: usize = 256;

/// Returns what all keys below the trigger key begin with.
pub(crate) fn prefix(trigger_key: &str) -> String {
    format!("{trigger_key}/")
}

/// Returns the key of a host's candidate entry.
pub(crate) fn candidate_key(trigger_key: &str, value: &str) -> String {
    format!("{trigger_key}/{CANDIDATES}{value}")
}

/// Returns the key of the switchover request.
pub(crate) fn request_key(trigger_key: &str) -> String {
    format!("{trigger_key}/{SWITCHOVER}")
}

/// Returns the key whose existence drains a host.
pub(crate) fn drain_key(trigger_key: &str, value: &str) -> String {
    format!("{trigger_key}/{DRAIN}{value}")
}

/// Writes our own candidate entry.
pub(super) fn describe(
    terms: &Terms,
    session: &SessionId,
    since: SystemTime,
) -> serde_json::Result<Vec<u8>> {
    serde_json::to_vec(&WireCandidate {
        session: session.as_str(),
        priority: terms.priority,
        lock_delay_ms: terms.lock_delay.as_nanos().div_ceil(1_000_000),
        version: env!("CARGO_PKG_VERSION"),
        since: rfc3339(since),
        peer: terms.contact.map(|contact| contact.address),
        secret: terms.contact.map(|contact| hex(&contact.secret)),
    })
}

/// Reads the group, and says what had to be left out of it, each with why.
pub(crate) fn read(trigger_key: &str, read: PrefixRead) -> (GroupRead, Vec<String>) {
    let mut group = GroupRead {
        index: read.index,
        candidates: Vec::new(),
        request: None,
        drained: Vec::new(),
    };
    let mut ignored = Vec::new();
    for (key, entry) in read.entries {
        let Some(name) = key.strip_prefix(&prefix(trigger_key)) else {
            continue;
        };
        let outcome = if name == SWITCHOVER {
            request(&entry).map(|request| group.request = Some(request))
        } else if let Some(value) = name.strip_prefix(CANDIDATES) {
            match entry.session.clone() {
                // Its session is gone, or it never had one: nobody stands there.
                None => Ok(()),
                Some(_) if group.candidates.len() == MAX_CANDIDATES => {
                    Err(format!("there are {MAX_CANDIDATES} others"))
                }
                Some(session) => candidate(value, session, &entry)
                    .map(|candidate| group.candidates.push(candidate)),
            }
        } else if let Some(value) = name.strip_prefix(DRAIN) {
            trigger_value(value).map(|value| group.drained.push(value.to_owned()))
        } else {
            Ok(())
        };
        if let Err(why) = outcome {
            ignored.push(format!("'{}': {why}", shorten(key.as_bytes())));
        }
    }
    (group, ignored)
}

/// Tells whether a host may call itself so.
pub(crate) fn is_trigger_value(text: &str) -> bool {
    !text.contains('/') && is_name(text, MAX_VALUE)
}

const CANDIDATES: &str = "candidates/";
const DRAIN: &str = "drain/";
const SWITCHOVER: &str = "switchover";

fn candidate(value: &str, session: SessionId, entry: &Entry) -> Result<Candidate, String> {
    let value = trigger_value(value)?;
    let text = entry.value.as_deref().unwrap_or_default();
    if text.len() > MAX_ENTRY {
        return Err(format!("longer than {MAX_ENTRY} bytes"));
    }
    let wire: WireCandidateRead =
        serde_json::from_slice(text).map_err(|error| shorten(error.to_string().as_bytes()))?;
    let contact = match (wire.peer, wire.secret) {
        (None, None) => None,
        (Some(address), Some(secret)) => Some(Contact {
            address,
            secret: unhex(&secret).ok_or("the secret is not 64 hexadecimal digits")?,
        }),
        (Some(_), None) | (None, Some(_)) => {
            return Err("peer and secret go together".to_owned());
        }
    };
    Ok(Candidate {
        value: value.to_owned(),
        session,
        priority: wire.priority,
        lock_delay: Duration::from_millis(wire.lock_delay_ms).min(MAX_LOCK_DELAY),
        contact,
    })
}

fn trigger_value(text: &str) -> Result<&str, String> {
    if is_trigger_value(text) {
        Ok(text)
    } else {
        Err("no trigger value".to_owned())
    }
}

fn request(entry: &Entry) -> Result<Request, String> {
    let text = entry.value.as_deref().unwrap_or_default();
    if text.len() > MAX_VALUE {
        return Err(format!("longer than {MAX_VALUE} bytes"));
    }
    let to = std::str::from_utf8(text)
        .map_err(|error| error.to_string())?
        .trim();
    if !to.is_empty() && !is_name(to, MAX_VALUE) {
        return Err("no trigger value".to_owned());
    }
    Ok(Request {
        index: entry.modify_index,
        to: (!to.is_empty()).then(|| to.to_owned()),
    })
}

#[derive(Serialize)]
struct WireCandidate<'a> {
    session: &'a str,
    priority: i32,
    lock_delay_ms: u128,
    version: &'static str,
    since: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<SocketAddr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

/// Whose session it is, Consul says better; version and time are for people.
#[derive(Deserialize)]
struct WireCandidateRead {
    priority: i32,
    lock_delay_ms: u64,
    peer: Option<SocketAddr>,
    secret: Option<String>,
}

fn hex(secret: &Secret) -> String {
    secret.0.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Secret> {
    let mut secret = [0; 32];
    if text.len() != 2 * secret.len() {
        return None;
    }
    for (byte, digits) in secret.iter_mut().zip(text.as_bytes().chunks(2)) {
        for digit in digits {
            *byte = *byte * 16 + u8::try_from(char::from(*digit).to_digit(16)?).ok()?;
        }
    }
    Some(Secret(secret))
}

#[cfg(test)]
mod tests;
