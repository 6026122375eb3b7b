//! A token that rotates, and one that is revoked, under a daemon that leads and a Consul that denies by
//! default.

use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use serde_json::json;
use vip_lab::cluster::{Cluster, Host, Setup};
use vip_lab::parts;
use vip_lab::time::until;

use crate::LOCK_FLAG;
use crate::alone::{LIMIT, lead, run_on, until_up};

/// May do everything, and is what whoever names no token goes by: the agent itself, and the witnesses.
const ROOT: &str = "11111111-1111-1111-1111-111111111111";

pub(crate) fn trials() -> Vec<Trial> {
    let setup = Setup::new().consul(json!({ "acl": {
        "enabled": true,
        "default_policy": "deny",
        "tokens": { "master": ROOT, "agent": ROOT, "default": ROOT },
    }}));
    let name = "a_token_that_rotates_costs_nothing_and_one_that_is_revoked_the_address_until_there_is_another";
    vec![Trial::test(name, move || {
        run_on(setup, rotation_and_revocation)
    })]
}

fn rotation_and_revocation(cluster: &Cluster, host: &Host) -> Result<(), Box<dyn Error>> {
    let election = format!(
        r#"key_prefix "{}" {{ policy = "write" }}
           session_prefix "" {{ policy = "write" }}
           node_prefix "" {{ policy = "read" }}
           service "vip-guard" {{ policy = "read" }}"#,
        cluster.key()
    );
    let more = format!(r#"{election} service "vip-elector" {{ policy = "write" }}"#);
    let first = Token::new(host, 1, &election)?;
    let second = Token::new(host, 2, &election)?;
    let third = Token::new(host, 3, &more)?;
    first.install(host)?;
    let flag = format!("--token-file={}", file(host).display());
    let daemon = lead(host, &[&flag])?;
    daemon
        .log
        .wait_for("cannot register the liveness check", 0, LIMIT)?;
    let session = holder(cluster, host)?;
    let up_since = cluster.addresses().events()?.len();

    // Rotated: at the next call the old one is unknown already.
    second.install(host)?;
    first.revoke(host)?;
    daemon
        .log
        .wait_for("another consul token is in use", 0, LIMIT)?;
    let mark = daemon.log.len();
    host.agent()
        .put(&format!("/v1/kv/{}", cluster.key()), "vandal")?;
    until(
        "the leader to set its key right, with the new token",
        LIMIT,
        || match host.agent().key(cluster.key()) {
            Ok(Some(key)) if key.value.as_deref() == Some("web1") && key.flags == LOCK_FLAG => {
                Ok(())
            }
            key => Err(format!("{key:?}")),
        },
    )?;
    assert_eq!(holder(cluster, host)?, session);
    let lost = |line: &vip_lab::process::Line| line.text.contains("LOCK LOST");
    assert!(!daemon.log.read(|lines| lines.iter().any(lost)));
    let moves = cluster.addresses().events()?.len();
    assert_eq!(moves, up_since, "the address never left");

    // Revoked: the lease ends 3 s after the last proof at most, and the rest is this machine.
    let revoked = Instant::now();
    second.revoke(host)?;
    until_up(host, false)?;
    let gone = revoked.elapsed();
    assert!(gone < Duration::from_secs(5), "it went after {gone:?}");
    let said = daemon.log.wait_for("*** LOCK LOST ***", mark, LIMIT)?.text;
    for words in [
        "the lease ran out",
        "403: ACL not found",
        "consul does not know this token",
    ] {
        assert!(said.contains(words), "{words} is not in {said}");
    }
    assert!(!said.contains(&second.secret), "{said}");

    // Mended: it comes back by itself, with the session that it has.
    third.install(host)?;
    until_up(host, true)?;
    assert_eq!(holder(cluster, host)?, session);

    // What was denied is tried again with the next session.
    let session = session.ok_or("nobody holds the lock")?;
    host.agent()
        .put(&format!("/v1/session/destroy/{session}"), "")?;
    Ok(until("the liveness service", LIMIT, || {
        match host.agent().liveness_service() {
            Ok(Some(_)) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })?)
}

fn file(host: &Host) -> PathBuf {
    host.directory().join("consul-token")
}

fn holder(cluster: &Cluster, host: &Host) -> Result<Option<String>, Box<dyn Error>> {
    Ok(host.agent().key(cluster.key())?.and_then(|key| key.session))
}

struct Token {
    accessor: String,
    secret: String,
}

impl Token {
    fn new(host: &Host, number: u8, rules: &str) -> Result<Self, Box<dyn Error>> {
        let id = |first: &str| format!("{first}000000-0000-0000-0000-00000000000{number}");
        let (accessor, secret) = (id("aa"), id("cc"));
        let name = format!("elector-{number}");
        let policy = json!({ "Name": name, "Rules": rules });
        host.agent().put("/v1/acl/policy", &policy.to_string())?;
        let token = json!({
            "AccessorID": accessor, "SecretID": secret, "Policies": [{ "Name": name }],
        });
        host.agent().put("/v1/acl/token", &token.to_string())?;
        Ok(Self { accessor, secret })
    }

    /// Lets nobody see half a file.
    fn install(&self, host: &Host) -> Result<(), Box<dyn Error>> {
        let beside = host.directory().join("consul-token.new");
        fs::write(&beside, format!("{}\n", self.secret))?;
        Ok(fs::rename(beside, file(host))?)
    }

    fn revoke(&self, host: &Host) -> Result<(), Box<dyn Error>> {
        let mut command = host.command(parts::consul()?);
        command.args(["acl", "token", "delete", "-id", &self.accessor]);
        let output = command.output()?;
        if output.status.success() {
            return Ok(());
        }
        Err(String::from_utf8_lossy(&output.stderr).into_owned().into())
    }
}
