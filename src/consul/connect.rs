//! Driver: gives each new connection its share of the call's time.
//!
//! Only here can "could not connect" be told from "no answer": after the first, nothing has
//! reached a server, so that any call may go to the next endpoint; after the second it may not.

use std::error::Error;
use std::future::Future;
use std::time::Duration;

use tower::BoxError;

tokio::task_local! {
    static SHARE: Duration;
}

/// Runs a request; a connection that it has to open gets no longer than `share`.
pub(super) async fn with_share<F: Future>(share: Duration, request: F) -> F::Output {
    SHARE.scope(share, request).await
}

/// Bounds the opening of one connection, TCP and TLS, by the share of the request that wants it.
pub(super) fn bounded<F, C>(connecting: F) -> impl Future<Output = Result<C, BoxError>> + Send
where
    F: Future<Output = Result<C, BoxError>> + Send,
{
    // Read at once: the pool may finish a connection in a task of its own, outside the scope.
    let share = SHARE.try_with(Duration::clone).unwrap_or(Duration::MAX);
    async move {
        match tokio::time::timeout(share, connecting).await {
            Ok(result) => result,
            Err(_) => Err(TooSlow(share).into()),
        }
    }
}

/// The connection did not come up in its share of the time.
#[derive(Debug, thiserror::Error)]
#[error("no connection within {} ms", .0.as_millis())]
struct TooSlow(Duration);

/// Tells whether an error is that of a connection that was not even opened.
pub(super) fn failed(error: &reqwest::Error) -> bool {
    error.is_connect()
        || error
            .source()
            .is_some_and(|source| source.downcast_ref::<TooSlow>().is_some())
}
