//! Pure: what must be true of several groups at every instant, seen from outside.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use vip_elector::election::call::SessionId;

/// What was seen that must never be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// Two hosts have the address of a group.
    TwoHolders(usize, [usize; 2]),
    /// A host's lease of a group ends so long after its last proof has run out.
    BeyondProof(usize, usize, Duration),
    /// A group has no leader that stays, that long after the last fault.
    NoLeader(usize, Duration),
    /// A group has lost its leader by what happened to another.
    EndsAnother(usize, usize),
    /// A session lives, and no group uses it.
    Idle(SessionId),
    /// A key is locked by a session that its group does not use.
    LockedForNobody(String),
    /// A process has made more sessions than it has groups, and one.
    Sessions(usize, usize),
    /// A process has so many requests under way.
    Errands(usize, usize),
    /// A host's machines asked to be called again and again at one instant.
    Spins(usize),
}

impl Violation {
    /// Names the kind.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::TwoHolders(..) => "two holders",
            Self::BeyondProof(..) => "lease beyond its proof",
            Self::NoLeader(..) => "no leader within the bound",
            Self::EndsAnother(..) => "another group's tenure ended",
            Self::Idle(_) => "a session that nobody uses",
            Self::LockedForNobody(_) => "a key locked for nobody",
            Self::Sessions(..) => "too many sessions",
            Self::Errands(..) => "too many requests under way",
            Self::Spins(_) => "machines that spin",
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TwoHolders(group, [a, b]) => {
                write!(f, "host{a} and host{b} both have the address of g{group}")
            }
            Self::BeyondProof(group, host, by) => write!(
                f,
                "host{host} has a lease of g{group} that ends {:.4} s after its proof has run out",
                by.as_secs_f64()
            ),
            Self::NoLeader(group, since) => write!(
                f,
                "g{group} has no leader that stays {:.1} s after the last fault was over",
                since.as_secs_f64()
            ),
            Self::EndsAnother(group, host) => write!(
                f,
                "host{host} no longer leads g{group}, to which nothing has happened"
            ),
            Self::Idle(session) => write!(f, "session {session} lives, and nobody uses it"),
            Self::LockedForNobody(key) => {
                write!(
                    f,
                    "'{key}' is locked by a session that its group does not use"
                )
            }
            Self::Sessions(host, count) => {
                write!(f, "the process of host{host} has {count} sessions")
            }
            Self::Errands(host, count) => {
                write!(f, "host{host} has {count} requests under way")
            }
            Self::Spins(host) => write!(f, "host{host} spins"),
        }
    }
}

/// What is known from outside of the groups' addresses.
#[derive(Debug, Default)]
pub(super) struct Witness {
    /// Until when a host has a group's address at the latest: the end of its last lease, or earlier where the address
    /// was taken off.
    up: BTreeMap<(usize, usize), Duration>,
    /// When the last request was sent whose answer showed a group's key as this session's.
    proven: BTreeMap<(usize, SessionId), Duration>,
    /// Who leads each group, and since when.
    led: BTreeMap<usize, (usize, Duration)>,
}

impl Witness {
    /// A host has a lease of a group until then.
    pub(super) fn up(
        &mut self,
        now: Duration,
        host: usize,
        group: usize,
        until: Duration,
    ) -> Option<Violation> {
        self.up.insert((host, group), until);
        if until <= now {
            return None;
        }
        let mut all = self.up.iter();
        let other =
            all.find(|((other, of), until)| *of == group && *other != host && **until > now);
        other.map(|((other, _), _)| Violation::TwoHolders(group, [*other, host]))
    }

    /// A host has taken a group's address off.
    pub(super) fn off(&mut self, host: usize, group: usize) {
        self.up.remove(&(host, group));
    }

    /// Returns who has the address of a group.
    pub(super) fn holder(&self, now: Duration, group: usize) -> Option<usize> {
        let mut all = self.up.iter();
        let holder = all.find(|((_, of), until)| *of == group && **until > now);
        holder.map(|((host, _), _)| *host)
    }

    /// A request that was sent then has shown a group's key as this session's.
    pub(super) fn proven(&mut self, group: usize, session: &SessionId, sent: Duration) {
        let last = self.proven.entry((group, session.clone())).or_default();
        *last = sent.max(*last);
    }

    /// Says by how much a lease outlives its proof, if it does.
    pub(super) fn beyond(
        &self,
        group: usize,
        session: Option<SessionId>,
        until: Duration,
        lock_delay: Duration,
    ) -> Option<Duration> {
        let sent = session.and_then(|session| self.proven.get(&(group, session)));
        let latest = sent.map_or(Duration::ZERO, |sent| *sent + lock_delay);
        (until > latest).then(|| until.saturating_sub(latest))
    }

    /// Looks who leads.
    pub(super) fn look(&mut self, now: Duration, groups: usize) {
        for group in 0..groups {
            match self.holder(now, group) {
                None => {
                    self.led.remove(&group);
                }
                Some(host) => {
                    let led = self.led.entry(group).or_insert((host, now));
                    if led.0 != host {
                        *led = (host, now);
                    }
                }
            }
        }
    }

    /// Returns since when a group has been led, if it is.
    pub(super) fn led_since(&self, group: usize) -> Option<Duration> {
        self.led.get(&group).map(|(_, since)| *since)
    }
}
