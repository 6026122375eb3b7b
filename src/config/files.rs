//! Pure: which files describe the groups, and what is in them.

use std::path::{Path, PathBuf};

use super::Sources;
use super::file::File;
use super::origin::{Origin, Written};
use super::report::{Fault, Findings};
use crate::cli::Flags;

/// The files that were named, in the order of the flags, and those of the directory by their names.
pub(super) fn read(flags: &Flags, sources: &Sources<'_>, findings: &mut Findings) -> Vec<File> {
    let flag = Origin::Flag("--vip-manager-config");
    let mut paths: Vec<_> = named(flags)
        .map(|path| (path.clone(), flag.clone()))
        .collect();
    match directory(flags) {
        Some(directory) => paths.extend(listed(directory, sources, findings)),
        None if paths.is_empty() => {
            findings.problem_at("vip-manager-config", &flag, Fault::NoFile);
        }
        None => {}
    }
    let read = |(path, origin): (PathBuf, Origin)| match (sources.read)(&path) {
        Ok(bytes) => File::parse(&path, &bytes, findings),
        Err(error) => {
            let written = Written::new(path.display().to_string(), origin);
            findings.problem("vip-manager-config", &written, Fault::Unreadable(error));
            None
        }
    };
    paths.into_iter().filter_map(read).collect()
}

/// The files that the command line names.
pub(super) fn named(flags: &Flags) -> impl Iterator<Item = &PathBuf> {
    let paths = flags.vip_manager_config.iter();
    paths.filter(|path| !path.as_os_str().is_empty())
}

/// The directory of files, where there is one.
pub(super) fn directory(flags: &Flags) -> Option<&Path> {
    let directory = flags.config_dir.as_deref();
    directory.filter(|directory| !directory.as_os_str().is_empty())
}

fn listed(
    directory: &Path,
    sources: &Sources<'_>,
    findings: &mut Findings,
) -> Vec<(PathBuf, Origin)> {
    let flag = Origin::Flag("--config-dir");
    let mut paths = match (sources.list)(directory) {
        Ok(paths) => paths,
        Err(error) => {
            let written = Written::new(directory.display().to_string(), flag);
            findings.problem("config-dir", &written, Fault::UnreadableDirectory(error));
            return Vec::new();
        }
    };
    paths.retain(|path| describes_a_group(path));
    paths.sort();
    paths.into_iter().map(|path| (path, flag.clone())).collect()
}

/// What editors and package managers leave beside it is none.
fn describes_a_group(path: &Path) -> bool {
    let hidden = path
        .file_name()
        .is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
    let yaml = path
        .extension()
        .is_some_and(|extension| extension == "yml" || extension == "yaml");
    yaml && !hidden
}
