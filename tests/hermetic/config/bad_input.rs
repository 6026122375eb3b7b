//! Every kind of bad input and the message it gets, one snapshot each.

mod access;

use super::{Host, MINIMAL};

const MANAGED: &str = "ip: 192.168.227.200\nnetmask: 24\ninterface: bond0\n";

#[test]
fn every_bad_input_has_its_message() {
    for (name, host) in cases() {
        let message = host.refusal();
        assert!(!message.is_empty(), "{name}: refused without a word");
        insta::with_settings!({ snapshot_path => "snapshots/bad_input", prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(name, message);
        });
    }
}

#[test]
fn all_problems_are_reported_together() {
    let text = "dcs-type: etcd\nip: 300.1.1.1\nnetmask: 255.255.255.0\ninterface: eth7\n\
                vip-elector:\n  ttl: 5s\n  lock-dealy: 1s\n";
    let host = Host::with_file(text)
        .argument("--manage-vip")
        .argument("--lock-delay=10")
        .variable("CONSUL_HTTP_ADDR", "ftp://consul")
        .variable("CONSUL_HTTP_TOKEN_FILE", "/etc/no-token");
    insta::assert_snapshot!(host.refusal());
}

#[test]
fn the_same_problem_of_two_groups_is_told_once() {
    let host = Host::with_two_files("trigger-key: a\n", "trigger-key: b\n").named("");
    assert_eq!(host.refusal().lines().count(), 1);
}

fn cases() -> Vec<(&'static str, Host)> {
    let mut cases = files();
    cases.extend(groups());
    cases.extend(addresses());
    cases.extend(many());
    cases.extend(options());
    cases.extend(health());
    cases.extend(takeover());
    cases.extend(endpoints());
    cases.extend(secrets());
    cases.extend(access::cases());
    cases
}

fn files() -> Vec<(&'static str, Host)> {
    let with = Host::with_file;
    vec![
        ("file_not_given", Host::new()),
        (
            "file_missing",
            Host::new().argument("--vip-manager-config=/etc/none.yml"),
        ),
        ("file_not_yaml", with("dcs-type: consul\ntrigger-key: [a\n")),
        (
            "file_not_yaml_with_token",
            with("dcs-type: consul\nconsul-token: x: hunter2\n"),
        ),
        ("file_not_text", Host::with_file([0xff, 0xfe, 0xfa])),
        ("file_empty", with("")),
        ("file_only_comments", with("# nothing yet\n")),
        ("file_empty_mapping", with("{}\n")),
        ("file_list", with("- dcs-type: consul\n")),
        ("file_single_value", with("consul\n")),
        ("file_two_documents", with("a: 1\n---\nb: 2\n")),
        ("file_of_aliases", with(&of_aliases())),
        (
            "file_with_escape_sequences",
            Host::minimal("\"vip-elector\": {\"\\e[0m\": 1}\n"),
        ),
        ("file_key_twice", Host::minimal("trigger-key: other\n")),
        ("value_list", Host::minimal("trigger-value: [a, b]\n")),
        ("value_mapping", Host::minimal("ip: {v4: 192.168.0.1}\n")),
        ("spellings_differ", Host::minimal("key: other\n")),
        ("own_options_list", Host::minimal("vip-elector: [ttl]\n")),
        (
            "own_option_unknown",
            Host::minimal("vip-elector:\n  tll: 10s\n"),
        ),
        (
            "own_option_wrong",
            Host::minimal("vip-elector:\n  ttl: 5s\n"),
        ),
    ]
}

/// A few lines that stand for a hundred million values.
fn of_aliases() -> String {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..8 {
        let below = format!("*a{}", level - 1);
        let items = vec![below; 10].join(", ");
        text.push_str(&format!("a{level}: &a{level} [{items}]\n"));
    }
    text + MINIMAL
}

fn groups() -> Vec<(&'static str, Host)> {
    let key = |key: &str| Host::with_file(format!("dcs-type: consul\ntrigger-key: {key}\n"));
    vec![
        (
            "dcs_type_etcd",
            Host::with_file("dcs-type: etcd\ntrigger-key: a\n"),
        ),
        ("dcs_type_missing", Host::with_file("trigger-key: a\n")),
        ("trigger_key_missing", Host::with_file("dcs-type: consul\n")),
        ("trigger_key_empty", key("\"\"")),
        ("trigger_key_slashes", key("//")),
        (
            "trigger_value_two_lines",
            Host::minimal("trigger-value: |\n  a\n  b\n"),
        ),
        ("trigger_key_space", key("service/my db/leader")),
        ("trigger_key_dots", key("service/../leader")),
        (
            "trigger_key_umlaut",
            Host::minimal("").variable("VIP_TRIGGER_KEY", "größe"),
        ),
        (
            "two_groups_same_key",
            Host::with_two_files("trigger-key: a\n", "trigger-key: /a\n"),
        ),
        (
            "two_groups_same_address",
            Host::with_two_files(
                "trigger-key: a\nip: 192.168.0.9\ninterface: bond0\n",
                "trigger-key: b\nip: 192.168.0.9\ninterface: bond0\n",
            )
            .argument("--manage-vip"),
        ),
        (
            "several_files_and_group_variables",
            Host::with_two_files("trigger-key: a\n", "trigger-key: b\n")
                .variable("VIP_IP", "192.168.0.9")
                .variable("VIP_NETMASK", "24")
                .variable("VIP_INTERFACE", "bond0")
                .variable("VIP_TRIGGER_KEY", "c")
                .variable("VIP_TRIGGER_VALUE", "d"),
        ),
        ("hostname_none", Host::minimal("").named("")),
        (
            "manager_type_hetzner",
            Host::minimal(&format!("{MANAGED}manager-type: hetzner\n")).argument("--manage-vip"),
        ),
        (
            "manager_type_unknown",
            Host::minimal("manager-type: magic\n"),
        ),
    ]
}

fn addresses() -> Vec<(&'static str, Host)> {
    let managed = |more: &str| Host::minimal(more).argument("--manage-vip");
    vec![
        ("managed_without_ip", managed("interface: bond0\n")),
        ("managed_without_interface", managed("ip: 192.168.0.9\n")),
        (
            "interface_missing",
            managed("ip: 192.168.0.9\ninterface: bond7\n"),
        ),
        ("ip_no_address", Host::minimal("ip: 192.168.0.300\n")),
        ("ip_host_name", Host::minimal("ip: vip.example.org\n")),
        ("ip_with_prefix", Host::minimal("ip: 192.168.0.9/24\n")),
        ("ip_unspecified", Host::minimal("ip: 0.0.0.0\n")),
        ("ip_multicast", Host::minimal("ip: ff02::1\n")),
        (
            "ip_by_variable",
            Host::minimal("").variable("VIP_IP", "here"),
        ),
        (
            "netmask_dotted",
            Host::minimal("ip: 192.168.0.9\nnetmask: 255.255.255.0\n"),
        ),
        (
            "netmask_dotted_no_mask",
            Host::minimal("ip: 192.168.0.9\nnetmask: 255.0.255.0\n"),
        ),
        (
            "netmask_33",
            Host::minimal("ip: 192.168.0.9\nnetmask: 33\n"),
        ),
        ("netmask_0", Host::minimal("ip: 192.168.0.9\nnetmask: 0\n")),
        (
            "netmask_129",
            Host::minimal("ip: 2001:db8::9\nnetmask: 129\n"),
        ),
        (
            "netmask_class_of_ipv6",
            Host::minimal("ip: 2001:db8::9\nnetmask: -1\n"),
        ),
        (
            "netmask_word",
            Host::minimal("ip: 192.168.0.9\nnetmask: big\n"),
        ),
    ]
}

fn options() -> Vec<(&'static str, Host)> {
    let with = |argument: &str| Host::minimal("").argument(argument);
    let managed = |argument: &str| {
        Host::minimal(MANAGED)
            .argument("--manage-vip")
            .argument(argument)
    };
    vec![
        ("ttl_too_short", with("--ttl=9.999s")),
        ("ttl_too_long", with("--ttl=24h1s")),
        ("ttl_without_unit", with("--ttl=10")),
        ("ttl_negative", with("--ttl=-10s")),
        ("ttl_no_duration", with("--ttl=soon")),
        ("ttl_empty", with("--ttl=")),
        ("ttl_overflow", with("--ttl=9999999h")),
        ("lock_delay_too_long", with("--lock-delay=61s")),
        ("lock_delay_without_unit", with("--lock-delay=1.5")),
        ("lock_delay_zero_managed", managed("--lock-delay=0s")),
        ("lock_delay_below_lease", managed("--lock-delay=999ms")),
        ("kernel_lease_unknown", managed("--kernel-lease=sometimes")),
        ("manage_vip_maybe", with("--manage-vip=maybe")),
        ("log_format_xml", with("--log-format=xml")),
        ("log_level_loud", with("--log-level=loud")),
        (
            "two_files_differ",
            Host::with_two_files(
                "trigger-key: a\nvip-elector: {kernel-lease: auto}\n",
                "trigger-key: b\nvip-elector: {kernel-lease: off}\n",
            ),
        ),
    ]
}

fn health() -> Vec<(&'static str, Host)> {
    let with = |argument: &str| Host::minimal("").argument(argument);
    let probed = |argument: &str| with("--health-command=true").argument(argument);
    vec![
        ("check_mode_unknown", with("--check-mode=sometimes")),
        ("check_mode_without_check", with("--check-mode=watch")),
        ("health_url_no_url", with("--health-url=127.0.0.1/health")),
        ("health_url_port", with("--health-url=http://h:99999/")),
        ("health_url_scheme", with("--health-url=tcp://127.0.0.1:80")),
        (
            "health_url_credentials",
            with("--health-url=http://root:hunter2@127.0.0.1/"),
        ),
        (
            "health_url_and_command",
            Host::minimal("vip-elector: {health-url: \"http://127.0.0.1/\"}\n")
                .argument("--health-command=true"),
        ),
        ("health_interval_short", probed("--health-interval=49ms")),
        ("health_interval_long", probed("--health-interval=61m")),
        ("health_timeout_zero", probed("--health-timeout=0s")),
        ("health_timeout_without_unit", probed("--health-timeout=1")),
        ("health_fall_zero", probed("--health-fall=0")),
        ("health_rise_large", probed("--health-rise=101")),
        ("health_rise_fraction", probed("--health-rise=1.5")),
    ]
}

fn takeover() -> Vec<(&'static str, Host)> {
    let with = |argument: &str| Host::minimal("").argument(argument);
    vec![
        ("liveness_ttl_short", with("--liveness-ttl=999ms")),
        ("liveness_ttl_no_duration", with("--liveness-ttl=off")),
        (
            "liveness_ttl_below_kernel",
            Host::minimal(MANAGED)
                .argument("--manage-vip")
                .argument("--lock-delay=1s")
                .argument("--liveness-ttl=1.999s"),
        ),
        ("peer_watch_maybe", with("--peer-watch=true")),
        ("peer_listen_port_0", with("--peer-listen=0.0.0.0:0")),
        ("peer_listen_no_port", with("--peer-listen=[::]")),
        ("peer_listen_group", with("--peer-listen=224.0.0.18:8547")),
        ("peer_interval_short", with("--peer-interval=9ms")),
        ("peer_interval_long", with("--peer-interval=11s")),
        ("priority_large", with("--priority=1001")),
        ("priority_word", with("--priority=high")),
        ("preempt_maybe", with("--preempt=maybe")),
        (
            "preempt_delay_without_unit",
            with("--preempt").argument("--preempt-delay=60"),
        ),
    ]
}

fn endpoints() -> Vec<(&'static str, Host)> {
    let with = |addr: &str| Host::minimal("").argument(format!("--addr={addr}"));
    vec![
        ("endpoints_empty_list", Host::minimal("dcs-endpoints: []\n")),
        (
            "endpoints_empty_text",
            Host::minimal("dcs-endpoints: \"\"\n"),
        ),
        ("endpoints_only_commas", with(",,")),
        (
            "endpoints_mapping",
            Host::minimal("dcs-endpoints: [{host: a}]\n"),
        ),
        (
            "endpoint_no_url",
            Host::minimal("dcs-endpoints:\n  - http://127.0.0.1:8500\n  - http://:8500\n"),
        ),
        ("endpoint_port", with("consul:99999")),
        ("endpoint_host_with_space", with("my consul:8500")),
        (
            "endpoint_scheme",
            Host::minimal("").variable("CONSUL_HTTP_ADDR", "ftp://consul"),
        ),
        ("endpoint_socket_relative", with("unix://consul.sock")),
        (
            "endpoint_credentials",
            with("http://root:hunter2@consul:8500"),
        ),
        ("endpoint_query", with("http://consul:8500/?token=x")),
        (
            "endpoint_ssl_maybe",
            Host::minimal("").variable("CONSUL_HTTP_SSL", "maybe"),
        ),
        (
            "endpoint_ssl_verify_maybe",
            Host::minimal("").variable("CONSUL_HTTP_SSL_VERIFY", "no"),
        ),
        (
            "two_files_different_endpoints",
            Host::with_two_files(
                "trigger-key: a\ndcs-endpoints: http://one:8500\n",
                "trigger-key: b\ndcs-endpoints: http://two:8500\n",
            ),
        ),
    ]
}

/// Files of a directory, each with its name, beside a flag.
fn in_directory(flag: &str, files: &[(&str, &str)]) -> Host {
    let host = Host::new().argument("--config-dir=/d").argument(flag);
    files.iter().fold(host, |host, (name, text)| {
        host.file(&format!("/d/{name}"), format!("dcs-type: consul\n{text}"))
    })
}

fn many() -> Vec<(&'static str, Host)> {
    let more = |addresses: &str| {
        let text = format!("{MANAGED}vip-elector: {{addresses: {addresses}}}\n");
        Host::minimal(&text).argument("--manage-vip")
    };
    let (a, b) = (("a.yml", "trigger-key: a\n"), ("b.yml", "trigger-key: b\n"));
    vec![
        (
            "directory_missing",
            Host::new().argument("--config-dir=/none"),
        ),
        (
            "directory_and_group_variables",
            in_directory("--ttl=10s", &[a]).variable("VIP_IP", "192.168.0.1"),
        ),
        (
            "directory_same_key",
            in_directory("--ttl=10s", &[a, ("b.yml", "trigger-key: /a\n")]),
        ),
        (
            "directory_same_address",
            in_directory(
                "--manage-vip",
                &[
                    (
                        "a.yml",
                        "trigger-key: a\nip: 192.168.0.1\ninterface: bond0\n",
                    ),
                    (
                        "b.yml",
                        "trigger-key: b\nip: 192.168.0.2\ninterface: bond0\nvip-elector: {addresses: [192.168.0.1]}\n",
                    ),
                ],
            ),
        ),
        (
            "directory_all_problems_together",
            in_directory(
                "--manage-vip",
                &[
                    ("a.yml", "trigger-key: a b\nip: x\n"),
                    (
                        "b.yml",
                        "trigger-key: b\nip: 192.168.0.2\ninterface: bond0\nvip-elector: {ttl: 1s, tls: 1}\n",
                    ),
                    ("c.yml", "- nothing\n"),
                ],
            ),
        ),
        ("several_checks_to_watch", {
            let text =
                |key: &str| format!("trigger-key: {key}\nvip-elector: {{check-id: {key}}}\n");
            in_directory(
                "--check-mode=watch",
                &[("a.yml", &text("a")), ("b.yml", &text("b"))],
            )
        }),
        ("one_group_without_a_check_to_watch", {
            let text = "trigger-key: a\nvip-elector: {check-id: a}\n";
            in_directory("--check-mode=watch", &[("a.yml", text), b])
        }),
        ("addresses_mapping", more("{ip: 192.168.0.1}")),
        ("addresses_list_of_lists", more("[[192.168.0.1], null]")),
        (
            "addresses_unknown_word",
            more("[{ip: 192.168.0.1, mask: 24}]"),
        ),
        ("addresses_without_ip", more("[{netmask: 24}]")),
        ("addresses_two_values", more("[{ip: [192.168.0.1]}]")),
        (
            "addresses_no_address",
            more("[eth0, 192.168.0.1/24, 224.0.0.1]"),
        ),
        (
            "addresses_twice",
            more("[192.168.0.1, 192.168.0.1, 192.168.227.200]"),
        ),
        (
            "addresses_netmask_of_the_other_family",
            more("[{ip: 192.168.0.1, netmask: 64}]"),
        ),
        (
            "addresses_interface_missing",
            more("[{ip: 192.168.0.1, interface: eth7}]"),
        ),
        (
            "label_of_another_interface",
            more("[{ip: 192.168.0.1, label: eth0}]"),
        ),
        (
            "label_long",
            more("[{ip: 192.168.0.1, label: bond0:0123456789}]"),
        ),
        (
            "label_with_a_space",
            more("[{ip: 192.168.0.1, label: bond0 vip}]"),
        ),
        ("label_of_ipv6", more("[{ip: 2001:db8::1, label: bond0}]")),
        (
            "announcing_never_or_all_the_time",
            more(
                "[{ip: 192.168.0.1, announce-count: 0, announce-interval: 1ms, announce-refresh: 500ms}]",
            ),
        ),
    ]
}

fn secrets() -> Vec<(&'static str, Host)> {
    let with = |name: &str, value: &str| Host::minimal("").variable(name, value);
    vec![
        (
            "token_file_missing",
            Host::minimal("").argument("--token-file=/etc/none"),
        ),
        (
            "token_file_empty",
            with("CONSUL_HTTP_TOKEN_FILE", "/etc/t").file("/etc/t", " \n"),
        ),
        (
            "token_file_lines",
            with("CONSUL_HTTP_TOKEN_FILE", "/etc/t").file("/etc/t", "a\nb\n"),
        ),
        (
            "token_file_not_text",
            with("CONSUL_HTTP_TOKEN_FILE", "/etc/t").file("/etc/t", [0xff]),
        ),
        ("token_not_a_header", with("CONSUL_HTTP_TOKEN", "hunter2\n")),
        (
            "two_files_different_tokens",
            Host::with_two_files(
                "trigger-key: a\nconsul-token: hunter2\n",
                "trigger-key: b\nconsul-token: hunter3\n",
            ),
        ),
    ]
}

#[test]
fn the_minimal_file_alone_is_no_bad_input() {
    assert_eq!(Host::with_file(MINIMAL).good().groups.len(), 1);
}
