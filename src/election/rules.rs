//! Pure: the rules of the promise, each with a name.
//!
//! The daemon keeps all of them: no flag, variable or file can break one. They are named so that the
//! simulation can break one at a time ([`Terms::breaking`](super::lease::Terms::breaking)) and show
//! that it notices; a proof that cannot fail is none.

use std::fmt;

/// A rule without which two hosts can hold the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// A lease is never longer than the lock-delay. Broken: it is as long as the TTL.
    LeaseWithinLockDelay,
    /// Only a consistent read, or an acquire, proves that the lock is ours. Broken: a renewal does,
    /// to which a deposed Consul leader may still say yes.
    ConfirmByConsistentRead,
    /// A lease counts from when the request was sent. Broken: from when the answer came.
    LeaseCountsFromRequest,
    /// The lock is released after the kernel has said that the address is off. Broken: before.
    ReleaseAfterAddressOff,
    /// What ended without saying that the address is off is waited out. Broken: it is not.
    UncleanEndingWaitedOut,
    /// Each unclean ending is waited out from its own first proof. Broken: from that of the first
    /// one that was seen.
    EachEndingWaitedOut,
    /// An acquire fails if anything has happened to the key since it was seen free. Broken: it asks for
    /// the lock whatever has happened.
    AcquireChecksIndex,
    /// A wait is as long as the longest lock-delay of any holder seen. Broken: as long as the own one.
    LongestLockDelayWaited,
    /// An answer to a request that nobody waits for any more is dropped. Broken: it is taken for the
    /// answer to the next request of its kind.
    StaleAnswersDropped,
    /// The kernel's lifetime, lateness included, ends within the lease's span. Broken: it is rounded
    /// up, and lateness is forgotten.
    KernelLifetimeWithinLease,
    /// A session that has sent a release never leads again, in no process. Broken: it does, if the
    /// release was not answered; and the next process is not told.
    SpentSessionNeverLeads,
    /// A lock that was handed over is proven like any other before its new holder leads. Broken: the
    /// watch's word is taken for it, however old it is.
    HandedOverLockIsConfirmed,
    /// A session that dies because its daemon does outlives it for long enough that the kernel is done
    /// when the lock-delay is over. Broken: its liveness check has a shorter TTL.
    LivenessOutlastsKernel,
    /// A leader is silent for long enough before its session is ended that the kernel is done when the
    /// lock-delay is over. Broken: a few missed heartbeats are enough.
    PatienceOutlastsKernel,
    /// A read that several groups share answers only those who asked before it was sent. Broken: what came in
    /// just before is given to a later asker.
    ReadAnswersEarlierCalls,
    /// A group is never given a session again that it has left. Broken: it is, if others go on with it.
    LeftSessionIsNotReturned,
    /// A group that gives up a session which others use does not end it. Broken: it does.
    OneGroupEndsNoOther,
    /// A group has left a shared session when it is proven that its key is not locked by it. Broken: when it
    /// wants to.
    LeavingIsProven,
}

impl Rule {
    /// Those of what several groups of one process share.
    pub const SHARED: [Self; 4] = [
        Self::ReadAnswersEarlierCalls,
        Self::LeftSessionIsNotReturned,
        Self::OneGroupEndsNoOther,
        Self::LeavingIsProven,
    ];

    /// Every rule of one group alone.
    pub const ALL: [Self; 14] = [
        Self::LeaseWithinLockDelay,
        Self::ConfirmByConsistentRead,
        Self::LeaseCountsFromRequest,
        Self::ReleaseAfterAddressOff,
        Self::UncleanEndingWaitedOut,
        Self::EachEndingWaitedOut,
        Self::AcquireChecksIndex,
        Self::LongestLockDelayWaited,
        Self::StaleAnswersDropped,
        Self::KernelLifetimeWithinLease,
        Self::SpentSessionNeverLeads,
        Self::HandedOverLockIsConfirmed,
        Self::LivenessOutlastsKernel,
        Self::PatienceOutlastsKernel,
    ];

    /// Returns the rule in words.
    pub const fn text(self) -> &'static str {
        match self {
            Self::LeaseWithinLockDelay => "a lease is never longer than the lock-delay",
            Self::ConfirmByConsistentRead => "confirm by consistent read, not by renewal",
            Self::LeaseCountsFromRequest => "a lease counts from the request, not the answer",
            Self::ReleaseAfterAddressOff => "release after the address is off",
            Self::UncleanEndingWaitedOut => "wait after the key was deleted under a live leader",
            Self::EachEndingWaitedOut => "each unclean ending is waited out from its own proof",
            Self::AcquireChecksIndex => "an acquire checks that nothing has happened to the key",
            Self::LongestLockDelayWaited => "wait for the longest lock-delay of any holder seen",
            Self::StaleAnswersDropped => "a stale completion is dropped",
            Self::KernelLifetimeWithinLease => "the kernel's lifetime ends within the lease",
            Self::SpentSessionNeverLeads => "a session that has sent a release never leads again",
            Self::HandedOverLockIsConfirmed => "a lock that was handed over is confirmed",
            Self::LivenessOutlastsKernel => "the liveness check outlasts the kernel's lifetime",
            Self::PatienceOutlastsKernel => "a silent leader is given the kernel's lifetime",
            Self::ReadAnswersEarlierCalls => "a shared read answers those who asked before it",
            Self::LeftSessionIsNotReturned => "a group is never given a session that it has left",
            Self::OneGroupEndsNoOther => "a group does not end a session that others use",
            Self::LeavingIsProven => "a shared session is left when its key is proven free",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}
