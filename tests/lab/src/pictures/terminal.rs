//! Driver: a program on a terminal of its own.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};

use anyhow::Context;
use nix::errno::Errno;
use nix::pty::{Winsize, openpty};

/// Wide enough for every line that is to be seen.
const SIZE: Winsize = Winsize {
    ws_row: 50,
    ws_col: 110,
    ws_xpixel: 0,
    ws_ypixel: 0,
};

/// Runs `command` until it ends by itself; returns what it printed, with its colours.
pub(super) fn show(mut command: Command) -> anyhow::Result<String> {
    let pair = openpty(&SIZE, None).context("a terminal could not be opened")?;
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::from(pair.slave.try_clone()?))
        .stderr(Stdio::from(pair.slave))
        .env_remove("NO_COLOR")
        .env("TERM", "xterm-256color")
        .spawn()
        .with_context(|| format!("{} could not be started", command.get_program().display()))?;
    // Its copies of the terminal are closed with it; then only the program's are left.
    drop(command);
    let printed = read(pair.master);
    let status = child.wait()?;
    let printed = printed.context("reading the terminal")?;
    anyhow::ensure!(status.success(), "it ended with {status}:\n{printed}");
    Ok(printed)
}

/// Reads until nobody has the other side open, which Linux says with EIO.
fn read(master: OwnedFd) -> io::Result<String> {
    let (mut printed, mut buffer) = (Vec::new(), [0; 4096]);
    let mut master = File::from(master);
    loop {
        match master.read(&mut buffer) {
            Ok(0) => break,
            Ok(length) => printed.extend_from_slice(&buffer[..length]),
            Err(error) if error.raw_os_error() == Some(Errno::EIO as i32) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(String::from_utf8_lossy(&printed).into_owned())
}
