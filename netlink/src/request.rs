//! The socket for listings: one question to the kernel, its whole answer or an error.
//!
//! An answer counts only when its end was seen. A socket that is closed half-way must not look like a host without
//! addresses.

use std::io;
use std::time::Duration;

use futures_util::StreamExt;
use netlink_packet_core::{NLM_F_DUMP, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use netlink_packet_route::RouteNetlinkMessage;
use rtnetlink::Handle;
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::error::{Error, Operation};

/// How long to wait for an answer: only a message that cannot be decoded leaves a question without one.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// How often a dump is asked for when changes keep interrupting it.
const DUMP_TRIES: u32 = 5;

/// The kernel says that a table changed while it was being dumped (`linux/netlink.h`).
const NLM_F_DUMP_INTR: u16 = 0x10;

/// Asks the kernel questions.
pub(crate) struct Requests {
    handle: Handle,
    // The kernel runs one dump a socket and refuses a second with EBUSY. netlink-proto happens to
    // read to the end of one before it sends the next, but does not promise it.
    dump: Mutex<()>,
}

impl Requests {
    /// Opens the socket and spawns the task that reads and writes it onto `tasks`.
    ///
    /// The task ends when `tasks` is dropped, or by itself when the socket fails.
    pub(crate) fn open(tasks: &mut JoinSet<()>) -> io::Result<Self> {
        // Nothing is subscribed to here, so that no flood of notifications crowds out an answer.
        // Strict checking makes the kernel heed a dump's filter; Linux before 4.20 has none, and
        // the readers filter too.
        let (mut connection, handle, _unsolicited) = rtnetlink::new_connection_with_strict_check()
            .or_else(|_| rtnetlink::new_connection())?;
        connection.set_forward_done(true);
        tasks.spawn(connection);
        Ok(Self {
            handle,
            dump: Mutex::new(()),
        })
    }

    /// Returns what matches `message`, as it was at one moment.
    pub(crate) async fn dump(
        &self,
        message: &RouteNetlinkMessage,
    ) -> Result<Vec<RouteNetlinkMessage>, Failure> {
        let _one_at_a_time = self.dump.lock().await;
        let mut tries = 1;
        loop {
            match self.ask(message.clone()).await {
                Err(Failure::Refused(error)) if tries < DUMP_TRIES && is_passing(&error) => {
                    tries += 1;
                    tokio::task::yield_now().await;
                }
                answer => return answer,
            }
        }
    }

    async fn ask(&self, message: RouteNetlinkMessage) -> Result<Vec<RouteNetlinkMessage>, Failure> {
        tokio::time::timeout(ANSWER_TIMEOUT, self.exchange(message))
            .await
            .map_err(|_| Failure::NoAnswer)?
    }

    async fn exchange(
        &self,
        message: RouteNetlinkMessage,
    ) -> Result<Vec<RouteNetlinkMessage>, Failure> {
        let mut request = NetlinkMessage::from(message);
        request.header.flags = NLM_F_REQUEST | NLM_F_DUMP;
        let mut replies = self
            .handle
            .clone()
            .request(request)
            .map_err(|_| Failure::Disconnected)?;
        let mut answer = Vec::new();
        let mut interrupted = false;
        while let Some(reply) = replies.next().await {
            interrupted |= reply.header.flags & NLM_F_DUMP_INTR != 0;
            match reply.payload {
                NetlinkPayload::InnerMessage(message) => answer.push(message),
                NetlinkPayload::Error(error) if error.code.is_some() => {
                    return Err(Failure::Refused(error.to_io()));
                }
                NetlinkPayload::Done(done) if done.code != 0 => {
                    return Err(Failure::Refused(io::Error::from_raw_os_error(-done.code)));
                }
                NetlinkPayload::Done(_) if interrupted => {
                    return Err(Failure::Refused(io::Error::from_raw_os_error(libc::EINTR)));
                }
                NetlinkPayload::Error(_) | NetlinkPayload::Done(_) => return Ok(answer),
                NetlinkPayload::Noop | NetlinkPayload::Overrun(_) => {}
                _ => {}
            }
        }
        Err(Failure::Disconnected)
    }
}

/// Says whether a dump may succeed at once: the last one was interrupted by a change, or an
/// abandoned one is still being read.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINTR | libc::EBUSY))
}

/// Why there is no answer, before anybody says what the question was for.
#[derive(Debug)]
pub(crate) enum Failure {
    Refused(io::Error),
    NoAnswer,
    Disconnected,
}

impl Failure {
    pub(crate) fn during(self, operation: Operation) -> Error {
        match self {
            Self::Refused(source) => Error::refused(operation, source),
            Self::NoAnswer => Error::NoAnswer { operation },
            Self::Disconnected => Error::Disconnected { operation },
        }
    }

    /// Returns the kernel's error number, if it is the kernel that said no.
    pub(crate) fn errno(&self) -> Option<i32> {
        match self {
            Self::Refused(error) => error.raw_os_error(),
            Self::NoAnswer | Self::Disconnected => None,
        }
    }
}
