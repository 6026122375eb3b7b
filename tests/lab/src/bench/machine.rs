//! Applier: says where and when a bench was made.

use std::fs;
use std::process::Command;

use super::record::Machine;
use super::stack::Programs;

/// Looks at this machine, and asks `consul` and the others who they are.
pub(super) fn look(consul: &std::path::Path, programs: &Programs) -> Machine {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let versions = [
        said(Command::new(consul).arg("version")),
        said(Command::new(&programs.daemon).arg("--version")),
        match &programs.keepalived {
            Ok(keepalived) => said(Command::new(keepalived).arg("--version")),
            Err(_) => None,
        },
    ];
    Machine {
        date: said(Command::new("date").args(["-u", "+%Y-%m-%d %H:%M UTC"])).unwrap_or_default(),
        kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        processor: field(&read("/proc/cpuinfo"), "model name"),
        cores: std::thread::available_parallelism().map_or(0, usize::from),
        memory_mib: field(&read("/proc/meminfo"), "MemTotal")
            .trim_end_matches(" kB")
            .parse()
            .map_or(0, |kib: u64| kib / 1024),
        load: read("/proc/loadavg")
            .split(' ')
            .next()
            .unwrap_or_default()
            .to_owned(),
        versions: versions.into_iter().flatten().collect(),
    }
}

/// Returns the first line that a program prints, wherever it prints it.
fn said(command: &mut Command) -> Option<String> {
    let output = command.output().ok()?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    text.lines().next().map(|line| line.trim().to_owned())
}

fn field(text: &str, name: &str) -> String {
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(field, _)| field.trim() == name)
        .map_or_else(String::new, |(_, value)| value.trim().to_owned())
}
