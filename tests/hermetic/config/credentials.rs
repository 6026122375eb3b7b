//! What the service manager passes is found by itself, and gives way to everything that was written.

use std::path::Path;

use secrecy::ExposeSecret;

use super::{Host, PEM_CA, PEM_CERTIFICATE, PEM_KEY, PEM_STRANGER, PEM_STRANGERS_KEY};

const DIRECTORY: &str = "/run/credentials/vip-elector.service";

fn passed(name: &str, content: &str) -> impl Fn(Host) -> Host {
    let (path, content) = (format!("{DIRECTORY}/{name}"), content.to_owned());
    move |host| host.file(&path, &content)
}

fn all() -> Host {
    let host = Host::minimal("dcs-endpoints: https://consul:8501\n")
        .variable("CREDENTIALS_DIRECTORY", DIRECTORY);
    let host = passed("consul-token", "passed-token\n")(host);
    let host = passed("consul-ca.pem", PEM_CA)(host);
    let host = passed("consul-cert.pem", PEM_CERTIFICATE)(host);
    passed("consul-key.pem", PEM_KEY)(host)
}

#[test]
fn they_are_used_where_nothing_else_is_said() {
    let config = all().good();
    let access = &config.access;
    let token = access.token.as_ref().unwrap();
    assert_eq!(token.expose_secret(), "passed-token");
    let file = Path::new(DIRECTORY).join("consul-token");
    assert_eq!(access.token_file, Some(file), "it is looked at again");
    assert_eq!(access.tls.roots, [PEM_CA.as_bytes()]);
    assert!(access.tls.identity.is_some());
    insta::assert_snapshot!(config.describe());
}

#[test]
fn they_give_way_to_what_was_written() {
    let config = all()
        .file("/ca", PEM_CERTIFICATE)
        .file("/cert", PEM_STRANGER)
        .file("/key", PEM_STRANGERS_KEY)
        .variable("CONSUL_CACERT", "/ca")
        .variable("CONSUL_CLIENT_CERT", "/cert")
        .variable("CONSUL_CLIENT_KEY", "/key")
        .variable("CONSUL_HTTP_TOKEN", "written")
        .good();
    let access = &config.access;
    assert_eq!(access.token.as_ref().unwrap().expose_secret(), "written");
    assert_eq!(access.token_file, None);
    assert_eq!(access.tls.roots, [PEM_CERTIFICATE.as_bytes()]);
    let identity = access.tls.identity.as_ref().unwrap();
    assert_eq!(identity.certificate, PEM_STRANGER.as_bytes());
    let described = config.describe();
    assert!(!described.contains("credential"), "{described}");

    let config = all()
        .file("/ca/1.pem", PEM_STRANGER)
        .variable("CONSUL_CAPATH", "/ca")
        .good();
    assert_eq!(config.access.tls.roots, [PEM_STRANGER.as_bytes()]);
}

#[test]
fn half_a_pair_is_not_made_whole_by_another_pair() {
    let refusal = all()
        .file("/cert", PEM_CERTIFICATE)
        .variable("CONSUL_CLIENT_CERT", "/cert")
        .refusal();
    assert!(
        refusal.contains("is given without --client-key (CONSUL_CLIENT_KEY)"),
        "{refusal}"
    );
}

#[test]
fn nothing_is_looked_for_without_the_directory() {
    let host = passed("consul-token", "passed-token\n")(Host::minimal(""));
    assert!(host.good().access.token.is_none());
    let host = Host::minimal("").variable("CREDENTIALS_DIRECTORY", DIRECTORY);
    assert!(host.good().access.token.is_none(), "nothing was passed");
}

#[test]
fn one_that_cannot_be_used_is_refused() {
    let host = Host::minimal("").variable("CREDENTIALS_DIRECTORY", DIRECTORY);
    let host = passed("consul-token", "\n")(passed("consul-ca.pem", "none")(host));
    insta::assert_snapshot!(host.refusal());
}
