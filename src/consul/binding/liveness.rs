//! Driver: a service of the group's own, whose check tells Consul that we live.
//!
//! A check of the node would do for the session, but a critical one takes every service of the host
//! out of discovery. So it is a check of a service, and what stands behind that service is nothing.
//!
//! The agent keeps the check and its time; another agent does not know it. The session belongs to a
//! node, and only a check of that node can be bound to it. So the service stays with the first agent
//! that took it, which must be that of the session's node where there is one already. While that agent
//! cannot be reached, the check is not passed, and that is what it is for: such a host is as good as
//! gone.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use super::Terms;
use crate::calendar::rfc3339;
use crate::consul::client::{Client, Deadline};
use crate::consul::error;
use crate::consul::service::{LEADER, NewService, Word};
use crate::election::call::{Failure, FailureKind};

/// What the service is called, so that all of them are found together.
pub(crate) const NAME: &str = "vip-elector";

const NOTES: &str = "passing while this host's vip-elector runs and hears from Consul";

/// Consul's shortest time after which it removes a service whose check stays critical.
const ABANDONED_AFTER: Duration = Duration::from_secs(60);

/// The service, its check, and where they are registered.
pub(super) struct Liveness {
    service: String,
    check: String,
    ttl: Duration,
    agent: Mutex<Option<Client>>,
    /// Whether we lead, and since when that is so.
    since: Mutex<Option<(bool, String)>>,
    words: Mutex<Vec<Says>>,
    /// Since when what Consul was told last is so: in other words, it is not told again.
    told: Mutex<Option<String>>,
    /// Checks of services of ours that sessions of the process before are bound to.
    older: Mutex<BTreeSet<String>>,
}

/// Says why this host would not lead.
pub(in crate::consul) type Says = Arc<dyn Fn() -> Option<Word> + Send + Sync>;

impl Liveness {
    /// Prepares the service of a group; `None` where it shall have none.
    pub(super) fn of(terms: &Terms) -> Option<Self> {
        let service = id(&terms.key, &terms.value);
        Some(Self {
            check: format!("service:{service}"),
            service,
            ttl: terms.liveness_ttl?,
            agent: Mutex::new(None),
            since: Mutex::new(None),
            words: Mutex::default(),
            told: Mutex::new(None),
            older: Mutex::default(),
        })
    }

    /// Before it is registered: `key` is no trigger key of any group.
    pub(super) fn rename(&mut self, key: &str, value: &str) {
        self.service = id(key, value);
        self.check = format!("service:{}", self.service);
    }

    /// Has whoever looks at the service told more of this host: the first word that there is.
    pub(super) fn saying(&self, word: Says) {
        self.words().push(word);
    }

    /// Does that no more.
    pub(super) fn no_longer_saying(&self, word: &Says) {
        self.words().retain(|known| !Arc::ptr_eq(known, word));
    }

    fn older(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.older.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn word(&self) -> Option<Word> {
        self.words().iter().find_map(|word| word())
    }

    fn words(&self) -> MutexGuard<'_, Vec<Says>> {
        self.words.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the id of the check.
    pub(super) fn check(&self) -> &str {
        &self.check
    }

    /// Registers the service, or changes what it says of us, and passes its check. Returns the node
    /// where that is found out.
    ///
    /// A session that is bound to the check lives through it: the agent gives the check its old state
    /// back before it tells the servers of the change (Consul 1.8.7: 150 changes of the tag below a
    /// bound session, none of which ended it). For the same reason a check that was critical stays so
    /// until it is passed.
    pub(super) async fn register(
        &self,
        client: &Client,
        leads: bool,
        home: Option<&str>,
        timeout: Duration,
    ) -> Result<Option<String>, Failure> {
        let deadline = Deadline::within(timeout);
        if let Some(agent) = self.agent() {
            return self
                .register_with(&agent, leads, deadline)
                .await
                .map(|()| None);
        }
        let agents = client.each();
        let mut unavailable = None;
        for (tried, agent) in agents.iter().enumerate() {
            let share = deadline.left() / u32::try_from(agents.len() - tried).unwrap_or(1);
            match self
                .settle(agent, leads, home, Deadline::within(share))
                .await
            {
                Err(failure) if failure.kind == FailureKind::Unavailable => {
                    unavailable.get_or_insert(failure);
                }
                settled => return settled,
            }
        }
        Err(unavailable.unwrap_or_else(|| {
            let doing = format!("register service '{}'", self.service);
            error::unavailable(&doing, "there is no agent to ask")
        }))
    }

    /// Passes the check, and then tells Consul what is new.
    pub(super) async fn feed(&self, client: &Client, timeout: Duration) -> Result<(), Failure> {
        let deadline = Deadline::within(timeout);
        let agent = self.agent();
        let agent = agent.as_ref().unwrap_or(client);
        self.pass(agent, deadline).await?;
        self.tell(deadline).await;
        Ok(())
    }

    /// Passes those of these checks, too, that are of services of ours: a session that was made when another group
    /// was the first of its process is bound to them.
    pub(super) fn pass_too(&self, checks: Vec<String>) {
        let ours =
            |check: &String| check.starts_with(&format!("service:{NAME}/")) && *check != self.check;
        self.older().extend(checks.into_iter().filter(ours));
    }

    async fn pass(&self, agent: &Client, deadline: Deadline) -> Result<(), Failure> {
        let older: Vec<String> = self.older().iter().cloned().collect();
        for check in older {
            let passed = agent.pass_check(&check, deadline.left() / 2).await;
            if passed.is_err_and(|failure| failure.kind == FailureKind::CheckMissing) {
                self.older().remove(&check);
            }
        }
        agent.pass_check(&self.check, deadline.left()).await
    }

    /// Changes what the service says of why this host would not lead, where that is another thing now. Nothing hangs
    /// on it: where it fails, the next one may do it. Over before the deadline.
    pub(super) async fn tell(&self, deadline: Deadline) {
        let since = |word: Option<Word>| word.map(|word| word.since);
        if since(self.word()) == *self.told.lock().unwrap_or_else(PoisonError::into_inner) {
            return;
        }
        let leads = self
            .since
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_ref()
            .map(|(leads, _)| *leads);
        if let (Some(agent), Some(leads)) = (self.agent(), leads) {
            let within = Deadline::within(deadline.left() / 2);
            let _ = self.register_as(&agent, leads, within).await;
        }
    }

    /// Removes the service.
    pub(super) async fn deregister(
        &self,
        client: &Client,
        timeout: Duration,
    ) -> Result<(), Failure> {
        let agent = self.agent();
        let agent = agent.as_ref().unwrap_or(client);
        agent.deregister_service(&self.service, timeout).await?;
        self.remember(None);
        Ok(())
    }

    /// Looks up the node of the agent that has the check.
    pub(super) async fn node(&self, timeout: Duration) -> Option<String> {
        let check = self.agent()?.check(&self.check, None, timeout).await;
        check.ok().flatten().map(|check| check.node)
    }

    /// Forgets where the service is, because its node is no more.
    pub(super) fn forget(&self) {
        self.remember(None);
    }

    /// Registers with an agent that was never asked, and keeps to it if its node is the right one.
    async fn settle(
        &self,
        agent: &Client,
        leads: bool,
        home: Option<&str>,
        deadline: Deadline,
    ) -> Result<Option<String>, Failure> {
        self.register_with(agent, leads, deadline).await?;
        let check = agent.check(&self.check, None, deadline.left()).await?;
        let node = check.map(|check| check.node);
        if let (Some(home), Some(node)) = (home, &node)
            && home != node
        {
            agent
                .deregister_service(&self.service, deadline.left())
                .await?;
            return Err(error::unavailable(
                &format!("register service '{}'", self.service),
                &format!("this is the agent of node '{node}', and the session is of node '{home}'"),
            ));
        }
        self.remember(Some(agent.clone()));
        Ok(node)
    }

    async fn register_with(
        &self,
        agent: &Client,
        leads: bool,
        deadline: Deadline,
    ) -> Result<(), Failure> {
        self.register_as(agent, leads, deadline).await?;
        self.pass(agent, deadline).await
    }

    async fn register_as(
        &self,
        agent: &Client,
        leads: bool,
        deadline: Deadline,
    ) -> Result<(), Failure> {
        let word = self.word();
        let service = NewService {
            id: &self.service,
            name: NAME,
            tag: if leads { LEADER } else { "standby" },
            since: &self.since(leads),
            word: word.as_ref(),
            check: &self.check,
            notes: NOTES,
            ttl: self.ttl,
            abandoned_after: ABANDONED_AFTER,
        };
        agent.register_service(service, deadline.left()).await?;
        let since = word.map(|word| word.since);
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = since;
        Ok(())
    }

    /// An agent that has forgotten the service is told the old time.
    fn since(&self, leads: bool) -> String {
        let mut since = self.since.lock().unwrap_or_else(PoisonError::into_inner);
        match &*since {
            Some((led, at)) if *led == leads => at.clone(),
            Some(_) | None => since.insert((leads, rfc3339(SystemTime::now()))).1.clone(),
        }
    }

    /// The agent that has the check, unless the configuration does not name it any more: then it is to be
    /// found again, maybe under another address.
    fn agent(&self) -> Option<Client> {
        self.agent
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
            .filter(Client::leads_somewhere)
    }

    fn remember(&self, agent: Option<Client>) {
        *self.agent.lock().unwrap_or_else(PoisonError::into_inner) = agent;
    }
}

fn id(key: &str, value: &str) -> String {
    format!("{NAME}/{key}/{value}")
}
