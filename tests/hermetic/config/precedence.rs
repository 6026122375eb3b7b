//! What wins over what.

use std::time::Duration;

use secrecy::ExposeSecret;
use vip_elector::config::{KernelLease, LogFormat};

use super::{Host, warnings};

/// A value, and how to write it somewhere on a host.
type Layer = (&'static str, fn(Host) -> Host);

/// Peels one layer after the other off a host where everything is written.
#[test]
fn the_address() {
    let layers: [Layer; 5] = [
        ("flag", |host| host.argument("--addr=flag")),
        ("vip-variable", |host| {
            host.variable("VIP_DCS_ENDPOINTS", "vip-variable")
        }),
        ("own-option", |host| {
            host.file(super::FILE, in_file("vip-elector: {addr: own-option}\n"))
        }),
        ("file", |host| host.file(super::FILE, in_file(""))),
        ("variable", |host| host.file(super::FILE, super::MINIMAL)),
    ];
    for (number, (winner, _)) in layers.iter().enumerate() {
        // Files replace one another, so the highest that counts is written last.
        let base = Host::minimal("").variable("CONSUL_HTTP_ADDR", "variable");
        let host = layers[number..]
            .iter()
            .rev()
            .fold(base, |host, (_, add)| add(host));
        let config = host.good();
        let described = config.describe();
        assert!(
            described.contains(&format!("addr: http://{winner} ")),
            "{winner}:\n{described}"
        );
    }
    let described = Host::minimal("").good().describe();
    assert!(
        described.contains("addr: http://127.0.0.1:8500 "),
        "{described}"
    );

    fn in_file(more: &str) -> String {
        format!("{}dcs-endpoints: file\n{more}", super::MINIMAL)
    }
}

#[test]
fn the_token() {
    let layers: [Layer; 8] = [
        ("flag", |host| host.argument("--token=flag")),
        ("flag-file", |host| host.argument("--token-file=/flag")),
        ("variable", |host| {
            host.variable("CONSUL_HTTP_TOKEN", "variable")
        }),
        ("variable-file", |host| {
            host.variable("CONSUL_HTTP_TOKEN_FILE", "/variable")
        }),
        ("vip-variable", |host| {
            host.variable("VIP_CONSUL_TOKEN", "vip-variable")
        }),
        ("own-file", |host| {
            let text = "consul-token: key\nvip-elector: {token-file: /own}\n";
            host.file(super::FILE, format!("{}{text}", super::MINIMAL))
        }),
        ("key", |host| {
            host.file(
                super::FILE,
                format!("{}consul-token: key\n", super::MINIMAL),
            )
        }),
        ("credential", |host| {
            host.file(super::FILE, super::MINIMAL)
                .variable("CREDENTIALS_DIRECTORY", "/run/c")
        }),
    ];
    for (number, (winner, _)) in layers.iter().enumerate() {
        let base = Host::minimal("")
            .file("/flag", "flag-file\n")
            .file("/variable", " variable-file ")
            .file("/own", "own-file")
            .file("/run/c/consul-token", "credential\n");
        let host = layers[number..]
            .iter()
            .rev()
            .fold(base, |host, (_, add)| add(host));
        let token = host.good().access.token.unwrap();
        assert_eq!(token.expose_secret(), *winner);
    }
    let shown = warnings(&Host::minimal("").argument("--token=flag").good());
    assert!(
        shown.contains("every user of this host can read it"),
        "{shown}"
    );
    assert!(Host::minimal("").good().access.token.is_none());
}

#[test]
fn our_options_stand_in_the_file_and_flags_win() {
    let text = "vip-elector:\n  ttl: 20s\n  lock-delay: 0s\n  check-id: web\n  manage-vip: false\n  \
                log-format: json\n  log-level: debug\n";
    let config = Host::minimal(text).good();
    assert_eq!(config.groups[0].session.ttl, Duration::from_secs(20));
    assert_eq!(config.groups[0].session.lock_delay, Duration::ZERO);
    assert_eq!(config.groups[0].session.check_id.as_deref(), Some("web"));
    assert_eq!(config.log.format, LogFormat::Json);
    assert_eq!(config.log.level, tracing::Level::DEBUG);

    let config = Host::minimal(text)
        .argument("--ttl=30s")
        .argument("--lock-delay=1m")
        .argument("--check-id=db")
        .argument("--log-format=text")
        .argument("--log-level=warn")
        .good();
    assert_eq!(config.groups[0].session.ttl, Duration::from_secs(30));
    assert_eq!(config.groups[0].session.lock_delay, Duration::from_secs(60));
    assert_eq!(config.groups[0].session.check_id.as_deref(), Some("db"));
    assert_eq!(config.log.format, LogFormat::Text);
    assert_eq!(config.log.level, tracing::Level::WARN);
}

#[test]
fn manage_vip_in_the_file_can_be_turned_off_by_a_flag() {
    let text = "ip: 192.168.0.9\ninterface: bond0\nvip-elector: {manage-vip: true}\n";
    assert!(Host::minimal(text).good().manage_vip);
    assert!(
        !Host::minimal(text)
            .argument("--manage-vip=false")
            .good()
            .manage_vip
    );
}

#[test]
fn vip_variables_win_over_the_file() {
    let config = Host::minimal("ip: 192.168.0.1\nnetmask: 8\ninterface: lo\ntrigger-value: a\n")
        .variable("VIP_IP", "192.168.0.2")
        .variable("VIP_NETMASK", "16")
        .variable("VIP_INTERFACE", "bond0")
        .variable("VIP_TRIGGER_KEY", "/other")
        .variable("VIP_TRIGGER_VALUE", "b")
        .variable("VIP_MANAGER_TYPE", "basic")
        .argument("--manage-vip")
        .good();
    insta::assert_snapshot!(config.describe());
}

#[test]
fn vip_variables_alone_are_enough() {
    let config = Host::with_file("interval: 1000\n")
        .variable("VIP_DCS_TYPE", "consul")
        .variable("VIP_TRIGGER_KEY", "a")
        .good();
    assert_eq!(config.groups[0].trigger_key, "a");
}

#[test]
fn older_variables_are_taken_with_a_hint() {
    let config = Host::minimal("").variable("VIP_KEY", "other").good();
    assert_eq!(config.groups[0].trigger_key, "other");
    assert_eq!(
        warnings(&config),
        "VIP_KEY (environment VIP_KEY) is an older name; write VIP_TRIGGER_KEY\n"
    );
    assert_eq!(
        warnings(&Host::minimal("").variable("VIP_CONSUL_TOKEN", "x").good()),
        ""
    );
}

#[test]
fn empty_variables_and_flags_say_nothing() {
    let config = Host::minimal("")
        .variable("CONSUL_HTTP_ADDR", "")
        .variable("CONSUL_HTTP_TOKEN", "")
        .variable("VIP_TRIGGER_KEY", "")
        .argument("--check-id=")
        .argument("--addr=")
        .argument("--token=")
        .argument("--hostname=")
        .good();
    assert_eq!(config.groups[0].trigger_key, "service/db/leader");
    assert_eq!(config.groups[0].session.check_id, None);
    assert!(config.access.token.is_none());
}

#[test]
fn the_value_written() {
    let value = |host: &Host| host.good().groups[0].trigger_value.clone();
    let file = Host::minimal("trigger-value: by-file\n").named("web1.example.org");
    assert_eq!(value(&file), "by-file");
    assert_eq!(warnings(&file.good()), "");
    let flag = file.argument("--hostname=by-flag");
    assert_eq!(value(&flag), "by-flag");
    insta::assert_snapshot!("value_not_the_trigger_value", warnings(&flag.good()));
    let neither = Host::minimal("").named("web1.example.org");
    assert_eq!(value(&neither), "web1");
    insta::assert_snapshot!("value_is_the_short_host_name", warnings(&neither.good()));
}

#[test]
fn a_host_name_counts_for_every_group() {
    let config = Host::with_two_files("trigger-key: a\n", "trigger-key: b\ntrigger-value: x\n")
        .argument("--hostname=me")
        .good();
    assert!(
        config
            .groups
            .iter()
            .all(|group| group.trigger_value == "me")
    );
    assert_eq!(config.groups[0].file.to_str(), Some("/etc/a.yml"));
    assert_eq!(config.groups[1].name(), "b");
}

#[test]
fn one_file_may_speak_for_the_other() {
    let config = Host::with_two_files(
        "trigger-key: a\ndcs-endpoints: http://one:8500\nvip-elector: {log-format: json}\n",
        "trigger-key: b\n",
    )
    .good();
    assert_eq!(config.log.format, LogFormat::Json);
    insta::assert_snapshot!(config.describe());
}

#[test]
fn a_flag_settles_what_files_disagree_about() {
    let host = Host::with_two_files(
        "trigger-key: a\ndcs-endpoints: http://one:8500\n",
        "trigger-key: b\ndcs-endpoints: http://two:8500\n",
    );
    assert!(host.load().is_err());
    assert!(host.argument("--addr=http://three:8500").load().is_ok());
}

#[test]
fn the_lock_delay_and_the_kernel() {
    let managed = |lock_delay: &str| {
        Host::minimal("ip: 192.168.0.9\ninterface: bond0\n")
            .argument("--manage-vip")
            .argument(format!("--lock-delay={lock_delay}"))
            .good()
    };
    assert_eq!(warnings(&managed("2.5s")), "");
    assert_eq!(managed("2499ms").warnings.len(), 1);
    insta::assert_snapshot!(warnings(&managed("1s")));
    assert_eq!(
        warnings(&Host::minimal("").argument("--lock-delay=0s").good()),
        ""
    );
}

#[test]
fn the_kernel_lease_can_be_turned_off_with_a_warning() {
    let managed = |file: &str| {
        let file = format!("ip: 192.168.0.9\ninterface: bond0\n{file}");
        Host::minimal(&file).argument("--manage-vip")
    };
    assert_eq!(managed("").good().kernel_lease, KernelLease::Auto);
    let off = managed("").argument("--kernel-lease=off").good();
    assert_eq!(off.kernel_lease, KernelLease::Off);
    insta::assert_snapshot!(warnings(&off));
    let file = "vip-elector:\n  kernel-lease: off\n";
    assert_eq!(managed(file).good().kernel_lease, KernelLease::Off);
    assert_eq!(
        warnings(&Host::minimal("").argument("--kernel-lease=off").good()),
        "",
        "without --manage-vip there is none"
    );
}

#[test]
fn the_ends_of_what_consul_takes() {
    for argument in [
        "--ttl=10s",
        "--ttl=24h",
        "--lock-delay=60s",
        "--lock-delay=0",
    ] {
        assert!(
            Host::minimal("").argument(argument).load().is_ok(),
            "{argument}"
        );
    }
    for argument in [
        "--ttl=9999999999ns",
        "--ttl=24h1ns",
        "--lock-delay=60.000000001s",
    ] {
        assert!(
            Host::minimal("").argument(argument).load().is_err(),
            "{argument}"
        );
    }
}
