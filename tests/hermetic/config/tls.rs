//! TLS as Consul's own variables describe it.

use secrecy::ExposeSecret;
use vip_elector::cli;
use vip_elector::config::{Sources, list_directory, load};
use vip_elector::consul::access::Access;

use super::{Host, PEM_CA, PEM_CERTIFICATE, PEM_KEY, PEM_STRANGER, PEM_STRANGERS_KEY, warnings};

#[test]
fn certificates_and_names() {
    let config = Host::minimal("dcs-endpoints: https://consul:8501\n")
        .file("/ca", PEM_CERTIFICATE)
        .file("/cert", PEM_CERTIFICATE)
        .file("/key", PEM_KEY)
        .variable("CONSUL_CACERT", "/ca")
        .variable("CONSUL_CLIENT_CERT", "/cert")
        .variable("CONSUL_CLIENT_KEY", "/key")
        .variable("CONSUL_TLS_SERVER_NAME", "server.dc1.consul:8501")
        .variable("CONSUL_NAMESPACE", "team")
        .variable("CONSUL_PARTITION", "part")
        .variable("CONSUL_HTTP_AUTH", "user:hunter2")
        .good();
    let tls = &config.access.tls;
    assert!(tls.verify);
    assert_eq!(tls.roots, [PEM_CERTIFICATE.as_bytes()]);
    let identity = tls.identity.as_ref().unwrap();
    assert_eq!(identity.certificate, PEM_CERTIFICATE.as_bytes());
    assert_eq!(identity.key.expose_secret(), PEM_KEY);
    assert_eq!(tls.server_name.as_deref(), Some("server.dc1.consul"));
    assert_eq!(config.access.namespace.as_deref(), Some("team"));
    assert_eq!(config.access.partition.as_deref(), Some("part"));
    insta::assert_snapshot!(config.describe());
}

/// Of a setting with a flag, a variable and an option, and what it became.
type Setting = (&'static str, &'static str, fn(&Access) -> Option<String>);

/// Each at three levels, and the highest counts.
#[test]
fn what_consuls_tools_read_is_a_flag_and_an_option_too() {
    let settings: [Setting; 3] = [
        ("namespace", "CONSUL_NAMESPACE", |access| {
            access.namespace.clone()
        }),
        ("partition", "CONSUL_PARTITION", |access| {
            access.partition.clone()
        }),
        ("tls-server-name", "CONSUL_TLS_SERVER_NAME", |access| {
            access.tls.server_name.clone()
        }),
    ];
    for (name, variable, of) in settings {
        let none = Host::minimal("");
        assert_eq!(of(&none.good().access), None);
        let option = Host::minimal(&format!("vip-elector: {{{name}: option}}\n"));
        assert_eq!(of(&option.good().access).as_deref(), Some("option"));
        let both = option.variable(variable, "variable");
        assert_eq!(of(&both.good().access).as_deref(), Some("variable"));
        let all = both.argument(format!("--{name}=flag"));
        assert_eq!(of(&all.good().access).as_deref(), Some("flag"));
        let shown = all.good().describe();
        let line = shown
            .lines()
            .find(|line| line.starts_with(&format!("{name}: flag ")));
        assert!(
            line.is_some_and(|line| line.ends_with(&format!("# flag --{name}"))),
            "{shown}"
        );
    }
}

#[test]
fn the_password_comes_from_a_file_or_a_variable() {
    let auth = |host: &Host| {
        let auth = host.good().access.http_auth;
        auth.map(|auth| auth.expose_secret().to_owned())
    };
    let option = Host::minimal("vip-elector: {http-auth-file: /option}\n")
        .file("/option", "user:option\n")
        .file("/flag", " user:flag ");
    assert_eq!(auth(&option).as_deref(), Some("user:option"));
    let both = option.variable("CONSUL_HTTP_AUTH", "user:variable");
    assert_eq!(auth(&both).as_deref(), Some("user:variable"));
    let all = both.argument("--http-auth-file=/flag");
    assert_eq!(auth(&all).as_deref(), Some("user:flag"));
}

/// Beside a directory a file wins; but what is said higher up counts before both.
#[test]
fn whom_to_trust_is_said_at_three_levels() {
    let host = || {
        Host::minimal("vip-elector: {ca-file: /one, ca-path: /ca}\n")
            .file("/one", PEM_STRANGER)
            .file("/ca/a.pem", PEM_CA)
    };
    let roots = |host: Host| host.good().access.tls.roots;
    let (file, directory) = ([PEM_STRANGER.as_bytes()], [PEM_CA.as_bytes()]);
    assert_eq!(roots(host()), file);
    assert_eq!(roots(host().variable("CONSUL_CAPATH", "/ca")), directory);
    let variables = || {
        host()
            .variable("CONSUL_CAPATH", "/ca")
            .variable("CONSUL_CACERT", "/one")
    };
    assert_eq!(roots(variables()), file);
    assert_eq!(roots(variables().argument("--ca-path=/ca")), directory);
    let flags = variables()
        .argument("--ca-path=/ca")
        .argument("--ca-file=/one");
    assert_eq!(roots(flags), file);
}

#[test]
fn the_keys_that_consul_and_openssl_make_are_taken() {
    for (certificate, key) in [
        (PEM_CERTIFICATE, PEM_KEY),
        (PEM_CERTIFICATE, include_str!("../../pki/key-sec1.pem")),
        (PEM_STRANGER, PEM_STRANGERS_KEY),
    ] {
        let host = Host::minimal("")
            .file("/cert", certificate)
            .file("/key", key)
            .argument("--client-cert=/cert")
            .argument("--client-key=/key");
        let identity = host.good().access.tls.identity.unwrap();
        assert_eq!(identity.key.expose_secret(), key);
    }
}

#[test]
fn a_directory_of_certificates_is_read_in_order_and_passes_over_the_rest() {
    let config = Host::minimal("")
        .file("/ca/2.pem", PEM_STRANGER)
        .file("/ca/1.pem", PEM_CA)
        .file("/ca/1.key", PEM_KEY)
        .file("/ca/README", "certificates live here")
        .variable("CONSUL_CAPATH", "/ca")
        .good();
    assert_eq!(
        config.access.tls.roots,
        [PEM_CA.as_bytes(), PEM_STRANGER.as_bytes()]
    );
}

#[test]
fn ssl_turns_tls_on_even_for_http() {
    for (value, scheme) in [
        ("true", "https"),
        ("1", "https"),
        ("false", "http"),
        ("0", "http"),
    ] {
        let described = Host::minimal("dcs-endpoints: [http://consul:80, consul:8500]\n")
            .variable("CONSUL_HTTP_SSL", value)
            .good()
            .describe();
        assert_eq!(
            described
                .matches(&format!("{scheme}://consul:8500"))
                .count(),
            1,
            "{described}"
        );
    }
    let config = Host::minimal("")
        .variable("CONSUL_HTTP_SSL", "true")
        .argument("--addr=http://consul:80")
        .good();
    assert!(
        config.describe().contains("addr: https://consul:80 "),
        "{}",
        config.describe()
    );
}

#[test]
fn verification_can_be_turned_off_with_a_warning() {
    let host = Host::minimal("").variable("CONSUL_HTTP_SSL_VERIFY", "false");
    let plain = host.good();
    assert!(!plain.access.tls.verify);
    assert_eq!(warnings(&plain), "");
    insta::assert_snapshot!(warnings(
        &host.argument("--addr=https://consul:8501").good()
    ));
    let option = || Host::minimal("vip-elector: {addr: \"https://h\", ssl-verify: false}\n");
    assert!(!option().good().access.tls.verify);
    assert_eq!(option().good().warnings.len(), 1);
    for verified in [
        option().variable("CONSUL_HTTP_SSL_VERIFY", "true"),
        option().argument("--ssl-verify"),
    ] {
        assert!(verified.good().access.tls.verify);
        assert_eq!(warnings(&verified.good()), "");
    }
}

#[test]
fn certificates_for_plain_http_are_worth_a_warning() {
    let host = || {
        Host::minimal("vip-elector: {tls-server-name: server.dc1.consul}\n")
            .file("/ca", PEM_CA)
            .file("/cert", PEM_CERTIFICATE)
            .file("/key", PEM_KEY)
            .variable("CONSUL_CACERT", "/ca")
            .argument("--client-cert=/cert")
            .argument("--client-key=/key")
    };
    insta::assert_snapshot!(warnings(&host().good()));
    let socket = host().argument("--addr=unix:///run/consul.sock");
    assert_eq!(socket.good().warnings.len(), 3);
    let one_of_two = host().argument("--addr=http://a:8500,https://b:8501");
    assert_eq!(warnings(&one_of_two.good()), "");
}

/// The same through real files, because a closure over a map opens none.
#[test]
fn real_files_are_read() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let at = |name: &str| {
        directory
            .path()
            .join(name)
            .to_str()
            .expect("a text")
            .to_owned()
    };
    std::fs::create_dir_all(at("ca/below")).expect("directories");
    for (name, text) in [
        ("vip-manager.yml", super::MINIMAL),
        ("token", "t0k3n\n"),
        ("ca/root.pem", PEM_CERTIFICATE),
    ] {
        std::fs::write(at(name), text).expect("a file");
    }
    let arguments = ["vip-elector", "--vip-manager-config"].map(str::to_owned);
    let cli = cli::parse(
        arguments
            .into_iter()
            .chain([at("vip-manager.yml")])
            .map(Into::into),
    );
    let config = load(
        &cli.expect("the flags are right"),
        &Sources {
            environment: &|name| match name {
                "CONSUL_HTTP_TOKEN_FILE" => Some(at("token")),
                "CONSUL_CAPATH" => Some(at("ca")),
                _ => None,
            },
            read: &|path| std::fs::read(path),
            list: &list_directory,
            interface_exists: &|_| false,
            host_name: "node-a",
        },
    )
    .expect("everything is there");
    assert_eq!(config.access.token.unwrap().expose_secret(), "t0k3n");
    assert_eq!(config.access.tls.roots, [PEM_CERTIFICATE.as_bytes()]);
}
