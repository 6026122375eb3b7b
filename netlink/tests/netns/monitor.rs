//! What happened in between, as `ip monitor` tells it.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use vip_lab::netns::Namespace;

use crate::world::Anything;

/// `ip monitor address` in a namespace.
pub(crate) struct Monitor {
    child: Child,
    lines: Receiver<String>,
    namespace: Namespace,
    marks: u8,
}

impl Monitor {
    /// Starts it, and returns when it is listening.
    pub(crate) fn start(namespace: &Namespace) -> Result<Self, Anything> {
        let mut child = namespace
            .command("ip")
            .args(["-o", "monitor", "address"])
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take().ok_or("no output")?;
        let (send, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        let mut monitor = Self {
            child,
            lines,
            namespace: namespace.clone(),
            marks: 0,
        };
        for _ in 0..200 {
            let mark = monitor.mark()?;
            match monitor.until(&mark, Duration::from_millis(50)) {
                Ok(_) => return Ok(monitor),
                Err(RecvTimeoutError::Timeout) => {}
                Err(error @ RecvTimeoutError::Disconnected) => return Err(error.into()),
            }
        }
        Err("ip monitor heard nothing".into())
    }

    /// Returns everything that was told until now.
    pub(crate) fn so_far(&mut self) -> Result<Vec<String>, Anything> {
        let mark = self.mark()?;
        Ok(self.until(&mark, Duration::from_secs(10))?)
    }

    /// Waits for a line with all of `words`.
    pub(crate) fn wait_for(&self, words: &[&str]) -> Result<String, Anything> {
        loop {
            // Ends: an address that never goes makes no more lines.
            let line = self.lines.recv_timeout(Duration::from_secs(10))?;
            if words.iter().all(|word| line.contains(word)) {
                return Ok(line);
            }
        }
    }

    /// Adds an address to `lo` that will be told about.
    fn mark(&mut self) -> Result<String, Anything> {
        self.marks += 1;
        let mark = format!("127.9.9.{}/32", self.marks);
        self.namespace.ip(&["address", "add", &mark, "dev", "lo"])?;
        Ok(mark)
    }

    fn until(&self, mark: &str, patience: Duration) -> Result<Vec<String>, RecvTimeoutError> {
        let mut told = Vec::new();
        loop {
            let line = self.lines.recv_timeout(patience)?;
            if line.contains(mark) {
                return Ok(told);
            }
            told.push(line);
        }
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
