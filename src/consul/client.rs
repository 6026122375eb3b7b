//! Driver: sends requests, one endpoint after the other, within their time.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use reqwest::StatusCode;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use tokio::time::Instant;

use crate::consul::access::Access;
use crate::consul::endpoint::{BuildError, Endpoint};
use crate::consul::request::{Method, Request};
use crate::consul::{connect, error};
use crate::election::call::{Failure, FailureKind};

/// No answer that we ask for is larger: a key's value has at most 512 kB, in base64.
const MAX_BODY: usize = 1024 * 1024;

/// Talks to Consul. Clones share connections, token and the choice of endpoint.
///
/// Endpoints are tried in their order, starting with the one that worked last. A call moves on to
/// the next only while none could be connected to, so that nothing is ever sent twice; any other
/// trouble makes the *next* call start elsewhere.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
    /// The one endpoint that this client asks, if it may not ask the others.
    only: Option<usize>,
}

struct Shared {
    endpoints: Vec<Endpoint>,
    preferred: AtomicUsize,
    token: RwLock<Option<HeaderValue>>,
    authorization: Option<HeaderValue>,
    everywhere: Vec<(&'static str, String)>,
}

/// What Consul answered, after [`error::sort`] let it pass.
pub(super) struct Reply {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    doing: String,
}

impl Client {
    /// Prepares a client; connects to nothing.
    ///
    /// # Errors
    /// When the certificates, the token or an endpoint cannot be used.
    pub fn new(access: &Access) -> Result<Self, BuildError> {
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
        let authorization = access.http_auth.as_ref().map(basic).transpose()?;
        let shared = Shared {
            endpoints,
            preferred: AtomicUsize::new(0),
            token: RwLock::new(None),
            authorization,
            everywhere,
        };
        let client = Self {
            shared: Arc::new(shared),
            only: None,
        };
        client.set_token(access.token.as_ref())?;
        Ok(client)
    }

    /// Replaces the token that later requests carry; an empty one is none.
    ///
    /// # Errors
    /// When the token cannot be sent as a header; the old one stays.
    pub fn set_token(&self, token: Option<&SecretString>) -> Result<(), BuildError> {
        let header = token
            .map(|token| token.expose_secret().as_bytes())
            .filter(|token| !token.is_empty())
            .map(secret_header)
            .transpose()?;
        *self
            .shared
            .token
            .write()
            .unwrap_or_else(PoisonError::into_inner) = header;
        Ok(())
    }

    /// Returns a client for each endpoint, in their order, that asks no other: what one agent knows,
    /// the next does not.
    pub(super) fn each(&self) -> Vec<Self> {
        (0..self.shared.endpoints.len())
            .map(|only| Self {
                shared: Arc::clone(&self.shared),
                only: Some(only),
            })
            .collect()
    }

    /// Sends a request and returns its answer, by `deadline`.
    pub(super) async fn send(
        &self,
        request: &Request,
        deadline: Deadline,
    ) -> Result<Reply, Failure> {
        let endpoints = &self.shared.endpoints;
        let (first, count) = match self.only {
            Some(only) => (only, 1),
            None => (
                self.shared.preferred.load(Ordering::Relaxed),
                endpoints.len(),
            ),
        };
        let mut unreached = Vec::new();
        for tried in 0..count {
            let at = (first + tried) % endpoints.len();
            let share = deadline.left() / u32::try_from(count - tried).unwrap_or(1);
            match self.attempt(&endpoints[at], request, share, deadline).await {
                Ok(reply) => {
                    self.prefer(first, at);
                    return Ok(reply);
                }
                Err(Trouble::Unreached(why)) => {
                    unreached.push(format!("{}: {why}", endpoints[at]));
                }
                Err(Trouble::Failed(failure)) => {
                    let next = match failure.kind {
                        FailureKind::Unavailable => at + 1,
                        FailureKind::SessionGone
                        | FailureKind::CheckMissing
                        | FailureKind::CheckCritical
                        | FailureKind::Held
                        | FailureKind::LockDelayed
                        | FailureKind::Changed
                        | FailureKind::Denied
                        | FailureKind::Refused => at,
                    };
                    self.prefer(first, next % endpoints.len());
                    return Err(failure);
                }
            }
        }
        Err(error::unavailable(
            &request.doing,
            &format!("no connection to consul ({})", unreached.join("; ")),
        ))
    }

    /// Starts later calls at `next`, unless another call has already turned away from `first`.
    fn prefer(&self, first: usize, next: usize) {
        let order = Ordering::Relaxed;
        let _ = self
            .shared
            .preferred
            .compare_exchange(first, next, order, order);
    }

    async fn attempt(
        &self,
        endpoint: &Endpoint,
        request: &Request,
        share: Duration,
        deadline: Deadline,
    ) -> Result<Reply, Trouble> {
        let exchange = connect::with_share(share, self.exchange(endpoint, request));
        match tokio::time::timeout_at(deadline.at, exchange).await {
            Ok(result) => result,
            Err(_) => Err(Trouble::Failed(error::unavailable(
                &request.doing,
                &format!(
                    "no answer from {endpoint} within {} ms",
                    deadline.given.as_millis()
                ),
            ))),
        }
    }

    async fn exchange(&self, endpoint: &Endpoint, request: &Request) -> Result<Reply, Trouble> {
        let url = request.url(&endpoint.base, &self.shared.everywhere);
        let builder = match &request.method {
            Method::Get => endpoint.http.get(url),
            // Consul 1.20 and later want the type even where the body is empty.
            Method::Put(body) => endpoint
                .http
                .put(url)
                .header(CONTENT_TYPE, "application/json")
                .body(body.clone().unwrap_or_default()),
        };
        let mut response = builder
            .headers(self.secrets())
            .send()
            .await
            .map_err(|error| {
                let why = error::explain(&error, endpoint.shown);
                if connect::failed(&error) {
                    Trouble::Unreached(why)
                } else {
                    Trouble::Failed(error::unavailable(
                        &request.doing,
                        &format!("{endpoint}: {why}"),
                    ))
                }
            })?;

        let mut body = Vec::new();
        loop {
            let chunk = response.chunk().await.map_err(|error| {
                let why = format!(
                    "{endpoint} broke off its answer: {}",
                    error::explain(&error, endpoint.shown)
                );
                Trouble::Failed(error::unavailable(&request.doing, &why))
            })?;
            let Some(chunk) = chunk else { break };
            if body.len() + chunk.len() > MAX_BODY {
                let why = format!("the answer of {endpoint} is longer than {MAX_BODY} bytes");
                return Err(Trouble::Failed(error::unavailable(&request.doing, &why)));
            }
            body.extend_from_slice(&chunk);
        }

        let status = response.status();
        error::sort(request, status, &body, endpoint).map_err(Trouble::Failed)?;
        let headers = std::mem::take(response.headers_mut());
        Ok(Reply {
            status,
            headers,
            body,
            doing: request.doing.clone(),
        })
    }

    fn secrets(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        let token = self
            .shared
            .token
            .read()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(token) = token.as_ref() {
            headers.insert(HeaderName::from_static("x-consul-token"), token.clone());
        }
        if let Some(authorization) = &self.shared.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        headers
    }
}

impl Reply {
    /// Reads the body as JSON.
    pub(super) fn json<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        serde_json::from_slice(&self.body).map_err(|error| {
            let body = error::shorten(&self.body);
            let why = format!("consul's answer cannot be read ({error}): {body}");
            error::unavailable(&self.doing, &why)
        })
    }

    /// Tells an empty answer from one that Consul emptied, which it says since 1.11.
    pub(super) fn unless_hidden(&self, request: &Request) -> Result<(), Failure> {
        let filtered = self.headers.get("x-consul-results-filtered-by-acls");
        if filtered.is_some_and(|value| value == "true") {
            return Err(error::denied(
                request,
                "consul hides the answer from this token",
            ));
        }
        Ok(())
    }

    /// Makes a failure of an answer that parsed but cannot be right.
    pub(super) fn absurd(&self, why: &str) -> Failure {
        error::unavailable(&self.doing, why)
    }
}

/// When a call must be over, however many requests it takes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    at: Instant,
    given: Duration,
}

impl Deadline {
    /// Starts counting now.
    pub(super) fn within(timeout: Duration) -> Self {
        // A day is as good as for ever, and cannot overflow.
        let given = timeout.min(Duration::from_secs(24 * 60 * 60));
        Self {
            at: Instant::now() + given,
            given,
        }
    }

    /// Returns the time that is left.
    pub(super) fn left(self) -> Duration {
        self.at.saturating_duration_since(Instant::now())
    }
}

/// What became of one attempt that has no reply.
enum Trouble {
    /// Nothing was sent.
    Unreached(String),
    /// Something may have been.
    Failed(Failure),
}

fn basic(credentials: &SecretString) -> Result<HeaderValue, BuildError> {
    let mut credentials = credentials.expose_secret().to_owned();
    if !credentials.contains(':') {
        credentials.push(':');
    }
    secret_header(format!("Basic {}", BASE64_STANDARD.encode(credentials)).as_bytes())
}

fn secret_header(value: &[u8]) -> Result<HeaderValue, BuildError> {
    let mut header = HeaderValue::from_bytes(value).map_err(BuildError::Token)?;
    header.set_sensitive(true);
    Ok(header)
}

#[cfg(test)]
mod tests;
