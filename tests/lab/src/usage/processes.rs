//! Applier: reads from `/proc` what some process groups use.

use std::fs;
use std::io;
use std::path::Path;

/// What all processes of some groups use together.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Usage {
    /// How many there are.
    pub processes: usize,
    /// Resident memory, in KiB. What two of them share counts twice.
    pub resident_kib: u64,
    /// The same, but of what they share with anybody only their part.
    pub proportional_kib: u64,
    /// The largest resident memory so far, in KiB.
    pub peak_kib: u64,
    /// Threads.
    pub threads: u64,
    /// Open files.
    pub files: usize,
    /// Processor time so far, in seconds.
    pub own_seconds: f64,
    /// Processor time of children that have ended, in seconds.
    pub children_seconds: f64,
}

/// Sums up the processes of `groups`.
///
/// # Errors
/// Where there is none: what should run does not.
pub fn usage(groups: &[u32]) -> io::Result<Usage> {
    let ticks = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK)?;
    let ticks = ticks.unwrap_or(100) as f64;
    let mut sum = Usage::default();
    for entry in fs::read_dir("/proc")? {
        let path = entry?.path();
        // What has ended since the list was made is not missed.
        if let Some(stat) = read(&path, "stat").as_deref().and_then(Stat::parse)
            && groups.contains(&stat.group)
        {
            let status = read(&path, "status").unwrap_or_default();
            sum.processes += 1;
            sum.resident_kib += kib(&status, "VmRSS");
            // Of a process that gives up rights, only the machine's root may read this.
            let maps = read(&path, "smaps_rollup").unwrap_or_default();
            sum.proportional_kib += kib(&maps, "Pss");
            sum.peak_kib += kib(&status, "VmHWM");
            sum.threads += stat.threads;
            sum.files += fs::read_dir(path.join("fd")).map_or(0, Iterator::count);
            sum.own_seconds += stat.own as f64 / ticks;
            sum.children_seconds += stat.children as f64 / ticks;
        }
    }
    if sum.processes == 0 {
        return Err(io::Error::other("the program that is weighed does not run"));
    }
    Ok(sum)
}

/// What `/proc/PID/stat` says, as far as it matters (proc_pid_stat(5)); times in clock ticks.
#[derive(Debug, PartialEq)]
struct Stat {
    group: u32,
    own: u64,
    children: u64,
    threads: u64,
}

impl Stat {
    fn parse(text: &str) -> Option<Self> {
        // The name may contain anything; what follows its bracket is the third field.
        let (_, fields) = text.rsplit_once(") ")?;
        let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
        let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
        Some(Self {
            group: number(5)?.try_into().ok()?,
            own: number(14)? + number(15)?,
            children: number(16)? + number(17)?,
            threads: number(20)?,
        })
    }
}

fn read(process: &Path, file: &str) -> Option<String> {
    fs::read_to_string(process.join(file)).ok()
}

fn kib(status: &str, name: &str) -> u64 {
    let fields = status.lines().filter_map(|line| line.split_once(':'));
    let mut named = fields.filter(|(field, _)| *field == name);
    let value = named.next().map_or("", |(_, value)| value);
    value.trim().trim_end_matches(" kB").parse().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_counted_from_behind_the_name() {
        let line = "77 (a) b (c) S 1 42 42 0 -1 4194560 100 0 0 0 7 3 5 4 20 0 6 0 12 1 1";
        let stat = Stat::parse(line).unwrap();
        let expected = Stat {
            group: 42,
            own: 10,
            children: 9,
            threads: 6,
        };
        assert_eq!(stat, expected);
        assert_eq!(Stat::parse("77 (a) S 1"), None);
    }

    #[test]
    fn this_process_is_found_in_its_group() {
        let group = nix::unistd::getpgrp().as_raw().cast_unsigned();
        let usage = usage(&[group]).unwrap();
        assert!(usage.processes >= 1 && usage.threads >= 1);
        assert!(usage.resident_kib > 0 && usage.peak_kib >= usage.resident_kib);
        assert!(super::usage(&[]).is_err());
    }
}
