//! The configuration: files, flags and environment of a host.
//!
//! The first part of an input, up to a line `===`, is flags (lines that begin with a dash) and
//! environment (`NAME=value`). Each part after it is a file: `/0`, `/1` and so on, which the flags may
//! name. Where they name none, all of them are vip-manager's.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use vip_elector::cli::{self, Cli};
use vip_elector::config::{Config, Group, Problems, Sources, load};
use vip_elector::consul::Client;
use vip_elector::consul::access::Endpoint;
use vip_elector::election::lease::Terms;
use vip_netlink::Label;

const END: &str = "\n===\n";

/// The token where the input sets none: no input has it, and no output may.
const TOKEN: &str = "7ac1e0c4-secret-a";

/// The same for what stands in a file that an input may name.
const TOKEN_FILE: (&str, &str) = ("/token", "7ac1e0c4-secret-b");

pub(crate) fn take(input: &[u8]) {
    let text = String::from_utf8_lossy(input);
    let mut parts = text.split(END);
    let host = Host::new(parts.next().unwrap_or_default(), parts);
    let Ok(cli) = host.cli() else {
        return;
    };
    let said = match host.load(&cli) {
        Ok(config) => {
            assert_usable(&config);
            let described = config.describe();
            let again = host.load(&cli).map(|config| config.describe());
            assert_eq!(again.ok().as_ref(), Some(&described), "read twice alike");
            described
        }
        Err(problems) => {
            assert!(!problems.0.is_empty(), "refused for no reason");
            problems.to_string()
        }
    };
    assert!(!said.trim().is_empty());
    for line in said.lines() {
        let control = line.chars().any(char::is_control);
        assert!(!control, "a control character stands in {line:?}");
    }
    for secret in [TOKEN, TOKEN_FILE.1] {
        assert!(!said.contains(secret), "a secret is shown");
    }
}

fn assert_timed_well(config: &Config, group: &Group) {
    let session = &group.session;
    assert!(within(session.ttl, 10, 24 * 60 * 60));
    assert!(session.lock_delay <= Duration::from_secs(60));
    if config.manage_vip {
        assert!(session.lock_delay >= Duration::from_secs(1));
        let terms = Terms::managed(session.lock_delay, session.ttl);
        assert!(terms.span() >= Duration::from_secs(1));
    }
    let liveness = group.liveness_ttl;
    assert!(liveness.is_none_or(|ttl| ttl >= Duration::from_secs(1)));
    assert!((-1000..=1000).contains(&group.priority));
}

/// What the rest of the program takes for granted.
fn assert_usable(config: &Config) {
    assert!(!config.groups.is_empty());
    for group in &config.groups {
        assert!(!group.trigger_key.is_empty() && !group.trigger_key.starts_with('/'));
        assert!(!group.trigger_value.is_empty());
        assert_eq!(!group.vips.is_empty(), config.manage_vip);
        for vip in &group.vips {
            assert!(vip_netlink::Vip::new(vip.address, vip.prefix).is_some());
            assert!(config.groups.len() > 1 || Host::has_interface(&vip.interface));
            let label = vip.label.as_deref();
            assert!(label.is_none_or(|label| Label::new(label).is_some()));
        }
        assert_timed_well(config, group);
    }
    if let Some(peers) = &config.peers {
        assert!(peers.listen.port() > 0);
        assert!(peers.interval >= Duration::from_millis(10));
        assert!(peers.interval <= Duration::from_secs(10));
    }
    let access = &config.access;
    assert!(!access.endpoints.is_empty());
    // TLS would have the machine's trust store read every time.
    let plain = |endpoint: &Endpoint| match endpoint {
        Endpoint::Http(url) => url.scheme() == "http",
        Endpoint::Unix(_) => true,
    };
    if access.endpoints.len() == 1 && access.endpoints.iter().all(plain) {
        Client::new(access).expect("what is accepted can be used");
    }
}

fn within(time: Duration, least: u64, most: u64) -> bool {
    (Duration::from_secs(least)..=Duration::from_secs(most)).contains(&time)
}

/// A host as the input describes it.
struct Host<'a> {
    arguments: Vec<&'a str>,
    environment: BTreeMap<&'a str, &'a str>,
    files: Vec<&'a str>,
}

impl<'a> Host<'a> {
    fn new(head: &'a str, files: impl Iterator<Item = &'a str>) -> Self {
        let (arguments, variables): (Vec<&str>, Vec<&str>) = head
            .lines()
            .filter(|line| !line.contains('\0'))
            .partition(|line| line.starts_with('-'));
        let variables = variables.iter().filter_map(|line| line.split_once('='));
        Self {
            arguments,
            environment: std::iter::once(("CONSUL_HTTP_TOKEN", TOKEN))
                .chain(variables)
                .collect(),
            files: files.collect(),
        }
    }

    fn cli(&self) -> Result<Cli, impl Sized> {
        let named = self
            .arguments
            .iter()
            .any(|argument| argument.contains("vip-manager-config"));
        let ours = (0..self.files.len()).map(|number| format!("--vip-manager-config=/{number}"));
        let arguments = ours.filter(|_| !named);
        let typed = self.arguments.iter().map(|argument| (*argument).to_owned());
        cli::parse(
            std::iter::once("vip-elector".to_owned())
                .chain(arguments)
                .chain(typed)
                .map(Into::into),
        )
    }

    fn load(&self, cli: &Cli) -> Result<Config, Problems> {
        let sources = Sources {
            environment: &|name| self.environment.get(name).map(|value| (*value).to_owned()),
            read: &|path| self.read(path),
            list: &|directory| Self::list(directory),
            interface_exists: &Self::has_interface,
            host_name: "node-a",
        };
        load(cli, &sources)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        if path == Path::new(TOKEN_FILE.0) {
            return Ok(TOKEN_FILE.1.into());
        }
        let number = path.to_str().and_then(|path| path.strip_prefix('/'));
        number
            .and_then(|number| number.parse::<usize>().ok())
            .and_then(|number| self.files.get(number))
            .map(|file| file.as_bytes().to_vec())
            .ok_or_else(|| io::Error::from_raw_os_error(2))
    }

    fn list(directory: &Path) -> io::Result<Vec<PathBuf>> {
        if directory == Path::new("/certificates") {
            Ok(vec![PathBuf::from("/0")])
        } else {
            Err(io::Error::from_raw_os_error(2))
        }
    }

    fn has_interface(name: &str) -> bool {
        ["lo", "eth0", "bond0"].contains(&name)
    }
}
