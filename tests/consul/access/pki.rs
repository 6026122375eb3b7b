//! Certificates as the README makes them, and agents that have them.

use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::agent::{Agent, Ports, merge, tls_tool};

/// The certificates of the tests that `consul tls` makes none of: `tests/pki/make.sh`.
pub(super) const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pki");

/// A private CA, and certificates of it for a server and for a client.
pub(super) struct Pki {
    directory: TempDir,
}

impl Pki {
    /// Made by `consul tls`.
    pub(super) fn of_consul() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let at = directory.path();
        tls_tool(at, &["ca", "create"]);
        tls_tool(at, &["cert", "create", "-server"]);
        tls_tool(at, &["cert", "create", "-client"]);
        std::fs::create_dir(at.join("ca")).unwrap();
        std::fs::copy(at.join("consul-agent-ca.pem"), at.join("ca/consul.pem")).unwrap();
        std::fs::write(at.join("ca/README"), "certificates of CAs\n").unwrap();
        Self { directory }
    }

    pub(super) fn file(&self, name: &str) -> String {
        self.directory.path().join(name).display().to_string()
    }

    /// A directory that has the CA's certificate, and something else.
    pub(super) fn directory_of_ca(&self) -> String {
        self.file("ca")
    }

    /// Starts an agent with the server's certificate.
    pub(super) fn agent(&self, verify: &Value, more: &Value) -> Agent {
        let at = self.directory.path();
        let mut config = json!({
            "ca_file": at.join("consul-agent-ca.pem"),
            "cert_file": at.join("dc1-server-consul-0.pem"),
            "key_file": at.join("dc1-server-consul-0-key.pem"),
        });
        merge(&mut config, verify);
        merge(&mut config, more);
        Agent::start("n1", Ports::take(), &config)
    }
}

/// Starts an agent that wants client certificates, with one of the certificates of `tests/pki`.
pub(super) fn agent_with(certificate: &str, more: &Value) -> Agent {
    let at = Path::new(FIXTURES);
    let mut config = json!({
        "verify_incoming": true,
        "ca_file": at.join("ca.pem"),
        "cert_file": at.join(certificate),
        "key_file": at.join("key.pem"),
    });
    merge(&mut config, more);
    Agent::start("n1", Ports::take(), &config)
}
