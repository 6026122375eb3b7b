//! The runtime directory: what a process leaves for the next one on this host, and the lock that
//! keeps a second one away.
//!
//! `$RUNTIME_DIRECTORY` as systemd sets it, else `/run/vip-elector`. Nothing in it is needed: where it
//! cannot be written, a restart costs more time, and nothing else.

pub mod address;
pub mod lock;
pub mod session;

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// The bytes of a key that make a file's name, three letters each at the most.
const MAX_NAME: usize = 70;

/// The bytes of a Unix socket's path: `sun_path` in unix(7), and a NUL at its end.
const MAX_SOCKET: usize = 107;

/// Where systemd makes the runtime directories of services.
const RUN: &str = "/run";

/// What the runtime directories of this program's units are called, or begin with.
const NAME: &str = "vip-elector";

/// No host has more instances of the template.
const MAX_INSTANCES: usize = 256;

/// More than any record of ours has.
const MAX_RECORD: u64 = 64 * 1024;

/// The runtime directory.
#[derive(Clone, Debug)]
pub struct RuntimeDirectory {
    // Shared: each group has files there.
    path: Arc<Path>,
}

impl RuntimeDirectory {
    /// Takes the first of `$RUNTIME_DIRECTORY`, or the default where that says nothing. Touches
    /// nothing.
    pub fn of(variable: Option<&str>) -> Self {
        named(variable)
            .unwrap_or_else(|| Path::new(RUN).join(NAME))
            .into()
    }

    /// Finds those that a daemon on this host may have: the first of `$RUNTIME_DIRECTORY`, or else the default and those of
    /// the template's instances.
    pub fn all(variable: Option<&str>) -> Vec<Self> {
        match named(variable) {
            Some(path) => vec![path.into()],
            None => Self::below(Path::new(RUN)),
        }
    }

    fn below(run: &Path) -> Vec<Self> {
        let instance = format!("{NAME}@");
        let entries = fs::read_dir(run).into_iter().flatten().flatten();
        let mut instances: Vec<PathBuf> = entries
            .filter(|entry| entry.file_name().to_string_lossy().starts_with(&instance))
            .take(MAX_INSTANCES)
            .map(|entry| entry.path())
            .collect();
        instances.sort();
        let paths = std::iter::once(run.join(NAME)).chain(instances);
        paths.map(Self::from).collect()
    }

    /// Returns where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the file that the process of a group has locked.
    pub fn lock_file(&self, group: &str) -> PathBuf {
        self.file(group, "lock")
    }

    /// Names a file of a group.
    fn file(&self, group: &str, kind: &str) -> PathBuf {
        // A key may hold any character but NUL; a file name may not. Nor may it be as long: what is cut
        // off is told apart by a checksum.
        let tail = group.len().checked_sub(MAX_NAME).map(|_| checksum(group));
        let name: String = group
            .bytes()
            .take(MAX_NAME)
            .map(|byte| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' => {
                    char::from(byte).to_string()
                }
                other => format!("_{other:02x}"),
            })
            .collect();
        let tail = tail.map(|sum| format!("-{sum:016x}")).unwrap_or_default();
        self.path.join(format!("{name}{tail}.{kind}"))
    }

    /// Names the Unix socket at which the process of a group says how it is.
    pub fn socket(&self, group: &str) -> PathBuf {
        let path = self.file(group, "sock");
        if path.as_os_str().len() <= MAX_SOCKET {
            return path;
        }
        self.path.join(format!("{:016x}.sock", checksum(group)))
    }

    /// Makes the directory, where it is missing.
    fn make(&self) -> io::Result<()> {
        // After a service with DynamicUser= has stopped, systemd leaves a link to where its directory was.
        let place = match fs::read_link(&self.path) {
            Ok(target) => self.path.with_file_name(target),
            Err(_) => self.path.to_path_buf(),
        };
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(place)
    }
}

impl From<PathBuf> for RuntimeDirectory {
    fn from(path: PathBuf) -> Self {
        Self { path: path.into() }
    }
}

fn named(variable: Option<&str>) -> Option<PathBuf> {
    variable
        .and_then(|directories| directories.split(':').next())
        .filter(|directory| !directory.is_empty())
        .map(PathBuf::from)
}

/// FNV-1a: the same in every version of this program.
fn checksum(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Reads a record; one that is missing, unreadable or garbage is none.
fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    use io::Read;
    let mut text = Vec::new();
    let file = fs::OpenOptions::new()
        .read(true)
        // Somebody may have put a pipe there.
        .custom_flags(nix::libc::O_NONBLOCK)
        .open(path)
        .ok()?;
    file.take(MAX_RECORD).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

/// Replaces a record, so that a reader sees the old one or the new one and nothing between.
fn write<T: Serialize>(path: &Path, record: &T) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    // Left by a process that died here, or put there by somebody who wants us to write elsewhere.
    remove(&new)?;
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)?;
    let written = serde_json::to_vec(record)
        .map_err(io::Error::from)
        .and_then(|text| file.write_all(&text))
        .and_then(|()| fs::rename(&new, path));
    if written.is_err() {
        let _ = remove(&new);
    }
    written
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Names the boot: nothing that a record speaks of survives one.
fn boot_id() -> io::Result<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    Ok(id.trim().to_owned())
}

/// Names the network namespace: addresses are in one, and containers share a boot.
fn network() -> io::Result<u64> {
    Ok(fs::metadata("/proc/self/ns/net")?.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_by_the_group_in_the_first_directory() {
        let directory = RuntimeDirectory::of(Some("/run/first:/run/second"));
        assert_eq!(
            directory.file("service/pg cluster/leader", "session"),
            Path::new("/run/first/service_2fpg_20cluster_2fleader.session")
        );
        for empty in [None, Some("")] {
            assert_eq!(
                RuntimeDirectory::of(empty).file("key", "lock"),
                Path::new("/run/vip-elector/key.lock")
            );
        }
    }

    #[test]
    fn a_daemon_is_looked_for_in_the_directories_of_all_units() {
        let run = tempfile::tempdir().unwrap();
        for name in [
            "vip-elector@web",
            "vip-elector@a b",
            "vip-elector-lab",
            "consul",
        ] {
            fs::create_dir(run.path().join(name)).unwrap();
        }
        let found = RuntimeDirectory::below(run.path());
        let found: Vec<_> = found.iter().map(RuntimeDirectory::path).collect();
        let expected = ["vip-elector", "vip-elector@a b", "vip-elector@web"];
        assert_eq!(found, expected.map(|name| run.path().join(name)));
        let named = RuntimeDirectory::all(Some("/run/first:/run/second"));
        assert_eq!(named.len(), 1);
        assert_eq!(named[0].path(), Path::new("/run/first"));
    }

    #[test]
    fn long_groups_have_short_names_of_their_own() {
        let directory = RuntimeDirectory::of(None);
        let named = |end: char| directory.file(&format!("{}{end}", "/".repeat(500)), "session");
        assert_ne!(named('a'), named('b'));
        assert!(named('a').file_name().unwrap().len() < 255 - ".new".len());
    }

    #[test]
    fn a_link_to_a_directory_that_is_gone_is_one_to_a_new_one() {
        let run = tempfile::tempdir().unwrap();
        let path = run.path().join("vip-elector");
        for target in [Path::new("private/vip-elector"), &run.path().join("other")] {
            std::os::unix::fs::symlink(target, &path).unwrap();
            for _ in 0..2 {
                RuntimeDirectory::from(path.clone()).make().unwrap();
                assert!(path.is_dir(), "{}", target.display());
            }
            fs::remove_file(&path).unwrap();
        }
    }

    #[test]
    fn a_socket_has_a_path_that_the_kernel_takes() {
        let directory = RuntimeDirectory::of(None);
        let path = directory.socket("service/pg/leader");
        assert_eq!(
            path,
            Path::new("/run/vip-elector/service_2fpg_2fleader.sock")
        );
        let named = |end: char| directory.socket(&format!("{}{end}", "k".repeat(90)));
        assert_ne!(named('a'), named('b'));
        assert!(named('a').as_os_str().len() <= MAX_SOCKET);
    }

    #[test]
    fn a_record_is_replaced_whole_and_read_by_its_owner_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key.session");
        fs::write(directory.path().join("key.session.new"), "left by a crash").unwrap();
        write(&path, &vec![1, 2]).unwrap();
        write(&path, &vec![3]).unwrap();
        assert_eq!(read::<Vec<u8>>(&path), Some(vec![3]));
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn garbage_is_no_record() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key.session");
        for garbage in [&b""[..], b"{", b"[300]", b"\xff\xfe", &[b' '; 100_000]] {
            fs::write(&path, garbage).unwrap();
            assert_eq!(
                read::<Vec<u8>>(&path),
                None,
                "{:?}",
                &garbage[..garbage.len().min(9)]
            );
        }
        fs::remove_file(&path).unwrap();
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(read::<Vec<u8>>(&path), None, "a pipe that nobody writes");
    }
}
