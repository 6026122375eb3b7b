//! Pure: PEM files, and why one is not what it should be.
//!
//! What TLS would refuse at the first connection is refused here, with everything else that is wrong.

use rustls::RootCertStore;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use secrecy::{ExposeSecret, SecretString};

use crate::config::Fault;
use crate::consul::access::Identity;

/// The blocks of a file, as their first lines name them.
const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----";
const PRIVATE_KEY: &str = "-----BEGIN PRIVATE KEY-----";
const ENCRYPTED: &str = "-----BEGIN ENCRYPTED PRIVATE KEY-----";
/// A line in the older form of an encrypted key (RFC 1421, section 4.6.1.1).
const ENCRYPTED_BEFORE: &str = "Proc-Type: 4,ENCRYPTED";
const ANY_PRIVATE_KEY: &str = "PRIVATE KEY-----";

/// Lets a file pass that holds at least one certificate, and none that is broken.
pub(super) fn certificates(pem: Vec<u8>) -> Result<Vec<u8>, Fault> {
    let chain = chain(&pem)?;
    if chain.is_empty() {
        let hint = match has(&pem, ANY_PRIVATE_KEY) {
            true => "this is a private key; name the certificate's file",
            false => "if it is DER, write it anew: openssl x509 -inform DER -in OLD -out NEW",
        };
        return Err(Fault::NotPem {
            kind: "certificates",
            wanted: CERTIFICATE,
            hint,
        });
    }
    // Whether a certificate can be parsed is all that this asks.
    let mut store = RootCertStore::empty();
    for certificate in chain {
        let added = store.add(certificate);
        added.map_err(|_| Fault::BrokenCertificate)?;
    }
    Ok(pem)
}

/// Lets a file pass that holds a private key that TLS can use.
pub(super) fn private_key(pem: Vec<u8>) -> Result<SecretString, Fault> {
    if has(&pem, ENCRYPTED) || has(&pem, ENCRYPTED_BEFORE) {
        return Err(Fault::EncryptedKey);
    }
    if !has(&pem, ANY_PRIVATE_KEY) {
        let hint = match has(&pem, CERTIFICATE) {
            true => "this is a certificate; name the key's file",
            false => "if it is DER, write it anew: openssl pkey -inform DER -in OLD -out NEW",
        };
        return Err(Fault::NotPem {
            kind: "a private key",
            wanted: PRIVATE_KEY,
            hint,
        });
    }
    let text = String::from_utf8(pem).map_err(|_| Fault::BrokenKey)?;
    let key = PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_| Fault::BrokenKey)?;
    any_supported_type(&key).map_err(|_| Fault::KeyKind)?;
    Ok(SecretString::from(text))
}

/// Asks whether certificate and key, each of which is good, are a pair; `file` is the key's.
pub(super) fn belong_together(identity: &Identity, file: &str) -> Result<(), Fault> {
    let chain = chain(&identity.certificate)?;
    let key = PrivateKeyDer::from_pem_slice(identity.key.expose_secret().as_bytes())
        .map_err(|_| Fault::BrokenKey)?;
    let key = any_supported_type(&key).map_err(|_| Fault::KeyKind)?;
    CertifiedKey::new(chain, key).keys_match().map_err(|error| {
        if matches!(error, rustls::Error::InconsistentKeys(_)) {
            let key = file.to_owned();
            Fault::NotAPair { key }
        } else {
            Fault::BrokenCertificate
        }
    })
}

fn chain(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let certificates: Result<_, _> = CertificateDer::pem_slice_iter(pem).collect();
    certificates.map_err(|_| Fault::BrokenCertificate)
}

fn has(pem: &[u8], words: &str) -> bool {
    pem.windows(words.len()).any(|at| at == words.as_bytes())
}
