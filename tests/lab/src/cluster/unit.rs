//! Applier: a program of a host that may run or not, what it said in all its lives, and a supervisor
//! that starts it again when it has died.

use std::io;
use std::process::ExitStatus;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use nix::sys::signal::Signal;
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;

use super::Error;
use super::place::Place;
use super::setup::{Program, failed};
use crate::process::{Log, Process};
use crate::time::until;

/// A program of a host. Killed when the host goes.
#[derive(Debug)]
pub struct Unit(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// As it is called in messages.
    name: &'static str,
    program: Option<Program>,
    place: Arc<Place>,
    log: Log,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    process: Option<Process>,
    /// Whether it should run, as far as anybody was told.
    wanted: bool,
    /// How long after its death the supervisor starts it again; none where there is no supervisor.
    supervised: Option<Duration>,
    lives: u32,
    restarts: u32,
}

impl Unit {
    pub(super) fn new(name: &'static str, program: Option<Program>, place: &Arc<Place>) -> Self {
        Self(Arc::new(Inner {
            name,
            program,
            place: Arc::clone(place),
            log: Log::default(),
            state: Mutex::default(),
        }))
    }

    /// Returns what it said in all its lives.
    pub fn log(&self) -> &Log {
        &self.0.log
    }

    /// Returns the process id, if it was started and not waited for.
    pub fn id(&self) -> Option<u32> {
        self.0.lock().process.as_ref().map(Process::id)
    }

    /// Returns a line of `/proc/PID/status`, such as `CapEff`.
    pub fn status_field(&self, name: &str) -> io::Result<Option<String>> {
        match &self.0.lock().process {
            Some(process) => process.status_field(name),
            None => Ok(None),
        }
    }

    /// Returns how often the supervisor has started it again.
    pub fn restarts(&self) -> u32 {
        self.0.lock().restarts
    }

    /// Sends a signal to the program and its children, as a service manager does. Where it dies of
    /// that, a supervisor starts it again.
    pub fn signal(&self, signal: Signal) -> Result<(), Error> {
        let state = self.0.lock();
        let process = state.process.as_ref().ok_or_else(|| self.not_running())?;
        process.signal(signal).map_err(|cause| {
            let host = self.0.place.namespace().name();
            failed("send a signal to a program on", host, cause)
        })
    }

    /// Has it started again `after` each death that nobody ordered by [`Unit::stop`]; or no longer,
    /// with none. Counts from its next start.
    pub(super) fn supervise(&self, after: Option<Duration>) {
        self.0.lock().supervised = after;
    }

    /// Starts it, unless it runs or the host has no such program.
    pub(super) fn start(&self) -> Result<(), Error> {
        let mut state = self.0.lock();
        state.wanted = true;
        self.0.start(&mut state)
    }

    /// Ends it with `signal`, for good, and waits for that.
    pub(super) fn stop(&self, signal: Signal, limit: Duration) -> Result<ExitStatus, Error> {
        self.begin_to_stop(signal)?;
        self.wait(limit)
    }

    /// Sends the signal that is to end it for good.
    pub(super) fn begin_to_stop(&self, signal: Signal) -> Result<(), Error> {
        self.0.lock().wanted = false;
        self.signal(signal)
    }

    /// Waits for its end, and forgets the process.
    pub(super) fn wait(&self, limit: Duration) -> Result<ExitStatus, Error> {
        let ended = until(&format!("{} to end", self.0.name), limit, || {
            let mut state = self.0.lock();
            let Some(process) = state.process.as_mut() else {
                return Ok(None);
            };
            match process.exit_status() {
                Ok(Some(status)) => {
                    state.process = None;
                    Ok(Some(status))
                }
                Ok(None) => Err("it is still running".to_owned()),
                Err(error) => Err(error.to_string()),
            }
        })?;
        ended.ok_or_else(|| self.not_running())
    }

    /// Runs its program once, beside it, with other arguments; what that says goes into `log`, and to the
    /// end of `file` in the host's directory.
    pub(super) fn run_aside<'a>(
        &self,
        arguments: impl IntoIterator<Item = &'a str>,
        log: &Log,
        file: &str,
    ) -> Result<Process, Error> {
        let place = &self.0.place;
        let program = self.0.program.as_ref().ok_or_else(|| self.not_running())?;
        let program = Program::new(&program.path).args(arguments);
        let started = Process::start(program.command(place), log, &place.directory().join(file));
        started.map_err(|cause| self.0.does_not_start(&program, cause))
    }

    /// Kills it, for good, whatever it is doing.
    pub(super) fn annihilate(&self) {
        let mut state = self.0.lock();
        state.wanted = false;
        state.process = None;
    }

    fn not_running(&self) -> Error {
        Error::NotRunning {
            program: self.0.name,
            host: self.0.place.namespace().name().to_owned(),
        }
    }
}

impl Inner {
    fn does_not_start(&self, program: &Program, cause: io::Error) -> Error {
        Error::Start {
            program: program.path.display().to_string(),
            host: self.place.namespace().name().to_owned(),
            cause,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(self: &Arc<Self>, state: &mut State) -> Result<(), Error> {
        let Some(program) = &self.program else {
            return Ok(());
        };
        if let Some(process) = &mut state.process
            && matches!(process.exit_status(), Ok(None))
        {
            return Ok(());
        }
        let fail = |cause| self.does_not_start(program, cause);
        let command = program.command(&self.place);
        let file = format!("{}.log", self.name.trim_start_matches("the "));
        let process =
            Process::start(command, &self.log, &self.place.directory().join(file)).map_err(fail)?;
        state.lives += 1;
        if let Some(after) = state.supervised {
            let (unit, life) = (Arc::downgrade(self), state.lives);
            let id = Pid::from_raw(process.id().cast_signed());
            std::thread::Builder::new()
                .name("supervisor".to_owned())
                .spawn(move || supervise(&unit, life, id, after))
                .map_err(fail)?;
        }
        state.process = Some(process);
        Ok(())
    }
}

/// Waits for the end of one life, and begins the next. Ends with the process, which the unit kills
/// when it goes.
fn supervise(unit: &Weak<Inner>, life: u32, id: Pid, after: Duration) {
    // Not reaped here; where somebody else has, there is an error, and it has ended all the same.
    let _ = waitid(Id::Pid(id), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT);
    std::thread::sleep(after);
    let Some(unit) = unit.upgrade() else { return };
    let mut state = unit.lock();
    if state.wanted && state.lives == life {
        state.restarts += 1;
        // Whoever waits for this host to be well again will say that it never was.
        let _ = unit.start(&mut state);
    }
}
