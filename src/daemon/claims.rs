//! Which addresses a group of this process has to do with: one group at a time. An address that moves from one group to
//! another by a reload is taken off by the first before the second looks at it.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::watch;

/// Who has what; clones share it.
#[derive(Clone, Debug)]
pub(super) struct Claims(Arc<watch::Sender<BTreeSet<IpAddr>>>);

/// What one group has to do with, until this is dropped.
#[derive(Debug)]
pub(super) struct Claim {
    claims: Claims,
    addresses: Vec<IpAddr>,
}

impl Claims {
    pub(super) fn new() -> Self {
        Self(Arc::new(watch::channel(BTreeSet::new()).0))
    }

    /// Claims all of these, unless one of them is another group's.
    pub(super) fn take(&self, addresses: &[IpAddr]) -> Option<Claim> {
        let free = self.0.send_if_modified(|taken| {
            let free = addresses.iter().all(|address| !taken.contains(address));
            if free {
                taken.extend(addresses);
            }
            free
        });
        free.then(|| Claim {
            claims: self.clone(),
            addresses: addresses.to_vec(),
        })
    }

    /// Claims all of these, as soon as none of them is another group's. Cancel safe.
    pub(super) async fn wait(&self, addresses: &[IpAddr]) -> Claim {
        let mut taken = self.0.subscribe();
        loop {
            // Never ends with an error: the sender is at hand.
            let _ = taken
                .wait_for(|taken| addresses.iter().all(|one| !taken.contains(one)))
                .await;
            if let Some(claim) = self.take(addresses) {
                return claim;
            }
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        self.claims.0.send_modify(|taken| {
            taken.retain(|address| !self.addresses.contains(address));
        });
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn addresses(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn an_address_is_one_groups_until_that_lets_it_go() {
        let claims = Claims::new();
        let one = claims
            .take(&addresses(&["192.0.2.1", "2001:db8::1"]))
            .unwrap();
        let other = addresses(&["192.0.2.2", "2001:db8::1"]);
        assert!(claims.take(&other).is_none());
        let wait = claims.wait(&other);
        tokio::pin!(wait);
        assert!(wait.as_mut().now_or_never().is_none());
        let third = claims.take(&addresses(&["192.0.2.2"]));
        assert!(third.is_some(), "what is waited for is not claimed");
        drop(one);
        assert!(wait.as_mut().now_or_never().is_none());
        drop(third);
        let other = wait.now_or_never().unwrap();
        assert!(claims.take(&addresses(&["2001:db8::1"])).is_none());
        drop(other);
        assert!(claims.take(&[]).is_some());
    }
}
