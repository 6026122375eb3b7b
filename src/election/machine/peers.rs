//! Pure: being heard as a leader, and missing a leader that is not heard any more.
//!
//! Whoever thinks that a leader is dead may end its session, because a lease holds whatever a session dies
//! of: a wrong guess costs a failover, and never a second holder. It is made where
//!
//! - this leader was heard in this tenure, so that a way that never led here proves nothing;
//! - it has missed several heartbeats in a row, as many as a supervisor may take to start it again, and it
//!   has been silent for long enough that the kernel has taken its address off when the lock-delay is over ([`Terms::patience`](crate::election::lease::Terms));
//! - this process itself was there all the time;
//! - no other candidate that answers hears it; and
//! - Consul has shown it as the leader in this silence, by a consistent read: who is cut off from Consul is
//!   cut off from the leader too, and what it asks for then is carried out when all is well again.
//!
//! Who has ended a session, and whose session was ended, does not do it again for a while: a link that
//! comes and goes must not move the address to and fro.

use std::collections::BTreeMap;
use std::time::Duration;

use super::standby::Seen;
use super::{Core, DeadlineReason};
use crate::election::call::{Answer, Call, Failure, FailureKind, OpId, Pending, SessionId};
use crate::election::peer::{Datagram, Message};
use crate::election::status::{Doing, Feature, Holder};
use crate::election::time::Timestamp;

/// For how long nobody is suspected after a session was ended by us, or ours by another.
const HOLD_OFF: Duration = Duration::from_secs(10);

/// How soon the end of a session is asked for again, and how long one try may take: a Consul that has just
/// lost its leader, maybe with ours, lets requests hang for much longer than it takes to elect another.
const DEPOSE_PAUSE: Duration = Duration::from_millis(250);
const DEPOSE_TIMEOUT: Duration = Duration::from_millis(500);

/// How many heartbeats the post sends for one of a group that shares it with others.
pub(crate) const BEATS_REPEATED: u32 = 4;

#[derive(Debug)]
pub(super) struct Peers {
    /// When the next heartbeat of ours is due, if we lead.
    beat_at: Timestamp,
    hearing: Option<Hearing>,
    /// When we wanted to be called: a process that was not there has heard nobody.
    due: Option<Timestamp>,
    not_before: Timestamp,
    /// When the last proof was asked for that showed the leader as such.
    proven_at: Timestamp,
    /// A proof is wanted.
    look: bool,
    /// The newest question of each candidate.
    questions: BTreeMap<SessionId, u64>,
    deposing: Option<(Pending, Holder, Duration)>,
}

/// What is heard of the leader that is seen in the key.
#[derive(Debug)]
struct Hearing {
    leader: Holder,
    /// Silence does not count from before this.
    since: Timestamp,
    heartbeat: Option<Heartbeat>,
    /// The question that was put to the others in this silence, and when.
    asked: Option<(u64, Timestamp)>,
}

#[derive(Clone, Copy, Debug)]
struct Heartbeat {
    at: Timestamp,
    sequence: u64,
    patience: Duration,
}

impl Hearing {
    fn new(leader: Holder, now: Timestamp) -> Self {
        Self {
            leader,
            since: now,
            heartbeat: None,
            asked: None,
        }
    }

    /// When to ask the others, and when to take the leader for dead, if nothing is heard until then.
    fn verdict(&self, interval: Duration) -> Option<(Timestamp, Timestamp)> {
        let heartbeat = self.heartbeat?;
        let silent_since = heartbeat.at.max(self.since);
        let dead_at = silent_since + heartbeat.patience.max(interval * 3);
        let ask_at = silent_since + (heartbeat.patience.max(interval * 3) - interval);
        Some(match self.asked {
            Some((_, asked_at)) => (ask_at, dead_at.max(asked_at + interval)),
            None => (ask_at, dead_at),
        })
    }

    fn restart(&mut self, now: Timestamp) {
        self.since = now;
        self.asked = None;
    }
}

impl Peers {
    pub(super) fn new(now: Timestamp) -> Self {
        Self {
            beat_at: now,
            hearing: None,
            due: None,
            not_before: now,
            proven_at: Timestamp::ZERO,
            look: false,
            questions: BTreeMap::new(),
            deposing: None,
        }
    }

    /// A heartbeat goes out before whatever follows from what has just been proven.
    pub(super) fn beat_now(&mut self, now: Timestamp) {
        self.beat_at = self.beat_at.min(now);
    }

    /// Returns whether a proof is wanted, once.
    pub(super) fn wants_proof(&mut self) -> bool {
        std::mem::take(&mut self.look)
    }

    /// Takes in that a consistent read, asked for at `sent_at`, has shown another host as the leader.
    pub(super) fn proven(&mut self, sent_at: Timestamp) {
        self.proven_at = sent_at;
    }

    /// Suspects nobody for a while.
    pub(super) fn hold_off(&mut self, now: Timestamp) {
        self.not_before = now + HOLD_OFF;
    }
}

impl Core {
    /// Also where candidates are lost: the contacts that were known are good for as long as their hosts
    /// listen there, and a leader that falls silent would be ended.
    fn peer_interval(&self) -> Option<Duration> {
        self.params.options.peer_interval
    }

    /// Lets all candidates hear that we lead.
    pub(super) fn beat(&mut self, now: Timestamp, own: &SessionId) {
        self.peers.hearing = None;
        self.peers.due = None;
        let Some(interval) = self.peer_interval() else {
            return;
        };
        if now < self.peers.beat_at {
            return;
        }
        // What is said again for us in between.
        let patience = self.params.terms.patience(interval);
        let said = self.say_to_all(now, own, own, Message::Heartbeat { patience });
        let repeated = match said && self.params.options.one_of_many {
            true => BEATS_REPEATED,
            false => 1,
        };
        self.peers.beat_at = now + interval * repeated;
    }

    pub(super) fn beat_deadline(&self) -> Option<(Timestamp, DeadlineReason)> {
        self.peer_interval()
            .map(|_| (self.peers.beat_at, DeadlineReason::Heartbeat))
    }

    /// Listens to the leader, as a standby that sees this one in the key.
    pub(super) fn listen(&mut self, now: Timestamp, own: &SessionId, seen: Seen) {
        let Some(interval) = self.peer_interval().filter(|_| self.has_candidates()) else {
            self.peers.hearing = None;
            self.peers.due = None;
            return;
        };
        let absent = self.peers.due.is_some_and(|due| now > due + interval);
        let leader = match seen {
            Seen::Leader(leader) if leader.session != *own => leader,
            Seen::Unknown => {
                self.peers.due = None;
                return;
            }
            Seen::Leader(_) | Seen::Nobody => {
                self.peers.hearing = None;
                self.peers.due = None;
                return;
            }
        };
        let hearing = match &mut self.peers.hearing {
            Some(hearing) if hearing.leader.session == leader.session => hearing,
            _ => self.peers.hearing.insert(Hearing::new(leader, now)),
        };
        if absent {
            hearing.restart(now);
        }
        // A leader sends its heartbeats to those who are entered, and to nobody else.
        if self.group.by_session(own).is_none() {
            hearing.heartbeat = None;
            hearing.restart(now);
        }
        let Some((ask_at, dead_at)) = hearing.verdict(interval) else {
            self.peers.due = None;
            return;
        };
        if now >= ask_at && hearing.asked.is_none() {
            hearing.asked = Some((sequence(now), now));
            self.peers.look = true;
            let leader = hearing.leader.session.clone();
            self.say_to_all(now, own, &leader, Message::Question);
        } else if now >= dead_at {
            self.depose(now, interval);
        }
        self.peers.due = self.next_look(interval);
    }

    pub(super) fn listens_to(&self) -> Option<&SessionId> {
        let hearing = self.peers.hearing.as_ref();
        hearing.map(|hearing| &hearing.leader.session)
    }

    /// Ends the session of the leader that is silent, if we may.
    fn depose(&mut self, now: Timestamp, interval: Duration) {
        let may = now >= self.peers.not_before
            && self.stands()
            && self.peers.deposing.is_none()
            && self.has(Feature::PeerWatch);
        let Some(hearing) = self.peers.hearing.as_ref().filter(|_| may) else {
            return;
        };
        let (Some((_, dead_at)), Some((_, asked_at))) = (hearing.verdict(interval), hearing.asked)
        else {
            return;
        };
        if self.peers.proven_at < asked_at {
            self.peers.look = true;
            self.peers.not_before = now + DEPOSE_PAUSE;
            return;
        }
        let leader = hearing.leader.clone();
        let silence = now.since(hearing.heartbeat.map_or(dead_at, |heard| heard.at));
        let call = Call::Depose(leader.session.clone());
        let pending = self.call(now, DEPOSE_TIMEOUT, call);
        self.peers.deposing = Some((pending, leader, silence));
    }

    fn next_look(&self, interval: Duration) -> Option<Timestamp> {
        let hearing = self.peers.hearing.as_ref()?;
        let (ask_at, dead_at) = hearing.verdict(interval)?;
        if hearing.asked.is_none() {
            return Some(ask_at);
        }
        let possible =
            self.peers.deposing.is_none() && self.stands() && self.has(Feature::PeerWatch);
        possible.then(|| dead_at.max(self.peers.not_before))
    }

    pub(super) fn listen_deadline(&self) -> Option<(Timestamp, DeadlineReason)> {
        Some((self.peers.due?, DeadlineReason::Silence))
    }

    /// Tells the next leader that the lock is its own, which it sees later by itself.
    pub(super) fn tell_given(&mut self, now: Timestamp, own: &SessionId, to: &SessionId) {
        let next = self.group.by_session(to);
        let contact = next.and_then(|candidate| candidate.contact);
        let (Some(contact), Some(_)) = (contact, self.peer_interval()) else {
            return;
        };
        let datagram = Datagram {
            from: own.clone(),
            leader: to.clone(),
            sequence: sequence(now),
            message: Message::Given {
                group: self.params.group,
            },
        };
        self.say(contact, datagram);
    }

    /// Whether the leader that is seen says that it has given the lock to `own`. It does so once at most, because
    /// its session never leads again: to hear it again when another is seen says nothing.
    pub(super) fn is_given(&self, own: Option<&SessionId>, said: &Datagram) -> bool {
        let group = self.params.group;
        let leader = self.peers.hearing.as_ref().map(|hearing| &hearing.leader);
        said.message == Message::Given { group }
            && own == Some(&said.leader)
            && leader.is_some_and(|leader| leader.session == said.from)
    }

    /// Takes in what another host said. What is old, or not for this moment, is not listened to.
    pub(super) fn heard(
        &mut self,
        now: Timestamp,
        came_at: Timestamp,
        own: Option<&SessionId>,
        said: Datagram,
    ) {
        let Some(interval) = self.peer_interval() else {
            return;
        };
        let Some(hearing) = &mut self.peers.hearing else {
            return;
        };
        if hearing.leader.session != said.leader {
            return;
        }
        match said.message {
            // It is about another than the leader that is heard.
            Message::Given { .. } => {}
            Message::Heartbeat { patience } => {
                let new = hearing
                    .heartbeat
                    .is_none_or(|last| said.sequence > last.sequence);
                if said.from == said.leader && new {
                    hearing.heartbeat = Some(Heartbeat {
                        at: came_at,
                        sequence: said.sequence,
                        patience,
                    });
                    hearing.asked = None;
                }
            }
            Message::Question => {
                let (Some(own), Some(heartbeat)) = (own, hearing.heartbeat) else {
                    return;
                };
                let last = self.peers.questions.get(&said.from);
                let asker = self.group.by_session(&said.from);
                let contact = asker.and_then(|candidate| candidate.contact);
                let Some(contact) =
                    contact.filter(|_| last.is_none_or(|last| said.sequence > *last))
                else {
                    return;
                };
                let group = &self.group;
                self.peers
                    .questions
                    .retain(|session, _| group.by_session(session).is_some());
                self.peers.questions.insert(said.from, said.sequence);
                let message = Message::Heard {
                    question: said.sequence,
                    ago: now.since(heartbeat.at),
                };
                let datagram = Datagram {
                    from: own.clone(),
                    leader: said.leader,
                    sequence: sequence(now),
                    message,
                };
                self.say(contact, datagram);
            }
            Message::Heard { question, ago } => {
                let Some(heartbeat) = hearing.heartbeat else {
                    return;
                };
                let ours = hearing.asked.is_some_and(|(asked, _)| asked == question);
                // Heard by the other when we heard it last is no more than we know ourselves.
                let last = heartbeat.at.max(hearing.since) + interval / 2;
                if ours && now.since(last) > ago {
                    hearing.restart(now);
                }
            }
        }
    }

    /// Returns whether `op` was the end of a silent leader's session, and was carried out.
    pub(super) fn deposed(
        &mut self,
        now: Timestamp,
        op: OpId,
        result: &Result<Answer, Failure>,
    ) -> Option<bool> {
        let deposing = &mut self.peers.deposing;
        let (_, leader, silence) = deposing.take_if(|(pending, _, _)| pending.op == op)?;
        self.note(Doing::Deposing, result);
        let gone = match result {
            Ok(_) => true,
            Err(failure) if failure.is_final() => {
                self.lose(Feature::PeerWatch, failure);
                false
            }
            Err(failure) => failure.kind == FailureKind::SessionGone,
        };
        if gone {
            self.deposed = Some((leader, silence));
            self.peers.hold_off(now);
        } else {
            self.peers.not_before = self.peers.not_before.max(now + DEPOSE_PAUSE);
        }
        Some(gone)
    }

    /// Returns whether there is anybody to hear it.
    fn say_to_all(
        &mut self,
        now: Timestamp,
        own: &SessionId,
        leader: &SessionId,
        message: Message,
    ) -> bool {
        let audience = self.group.audience(now, own);
        let contacts: Vec<_> = audience
            .filter(|candidate| candidate.session != *leader)
            .filter_map(|candidate| candidate.contact)
            .collect();
        let somebody = !contacts.is_empty();
        for contact in contacts {
            let datagram = Datagram {
                from: own.clone(),
                leader: leader.clone(),
                sequence: sequence(now),
                message,
            };
            self.say(contact, datagram);
        }
        somebody
    }
}

/// Rises also over the restarts of a process, because what it is made of starts with the host.
fn sequence(now: Timestamp) -> u64 {
    now.since_boot().as_micros().try_into().unwrap_or(u64::MAX)
}
