//! Which address a process has put where, for the next one to know it as ours.
//!
//! Needed only where the kernel does not mark addresses (`IFA_PROTO`, Linux 5.18).

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::RuntimeDirectory;

/// The file of one of a group's addresses in the runtime directory.
#[derive(Clone, Debug)]
pub struct AddressFile {
    directory: RuntimeDirectory,
    path: PathBuf,
}

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AddressRecord {
    boot_id: String,
    interface: String,
    address: IpAddr,
}

impl AddressRecord {
    /// Makes the record of an address that this process is about to add.
    ///
    /// # Errors
    ///
    /// When the kernel does not say which boot this is.
    pub fn now(interface: &str, address: IpAddr) -> io::Result<Self> {
        Ok(Self {
            boot_id: super::boot_id()?,
            interface: interface.to_owned(),
            address,
        })
    }
}

impl AddressFile {
    /// Names the file of a group's address.
    pub fn of(directory: &RuntimeDirectory, group: &str, address: IpAddr) -> Self {
        Self {
            directory: directory.clone(),
            path: directory.file(group, &format!("{address}.address")),
        }
    }

    /// Returns the file's place.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the record; one that is missing, unreadable or garbage is none.
    pub fn read(&self) -> Option<AddressRecord> {
        super::read(&self.path)
    }

    /// Replaces the record.
    ///
    /// # Errors
    ///
    /// When the directory cannot be made or written.
    pub fn write(&self, record: &AddressRecord) -> io::Result<()> {
        self.directory.make()?;
        super::write(&self.path, record)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_back() {
        let directory = tempfile::tempdir().unwrap();
        let made = directory.path().join("made");
        let directory = RuntimeDirectory::of(made.to_str());
        let addresses = ["192.0.2.1", "2001:db8::1"].map(|text| text.parse().unwrap());
        let files = addresses.map(|address| AddressFile::of(&directory, "key", address));
        assert_eq!(files[0].read(), None);
        let record = AddressRecord::now("eth0", addresses[0]).unwrap();
        files[0].write(&record).unwrap();
        assert_eq!(files[0].read(), Some(record));
        assert_eq!(files[1].read(), None, "each has its own");
    }
}
