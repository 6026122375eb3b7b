//! Applier: what can happen to a daemon, and to the machine under it.

use std::process::ExitStatus;
use std::time::Instant;

use nix::sys::signal::Signal;

use super::STOP_LIMIT;
use crate::clock::Clock;
use crate::cluster::{Cluster, Error, Host, Trouble};
use crate::witness::measure::Span;

impl Cluster {
    /// Asks the daemon to stop (SIGTERM), and waits for that. No supervisor starts it again.
    pub fn stop_daemon(&mut self, host: &str) -> Result<ExitStatus, Error> {
        let host = self.host(host)?;
        host.daemon().stop(Signal::SIGTERM, STOP_LIMIT)
    }

    /// Asks the daemon to stop, as [`stop_daemon`](Self::stop_daemon) does, and does not wait.
    pub fn begin_to_stop_daemon(&mut self, host: &str) -> Result<(), Error> {
        self.host(host)?.daemon().begin_to_stop(Signal::SIGTERM)
    }

    /// Waits for the end of a daemon that was asked to stop.
    pub fn wait_for_daemon(&mut self, host: &str) -> Result<ExitStatus, Error> {
        self.host(host)?.daemon().wait(STOP_LIMIT)
    }

    /// Kills the daemon. No supervisor starts it again.
    pub fn kill_daemon(&mut self, host: &str) -> Result<(), Error> {
        let host = self.host(host)?;
        host.daemon().stop(Signal::SIGKILL, STOP_LIMIT).map(drop)
    }

    /// Kills the daemon where a supervisor sees it.
    pub fn strike_daemon(&mut self, host: &str) -> Result<(), Error> {
        self.host(host)?.daemon().signal(Signal::SIGKILL)
    }

    /// Starts the daemon, after a stop or a kill.
    pub fn start_daemon(&mut self, host: &str) -> Result<(), Error> {
        self.host(host)?.start_daemon()
    }

    /// Stops the daemon in mid-air (SIGSTOP).
    pub fn freeze_daemon(&mut self, host: &str) -> Result<(), Error> {
        self.host(host)?.daemon().signal(Signal::SIGSTOP)
    }

    /// Lets the daemon go on (SIGCONT).
    pub fn thaw_daemon(&mut self, host: &str) -> Result<(), Error> {
        self.host(host)?.daemon().signal(Signal::SIGCONT)
    }

    /// Stops the companion in mid-air (SIGSTOP).
    pub fn freeze_companion(&mut self, host: &str) -> Result<(), Error> {
        self.host(host)?.companion().signal(Signal::SIGSTOP)
    }

    /// Lets the companion go on (SIGCONT).
    pub fn thaw_companion(&mut self, host: &str) -> Result<(), Error> {
        self.host(host)?.companion().signal(Signal::SIGCONT)
    }

    /// Makes the host's health endpoint answer 503.
    pub fn fail_check(&mut self, host: &str) -> Result<(), Error> {
        self.host(host).map(|host| host.set_healthy(false))
    }

    /// Makes the host's health endpoint answer 200 again.
    pub fn heal_check(&mut self, host: &str) -> Result<(), Error> {
        self.host(host).map(|host| host.set_healthy(true))
    }

    /// Makes [`LOCAL_URL`](crate::cluster::LOCAL_URL) answer 503.
    pub fn fail_local_health(&mut self, host: &str) -> Result<(), Error> {
        self.host(host).map(|host| host.set_locally_healthy(false))
    }

    /// Makes [`LOCAL_URL`](crate::cluster::LOCAL_URL) answer 200 again.
    pub fn heal_local_health(&mut self, host: &str) -> Result<(), Error> {
        self.host(host).map(|host| host.set_locally_healthy(true))
    }

    /// Sets what happens between the daemon and its agent, where it is
    /// [proxied](crate::cluster::Program::proxied).
    pub fn trouble(&mut self, host: &str, trouble: Trouble) -> Result<(), Error> {
        self.host(host).map(|host| host.proxy().set(trouble))
    }

    /// Fills the host's runtime directory.
    pub fn fill_disk(&mut self, host: &str) -> Result<(), Error> {
        self.host(host)?.place().fill()
    }

    /// Makes room in the host's runtime directory again.
    pub fn empty_disk(&mut self, host: &str) -> Result<(), Error> {
        self.host(host)?.place().empty()
    }

    /// Sets the daemon's wall clock off by some seconds.
    ///
    /// # Errors
    /// [`Error::Impossible`] where the daemon was not started with a [`Clock`], or does not ask it.
    pub fn step_clock(&mut self, host: &str, seconds: i64) -> Result<(), Error> {
        let host = self.host(host)?;
        if host.daemon().id().is_some_and(|id| !Clock::is_in(id)) {
            return Err(Error::Impossible(
                "the daemon has no clock of its own that it listens to".to_owned(),
            ));
        }
        host.place().step_clock(seconds)
    }

    /// Cuts the host's power: no carrier, no process. What it had does not count from here on.
    pub fn crash(&mut self, host: &str) -> Result<(), Error> {
        let (name, host) = (host.into(), self.host(host)?);
        host.unplug()?;
        let from = Instant::now();
        let ended = host.kill_everything();
        self.dead.push(Span {
            host: name,
            from,
            until: None,
        });
        ended
    }

    /// Boots a crashed host: its disk is there, its memory is not.
    pub fn reboot(&mut self, host: &str) -> Result<(), Error> {
        self.host(host)?.forget()?;
        if let Some(span) = self.dead.iter_mut().rfind(|span| *span.host == *host) {
            span.until = Some(Instant::now());
        }
        self.host(host)?.boot()
    }

    pub(super) fn host_mut(&mut self, name: &str) -> Result<&mut Host, Error> {
        let found = self.hosts.iter_mut().find(|host| host.name() == name);
        found.ok_or_else(|| Error::NoHost(name.to_owned()))
    }
}
