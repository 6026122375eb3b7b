//! The session that a process lives by, for the next one to go on with.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::RuntimeDirectory;
use crate::driver;
use crate::election::call::SessionId;
use crate::election::note::{Before, Note};

/// A group's file in the runtime directory, and whose it is.
#[derive(Clone, Debug)]
pub struct SessionFile {
    directory: RuntimeDirectory,
    path: PathBuf,
    owner: Owner,
}

/// What a session belongs to. A session is adopted where all of it is the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Owner {
    boot_id: String,
    network: u64,
    /// The trigger value: it names the host.
    value: String,
    /// What the session was created with.
    terms: String,
}

/// What the file says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    #[serde(flatten)]
    owner: Owner,
    name: String,
    session: Option<String>,
    spent: bool,
}

impl SessionFile {
    /// Names the file of a group on this host, whose session is created on these terms.
    ///
    /// # Errors
    ///
    /// When the kernel does not say which boot or which network namespace this is.
    pub fn of(
        directory: &RuntimeDirectory,
        group: &str,
        value: &str,
        terms: String,
    ) -> io::Result<Self> {
        Ok(Self {
            directory: directory.clone(),
            path: directory.file(group, "session"),
            owner: Owner {
                boot_id: super::boot_id()?,
                network: super::network()?,
                value: value.to_owned(),
                terms,
            },
        })
    }

    /// Returns the file's place.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns what the process before left. A file that is missing, unreadable or garbage says nothing.
    pub fn before(&self) -> Before {
        super::read(&self.path).map_or(Before::Nothing, |record| self.judge(record))
    }

    fn judge(&self, record: Record) -> Before {
        let Record {
            owner,
            name,
            session,
            spent,
        } = record;
        let same_boot = owner.boot_id == self.owner.boot_id;
        let same_network = owner.network == self.owner.network;
        let same_value = owner.value == self.owner.value;
        // Of another container, or of another host whose directory this was.
        let foreign = if same_boot {
            !same_network
        } else {
            !same_value
        };
        if foreign {
            return Before::Nothing;
        }
        let session = session.map(SessionId::new);
        match session {
            Some(session) if !spent && owner == self.owner => Before::Adoptable { name, session },
            session => Before::Leftover { name, session },
        }
    }

    fn write(&self, note: &Note) -> io::Result<()> {
        let (name, session, spent) = match note {
            Note::Nothing => return super::remove(&self.path),
            Note::Creating { name } => (name, None, false),
            Note::Live { name, session } => (name, Some(session), false),
            Note::Spent { name, session } => (name, Some(session), true),
        };
        self.directory.make()?;
        let record = Record {
            owner: self.owner.clone(),
            name: name.clone(),
            session: session.map(|session| session.as_str().to_owned()),
            spent,
        };
        super::write(&self.path, &record)
    }
}

/// Without the lock that keeps a second process away, nothing is remembered: it would be read by that
/// process.
impl driver::Memory for Option<SessionFile> {
    fn remember(&mut self, note: &Note) -> (bool, Option<String>) {
        match self {
            Some(file) => file.remember(note),
            None => (true, None),
        }
    }
}

impl driver::Memory for SessionFile {
    /// Where there is no room for the note, the one before is taken away: removing needs none.
    fn remember(&mut self, note: &Note) -> (bool, Option<String>) {
        match self.write(note) {
            Ok(()) => (true, None),
            Err(error) => {
                let kept = super::remove(&self.path).is_ok();
                (kept, Some(format!("{}: {error}", self.path.display())))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::driver::Memory;

    const TERMS: &str = "ttl=10s lock-delay=3s check-id=vip";

    fn file(directory: &Path, value: &str, terms: &str) -> SessionFile {
        let directory = RuntimeDirectory::of(directory.to_str());
        SessionFile::of(&directory, "key", value, terms.to_owned()).unwrap()
    }

    fn live() -> Note {
        Note::Live {
            name: "ours-0".into(),
            session: SessionId::new("id"),
        }
    }

    fn leftover() -> Before {
        Before::Leftover {
            name: "ours-0".into(),
            session: Some(SessionId::new("id")),
        }
    }

    #[test]
    fn what_is_remembered_decides_what_the_next_process_does() {
        let directory = tempfile::tempdir().unwrap();
        let mut file = file(directory.path(), "web1", TERMS);
        assert_eq!(file.before(), Before::Nothing);
        let name = || "ours-0".to_owned();
        let session = || SessionId::new("id");
        for (note, before) in [
            (
                Note::Creating { name: name() },
                Before::Leftover {
                    name: name(),
                    session: None,
                },
            ),
            (
                live(),
                Before::Adoptable {
                    name: name(),
                    session: session(),
                },
            ),
            (
                Note::Spent {
                    name: name(),
                    session: session(),
                },
                leftover(),
            ),
            (Note::Nothing, Before::Nothing),
        ] {
            assert_eq!(file.remember(&note), (true, None));
            assert_eq!(file.before(), before, "{note:?}");
        }
    }

    #[test]
    fn only_the_same_host_boot_and_terms_may_adopt() {
        let directory = tempfile::tempdir().unwrap();
        let mut own = file(directory.path(), "web1", TERMS);
        own.remember(&live());
        let other_terms = file(directory.path(), "web1", "ttl=10s lock-delay=1s check-id=");
        assert_eq!(other_terms.before(), leftover());
        assert_eq!(file(directory.path(), "web2", TERMS).before(), leftover());
        let mut rebooted = own.clone();
        rebooted.owner.boot_id = "another boot".into();
        rebooted.owner.network += 1;
        assert_eq!(rebooted.before(), leftover());
        rebooted.owner.value = "web2".into();
        assert_eq!(rebooted.before(), Before::Nothing);
        let mut container = own.clone();
        container.owner.network += 1;
        assert_eq!(container.before(), Before::Nothing);
    }

    #[test]
    fn a_note_that_cannot_be_written_takes_the_one_before_away() {
        let directory = tempfile::tempdir().unwrap();
        let mut file = file(directory.path(), "web1", TERMS);
        assert_eq!(file.remember(&live()), (true, None));
        // In the way of the new file, and not to be removed as one.
        fs::create_dir(directory.path().join("key.session.new")).unwrap();
        let spent = Note::Spent {
            name: "ours-0".into(),
            session: SessionId::new("id"),
        };
        let (kept, error) = file.remember(&spent);
        assert!(kept && error.is_some());
        assert_eq!(file.before(), Before::Nothing);
    }

    #[test]
    fn garbage_says_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let mut file = file(directory.path(), "web1", TERMS);
        file.remember(&live());
        let whole = fs::read_to_string(file.path()).unwrap();
        for length in 0..whole.len() {
            fs::write(file.path(), &whole[..length]).unwrap();
            assert_eq!(file.before(), Before::Nothing, "{}", &whole[..length]);
        }
    }
}
