//! Applier: a certificate authority for the agents of one cluster, and their certificate, made by
//! `consul tls`.

use std::io;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

/// The authority's certificate, in the cluster's directory.
pub(super) const CA: &str = "consul-agent-ca.pem";

/// Makes authority and certificate in `directory`. All agents share the one certificate.
pub(super) fn make(consul: &Path, directory: &Path) -> io::Result<()> {
    for arguments in [["ca", "create"].as_slice(), &["cert", "create", "-server"]] {
        let output = Command::new(consul)
            .arg("tls")
            .args(arguments)
            .current_dir(directory)
            .output()?;
        if !output.status.success() {
            let reason = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            return Err(io::Error::other(reason));
        }
    }
    Ok(())
}

/// Returns what an agent whose host's directory is `host` must be told. Clients need no certificate.
pub(super) fn configuration(host: &Path, port: u16) -> Value {
    let file = |name: &str| host.join("..").join(name);
    json!({
        "ports": { "https": port },
        "verify_incoming": false,
        "ca_file": file(CA),
        "cert_file": file("dc1-server-consul-0.pem"),
        "key_file": file("dc1-server-consul-0-key.pem"),
    })
}
