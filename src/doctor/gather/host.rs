//! Applier: looks at this host: processes, locks, sockets and clocks. Asks nobody, and takes nothing.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};
use nix::unistd::{AccessFlags, access};

use crate::config::{Config, KernelLease};
use crate::doctor::host::{Facts, Rival, is_rival};
use crate::privileges;
use crate::runtime::RuntimeDirectory;
use crate::vip::kernel::marks_addresses;

/// Looks.
pub(super) fn look(config: &Config) -> Facts {
    let variable = std::env::var("RUNTIME_DIRECTORY").ok();
    let directory = RuntimeDirectory::of(variable.as_deref());
    let directories = RuntimeDirectory::all(variable.as_deref());
    let locked = locked_files();
    let daemons: Vec<_> = config
        .groups
        .iter()
        .map(|group| {
            let mut locks = directories
                .iter()
                .map(|directory| directory.lock_file(group.name()));
            let pid = locks.find_map(|lock| holder(&lock, &locked));
            (group.name().to_owned(), pid)
        })
        .collect();
    let processes = processes();
    let known = |pid: u32| daemons.iter().any(|(_, daemon)| *daemon == Some(pid));
    let files = config.groups.iter().map(|group| &group.file);
    let files: Vec<_> = files.chain(&config.directory).cloned().collect();
    let second_daemons = processes
        .iter()
        .filter(|process| process.is_daemon() && !known(process.pid) && process.reads(&files))
        .map(|process| process.pid)
        .collect();
    let rivals = processes
        .iter()
        .filter(|process| is_rival(&process.name))
        .map(|process| Rival {
            name: process.name.clone(),
            pid: process.pid,
        })
        .collect();
    let unlimited = config.manage_vip && config.kernel_lease == KernelLease::Off;
    Facts {
        manage_vip: config.manage_vip,
        missing_capabilities: privileges::missing(config.manage_vip).unwrap_or_default(),
        unmarked: unlimited && !marks_addresses(),
        runtime_directory: (
            directory.path().display().to_string(),
            writable(directory.path()),
        ),
        daemons,
        second_daemons,
        rivals,
        heartbeats: config
            .peers
            .map(|peers| (peers.listen, is_bound(peers.listen))),
        clock_source: clock_source(),
        suspended: suspended(),
    }
}

/// One process of this network namespace.
struct Process {
    pid: u32,
    name: String,
    arguments: Vec<String>,
}

impl Process {
    /// A vip-elector that runs no other command.
    fn is_daemon(&self) -> bool {
        let mut words = self.arguments.iter().skip(1);
        self.name == "vip-elector" && words.all(|word| word.starts_with('-') || is_path(word))
    }

    fn reads(&self, files: &[PathBuf]) -> bool {
        let named = |file: &PathBuf| {
            let file = file.display().to_string();
            let is = |word: &String| *word == file || word.ends_with(&format!("={file}"));
            self.arguments.iter().any(is)
        };
        files.iter().any(named)
    }
}

/// The value of a flag that stands by itself.
fn is_path(word: &str) -> bool {
    word.contains(['/', '.', ':', '='])
}

/// All that may be seen of proc(5), but this one.
fn processes() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let network = |pid: &str| fs::metadata(format!("/proc/{pid}/ns/net")).map(|data| data.ino());
    let own = network("self").ok();
    let process = |entry: fs::DirEntry| {
        let number = entry.file_name().into_string().ok()?;
        let pid: u32 = number.parse().ok()?;
        // Where it may not be seen, it counts as ours.
        let elsewhere = network(&number).is_ok_and(|network| own.is_some_and(|own| own != network));
        if elsewhere || pid == std::process::id() {
            return None;
        }
        let name = fs::read_to_string(entry.path().join("comm")).ok()?;
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        let words = line
            .split(|byte| *byte == 0)
            .filter(|word| !word.is_empty());
        Some(Process {
            pid,
            name: name.trim_end().to_owned(),
            arguments: words
                .map(|word| String::from_utf8_lossy(word).into_owned())
                .collect(),
        })
    };
    entries.flatten().filter_map(process).collect()
}

/// The files that somebody has locked, by inode, with who (`/proc/locks`, proc(5)). To try a lock would keep a
/// daemon from it that starts at that moment.
fn locked_files() -> Vec<(u64, u32)> {
    let Ok(table) = fs::read_to_string("/proc/locks") else {
        return Vec::new();
    };
    table.lines().filter_map(flock).collect()
}

/// Reads `1: FLOCK  ADVISORY  WRITE 1234 08:01:5678 0 EOF`.
fn flock(line: &str) -> Option<(u64, u32)> {
    let mut words = line.split_whitespace().skip(1);
    if words.next() != Some("FLOCK") {
        return None;
    }
    let pid = words.nth(2)?.parse().ok()?;
    let inode = words.next()?.rsplit(':').next()?.parse().ok()?;
    Some((inode, pid))
}

fn holder(lock: &Path, locked: &[(u64, u32)]) -> Option<u32> {
    let inode = fs::metadata(lock).ok()?.ino();
    let (_, pid) = locked.iter().find(|(locked, _)| *locked == inode)?;
    Some(*pid)
}

/// Whether files can be made in a directory, or it in the one above.
fn writable(directory: &Path) -> Result<(), String> {
    let there = directory.ancestors().find(|above| above.exists());
    let there = there.unwrap_or(Path::new("/"));
    if !there.is_dir() {
        return Err(format!("{} is no directory", there.display()));
    }
    access(there, AccessFlags::W_OK | AccessFlags::X_OK)
        .map_err(|error| format!("{} cannot be written ({})", there.display(), error.desc()))
}

/// Whether a UDP port is somebody's (`/proc/net/udp`). To bind it would keep a daemon from it.
fn is_bound(listen: SocketAddr) -> bool {
    let table = match listen.ip() {
        IpAddr::V4(_) => "/proc/net/udp",
        IpAddr::V6(_) => "/proc/net/udp6",
    };
    let text = fs::read_to_string(table).unwrap_or_default();
    let port = format!("{:04X}", listen.port());
    text.lines().skip(1).any(|line| {
        let local = line.split_whitespace().nth(1);
        local.is_some_and(|local| local.rsplit(':').next() == Some(&port))
    })
}

fn clock_source() -> Option<String> {
    let path = "/sys/devices/system/clocksource/clocksource0/current_clocksource";
    let source = fs::read_to_string(path).ok()?;
    Some(source.trim().to_owned())
}

/// `CLOCK_BOOTTIME` goes on while the host is suspended, `CLOCK_MONOTONIC` does not (clock_gettime(2)).
fn suspended() -> Duration {
    let read = |clock| clock_gettime(clock).map(Duration::from).unwrap_or_default();
    let monotonic = read(ClockId::CLOCK_MONOTONIC);
    read(ClockId::CLOCK_BOOTTIME).saturating_sub(monotonic)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_read_as_the_kernel_writes_it() {
        let line = "1: FLOCK  ADVISORY  WRITE 1234 08:01:5678 0 EOF";
        assert_eq!(flock(line), Some((5678, 1234)));
        assert_eq!(
            flock("2: POSIX  ADVISORY  WRITE 1234 08:01:5678 0 EOF"),
            None
        );
        assert_eq!(flock("2: -> FLOCK  ADVISORY  WRITE 1 08:01:5 0 EOF"), None);
        assert_eq!(flock(""), None);
    }

    #[test]
    fn a_daemon_is_told_from_a_command() {
        let process = |line: &str| Process {
            pid: 1,
            name: "vip-elector".to_owned(),
            arguments: line.split(' ').map(str::to_owned).collect(),
        };
        for (line, daemon, reads) in [
            ("vip-elector --vip-manager-config=/a.yml", true, true),
            (
                "vip-elector -vip-manager-config /a.yml --manage-vip",
                true,
                true,
            ),
            ("vip-elector --vip-manager-config=/b.yml", true, false),
            (
                "vip-elector status --vip-manager-config=/a.yml",
                false,
                true,
            ),
        ] {
            let process = process(line);
            assert_eq!(process.is_daemon(), daemon, "{line}");
            assert_eq!(process.reads(&["/a.yml".into()]), reads, "{line}");
        }
    }

    #[test]
    fn what_can_be_written_is_told_without_writing() {
        let directory = tempfile::tempdir().unwrap();
        let below = directory.path().join("a/b");
        writable(&below).unwrap();
        assert!(!directory.path().join("a").exists());
        let file = directory.path().join("file");
        fs::write(&file, "").unwrap();
        let said = writable(&file.join("below")).unwrap_err();
        assert!(said.ends_with("file is no directory"), "{said}");
    }
}
