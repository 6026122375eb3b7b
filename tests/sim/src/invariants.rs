//! Pure: what must be true at every instant, seen from outside: from the kernels and from Consul's
//! log, not from what a daemon believes.
//!
//! - Never do two hosts have the address up.
//! - No host has it up later than its last proof's true sending time plus its lock-delay.
//! - A process has at most one live session. One more that nobody renews is allowed where Consul made
//!   it after the daemon had given the request up, or by carrying a doubled request out twice.
//! - When the last fault is over, there is a leader again within [`recovery_bound`], and it stays.
//! - Where nothing else goes wrong, a leader whose daemon is killed or frozen is replaced within
//!   [`takeover_bound`]; a broken link between two hosts makes one of them end one leader's session at
//!   most, and what happens to a standby alone makes it end none.
//! - Where nothing else goes wrong, a drained host gives the address up, and does not get it.
//!
//! There are three known exceptions, as narrow as they are written here, and all are counted:
//!
//! - With a lock-delay below [`STRICT_LOCK_DELAY`], while the daemon is killed or stopped, the kernel's
//!   hand alone is late by up to a whole second more and its lateness. Two hosts are excused by that only
//!   where something else than this very death has ended the session ([`Cause`]): a liveness check, a TTL or
//!   another host that misses the daemon must leave the kernel its time.
//! - With `--kernel-lease off`, while the daemon is killed or stopped, nothing takes the address off.
//! - While lock-delays differ, the process of the next leader never was told the last one's, which is
//!   longer than its own wait, and Consul does not refuse the lock for so long: because somebody deleted
//!   the key and no session died, or because Consul forgot. (Where a server begins two lock-delays of
//!   one key, the end of the first is the end of both; a server that has lagged and becomes raft leader
//!   may have begun two that were never near each other.)

mod death;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use vip_elector::election::call::SessionId;
use vip_elector::election::lease::{KERNEL_LATENESS, STRICT_LOCK_DELAY};

pub use self::death::Cause;
use self::death::Death;
use crate::network::LATEST;
use crate::request::Request;
use crate::schedule::TTL;
use crate::world::Heed;

/// How long a daemon that was just started or thawed may need until its own hand is back.
const COMING_TO: Duration = Duration::from_millis(100);

/// Longer than any simulation.
const FOR_EVER: Duration = Duration::from_secs(86_400);

/// For how long after the last fault an operator looks after what stands in the trigger key and is no
/// lock.
pub const TIDYING: Duration = Duration::from_secs(12);

/// What was seen that must never be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// Two hosts have the address.
    TwoHolders(usize, usize),
    /// A host has the address without a lease, since that long.
    NoLease(usize, Duration),
    /// A process has two sessions.
    TwoSessions(usize, String),
    /// There is no leader that stays, that long after the last fault.
    NoLeader(Duration),
    /// Nobody has taken over, that long after a leader's daemon ended.
    SlowTakeover(Duration),
    /// Other hosts have ended the sessions of so many leaders that were well, which is more than the one
    /// fault there was explains.
    WrongDepose(u32),
    /// A drained host has the address, that long after it was drained.
    DrainedLeads(usize, Duration),
    /// A machine asked to be called again and again at one instant.
    Spins(usize),
}

impl Violation {
    /// Names the kind.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::TwoHolders(..) => "two holders",
            Self::NoLease(..) => "address without a lease",
            Self::TwoSessions(..) => "two sessions of one process",
            Self::NoLeader(_) => "no leader within the bound",
            Self::SlowTakeover(_) => "no takeover within the bound",
            Self::WrongDepose(_) => "a leader that is well deposed",
            Self::DrainedLeads(..) => "a drained host with the address",
            Self::Spins(_) => "a machine that spins",
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TwoHolders(a, b) => write!(f, "host{a} and host{b} both have the address"),
            Self::NoLease(host, over) => write!(
                f,
                "host{host} has the address {:.4} s after its lease",
                over.as_secs_f64()
            ),
            Self::TwoSessions(host, sessions) => {
                write!(f, "one process of host{host} has the sessions {sessions}")
            }
            Self::NoLeader(since) => write!(
                f,
                "no leader {:.1} s after the last fault was over",
                since.as_secs_f64()
            ),
            Self::SlowTakeover(since) => write!(
                f,
                "nobody has taken over {:.3} s after the leader's daemon ended",
                since.as_secs_f64()
            ),
            Self::WrongDepose(times) => {
                write!(f, "{times} leaders deposed, which were well")
            }
            Self::DrainedLeads(host, over) => write!(
                f,
                "host{host} has the address {:.3} s after it was drained",
                over.as_secs_f64()
            ),
            Self::Spins(host) => write!(f, "the machine of host{host} spins"),
        }
    }
}

/// When, after the last fault is over, a leader must be up.
///
/// One after another, each at its worst: a raft leader is elected (4 s, and 2 s more where the first
/// election finds nobody) and learns again which nodes are alive (3 s); a renewal that was under way
/// arrives last of all ([`LATEST`]) for a session whose daemon is no more, whose TTL then takes twice
/// its length, or its liveness check once (`silence`); its lock-delay keeps everybody out; a standby finds the key missing, marks it, and
/// waits for the lock-delay itself; and on this way each of the three requests, proof, mark and
/// acquire, may have been sent just before the end of the last fault, time out after 2 s, and be
/// followed by a pause of 5 s at most. A stop that was under way adds its 5 s and the supervisor's 5 s, an
/// operator who clears away what is no lock [`TIDYING`].
/// Clocks that are slow by 0.5 % add less than the last second.
pub fn recovery_bound(lock_delay: Duration, silence: Duration) -> Duration {
    let seconds = |seconds| Duration::from_secs(seconds);
    seconds(4 + 2 + 3)
        + LATEST
        + silence
        + 2 * lock_delay
        + seconds(3 * (2 + 5))
        + seconds(10)
        + TIDYING
        + seconds(1)
}

/// When another host has the address after a leader's daemon was killed or frozen, and nothing else goes
/// wrong: its silence is noticed, its session's end gets through the log, its lock-delay passes, and all
/// clocks may be slow by 0.5 %. The second is for a server that hears of what was committed 0.3 s later, for
/// the pauses of a standby that is refused, and for half a dozen messages.
pub fn takeover_bound(silence: Duration, lock_delay: Duration) -> Duration {
    (silence + lock_delay).mul_f64(1.005) + Duration::from_secs(1)
}

/// One host, as far as the invariants look at it.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// The kernel has the address.
    pub up: bool,
    /// Since when.
    pub since: Duration,
    /// Since when the daemon has been running without a break, if it is.
    pub running_since: Option<Duration>,
    /// When its daemon was last killed or frozen.
    pub gone: Duration,
    /// The longest lock-delay that its last daemon knew of: its own, and those it was told.
    pub told: Duration,
    /// The kernel is given the address for a limited time.
    pub kernel_lease: bool,
}

/// Watches over a simulation.
#[derive(Debug)]
pub struct Invariants {
    /// When the request was sent whose answer last proved the lock to each host, and its lock-delay.
    proofs: Vec<(Duration, Duration)>,
    /// When somebody last deleted the key.
    deleted: Option<Duration>,
    /// When a session last died that held it.
    died: Option<Duration>,
    /// The last one of each host.
    deaths: Vec<Option<Death>>,
    owners: BTreeMap<SessionId, Owner>,
}

/// Whose a session is.
#[derive(Clone, Copy, Debug)]
struct Owner {
    host: usize,
    process: u64,
    taken_up: bool,
    /// When the last renewal was sent.
    renewed: Duration,
    /// Made too late or once too often.
    orphan: bool,
}

impl Invariants {
    /// Watches over so many hosts.
    pub fn new(hosts: usize) -> Self {
        Self {
            proofs: vec![(Duration::ZERO, Duration::ZERO); hosts],
            deleted: None,
            died: None,
            deaths: vec![None; hosts],
            owners: BTreeMap::new(),
        }
    }

    /// Takes in that a host was answered, by a request sent at `sent`, that the lock is its own.
    pub fn proven(&mut self, host: usize, sent: Duration, lock_delay: Duration) {
        self.proofs[host] = self.proofs[host].max((sent, lock_delay));
    }

    /// Takes in that somebody deletes the key.
    pub const fn deleted(&mut self, now: Duration) {
        self.deleted = Some(now);
    }

    /// Takes in that the session that holds the key has died.
    pub fn died(&mut self, now: Duration, session: &SessionId, cause: Cause) {
        self.died = Some(now);
        if let Some(host) = self.owner(session) {
            self.deaths[host] = Some(Death { at: now, cause });
        }
    }

    /// Takes in that a session's TTL begins anew, by a request sent at `sent`.
    pub fn renewed(&mut self, session: &SessionId, sent: Duration) {
        if let Some(owner) = self.owners.get_mut(session) {
            owner.renewed = owner.renewed.max(sent);
        }
    }

    /// What a session that Consul or somebody has ended died of: its TTL, if that was over.
    pub fn forgotten(&self, session: &SessionId, now: Duration) -> Cause {
        match self.owners.get(session) {
            Some(owner) if owner.renewed + TTL.mul_f64(0.99) <= now => {
                Cause::silence(owner.renewed, TTL / 2)
            }
            Some(_) | None => Cause::Other,
        }
    }

    /// Returns the host whose session this is.
    pub fn owner(&self, session: &SessionId) -> Option<usize> {
        self.owners.get(session).map(|owner| owner.host)
    }

    /// Takes in that Consul has made a session.
    pub fn made(&mut self, session: &SessionId, request: &Request, orphan: bool) {
        let owner = Owner {
            host: request.host,
            process: request.process,
            taken_up: false,
            renewed: request.sent,
            orphan,
        };
        self.owners.insert(session.clone(), owner);
    }

    /// Takes in that a process lives by a session: it was told of it, or renews it.
    pub fn taken_up(&mut self, session: &SessionId, by: u64, live: impl Fn(&SessionId) -> bool) {
        let Some(owner) = self.owners.get_mut(session) else {
            return;
        };
        let was_orphan = std::mem::replace(&mut owner.orphan, false);
        owner.taken_up = true;
        // Adopted, if it was another's.
        owner.process = owner.process.max(by);
        let process = owner.process;
        if was_orphan {
            // Of two by one name the daemon has taken up this one: the other is the one that nobody knows.
            let twin = self
                .owners
                .iter_mut()
                .filter(|(id, _)| live(id))
                .find(|(_, other)| other.process == process && !other.taken_up && !other.orphan);
            if let Some((_, twin)) = twin {
                twin.orphan = true;
            }
        }
    }

    /// Says whether the owner of one of the `live` sessions, itself among them, has another.
    pub fn sessions<'a>(
        &self,
        of: &SessionId,
        live: impl Iterator<Item = &'a SessionId>,
    ) -> Option<Violation> {
        let owner = self.owners.get(of)?;
        let siblings: Vec<&str> = live
            .filter(|id| {
                self.owners
                    .get(id)
                    .is_some_and(|other| other.process == owner.process && !other.orphan)
            })
            .map(SessionId::as_str)
            .collect();
        (siblings.len() > 1).then(|| Violation::TwoSessions(owner.host, siblings.join(" and ")))
    }

    /// Looks at all kernels. What is true now was true since the last look.
    ///
    /// # Errors
    ///
    /// What must not be.
    pub fn check(&self, now: Duration, hosts: &[Seen], heed: Heed) -> Result<Excused, Violation> {
        let mut excused = Excused::Nothing;
        let mut holder: Option<usize> = None;
        for (host, seen) in hosts.iter().enumerate().filter(|(_, seen)| seen.up) {
            let (end, excuse) = self.lease(now, host, seen);
            if now > end + excuse && heed == Heed::All {
                return Err(Violation::NoLease(host, now.saturating_sub(end)));
            }
            if let Some(other) = holder.replace(host) {
                let late = |host: usize| {
                    let (end, excuse) = self.lease(now, host, &hosts[host]);
                    now > end && now <= end + excuse && !self.had_its_time(host, &hosts[host])
                };
                if late(host) || late(other) {
                    let limited = seen.kernel_lease && hosts[other].kernel_lease;
                    excused = if limited {
                        Excused::KernelAlone
                    } else {
                        Excused::NoKernelLease
                    };
                } else {
                    excused = self
                        .was_not_told(now, (other, &hosts[other]), (host, seen))
                        .ok_or(Violation::TwoHolders(other, host))?;
                }
            }
        }
        Ok(excused)
    }

    /// Whether a host's session ended by nothing but the end of its daemon, and so late enough for its
    /// kernel.
    fn had_its_time(&self, host: usize, seen: &Seen) -> bool {
        let (proof, _) = self.proofs[host];
        seen.kernel_lease
            && self.deaths[host]
                .is_some_and(|death| death.at >= proof && death.is_of_the_daemon(seen.gone))
    }

    /// Whether the younger of two holders could not know for how long the elder's lease lasts.
    fn was_not_told(
        &self,
        now: Duration,
        one: (usize, &Seen),
        other: (usize, &Seen),
    ) -> Option<Excused> {
        let (elder, younger) = if one.1.since <= other.1.since {
            (one, other)
        } else {
            (other, one)
        };
        let (_, lock_delay) = self.proofs[elder.0];
        let lately = |at: Option<Duration>| at.is_some_and(|at| now < at + lock_delay);
        if younger.1.told >= lock_delay {
            None
        } else if lately(self.deleted) {
            Some(Excused::LockDelayUnknown)
        } else if lately(self.died) {
            Some(Excused::LockDelayForgotten)
        } else {
            None
        }
    }

    /// When a host's lease is over, and by how much the kernel alone may be late.
    fn lease(&self, now: Duration, host: usize, seen: &Seen) -> (Duration, Duration) {
        let (proof, lock_delay) = self.proofs[host];
        let alone = seen
            .running_since
            .is_none_or(|since| now.saturating_sub(since) < COMING_TO);
        let excuse = if alone && !seen.kernel_lease {
            FOR_EVER
        } else if alone && lock_delay < STRICT_LOCK_DELAY {
            Duration::from_secs(1) + KERNEL_LATENESS
        } else {
            Duration::ZERO
        };
        (proof + lock_delay, excuse)
    }
}

/// What was seen that the documentation excepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Excused {
    /// Nothing.
    Nothing,
    /// Two addresses, one of them in the kernel's hand alone under a lock-delay below
    /// [`STRICT_LOCK_DELAY`].
    KernelAlone,
    /// Two addresses, one of them without a lifetime and without a daemon.
    NoKernelLease,
    /// Two addresses, after the key was deleted by hand and the lock-delays differ.
    LockDelayUnknown,
    /// Two addresses, after Consul forgot a lock-delay and the lock-delays differ.
    LockDelayForgotten,
}
