//! Pure: TLS towards Consul: whom to trust and who we are, read and checked at load time.

use std::path::Path;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use secrecy::SecretString;

use super::super::credentials;
use super::super::describe::Lines;
use super::super::levels::Levels;
use super::super::origin::Written;
use super::super::report::{Fault, Findings};
use super::switch;
use crate::consul::access::{Identity, Tls};

const CERTIFICATE: &str = "a PEM certificate";
const PRIVATE_KEY: &str = "an unencrypted PEM private key";

/// TLS as configured, as far as it could be read.
pub(super) struct Resolved {
    pub(super) tls: Tls,
    /// Who turned verification off.
    pub(super) unverified: Option<Written>,
}

pub(super) fn resolve(levels: &Levels<'_>, findings: &mut Findings, lines: &mut Lines) -> Resolved {
    let verify = switch(levels, "CONSUL_HTTP_SSL_VERIFY", "ssl-verify", findings);
    lines.add("ssl-verify", verify.as_ref(), bool::to_string);
    let unverified = verify
        .filter(|verify| !verify.value)
        .and_then(|_| levels.environment("CONSUL_HTTP_SSL_VERIFY"));
    let roots = roots(levels, findings, lines);
    let identity = identity(levels, findings, lines);
    let server_name = levels
        .environment("CONSUL_TLS_SERVER_NAME")
        .map(|name| name.means(without_port(&name.value).to_owned()));
    lines.add("tls-server-name", server_name.as_ref(), Clone::clone);
    let tls = Tls {
        verify: unverified.is_none(),
        roots,
        identity,
        server_name: server_name.map(|name| name.value),
    };
    Resolved { tls, unverified }
}

/// A file wins over a directory, as in Consul's client.
fn roots(levels: &Levels<'_>, findings: &mut Findings, lines: &mut Lines) -> Vec<Vec<u8>> {
    if let Some(file) = levels.environment("CONSUL_CACERT") {
        return file_roots(levels, &file, findings, lines);
    }
    let Some(directory) = levels.environment("CONSUL_CAPATH") else {
        let Some(passed) = levels.credential(credentials::CA) else {
            return Vec::new();
        };
        return file_roots(levels, &passed, findings, lines);
    };
    lines.add("ca-path", Some(&directory), Clone::clone);
    directory_roots(levels, &directory, findings)
}

fn file_roots(
    levels: &Levels<'_>,
    file: &Written,
    findings: &mut Findings,
    lines: &mut Lines,
) -> Vec<Vec<u8>> {
    lines.add("ca-cert", Some(file), Clone::clone);
    let pem = read_certificate(levels, file);
    let pem = findings.accept("ca-cert", file, pem);
    pem.map(|pem| pem.value).into_iter().collect()
}

/// Files without a certificate, a README say, are passed over, but not if nothing is left.
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
        let pem = findings.accept("ca-path", &name, read(levels, file));
        roots.extend(pem.map(|pem| pem.value).filter(|pem| has_certificate(pem)));
    }
    if roots.is_empty() {
        findings.problem("ca-path", directory, Fault::NotPem { kind: CERTIFICATE });
    }
    roots
}

fn identity(levels: &Levels<'_>, findings: &mut Findings, lines: &mut Lines) -> Option<Identity> {
    let certificate = levels.environment("CONSUL_CLIENT_CERT");
    let key = levels.environment("CONSUL_CLIENT_KEY");
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
            let missing = "CONSUL_CLIENT_KEY";
            findings.problem("client-cert", certificate, Fault::Partner { missing });
        }
        (None, Some(key)) => {
            let missing = "CONSUL_CLIENT_CERT";
            findings.problem("client-key", key, Fault::Partner { missing });
        }
        (Some(_), Some(_)) | (None, None) => {}
    }
    let certificate = certificate.and_then(|file| {
        let pem = read_certificate(levels, &file);
        findings.accept("client-cert", &file, pem)
    });
    let key = key.and_then(|file| {
        let pem = read(levels, Path::new(&file.value)).and_then(private_key);
        findings.accept("client-key", &file, pem)
    });
    let (certificate, key) = certificate.zip(key)?;
    Some(Identity {
        certificate: certificate.value,
        key: key.value,
    })
}

fn read(levels: &Levels<'_>, path: &Path) -> Result<Vec<u8>, Fault> {
    (levels.sources.read)(path).map_err(Fault::Unreadable)
}

fn read_certificate(levels: &Levels<'_>, file: &Written) -> Result<Vec<u8>, Fault> {
    let pem = read(levels, Path::new(&file.value))?;
    if has_certificate(&pem) {
        Ok(pem)
    } else {
        Err(Fault::NotPem { kind: CERTIFICATE })
    }
}

/// At least one, and none that is broken.
fn has_certificate(pem: &[u8]) -> bool {
    let mut certificates = CertificateDer::pem_slice_iter(pem).peekable();
    certificates.peek().is_some() && certificates.all(|certificate| certificate.is_ok())
}

fn private_key(pem: Vec<u8>) -> Result<SecretString, Fault> {
    let text = String::from_utf8(pem).map_err(|_| Fault::NotText)?;
    match PrivateKeyDer::from_pem_slice(text.as_bytes()) {
        Ok(_) => Ok(SecretString::from(text)),
        Err(_) => Err(Fault::NotPem { kind: PRIVATE_KEY }),
    }
}

/// Consul's client strips a port from the name.
fn without_port(name: &str) -> &str {
    match name.split_once(':') {
        Some((host, port)) if !port.contains(':') => host,
        Some(_) | None => name,
    }
}
