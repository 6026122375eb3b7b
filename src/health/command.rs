//! Applier: asks a command.

use std::time::Duration;

use super::probe::{Ask, too_late};
use crate::command::{Running, judge};

/// A command that exits with status 0 when all is well.
pub(super) struct CommandProbe {
    command: String,
    timeout: Duration,
    running: Option<Running>,
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
        let running = self.running.insert(Running::start(&self.command).await?);
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
