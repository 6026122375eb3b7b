//! The package for Debian.

use crate::build::Built;
use crate::root::Root;

const CONFIGURATION: &str = "/etc/vip-elector/vip.yml";

pub(crate) fn the_manual_page_has_no_fault(root: &Root, built: &Built) -> Result<(), String> {
    root.run(&format!("dpkg -i {}", built.deb))?;
    let page = "/usr/share/man/man8/vip-elector.8.gz";
    // Any fault, of any level, is an exit status.
    root.run(&format!("mandoc -T lint -W all {page}"))?;
    let text = root.run(&format!("mandoc -T utf8 {page} | col -b"))?;
    for words in ["--vip-manager-config=FILE", "check-config", "EXIT STATUS"] {
        assert!(text.contains(words), "{words} is missing:\n{text}");
    }
    Ok(())
}

pub(crate) fn lintian_finds_no_error(root: &Root, built: &Built) -> Result<(), String> {
    let line = format!("lintian --allow-root --fail-on error {} 2>&1", built.deb);
    root.run(&format!("{line} || {{ {line} >&2; exit 1; }}"))?;
    Ok(())
}

pub(crate) fn comes_and_goes(root: &Root, built: &Built) -> Result<(), String> {
    let before = root.changes()?;
    let install = format!("dpkg -i {}", built.deb);
    root.run(&install)?;
    let version = root.run("vip-elector --version")?;
    assert_eq!(
        version.trim(),
        concat!("vip-elector ", env!("CARGO_PKG_VERSION"))
    );
    assert_eq!(root.run("dpkg --verify vip-elector")?, "");
    nothing_is_enabled(root)?;
    nothing_is_below_usr_local(root)?;
    a_shell_completes(root)?;

    // What the operator wrote outlives an upgrade and a removal.
    root.run(&format!("echo '# mine' >> {CONFIGURATION}"))?;
    root.run(&install)?;
    root.run("dpkg --remove vip-elector")?;
    root.run(&format!(
        "grep -q '^# mine' {CONFIGURATION}; ! command -v vip-elector"
    ))?;
    root.run(&install)?;
    root.run(&format!("grep -q '^# mine' {CONFIGURATION}"))?;

    root.run("dpkg --purge vip-elector")?;
    let left: Vec<_> = root.changes()?.difference(&before).cloned().collect();
    assert!(left.is_empty(), "left behind: {left:?}");
    Ok(())
}

pub(crate) fn the_default_configuration(root: &Root, built: &Built) -> Result<(), String> {
    root.run(&format!("dpkg -i {}", built.deb))?;
    let check = format!("vip-elector check-config --vip-manager-config={CONFIGURATION}");
    let refused = root.run(&format!("{check} 2>&1 && echo accepted || echo status $?"))?;
    assert!(refused.ends_with("status 64\n"), "{refused}");
    for missing in ["ip", "netmask", "interface", "trigger-key"] {
        assert!(refused.contains(missing), "{missing}: {refused}");
    }
    // What stands there as a comment is right as it stands, on an interface that exists.
    root.run(&format!(
        "sed -i -e 's/^\\( *\\)#\\([a-z]\\)/\\1\\2/' -e 's/eth0/lo/' {CONFIGURATION}"
    ))?;
    let accepted = root.run(&check)?;
    for value in ["192.168.227.200", "service/vip/leader", "vip-http"] {
        assert!(accepted.contains(value), "{value}: {accepted}");
    }
    Ok(())
}

/// What was not configured must not run, also not after the next boot.
pub(crate) fn nothing_is_enabled(root: &Root) -> Result<(), String> {
    let links = root.run("find /etc/systemd/system -name 'vip-elector*'")?;
    assert_eq!(links, "");
    Ok(())
}

/// What is installed by hand is there, and a package has no business with it.
pub(crate) fn nothing_is_below_usr_local(root: &Root) -> Result<(), String> {
    let started = root.run("grep -h ^ExecStart= /usr/lib/systemd/system/vip-elector*.service")?;
    assert!(started.lines().count() > 0);
    for line in started.lines() {
        assert!(
            line.starts_with("ExecStart=/usr/bin/vip-elector "),
            "{line}"
        );
    }
    Ok(())
}

fn a_shell_completes(root: &Root) -> Result<(), String> {
    let completed = root.run(
        "bash -c '. /usr/share/bash-completion/completions/vip-elector
         COMP_WORDS=(vip-elector --manage) COMP_CWORD=1
         _vip-elector vip-elector --manage vip-elector; echo ${COMPREPLY[*]}'",
    )?;
    assert_eq!(completed, "--manage-vip\n");
    Ok(())
}
