//! A panic, in a process of its own: this test, started once more.

use std::os::unix::process::ExitStatusExt;
use std::process::Command;

use nix::sys::signal::Signal;
use vip_elector::crash;

/// Set in the process that panics.
const CHILD: &str = "VIP_ELECTOR_TEST_PANICS";

const SECRET: &str = "s3cr3t-mark";

#[test]
fn a_panic_in_a_task_ends_the_process_and_shows_no_secret() {
    if std::env::var_os(CHILD).is_some() {
        panic_in_a_task();
    }
    let name = "crash::a_panic_in_a_task_ends_the_process_and_shows_no_secret";
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let aborted = Some(Signal::SIGABRT as i32);
    assert_eq!(output.status.signal(), aborted, "{}: {said}", output.status);
    assert!(
        said.contains("panicked at tests/hermetic/crash.rs:"),
        "{said}"
    );
    assert!(!said.contains(SECRET), "{said}");
    assert!(!String::from_utf8_lossy(&output.stdout).contains(SECRET));
}

/// Where the panic is caught by tokio, and nobody looks at the task's end.
fn panic_in_a_task() -> ! {
    crash::abort_on_panic();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    runtime.block_on(async {
        tokio::spawn(async { panic!("the token {SECRET} is not valid") });
        tokio::task::yield_now().await;
        std::process::exit(0)
    })
}
