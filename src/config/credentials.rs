//! Pure: secrets that the service manager passes (`LoadCredential=` of systemd.exec(5)): files of known
//! names in `$CREDENTIALS_DIRECTORY`, used where nothing else says otherwise.

use std::path::Path;

use super::levels::Levels;
use super::origin::{Origin, Written};

/// The ACL token.
pub(super) const TOKEN: &str = "consul-token";
/// The CA to trust.
pub(super) const CA: &str = "consul-ca.pem";
/// The client certificate.
pub(super) const CERTIFICATE: &str = "consul-cert.pem";
/// The client certificate's key.
pub(super) const KEY: &str = "consul-key.pem";

impl Levels<'_> {
    /// The path of a credential that has been passed.
    pub(super) fn credential(&self, name: &'static str) -> Option<Written> {
        let directory = self.environment("CREDENTIALS_DIRECTORY")?.value;
        let path = Path::new(&directory).join(name);
        let passed = (self.sources.list)(Path::new(&directory)).ok()?;
        let path = passed.into_iter().find(|passed| *passed == path)?;
        Some(Written::new(
            path.display().to_string(),
            Origin::Credential(name),
        ))
    }
}
