//! Applier: nothing is left behind, however the lab ends.
//!
//! The binary plays two parts: run by cargo it is the tests; run by the tests, with a role as its
//! only argument, it enters a sandbox. What is inside inherits a pipe from the test, and the pipe's
//! end of file is the event "no process is left inside".

use std::error::Error;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed, Trial};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use vip_lab::netns::Namespace;
use vip_lab::sandbox;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("role-linger") => inside(|| {
            loop {
                // Returns at once where something before has left its wake-up behind.
                std::thread::park();
            }
        }),
        Some("role-exit") => inside(|| Ok(7)),
        Some("role-reap") => inside(reaped),
        _ => libtest_mimic::run(&Arguments::from_args(), trials()).exit_code(),
    }
}

fn trials() -> Vec<Trial> {
    vec![
        Trial::test("a_killed_lab_leaves_nothing", || {
            ends_after(Signal::SIGKILL, None)
        }),
        Trial::test("an_interrupted_lab_leaves_nothing", || {
            ends_after(Signal::SIGINT, Some(128 + Signal::SIGINT as i32))
        }),
        Trial::test("a_terminated_lab_leaves_nothing", || {
            ends_after(Signal::SIGTERM, Some(128 + Signal::SIGTERM as i32))
        }),
        Trial::test("the_exit_status_is_passed_on", || {
            let (mut outer, output) = start("role-exit")?;
            expect_end(&mut outer, output, Some(7))
        }),
        Trial::test("orphans_are_reaped", || {
            let (mut outer, output) = start("role-reap")?;
            expect_end(&mut outer, output, Some(0))
        }),
    ]
}

/// Enters, makes a namespace and a daemon in it, says so, and goes on with `then`.
fn inside(then: fn() -> Result<u8, Box<dyn Error>>) -> ExitCode {
    let result = sandbox::enter().map_err(Box::from).and_then(|_| {
        let host = Namespace::new("host")?;
        // A daemon: its parent has left it behind.
        host.command("sh")
            .args(["-c", "sleep 1000 & echo ready"])
            .spawn()?
            .wait()?;
        then()
    });
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            let mut words = vec![error.to_string()];
            let mut cause = error.source();
            while let Some(next) = cause {
                words.push(next.to_string());
                cause = next.source();
            }
            report(&words.join(": "));
            ExitCode::from(99)
        }
    }
}

/// Orphans end up with process 1, and stay as zombies unless it reaps them.
fn reaped() -> Result<u8, Box<dyn Error>> {
    let orphan = Command::new("sh")
        .args(["-c", "sleep 0.05 & echo $!"])
        .output()?;
    let orphan: i32 = String::from_utf8(orphan.stdout)?.trim().parse()?;
    let start = Instant::now();
    while kill(Pid::from_raw(orphan), None).is_ok() {
        if start.elapsed() > Duration::from_secs(10) {
            return Ok(1);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(0)
}

fn ends_after(signal: Signal, code: Option<i32>) -> Result<(), Failed> {
    let (mut outer, output) = start("role-linger")?;
    kill(Pid::from_raw(outer.id().cast_signed()), signal)?;
    expect_end(&mut outer, output, code)
}

fn start(role: &str) -> Result<(Child, BufReader<ChildStdout>), Failed> {
    let mut outer = Command::new(std::env::current_exe()?)
        .arg(role)
        .stdout(Stdio::piped())
        .spawn()?;
    let mut output = BufReader::new(outer.stdout.take().ok_or("no output")?);
    let mut line = String::new();
    output.read_line(&mut line)?;
    if line != "ready\n" {
        return Err(format!("the inside said {line:?}, not that it is ready").into());
    }
    Ok((outer, output))
}

fn expect_end(
    outer: &mut Child,
    mut output: BufReader<ChildStdout>,
    code: Option<i32>,
) -> Result<(), Failed> {
    let (tell, ended) = std::sync::mpsc::channel();
    std::thread::spawn(move || tell.send(output.read_to_end(&mut Vec::new()).is_ok()));
    if ended.recv_timeout(Duration::from_secs(10)) != Ok(true) {
        return Err("a process was left inside for 10 s".into());
    }
    let status = outer.wait()?;
    if status.code() == code {
        Ok(())
    } else {
        Err(format!("ended with {status}").into())
    }
}

#[expect(clippy::print_stderr, reason = "the test's only way to say why")]
fn report(message: &str) {
    eprintln!("{message}");
}
