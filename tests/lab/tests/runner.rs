//! Driver: tests in sandboxes of their own are told of as if they had run here.
//!
//! The binary plays two parts: run by cargo it is the tests; run by the tests, with the name of a
//! directory in its environment, it is a suite like those of the lab.

use std::error::Error;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed, Trial};
use tempfile::TempDir;
use vip_lab::runner;

/// Where the tests of the suite meet.
const DIRECTORY: &str = "VIP_LAB_RUNNER_TEST";

const LIMIT: Duration = Duration::from_secs(30);

fn main() -> ExitCode {
    match std::env::var_os(DIRECTORY) {
        Some(directory) => runner::main(&[], suite(directory.into())),
        None => {
            let trials = vec![
                Trial::test("many_sandboxes_have_one_summary", || check(one_summary)),
                Trial::test("two_tests_run_at_once", || check(at_once)),
                Trial::test("one_test_is_shown_as_it_runs", || check(shown)),
                Trial::test("a_list_enters_nothing", || check(listed)),
                Trial::test("a_number_that_is_none_fails_every_test", || check(refused)),
                Trial::test("a_killed_suite_leaves_nothing", || check(killed)),
            ];
            libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
        }
    }
}

/// A suite with tests of every ending.
fn suite(directory: PathBuf) -> Vec<Trial> {
    let here = directory.clone();
    vec![
        Trial::test("passes", || Ok(())),
        Trial::test("fails", || {
            say("before it failed");
            Err("it is wrong".into())
        }),
        Trial::test("panics", || panic!("out of its wits")),
        Trial::test("leaves", || std::process::exit(0)),
        Trial::test("sleeps", || Ok(())).with_ignored_flag(true),
        meeting("meets_one", "meets_other", directory.clone()),
        meeting("meets_other", "meets_one", directory),
        Trial::test("lingers", move || linger(&here)),
    ]
}

fn meeting(own: &'static str, other: &'static str, directory: PathBuf) -> Trial {
    Trial::test(own, move || {
        let network = fs::metadata("/proc/self/ns/net")?.ino().to_string();
        let draft = directory.join(format!("{own}.new"));
        fs::write(&draft, &network)?;
        fs::rename(&draft, directory.join(own))?;
        wait_for(&directory.join(other))?;
        match fs::read_to_string(directory.join(other))? {
            theirs if theirs == network => Err("both are in one network".into()),
            _ => Ok(()),
        }
    })
}

/// Keeps a lock for as long as it lives.
fn linger(directory: &Path) -> Result<(), Failed> {
    let file = File::create(directory.join("lock"))?;
    file.lock()?;
    fs::write(directory.join("lingering"), "")?;
    wait_for(&directory.join("never"))
}

fn one_summary() -> Result<(), Box<dyn Error>> {
    let suite = Suite::new()?;
    let (code, printed) = suite.run(&["--test-threads=2", "--skip=meets", "--skip=lingers"])?;
    let expected =
        "test result: FAILED. 1 passed; 3 failed; 1 ignored; 0 measured; 3 filtered out;";
    for part in [
        "running 5 tests\n",
        "test passes ... ok\n",
        "test fails  ... FAILED\n",
        "test sleeps ... ignored\n",
        "---- fails ----\nbefore it failed\nit is wrong\n",
        "test panicked: out of its wits\n",
        "without a verdict\n",
        "failures:\n    ",
        expected,
    ] {
        if printed.matches(part).count() != 1 {
            return Err(format!("{part:?} is not in there once: {printed}").into());
        }
    }
    expect(code, 101, &printed)
}

/// Each waits for the other, in a network that is not the other's.
fn at_once() -> Result<(), Box<dyn Error>> {
    let (code, printed) = Suite::new()?.run(&["meets", "--test-threads=2"])?;
    expect(code, 0, &printed)
}

fn shown() -> Result<(), Box<dyn Error>> {
    let alone = ["fails", "--exact"];
    let in_order = [
        "--nocapture",
        "--skip=meets",
        "--skip=lingers",
        "--skip=leaves",
    ];
    for arguments in [&alone[..], &in_order] {
        let (code, printed) = Suite::new()?.run(arguments)?;
        expect(code, 101, &printed)?;
        if !printed.contains(" ... before it failed\nFAILED\n") {
            return Err(format!("{arguments:?}: {printed}").into());
        }
    }
    Ok(())
}

fn listed() -> Result<(), Box<dyn Error>> {
    let (code, printed) = Suite::new()?.run(&["--list", "--skip=meets", "--format=terse"])?;
    expect(code, 0, &printed)?;
    let names = ["passes", "fails", "panics", "leaves", "sleeps", "lingers"];
    let expected: String = names.iter().map(|name| format!("{name}: test\n")).collect();
    match printed == expected {
        true => Ok(()),
        false => Err(printed.into()),
    }
}

fn refused() -> Result<(), Box<dyn Error>> {
    let suite = Suite::new()?;
    for number in ["0", "-1", "two", ""] {
        let mut command = suite.command()?;
        command
            .args(["s", "--skip=meets"])
            .env("VIP_LAB_SANDBOXES", number);
        let output = command.output()?;
        let printed = String::from_utf8(output.stdout)?;
        expect(output.status.code(), 101, &printed)?;
        if !printed.contains(" 0 passed; 5 failed; 1 ignored;") {
            return Err(printed.into());
        }
    }
    Ok(())
}

fn killed() -> Result<(), Box<dyn Error>> {
    let suite = Suite::new()?;
    let directory = suite.0.path();
    let mut command = suite.command()?;
    // With a second one, it is in a process of its own.
    command.args(["s", "--skip=meets", "--test-threads=2"]);
    let mut process = command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let lingering = wait_for(&directory.join("lingering"));
    process.kill()?;
    process.wait()?;
    lingering.map_err(|_| "it never lingered")?;
    let lock = File::open(directory.join("lock"))?;
    let (tell, free) = std::sync::mpsc::channel();
    std::thread::spawn(move || tell.send(lock.lock().is_ok()));
    match free.recv_timeout(LIMIT) {
        Ok(true) => Ok(()),
        Ok(false) | Err(_) => Err("the test outlived its suite".into()),
    }
}

/// This binary in its second part.
struct Suite(TempDir);

impl Suite {
    fn new() -> std::io::Result<Self> {
        tempfile::tempdir().map(Self)
    }

    fn command(&self) -> std::io::Result<Command> {
        let mut command = Command::new(std::env::current_exe()?);
        command.env(DIRECTORY, self.0.path());
        Ok(command)
    }

    /// Returns the exit status, and both streams, one after the other.
    fn run(&self, arguments: &[&str]) -> Result<(Option<i32>, String), Box<dyn Error>> {
        let output = self.command()?.args(arguments).output()?;
        let printed = [output.stdout, output.stderr].concat();
        Ok((output.status.code(), String::from_utf8(printed)?))
    }
}

fn expect(code: Option<i32>, expected: i32, printed: &str) -> Result<(), Box<dyn Error>> {
    match code == Some(expected) {
        true => Ok(()),
        false => Err(format!("exit status {code:?}: {printed}").into()),
    }
}

fn wait_for(path: &Path) -> Result<(), Failed> {
    let start = Instant::now();
    while !path.exists() {
        if start.elapsed() > LIMIT {
            return Err(format!("{} never came", path.display()).into());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}

fn check(test: fn() -> Result<(), Box<dyn Error>>) -> Result<(), Failed> {
    test().map_err(|error| error.to_string().into())
}

#[expect(clippy::print_stdout, reason = "what a test says")]
fn say(words: &str) {
    println!("{words}");
}
