//! Pure: where a value of the configuration was written.

use std::fmt;
use std::path::PathBuf;

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A flag, with its dashes.
    Flag(&'static str),
    /// An environment variable.
    Environment(String),
    /// One key of a file.
    Key {
        /// The file.
        file: PathBuf,
        /// Counted from 1.
        line: u64,
        /// As it is spelled there; `vip-elector.ttl` inside our own mapping.
        key: String,
    },
    /// A file as a whole.
    File(PathBuf),
    /// A file that the service manager has passed, by its name there.
    Credential(&'static str),
    /// What the kernel says this host is called.
    HostName,
    /// Nobody said anything.
    Default,
}

impl Origin {
    /// The same key of the same file, at the line of one of its items.
    pub(super) fn at_line(&self, line: u64) -> Self {
        match self {
            Self::Key { file, key, .. } => Self::Key {
                file: file.clone(),
                line,
                key: key.clone(),
            },
            Self::Flag(_)
            | Self::Environment(_)
            | Self::File(_)
            | Self::Credential(_)
            | Self::HostName
            | Self::Default => self.clone(),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => write!(f, "flag {flag}"),
            Self::Environment(name) => write!(f, "environment {name}"),
            Self::Key { file, line, key } => {
                write!(f, "{} line {line}, key `{key}`", file.display())
            }
            Self::File(file) => write!(f, "{}", file.display()),
            Self::Credential(name) => write!(f, "systemd credential {name}"),
            Self::HostName => f.write_str("this host's name"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// A value and where it comes from. Not `Debug`: it may be a token.
#[derive(Clone)]
pub(super) struct Sourced<T> {
    pub(super) value: T,
    pub(super) origin: Origin,
}

/// A value as it was written.
pub(super) type Written = Sourced<String>;

impl<T> Sourced<T> {
    pub(super) fn new(value: T, origin: Origin) -> Self {
        Self { value, origin }
    }

    pub(super) fn default(value: T) -> Self {
        Self::new(value, Origin::Default)
    }

    /// The same origin for what the value means.
    pub(super) fn means<U>(&self, value: U) -> Sourced<U> {
        Sourced::new(value, self.origin.clone())
    }
}
