//! Applier: entries of systemd's journal, in its native protocol
//! (<https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>).
//!
//! An entry is written in a bounded time, because the election waits meanwhile. One that the journal does
//! not take goes to standard error instead.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sys::stat::fstat;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::fields::Fields;
use super::standard::Standard;

const SOCKET: &str = "/run/systemd/journal/socket";

/// What an entry may take while the journal is well.
const PATIENCE: Duration = Duration::from_millis(50);

/// The longest name of a field that the journal takes.
const MAX_NAME: usize = 64;

/// Returns whether what is written there goes to the journal, as systemd says in `$JOURNAL_STREAM`
/// (systemd.exec(5)).
pub(super) fn is_behind(stream: impl AsFd) -> bool {
    let said = std::env::var("JOURNAL_STREAM").ok();
    let found = fstat(stream.as_fd()).ok();
    said.zip(found)
        .is_some_and(|(said, found)| said == format!("{}:{}", found.st_dev, found.st_ino))
}

/// The way to the journal.
#[derive(Debug)]
pub(super) struct Journald {
    /// None only where this process may have no socket.
    socket: Option<UnixDatagram>,
    /// It did not take the last entry.
    clogged: AtomicBool,
    /// Where entries go that it does not take.
    instead: Standard<io::Stderr>,
}

impl Journald {
    /// Prepares the way. Nothing is sent, and the journal need not be there.
    pub(super) fn open() -> Self {
        let socket = UnixDatagram::unbound().ok();
        let socket = socket.filter(|socket| socket.set_write_timeout(Some(PATIENCE)).is_ok());
        Self {
            socket,
            clogged: AtomicBool::new(false),
            instead: Standard::new(io::stderr(), super::lost_as_text),
        }
    }

    fn send(&self, entry: &[u8]) -> io::Result<()> {
        let Some(socket) = &self.socket else {
            return Err(io::ErrorKind::NotConnected.into());
        };
        // A journal that stands still is waited for once, and not for each entry.
        socket.set_nonblocking(self.clogged.load(Ordering::Relaxed))?;
        let sent = socket.send_to(entry, SOCKET);
        self.clogged.store(sent.is_err(), Ordering::Relaxed);
        sent.map(drop)
    }
}

impl<S: Subscriber> Layer<S> for Journald {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let fields = Fields::of(event);
        let level = *event.metadata().level();
        if self.send(&entry(level, &fields)).is_err() {
            let line = format!("{level} {}\n", fields.line());
            let _ = (&self.instead).write_all(line.as_bytes());
        }
    }
}

fn entry(level: Level, fields: &Fields) -> Vec<u8> {
    let mut entry = Vec::with_capacity(512);
    add(&mut entry, "MESSAGE", &fields.line());
    add(&mut entry, "PRIORITY", priority(level));
    add(&mut entry, "SYSLOG_IDENTIFIER", "vip-elector");
    for (name, value) in fields.named() {
        add(&mut entry, &own(name), value);
    }
    entry
}

/// One field; its length goes with it, so that the value may hold any byte.
fn add(entry: &mut Vec<u8>, name: &str, value: &str) {
    entry.extend_from_slice(name.as_bytes());
    entry.push(b'\n');
    entry.extend_from_slice(&(value.len() as u64).to_le_bytes());
    entry.extend_from_slice(value.as_bytes());
    entry.push(b'\n');
}

/// The levels of syslog(3).
fn priority(level: Level) -> &'static str {
    match level {
        Level::ERROR => "3",
        Level::WARN => "4",
        Level::INFO => "6",
        Level::DEBUG | Level::TRACE => "7",
    }
}

/// A name of our own for a field: the journal takes capital letters, digits and underscores.
fn own(name: &str) -> String {
    let letters = name.chars().map(|letter| match letter {
        'a'..='z' | 'A'..='Z' | '0'..='9' => letter.to_ascii_uppercase(),
        _ => '_',
    });
    "VIP_ELECTOR_"
        .chars()
        .chain(letters)
        .take(MAX_NAME)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_has_its_length_in_front() {
        let mut entry = Vec::new();
        add(&mut entry, "MESSAGE", "two\nlines");
        assert_eq!(entry, b"MESSAGE\n\x09\0\0\0\0\0\0\0two\nlines\n");
    }

    #[test]
    fn fields_have_names_that_the_journal_takes() {
        for (name, taken) in [
            ("group", "VIP_ELECTOR_GROUP"),
            ("lease_ms", "VIP_ELECTOR_LEASE_MS"),
            ("log.target", "VIP_ELECTOR_LOG_TARGET"),
        ] {
            assert_eq!(own(name), taken);
        }
        assert_eq!(own(&"x".repeat(100)).len(), MAX_NAME);
    }
}
