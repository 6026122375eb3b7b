//! Driver: sends requests, one endpoint after the other, within their time.

use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockWriteGuard};
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use secrecy::SecretString;
use serde::Deserialize;
use tokio::time::Instant;

use crate::consul::access::Access;
use crate::consul::endpoint::{BuildError, Endpoint};
use crate::consul::request::{Method, Request};
use crate::consul::token::Looks;
use crate::consul::way::Way;
use crate::consul::{connect, error};
use crate::election::call::{Failure, FailureKind};

/// No answer that we ask for is larger: a key's value has at most 512 kB, in base64.
const MAX_BODY: usize = 1024 * 1024;

/// Talks to Consul. Clones share the way there: connections, secrets and the choice of endpoint.
///
/// Endpoints are tried in their order, starting with the one that worked last. A call moves on to
/// the next only while none could be connected to, so that nothing is ever sent twice; any other
/// trouble makes the *next* call start elsewhere.
///
/// The way may be replaced at any time: calls under way finish on the old one. What Consul denies has not
/// been carried out, and is sent once more where there is another token by then.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
    /// The one endpoint that this client asks, by its label, if it may not ask the others.
    only: Option<String>,
}

struct Shared {
    way: RwLock<Arc<Way>>,
    looks: Looks,
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
        Ok(Self {
            shared: Arc::new(Shared {
                way: RwLock::new(Arc::new(Way::prepare(access)?)),
                looks: Looks::default(),
            }),
            only: None,
        })
    }

    /// Sends later requests on another way.
    pub fn take(&self, way: Way) {
        *self.writing() = Arc::new(way);
    }

    /// Replaces the token if it is still that of `file`, and returns whether it is another one now.
    pub(super) fn replace_token(
        &self,
        file: &Path,
        token: &SecretString,
    ) -> Result<bool, BuildError> {
        let mut way = self.writing();
        if way.token_file() != Some(file) {
            return Ok(false);
        }
        let next = way.with_token(token)?;
        let another = !next.has_secrets_of(&way);
        if another {
            *way = Arc::new(next);
        }
        Ok(another)
    }

    /// The file that the token is read from.
    pub(super) fn token_file(&self) -> Option<PathBuf> {
        self.way().token_file().map(Path::to_owned)
    }

    /// How to ask for a look at it.
    pub(super) fn looks(&self) -> &Looks {
        &self.shared.looks
    }

    /// Returns a client for each endpoint, in their order, that asks no other: what one agent knows,
    /// the next does not.
    pub(crate) fn each(&self) -> Vec<Self> {
        let only = |endpoint: &Endpoint| Self {
            shared: Arc::clone(&self.shared),
            only: Some(endpoint.to_string()),
        };
        self.way().endpoints().iter().map(only).collect()
    }

    /// The one endpoint that it asks, if it asks no other.
    pub(crate) fn label(&self) -> Option<&str> {
        self.only.as_deref()
    }

    /// Whether there is still an endpoint that this client may ask.
    pub(super) fn leads_somewhere(&self) -> bool {
        self.span(&self.way()).is_some()
    }

    /// Sends a request and returns its answer, by `deadline`.
    pub(super) async fn send(
        &self,
        request: &Request,
        deadline: Deadline,
    ) -> Result<Reply, Failure> {
        let way = self.way();
        let answer = self.send_on(&way, request, deadline).await;
        let denied = match &answer {
            Ok(reply) => reply.denies(),
            Err(failure) => failure.kind == FailureKind::Denied,
        };
        if !denied {
            return answer;
        }
        match self.with_other_secrets(&way, deadline).await {
            Some(way) => self.send_on(&way, request, deadline).await,
            None => answer,
        }
    }

    /// The way as it is now, if it has other secrets than the one that was denied.
    async fn with_other_secrets(&self, denied: &Way, deadline: Deadline) -> Option<Arc<Way>> {
        let now = self.way();
        if now.has_secrets_of(denied) && now.token_file().is_some() {
            self.looks().ask(deadline.left()).await;
        }
        let now = self.way();
        (!now.has_secrets_of(denied)).then_some(now)
    }

    async fn send_on(
        &self,
        way: &Way,
        request: &Request,
        deadline: Deadline,
    ) -> Result<Reply, Failure> {
        let endpoints = way.endpoints();
        let Some((first, count)) = self.span(way) else {
            let why = "the agent that was asked before is not configured any more";
            return Err(error::unavailable(&request.doing, why));
        };
        let mut unreached = Vec::new();
        for tried in 0..count {
            let at = (first + tried) % endpoints.len();
            let share = deadline.left() / u32::try_from(count - tried).unwrap_or(1);
            match attempt(way, &endpoints[at], request, share, deadline).await {
                Ok(reply) => {
                    way.prefer(first, at);
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
                    way.prefer(first, next % endpoints.len());
                    return Err(failure);
                }
            }
        }
        Err(error::unavailable(
            &request.doing,
            &format!("no connection to consul ({})", unreached.join("; ")),
        ))
    }

    /// Where to begin among the endpoints, and how many to try.
    fn span(&self, way: &Way) -> Option<(usize, usize)> {
        let endpoints = way.endpoints();
        match &self.only {
            Some(only) => {
                let mut labels = endpoints.iter().map(ToString::to_string);
                Some((labels.position(|label| label == *only)?, 1))
            }
            None => Some((way.preferred(), endpoints.len())),
        }
    }

    fn way(&self) -> Arc<Way> {
        Arc::clone(
            &self
                .shared
                .way
                .read()
                .unwrap_or_else(PoisonError::into_inner),
        )
    }

    fn writing(&self) -> RwLockWriteGuard<'_, Arc<Way>> {
        self.shared
            .way
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reply {
    /// Whether a transaction was rolled back because of the ACL, as far as its words tell: a key's name
    /// among them may say anything.
    fn denies(&self) -> bool {
        self.status == StatusCode::CONFLICT && error::denies(&String::from_utf8_lossy(&self.body))
    }

    /// Reads the body as JSON.
    pub(super) fn json<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Failure> {
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

async fn attempt(
    way: &Way,
    endpoint: &Endpoint,
    request: &Request,
    share: Duration,
    deadline: Deadline,
) -> Result<Reply, Trouble> {
    let exchange = connect::with_share(share, exchange(way, endpoint, request));
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

async fn exchange(way: &Way, endpoint: &Endpoint, request: &Request) -> Result<Reply, Trouble> {
    let url = request.url(&endpoint.base, way.everywhere());
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
        .headers(way.headers())
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
        let room = MAX_BODY + request.room;
        if body.len() + chunk.len() > room {
            let why = format!("the answer of {endpoint} is longer than {room} bytes");
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

#[cfg(test)]
mod tests;
