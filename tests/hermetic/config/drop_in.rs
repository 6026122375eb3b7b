//! A file that vip-manager takes is taken here, and means the same.

use std::net::IpAddr;
use std::time::Duration;

use proptest::prelude::*;
use vip_elector::config::Vip;
use vip_elector::consul::access::Endpoint;
use vip_elector::vip::announce::Announcing;

use super::{FILE, Host, MINIMAL, warnings};

const SAMPLE: &str = r#"# /etc/vip-manager.yml
dcs-type: consul
dcs-endpoints:
  - "http://127.0.0.1:8500"
trigger-key: "network/sakura-internal/vip/lock"
ip: 192.168.227.200
netmask: 24
interface: bond0
interval: 1000
"#;

#[test]
fn the_sample_file() {
    let config = Host::with_file(SAMPLE)
        .argument("--check-id=vip-http")
        .good();
    insta::assert_snapshot!(config.describe());
    assert_eq!(config.groups[0].vips, []);
    assert_eq!(config.groups[0].session.lock_delay, Duration::from_secs(1));
}

#[test]
fn the_sample_file_all_in_one() {
    let config = Host::with_file(SAMPLE).argument("--manage-vip").good();
    insta::assert_snapshot!(config.describe());
    let address = IpAddr::from([192, 168, 227, 200]);
    let vip = Vip {
        address,
        prefix: 24,
        interface: "bond0".to_owned(),
        label: None,
        announcing: Announcing::of(address),
    };
    assert_eq!(config.groups[0].vips, [vip]);
    assert_eq!(
        config.groups[0].trigger_key,
        "network/sakura-internal/vip/lock"
    );
    assert_eq!(config.groups[0].trigger_value, "node-a");
    assert_eq!(config.groups[0].session.ttl, Duration::from_secs(10));
    assert_eq!(config.groups[0].session.lock_delay, Duration::from_secs(3));
    assert_eq!(warnings(&config), "");
}

#[test]
fn every_setting_of_vip_manager_5_is_known() {
    let text = r#"
interval: 1000
trigger-key: "/service/pgcluster/leader"
trigger-value: "pgcluster_member1"
ip: 192.168.0.123
netmask: 24
interface: bond0
manager-type: basic
dcs-type: consul
dcs-endpoints:
  - http://127.0.0.1:8500
  - https://192.168.0.42:8501
etcd-user: "patroni"
etcd-password: "secret"
etcd-ca-file: "/path/to/ca"
etcd-cert-file: "/path/to/cert"
etcd-key-file: "/path/to/key"
consul-token: "Julian's secret token"
retry-num: 3
retry-after: 250
verbose: false
"#;
    let config = Host::with_file(text).good();
    assert_eq!(warnings(&config), "");
    insta::assert_snapshot!(config.describe());
}

#[test]
fn older_names_are_taken_with_a_hint() {
    let text = "\
type: consul
endpoints: [http://127.0.0.1:8500]
key: service/pgcluster/leader
nodename: member1
ip: 192.168.0.123
mask: 24
iface: bond0
hosting_type: basic
consul_token: secret
retry_num: 3
retry_after: 250
etcd_user: patroni
";
    let config = Host::with_file(text).argument("--manage-vip").good();
    insta::assert_snapshot!(config.describe());
}

#[test]
fn each_older_name_alone() {
    for (older, line) in [
        ("endpoint_type", "endpoint_type: consul\ntrigger-key: a\n"),
        ("endpoint", "endpoint: http://127.0.0.1:8500\n"),
        ("host", "host: member1\n"),
        ("hostingtype", "hostingtype: basic\n"),
        ("hosting-type", "hosting-type: basic\n"),
    ] {
        let host = if line.contains("consul") {
            Host::with_file(line)
        } else {
            Host::minimal(line)
        };
        let warnings = warnings(&host.good());
        assert!(warnings.starts_with(older), "{older}: {warnings}");
        assert_eq!(warnings.lines().count(), 1, "{warnings}");
    }
}

#[test]
fn both_names_may_stand_together_if_they_agree() {
    let config = Host::minimal("key: service/db/leader\n").good();
    assert_eq!(config.groups[0].trigger_key, "service/db/leader");
}

#[test]
fn unknown_keys_get_one_warning_each() {
    let config = Host::minimal("colour: blue\nnested: {a: [1, {b: 2}]}\nlist: [{a: 1}]\n").good();
    insta::assert_snapshot!(warnings(&config));
}

#[test]
fn numbers_and_texts_are_taken_alike() {
    let text = "ip: \"192.168.0.1\"\nnetmask: \"24\"\ninterface: bond0\ntrigger-value: 007\n";
    let config = Host::minimal(text).argument("--manage-vip").good();
    assert_eq!(config.groups[0].vips[0].prefix, 24);
    assert_eq!(config.groups[0].trigger_value, "007");
    let config = Host::minimal("trigger-value: &name 1e3\nconsul-token: *name\n").good();
    assert_eq!(config.groups[0].trigger_value, "1e3");
}

#[test]
fn keys_are_taken_in_any_case_as_by_vip_manager() {
    let config = Host::with_file("DCS-Type: consul\nTrigger-Key: a\n").good();
    assert_eq!(config.groups[0].trigger_key, "a");
}

#[test]
fn a_key_without_a_value_says_nothing() {
    let config = Host::minimal("ip:\nnetmask:\ntrigger-value: \"\"\nvip-elector:\n").good();
    assert_eq!(config.groups[0].trigger_value, "node-a");
}

#[test]
fn the_leading_slash_is_not_part_of_the_key() {
    for written in [
        "service/db/leader",
        "/service/db/leader",
        "\"//service/db/leader\"",
    ] {
        let text = format!("dcs-type: consul\ntrigger-key: {written}\n");
        assert_eq!(
            Host::with_file(text).good().groups[0].name(),
            "service/db/leader"
        );
    }
}

#[test]
fn endpoints_in_every_form() {
    for (written, meant) in [
        ("http://127.0.0.1:8500", "http://127.0.0.1:8500/"),
        ("127.0.0.1:8500", "http://127.0.0.1:8500/"),
        ("consul.service:8500", "http://consul.service:8500/"),
        ("[::1]:8500", "http://[::1]:8500/"),
        ("https://consul:8501/", "https://consul:8501/"),
        ("HTTPS://consul:8501", "https://consul:8501/"),
        (
            "http://consul/behind/a/proxy",
            "http://consul/behind/a/proxy",
        ),
    ] {
        let config = Host::minimal(&format!("dcs-endpoints: \"{written}\"\n")).good();
        let [Endpoint::Http(url)] = &config.access.endpoints[..] else {
            panic!("{written}: {:?}", config.access.endpoints);
        };
        assert_eq!(url.as_str(), meant);
    }
    let config = Host::minimal("")
        .argument("--addr=unix:///run/consul.sock")
        .good();
    assert_eq!(
        config.access.endpoints,
        [Endpoint::Unix("/run/consul.sock".into())]
    );
}

#[test]
fn endpoints_as_a_list_and_as_a_comma_text_are_the_same() {
    let list = Host::minimal("dcs-endpoints: [\"a:8500\", 'https://b:8501']\n").good();
    let text = Host::minimal("dcs-endpoints: a:8500, https://b:8501\n").good();
    let variable = Host::minimal("")
        .variable("VIP_DCS_ENDPOINTS", "a:8500,https://b:8501")
        .good();
    assert_eq!(list.access.endpoints.len(), 2);
    assert_eq!(list.access.endpoints, text.access.endpoints);
    assert_eq!(list.access.endpoints, variable.access.endpoints);
}

#[test]
fn the_prefix_length_when_none_is_written() {
    for (address, netmask, prefix) in [
        ("192.168.0.9", "", 32),
        ("2001:db8::9", "", 128),
        ("10.0.0.9", "netmask: -1", 8),
        ("172.16.0.9", "netmask: -1", 16),
        ("192.168.0.9", "netmask: -1", 24),
        ("2001:db8::9", "netmask: 64", 64),
    ] {
        let text = format!("ip: {address}\ninterface: bond0\n{netmask}\n");
        let config = Host::minimal(&text).argument("--manage-vip").good();
        assert_eq!(
            config.groups[0].vips[0].prefix, prefix,
            "{address} {netmask}"
        );
    }
}

#[test]
fn without_manage_vip_the_interface_is_not_looked_at() {
    assert!(
        Host::minimal("ip: 192.168.0.9\ninterface: eth7\n")
            .load()
            .is_ok()
    );
    assert!(Host::minimal("manager-type: hetzner\n").load().is_ok());
}

#[test]
fn a_file_that_is_not_readable_as_text_does_not_hide_the_others() {
    let host = Host::new()
        .file(FILE, MINIMAL)
        .argument("--vip-manager-config=/none")
        .argument(format!("--vip-manager-config={FILE}"))
        .argument("--ttl=1s");
    assert_eq!(host.refusal().lines().count(), 2, "{}", host.refusal());
}

proptest! {
    #[test]
    fn no_file_makes_the_reader_panic(bytes in any::<Vec<u8>>()) {
        let _ = Host::with_file(bytes).load();
    }

    #[test]
    fn nor_one_that_looks_like_yaml(text in "([a-z-]{0,8}[:{}\\[\\],&*!|>'\"% \n-]{0,3}){0,30}") {
        let _ = Host::minimal(&text).load();
    }
}
