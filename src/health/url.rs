//! Applier: asks a URL.

use std::error::Error;
use std::io;
use std::time::Duration;

use reqwest::redirect;
use url::Url;

use super::probe::{Ask, too_late};

/// No more of an answer is read. A connection whose answer was read to its end serves the next try.
const MAX_BODY: usize = 64 * 1024;

/// A URL that answers 2xx when all is well.
pub(super) struct UrlProbe {
    url: Url,
    timeout: Duration,
    /// Made when it is first used: what stands in the way of it is a reason like any other.
    client: Option<reqwest::Client>,
}

impl UrlProbe {
    pub(super) fn new(url: Url, timeout: Duration) -> Self {
        Self {
            url,
            timeout,
            client: None,
        }
    }

    async fn get(&mut self) -> Result<(), String> {
        let client = match &self.client {
            Some(client) => client,
            None => self.client.insert(client(&self.url).map_err(no_answer)?),
        };
        let sent = client.get(self.url.clone()).send().await;
        let mut response = sent.map_err(no_answer)?;
        let mut read = 0;
        while let Ok(Some(chunk)) = response.chunk().await {
            read += chunk.len();
            if read > MAX_BODY {
                break;
            }
        }
        let status = response.status();
        if status.is_success() {
            Ok(())
        } else {
            Err(format!("answered {}", status.as_u16()))
        }
    }
}

impl Ask for UrlProbe {
    async fn ask(&mut self) -> Result<(), String> {
        let timeout = self.timeout;
        match tokio::time::timeout(timeout, self.get()).await {
            Ok(answer) => answer,
            Err(_) => Err(too_late(timeout)),
        }
    }
}

fn client(url: &Url) -> Result<reqwest::Client, reqwest::Error> {
    // An error means that somebody was first, and then there is a provider.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder()
        .user_agent(concat!("vip-elector/", env!("CARGO_PKG_VERSION")))
        // Where a redirect leads is not what was to be asked.
        .redirect(redirect::Policy::none())
        .no_proxy()
        .pool_idle_timeout(None)
        .pool_max_idle_per_host(1)
        .tcp_nodelay(true);
    match url.scheme() {
        "https" => builder,
        // No TLS will be spoken: do not load the system's trust store for it.
        _ => builder.tls_certs_only([]),
    }
    .build()
}

/// The innermost cause has the words that help.
fn no_answer(error: reqwest::Error) -> String {
    let mut innermost: &(dyn Error + 'static) = &error;
    loop {
        // An `io::Error` hides what it wraps from `source`.
        let wrapped = innermost
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref);
        let next = match wrapped {
            Some(wrapped) => Some(wrapped as &(dyn Error + 'static)),
            None => innermost.source(),
        };
        match next {
            Some(cause) => innermost = cause,
            None => return format!("gave no answer: {innermost}"),
        }
    }
}
