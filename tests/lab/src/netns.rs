//! Applier: network namespaces with a host name each, and the cables between them.
//!
//! A namespace is one virtual machine as far as the network is concerned. Each is bound below
//! `/run/netns`, so that `ip netns exec NAME` and `ip -n NAME` work for whoever is in the sandbox.

mod line;
mod switch;

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};

pub use line::Losses;
pub(crate) use switch::configure;
pub use switch::{Bridge, LossyLine, Port, Switch};

/// A failure to build or change a network.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// iproute2 is not installed.
    #[error("cannot run ip: install iproute2")]
    NoIproute2(#[source] io::Error),
    /// `ip` refused.
    #[error("`ip {arguments}` failed: {message}")]
    Ip {
        /// Its command line.
        arguments: String,
        /// Its standard error.
        message: String,
    },
    /// A system call on a namespace failed.
    #[error("cannot {action} network namespace {name}")]
    Namespace {
        /// What was being done.
        action: &'static str,
        /// The namespace's name.
        name: String,
        #[source]
        cause: io::Error,
    },
}

/// A network namespace and a UTS namespace whose host name is its name. Clones are handles on the
/// same one; it goes when the last handle and the last process inside are gone.
#[derive(Clone, Debug)]
pub struct Namespace(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: String,
    bound: PathBuf,
    net: File,
    uts: File,
}

impl Namespace {
    /// Makes a namespace, with `lo` up. `name` must be new in this sandbox.
    pub fn new(name: &str) -> Result<Self, Error> {
        let failed = |action: &'static str| {
            let name = name.to_owned();
            move |cause| Error::Namespace {
                action,
                name,
                cause,
            }
        };
        let bound = PathBuf::from("/run/netns").join(name);
        std::fs::create_dir_all("/run/netns")
            .and_then(|()| File::create_new(&bound).map(drop))
            .map_err(failed("name"))?;
        // The namespaces of a thread are its own; the files keep them when the thread is gone.
        let (net, uts) = std::thread::scope(|scope| {
            scope
                .spawn(|| leave_and_bind(name, &bound))
                .join()
                .map_err(panicked)?
        })
        .map_err(failed("make"))?;
        let namespace = Self(Arc::new(Inner {
            name: name.to_owned(),
            bound,
            net,
            uts,
        }));
        namespace.ip(&["link", "set", "lo", "up"])?;
        Ok(namespace)
    }

    /// Returns the name, which is also the host name inside.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// Runs `action` on a thread inside. What it opens (sockets, above all) stays inside for good,
    /// whoever uses it afterwards.
    pub fn enter<T: Send>(&self, action: impl FnOnce() -> T + Send) -> Result<T, Error> {
        std::thread::scope(|scope| {
            scope
                .spawn(|| self.move_this_thread().map(|()| action()))
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Runs `action` on a named thread inside that goes on by itself.
    pub fn spawn<T: Send + 'static>(
        &self,
        thread: &str,
        action: impl FnOnce() -> T + Send + 'static,
    ) -> Result<std::thread::JoinHandle<Result<T, Error>>, Error> {
        let namespace = self.clone();
        std::thread::Builder::new()
            .name(format!("{thread}-{}", self.name()))
            .spawn(move || namespace.move_this_thread().map(|()| action()))
            .map_err(|cause| self.failed("start a thread in", cause))
    }

    /// Returns a command that will run inside, in a process group of its own and with the
    /// namespace's own `/sys`, as `ip netns exec` would.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.process_group(0);
        let (net, uts) = (self.0.net.as_raw_fd(), self.0.uts.as_raw_fd());
        let keep = self.clone();
        before_exec(&mut command, move || {
            let _ = &keep;
            join(net, uts)?;
            own_sysfs();
            Ok(())
        });
        command
    }

    /// Runs iproute2's `ip` inside.
    pub fn ip(&self, arguments: &[&str]) -> Result<String, Error> {
        run_ip(self.command("ip"), arguments)
    }

    /// Sets a sysctl of the namespace, by its path below `/proc/sys`.
    pub fn sysctl(&self, path: &str, value: &str) -> Result<(), Error> {
        self.enter(|| std::fs::write(PathBuf::from("/proc/sys").join(path), value))?
            .map_err(|cause| self.failed("set a sysctl of", cause))
    }

    /// Returns the inode number, by which `/proc/PID/ns/net` tells who is inside.
    pub fn inode(&self) -> Result<u64, Error> {
        use std::os::unix::fs::MetadataExt;
        let data = self
            .0
            .net
            .metadata()
            .map_err(|cause| self.failed("look at", cause))?;
        Ok(data.ino())
    }

    fn move_this_thread(&self) -> Result<(), Error> {
        join(self.0.net.as_raw_fd(), self.0.uts.as_raw_fd())
            .map_err(|cause| self.failed("enter", cause))
    }

    fn failed(&self, action: &'static str, cause: io::Error) -> Error {
        Error::Namespace {
            action,
            name: self.name().to_owned(),
            cause,
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let _ = umount2(&self.bound, MntFlags::MNT_DETACH);
        let _ = std::fs::remove_file(&self.bound);
    }
}

/// Runs iproute2's `ip` in the namespace of the caller.
pub(crate) fn ip(arguments: &[&str]) -> Result<String, Error> {
    run_ip(Command::new("ip"), arguments)
}

fn run_ip(mut command: Command, arguments: &[&str]) -> Result<String, Error> {
    let output = command
        .args(arguments)
        .output()
        .map_err(Error::NoIproute2)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let message = String::from_utf8_lossy(&output.stderr)
        .trim()
        .replace('\n', ", ");
    Err(Error::Ip {
        arguments: arguments.join(" "),
        message,
    })
}

/// Moves the calling thread into new namespaces and binds its network to `bound`.
fn leave_and_bind(name: &str, bound: &std::path::Path) -> io::Result<(File, File)> {
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWUTS)?;
    nix::unistd::sethostname(name)?;
    let none = None::<&str>;
    mount(
        Some("/proc/thread-self/ns/net"),
        bound,
        none,
        MsFlags::MS_BIND,
        none,
    )?;
    Ok((File::open(bound)?, File::open("/proc/thread-self/ns/uts")?))
}

fn panicked(_: Box<dyn std::any::Any + Send>) -> io::Error {
    io::Error::other("the thread that makes it panicked")
}

fn join(net: RawFd, uts: RawFd) -> io::Result<()> {
    for (file, kind) in [
        (net, CloneFlags::CLONE_NEWNET),
        (uts, CloneFlags::CLONE_NEWUTS),
    ] {
        setns(borrow(file), kind)?;
    }
    Ok(())
}

/// Shows the devices of this namespace in `/sys`; where that is not allowed, the outer ones stay.
fn own_sysfs() {
    let none = None::<&str>;
    let _: Result<(), Errno> = unshare(CloneFlags::CLONE_NEWNS).and_then(|()| {
        let safe = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
        mount(Some("sysfs"), "/sys", Some("sysfs"), safe, none)
    });
}

#[expect(unsafe_code, reason = "descriptors cross a fork as numbers")]
fn borrow<'a>(file: RawFd) -> std::os::fd::BorrowedFd<'a> {
    // SAFETY: every caller owns, or keeps a handle on, the namespace that owns the descriptor.
    unsafe { std::os::fd::BorrowedFd::borrow_raw(file) }
}

/// Runs `action` in the child between fork and exec: system calls only, no allocation.
#[expect(unsafe_code, reason = "pre_exec")]
pub(crate) fn before_exec(
    command: &mut Command,
    action: impl FnMut() -> io::Result<()> + Send + Sync + 'static,
) {
    // SAFETY: the callers' actions make system calls on values prepared before the fork.
    unsafe { command.pre_exec(action) };
}
