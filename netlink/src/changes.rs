//! Says when to look again.

use std::io;

use rtnetlink::MulticastGroup;
use rtnetlink::sys::protocols::NETLINK_ROUTE;
use rtnetlink::sys::{AsyncSocket, AsyncSocketExt, SocketAddr, TokioSocket};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::error::{Error, Operation};

/// Wakes a reconciler whenever something about links or addresses may have changed.
///
/// A level, not a log: it does not say what changed, many changes may be one wake-up, and one's own
/// steps wake too. So the reader lists again, and a lost notification costs nothing.
#[derive(Debug)]
pub struct Changes(watch::Receiver<u64>);

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

/// The subscription to links and addresses.
pub(crate) struct Monitor(watch::Receiver<u64>);

impl Monitor {
    /// Subscribes, and spawns the task that reads the notifications onto `tasks`.
    ///
    /// The task ends when `tasks` is dropped, or by itself when the socket fails.
    pub(crate) fn open(tasks: &mut JoinSet<()>) -> io::Result<Self> {
        let groups = [
            MulticastGroup::Link,
            MulticastGroup::Ipv4Ifaddr,
            MulticastGroup::Ipv6Ifaddr,
        ];
        let mask = groups
            .iter()
            .fold(0, |mask, group| mask | 1 << (*group as u32 - 1));
        let mut socket = TokioSocket::new(NETLINK_ROUTE)?;
        socket.socket_mut().bind(&SocketAddr::new(0, mask))?;
        let (count, changes) = watch::channel(0);
        tasks.spawn(count_notifications(socket, count));
        Ok(Self(changes))
    }

    /// Returns a reader that has seen everything up to now.
    pub(crate) fn changes(&self) -> Changes {
        let mut changes = self.0.clone();
        changes.mark_unchanged();
        Changes(changes)
    }
}

/// Counts notifications without reading them: what does not fit into `start` is dropped, and there
/// is nothing in one that a listing would not tell.
async fn count_notifications(socket: TokioSocket, count: watch::Sender<u64>) {
    let mut start = [0; 16];
    loop {
        match socket.recv(&mut start.as_mut_slice()).await {
            Ok(()) => {}
            // Some were lost because this task was too slow: all the more reason to look again.
            Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                tracing::error!(
                    %error,
                    "watching links and addresses failed: what others do to them is noticed late; restart this service"
                );
                return;
            }
        }
        count.send_modify(|count| *count = count.wrapping_add(1));
    }
}
