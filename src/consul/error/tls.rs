//! Pure: what goes wrong before the first request, and what to do about it.

use rustls::{AlertDescription, CertificateError, InvalidMessage};

/// What this host shows of itself when it connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::consul) enum Shown {
    /// Nothing.
    Nothing,
    /// A client certificate, if it is asked for one.
    Certificate,
}

/// Returns one sentence.
pub(super) fn explain(error: &rustls::Error, shown: Shown) -> String {
    let advice = if let rustls::Error::InvalidCertificate(why) = error {
        about_certificate(why)
    } else if matches!(
        error,
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)
    ) {
        Some(
            "this port does not speak TLS: write http:// in front of it, and leave CONSUL_HTTP_SSL out",
        )
    } else if let rustls::Error::AlertReceived(alert) = error {
        about_alert(*alert, shown)
    } else {
        None
    };
    match advice {
        Some(advice) => format!("TLS: {error}; {advice}"),
        None => format!("TLS: {error}"),
    }
}

fn about_certificate(error: &CertificateError) -> Option<&'static str> {
    if matches!(
        error,
        // The latter where a CA was made anew under its old name.
        CertificateError::UnknownIssuer | CertificateError::BadSignature
    ) {
        Some(
            "the CA that signed consul's certificate is not trusted: name it with --ca-file \
             (CONSUL_CACERT)",
        )
    } else if matches!(
        error,
        CertificateError::Expired | CertificateError::ExpiredContext { .. }
    ) {
        Some("consul's certificate has expired: renew it, or set this host's clock right")
    } else if matches!(
        error,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. }
    ) {
        Some("consul's certificate is not valid yet: set this host's clock right")
    } else if matches!(
        error,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. }
    ) {
        Some(
            "consul's certificate is for another name: give that one with --tls-server-name \
             (CONSUL_TLS_SERVER_NAME)",
        )
    } else {
        None
    }
}

/// What a server says of a client's certificate. An older Consul says `BadCertificate` of them all.
fn about_alert(alert: AlertDescription, shown: Shown) -> Option<&'static str> {
    if matches!(alert, AlertDescription::CertificateExpired) {
        return Some(
            "this host's client certificate has expired: renew it, or set the clock of consul's host right",
        );
    }
    let refused = matches!(
        alert,
        AlertDescription::BadCertificate
            | AlertDescription::CertificateRequired
            | AlertDescription::CertificateUnknown
            | AlertDescription::HandshakeFailure
            | AlertDescription::UnknownCA
    );
    refused.then_some(match shown {
        Shown::Nothing => {
            "consul wants a client certificate: give one with --client-cert (CONSUL_CLIENT_CERT) and \
             --client-key (CONSUL_CLIENT_KEY)"
        }
        Shown::Certificate => {
            "consul does not take this host's client certificate: it must be of a CA that consul \
             trusts, and must not have expired (--client-cert, CONSUL_CLIENT_CERT)"
        }
    })
}
