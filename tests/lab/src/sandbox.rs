//! Applier: one world of namespaces for the whole process, which vanishes with it.
//!
//! Three processes take part. The *outer* one is the process that was started: it stays outside,
//! forwards signals and passes on the exit status. *Init* is process 1 of the new PID namespace: it
//! reaps orphans, and when it ends the kernel kills every process inside. The *inner* one is where
//! [`enter`] returns. Init dies with the outer process (by `PR_SET_PDEATHSIG`) and ends with the
//! inner one, so nothing is left behind however any of them ends: no process, no namespace, no file
//! below `/run`.

mod forbidden;
mod init;

use std::io;
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use nix::unistd::{ForkResult, Pid, getgid, getuid};

/// A failure to build the sandbox.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel, or what confines this process, does not allow it.
    #[error("this machine forbids namespaces to this user ({step}: {cause}); {advice}")]
    Forbidden {
        /// What was refused.
        step: &'static str,
        /// What the user can do about it.
        advice: String,
        /// How it was refused; in the message, because the advice has the last word.
        cause: Errno,
    },
    /// Anything else.
    #[error("cannot enter the sandbox: {step}")]
    Failed {
        /// What was being done.
        step: &'static str,
        #[source]
        cause: io::Error,
    },
}

impl Error {
    fn new(step: &'static str, cause: Errno) -> Self {
        match forbidden::advice(cause) {
            Some(advice) => Self::Forbidden {
                step,
                advice,
                cause,
            },
            None => Self::Failed {
                step,
                cause: cause.into(),
            },
        }
    }
}

/// Proof of being inside, and how others get in.
#[derive(Clone, Copy, Debug)]
pub struct Sandbox {
    init: Pid,
    user_namespace: bool,
}

impl Sandbox {
    /// Returns the command line that, put before another command, runs it inside the sandbox from a
    /// terminal outside.
    pub fn nsenter(&self) -> String {
        let user = if self.user_namespace {
            " -U --preserve-credentials"
        } else {
            ""
        };
        format!("nsenter -t {}{user} -m -p -n -u", self.init)
    }
}

/// Goes on inside a new sandbox: own user (only where needed), mount, PID, UTS and network
/// namespaces, an empty `/run`, a fresh `/proc` where that is allowed, and `lo` up.
///
/// Call it before any thread is started: a process with threads cannot leave its namespaces, and the
/// threads would not be on the inside. Only the inner process returns; it has the outer one's
/// standard streams, arguments and environment.
///
/// # Errors
/// [`Error::Forbidden`] with what to do, where the kernel refuses. The process is then good for
/// nothing but saying so.
pub fn enter() -> Result<Sandbox, Error> {
    let user_namespace = unshare_all()?;
    // The outer process tells init its number; when the outer process is gone, init reads nothing.
    let (number, tell) = pipe()?;
    let mask = init::block_signals().map_err(|cause| Error::new("blocking signals", cause))?;
    match fork("starting process 1")? {
        ForkResult::Parent { child } => {
            drop(number);
            init::stay_outside(child, tell)
        }
        ForkResult::Child => {
            drop(tell);
            let init = init::tie_to_outer(number)
                .map_err(|cause| Error::new("tying process 1 to its parent", cause))?;
            let prepared = prepare();
            match fork("starting the inner process")? {
                ForkResult::Parent { child } => init::be(child),
                ForkResult::Child => {
                    mask.thread_set_mask()
                        .map_err(|cause| Error::new("unblocking signals", cause))?;
                    prepared.map(|()| Sandbox {
                        init,
                        user_namespace,
                    })
                }
            }
        }
    }
}

/// Returns whether a user namespace was needed.
fn unshare_all() -> Result<bool, Error> {
    let flags = CloneFlags::CLONE_NEWNS
        | CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWNET;
    // Root in a container may lack CAP_SYS_ADMIN and still be allowed user namespaces.
    if getuid().is_root() && unshare(flags).is_ok() {
        return Ok(false);
    }
    let (uid, gid) = (getuid(), getgid());
    unshare(CloneFlags::CLONE_NEWUSER)
        .map_err(|cause| Error::new("making a user namespace", cause))?;
    write("/proc/self/setgroups", "deny")?;
    write("/proc/self/uid_map", &format!("0 {uid} 1"))?;
    write("/proc/self/gid_map", &format!("0 {gid} 1"))?;
    unshare(flags).map_err(|cause| Error::new("making namespaces", cause))?;
    Ok(true)
}

/// Makes the world of the new namespaces habitable; runs in process 1.
fn prepare() -> Result<(), Error> {
    let none = None::<&str>;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .map_err(|cause| Error::new("making mounts private", cause))?;
    let safe = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(
        Some("vip-lab"),
        "/run",
        Some("tmpfs"),
        safe,
        Some("mode=0755"),
    )
    .map_err(|cause| Error::new("mounting an empty /run", cause))?;
    // A container with a masked /proc does not allow a new one; what the lab reads of itself
    // (/proc/self, /proc/thread-self) is right in the old one too.
    let _ = mount(
        Some("proc"),
        "/proc",
        Some("proc"),
        safe | MsFlags::MS_NOEXEC,
        none,
    );
    crate::netns::ip(&["link", "set", "lo", "up"])
        .map(drop)
        .map_err(|cause| Error::Failed {
            step: "setting lo up",
            cause: io::Error::other(cause),
        })
}

fn pipe() -> Result<(OwnedFd, OwnedFd), Error> {
    nix::unistd::pipe2(OFlag::O_CLOEXEC).map_err(|cause| Error::new("making a pipe", cause))
}

#[expect(unsafe_code, reason = "fork")]
fn fork(step: &'static str) -> Result<ForkResult, Error> {
    // SAFETY: `enter` runs before any thread is started, so the child is as whole as its parent.
    unsafe { nix::unistd::fork() }.map_err(|cause| Error::new(step, cause))
}

fn write(path: &str, text: &str) -> Result<(), Error> {
    std::fs::write(path, text).map_err(|cause| {
        let errno = Errno::from_raw(cause.raw_os_error().unwrap_or_default());
        Error::new("mapping the own user to root", errno)
    })
}
