//! One process for each group on a host.
//!
//! Two would take the address off each other for ever. The kernel gives the lock up when its process
//! ends, however it ends; a frozen one keeps it.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use thiserror::Error;

use super::RuntimeDirectory;

/// The right to be the only process of a group, given back when dropped.
#[derive(Debug)]
pub struct GroupLock {
    _file: Flock<File>,
}

/// Why there is no lock.
#[derive(Debug, Error)]
pub enum Error {
    /// Another process has it.
    #[error(
        "another vip-elector{} already runs for trigger key '{group}' on this host; stop that one first",
        process.as_ref().map(|pid| format!(" (process {pid})")).unwrap_or_default()
    )]
    Taken {
        /// The group's trigger key.
        group: String,
        /// The other process, if it has said so.
        process: Option<u32>,
    },
    /// The file cannot be made or locked.
    #[error("locking {path}")]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
}

impl GroupLock {
    /// Takes the lock of a group, without waiting.
    ///
    /// # Errors
    ///
    /// [`Error::Taken`] while another process has it; [`Error::Unusable`] where there is no such file
    /// to be had.
    pub fn take(directory: &RuntimeDirectory, group: &str) -> Result<Self, Error> {
        let path = directory.lock_file(group);
        let opened = directory.make().and_then(|()| {
            fs::OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .custom_flags(nix::libc::O_NONBLOCK | nix::libc::O_NOFOLLOW)
                .open(&path)
        });
        let unusable = |source| Error::Unusable {
            path: path.clone(),
            source,
        };
        let file = opened.map_err(unusable)?;
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(mut file) => {
                // Only for the message of the next one: a full disk is no reason not to run.
                let _ = file.set_len(0);
                let _ = file.write_all(std::process::id().to_string().as_bytes());
                Ok(Self { _file: file })
            }
            Err((file, Errno::EWOULDBLOCK)) => {
                let mut text = String::new();
                let _ = file.take(20).read_to_string(&mut text);
                Err(Error::Taken {
                    group: group.to_owned(),
                    process: text.trim().parse().ok(),
                })
            }
            Err((_, errno)) => Err(unusable(errno.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_refused_until_the_first_is_gone() {
        let directory = tempfile::tempdir().unwrap();
        let directory = RuntimeDirectory::of(directory.path().to_str());
        let first = GroupLock::take(&directory, "service/vip").unwrap();
        GroupLock::take(&directory, "another").unwrap();
        let refused = GroupLock::take(&directory, "service/vip").unwrap_err();
        let pid = std::process::id();
        assert_eq!(
            refused.to_string(),
            format!(
                "another vip-elector (process {pid}) already runs for trigger key 'service/vip' on \
                 this host; stop that one first"
            )
        );
        drop(first);
        GroupLock::take(&directory, "service/vip").unwrap();
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_told_apart() {
        let directory = RuntimeDirectory::of(Some("/proc/nowhere"));
        let refused = GroupLock::take(&directory, "key").unwrap_err();
        assert!(matches!(refused, Error::Unusable { .. }), "{refused}");
    }
}
