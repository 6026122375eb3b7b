//! Pure: how to reach Consul, as the configuration says.

use std::net::IpAddr;
use std::path::PathBuf;

use secrecy::SecretString;
use url::{Host, Url};

/// Where one Consul agent listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// `http://` or `https://`, with an optional path in front of `/v1`.
    Http(Url),
    /// `unix:///path/to/socket`.
    Unix(PathBuf),
}

impl Endpoint {
    /// Returns its IP address, where it is written as one.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Http(url) => match url.host()? {
                Host::Ipv4(v4) => Some(v4.into()),
                Host::Ipv6(v6) => Some(v6.into()),
                Host::Domain(_) => None,
            },
            Self::Unix(_) => None,
        }
    }
}

/// Everything needed to talk to Consul.
#[derive(Clone, Debug)]
pub struct Access {
    /// Tried in order; at least one.
    pub endpoints: Vec<Endpoint>,
    /// Sent as `X-Consul-Token`.
    pub token: Option<SecretString>,
    /// The file that the token was read from, if it was: what it holds may change at any time.
    pub token_file: Option<PathBuf>,
    /// `user[:password]` for HTTP basic authentication.
    pub http_auth: Option<SecretString>,
    /// Used by `https://` endpoints.
    pub tls: Tls,
    /// Enterprise: `?ns=`.
    pub namespace: Option<String>,
    /// Enterprise: `?partition=`.
    pub partition: Option<String>,
}

impl Access {
    /// Goes to these without any secret, and trusts what the system trusts.
    pub fn plain(endpoints: Vec<Endpoint>) -> Self {
        Self {
            endpoints,
            token: None,
            token_file: None,
            http_auth: None,
            tls: Tls {
                verify: true,
                roots: Vec::new(),
                identity: None,
                server_name: None,
            },
            namespace: None,
            partition: None,
        }
    }
}

/// TLS towards Consul.
#[derive(Clone, Debug)]
pub struct Tls {
    /// Whether the server's certificate is verified.
    pub verify: bool,
    /// Trusted roots, PEM, and no others; where none is given, the system's trust store.
    pub roots: Vec<Vec<u8>>,
    /// Client certificate chain and key, both PEM.
    pub identity: Option<Identity>,
    /// Name to verify and to send as SNI, instead of the endpoint's host.
    pub server_name: Option<String>,
}

/// A client certificate.
#[derive(Clone, Debug)]
pub struct Identity {
    /// Certificate chain, PEM.
    pub certificate: Vec<u8>,
    /// Private key, PEM.
    pub key: SecretString,
}
