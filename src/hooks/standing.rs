//! Pure: how this host stands in a group, as a hook is told.

use crate::election::health::Health;
use crate::election::status::{Doing, Outcome, Phase, Status};
use crate::status::snapshot::Snapshot;

/// How this host stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Which hook it is for.
    pub role: Role,
    /// Why: a sentence.
    pub reason: String,
    /// The modify index of the trigger key by which this host knew that it took the lock, the last time that it
    /// did. It never falls.
    pub term: Option<u64>,
    /// The trigger value of the host that leads, where one does.
    pub leader: Option<String>,
}

/// Which hook is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// This host leads, and has the address where that is its affair.
    Leader,
    /// It leads no longer, or another does.
    Standby,
    /// It does not lead, and could not.
    Fault,
}

impl Role {
    /// Every one.
    pub const ALL: [Self; 3] = [Self::Leader, Self::Standby, Self::Fault];

    /// As a hook reads it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Leader => "leader",
            Self::Standby => "standby",
            Self::Fault => "fault",
        }
    }

    /// The option that names the hook.
    pub const fn hook(self) -> &'static str {
        match self {
            Self::Leader => "on-leader",
            Self::Standby => "on-standby",
            Self::Fault => "on-fault",
        }
    }
}

/// Returns what to tell next, if `told` was told last and `newest` is so now.
///
/// Whoever has been told that it leads is told that it leads no longer before anything else: what is begun
/// by one hook is ended by one other.
pub fn next(told: Option<&Standing>, newest: Standing) -> Option<Standing> {
    let Some(told) = told else {
        return Some(newest);
    };
    let known = match (told.role, newest.role) {
        (Role::Leader, Role::Leader) => told.term == newest.term,
        (Role::Standby, Role::Standby) => told.leader == newest.leader,
        (Role::Fault, Role::Fault) => true,
        (Role::Leader | Role::Standby | Role::Fault, _) => false,
    };
    if known {
        return None;
    }
    let role = match (told.role, newest.role) {
        (Role::Leader, Role::Fault) => Role::Standby,
        (_, role) => role,
    };
    Some(Standing { role, ..newest })
}

/// Follows one group.
#[derive(Debug, Default)]
pub struct Follower {
    standing: Option<Standing>,
}

impl Follower {
    /// Returns how the host stands; `None` until that is known.
    pub fn follow(&mut self, group: &Snapshot) -> Option<Standing> {
        if let Some(why) = group.failed() {
            let last = self.standing.as_ref().and_then(|standing| standing.term);
            self.standing = Some(Standing {
                role: Role::Fault,
                reason: why.to_owned(),
                term: last,
                leader: None,
            });
            return self.standing.clone();
        }
        let held = (!group.about.vips.is_empty()).then_some(group.held);
        self.take(&group.about.value, &group.status, group.term, held)
    }

    /// As for a host that calls itself `own`, whose address is `held` or not, or is not its affair.
    fn take(
        &mut self,
        own: &str,
        status: &Status,
        term: Option<u64>,
        held: Option<bool>,
    ) -> Option<Standing> {
        if let Some((role, reason, leader)) = self.role(own, status, term, held) {
            let last = self.standing.as_ref().and_then(|standing| standing.term);
            self.standing = Some(Standing {
                role,
                reason,
                term: term.or(last),
                leader,
            });
        }
        self.standing.clone()
    }

    /// `None` where it stands as it did.
    fn role(
        &self,
        own: &str,
        status: &Status,
        term: Option<u64>,
        held: Option<bool>,
    ) -> Option<(Role, String, Option<String>)> {
        let before = self.standing.as_ref();
        let led = before.filter(|standing| standing.role == Role::Leader);
        let leader = status.holder.as_ref().map(|holder| holder.value.clone());
        if let Phase::Leading(_) = status.phase {
            // An address that somebody removes is back in a moment.
            let led = led.is_some_and(|standing| standing.term == term);
            let new = !led && term.is_some() && held != Some(false);
            let reason = "this host holds the lock".to_owned();
            return new.then(|| (Role::Leader, reason, Some(own.to_owned())));
        }
        if led.is_some() {
            let reason = status.ending.as_ref().map(ToString::to_string);
            let reason = reason.unwrap_or_else(|| "this host leads no longer".to_owned());
            return Some((Role::Standby, reason, leader));
        }
        if let Some(reason) = fault(status) {
            return Some((Role::Fault, reason, leader));
        }
        match (leader, before.map(|standing| standing.role)) {
            (Some(leader), _) => Some((Role::Standby, format!("{leader} leads"), Some(leader))),
            (None, Some(Role::Fault)) => {
                Some((Role::Standby, "the fault is over".to_owned(), None))
            }
            // Nobody leads, which passes; or nothing is known yet.
            (None, _) => None,
        }
    }
}

/// Why this host could not lead, if so.
fn fault(status: &Status) -> Option<String> {
    if let Phase::Stopped(Outcome::NotALock { .. }) = status.phase {
        return Some("the trigger key is not a lock".to_owned());
    }
    if status.not_a_lock.is_some() {
        return Some("the trigger key is not a lock any more".to_owned());
    }
    if let Some(blocker) = &status.blocker {
        return Some(format!("the address cannot be held here: {blocker}"));
    }
    if let Health::Bad(reason) = &status.health {
        return Some(format!("this host is not healthy: {reason}"));
    }
    let trouble = status.trouble.as_ref()?;
    match trouble.doing {
        Doing::Reading | Doing::Joining | Doing::Renewing | Doing::Locking => {
            Some(trouble.message.clone())
        }
        // It can lead without.
        Doing::Watching | Doing::Leaving | Doing::Living | Doing::Standing | Doing::Deposing => {
            None
        }
    }
}

#[cfg(test)]
mod tests;
