//! Applier: one program on a virtual host, and everything it says.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::history::History;
use crate::time::{Timeout, since_start, until};

/// How long the log of a program that has ended is waited for.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// A line that a program printed.
#[derive(Clone, Debug)]
pub struct Line {
    /// When it was read.
    pub at: Instant,
    /// The line, without its end.
    pub text: String,
}

/// What a program printed on standard output and standard error, over all its lives.
pub type Log = History<Line>;

impl Log {
    /// Waits for a line with `text` among those after the mark `from` (see [`History::len`]).
    ///
    /// # Errors
    /// [`Timeout`] after `limit`.
    pub fn wait_for(&self, text: &str, from: usize, limit: Duration) -> Result<Line, Timeout> {
        self.wait(&format!("the log line {text:?}"), limit, |lines| {
            lines
                .iter()
                .skip(from)
                .find(|line| line.text.contains(text))
                .cloned()
        })
    }

    /// Returns the last `count` lines, with their times in seconds since the lab's start.
    pub fn tail(&self, count: usize) -> String {
        self.read(|lines| {
            let tail = lines.iter().skip(lines.len().saturating_sub(count));
            tail.map(|line| format!("{:9.3} {}\n", since_start(line.at).as_secs_f64(), line.text))
                .collect()
        })
    }
}

/// A running program and its children, which form a process group. Killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    group: Pid,
    reader: JoinHandle<()>,
}

impl Process {
    /// Starts `command` in a process group of its own. What it prints goes into `log` and, with
    /// the time in front, to the end of `file`.
    pub fn start(mut command: Command, log: &Log, file: &Path) -> io::Result<Self> {
        let mut file = File::options().create(true).append(true).open(file)?;
        let (read, write) = io::pipe()?;
        command.process_group(0).stdin(std::process::Stdio::null());
        let child = command.stdout(write.try_clone()?).stderr(write).spawn()?;
        // Ours are the last writing ends outside the program.
        drop(command);
        let log = log.clone();
        let reader = std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || {
                for line in BufReader::new(read).split(b'\n') {
                    let Ok(line) = line else { return };
                    let line = Line {
                        at: Instant::now(),
                        text: String::from_utf8_lossy(&line).into(),
                    };
                    let seconds = since_start(line.at).as_secs_f64();
                    let _ = writeln!(file, "{seconds:9.3} {}", line.text);
                    log.push(line);
                }
            })?;
        let group = Pid::from_raw(child.id().cast_signed());
        Ok(Self {
            child,
            group,
            reader,
        })
    }

    /// Returns the program's process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal to the whole group, as a service manager does.
    pub fn signal(&self, signal: Signal) -> io::Result<()> {
        match killpg(self.group, signal) {
            // All of it has ended already.
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns the exit status, or nothing while the program runs.
    pub fn exit_status(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Waits for the end, and until its last words are in the log.
    ///
    /// # Errors
    /// [`Timeout`] after `limit`.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus, Timeout> {
        let status = until("a program to end", limit, || match self.child.try_wait() {
            Ok(Some(status)) => Ok(status),
            Ok(None) => Err("it is still running".to_owned()),
            Err(error) => Err(error.to_string()),
        })?;
        // A child of its own that lives on may still talk; nobody waits long for that.
        let _ = until("its last words", LAST_WORDS, || {
            let heard = self.reader.is_finished();
            heard
                .then_some(())
                .ok_or_else(|| "more may come".to_owned())
        });
        Ok(status)
    }

    /// Returns a line of `/proc/PID/status`, such as `CapEff`.
    pub fn status_field(&self, name: &str) -> io::Result<Option<String>> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id()))?;
        let fields = status.lines().filter_map(|line| line.split_once(':'));
        let mut named = fields.filter(|(field, _)| *field == name);
        Ok(named.next().map(|(_, value)| value.trim().to_owned()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.signal(Signal::SIGKILL);
        let _ = self.child.wait();
    }
}
