//! What may change while the daemon runs, and what may not.

use vip_elector::config::Config;

use super::{Host, PEM_CERTIFICATE, PEM_KEY};

const MANAGED: &str = "ip: 192.168.0.9\nnetmask: 24\ninterface: bond0\n";

fn managed(more: &str) -> Host {
    Host::minimal(&format!("{MANAGED}{more}")).argument("--manage-vip")
}

/// What a reload that changes one configuration into another has to say: of the process, and of its first group.
fn refused(from: &Config, to: &Config) -> String {
    let process = from.restart_for(to).into_iter();
    let group = from.groups[0].starts_over_for(&to.groups[0]).into_iter();
    let process = process.map(|change| format!("restart: {change}\n"));
    let group = group.map(|change| format!("starts over: {change}\n"));
    process.chain(group).collect()
}

#[test]
fn nothing_has_changed() {
    let config = managed("vip-elector: {ttl: 20s, check-id: web, preempt: true}\n").good();
    assert_eq!(refused(&config, &config.clone()), "");
}

#[test]
fn a_file_may_have_another_name() {
    let host = |file: &str| {
        let text = "dcs-type: consul\ntrigger-key: a\n";
        let flag = format!("--vip-manager-config={file}");
        Host::new().file(file, text).argument(flag).good()
    };
    assert_eq!(refused(&host("/a.yml"), &host("/b.yml")), "");
}

#[test]
fn groups_may_come_and_go() {
    let both = Host::with_two_files("trigger-key: a\n", "trigger-key: b\n").good();
    let one = Host::with_file("dcs-type: consul\ntrigger-key: a\n").good();
    assert_eq!(both.restart_for(&one), []);
    assert_eq!(one.restart_for(&both), []);
}

#[test]
fn an_address_more_is_another_list() {
    let more = "vip-elector: {addresses: [2001:db8::1]}\n";
    let said = refused(&managed("").good(), &managed(more).good());
    assert_eq!(
        said,
        "starts over: addresses from 192.168.0.9/24 on bond0 to 192.168.0.9/24 on bond0, 2001:db8::1/128 on bond0, \
         because the address is held by it\n"
    );
}

#[test]
fn an_address_that_is_announced_otherwise() {
    let more = "vip-elector: {announce-count: 1, announce-interval: 1s, announce-refresh: 0s}\n";
    let said = refused(&managed("").good(), &managed(more).good());
    assert_eq!(
        said,
        "starts over: addresses from 192.168.0.9/24 on bond0 to 192.168.0.9/24 on bond0, announce-count 1, \
         announce-interval 1s, announce-refresh 0s, because the address is held by it\n"
    );
}

#[test]
fn the_way_to_consul_the_probe_and_the_log_may_change() {
    let from = managed("").good();
    let to = managed(
        "dcs-endpoints: https://consul:8501\nvip-elector:\n  health-url: http://127.0.0.1/\n  \
         health-fall: 5\n  log-level: debug\n  log-format: json\n",
    )
    .file("/t", "another")
    .file("/c", PEM_CERTIFICATE)
    .file("/k", PEM_KEY)
    .variable("CONSUL_HTTP_TOKEN_FILE", "/t")
    .variable("CONSUL_HTTP_AUTH", "user:password")
    .variable("CONSUL_CACERT", "/c")
    .variable("CONSUL_CLIENT_CERT", "/c")
    .variable("CONSUL_CLIENT_KEY", "/k")
    .variable("CONSUL_TLS_SERVER_NAME", "server")
    .variable("CONSUL_HTTP_SSL_VERIFY", "false")
    .good();
    assert_eq!(refused(&from, &to), "");
    assert_eq!(refused(&to, &from), "");
}

#[test]
fn everything_that_cannot_be_put_into_force_as_it_is_is_named_with_the_reason() {
    let from = managed("vip-elector: {preempt: true, preempt-delay: 1m}\n").good();
    let to = Host::with_file(
        "dcs-type: consul\ntrigger-key: other\ntrigger-value: node-b\nip: 192.168.0.10\nnetmask: 25\n\
         interface: lo\nvip-elector:\n  ttl: 20s\n  lock-delay: 5s\n  check-id: web\n  check-mode: watch\n  \
         kernel-lease: off\n  liveness-ttl: 0s\n  peer-listen: 0.0.0.0:1\n  peer-interval: 1s\n  \
         priority: 7\n  preempt: true\n  preempt-delay: 2m\n",
    )
    .argument("--manage-vip")
    .variable("CONSUL_NAMESPACE", "team")
    .variable("CONSUL_PARTITION", "part")
    .good();
    insta::assert_snapshot!(refused(&from, &to));
}

#[test]
fn what_is_turned_off_is_told_once() {
    let from = managed("vip-elector: {preempt: true}\n").good();
    let to =
        Host::minimal("trigger-value: node-a\nvip-elector: {peer-watch: off, lock-delay: 3s}\n")
            .good();
    insta::assert_snapshot!(refused(&from, &to));
}

#[test]
fn an_address_that_nobody_holds_here_may_change() {
    let from = Host::minimal(&format!("trigger-value: a\n{MANAGED}")).good();
    let to = Host::minimal("trigger-value: a\nip: 192.168.0.10\n").good();
    assert_eq!(refused(&from, &to), "");
}
