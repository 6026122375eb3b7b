//! Many groups: a directory of files, what each may have for itself, and several addresses of one.

use std::time::Duration;

use vip_elector::vip::announce::Announcing;

use super::{Host, warnings};

const D: &str = "/etc/vip-elector/groups";

/// A host with a directory of files.
fn with_directory(files: &[(&str, &str)]) -> Host {
    let host = Host::new().argument(format!("--config-dir={D}"));
    files.iter().fold(host, |host, (name, text)| {
        host.file(&format!("{D}/{name}"), format!("dcs-type: consul\n{text}"))
    })
}

#[test]
fn the_files_of_a_directory_are_groups_in_the_order_of_their_names() {
    let host = with_directory(&[
        ("20-b.yml", "trigger-key: b\n"),
        ("10-a.yaml", "trigger-key: a\n"),
        ("100.yml", "trigger-key: c\n"),
        (".hidden.yml", "trigger-key: hidden\n"),
        ("30.yml.dpkg-old", "trigger-key: old\n"),
        ("notes.txt", "no settings at all"),
        ("yml", "neither"),
    ]);
    let config = host.good();
    let keys: Vec<_> = config.groups.iter().map(|group| group.name()).collect();
    assert_eq!(keys, ["a", "c", "b"]);
    assert_eq!(config.directory.as_deref(), Some(D.as_ref()));

    let both = host
        .file("/etc/z.yml", "dcs-type: consul\ntrigger-key: z\n")
        .argument("--vip-manager-config=/etc/z.yml");
    assert_eq!(both.good().groups[0].name(), "z");
}

#[test]
fn a_directory_without_groups_is_waited_with() {
    let config = with_directory(&[("README", "put groups here")]).good();
    assert_eq!(config.groups, []);
    assert_eq!(warnings(&config), "");
}

#[test]
fn each_group_has_what_its_file_says_and_flags_count_for_all() {
    let host = with_directory(&[
        (
            "a.yml",
            "trigger-key: a\nvip-elector: {ttl: 20s, lock-delay: 5s, check-id: web, liveness-ttl: 5s, priority: 7, \
             preempt: true, preempt-delay: 1s}\n",
        ),
        (
            "b.yml",
            "trigger-key: b\nvip-elector: {check-id: db, log-level: debug}\n",
        ),
    ]);
    let config = host.good();
    let [a, b] = config.groups.as_slice() else {
        panic!("two")
    };
    assert_eq!(a.session.ttl, Duration::from_secs(20));
    assert_eq!(b.session.ttl, Duration::from_secs(10));
    assert_eq!((a.priority, b.priority), (7, 0));
    assert_eq!(a.preempt_after, Some(Duration::from_secs(1)));
    assert_eq!(b.preempt_after, None);
    assert_eq!(b.session.check_id.as_deref(), Some("db"));
    assert_eq!(config.common_check(), None);
    insta::assert_snapshot!(config.describe());

    let config = host.argument("--ttl=30s").argument("--check-id=all").good();
    for group in &config.groups {
        assert_eq!(group.session.ttl, Duration::from_secs(30));
    }
    assert_eq!(config.common_check(), Some("all"));
}

#[test]
fn several_addresses_of_both_families() {
    let text = "trigger-key: a\nip: 192.168.0.9\nnetmask: 24\ninterface: bond0\nvip-elector:\n  label: bond0:web\n  \
                addresses:\n  - 2001:db8::9\n  - {ip: 192.168.1.9, netmask: 24, interface: lo, label: lo}\n  - ip: \
                2001:db8:1::9\n    netmask: 64\n";
    let config = with_directory(&[("a.yml", text)])
        .argument("--manage-vip")
        .good();
    let vips = config.groups[0].vips.iter().map(ToString::to_string);
    assert_eq!(
        vips.collect::<Vec<_>>(),
        [
            "192.168.0.9/24 on bond0 as bond0:web",
            "2001:db8::9/128 on bond0",
            "192.168.1.9/24 on lo as lo",
            "2001:db8:1::9/64 on bond0",
        ]
    );
    insta::assert_snapshot!(config.describe());

    let unmanaged = with_directory(&[("a.yml", text)]).good();
    assert_eq!(unmanaged.groups[0].vips, []);
    assert_eq!(
        warnings(&unmanaged),
        "addresses (/etc/vip-elector/groups/a.yml line 9, key `vip-elector.addresses`) means nothing without manage-vip; \
         add that, or leave this out\n"
    );
}

#[test]
fn each_address_is_announced_as_its_file_says() {
    let text = "trigger-key: a\nip: 192.168.0.9\ninterface: bond0\nvip-elector:\n  announce-count: 2\n  \
                announce-refresh: 0s\n  addresses:\n  - 2001:db8::9\n  - {ip: 192.168.1.9, announce-count: 1, \
                announce-interval: 200ms, announce-refresh: 30s}\n";
    let config = with_directory(&[("a.yml", text)])
        .argument("--manage-vip")
        .good();
    let announcing = |count, interval, refresh: u64| Announcing {
        count,
        interval: Duration::from_millis(interval),
        refresh: Some(Duration::from_secs(refresh)).filter(|refresh| !refresh.is_zero()),
    };
    let vips = config.groups[0].vips.iter().map(|vip| vip.announcing);
    assert_eq!(
        vips.collect::<Vec<_>>(),
        [
            announcing(2, 1100, 0),
            announcing(2, 1100, 0),
            announcing(1, 200, 30)
        ]
    );
    insta::assert_snapshot!(config.describe());

    let unmanaged = with_directory(&[("a.yml", text)]).good();
    insta::assert_snapshot!(warnings(&unmanaged));
}

#[test]
fn a_group_that_has_to_wait_for_its_interface_keeps_no_other_from_its_address() {
    let host = with_directory(&[
        (
            "a.yml",
            "trigger-key: a\nip: 192.168.0.9\ninterface: bond0\n",
        ),
        (
            "b.yml",
            "trigger-key: b\nip: 192.168.0.10\ninterface: vlan7\n",
        ),
    ]);
    let config = host.argument("--manage-vip").good();
    insta::assert_snapshot!(warnings(&config));
}

#[test]
fn keys_that_are_all_over_the_place_are_worth_a_word() {
    let host = |keys: &[String]| {
        let files: Vec<_> = keys
            .iter()
            .enumerate()
            .map(|(number, key)| (format!("{number}.yml"), format!("trigger-key: {key}\n")))
            .collect();
        let files: Vec<_> = files
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_str()))
            .collect();
        warnings(&with_directory(&files).good())
    };
    let together: Vec<_> = (0..20)
        .map(|number| format!("service/vips/{number}"))
        .collect();
    assert_eq!(host(&together), "");
    let apart: Vec<_> = (0..9)
        .map(|number| format!("service/{number}/leader"))
        .collect();
    assert_eq!(host(&apart[..8]), "");
    insta::assert_snapshot!(host(&apart));
}
