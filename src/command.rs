//! Applier: runs a shell command beside the daemon, and ends it with all that it started.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};
use tokio::task::spawn_blocking;

/// What a command does not inherit: our way to Consul and to systemd, and other programs' secrets in
/// vip-manager's file.
const OURS: [&str; 9] = [
    "CONSUL_HTTP_TOKEN",
    "CONSUL_HTTP_TOKEN_FILE",
    "CONSUL_HTTP_AUTH",
    "CREDENTIALS_DIRECTORY",
    "NOTIFY_SOCKET",
    "VIP_CONSUL_TOKEN",
    "VIP_ETCD_PASSWORD",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
];

/// A running shell and all that it started, unless that made itself independent. Killed when dropped.
///
/// It runs as the user of this process, without a capability even for root, in its environment without
/// [`OURS`], with nothing to read. What it leaves running in the background after its own end is its own
/// affair.
pub(crate) struct Running(Child);

impl Running {
    /// Starts `/bin/sh -c command`, its output thrown away.
    pub(crate) async fn start(command: &str) -> Result<Self, String> {
        spawn(shell(command)).await
    }

    /// Starts it with more in its environment; what it prints, on either stream, comes out of the pipe.
    pub(crate) async fn start_with(
        command: &str,
        environment: &[(&'static str, String)],
    ) -> Result<(Self, pipe::Receiver), String> {
        let mut shell = shell(command);
        for (name, value) in environment {
            shell.env(name, value);
        }
        let output = printing_into_a_pipe(&mut shell)
            .map_err(|error| format!("cannot be given a pipe for its output: {error}"))?;
        Ok((spawn(shell).await?, output))
    }

    /// Waits until the shell itself ends. Cancel safe.
    pub(crate) async fn end(&mut self) -> Result<ExitStatus, String> {
        let ended = self.0.wait().await;
        ended.map_err(|error| format!("cannot be waited for: {error}"))
    }

    /// Kills the shell and all that it started.
    pub(crate) fn kill(&self) {
        // There is no id once the end was seen: it may be somebody else's by now.
        let id = self.0.id().and_then(|id| i32::try_from(id).ok());
        if let Some(id) = id {
            let _ = killpg(Pid::from_raw(id), Signal::SIGKILL);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Says how a command failed, as it continues `health-command 'x'`.
pub(crate) fn judge(status: ExitStatus) -> Result<(), String> {
    match (status.code(), status.signal()) {
        (Some(0), _) => Ok(()),
        (Some(code), _) => Err(format!("exited with status {code}")),
        (None, Some(signal)) => Err(format!("was killed by signal {signal}")),
        (None, None) => Err(format!("ended with {status}")),
    }
}

fn shell(command: &str) -> Command {
    let mut shell = Command::new("/bin/sh");
    for variable in OURS {
        shell.env_remove(variable);
    }
    shell
        .arg("-c")
        .arg(command)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0);
    shell
}

fn printing_into_a_pipe(shell: &mut Command) -> io::Result<pipe::Receiver> {
    let (read, write) = io::pipe()?;
    shell.stderr(write.try_clone()?).stdout(write);
    pipe::Receiver::from_owned_fd(OwnedFd::from(read))
}

/// Beside the main thread, which may have capabilities. One that nobody waits for any more is killed.
async fn spawn(mut shell: Command) -> Result<Running, String> {
    let spawned = spawn_blocking(move || shell.spawn().map(Running)).await;
    let spawned = spawned.map_err(|error| format!("cannot be started: {error}"))?;
    spawned.map_err(|error| format!("cannot be started: {error}"))
}
