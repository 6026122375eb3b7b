//! A daemon whose log nobody reads.

use std::io::{Read, Write, pipe};

use libtest_mimic::Trial;
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::agent::{Agent, eventually};
use crate::daemon::Site;
use crate::trial;

/// The least that a pipe holds, in bytes.
const PIPE: usize = 4096;

/// The most that everybody may have (`pipe-max-size`, pipe(7)), in bytes.
const ROOM: usize = 1024 * 1024;

pub(crate) fn trials() -> Vec<Trial> {
    vec![trial(
        "a_log_that_nobody_reads_keeps_nobody_from_leading",
        unheard,
    )]
}

async fn unheard() {
    let agent = Agent::server();
    let site = Site::new("service/pg/leader", "host1")
        .flag(&format!("--addr={}", agent.url()))
        .flag("--log-level=trace");
    let (mut reader, mut writer) = pipe().unwrap();
    fcntl(&writer, FcntlArg::F_SETPIPE_SZ(PIPE.try_into().unwrap())).unwrap();
    writer.write_all(&[b'-'; PIPE]).unwrap();
    let mut command = site.command();
    let mut daemon = command.stdout(writer).spawn().unwrap();
    // Ours is the last writing end outside the daemon.
    drop(command);
    eventually("the lock to be taken", || {
        let key = agent.ask("GET", "kv/service/pg/leader", "");
        let locked = key.contains("\"Session\"");
        locked.then_some(()).ok_or(key)
    });
    let mut full = [0; PIPE];
    reader.read_exact(&mut full).unwrap();
    // From here on there is room for all that it says.
    fcntl(&reader, FcntlArg::F_SETPIPE_SZ(ROOM.try_into().unwrap())).unwrap();
    kill(Pid::from_raw(daemon.id().cast_signed()), Signal::SIGTERM).unwrap();
    let mut said = String::new();
    reader.read_to_string(&mut said).unwrap();
    let lost = "lines of this log were lost, because nobody read it";
    assert!(said.contains(lost), "{said}");
    assert!(said.contains("stopping"), "{said}");
    assert!(daemon.wait().unwrap().success());
}
