//! Applier: runs a command.

use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::{Child, Command};
use tokio::task::spawn_blocking;

use super::probe::{Ask, too_late};

/// What a command does not inherit: our way to Consul, and other programs' secrets in vip-manager's file.
const SECRETS: [&str; 6] = [
    "CONSUL_HTTP_TOKEN",
    "CONSUL_HTTP_TOKEN_FILE",
    "CONSUL_HTTP_AUTH",
    "CREDENTIALS_DIRECTORY",
    "VIP_CONSUL_TOKEN",
    "VIP_ETCD_PASSWORD",
];

/// A command that exits with status 0 when all is well.
///
/// It runs as the user of this process, without a capability even for root, in its environment without
/// [`SECRETS`], with nothing to read and its output thrown away. What it leaves running in the background
/// after its own end is its own affair.
pub(super) struct CommandProbe {
    command: String,
    timeout: Duration,
    running: Option<Group>,
}

impl CommandProbe {
    pub(super) fn new(command: String, timeout: Duration) -> Self {
        Self {
            command,
            timeout,
            running: None,
        }
    }

    async fn run(&mut self) -> Result<(), String> {
        // One that hangs in the kernel ends later than it is killed. There is never a second one.
        if let Some(killed) = &mut self.running {
            killed.end().await?;
        }
        let command = self.command.clone();
        // Beside the main thread, which may have capabilities. One that nobody waits for any more is killed.
        let spawned = spawn_blocking(move || Group::spawn(&command)).await;
        let spawned = spawned.unwrap_or_else(|error| Err(format!("cannot be started: {error}")));
        let running = self.running.insert(spawned?);
        let status = running.end().await?;
        self.running = None;
        judge(status)
    }
}

impl Ask for CommandProbe {
    async fn ask(&mut self) -> Result<(), String> {
        let timeout = self.timeout;
        match tokio::time::timeout(timeout, self.run()).await {
            Ok(answer) => answer,
            Err(_) => {
                if let Some(running) = &self.running {
                    running.kill();
                }
                Err(too_late(timeout))
            }
        }
    }
}

/// A running shell and all that it started, unless that made itself independent. Killed when dropped.
struct Group(Child);

impl Group {
    fn spawn(command: &str) -> Result<Self, String> {
        let mut shell = Command::new("/bin/sh");
        for secret in SECRETS {
            shell.env_remove(secret);
        }
        shell
            .arg("-c")
            .arg(command)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map(Self)
            .map_err(|error| format!("cannot be started: {error}"))
    }

    async fn end(&mut self) -> Result<ExitStatus, String> {
        let ended = self.0.wait().await;
        ended.map_err(|error| format!("cannot be waited for: {error}"))
    }

    fn kill(&self) {
        // There is no id once the end was seen: it may be somebody else's by now.
        let id = self.0.id().and_then(|id| i32::try_from(id).ok());
        if let Some(id) = id {
            let _ = killpg(Pid::from_raw(id), Signal::SIGKILL);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}

fn judge(status: ExitStatus) -> Result<(), String> {
    match (status.code(), status.signal()) {
        (Some(0), _) => Ok(()),
        (Some(code), _) => Err(format!("exited with status {code}")),
        (None, Some(signal)) => Err(format!("was killed by signal {signal}")),
        (None, None) => Err(format!("ended with {status}")),
    }
}
