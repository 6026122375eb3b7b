//! Applier: the two processes around the inner one.

use std::io::{Read, Write};
use std::os::fd::OwnedFd;

use nix::errno::Errno;
use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, kill, signal};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{Pid, setsid};

const AWAITED: [Signal; 3] = [Signal::SIGCHLD, Signal::SIGINT, Signal::SIGTERM];

/// Blocks the signals that the outer process and init wait for; returns the mask before.
pub(super) fn block_signals() -> nix::Result<SigSet> {
    default_dispositions()?;
    SigSet::from_iter(AWAITED).thread_swap_mask(SigmaskHow::SIG_BLOCK)
}

/// The outer process: tells `init` its number, forwards signals, ends as init ends.
pub(super) fn stay_outside(init: Pid, tell: OwnedFd) -> ! {
    // A failure means that init is gone, which the loop is about to see.
    let _ = std::fs::File::from(tell).write_all(&init.as_raw().to_ne_bytes());
    loop {
        match next_event() {
            Event::ChildEnded => match waitpid(init, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) => {}
                Ok(status) => std::process::exit(exit_status(status).unwrap_or(1)),
                Err(_) => std::process::exit(1),
            },
            Event::Asked(signal) => {
                let _ = kill(init, signal);
            }
        }
    }
}

/// Makes init die with the outer process, and gives it a session of its own so that Ctrl-C reaches
/// the inside once, through the outer process. Returns init's number as seen from outside.
pub(super) fn tie_to_outer(number: OwnedFd) -> nix::Result<Pid> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)?;
    // Had the outer process died before that, nobody would be left to send a number.
    let mut bytes = [0; 4];
    std::fs::File::from(number)
        .read_exact(&mut bytes)
        .map_err(|_| Errno::EPIPE)?;
    setsid()?;
    Ok(Pid::from_raw(i32::from_ne_bytes(bytes)))
}

/// Process 1: reaps every orphan, forwards the first signal to `inner` and ends at the second, or
/// as `inner` ends. The kernel then kills whatever is left inside.
pub(super) fn be(inner: Pid) -> ! {
    let mut asked = false;
    loop {
        match next_event() {
            Event::ChildEnded => {
                if let Some(code) = reap(inner) {
                    std::process::exit(code);
                }
            }
            Event::Asked(signal) if asked => std::process::exit(128 + signal as i32),
            Event::Asked(signal) => {
                asked = true;
                let _ = kill(inner, signal);
            }
        }
    }
}

/// Reaps all that have ended; returns the exit status once `inner` is among them.
fn reap(inner: Pid) -> Option<i32> {
    let mut code = None;
    while let Ok(status) = waitpid(None, Some(WaitPidFlag::WNOHANG)) {
        if status == WaitStatus::StillAlive {
            break;
        }
        if status.pid() == Some(inner) {
            code = exit_status(status);
        }
    }
    code
}

/// Returns the exit status that a shell would report.
fn exit_status(status: WaitStatus) -> Option<i32> {
    match status {
        WaitStatus::Exited(_, code) => Some(code),
        WaitStatus::Signaled(_, signal, _) => Some(128 + signal as i32),
        WaitStatus::Stopped(..)
        | WaitStatus::PtraceEvent(..)
        | WaitStatus::PtraceSyscall(_)
        | WaitStatus::Continued(_)
        | WaitStatus::StillAlive => None,
    }
}

/// What the outer process and init wait for.
enum Event {
    ChildEnded,
    /// SIGINT or SIGTERM.
    Asked(Signal),
}

fn next_event() -> Event {
    let awaited = SigSet::from_iter(AWAITED);
    loop {
        if let Ok(signal) = awaited.wait() {
            return if signal == Signal::SIGCHLD {
                Event::ChildEnded
            } else {
                Event::Asked(signal)
            };
        }
    }
}

/// A caller may have left them ignored, as shells do with SIGINT for what runs in the background:
/// then nobody's end would be reported, and nobody inside would end.
#[expect(unsafe_code, reason = "signal disposition")]
fn default_dispositions() -> nix::Result<()> {
    for awaited in AWAITED {
        // SAFETY: the default disposition runs no handler.
        unsafe { signal(awaited, SigHandler::SigDfl) }?;
    }
    Ok(())
}
