//! Applier: where a host's programs run: its namespace, its files, and a runtime directory that is
//! small enough to be filled.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::mount::{MntFlags, MsFlags, mount, umount2};

use super::group::GROUPS;
use super::setup::failed;
use super::{Error, Group};
use crate::netns::{Namespace, before_exec};

/// Where every host finds its own runtime directory.
const RUNTIME_DIRECTORY: &str = "/run/vip-elector";

/// How much it holds, and how much more for each group beyond the first, in KiB.
const ROOM: (usize, usize) = (64, 16);

/// What takes up the room in a full runtime directory.
const BALLAST: &str = "ballast";

/// A host's namespace, directory, and configurations of groups.
#[derive(Debug)]
pub(super) struct Place {
    namespace: Namespace,
    directory: PathBuf,
    configurations: Vec<PathBuf>,
}

impl Place {
    /// Makes the directory with what every host has: `run`, a file system of its own that holds 64
    /// KiB, or more where there are many groups; `consul`; `clock`, by how much its wall clock is off; and
    /// the configurations of the groups.
    pub(super) fn new(
        namespace: Namespace,
        directory: PathBuf,
        groups: &[Group],
    ) -> Result<Self, Error> {
        let fail = |cause| failed("make a directory for", namespace.name(), cause);
        for sub in ["run", "consul", GROUPS].map(|sub| directory.join(sub)) {
            fs::create_dir_all(sub).map_err(fail)?;
        }
        fs::create_dir_all(RUNTIME_DIRECTORY).map_err(fail)?;
        let room = ROOM.0 + ROOM.1 * groups.len().saturating_sub(1);
        let safe = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
        mount(
            Some("vip-lab"),
            &directory.join("run"),
            Some("tmpfs"),
            safe,
            Some(format!("mode=0755,size={room}k").as_str()),
        )
        .map_err(|cause| fail(cause.into()))?;
        let files = groups.iter().map(|group| directory.join(group.file()));
        let configurations: Vec<PathBuf> = files.collect();
        for (group, file) in groups.iter().zip(&configurations) {
            fs::write(file, group.yaml(namespace.name())).map_err(fail)?;
        }
        let place = Self {
            namespace,
            directory,
            configurations,
        };
        place.step_clock(0)?;
        Ok(place)
    }

    pub(super) fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Returns the configurations of all groups.
    pub(super) fn configurations(&self) -> &[PathBuf] {
        &self.configurations
    }

    /// Returns a command that will run here.
    pub(super) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = self.namespace.command(program);
        let own = self.directory.join("run").into_os_string();
        let own = std::ffi::CString::new(own.into_encoded_bytes()).unwrap_or_default();
        command.env("RUNTIME_DIRECTORY", RUNTIME_DIRECTORY);
        // The command has a mount namespace of its own already.
        before_exec(&mut command, move || {
            let none = None::<&str>;
            mount(
                Some(own.as_c_str()),
                RUNTIME_DIRECTORY,
                none,
                MsFlags::MS_BIND,
                none,
            )?;
            Ok(())
        });
        command
    }

    /// Loses what a boot loses of the runtime directory: everything.
    pub(super) fn clear(&self) -> Result<(), Error> {
        let run = self.directory.join("run");
        let clear = || {
            for entry in fs::read_dir(run)? {
                let path = entry?.path();
                if path.is_dir() {
                    fs::remove_dir_all(path)?;
                } else {
                    fs::remove_file(path)?;
                }
            }
            Ok(())
        };
        clear().map_err(|cause| self.failed("clear the runtime directory of", cause))
    }

    /// Fills the runtime directory to the last byte.
    pub(super) fn fill(&self) -> Result<(), Error> {
        let fill = || {
            let mut ballast = File::create(self.directory.join("run").join(BALLAST))?;
            loop {
                match ballast.write(&[0; 4096]) {
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::StorageFull => return Ok(()),
                    Err(error) => return Err(error),
                }
            }
        };
        fill().map_err(|cause| self.failed("fill the runtime directory of", cause))
    }

    /// Makes room again.
    pub(super) fn empty(&self) -> Result<(), Error> {
        match fs::remove_file(self.directory.join("run").join(BALLAST)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(self.failed("empty the runtime directory of", error))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Says by how many seconds the wall clock is off, to whoever listens: see [`crate::clock`].
    pub(super) fn step_clock(&self, seconds: i64) -> Result<(), Error> {
        // In place: programs have mapped the file.
        File::options()
            .create(true)
            .write(true)
            .truncate(false)
            .open(self.directory.join("clock"))
            .and_then(|mut file| file.write_all(&seconds.to_ne_bytes()))
            .map_err(|cause| self.failed("step the clock of", cause))
    }

    fn failed(&self, action: &'static str, cause: io::Error) -> Error {
        failed(action, self.namespace.name(), cause)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = umount2(&self.directory.join("run"), MntFlags::MNT_DETACH);
    }
}
