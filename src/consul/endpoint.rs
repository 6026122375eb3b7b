//! Driver: one place where Consul listens, with its own connections.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Certificate, Identity, redirect};
use secrecy::ExposeSecret;
use tower::util::MapFutureLayer;
use url::{Host, Url};

use crate::consul::access::{Endpoint as Address, Tls};
use crate::consul::connect;
use crate::consul::error::Shown;

/// How long a pooled connection is silent before the kernel asks whether the other side lives.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(5);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(1);
const KEEPALIVE_RETRIES: u32 = 3;

/// Why no client could be made of a configuration.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Nowhere to send a request to.
    #[error("no consul endpoint is configured")]
    NoEndpoint,
    /// The token cannot be sent as a header.
    #[error("the consul token contains characters that no HTTP header can carry")]
    Token(#[source] reqwest::header::InvalidHeaderValue),
    /// The URL has no host to connect to.
    #[error("consul endpoint {0} names no host")]
    NoHost(String),
    /// A CA certificate is not usable.
    #[error("cannot read the CA certificates (CONSUL_CACERT, CONSUL_CAPATH) as PEM")]
    Roots(#[source] reqwest::Error),
    /// No CA certificate where one was promised: trusting nobody is never meant.
    #[error(
        "the CA certificates (CONSUL_CACERT, CONSUL_CAPATH) contain no PEM block \"CERTIFICATE\""
    )]
    NoRoots,
    /// The client certificate or its key is not usable.
    #[error(
        "cannot read the client certificate and its key (CONSUL_CLIENT_CERT, CONSUL_CLIENT_KEY) as PEM"
    )]
    Identity(#[source] reqwest::Error),
    /// The name to verify cannot stand in for a host.
    #[error("'{0}' is no host name that TLS can verify (CONSUL_TLS_SERVER_NAME)")]
    ServerName(String),
    /// The HTTP client could not be made, most often for want of a usable certificate.
    #[error("cannot prepare connections to {endpoint}")]
    Http {
        /// Where to.
        endpoint: String,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
}

/// Where one Consul agent listens, and the connections to it.
pub(super) struct Endpoint {
    label: String,
    pub(super) shown: Shown,
    pub(super) base: Url,
    pub(super) http: reqwest::Client,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.label)
    }
}

impl Endpoint {
    /// Prepares connections; opens none.
    pub(super) fn new(address: &Address, tls: &Tls) -> Result<Self, BuildError> {
        // An error means that somebody was first, and then there is a provider.
        let _ = rustls::crypto::ring::default_provider().install_default();

        let (label, base, builder) = match address {
            Address::Unix(path) => {
                let label = format!("unix://{}", path.display());
                // The host is only what the Host header says.
                let base = Url::parse("http://localhost").map_err(|_| BuildError::NoEndpoint)?;
                (label, base, common().unix_socket(path.as_path()))
            }
            Address::Http(url) => {
                let label = without_credentials(url);
                let (base, builder) = over_tcp(url, &label, tls)?;
                (label, base, builder)
            }
        };
        let builder = if base.scheme() == "https" {
            with_tls(builder, tls)?
        } else {
            // No TLS will be spoken: do not load the system's trust store for it.
            builder.tls_certs_only([])
        };
        let http = builder.build().map_err(|source| BuildError::Http {
            endpoint: label.clone(),
            source,
        })?;
        let shown = match tls.identity {
            Some(_) => Shown::Certificate,
            None => Shown::Nothing,
        };
        Ok(Self {
            label,
            shown,
            base,
            http,
        })
    }
}

fn common() -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .user_agent(concat!("vip-elector/", env!("CARGO_PKG_VERSION")))
        // A token must not follow a redirect, and Consul's API has none.
        .redirect(redirect::Policy::none())
        .no_proxy()
        // The hot path opens no socket: connections stay until one side closes them.
        .pool_idle_timeout(None)
        .tcp_nodelay(true)
        .tcp_keepalive(KEEPALIVE_IDLE)
        .tcp_keepalive_interval(KEEPALIVE_INTERVAL)
        .tcp_keepalive_retries(KEEPALIVE_RETRIES)
        .connector_layer(MapFutureLayer::new(connect::bounded))
}

/// Puts the name to verify into the URL, where it overrides the host, and connects to the host.
fn over_tcp(
    url: &Url,
    label: &str,
    tls: &Tls,
) -> Result<(Url, reqwest::ClientBuilder), BuildError> {
    let host = url
        .host()
        .ok_or_else(|| BuildError::NoHost(label.to_owned()))?;
    let Some(name) = tls
        .server_name
        .as_deref()
        .filter(|_| url.scheme() == "https")
    else {
        return Ok((url.clone(), common()));
    };
    let refused = || BuildError::ServerName(name.to_owned());
    // An address in the URL would be connected to, whatever the resolver says.
    match Host::parse(name).map_err(|_| refused())? {
        Host::Domain(_) => {}
        Host::Ipv4(_) | Host::Ipv6(_) => return Err(refused()),
    }
    let connect_to = match host {
        Host::Domain(domain) => domain.to_owned(),
        Host::Ipv4(ip) => ip.to_string(),
        Host::Ipv6(ip) => ip.to_string(),
    };
    let mut base = url.clone();
    base.set_host(Some(name)).map_err(|_| refused())?;
    Ok((base, common().dns_resolver(Always(connect_to))))
}

fn with_tls(
    mut builder: reqwest::ClientBuilder,
    tls: &Tls,
) -> Result<reqwest::ClientBuilder, BuildError> {
    if !tls.roots.is_empty() {
        let mut roots = Vec::new();
        for pem in &tls.roots {
            roots.extend(Certificate::from_pem_bundle(pem).map_err(BuildError::Roots)?);
        }
        if roots.is_empty() {
            return Err(BuildError::NoRoots);
        }
        builder = builder.tls_certs_only(roots);
    }
    if let Some(identity) = &tls.identity {
        let mut pem = identity.certificate.clone();
        pem.push(b'\n');
        pem.extend_from_slice(identity.key.expose_secret().as_bytes());
        builder = builder.identity(Identity::from_pem(&pem).map_err(BuildError::Identity)?);
    }
    Ok(if tls.verify {
        builder
    } else {
        builder.tls_danger_accept_invalid_certs(true)
    })
}

/// Returns the URL for messages: a password in it is a secret.
fn without_credentials(url: &Url) -> String {
    let mut shown = url.clone();
    // Fails only for URLs that cannot have any.
    let _ = shown.set_username("");
    let _ = shown.set_password(None);
    shown.as_str().trim_end_matches('/').to_owned()
}

/// Resolves every name to the addresses of one host.
struct Always(String);

impl Resolve for Always {
    fn resolve(&self, _: Name) -> Resolving {
        let host = self.0.clone();
        Box::pin(async move {
            // Port 0 stands for the URL's.
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host, 0)).await?.collect();
            let addresses: Addrs = Box::new(found.into_iter());
            Ok(addresses)
        })
    }
}
