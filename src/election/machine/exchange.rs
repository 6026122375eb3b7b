//! Pure: what goes into the machine, and what comes out of it.

use std::time::Duration;

use crate::election::call::{Answer, Call, Failure, OpId};
use crate::election::candidate::Contact;
use crate::election::health::Health;
use crate::election::note::Note;
use crate::election::peer::Datagram;
use crate::election::target::VipReport;
use crate::election::time::Timestamp;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// [`Machine::deadline`](super::Machine::deadline) has come.
    DeadlineReached,
    /// A request was answered, or failed.
    Completed {
        /// As in [`Action::Call`].
        op: OpId,
        /// What came of it.
        result: Result<Answer, Failure>,
    },
    /// The kernel's word on the address.
    Vip(VipReport),
    /// A note was written down, or not.
    Remembered {
        /// As in [`Action::Remember`].
        op: OpId,
        /// Whether the next process will find this note, or at least none before it.
        kept: bool,
    },
    /// Another host has said something, and it is certain that it was that one.
    Heard {
        /// When it came; never after the call.
        at: Timestamp,
        /// What was said.
        said: Datagram,
    },
    /// How fit this host is to lead.
    Health(Health),
    /// Give everything up and stop.
    Stop,
}

/// What the driver must do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Carry the call out, at once, and come back with [`Event::Completed`] before `timeout` is
    /// over.
    Call {
        /// To be handed back.
        op: OpId,
        /// What to ask.
        call: Call,
        /// Bounds the whole request.
        timeout: Duration,
    },
    /// Write this down for the next process, in order with the calls, and come back with
    /// [`Event::Remembered`].
    Remember {
        /// To be handed back.
        op: OpId,
        /// What to write in place of the note before.
        note: Note,
    },
    /// Send this to another host, at once, and without waiting for anything.
    Send {
        /// Where to.
        contact: Contact,
        /// What.
        datagram: Datagram,
    },
}

/// Why [`Machine::step`](super::Machine::step) wants to be called at a deadline. A stuck timer names itself in the trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DeadlineReason {
    /// The lease ends.
    LeaseEnd,
    /// The lock must be confirmed.
    Confirm,
    /// The session must be renewed.
    Renew,
    /// A pause before another try is over.
    Retry,
    /// An unclean ending has been waited out.
    WaitedOut,
    /// A better candidate has been there for long enough.
    Preempt,
    /// The other hosts must hear us.
    Heartbeat,
    /// The leader has not been heard for so long that something follows.
    Silence,
}
