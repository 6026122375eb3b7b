//! Pure: what stands below the trigger key, and how it is written there.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use vip_elector::election::call::SessionId;
use vip_elector::election::candidate::{Candidate, Contact, GroupRead, Request as Wish, Secret};

use crate::store::Listing;

/// Below the trigger key.
const CANDIDATES: &str = "candidates/";

/// Below the trigger key.
const DRAIN: &str = "drain/";

/// Below the trigger key.
const SWITCHOVER: &str = "switchover";

const PORT: u16 = 8547;

/// What everything below a trigger key begins with.
pub fn prefix(key: &str) -> String {
    format!("{key}/")
}

/// Where a host is entered as a candidate.
pub fn entry(key: &str, value: &str) -> String {
    format!("{key}/{CANDIDATES}{value}")
}

/// Where an operator asks for another leader.
pub fn switchover(key: &str) -> String {
    format!("{key}/{SWITCHOVER}")
}

/// Where an operator says that a host shall not lead.
pub fn drain(key: &str, value: &str) -> String {
    format!("{key}/{DRAIN}{value}")
}

/// What a candidate writes into its entry.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    /// Higher is better.
    pub priority: i32,
    /// Of its session.
    pub lock_delay: Duration,
    /// Whether it hears heartbeats.
    pub listens: bool,
    /// Where it runs.
    pub host: usize,
    /// Which process of that host it is.
    pub process: u64,
}

impl Standing {
    /// Returns the entry's value.
    pub fn written(&self) -> Vec<u8> {
        let (delay, listens) = (self.lock_delay.as_millis(), u8::from(self.listens));
        let Self {
            priority,
            host,
            process,
            ..
        } = self;
        format!("{priority} {delay} {listens} {host} {process}").into_bytes()
    }
}

/// What is read below a trigger key, as the client makes it out: entries that nobody holds, or that cannot be
/// read, are none.
pub fn read(trigger_key: &str, listing: &Listing) -> GroupRead {
    let mut read = GroupRead {
        index: listing.index,
        candidates: Vec::new(),
        request: None,
        drained: Vec::new(),
    };
    for (key, entry) in &listing.entries {
        let text = entry.value.as_deref().unwrap_or_default();
        let Ok(text) = std::str::from_utf8(text) else {
            continue;
        };
        let name = key
            .strip_prefix(trigger_key)
            .and_then(|name| name.strip_prefix('/'))
            .unwrap_or_default();
        if name == SWITCHOVER {
            read.request = Some(Wish {
                index: entry.modify_index,
                to: (!text.is_empty()).then(|| text.to_owned()),
            });
        } else if let Some(value) = name.strip_prefix(DRAIN) {
            read.drained.push(value.to_owned());
        } else if let Some(value) = name.strip_prefix(CANDIDATES)
            && let Some(session) = &entry.session
        {
            read.candidates.extend(candidate(value, session, text));
        }
    }
    read
}

/// The host and the process that a contact belongs to.
pub fn addressee(contact: &Contact) -> (usize, u64) {
    let host = match contact.address.ip() {
        IpAddr::V4(address) => usize::from(address.octets()[3]),
        IpAddr::V6(_) => usize::MAX,
    };
    let Secret(secret) = contact.secret;
    let mut process = [0; 8];
    process.copy_from_slice(&secret[..8]);
    (host, u64::from_le_bytes(process))
}

fn candidate(value: &str, session: &SessionId, text: &str) -> Option<Candidate> {
    let mut words = text.split(' ');
    let priority = words.next()?.parse().ok()?;
    let lock_delay = Duration::from_millis(words.next()?.parse().ok()?);
    let listens = words.next()? == "1";
    let host = words.next()?.parse().ok()?;
    let process = words.next()?.parse().ok()?;
    Some(Candidate {
        value: value.to_owned(),
        session: session.clone(),
        priority,
        lock_delay,
        contact: listens.then(|| contact(host, process)),
    })
}

/// A process listens at its host's address, and its number makes its secret.
fn contact(host: u8, process: u64) -> Contact {
    let mut secret = [0; 32];
    secret[..8].copy_from_slice(&process.to_le_bytes());
    Contact {
        address: SocketAddr::from((Ipv4Addr::new(10, 0, 0, host), PORT)),
        secret: Secret(secret),
    }
}

#[cfg(test)]
mod tests {
    use vip_elector::election::call::{Entry, LOCK_FLAG};

    use super::*;

    fn entry(value: &str, session: Option<&str>) -> Entry {
        Entry {
            value: Some(value.as_bytes().to_vec()),
            flags: LOCK_FLAG,
            session: session.map(SessionId::new),
            modify_index: 7,
        }
    }

    #[test]
    fn only_what_is_held_and_can_be_read_is_a_candidate() {
        let below = |name: &str| format!("key/{name}");
        let listing = Listing {
            index: 9,
            entries: vec![
                (below("candidates/a"), entry("3 2500 1 1 42", Some("s"))),
                (below("candidates/b"), entry("3 2500 1 1 42", None)),
                (below("candidates/c"), entry("garbage", Some("t"))),
                (below("switchover"), entry("a", None)),
            ],
        };
        let group = read("key", &listing);
        let [candidate] = group.candidates.as_slice() else {
            panic!("{:?}", group.candidates)
        };
        assert_eq!((candidate.value.as_str(), candidate.priority), ("a", 3));
        assert_eq!(candidate.lock_delay, Duration::from_millis(2500));
        assert_eq!(addressee(&candidate.contact.unwrap()), (1, 42));
        let wish = group.request.unwrap();
        assert_eq!((wish.index, wish.to.as_deref()), (7, Some("a")));
    }
}
