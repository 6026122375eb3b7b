//! TLS as Consul's own variables describe it.

use secrecy::ExposeSecret;
use vip_elector::cli;
use vip_elector::config::{Sources, list_directory, load};

use super::{Host, PEM_CERTIFICATE, PEM_KEY, warnings};

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

#[test]
fn the_keys_that_consul_makes_are_taken() {
    for kind in ["EC PRIVATE KEY", "RSA PRIVATE KEY", "PRIVATE KEY"] {
        let host = Host::minimal("")
            .file("/cert", PEM_CERTIFICATE)
            .file("/key", PEM_KEY.replace("PRIVATE KEY", kind))
            .variable("CONSUL_CLIENT_CERT", "/cert")
            .variable("CONSUL_CLIENT_KEY", "/key");
        assert!(host.load().is_ok(), "{kind}");
    }
}

#[test]
fn a_directory_of_certificates_is_read_in_order_and_passes_over_the_rest() {
    let second = PEM_CERTIFICATE.replace("AAAA", "BBBB");
    let config = Host::minimal("")
        .file("/ca/2.pem", &second)
        .file("/ca/1.pem", PEM_CERTIFICATE)
        .file("/ca/README", "certificates live here")
        .variable("CONSUL_CAPATH", "/ca")
        .good();
    assert_eq!(
        config.access.tls.roots,
        [PEM_CERTIFICATE.as_bytes(), second.as_bytes()]
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
