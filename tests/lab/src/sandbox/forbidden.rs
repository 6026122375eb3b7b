//! Pure but for three reads of `/proc/sys`: why the kernel refused, and what to do.

use std::path::Path;

use nix::errno::Errno;

/// Returns what to do about a refusal, or nothing where `cause` is not one.
pub(super) fn advice(cause: Errno) -> Option<String> {
    matches!(
        cause,
        Errno::EPERM | Errno::EACCES | Errno::ENOSPC | Errno::EUSERS
    )
    .then(|| {
        format!(
            "{}; or run only what needs no namespaces: cargo test --workspace --lib --test hermetic",
            reason()
        )
    })
}

fn reason() -> String {
    let settings = [
        ("kernel.apparmor_restrict_unprivileged_userns", "1", "0"),
        ("kernel.unprivileged_userns_clone", "0", "1"),
        ("user.max_user_namespaces", "0", "10000"),
    ];
    for (name, forbidding, allowing) in settings {
        if read(name).as_deref() == Some(forbidding) {
            return format!(
                "{name} is {forbidding}: run `sudo sysctl -w {name}={allowing}`, or run this as root"
            );
        }
    }
    if Path::new("/.dockerenv").exists() || Path::new("/run/.containerenv").exists() {
        return "this is a container whose seccomp profile or capabilities forbid it: start it with \
                --privileged, or with --security-opt seccomp=unconfined --security-opt \
                apparmor=unconfined --security-opt systempaths=unconfined"
            .to_owned();
    }
    "run this as root, or allow unprivileged user namespaces".to_owned()
}

fn read(sysctl: &str) -> Option<String> {
    let path = Path::new("/proc/sys").join(sysctl.replace('.', "/"));
    Some(std::fs::read_to_string(path).ok()?.trim().to_owned())
}
