//! Pure: what a process writes down for the next one on its host.

use crate::election::call::SessionId;

/// What stands in the runtime directory about the group's session. A new note replaces the one before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A session of this name is being created. Written before the request goes out, so that one whose
    /// creation is never answered can be found.
    Creating {
        /// The session's name.
        name: String,
    },
    /// The session lives, and the next process may go on with it.
    Live {
        /// The session's name.
        name: String,
        /// The session.
        session: SessionId,
    },
    /// The session is about to send a release, which may take effect at any later time. It never leads
    /// again, in no process. Written before the release goes out.
    Spent {
        /// The session's name.
        name: String,
        /// The session.
        session: SessionId,
    },
    /// There is no session.
    Nothing,
}

/// What the process before left, as far as it concerns this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Before {
    /// Nothing, or nothing that is ours.
    Nothing,
    /// A session on the same terms, of the same boot and host, that has sent no release.
    Adoptable {
        /// The session's name.
        name: String,
        /// The session.
        session: SessionId,
    },
    /// A session that must not lead any more: to be found, if it still lives, and destroyed.
    Leftover {
        /// The session's name.
        name: String,
        /// The session; `None` where its creation was never answered.
        session: Option<SessionId>,
    },
}
