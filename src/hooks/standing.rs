//! Pure: how this host stands in a group, as a hook is told.

use crate::election::call::{Entry, SessionId};
use crate::election::health::Health;
use crate::election::status::{Doing, Outcome, Phase, Status};

/// How this host stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// Which hook it is for.
    pub role: Role,
    /// Why: a sentence.
    pub reason: String,
    /// The modify index of the trigger key when the last lock that was heard of was taken. It never falls.
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

/// Follows one group's machine.
#[derive(Debug, Default)]
pub struct Follower {
    /// Who holds the lock, as last heard, and the index at which it was heard of first.
    term: Option<(SessionId, u64)>,
    standing: Option<Standing>,
}

impl Follower {
    /// Takes an answer that shows the trigger key. One that is older than others is no news.
    pub fn see(&mut self, entry: &Entry) {
        let Some(session) = &entry.session else {
            return;
        };
        let newer = self
            .term
            .as_ref()
            .is_none_or(|(holder, index)| holder != session && *index < entry.modify_index);
        if newer {
            self.term = Some((session.clone(), entry.modify_index));
        }
    }

    /// Returns how a host that calls itself `own` stands, where its address is `held` or not, or is not its
    /// affair; `None` until that is known.
    pub fn standing(&mut self, own: &str, status: &Status, held: Option<bool>) -> Option<Standing> {
        if let Some((role, reason, leader)) = self.role(own, status, held) {
            self.standing = Some(Standing {
                role,
                reason,
                term: self.term.as_ref().map(|(_, index)| *index),
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
        held: Option<bool>,
    ) -> Option<(Role, String, Option<String>)> {
        let before = self.standing.as_ref().map(|standing| standing.role);
        let leader = status.holder.as_ref().map(|holder| holder.value.clone());
        if let Phase::Leading(_) = status.phase {
            let proven = match (&self.term, &status.session) {
                (Some((holder, _)), Some(session)) => holder == session,
                (_, _) => false,
            };
            // An address that somebody removes is back in a moment.
            let new = before != Some(Role::Leader) && proven && held != Some(false);
            let reason = "this host holds the lock".to_owned();
            return new.then(|| (Role::Leader, reason, Some(own.to_owned())));
        }
        if before == Some(Role::Leader) {
            let reason = status.ending.as_ref().map(ToString::to_string);
            let reason = reason.unwrap_or_else(|| "this host leads no longer".to_owned());
            return Some((Role::Standby, reason, leader));
        }
        if let Some(reason) = fault(status) {
            return Some((Role::Fault, reason, leader));
        }
        match (leader, before) {
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
