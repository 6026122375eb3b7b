use proptest::prelude::*;

use super::*;

const FROM: &str = "01234567-89ab-cdef-0123-456789abcdef";
const LEADER: &str = "fedcba98-7654-3210-fedc-ba9876543210";

const OURS: Secret = Secret([7; 32]);

fn heartbeat() -> Datagram {
    Datagram {
        from: SessionId::new(FROM),
        leader: SessionId::new(LEADER),
        sequence: 0x0102_0304_0506_0708,
        message: Message::Heartbeat {
            patience: Duration::from_millis(1500),
        },
    }
}

fn sealed() -> [u8; LENGTH] {
    Key::new(&OURS).seal(&heartbeat()).unwrap()
}

/// What a receiver with this secret reads.
fn read(bytes: &[u8], secret: &Secret) -> Option<Datagram> {
    let key = Key::new(secret);
    let sealed = Sealed::parse(bytes)?;
    (sealed.to() == key.id())
        .then(|| sealed.open(&key))
        .flatten()
}

/// Signs again after a change that only the sender can make.
fn signed(mut bytes: [u8; LENGTH]) -> [u8; LENGTH] {
    let hmac = hmac::Key::new(hmac::HMAC_SHA256, &OURS.0);
    let tag = hmac::sign(&hmac, &bytes[..SIGNED]);
    bytes[SIGNED..].copy_from_slice(tag.as_ref());
    bytes
}

#[test]
fn the_layout_is_as_documented() {
    let bytes = sealed();
    assert_eq!(LENGTH, 106);
    assert_eq!(bytes[..6], *b"vipe\x01\x01");
    assert_eq!(bytes[6..22], Key::new(&OURS).id().0);
    assert_eq!(bytes[22..26], [0x01, 0x23, 0x45, 0x67]);
    assert_eq!(bytes[38..42], [0xfe, 0xdc, 0xba, 0x98]);
    assert_eq!(bytes[54..62], [1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(bytes[62..70], [0; 8]);
    assert_eq!(bytes[70..74], 1500_u32.to_be_bytes());
    assert_eq!(read(&bytes, &OURS), Some(heartbeat()));
}

/// The id and the signature of one datagram, as another implementation of HMAC-SHA256 makes them.
#[test]
fn the_signature_is_hmac_sha256() {
    let bytes = sealed();
    assert_eq!(hex(&bytes[6..22]), ID_BY_ANOTHER);
    assert_eq!(hex(&bytes[SIGNED..]), SIGNATURE_BY_ANOTHER);
}

const ID_BY_ANOTHER: &str = "1943c6feddab38c37796a03379bbc17f";
const SIGNATURE_BY_ANOTHER: &str =
    "6be0cd04d470d1b4683bd6eec4822dc87b3ec88adbe994723c5fe2f907d72957";

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn every_changed_bit_is_refused() {
    for place in 0..8 * LENGTH {
        let mut bytes = sealed();
        bytes[place / 8] ^= 1 << (place % 8);
        assert_eq!(read(&bytes, &OURS), None, "bit {place}");
    }
}

/// What stands before the signature is refused without it, too.
#[test]
fn what_is_no_datagram_is_not_looked_at_any_further() {
    let bytes = sealed();
    assert!(Sealed::parse(&bytes).is_some());
    let changed = |place: usize, value: u8| {
        let mut bytes = bytes;
        bytes[place] = value;
        signed(bytes)
    };
    for (what, changed) in [
        ("magic", changed(0, b'V')),
        ("version 0", changed(4, 0)),
        ("version 2", changed(4, 2)),
        ("kind 0", changed(5, 0)),
        ("kind 5", changed(5, 5)),
    ] {
        assert!(Sealed::parse(&changed).is_none(), "{what}");
    }
}

#[test]
fn every_other_length_is_refused() {
    let long: Vec<u8> = sealed().into_iter().chain([0; 2000]).collect();
    for length in (0..LENGTH)
        .chain(LENGTH + 1..LENGTH + 64)
        .chain([1500, 2000])
    {
        assert!(Sealed::parse(&long[..length]).is_none(), "{length} bytes");
    }
}

#[test]
fn another_secret_reads_nothing() {
    let mut other = OURS;
    other.0[31] ^= 1;
    let bytes = sealed();
    assert_eq!(read(&bytes, &other), None);
    // Nor if the id were right.
    assert_eq!(Sealed::parse(&bytes).unwrap().open(&Key::new(&other)), None);
}

#[test]
fn only_the_text_of_a_uuid_as_consul_writes_it_can_be_sent() {
    for session in [
        "",
        "a name",
        "01234567-89AB-cdef-0123-456789abcdef",
        "0123456789abcdef0123456789abcdef",
        "01234567-89ab-cdef-0123-456789abcde",
        "01234567-89ab-cdef-0123-456789abcdef0",
        "01234567-89ab-cdef-0123-456789abcdeg",
        "01234567089ab-cdef-0123-456789abcdef",
        "{1234567-89ab-cdef-0123-456789abcdef",
        "01234567-89ab-cdef-0123-456789abcdéf",
    ] {
        for from in [true, false] {
            let mut datagram = heartbeat();
            let wrong = SessionId::new(session);
            if from {
                datagram.from = wrong;
            } else {
                datagram.leader = wrong;
            }
            assert_eq!(Key::new(&OURS).seal(&datagram), None, "{session:?}");
        }
    }
}

#[test]
fn times_are_rounded_up() {
    for (time, expected) in [
        (Duration::ZERO, 0),
        (Duration::from_nanos(1), 1),
        (Duration::from_millis(100), 100),
        (Duration::from_micros(100_001), 101),
        (Duration::MAX, u32::MAX),
    ] {
        assert_eq!(milliseconds(time), expected, "{time:?}");
    }
}

#[test]
fn a_key_does_not_show_its_secret() {
    let shown = format!("{:?}", Key::new(&OURS));
    assert!(shown.starts_with("Key { id: SecretId(["), "{shown}");
    assert!(shown.ends_with("]), .. }"), "{shown}");
}

fn any_session() -> impl Strategy<Value = SessionId> {
    any::<[u8; 16]>().prop_map(|bytes| SessionId::new(uuid::format(bytes)))
}

fn any_message() -> impl Strategy<Value = Message> {
    let time = || any::<u32>().prop_map(|ms| Duration::from_millis(ms.into()));
    prop_oneof![
        time().prop_map(|patience| Message::Heartbeat { patience }),
        Just(Message::Question),
        (any::<u64>(), time()).prop_map(|(question, ago)| Message::Heard { question, ago }),
        any::<u64>().prop_map(|group| Message::Given {
            group: GroupId(group)
        }),
    ]
}

proptest! {
    #[test]
    fn what_is_sent_is_heard(
        from in any_session(),
        leader in any_session(),
        sequence in any::<u64>(),
        message in any_message(),
        secret in any::<[u8; 32]>().prop_map(Secret),
    ) {
        let datagram = Datagram { from, leader, sequence, message };
        let bytes = Key::new(&secret).seal(&datagram).unwrap();
        prop_assert_eq!(read(&bytes, &secret), Some(datagram));
    }

    #[test]
    fn noise_is_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert_eq!(read(&bytes, &OURS), None);
    }

    #[test]
    fn noise_in_the_right_shape_is_refused(noise in any::<[u8; 32]>(), body in any::<[u8; 32]>()) {
        let mut bytes = sealed();
        bytes[22..54].copy_from_slice(&body);
        bytes[SIGNED..].copy_from_slice(&noise);
        prop_assert_eq!(read(&bytes, &OURS), None);
    }
}
