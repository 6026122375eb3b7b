//! Says whom a change concerns, so that it wakes nobody else.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

use crate::address::Vip;
use crate::error::{Error, Operation};
use crate::prefix::covers;
use crate::tables::Touched;

/// Wakes a reconciler whenever something about its interface or its address may have changed.
///
/// A level, not a log: it does not say what changed, and many changes may be one wake-up. So the reader looks
/// again. That an address is prolonged is no change.
#[derive(Debug)]
pub struct Changes(Arc<Bell>);

/// Rung for one reader. There is one for each address, and a channel would be ten times as large.
#[derive(Debug, Default)]
struct Bell {
    rung: Notify,
    /// Nobody will ring it any more.
    closed: AtomicBool,
}

impl Changes {
    /// Waits until something may have changed since the last call, or since this was made.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    ///
    /// [`Error::Disconnected`] when the socket failed or its [`crate::Netlink`] is gone.
    pub async fn next(&mut self) -> Result<(), Error> {
        if !self.0.closed.load(Ordering::Acquire) {
            self.0.rung.notified().await;
        }
        if self.0.closed.load(Ordering::Acquire) {
            return Err(Error::Disconnected {
                operation: Operation::Watch,
            });
        }
        Ok(())
    }
}

/// Everybody who wants to be woken.
#[derive(Debug, Default)]
pub(crate) struct Readers(Vec<Reader>);

#[derive(Debug)]
struct Reader {
    interface: String,
    address: IpAddr,
    bell: Arc<Bell>,
}

impl Readers {
    /// Adds one who cares for an interface, by name, and for an address, wherever it is.
    pub(crate) fn add(&mut self, interface: &str, address: IpAddr) -> Changes {
        self.0.retain(|reader| Arc::strong_count(&reader.bell) > 1);
        let bell = Arc::<Bell>::default();
        self.0.push(Reader {
            interface: interface.to_owned(),
            address,
            bell: Arc::clone(&bell),
        });
        Changes(bell)
    }

    /// Wakes those whom it concerns.
    pub(crate) fn wake(&self, touched: &Touched) {
        for reader in &self.0 {
            if reader.cares_for(touched) {
                reader.bell.rung.notify_one();
            }
        }
    }

    /// Wakes everybody: it is not known what has changed.
    pub(crate) fn wake_all(&self) {
        for reader in &self.0 {
            reader.bell.rung.notify_one();
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.bell.closed.store(true, Ordering::Release);
        self.bell.rung.notify_one();
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
    use futures_util::FutureExt;

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
            let mut changes = readers.add("eth0", "192.0.2.9".parse().unwrap());
            readers.wake(&touched);
            let woken = changes.next().now_or_never().is_some();
            assert_eq!(woken, expected, "{touched:?}");
        }
    }

    #[test]
    fn who_waits_hears_of_the_end() {
        let mut readers = Readers::default();
        let mut changes = readers.add("eth0", "192.0.2.9".parse().unwrap());
        assert!(changes.next().now_or_never().is_none());
        drop(readers);
        for _ in 0..2 {
            assert!(changes.next().now_or_never().unwrap().is_err());
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
