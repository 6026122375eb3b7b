//! The package for Debian.

use crate::build::Builder;
use crate::root::Root;

const CONFIGURATION: &str = "/etc/vip-elector/vip.yml";

pub(crate) fn has_no_fault(root: &Root, builder: &Builder) -> Result<(), String> {
    let deb = builder.build_twice(root, "deb")?;
    let line = format!("lintian --allow-root --fail-on error {deb} 2>&1");
    root.run(&format!("{line} || {{ {line} >&2; exit 1; }}"))?;
    root.run(&format!("dpkg -i {deb}"))?;
    the_manual_page_reads_well(root)
}

pub(crate) fn comes_and_goes(root: &Root, builder: &Builder) -> Result<(), String> {
    let install = format!("dpkg -i {}", builder.build(root, "deb", "/srv")?);
    let before = root.changes()?;
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
    the_default_configuration_waits_to_be_filled_in(root)?;

    // What the operator wrote outlives an upgrade and a removal.
    let written = format!("grep -q service/vip/mine {CONFIGURATION}");
    root.run(&format!("sed -i s,vip/leader,vip/mine, {CONFIGURATION}"))?;
    root.run(&install)?;
    root.run("dpkg --remove vip-elector")?;
    root.run(&format!("{written}; ! command -v vip-elector"))?;
    root.run(&install)?;
    root.run(&written)?;

    root.run("dpkg --purge vip-elector")?;
    let left: Vec<_> = root.changes()?.difference(&before).cloned().collect();
    assert!(left.is_empty(), "left behind: {left:?}");
    Ok(())
}

fn the_manual_page_reads_well(root: &Root) -> Result<(), String> {
    let page = "/usr/share/man/man8/vip-elector.8.gz";
    // Below warnings there is only style, such as the length of the lines of the source.
    root.run(&format!("mandoc -T lint -W warning {page}"))?;
    // Bold is a letter, a step back, and the letter again.
    let text = root.run(&format!("mandoc -T utf8 {page} | sed 's/.\\x08//g'"))?;
    for words in ["--vip-manager-config=FILE", "check-config", "EXIT STATUS"] {
        assert!(text.contains(words), "{words} is missing:\n{text}");
    }
    Ok(())
}

fn the_default_configuration_waits_to_be_filled_in(root: &Root) -> Result<(), String> {
    let check = format!("vip-elector check-config --vip-manager-config={CONFIGURATION}");
    let refused = root.run(&format!("{check} 2>&1 && echo accepted || echo status $?"))?;
    assert!(refused.ends_with("status 64\n"), "{refused}");
    assert!(refused.contains("trigger-key"), "{refused}");
    // What stands there as a comment is right as it stands, on an interface that exists.
    root.run(&format!(
        "sed -i -e 's/^\\( *\\)#\\([a-z-]*:\\)/\\1\\2/' -e 's/eth0/lo/' {CONFIGURATION}"
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
         $(complete -p vip-elector | sed \"s/.*-F //; s/ .*//\") vip-elector --manage vip-elector; echo ${COMPREPLY[*]}'",
    )?;
    assert_eq!(completed, "--manage-vip\n");
    Ok(())
}
