//! What is wrong with certificates, keys, names and passwords.

use super::super::{FILE, Host, PEM_CERTIFICATE, PEM_KEY, PEM_STRANGER, PEM_STRANGERS_KEY};

pub(super) fn cases() -> Vec<(&'static str, Host)> {
    let mut cases = trust();
    cases.extend(identities());
    cases.extend(keys());
    cases.extend(http_auth());
    cases.push(("access_all_wrong", all_wrong()));
    cases
}

/// Whom to trust.
fn trust() -> Vec<(&'static str, Host)> {
    let with = |name: &str, value: &str| Host::minimal("").variable(name, value);
    let ca = |text: &str| with("CONSUL_CACERT", "/c").file("/c", text);
    let name = |name: &str| Host::minimal("").argument(format!("--tls-server-name={name}"));
    vec![
        ("ca_file_missing", with("CONSUL_CACERT", "/etc/none.pem")),
        ("ca_file_not_pem", with("CONSUL_CACERT", FILE)),
        ("ca_file_broken_pem", ca(&PEM_STRANGER.replace('M', "*"))),
        ("ca_file_cut_off", ca(&PEM_STRANGER[..500])),
        ("ca_file_no_certificate", ca(&not_der("CERTIFICATE"))),
        ("ca_file_is_a_key", ca(PEM_KEY)),
        (
            "ca_file_by_option",
            Host::minimal("vip-elector: {ca-file: /c}\n").file("/c", ""),
        ),
        ("ca_path_missing", with("CONSUL_CAPATH", "/etc/none")),
        (
            "ca_path_without_certificates",
            with("CONSUL_CAPATH", "/ca").file("/ca/README", "none"),
        ),
        ("server_name_address", name("10.0.0.1")),
        ("server_name_address_v6", name("2001:db8::1")),
        ("server_name_space", name("my consul")),
        (
            "ssl_verify_maybe",
            Host::minimal("").argument("--ssl-verify=maybe"),
        ),
    ]
}

/// A certificate and its key.
fn identities() -> Vec<(&'static str, Host)> {
    let with = |name: &str, value: &str| Host::minimal("").variable(name, value);
    let both = |certificate: &str, key: &str| {
        with("CONSUL_CLIENT_CERT", "/c")
            .variable("CONSUL_CLIENT_KEY", "/k")
            .file("/c", certificate)
            .file("/k", key)
    };
    vec![
        (
            "client_cert_without_key",
            with("CONSUL_CLIENT_CERT", "/c").file("/c", PEM_CERTIFICATE),
        ),
        (
            "client_key_without_cert",
            with("CONSUL_CLIENT_KEY", "/k").file("/k", PEM_KEY),
        ),
        (
            "client_key_is_a_certificate",
            both(PEM_CERTIFICATE, PEM_CERTIFICATE),
        ),
        ("client_cert_is_a_key", both(PEM_KEY, PEM_KEY)),
        (
            "client_cert_and_key_mixed_up",
            both(PEM_KEY, PEM_CERTIFICATE),
        ),
        (
            "client_cert_missing",
            with("CONSUL_CLIENT_CERT", "/none")
                .variable("CONSUL_CLIENT_KEY", "/k")
                .file("/k", PEM_KEY),
        ),
        (
            "client_key_of_another",
            both(PEM_CERTIFICATE, PEM_STRANGERS_KEY),
        ),
    ]
}

/// A key beside a good certificate.
fn keys() -> Vec<(&'static str, Host)> {
    let key = |text: &str| {
        Host::minimal("")
            .argument("--client-cert=/c")
            .argument("--client-key=/k")
            .file("/c", PEM_CERTIFICATE)
            .file("/k", text)
    };
    let encrypted = include_str!("../../../pki/key-encrypted.pem");
    let encrypted_before = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\
                            DEK-Info: AES-256-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n";
    vec![
        ("client_key_not_pem", key("s3cret")),
        (
            "client_key_broken_pem",
            key(&PEM_STRANGERS_KEY.replace('M', "*")),
        ),
        ("client_key_no_key", key(&not_der("PRIVATE KEY"))),
        ("client_key_encrypted", key(encrypted)),
        ("client_key_encrypted_before", key(encrypted_before)),
        (
            "client_key_p521",
            key(include_str!("../../../pki/key-p521.pem")),
        ),
    ]
}

fn http_auth() -> Vec<(&'static str, Host)> {
    let file = |text: &str| {
        Host::minimal("")
            .argument("--http-auth-file=/a")
            .file("/a", text)
    };
    vec![
        (
            "http_auth_not_a_header",
            Host::minimal("").variable("CONSUL_HTTP_AUTH", "user:hunter2\n"),
        ),
        (
            "http_auth_file_missing",
            Host::minimal("").argument("--http-auth-file=/none"),
        ),
        ("http_auth_file_empty", file("\n")),
        ("http_auth_file_lines", file("user\nhunter2\n")),
    ]
}

/// One message each, all at once.
fn all_wrong() -> Host {
    Host::minimal("vip-elector: {http-auth-file: /empty, tls-server-name: 10.0.0.1}\n")
        .file("/empty", "")
        .argument("--addr=http://root:hunter2@consul:8500")
        .argument("--token-file=/none")
        .argument("--ca-file=/empty")
        .argument("--ssl-verify=maybe")
        .variable("CONSUL_HTTP_SSL", "maybe")
        .variable("CONSUL_CLIENT_KEY", "/empty")
}

/// Well-formed PEM of something else.
fn not_der(label: &str) -> String {
    format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n")
}
