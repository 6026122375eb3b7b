//! The package for Fedora, with the rpm that Debian has: without a distribution of RPMs around it, what it
//! requires is read and not resolved.

use std::path::Path;

use crate::build::Builder;
use crate::deb::{nothing_is_below_usr_local, nothing_is_enabled};
use crate::root::Root;

pub(crate) fn comes_and_goes(root: &Root, builder: &Builder) -> Result<(), String> {
    let package = builder.build_twice(root, "rpm")?;
    let requires = root.run(&format!("rpm -qp --requires {package}"))?;
    for library in ["libc.so.6(GLIBC_2.", "/bin/sh"] {
        assert!(requires.contains(library), "{library}: {requires}");
    }
    let before = root.changes()?;
    // Debian's rpm wants to be told that it is meant.
    let rpm = "rpm --force-debian --nodeps";
    root.run(&format!("{rpm} --install {package}"))?;
    root.run("vip-elector --version; rpm --verify --nodeps vip-elector")?;
    nothing_is_enabled(root)?;
    nothing_is_below_usr_local(root)?;

    let configuration = "/etc/vip-elector/vip.yml";
    root.run(&format!("echo '# mine' >> {configuration}"))?;
    root.run(&format!("{rpm} --upgrade --force {package}"))?;
    root.run(&format!("grep -q '^# mine' {configuration}"))?;

    root.run(&format!("{rpm} --erase vip-elector"))?;
    let left: Vec<_> = root.changes()?.difference(&before).cloned().collect();
    // rpm keeps what the operator wrote, by another name.
    assert_eq!(left, [Path::new("etc/vip-elector/vip.yml.rpmsave")]);
    Ok(())
}
