//! Applier: a machine with a real systemd as process 1, in a container of its own inside the sandbox.
//!
//! Its `/usr` is the machine's own, under an overlay that is thrown away; the rest of its root is empty but
//! for what systemd needs, so that nothing of what is installed here starts there. It has a network
//! namespace of its own, and all of it is gone when it is dropped.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, getuid};

use crate::netns::{self, Namespace, before_exec};
use crate::process::{Log, Process};
use crate::time::{Timeout, until};

const SYSTEMD: &str = "/usr/lib/systemd/systemd";
const CGROUPS: &str = "/sys/fs/cgroup";

/// How long it may take to boot. On an idle machine it takes a second.
const BOOT_LIMIT: Duration = Duration::from_secs(60);

/// How long the kernel may take to end what is inside.
const END_LIMIT: Duration = Duration::from_secs(10);

/// After that long, a control group of ours belongs to nobody any more.
const STALE: Duration = Duration::from_secs(3600);

/// Units that have nothing to do with a service, and would take time or fail.
const MASKED: [&str; 13] = [
    "console-getty.service",
    "dbus.service",
    "dbus.socket",
    "ldconfig.service",
    "systemd-firstboot.service",
    "systemd-hwdb-update.service",
    "systemd-journal-catalog-update.service",
    "systemd-logind.service",
    "systemd-networkd.service",
    "systemd-resolved.service",
    "systemd-udev-trigger.service",
    "systemd-udevd.service",
    "systemd-update-done.service",
];

/// A machine that does not come up, or does not do as it is told.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Only root may have a systemd.
    #[error(
        "a systemd as process 1 needs root, and not only a user namespace: run the tests as root, or leave \
         these out, which are in the test binary `systemd`"
    )]
    NotRoot,
    /// There is none here.
    #[error(
        "{SYSTEMD} is missing: apt-get install systemd-container, or leave the tests of `systemd` out"
    )]
    NoSystemd,
    /// The kernel refused.
    #[error("cannot {step}")]
    Step {
        /// What was being done.
        step: &'static str,
        #[source]
        cause: io::Error,
    },
    /// Its network cannot be made.
    #[error("cannot make the machine's network")]
    Network(#[from] netns::Error),
    /// It did not come up.
    #[error("{what}; its console:\n{console}")]
    Boot {
        /// What was waited for.
        what: Timeout,
        /// What it printed.
        console: String,
    },
    /// A command inside failed.
    #[error("`{line}` failed: {said}")]
    Command {
        /// Its command line.
        line: String,
        /// What it printed.
        said: String,
    },
}

/// A running machine.
#[derive(Debug)]
pub struct Machine {
    network: Namespace,
    directory: PathBuf,
    cgroup: PathBuf,
    console: Log,
    nspawn: Option<Process>,
    init: Pid,
}

impl Machine {
    /// Boots a machine that is called `name`, with `programs` in its `/usr/local/bin`: each a path here,
    /// and a name there.
    pub fn boot(name: &str, programs: &[(&Path, &str)]) -> Result<Self, Error> {
        if !getuid().is_root() || !owns_the_host()? {
            return Err(Error::NotRoot);
        }
        if !Path::new(SYSTEMD).exists() {
            return Err(Error::NoSystemd);
        }
        let mut machine = Self {
            network: Namespace::new(name)?,
            directory: Path::new("/run/machines").join(name),
            cgroup: control_group(name)?,
            console: Log::default(),
            nspawn: None,
            init: Pid::from_raw(0),
        };
        machine.furnish().map_err(failed("furnish the machine"))?;
        machine.start(name, programs)?;
        Ok(machine)
    }

    /// Returns its network.
    pub fn network(&self) -> &Namespace {
        &self.network
    }

    /// Returns what it printed on its console.
    pub fn console(&self) -> &Log {
        &self.console
    }

    /// Returns a path of the machine as a path here. Below `/etc`, `/opt`, `/root` and `/srv`, what is
    /// written here is seen there.
    pub fn path(&self, path: &str) -> PathBuf {
        self.root().join(path.trim_start_matches('/'))
    }

    /// Writes a file of the machine, and the directories above it.
    pub fn write(&self, path: &str, text: &str) -> Result<(), Error> {
        let path = self.path(path);
        let directory = path.parent().unwrap_or(&path);
        fs::create_dir_all(directory)
            .and_then(|()| fs::write(&path, text))
            .map_err(failed("write a file of the machine"))
    }

    /// Returns a command that will run inside.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.args(["--all", "--target", &self.init.to_string(), "--"]);
        command.arg(program);
        command
    }

    /// Runs a command inside, and returns what it printed.
    pub fn run(&self, line: &[&str]) -> Result<String, Error> {
        let fail = |said: String| Error::Command {
            line: line.join(" "),
            said,
        };
        let (program, arguments) = line.split_first().ok_or_else(|| fail(String::new()))?;
        let output = self.command(program).args(arguments).output();
        let output = output.map_err(|cause| fail(cause.to_string()))?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        if output.status.success() {
            return Ok(said);
        }
        let errors = String::from_utf8_lossy(&output.stderr);
        Err(fail(format!("{} {said}{errors}", output.status)))
    }

    fn root(&self) -> PathBuf {
        self.directory.join("root")
    }

    /// Puts an empty root there, with the machine's own `/usr`.
    fn furnish(&self) -> io::Result<()> {
        let root = self.root();
        for directory in [
            "etc/systemd/system",
            "var",
            "tmp",
            "root",
            "opt",
            "srv",
            "usr",
        ] {
            fs::create_dir_all(root.join(directory))?;
        }
        let (upper, work) = (self.directory.join("upper"), self.directory.join("work"));
        fs::create_dir_all(&upper)?;
        fs::create_dir_all(&work)?;
        let layers = format!(
            "lowerdir=/usr,upperdir={},workdir={}",
            upper.display(),
            work.display()
        );
        mount(
            Some("vip-lab"),
            &root.join("usr"),
            Some("overlay"),
            MsFlags::empty(),
            Some(layers.as_str()),
        )?;
        for link in ["bin", "sbin", "lib", "lib64"] {
            if Path::new("/usr").join(link).exists() {
                symlink(format!("usr/{link}"), root.join(link))?;
            }
        }
        let etc = root.join("etc");
        for unit in MASKED {
            symlink("/dev/null", etc.join("systemd/system").join(unit))?;
        }
        // Empty: a machine that has its number, and needs no first boot.
        fs::write(etc.join("machine-id"), "b0a7ed0ff5e74e5ba5c0ffee5eed0001\n")?;
        fs::write(
            etc.join("passwd"),
            "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n",
        )?;
        fs::write(etc.join("group"), "root:x:0:\nnogroup:x:65534:\n")?;
        // Users that exist only while a service runs.
        fs::write(
            etc.join("nsswitch.conf"),
            "passwd: files systemd\ngroup: files systemd\n",
        )?;
        fs::write(etc.join("hosts"), "127.0.0.1 localhost\n")
    }

    fn start(&mut self, name: &str, programs: &[(&Path, &str)]) -> Result<(), Error> {
        let mut command = self.network.command("systemd-nspawn");
        command
            .args(["--quiet", "--boot", "--register=no", "--keep-unit"])
            .args(["--console=pipe", "--link-journal=no", "--resolv-conf=off"])
            .args(["--timezone=off", "--capability=CAP_NET_ADMIN"])
            .arg(format!("--machine={name}"))
            .arg(format!("--network-namespace-path=/run/netns/{name}"))
            .arg("--directory")
            .arg(self.root());
        for (here, there) in programs {
            let here = here.display();
            command.arg(format!("--bind-ro={here}:/usr/local/bin/{there}"));
        }
        let members = fs::File::options()
            .write(true)
            .open(self.cgroup.join("cgroup.procs"))
            .map_err(failed("open the control group"))?;
        before_exec(&mut command, move || {
            // nspawn wants one hierarchy, whatever the machine itself has.
            let (cgroup2, none) = (Some("cgroup2"), None::<&str>);
            mount(cgroup2, CGROUPS, cgroup2, MsFlags::empty(), none)?;
            (&members).write_all(b"0")
        });
        let console = self.directory.join("console.log");
        let nspawn = Process::start(command, &self.console, &console)
            .map_err(failed("start systemd-nspawn (package systemd-container)"))?;
        let outer = self.nspawn.insert(nspawn).id();
        let booted = until("systemd to be up", BOOT_LIMIT, || {
            let init = child(outer).ok_or("it has not begun")?;
            self.init = Pid::from_raw(init);
            let state = self.command("systemctl").arg("is-system-running").output();
            let state = state.map_err(|error| error.to_string())?;
            let said = String::from_utf8_lossy(&state.stdout).trim().to_owned();
            match said.as_str() {
                "running" | "degraded" => Ok(()),
                _ => Err(format!("it is {said:?}")),
            }
        });
        booted.map_err(|what| Error::Boot {
            what,
            console: self.console.tail(40),
        })
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        if self.init.as_raw() > 1 {
            // With process 1 goes all that is inside.
            let _ = kill(self.init, Signal::SIGKILL);
        }
        self.nspawn = None;
        let _ = until("the control groups to be empty", END_LIMIT, || {
            remove_groups(&self.cgroup).map_err(|error| error.to_string())
        });
        let _ = umount2(&self.root().join("usr"), MntFlags::MNT_DETACH);
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Returns whether root here is root of the host: in a user namespace, it is not.
fn owns_the_host() -> Result<bool, Error> {
    let map =
        fs::read_to_string("/proc/self/uid_map").map_err(failed("read /proc/self/uid_map"))?;
    Ok(map.split_whitespace().eq(["0", "0", "4294967295"]))
}

/// Makes a control group that no other sandbox has, in a hierarchy of its own mount namespace's making.
fn control_group(name: &str) -> Result<PathBuf, Error> {
    let mine = || -> io::Result<PathBuf> {
        let mounted = Path::new("/run/cgroup");
        if !mounted.exists() {
            fs::create_dir(mounted)?;
            mount(
                Some("cgroup2"),
                mounted,
                Some("cgroup2"),
                MsFlags::empty(),
                None::<&str>,
            )?;
        }
        sweep(mounted);
        let sandbox = fs::metadata("/proc/self/ns/mnt")?.ino();
        let group = mounted.join(format!("vip-lab-{sandbox}-{name}"));
        match fs::create_dir(&group) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            Ok(()) | Err(_) => Ok(group),
        }
    };
    mine().map_err(failed("make a control group"))
}

/// Removes what a process left that was killed.
fn sweep(mounted: &Path) {
    let entries = fs::read_dir(mounted).into_iter().flatten().flatten();
    for entry in entries {
        let ours = entry.file_name().to_string_lossy().starts_with("vip-lab-");
        let age = entry.metadata().and_then(|data| data.modified()).ok();
        let age = age.and_then(|made| SystemTime::now().duration_since(made).ok());
        if ours && age.is_some_and(|age| age > STALE) {
            let _ = remove_groups(&entry.path());
        }
    }
}

/// Removes a control group and those below it, which works only when no process is left in them.
fn remove_groups(group: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(group) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_groups(&entry.path())?;
        }
    }
    match nix::unistd::unlinkat(
        nix::fcntl::AT_FDCWD,
        group,
        nix::unistd::UnlinkatFlags::RemoveDir,
    ) {
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// Returns the systemd that a process has started.
fn child(of: u32) -> Option<i32> {
    let processes = fs::read_dir("/proc").ok()?.flatten();
    processes
        .filter_map(|process| process.file_name().to_str()?.parse().ok())
        .find(|id: &i32| {
            let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
            let Some((name, rest)) = stat.rsplit_once(") ") else {
                return false;
            };
            name.ends_with("(systemd") && rest.split(' ').nth(1) == Some(&of.to_string())
        })
}

fn failed(step: &'static str) -> impl Fn(io::Error) -> Error {
    move |cause| Error::Step { step, cause }
}
