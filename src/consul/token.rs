//! Driver: keeps a client's token as the token file has it.
//!
//! The file is looked at once a second, and at once when Consul has denied something. While it cannot be
//! used, the token that was read before stays.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;
use thiserror::Error;
use tokio::sync::{Notify, watch};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tracing::{info, warn};

use crate::consul::client::Client;
use crate::logging::Chain;

const PACE: Duration = Duration::from_secs(1);

/// The least time between two looks that denials ask for, and the most that somebody waits for one.
const HASTE: Duration = Duration::from_millis(100);

/// Whoever writes a file in place empties it first, and may be seen at that.
const LOOKS_BEFORE_A_WARNING: u32 = 2;

/// Consul's tokens have 36 bytes.
const MOST: u64 = 16 * 1024;

/// Why a file gives no token, as it continues the file's name.
#[derive(Debug, Error)]
pub enum TokenFileError {
    /// Not there, or not for us.
    #[error("cannot be read; it must exist and be readable by this user")]
    Unreadable(#[source] io::Error),
    /// Not UTF-8.
    #[error("is not UTF-8 text")]
    NotText,
    /// Nothing but space.
    #[error("is empty; write the token into it")]
    Empty,
    /// More than one line, or other than printable ASCII.
    #[error("cannot be sent in an HTTP header; write one line of printable ASCII")]
    NotAHeader,
}

/// Takes the token, or another secret for a header, out of what a file holds: one line, with any space
/// around it.
///
/// # Errors
/// When it holds none.
pub fn parse(bytes: &[u8]) -> Result<SecretString, TokenFileError> {
    let text = std::str::from_utf8(bytes).map_err(|_| TokenFileError::NotText)?;
    match text.trim() {
        "" => Err(TokenFileError::Empty),
        token if fits_a_header(token) => Ok(SecretString::from(token)),
        _ => Err(TokenFileError::NotAHeader),
    }
}

/// Whether a secret can be sent in a header.
pub(crate) fn fits_a_header(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte == b' ' || byte.is_ascii_graphic())
}

/// Runs for ever, also while the token comes from no file: that may change. Aborted at any point it loses
/// nothing.
pub async fn follow(client: Client) {
    let mut looks = interval(PACE);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut seen = Seen::default();
    loop {
        let denied = tokio::select! {
            () = client.looks().wanted.notified() => true,
            _ = looks.tick() => false,
        };
        if let Some(file) = client.token_file() {
            seen.look(file, denied, &client).await;
        }
        client.looks().done.send_replace(());
        if denied {
            sleep(HASTE).await;
        }
    }
}

/// How somebody who was denied asks for a look at the file.
#[derive(Default)]
pub(super) struct Looks {
    wanted: Notify,
    done: watch::Sender<()>,
}

impl Looks {
    /// Returns after a look, or when that takes longer than anybody should wait.
    pub(super) async fn ask(&self, patience: Duration) {
        let mut done = self.done.subscribe();
        self.wanted.notify_one();
        let _ = timeout(patience.min(2 * HASTE), done.changed()).await;
    }
}

/// What was seen of the file.
#[derive(Default)]
struct Seen {
    file: PathBuf,
    stamp: Option<Stamp>,
    trouble: Option<(String, u32)>,
}

impl Seen {
    /// A disk may be slow, and a lease does not wait: another thread reads.
    async fn look(&mut self, file: PathBuf, denied: bool, client: &Client) {
        if self.file != file {
            *self = Self::default();
            self.file.clone_from(&file);
        }
        // A clock's tick may hide a change from the stamp.
        let known = self.stamp.clone().filter(|_| !denied);
        let reading = tokio::task::spawn_blocking(move || read(&file, known));
        // It cannot panic, and nobody aborts it.
        let Ok(read) = reading.await else { return };
        match read {
            Ok(None) => {}
            Ok(Some((stamp, token))) => {
                (self.stamp, self.trouble) = (Some(stamp), None);
                match client.replace_token(&self.file, &token) {
                    Ok(true) => {
                        info!(file = %self.file.display(), "another consul token is in use")
                    }
                    Ok(false) => {}
                    Err(error) => self.complain(&Chain(&error).to_string()),
                }
            }
            Err(error) => {
                self.stamp = None;
                self.complain(&Chain(&error).to_string());
            }
        }
    }

    fn complain(&mut self, error: &str) {
        let times = match &self.trouble {
            Some((before, times)) if before == error => times.saturating_add(1),
            Some(_) | None => 1,
        };
        self.trouble = Some((error.to_owned(), times));
        if times == LOOKS_BEFORE_A_WARNING {
            let file = self.file.display();
            warn!(%file, "going on with the consul token that was read before: the file {error}");
        }
    }
}

/// What is different where a file is another one, or was written to.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stamp {
    file: (u64, u64),
    size: u64,
    written: (i64, i64),
    changed: (i64, i64),
}

/// Reads the token, unless the file is `known`.
fn read(
    path: &Path,
    known: Option<Stamp>,
) -> Result<Option<(Stamp, SecretString)>, TokenFileError> {
    let file = File::open(path).map_err(TokenFileError::Unreadable)?;
    // Before the content: what is written meanwhile is seen at the next look.
    let about = file.metadata().map_err(TokenFileError::Unreadable)?;
    let stamp = Stamp {
        file: (about.dev(), about.ino()),
        size: about.size(),
        written: (about.mtime(), about.mtime_nsec()),
        changed: (about.ctime(), about.ctime_nsec()),
    };
    if known.as_ref() == Some(&stamp) {
        return Ok(None);
    }
    let mut bytes = Zeroizing::new(Vec::new());
    file.take(MOST)
        .read_to_end(&mut bytes)
        .map_err(TokenFileError::Unreadable)?;
    Ok(Some((stamp, parse(&bytes)?)))
}

#[cfg(test)]
mod tests;
