//! What Consul says.

use crate::election::call::{Entry, Failure, FailureKind, KeyRead, LOCK_FLAG, SessionId};

pub(super) fn failure(kind: FailureKind) -> Failure {
    Failure {
        kind,
        message: format!("{kind:?}"),
    }
}

pub(super) fn key(index: u64, session: Option<&str>, value: &str, flags: u64) -> KeyRead {
    let value = (!value.is_empty()).then(|| value.as_bytes().to_vec());
    let session = session.map(SessionId::new);
    KeyRead {
        index,
        entry: Some(Entry {
            value,
            flags,
            session,
            modify_index: index,
        }),
    }
}

pub(super) fn missing(index: u64) -> KeyRead {
    KeyRead { index, entry: None }
}

pub(super) fn released(index: u64) -> KeyRead {
    key(index, None, "", LOCK_FLAG)
}

pub(super) fn abandoned(index: u64) -> KeyRead {
    key(index, None, "web2", LOCK_FLAG)
}

pub(super) fn held(index: u64, by: &str) -> KeyRead {
    key(
        index,
        Some(by),
        if by == "ours" { "web1" } else { "web2" },
        LOCK_FLAG,
    )
}
