//! Applier: a package of Debian 11, fetched with a temporary apt root that touches nothing of the
//! system's, checked against a sum that is written down here, and unpacked without being installed.
//!
//! Debian 11 (bullseye) is the last release with a Consul, and the last whose vip-manager has its
//! Consul support compiled in.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{run, verify};

pub(super) const CONSUL: Package = Package {
    name: "consul",
    program: "consul",
    version: "1.8.7+dfsg1-2+b3",
    sha256: "e4e888bba104daba1d9161f49bfc52649a7e4efd45b1a7ead5bc54f2cb9c89d9",
};

pub(super) const VIP_MANAGER: Package = Package {
    name: "vip-manager",
    program: "vip-manager",
    version: "1.0.1-4",
    sha256: "278f9fe3ee96c455d27e5638d7160cfca6261bed845783f2cbf9b02cea5c83d4",
};

pub(super) const PROMTOOL: Package = Package {
    name: "prometheus",
    program: "promtool",
    version: "2.24.1+ds-1+b7",
    sha256: "7f98887c0fa36e0dd81bb39abc57a9e2535c2a0dc20442a431255ebc0b87b73a",
};

const SUITE: &str = "bullseye";
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// One version of one package, for amd64, with a program in `usr/bin/`.
pub(super) struct Package {
    pub(super) name: &'static str,
    pub(super) program: &'static str,
    pub(super) version: &'static str,
    sha256: &'static str,
}

impl Package {
    /// Fetches the package into `work` and returns the path of its program.
    pub(super) fn fetch(&self, work: &Path) -> Result<PathBuf, String> {
        if std::env::consts::ARCH != "x86_64" {
            return Err("the sum is known for amd64 only".to_owned());
        }
        if !Path::new(KEYRING).exists() {
            return Err(format!(
                "{KEYRING} is missing (package debian-archive-keyring)"
            ));
        }
        let mut reasons = Vec::new();
        for mirror in mirrors()? {
            match self.fetch_from(&mirror, work) {
                Ok(path) => return Ok(path),
                Err(reason) => reasons.push(reason),
            }
        }
        if reasons.is_empty() {
            return Err("apt's sources name no Debian mirror".to_owned());
        }
        Err(reasons.join(", "))
    }

    fn fetch_from(&self, mirror: &str, work: &Path) -> Result<PathBuf, String> {
        let Self {
            name,
            program,
            version,
            sha256,
        } = self;
        let configuration = temporary_root(mirror, work)
            .map_err(|error| format!("a temporary apt root: {error}"))?;
        let apt = || {
            let mut command = Command::new("apt-get");
            command
                .env("APT_CONFIG", &configuration)
                .env("LC_ALL", "C")
                .current_dir(work);
            command
        };
        run(apt().args(["--quiet", "--quiet", "update"])).map_err(|reason| {
            format!("{reason} (is there a network, and does the mirror still have {SUITE}?)")
        })?;
        run(apt().args([
            "--quiet",
            "--quiet",
            "download",
            &format!("{name}:amd64={version}"),
        ]))?;
        let package = fs::read_dir(work)
            .map_err(|error| error.to_string())?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
            .ok_or("apt-get download left no package")?;
        verify(&package, sha256)?;
        run(Command::new("dpkg-deb")
            .arg("-x")
            .arg(&package)
            .arg(work.join("unpacked")))?;
        Ok(work.join("unpacked/usr/bin").join(program))
    }
}

/// Returns the Debian mirrors of the machine's own sources.
fn mirrors() -> Result<Vec<String>, String> {
    let targets = run(Command::new("apt-get").args([
        "indextargets",
        "--format",
        "$(REPO_URI)",
        "Created-By: Packages",
    ]))?;
    let mut mirrors: Vec<String> = targets
        .lines()
        .map(|uri| uri.trim_end_matches('/'))
        .filter(|uri| uri.ends_with("/debian"))
        .map(str::to_owned)
        .collect();
    mirrors.dedup();
    Ok(mirrors)
}

/// Writes a configuration with its own sources, lists, cache and status. Of the system's, only how
/// to reach the network (proxies and the like) is taken over; not its hooks.
fn temporary_root(mirror: &str, work: &Path) -> std::io::Result<PathBuf> {
    let root = work.join("apt");
    for directory in ["lists/partial", "cache/archives/partial", "parts"] {
        fs::create_dir_all(root.join(directory))?;
    }
    let sources = root.join("sources.list");
    fs::write(
        &sources,
        format!("deb [signed-by={KEYRING}] {mirror} {SUITE} main\n"),
    )?;
    let settings = Command::new("apt-config").arg("dump").output()?.stdout;
    let network: String = String::from_utf8_lossy(&settings)
        .lines()
        .filter(|line| line.starts_with("Acquire::http"))
        .map(|line| format!("{line}\n"))
        .collect();
    let root = root.display();
    let configuration = work.join("apt.conf");
    fs::write(
        &configuration,
        format!(
            r#"{network}
Dir::State::lists "{root}/lists";
Dir::State::status "/dev/null";
Dir::Cache "{root}/cache";
Dir::Etc::sourcelist "{}";
Dir::Etc::sourceparts "{root}/parts";
Dir::Etc::parts "{root}/parts";
Dir::Etc::preferencesparts "{root}/parts";
APT::Architecture "amd64";
APT::Architectures {{ "amd64"; }};
APT::Sandbox::User "";
Acquire::Check-Valid-Until "false";
Acquire::Languages "none";
"#,
            sources.display()
        ),
    )?;
    Ok(configuration)
}
