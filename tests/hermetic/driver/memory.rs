//! A Consul with one key, a kernel with one address, and a clock that tests own.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;
use vip_elector::driver::clock::Clock;
use vip_elector::driver::{Consul, Memory};
use vip_elector::election::call::{
    Answer, Call, Entry, Failure, FailureKind, KeyRead, LOCK_FLAG, SessionId,
};
use vip_elector::election::lease::{Lease, Terms};
use vip_elector::election::note::Note;
use vip_elector::election::time::Timestamp;
use vip_elector::vip::reconcile::{LinkSeen, Observed, Step, VipSeen, VipState};
use vip_elector::vip::task::Kernel;

/// How long a call takes.
const LATENCY: Duration = Duration::from_millis(1);

/// Tokio's paused clock, from a fixed instant that all clocks of a test share.
pub(crate) struct PausedClock;

impl PausedClock {
    pub(crate) fn new() -> Self {
        Self
    }
}

fn epoch() -> Instant {
    static EPOCH: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    let epoch = *EPOCH.get_or_init(|| std::time::Instant::now() - Duration::from_secs(3600));
    Instant::from_std(epoch)
}

impl Clock for PausedClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_boot(Instant::now() - epoch())
    }

    async fn sleep_until(&mut self, at: Timestamp) {
        tokio::time::sleep_until(epoch() + at.since_boot()).await;
    }
}

/// A runtime directory that nobody looks into.
pub(crate) struct Forgetful;

impl Memory for Forgetful {
    fn remember(&mut self, _: &Note) -> (bool, Option<String>) {
        (true, None)
    }
}

pub(crate) fn lease_from_now(lock_delay: Duration, ttl: Duration) -> Lease {
    Lease::new(Terms::managed(lock_delay, ttl), PausedClock::new().now())
}

/// One key, its sessions, and the bad days of the connection to them.
#[derive(Default)]
pub(crate) struct MemoryConsul {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    index: u64,
    entry: Option<Entry>,
    sessions: BTreeMap<SessionId, String>,
    delayed_until: Option<Instant>,
    silent: bool,
    last_read_at: Option<Instant>,
}

impl MemoryConsul {
    pub(crate) fn with_released_key() -> Arc<Self> {
        let consul = Self::default();
        {
            let mut state = consul.state.lock().unwrap();
            state.index = 5;
            let entry = Entry {
                value: None,
                flags: LOCK_FLAG,
                session: None,
                modify_index: 5,
            };
            state.entry = Some(entry);
        }
        Arc::new(consul)
    }

    pub(crate) fn fall_silent(&self) {
        self.state.lock().unwrap().silent = true;
    }

    pub(crate) fn speak_again(&self) {
        self.state.lock().unwrap().silent = false;
    }

    /// Ends the holder's session, as Consul does when its check goes critical.
    pub(crate) fn destroy_holder(&self, lock_delay: Duration) {
        let mut state = self.state.lock().unwrap();
        let holder = state.entry.take().and_then(|entry| entry.session).unwrap();
        state.sessions.remove(&holder);
        state.delayed_until = Some(Instant::now() + lock_delay);
        state.index += 1;
        drop(state);
        self.changed.notify_waiters();
    }

    /// The name of the session that holds the key.
    pub(crate) fn holder(&self) -> Option<String> {
        let state = self.state.lock().unwrap();
        let session = state.entry.as_ref()?.session.as_ref()?;
        state.sessions[session].split('-').next().map(str::to_owned)
    }

    pub(crate) fn is_released(&self) -> bool {
        let state = self.state.lock().unwrap();
        state.entry.as_ref().is_some_and(|entry| {
            entry.session.is_none() && entry.value.is_none() && entry.flags == LOCK_FLAG
        })
    }

    pub(crate) fn sessions(&self) -> usize {
        self.state.lock().unwrap().sessions.len()
    }

    /// When the last consistent read was asked for.
    pub(crate) fn last_read_at(&self) -> Instant {
        self.state.lock().unwrap().last_read_at.unwrap()
    }

    async fn news(&self, index: u64) {
        loop {
            let changed = self.changed.notified();
            if self.state.lock().unwrap().index > index {
                return;
            }
            changed.await;
        }
    }
}

impl Consul for MemoryConsul {
    async fn call(&self, call: Call, timeout: Duration) -> Result<Answer, Failure> {
        let asked_at = Instant::now();
        if let Call::Watch { index } | Call::WatchThroughLeader { index } = call {
            let wait = Duration::from_secs(10).min(timeout);
            let _ = tokio::time::timeout(wait, self.news(index)).await;
        }
        tokio::time::sleep(LATENCY).await;
        if self.state.lock().unwrap().silent {
            std::future::pending::<()>().await;
        }
        let mut state = self.state.lock().unwrap();
        let before = state.index;
        if call == Call::Read {
            state.last_read_at = Some(asked_at);
        }
        let answer = state.answer(call);
        let changed = state.index > before;
        drop(state);
        if changed {
            self.changed.notify_waiters();
        }
        answer
    }
}

impl State {
    fn answer(&mut self, call: Call) -> Result<Answer, Failure> {
        match call {
            Call::CreateSession { name, .. } => {
                self.index += 1;
                let id = SessionId::new(format!("session-{}", self.index));
                self.sessions.insert(id.clone(), name);
                Ok(Answer::Created(id))
            }
            Call::FindSession { name, .. } => {
                let found = self.sessions.iter().find(|(_, known)| **known == name);
                Ok(Answer::Found(found.map(|(id, _)| id.clone())))
            }
            Call::RenewSession(id) => match self.sessions.contains_key(&id) {
                true => Ok(Answer::Done),
                false => Err(failure(FailureKind::SessionGone)),
            },
            Call::DestroySession(id) => {
                self.sessions.remove(&id);
                Ok(Answer::Done)
            }
            Call::SessionLockDelay(_) => Ok(Answer::LockDelay(None)),
            Call::Read | Call::Watch { .. } | Call::WatchThroughLeader { .. } => {
                Ok(Answer::Key(KeyRead {
                    index: self.index,
                    entry: self.entry.clone(),
                }))
            }
            Call::MarkVacant => {
                if self.entry.is_some() {
                    return Err(failure(FailureKind::Changed));
                }
                self.put(Some(b"(vacant)".to_vec()), None);
                Ok(Answer::Done)
            }
            Call::Acquire { session, index } => {
                if self
                    .entry
                    .as_ref()
                    .is_none_or(|entry| entry.modify_index != index)
                {
                    return Err(failure(FailureKind::Changed));
                }
                if self
                    .delayed_until
                    .is_some_and(|until| Instant::now() < until)
                {
                    return Err(failure(FailureKind::LockDelayed));
                }
                let value = self.sessions[&session].split('-').next().unwrap();
                self.put(Some(value.as_bytes().to_vec()), Some(session));
                Ok(Answer::Done)
            }
            Call::Restore(_) => unreachable!("nobody writes over the key here"),
            Call::Release { .. } => {
                self.put(None, None);
                Ok(Answer::Done)
            }
            Call::HandOver { .. }
            | Call::RegisterService { .. }
            | Call::Feed
            | Call::DeregisterService
            | Call::WatchGroup { .. }
            | Call::Register(_)
            | Call::Unregister(_)
            | Call::DropRequest { .. }
            | Call::Depose(_)
            | Call::LetGo { .. } => Err(failure(FailureKind::Denied)),
        }
    }

    fn put(&mut self, value: Option<Vec<u8>>, session: Option<SessionId>) {
        self.index += 1;
        self.entry = Some(Entry {
            value,
            flags: LOCK_FLAG,
            session,
            modify_index: self.index,
        });
    }
}

fn failure(kind: FailureKind) -> Failure {
    Failure {
        kind,
        message: format!("{kind:?}"),
    }
}

/// An interface that is up, with room for one address.
#[derive(Clone, Default)]
pub(crate) struct MemoryKernel(Arc<Mutex<(bool, Vec<String>)>>);

impl MemoryKernel {
    pub(crate) fn is_up(&self) -> bool {
        self.0.lock().unwrap().0
    }

    pub(crate) fn steps(&self) -> Vec<String> {
        self.0.lock().unwrap().1.clone()
    }
}

impl Kernel for MemoryKernel {
    async fn observe(&mut self) -> Result<Observed, String> {
        let link = Some(LinkSeen {
            up: true,
            mac: None,
            moves: 0,
        });
        let vips = self.is_up().then_some(VipSeen {
            prefix: 32,
            ours: true,
            state: VipState::Usable,
        });
        Ok(Observed {
            link,
            vips: vips.into_iter().collect(),
            prefix: 32,
            ..Observed::default()
        })
    }

    async fn apply(&mut self, step: Step) -> Result<(), String> {
        let mut state = self.0.lock().unwrap();
        match step {
            Step::Add { .. } | Step::Refresh { .. } => state.0 = true,
            Step::Remove { .. } => state.0 = false,
            Step::Announce | Step::Ask => {}
        }
        state.1.push(format!("{step:?}"));
        Ok(())
    }

    async fn changed(&mut self) {
        std::future::pending().await
    }
}
