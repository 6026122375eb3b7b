//! Configuration: what is refused and how, what wins over what, and what is shown.

mod acl;
mod bad_input;
mod change;
mod credentials;
mod drop_in;
mod duration;
mod groups;
mod precedence;
mod secrets;
mod takeover;
mod tls;

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use vip_elector::cli::{self, Cli};
use vip_elector::config::{Config, Problems, Sources, load};

const FILE: &str = "/etc/vip-manager.yml";
const MINIMAL: &str = "dcs-type: consul\ntrigger-key: service/db/leader\n";
/// A certificate with its key, and others.
const PEM_CERTIFICATE: &str = include_str!("../pki/client.pem");
const PEM_KEY: &str = include_str!("../pki/key.pem");
const PEM_CA: &str = include_str!("../pki/ca.pem");
const PEM_STRANGER: &str = include_str!("../pki/stranger.pem");
const PEM_STRANGERS_KEY: &str = include_str!("../pki/key-rsa.pem");

/// A host, described: nothing of the machine that runs the test is looked at.
struct Host {
    name: &'static str,
    interfaces: Vec<&'static str>,
    files: BTreeMap<PathBuf, Vec<u8>>,
    environment: BTreeMap<String, String>,
    arguments: Vec<String>,
}

impl Host {
    /// A host `node-a` with an interface `bond0` and nothing configured.
    fn new() -> Self {
        Self {
            name: "node-a",
            interfaces: vec!["lo", "bond0"],
            files: BTreeMap::new(),
            environment: BTreeMap::new(),
            arguments: Vec::new(),
        }
    }

    /// A host with one file, which its arguments name.
    fn with_file(text: impl AsRef<[u8]>) -> Self {
        Self::new()
            .file(FILE, text)
            .argument(format!("--vip-manager-config={FILE}"))
    }

    /// A host whose file says no more than it must, and `more`.
    fn minimal(more: &str) -> Self {
        Self::with_file(format!("{MINIMAL}{more}"))
    }

    /// A host with two files, each minimal and then as given.
    fn with_two_files(first: &str, second: &str) -> Self {
        Self::new()
            .file("/etc/a.yml", format!("dcs-type: consul\n{first}"))
            .file("/etc/b.yml", format!("dcs-type: consul\n{second}"))
            .argument("--vip-manager-config=/etc/a.yml")
            .argument("--vip-manager-config=/etc/b.yml")
    }

    fn file(mut self, path: &str, text: impl AsRef<[u8]>) -> Self {
        self.files.insert(path.into(), text.as_ref().to_vec());
        self
    }

    fn argument(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.into(), value.into());
        self
    }

    fn named(mut self, name: &'static str) -> Self {
        self.name = name;
        self
    }

    fn load(&self) -> Result<Config, Problems> {
        load(
            &self.cli(),
            &Sources {
                environment: &|name| self.environment.get(name).cloned(),
                read: &|path| self.files.get(path).cloned().ok_or_else(missing),
                list: &|directory| self.list(directory),
                interface_exists: &|name| self.interfaces.contains(&name),
                host_name: self.name,
            },
        )
    }

    fn cli(&self) -> Cli {
        let arguments = std::iter::once("vip-elector").chain(self.arguments.iter().map(|a| &**a));
        cli::parse(arguments.map(Into::into)).expect("the flags are right")
    }

    /// The configuration of a host that is expected to have a good one.
    fn good(&self) -> Config {
        match self.load() {
            Ok(config) => config,
            Err(problems) => panic!("refused:\n{problems}"),
        }
    }

    /// The messages of a host that is expected to have a bad one.
    fn refusal(&self) -> String {
        match self.load() {
            Ok(config) => panic!("accepted:\n{}", config.describe()),
            Err(problems) => problems.to_string(),
        }
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<PathBuf>> {
        let files: Vec<_> = self
            .files
            .keys()
            .filter(|path| path.parent() == Some(directory))
            .cloned()
            .collect();
        if files.is_empty() {
            Err(missing())
        } else {
            Ok(files)
        }
    }
}

fn warnings(config: &Config) -> String {
    config
        .warnings
        .iter()
        .map(|warning| format!("{warning}\n"))
        .collect()
}

fn missing() -> io::Error {
    io::Error::from_raw_os_error(2)
}
