//! Datagrams of other hosts: bytes that nobody has signed, and the same bytes signed by somebody who
//! knows the secret.

use std::time::Duration;

use ring::hmac;
use vip_elector::election::call::SessionId;
use vip_elector::election::candidate::Secret;
use vip_elector::election::peer::{Datagram, Message};
use vip_elector::peers::wire::{Key, LENGTH, Sealed};

const SECRET: Secret = Secret([7; 32]);
const SIGNED: usize = LENGTH - 32;
const UUID: &str = "00000000-0000-0000-0000-000000000000";

pub(crate) fn take(input: &[u8]) {
    let key = Key::new(&SECRET);
    unsigned(&key, input);
    signed(&key, input);
}

/// The chance that an input has a valid signature is none.
fn unsigned(key: &Key, input: &[u8]) {
    if let Some(sealed) = Sealed::parse(input) {
        assert_eq!(input.len(), LENGTH);
        if let Some(datagram) = sealed.open(key) {
            assert_eq!(
                key.seal(&datagram).as_ref().map(|bytes| &bytes[..]),
                Some(input)
            );
        }
    }
}

/// Takes kind and body from the input, and signs them.
fn signed(key: &Key, input: &[u8]) {
    let mut bytes = envelope(key);
    let kind = input.first().copied().unwrap_or_default();
    bytes[5] = kind;
    for (to, from) in bytes[22..SIGNED].iter_mut().zip(input.iter().skip(1)) {
        *to = *from;
    }
    let hmac = hmac::Key::new(hmac::HMAC_SHA256, &SECRET.0);
    let signature = hmac::sign(&hmac, &bytes[..SIGNED]);
    bytes[SIGNED..].copy_from_slice(signature.as_ref());

    let read = Sealed::parse(&bytes).and_then(|sealed| {
        assert_eq!(sealed.to(), key.id());
        sealed.open(key)
    });
    assert_eq!(read.is_some(), (1..=4).contains(&kind), "kind {kind}");
    let Some(datagram) = read else { return };
    // What was read can be written, and is read the same.
    let again = key.seal(&datagram).expect("its sessions are UUIDs");
    let read = Sealed::parse(&again).and_then(|sealed| sealed.open(key));
    assert_eq!(read, Some(datagram));
    // To anybody else it is nothing.
    let other = Key::new(&Secret([8; 32]));
    assert!(Sealed::parse(&bytes).is_some_and(|sealed| sealed.open(&other).is_none()));
}

/// A datagram whose magic, version and secret's id are right.
fn envelope(key: &Key) -> [u8; LENGTH] {
    key.seal(&Datagram {
        from: SessionId::new(UUID),
        leader: SessionId::new(UUID),
        sequence: 0,
        message: Message::Heartbeat {
            patience: Duration::ZERO,
        },
    })
    .expect("its sessions are UUIDs")
}
