//! What a process remembers for the next one on this host: which address it has put where.
//!
//! Needed only where the kernel does not mark addresses (`IFA_PROTO`, Linux 5.18).

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// A group's file in the runtime directory.
#[derive(Clone, Debug)]
pub struct RecordFile {
    path: PathBuf,
}

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Addresses do not survive a boot, so neither does the record.
    pub boot_id: String,
    /// The interface.
    pub interface: String,
    /// The address.
    pub address: std::net::IpAddr,
}

impl Record {
    /// Makes the record of an address that this process is about to add.
    ///
    /// # Errors
    ///
    /// When the kernel does not say which boot this is.
    pub fn now(interface: &str, address: std::net::IpAddr) -> io::Result<Self> {
        let boot_id = fs::read_to_string("/proc/sys/kernel/random/boot_id")?
            .trim()
            .to_owned();
        Ok(Self {
            boot_id,
            interface: interface.to_owned(),
            address,
        })
    }
}

impl RecordFile {
    /// Names the file of a group: in `$RUNTIME_DIRECTORY` as systemd sets it, else in
    /// `/run/vip-elector`.
    pub fn of(runtime_directory: Option<&str>, group: &str) -> Self {
        let directory = runtime_directory
            .and_then(|directories| directories.split(':').next())
            .filter(|directory| !directory.is_empty())
            .unwrap_or("/run/vip-elector");
        // A key may hold any character but NUL; a file name may not.
        let name: String = group
            .bytes()
            .map(|byte| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'.' | b'-' => {
                    char::from(byte).to_string()
                }
                other => format!("_{other:02x}"),
            })
            .collect();
        Self {
            path: Path::new(directory).join(format!("{name}.json")),
        }
    }

    /// Returns the file's place.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the record; one that is missing, unreadable or garbage is none.
    pub fn read(&self) -> Option<Record> {
        serde_json::from_slice(&fs::read(&self.path).ok()?).ok()
    }

    /// Replaces the record, so that a reader sees the old one or the new one and nothing between.
    ///
    /// # Errors
    ///
    /// When the directory cannot be made or written.
    pub fn write(&self, record: &Record) -> io::Result<()> {
        if let Some(directory) = self.path.parent() {
            fs::create_dir_all(directory)?;
        }
        let new = self.path.with_extension("json.new");
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&new)?;
        file.write_all(&serde_json::to_vec(record)?)?;
        file.sync_all()?;
        fs::rename(&new, &self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_back_and_garbage_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path().join("made");
        let file = RecordFile::of(directory.to_str(), "service/pg cluster/leader");
        assert!(
            file.path()
                .ends_with("service_2fpg_20cluster_2fleader.json")
        );
        assert_eq!(file.read(), None);
        let record = Record::now("eth0", "192.0.2.1".parse().unwrap()).unwrap();
        file.write(&record).unwrap();
        assert_eq!(file.read(), Some(record));
        fs::write(file.path(), "{").unwrap();
        assert_eq!(file.read(), None);
    }
}
