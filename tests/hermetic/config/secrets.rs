//! A secret is shown nowhere, wherever it was written.

use super::{FILE, Host, MINIMAL, PEM_CERTIFICATE, PEM_KEY};

const MARK: &str = "s3cr3t-mark";

fn hosts() -> Vec<Host> {
    let key = PEM_KEY.replace(
        "-----BEGIN PRIVATE KEY-----",
        &format!("# {MARK}\n-----BEGIN PRIVATE KEY-----"),
    );
    vec![
        Host::minimal("").argument(format!("--token={MARK}")),
        Host::minimal("")
            .argument("--token-file=/t")
            .file("/t", MARK),
        Host::minimal("").variable("CONSUL_HTTP_TOKEN", MARK),
        Host::minimal("")
            .variable("CONSUL_HTTP_TOKEN_FILE", "/t")
            .file("/t", MARK),
        Host::minimal("")
            .variable("CREDENTIALS_DIRECTORY", "/c")
            .file("/c/consul-token", MARK),
        Host::minimal("").variable("VIP_CONSUL_TOKEN", MARK),
        Host::minimal(&format!("consul-token: {MARK}\n")),
        Host::minimal(&format!("consul_token: {MARK}\n")),
        Host::minimal(&format!("etcd-password: {MARK}\netcd_password: {MARK}\n")),
        Host::minimal("").variable("CONSUL_HTTP_AUTH", &format!("user:{MARK}")),
        Host::minimal("")
            .argument("--http-auth-file=/a")
            .file("/a", format!("user:{MARK}")),
        Host::minimal("vip-elector: {http-auth-file: /a}\n").file("/a", format!("user:{MARK}")),
        Host::minimal("")
            .file("/cert", PEM_CERTIFICATE)
            .file("/key", key)
            .variable("CONSUL_CLIENT_CERT", "/cert")
            .variable("CONSUL_CLIENT_KEY", "/key"),
        // Refused ones.
        Host::minimal("").variable("CONSUL_HTTP_TOKEN", &format!("{MARK}\n")),
        Host::minimal("")
            .argument("--token-file=/t")
            .file("/t", format!("{MARK}\n{MARK}\n")),
        Host::minimal("").variable("CONSUL_HTTP_AUTH", &format!("user:{MARK}\n")),
        Host::minimal("")
            .argument("--http-auth-file=/a")
            .file("/a", format!("user:{MARK}\nuser:{MARK}\n")),
        Host::minimal("").argument("--client-key=/key").file(
            "/key",
            format!("{MARK}\n-----BEGIN PRIVATE KEY-----\n{MARK}\n"),
        ),
        Host::minimal("")
            .argument("--client-key=/key")
            .file("/key", MARK),
        Host::minimal(&format!("consul-token: [{MARK}]\n")),
        Host::minimal(&format!("consul-token: {{{MARK}: 1}}\n")),
        Host::minimal(&format!("consul-token: {MARK}\nconsul_token: {MARK}2\n")),
        Host::minimal("").argument(format!("--addr=http://user:{MARK}@consul:8500")),
        Host::minimal("").argument(format!("--addr=http://user:{MARK}/x@consul:99999")),
        Host::minimal("").argument(format!("--addr=http://consul:99999?token={MARK}")),
        Host::minimal("").argument(format!("--addr=ftp://user:{MARK}@consul:8500")),
        Host::minimal("").argument(format!("--addr=user:{MARK}@consul:8500")),
        Host::minimal("").argument(format!("--health-url=http://user:{MARK}@127.0.0.1/")),
        Host::minimal("").argument(format!("--health-url=http://user:{MARK}@h:99999/")),
        Host::minimal("").argument(format!("--health-url=user:{MARK}@127.0.0.1")),
        Host::with_file(format!("{MINIMAL}consul-token: {MARK}: x\n")),
        Host::with_file(format!("{MINIMAL}consul-token: \"{MARK}\n")),
        Host::with_file(format!("{MINIMAL}consul-token: *{MARK}\n")),
        Host::with_file(format!("{MINIMAL}consul-token: !{MARK} x\n")),
        Host::with_two_files(
            &format!("trigger-key: a\nconsul-token: {MARK}1\n"),
            &format!("trigger-key: b\nconsul-token: {MARK}2\n"),
        ),
    ]
}

#[test]
fn nothing_shows_it() {
    for (number, host) in hosts().into_iter().enumerate() {
        let shown = match host.load() {
            Ok(config) => format!("{}\n{config:?}\n{:?}", config.describe(), config.warnings),
            Err(problems) => format!("{problems}\n{problems:?}"),
        };
        assert!(!shown.contains(MARK), "host {number} with {FILE}:\n{shown}");
    }
}

#[test]
fn the_command_line_does_not_show_it_either() {
    let arguments = ["vip-elector", "--token", MARK].map(Into::into);
    let cli = vip_elector::cli::parse(arguments).expect("a token is a token");
    assert!(!format!("{cli:?}").contains(MARK));
    for arguments in [
        vec!["vip-elector".to_owned(), format!("--tokne={MARK}")],
        vec![
            "vip-elector".to_owned(),
            format!("--token={MARK}"),
            "--nonsense".to_owned(),
        ],
    ] {
        let error = vip_elector::cli::parse(arguments.into_iter().map(Into::into)).unwrap_err();
        assert!(!error.to_string().contains(MARK), "{error}");
    }
}

#[test]
fn a_masked_line_says_where_the_secret_comes_from() {
    let host = Host::minimal("").argument(format!("--token={MARK}"));
    let described = host.good().describe();
    let line = described
        .lines()
        .find(|line| line.starts_with("token:"))
        .unwrap();
    assert!(
        line.starts_with("token: ***") && line.ends_with("# flag --token"),
        "{line}"
    );
}
