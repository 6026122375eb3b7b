//! Pure: whether this host is fit to lead, as far as it can tell by itself.

/// The sum of everything that is looked at, beside the check that Consul binds to the session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Health {
    /// Not known yet. A leader goes on leading; a standby does not begin to.
    #[default]
    Unknown,
    /// Fit to lead.
    Good,
    /// Not fit to lead, and why, for the operator.
    Bad(String),
}
