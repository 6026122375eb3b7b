//! Pure: TLS towards Consul: whom to trust and who we are, read and checked at load time.

mod pem;

use std::path::Path;

use rustls::pki_types::DnsName;
use url::Host;

use super::super::credentials;
use super::super::describe::Lines;
use super::super::levels::{Levels, filled_flag, flag};
use super::super::option::boolean;
use super::super::origin::{Sourced, Written};
use super::super::report::{Fault, Findings};
use crate::consul::access::{Identity, Tls};

/// TLS as configured, as far as it could be read.
pub(super) struct Resolved {
    pub(super) tls: Tls,
    /// Who turned verification off.
    pub(super) unverified: Option<Written>,
}

pub(super) fn resolve(levels: &Levels<'_>, findings: &mut Findings, lines: &mut Lines) -> Resolved {
    let unverified = unverified(levels, findings, lines);
    let roots = roots(levels, findings, lines);
    let identity = identity(levels, findings, lines);
    let server_name = server_name(levels, findings);
    lines.add("tls-server-name", server_name.as_ref(), Clone::clone);
    let tls = Tls {
        verify: unverified.is_none(),
        roots,
        identity,
        server_name: server_name.map(|name| name.value),
    };
    Resolved { tls, unverified }
}

fn unverified(levels: &Levels<'_>, findings: &mut Findings, lines: &mut Lines) -> Option<Written> {
    let written = levels.consul(
        flag("--ssl-verify", levels.flags.ssl_verify.as_ref()),
        "CONSUL_HTTP_SSL_VERIFY",
        "ssl-verify",
        findings,
    )?;
    let verify = findings.accept("ssl-verify", &written, boolean(&written.value));
    lines.add("ssl-verify", verify.as_ref(), bool::to_string);
    verify.filter(|verify| !verify.value).map(|_| written)
}

/// Where the CAs to trust are.
enum Trusted {
    File(Written),
    Directory(Written),
}

fn roots(levels: &Levels<'_>, findings: &mut Findings, lines: &mut Lines) -> Vec<Vec<u8>> {
    match trusted(levels, findings) {
        Some(Trusted::File(file)) => {
            lines.add("ca-file", Some(&file), Clone::clone);
            let pem = read(levels, &file).and_then(pem::certificates);
            let pem = findings.accept("ca-file", &file, pem);
            pem.map(|pem| pem.value).into_iter().collect()
        }
        Some(Trusted::Directory(directory)) => {
            lines.add("ca-path", Some(&directory), Clone::clone);
            directory_roots(levels, &directory, findings)
        }
        None => Vec::new(),
    }
}

/// Beside a directory a file wins, as in Consul's client, unless the directory was said higher up.
fn trusted(levels: &Levels<'_>, findings: &mut Findings) -> Option<Trusted> {
    let flags = levels.flags;
    let file = filled_flag("--ca-file", flags.ca_file.as_ref()).map(Trusted::File);
    file.or_else(|| filled_flag("--ca-path", flags.ca_path.as_ref()).map(Trusted::Directory))
        .or_else(|| levels.environment("CONSUL_CACERT").map(Trusted::File))
        .or_else(|| levels.environment("CONSUL_CAPATH").map(Trusted::Directory))
        .or_else(|| levels.option(None, "ca-file", findings).map(Trusted::File))
        .or_else(|| {
            let directory = levels.option(None, "ca-path", findings);
            directory.map(Trusted::Directory)
        })
        .or_else(|| levels.credential(credentials::CA).map(Trusted::File))
}

/// What is no certificate, a README say, is passed over, but not if nothing is left.
fn directory_roots(
    levels: &Levels<'_>,
    directory: &Written,
    findings: &mut Findings,
) -> Vec<Vec<u8>> {
    let mut files = match (levels.sources.list)(Path::new(&directory.value)) {
        Ok(files) => files,
        Err(error) => {
            findings.problem("ca-path", directory, Fault::Unreadable(error));
            return Vec::new();
        }
    };
    files.sort();
    let mut roots = Vec::new();
    for file in &files {
        let name = directory.means(file.display().to_string());
        let pem = findings.accept("ca-path", &name, read(levels, &name));
        roots.extend(pem.and_then(|pem| pem::certificates(pem.value).ok()));
    }
    if roots.is_empty() {
        findings.problem("ca-path", directory, Fault::NoCertificates);
    }
    roots
}

fn identity(levels: &Levels<'_>, findings: &mut Findings, lines: &mut Lines) -> Option<Identity> {
    let flags = levels.flags;
    let certificate = levels.consul(
        filled_flag("--client-cert", flags.client_cert.as_ref()),
        "CONSUL_CLIENT_CERT",
        "client-cert",
        findings,
    );
    let key = levels.consul(
        filled_flag("--client-key", flags.client_key.as_ref()),
        "CONSUL_CLIENT_KEY",
        "client-key",
        findings,
    );
    // As a pair: half of one does not go with half of another.
    let (certificate, key) = match (certificate, key) {
        (None, None) => (
            levels.credential(credentials::CERTIFICATE),
            levels.credential(credentials::KEY),
        ),
        written => written,
    };
    lines.add("client-cert", certificate.as_ref(), Clone::clone);
    lines.add("client-key", key.as_ref(), Clone::clone);
    match (&certificate, &key) {
        (Some(certificate), None) => {
            let missing = "--client-key (CONSUL_CLIENT_KEY)";
            findings.problem("client-cert", certificate, Fault::Partner { missing });
        }
        (None, Some(key)) => {
            let missing = "--client-cert (CONSUL_CLIENT_CERT)";
            findings.problem("client-key", key, Fault::Partner { missing });
        }
        (Some(_), Some(_)) | (None, None) => {}
    }
    let chain = certificate.as_ref().and_then(|file| {
        let pem = read(levels, file).and_then(pem::certificates);
        findings.accept("client-cert", file, pem)
    });
    let secret = key.as_ref().and_then(|file| {
        let pem = read(levels, file).and_then(pem::private_key);
        findings.accept("client-key", file, pem)
    });
    let (chain, secret) = chain.zip(secret)?;
    let identity = Identity {
        certificate: chain.value,
        key: secret.value,
    };
    let (certificate, key) = certificate.zip(key)?;
    let pair = pem::belong_together(&identity, &key.value);
    findings.accept("client-cert", &certificate, pair)?;
    Some(identity)
}

/// Consul's client strips a port from the name.
fn server_name(levels: &Levels<'_>, findings: &mut Findings) -> Option<Sourced<String>> {
    let written = levels.consul(
        filled_flag("--tls-server-name", levels.flags.tls_server_name.as_ref()),
        "CONSUL_TLS_SERVER_NAME",
        "tls-server-name",
        findings,
    )?;
    let name = without_port(&written.value);
    // An address would be connected to, whatever the endpoint says.
    let is_name =
        DnsName::try_from(name).is_ok() && matches!(Host::parse(name), Ok(Host::Domain(_)));
    let name = is_name.then(|| name.to_owned()).ok_or(Fault::ServerName);
    findings.accept("tls-server-name", &written, name)
}

fn read(levels: &Levels<'_>, file: &Written) -> Result<Vec<u8>, Fault> {
    (levels.sources.read)(Path::new(&file.value)).map_err(Fault::Unreadable)
}

fn without_port(name: &str) -> &str {
    match name.split_once(':') {
        Some((host, port)) if !port.contains(':') => host,
        Some(_) | None => name,
    }
}
