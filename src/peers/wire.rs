//! Pure: datagrams as they travel. All are of one length, and signed for one receiver.
//!
//! ```text
//!  0  magic "vipe"             54  sequence
//!  4  version                  62  the question's sequence, the group, or 0
//!  5  kind                     70  milliseconds, rounded up, or 0
//!  6  id of the secret         74  HMAC-SHA256 of all before (RFC 2104)
//! 22  sender's session        106  end
//! 38  leader's session
//! ```
//!
//! Numbers are in network byte order. What is not for this receiver is refused in the order of what
//! it costs: length, magic, version and kind by [`Sealed::parse`], the secret's id by whoever looks
//! for the [`Key`], and then the signature. Before that is verified nothing is allocated.

mod uuid;

use std::fmt;
use std::time::Duration;

use ring::{digest, hmac};

use crate::election::call::SessionId;
use crate::election::candidate::Secret;
use crate::election::peer::{Datagram, GroupId, Message};

/// The length of every datagram, in bytes.
pub const LENGTH: usize = SIGNED + SIGNATURE;

const MAGIC: [u8; 4] = *b"vipe";
const VERSION: u8 = 1;

const HEARTBEAT: u8 = 1;
const QUESTION: u8 = 2;
const HEARD: u8 = 3;
const GIVEN: u8 = 4;

const ID: usize = 16;
const SIGNED: usize = MAGIC.len() + 2 + ID + 2 * uuid::LENGTH + 8 + 8 + 4;
const SIGNATURE: usize = 32;

/// What the id of a secret is derived from. No datagram begins like this.
const ID_LABEL: &[u8] = b"id of a secret";

/// Names the secret that a datagram is signed with, without telling it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecretId([u8; ID]);

/// Returns what the group with this trigger key is called.
pub fn group_id(trigger_key: &str) -> GroupId {
    let digest = digest::digest(&digest::SHA256, trigger_key.as_bytes());
    let mut id = [0; 8];
    for (to, from) in id.iter_mut().zip(digest.as_ref()) {
        *to = *from;
    }
    GroupId(u64::from_be_bytes(id))
}

/// A receiver's secret, ready to be used.
#[derive(Clone)]
pub struct Key {
    id: SecretId,
    hmac: hmac::Key,
}

impl Key {
    /// Prepares a secret.
    pub fn new(secret: &Secret) -> Self {
        let hmac = hmac::Key::new(hmac::HMAC_SHA256, &secret.0);
        let mut id = [0; ID];
        for (to, from) in id.iter_mut().zip(hmac::sign(&hmac, ID_LABEL).as_ref()) {
            *to = *from;
        }
        Self {
            id: SecretId(id),
            hmac,
        }
    }

    /// Returns the secret's id.
    pub const fn id(&self) -> SecretId {
        self.id
    }

    /// Writes a datagram for the host whose secret this is; `None` where a session is no UUID in
    /// lower case.
    pub fn seal(&self, datagram: &Datagram) -> Option<[u8; LENGTH]> {
        let (kind, number, time) = match datagram.message {
            Message::Heartbeat { patience } => (HEARTBEAT, 0, patience),
            Message::Question => (QUESTION, 0, Duration::ZERO),
            Message::Heard { question, ago } => (HEARD, question, ago),
            Message::Given {
                group: GroupId(group),
            } => (GIVEN, group, Duration::ZERO),
        };
        let mut bytes = [0; LENGTH];
        let mut rest = &mut bytes[..];
        put(&mut rest, &MAGIC);
        put(&mut rest, &[VERSION, kind]);
        put(&mut rest, &self.id.0);
        put(&mut rest, &uuid::parse(datagram.from.as_str())?);
        put(&mut rest, &uuid::parse(datagram.leader.as_str())?);
        put(&mut rest, &datagram.sequence.to_be_bytes());
        put(&mut rest, &number.to_be_bytes());
        put(&mut rest, &milliseconds(time).to_be_bytes());
        let (signed, signature) = bytes.split_at_mut(SIGNED);
        signature.copy_from_slice(hmac::sign(&self.hmac, signed).as_ref());
        Some(bytes)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

/// Bytes that look like a datagram. Who wrote them is not known.
#[derive(Clone, Copy, Debug)]
pub struct Sealed<'a> {
    kind: u8,
    to: SecretId,
    body: &'a [u8; SIGNED],
    signature: &'a [u8; SIGNATURE],
}

impl<'a> Sealed<'a> {
    /// Looks at length, magic, version and kind.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (body, signature) = bytes.split_first_chunk()?;
        let mut rest = &body[..];
        let known = take(&mut rest)? == MAGIC && take(&mut rest)? == [VERSION];
        let [kind] = take(&mut rest)?;
        (known && (HEARTBEAT..=GIVEN).contains(&kind)).then_some(Self {
            kind,
            to: SecretId(take(&mut rest)?),
            body,
            signature: signature.try_into().ok()?,
        })
    }

    /// Returns whose it should be.
    pub const fn to(&self) -> SecretId {
        self.to
    }

    /// Reads it, if it was signed with the secret of this key, as it is.
    pub fn open(&self, key: &Key) -> Option<Datagram> {
        // Takes equally long wherever they differ.
        hmac::verify(&key.hmac, self.body, self.signature).ok()?;
        let mut rest = &self.body[MAGIC.len() + 2 + ID..];
        let mut session = || Some(SessionId::new(uuid::format(take(&mut rest)?)));
        let (from, leader) = (session()?, session()?);
        let sequence = u64::from_be_bytes(take(&mut rest)?);
        let number = u64::from_be_bytes(take(&mut rest)?);
        let time = Duration::from_millis(u32::from_be_bytes(take(&mut rest)?).into());
        let message = match self.kind {
            HEARTBEAT => Message::Heartbeat { patience: time },
            QUESTION => Message::Question,
            HEARD => Message::Heard {
                question: number,
                ago: time,
            },
            GIVEN => Message::Given {
                group: GroupId(number),
            },
            _ => return None,
        };
        Some(Datagram {
            from,
            leader,
            sequence,
            message,
        })
    }
}

/// Rounded up, because a patience must not get shorter; 49 days at most.
fn milliseconds(time: Duration) -> u32 {
    u32::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u32::MAX)
}

fn put<const N: usize>(rest: &mut &mut [u8], bytes: &[u8; N]) {
    if let Some((to, after)) = std::mem::take(rest).split_first_chunk_mut() {
        *to = *bytes;
        *rest = after;
    }
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*taken)
}

#[cfg(test)]
mod tests;
