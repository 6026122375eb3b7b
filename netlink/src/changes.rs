//! Says whom a change concerns, so that it wakes nobody else.

use std::net::IpAddr;

use tokio::sync::watch;

use crate::address::Vip;
use crate::error::{Error, Operation};
use crate::prefix::covers;
use crate::tables::Touched;

/// Wakes a reconciler whenever something about its interface or its address may have changed.
///
/// A level, not a log: it does not say what changed, and many changes may be one wake-up. So the reader looks
/// again. That an address is prolonged is no change.
#[derive(Debug)]
pub struct Changes(watch::Receiver<()>);

impl Changes {
    /// Waits until something may have changed since the last call, or since this was made.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    ///
    /// [`Error::Disconnected`] when the socket failed or its [`crate::Netlink`] is gone.
    pub async fn next(&mut self) -> Result<(), Error> {
        let closed = |_| Error::Disconnected {
            operation: Operation::Watch,
        };
        self.0.changed().await.map_err(closed)
    }
}

/// Everybody who wants to be woken.
#[derive(Debug, Default)]
pub(crate) struct Readers(Vec<Reader>);

#[derive(Debug)]
struct Reader {
    interface: String,
    address: IpAddr,
    wake: watch::Sender<()>,
}

impl Readers {
    /// Adds one who cares for an interface, by name, and for an address, wherever it is.
    pub(crate) fn add(&mut self, interface: &str, address: IpAddr) -> Changes {
        self.0.retain(|reader| !reader.wake.is_closed());
        let (wake, changes) = watch::channel(());
        self.0.push(Reader {
            interface: interface.to_owned(),
            address,
            wake,
        });
        Changes(changes)
    }

    /// Wakes those whom it concerns.
    pub(crate) fn wake(&self, touched: &Touched) {
        for reader in &self.0 {
            if reader.cares_for(touched) {
                reader.wake.send_replace(());
            }
        }
    }

    /// Wakes everybody: it is not known what has changed.
    pub(crate) fn wake_all(&self) {
        for reader in &self.0 {
            reader.wake.send_replace(());
        }
    }
}

impl Reader {
    /// The address of others matters where it brings the network that the own one is in.
    fn cares_for(&self, touched: &Touched) -> bool {
        match touched {
            Touched::Interface(names) => names.contains(&self.interface),
            Touched::Address(place) => {
                place.address == self.address
                    || Vip::new(place.address, place.prefix)
                        .is_some_and(|network| covers(network, self.address))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::Place;

    #[test]
    fn a_change_wakes_whom_it_concerns() {
        let interface = |name: &str| Touched::Interface(vec!["x".to_owned(), name.to_owned()]);
        let address = |text: &str, prefix| {
            let vip = Vip::new(text.parse().unwrap(), prefix).unwrap();
            Touched::Address(Place::exact(3, vip))
        };
        let cases = [
            (interface("eth0"), true),
            (interface("eth1"), false),
            (address("192.0.2.9", 32), true),
            (address("192.0.2.9", 24), true),
            (address("192.0.2.10", 32), false),
            (address("192.0.2.10", 24), true),
            (address("192.0.2.1", 29), false),
            (address("2001:db8::9", 1), false),
        ];
        for (touched, expected) in cases {
            let mut readers = Readers::default();
            let changes = readers.add("eth0", "192.0.2.9".parse().unwrap());
            readers.wake(&touched);
            assert_eq!(changes.0.has_changed().unwrap(), expected, "{touched:?}");
        }
    }

    #[test]
    fn who_is_gone_is_forgotten() {
        let mut readers = Readers::default();
        for _ in 0..10 {
            readers.add("eth0", "192.0.2.9".parse().unwrap());
        }
        assert_eq!(readers.0.len(), 1);
    }
}
