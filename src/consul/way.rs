//! Driver: the way to Consul: endpoints, secrets, and what every request carries.
//!
//! It is prepared as a whole and replaced as a whole. A request keeps the one it began with.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};

use crate::consul::access::Access;
use crate::consul::endpoint::{BuildError, Endpoint};

/// What an [`Access`] becomes. Clones share connections and the choice of endpoint.
#[derive(Clone)]
pub struct Way {
    places: Arc<Places>,
    token: Option<HeaderValue>,
    token_file: Option<PathBuf>,
    authorization: Option<HeaderValue>,
    everywhere: Vec<(&'static str, String)>,
}

struct Places {
    endpoints: Vec<Endpoint>,
    preferred: AtomicUsize,
}

impl Way {
    /// Prepares everything; connects to nothing. May read the system's trust store.
    ///
    /// # Errors
    /// When the certificates, a secret or an endpoint cannot be used.
    pub fn prepare(access: &Access) -> Result<Self, BuildError> {
        if access.endpoints.is_empty() {
            return Err(BuildError::NoEndpoint);
        }
        let endpoints = access
            .endpoints
            .iter()
            .map(|address| Endpoint::new(address, &access.tls))
            .collect::<Result<_, _>>()?;
        let everywhere = [("ns", &access.namespace), ("partition", &access.partition)]
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.clone().filter(|v| !v.is_empty())?)))
            .collect();
        Ok(Self {
            places: Arc::new(Places {
                endpoints,
                preferred: AtomicUsize::new(0),
            }),
            token: token_header(access.token.as_ref())?,
            token_file: access.token_file.clone(),
            authorization: access.http_auth.as_ref().map(basic).transpose()?,
            everywhere,
        })
    }

    /// The same way with another token; an empty one is none.
    pub(super) fn with_token(&self, token: &SecretString) -> Result<Self, BuildError> {
        Ok(Self {
            token: token_header(Some(token))?,
            ..self.clone()
        })
    }

    /// The file that the token is read from.
    pub(super) fn token_file(&self) -> Option<&Path> {
        self.token_file.as_deref()
    }

    /// Whether requests are let in, or not, by the same secrets.
    pub(super) fn has_secrets_of(&self, other: &Self) -> bool {
        self.token == other.token && self.authorization == other.authorization
    }

    /// What every request says in its headers.
    pub(super) fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        if let Some(token) = &self.token {
            headers.insert(HeaderName::from_static("x-consul-token"), token.clone());
        }
        if let Some(authorization) = &self.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        headers
    }

    /// What every request says in its query.
    pub(super) fn everywhere(&self) -> &[(&'static str, String)] {
        &self.everywhere
    }

    /// All endpoints, in their order; never none.
    pub(super) fn endpoints(&self) -> &[Endpoint] {
        &self.places.endpoints
    }

    /// The place of the endpoint that is asked first.
    pub(super) fn preferred(&self) -> usize {
        self.places.preferred.load(Ordering::Relaxed)
    }

    /// Starts later calls at `next`, unless another call has already turned away from `first`.
    pub(super) fn prefer(&self, first: usize, next: usize) {
        let order = Ordering::Relaxed;
        let _ = self
            .places
            .preferred
            .compare_exchange(first, next, order, order);
    }
}

fn token_header(token: Option<&SecretString>) -> Result<Option<HeaderValue>, BuildError> {
    token
        .map(|token| token.expose_secret().as_bytes())
        .filter(|token| !token.is_empty())
        .map(secret_header)
        .transpose()
}

fn basic(credentials: &SecretString) -> Result<HeaderValue, BuildError> {
    let credentials = credentials.expose_secret();
    let colon = if credentials.contains(':') { "" } else { ":" };
    let credentials = Zeroizing::new(format!("{credentials}{colon}"));
    let encoded = Zeroizing::new(BASE64_STANDARD.encode(credentials.as_bytes()));
    let value = Zeroizing::new(format!("Basic {}", encoded.as_str()));
    secret_header(value.as_bytes())
}

fn secret_header(value: &[u8]) -> Result<HeaderValue, BuildError> {
    let mut header = HeaderValue::from_bytes(value).map_err(BuildError::Token)?;
    header.set_sensitive(true);
    Ok(header)
}
