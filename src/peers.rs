//! Driver: what hosts tell each other directly, over UDP.
//!
//! [`post`] has the socket, [`wire`] the datagrams, [`contact`] what this host publishes so that others
//! can reach it, and [`own`] what that is made from.

pub mod contact;
pub mod own;
pub mod post;
pub mod wire;

use std::future::{Future, pending};

use crate::election::call::SessionId;
use crate::election::candidate::Contact;
use crate::election::peer::Datagram;
use crate::election::time::Timestamp;

/// The other hosts, as far as one group goes.
pub trait Peers: Send {
    /// Says something to one host, at once or never.
    fn send(&mut self, contact: &Contact, datagram: &Datagram);

    /// Waits for what another host says to this one, and when that came: of heartbeats that go to several groups, some
    /// of those of this leader. It comes from whoever knows this host's secret, but may be old: whether it
    /// was heard before is not looked at. Cancel safe.
    fn heard(
        &mut self,
        leader: Option<SessionId>,
    ) -> impl Future<Output = (Timestamp, Datagram)> + Send;

    /// Returns this leader's newest heartbeat where nobody was woken for it: to be asked before anything follows
    /// from silence.
    fn unheard(&mut self, leader: &SessionId) -> Option<(Timestamp, Datagram)>;
}

/// `None` says nothing and hears nothing.
impl<P: Peers> Peers for Option<P> {
    fn send(&mut self, contact: &Contact, datagram: &Datagram) {
        if let Some(peers) = self {
            peers.send(contact, datagram);
        }
    }

    async fn heard(&mut self, leader: Option<SessionId>) -> (Timestamp, Datagram) {
        match self {
            Some(peers) => peers.heard(leader).await,
            None => pending().await,
        }
    }

    fn unheard(&mut self, leader: &SessionId) -> Option<(Timestamp, Datagram)> {
        self.as_mut().and_then(|peers| peers.unheard(leader))
    }
}
