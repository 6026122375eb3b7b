//! Pure: the others who would lead, and standing as one who would.
//!
//! What is known of them is a hint: a handover checks its successor in the same commit, and whoever gets
//! the lock proves that before it leads.

use std::collections::BTreeSet;
use std::time::Duration;

use super::attempt::Attempt;
use super::member::{WATCH_GIVES_WAY, WATCH_PACE, WATCH_TIMEOUT};
use super::{CALL_TIMEOUT, Core, DeadlineReason};
use crate::election::backoff::{Backoff, jitter};
use crate::election::call::{Answer, Call, Failure, FailureKind, OpId, SessionId, Successor};
use crate::election::candidate::{Candidate, GroupRead, Request};
use crate::election::health::Health;
use crate::election::status::{Doing, Feature};
use crate::election::time::Timestamp;

/// How soon an entry that another session still holds is tried for again.
const ENTRY_PAUSE: Duration = Duration::from_millis(500);

/// For how long one whose entry is gone is spoken to all the same.
const FAREWELL: Duration = Duration::from_secs(5);

/// How often the first look below the trigger key may fail before a host goes on without it: that nobody
/// leads is worse than that a drained host does.
const FIRST_LOOKS: u32 = 3;

/// Why a drained host is not fit to lead.
const DRAINED: &str = "drained";

/// What was last seen below the trigger key.
#[derive(Debug, Default)]
pub(super) struct Group {
    candidates: Vec<Candidate>,
    /// When each was first seen, by its session.
    since: Vec<(SessionId, Timestamp)>,
    /// Those whose entry is gone, and until when they are spoken to all the same.
    gone: Vec<(Candidate, Timestamp)>,
    request: Option<Request>,
    /// Those who shall not lead.
    drained: BTreeSet<String>,
    drain: Drain,
}

/// Whether somebody has drained this host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Drain {
    /// This session has not seen it yet.
    #[default]
    Unknown,
    Off,
    On,
}

impl Group {
    fn update(&mut self, now: Timestamp, read: GroupRead) {
        let GroupRead {
            candidates,
            request,
            drained,
            index: _,
        } = read;
        let since = |candidate: &Candidate| {
            let session = candidate.session.clone();
            let since = self.since_of(&session).unwrap_or(now);
            (session, since)
        };
        self.since = candidates.iter().map(since).collect();
        let listed = |other: &Candidate| candidates.iter().any(|one| one.session == other.session);
        self.gone
            .retain(|(one, until)| now < *until && !listed(one));
        let leaving = std::mem::take(&mut self.candidates);
        let leaving = leaving.into_iter().filter(|one| !listed(one));
        self.gone.extend(leaving.map(|one| (one, now + FAREWELL)));
        self.candidates = candidates;
        self.request = request;
        self.drained = drained.into_iter().collect();
    }

    fn since_of(&self, session: &SessionId) -> Option<Timestamp> {
        let mut since = self.since.iter();
        since.find(|(of, _)| of == session).map(|(_, since)| *since)
    }

    pub(super) fn request(&self) -> Option<&Request> {
        self.request.as_ref()
    }

    /// All but the one with this session.
    pub(super) fn others(&self, own: &SessionId) -> impl Iterator<Item = &Candidate> {
        self.candidates
            .iter()
            .filter(move |candidate| candidate.session != *own)
    }

    /// Where the others are heard, also those who may not know yet that their entry is gone, and would
    /// take silence for death.
    pub(super) fn audience(
        &self,
        now: Timestamp,
        own: &SessionId,
    ) -> impl Iterator<Item = &Candidate> {
        let gone = self
            .gone
            .iter()
            .filter(move |(one, until)| now < *until && one.session != *own);
        self.others(own).chain(gone.map(|(one, _)| one))
    }

    pub(super) fn is_drained(&self, value: &str) -> bool {
        self.drained.contains(value)
    }

    /// Those of them who may lead: one that is drained leaves as soon as it hears of that.
    fn fit_others(&self, own: &SessionId) -> impl Iterator<Item = &Candidate> {
        self.others(own)
            .filter(|candidate| !self.is_drained(&candidate.value))
    }

    pub(super) fn by_session(&self, session: &SessionId) -> Option<&Candidate> {
        self.candidates
            .iter()
            .find(|candidate| candidate.session == *session)
    }

    /// Who should get the lock from `own`: the one of this name, or the best, and of equals the one that
    /// has been there for longest.
    pub(super) fn successor(&self, own: &SessionId, to: Option<&str>) -> Option<Successor> {
        let best = self
            .fit_others(own)
            .filter(|candidate| to.is_none_or(|to| candidate.value == to))
            .min_by_key(|candidate| {
                let since = self.since_of(&candidate.session);
                (-i64::from(candidate.priority), since, &candidate.value)
            })?;
        Some(Successor {
            session: best.session.clone(),
            value: best.value.clone(),
        })
    }

    /// How many are better than one of this priority.
    pub(super) fn better(&self, own: &SessionId, priority: i32) -> u32 {
        let better = self
            .fit_others(own)
            .filter(|candidate| candidate.priority > priority);
        better.count().try_into().unwrap_or(u32::MAX)
    }

    /// Those that are better than one of this priority, and since when each has been there.
    pub(super) fn challengers(
        &self,
        own: &SessionId,
        priority: i32,
    ) -> impl Iterator<Item = (&Candidate, Timestamp)> {
        self.fit_others(own)
            .filter(move |candidate| candidate.priority > priority)
            .filter_map(|candidate| Some((candidate, self.since_of(&candidate.session)?)))
    }
}

/// One session's entry among the candidates, and its open `?stale` read of all of them.
#[derive(Debug)]
pub(super) struct Standing {
    watch: Attempt,
    backoff: Backoff,
    index: u64,
    /// How often the first look has failed.
    unseen: u32,
    entry: Attempt,
    /// What the request for the entry that is under way asks for.
    asked: Option<bool>,
    entry_backoff: Backoff,
    /// The session holds its entry, as far as we know.
    pub(super) registered: bool,
}

impl Standing {
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            watch: Attempt::Due(now),
            backoff: Backoff::default(),
            index: 0,
            unseen: 0,
            entry: Attempt::Due(now),
            asked: None,
            entry_backoff: Backoff::default(),
            registered: false,
        }
    }

    pub(super) fn deadlines(&self, core: &Core, into: &mut Vec<(Timestamp, DeadlineReason)>) {
        if !core.has_candidates() {
            return;
        }
        into.extend(self.watch.deadline(DeadlineReason::Retry));
        if core.stands() != self.registered {
            into.extend(self.entry.deadline(DeadlineReason::Retry));
        }
    }

    pub(super) fn send(&mut self, core: &mut Core, now: Timestamp, own: &SessionId) {
        if !core.has_candidates() {
            return;
        }
        let index = self.index;
        // The first one does not wait for news.
        let timeout = if index == 0 {
            CALL_TIMEOUT
        } else {
            WATCH_TIMEOUT
        };
        self.watch
            .send_if_due(core, now, timeout, || Call::WatchGroup { index });
        let stands = core.stands();
        if stands != self.registered
            && let Attempt::Due(_) = self.entry
        {
            self.entry.send_if_due(core, now, CALL_TIMEOUT, || {
                if stands {
                    Call::Register(own.clone())
                } else {
                    Call::Unregister(own.clone())
                }
            });
            if let Attempt::Sent(_) = self.entry {
                self.asked = Some(stands);
            }
        }
    }

    /// Returns whether `op` was one of its requests.
    pub(super) fn completed(
        &mut self,
        core: &mut Core,
        now: Timestamp,
        op: OpId,
        own: &SessionId,
        result: &Result<Answer, Failure>,
    ) -> bool {
        if let Some(sent) = self.watch.answered_by(op) {
            self.watched(core, now, sent.issued_at, own, result);
        } else if self.entry.answered_by(op).is_some() {
            core.note(Doing::Standing, result);
            self.entry_changed(core, now, result);
        } else {
            return false;
        }
        true
    }

    fn watched(
        &mut self,
        core: &mut Core,
        now: Timestamp,
        sent_at: Timestamp,
        own: &SessionId,
        result: &Result<Answer, Failure>,
    ) {
        let read = match result {
            Ok(Answer::Group(read)) => read.clone(),
            Err(failure) if failure.is_final() => {
                core.lose(Feature::Candidates, failure);
                return;
            }
            Ok(_) | Err(_) => {
                self.watch = Attempt::Due(now + self.backoff.next(&mut core.rng));
                self.unseen = self.unseen.saturating_add(1);
                if self.unseen >= FIRST_LOOKS {
                    core.goes_on_unseen();
                }
                return;
            }
        };
        self.backoff.reset();
        if read.index < self.index {
            // A server that has fallen behind, or been restored: what it has forgotten is still there.
            self.index = read.index.max(1);
            self.watch = Attempt::Due(sent_at + WATCH_PACE);
            return;
        }
        // Where there is nothing, every write to any other key wakes the watch.
        let at_once = read.index > self.index && !read.candidates.is_empty();
        self.index = read.index.max(1);
        self.watch = Attempt::Due(if at_once {
            now + WATCH_GIVES_WAY
        } else {
            sent_at + WATCH_PACE
        });
        for candidate in &read.candidates {
            core.others_lock_delay = core.others_lock_delay.max(candidate.lock_delay);
        }
        core.group.update(now, read);
        core.group.drain = if core.group.is_drained(&core.params.value) {
            Drain::On
        } else {
            Drain::Off
        };
        if core.group.by_session(own).is_some() {
            self.entry_backoff.reset();
        } else if self.registered {
            // Somebody deleted it, or this read is older than it: to write it again does no harm. It may
            // also be that it is never listed.
            self.registered = false;
            if let Attempt::Due(_) = self.entry {
                self.entry = Attempt::Due(now + self.entry_backoff.next(&mut core.rng));
            }
        }
    }

    fn entry_changed(&mut self, core: &mut Core, now: Timestamp, result: &Result<Answer, Failure>) {
        let asked = self.asked.take().unwrap_or_default();
        let pause = match result {
            Ok(_) => {
                self.registered = asked;
                Duration::ZERO
            }
            Err(failure) => match failure.kind {
                FailureKind::Denied | FailureKind::Refused => {
                    core.lose(Feature::Candidates, failure);
                    Duration::ZERO
                }
                // It is not there, which is what was asked for; or another session has it, until it dies.
                FailureKind::Changed if !asked => {
                    self.registered = false;
                    Duration::ZERO
                }
                FailureKind::Held | FailureKind::LockDelayed | FailureKind::Changed => {
                    jitter(ENTRY_PAUSE, &mut core.rng)
                }
                FailureKind::SessionGone
                | FailureKind::CheckMissing
                | FailureKind::CheckCritical
                | FailureKind::Unavailable => self.entry_backoff.next(&mut core.rng),
            },
        };
        self.entry = Attempt::Due(now + pause);
    }
}

impl Core {
    pub(super) fn has_candidates(&self) -> bool {
        self.params.options.candidates && self.has(Feature::Candidates)
    }

    /// Whether this host is fit to lead.
    pub(super) fn may_lead(&self) -> bool {
        self.fitness() == Health::Good && self.blocker().is_none()
    }

    /// How fit it is, all told: a drain is what an operator says of its health, and not known before the
    /// session has looked. Who may not look has none.
    pub(super) fn fitness(&self) -> Health {
        if !self.has_candidates() {
            return self.health.clone();
        }
        match (self.group.drain, &self.health) {
            (Drain::On, _) => Health::Bad(DRAINED.to_owned()),
            (Drain::Unknown, Health::Good) => Health::Unknown,
            (Drain::Unknown | Drain::Off, health) => health.clone(),
        }
    }

    pub(super) fn is_drained(&self) -> bool {
        self.has_candidates() && self.group.drain == Drain::On
    }

    /// A session that is new does not know what happened while there was none.
    pub(super) fn doubt_drain(&mut self) {
        if self.group.drain == Drain::Off {
            self.group.drain = Drain::Unknown;
        }
    }

    fn goes_on_unseen(&mut self) {
        if self.group.drain == Drain::Unknown {
            self.group.drain = Drain::Off;
        }
    }

    /// Whether this host should be found among the candidates.
    pub(super) fn stands(&self) -> bool {
        !self.stopping && self.may_lead()
    }

    /// Does without a feature for as long as this session lives: rights are given and taken by people.
    pub(super) fn lose(&mut self, feature: Feature, failure: &Failure) {
        self.without.insert(feature);
        self.troubles.remove(&feature.doing());
        self.lost
            .entry(feature)
            .or_insert_with(|| failure.message.clone());
    }

    pub(super) fn has(&self, feature: Feature) -> bool {
        !self.without.contains(&feature)
    }
}

impl Failure {
    /// Whether to ask again is of no use.
    pub(super) fn is_final(&self) -> bool {
        matches!(self.kind, FailureKind::Denied | FailureKind::Refused)
    }
}
