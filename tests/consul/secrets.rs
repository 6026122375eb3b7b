//! Whatever the daemon writes, wherever a secret was given to it, and whatever becomes of it: the secret is
//! not in it.

use std::io::{Read, Write};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Output;

use libtest_mimic::Trial;
use serde_json::{Value, json};

use crate::agent::{Agent, GENEROUS, Ports, eventually};
use crate::daemon::Site;
use crate::security::acl_agent;
use crate::trial;

/// A token, as Consul has them.
const TOKEN: &str = "5ec2e700-7a11-4b0d-9e5e-c0ffee5ec2e7";

/// In front of Consul, and of TLS.
const PASSWORD: &str = "hunter2-is-a-secret";

/// `user:` and the password, as HTTP sends them.
const CREDENTIALS: &str = "dXNlcjpodW50ZXIyLWlzLWEtc2VjcmV0";

pub(crate) fn trials() -> Vec<Trial> {
    vec![trial("no_secret_is_ever_written", no_secret_is_written)]
}

async fn no_secret_is_written() {
    let (agent, root) = acl_agent();
    let mut running = Vec::new();
    let mut written = String::new();
    // A token that Consul does not know, from everywhere; and a leader's log of everything, in both shapes.
    for (number, give) in ways().iter().enumerate() {
        let site = give(site(&agent, &format!("wrong-{number}")));
        for command in ["check-config", "acl-policy", "--help"] {
            let output = site.output(&[command]);
            assert!(output.status.success(), "{output:?}");
            written += &text(&output);
        }
        for more in [
            ["--nonsense", "--ttl=10s"],
            [
                "--ttl=nonsense",
                &format!("--addr=http://user:{PASSWORD}@h:8500"),
            ],
            ["check-config", &format!("--addr=h:99999?token={TOKEN}")],
            [
                "check-config",
                &format!("--health-url=http://user:{PASSWORD}@h/"),
            ],
        ] {
            let output = site.output(&more);
            assert_eq!(output.status.code(), Some(64), "{output:?}");
            written += &text(&output);
        }
        running.push((site.start(), "does not know this token", site));
    }
    let secure = agent.url().replace("http:", "https:");
    let site_of = |name: &str| site(&agent, name).variable("CONSUL_HTTP_TOKEN", TOKEN);
    let refused = site_of("refused").flag(&format!("--addr={secure}"));
    running.push((refused.start(), "write http:// in front of it", refused));
    for (daemon, until, site) in running {
        daemon.says(until, 1);
        written += &daemon.stop();
        written += &left(&site.run());
    }

    let policy = json!({ "Name": "p", "Rules": "key_prefix \"\" { policy = \"write\" }
        session_prefix \"\" { policy = \"write\" } service_prefix \"\" { policy = \"write\" }
        node_prefix \"\" { policy = \"read\" } agent_prefix \"\" { policy = \"read\" }" });
    agent.ask_as(&root, "PUT", "acl/policy", &policy.to_string());
    let token = json!({ "SecretID": TOKEN, "Policies": [{ "Name": "p" }] });
    agent.ask_as(&root, "PUT", "acl/token", &token.to_string());
    let mut heartbeats = Vec::new();
    for format in ["text", "json"] {
        let site = site_of(format).flag(&format!("--log-format={format}"));
        let daemon = site.start();
        daemon.says("LOCK ACQUIRED", 1);
        heartbeats.push(heartbeat_secret(&agent, &root, format));
        let left = left(&site.run());
        assert_eq!(left.matches("HTTP/1.1 200").count(), 2, "{left}");
        written += &left;
        written += &daemon.stop();
    }
    // What is looked for is found where it is.
    assert!(
        written.contains("trace") && written.contains("\"session\":\""),
        "{written}"
    );
    let secrets = heartbeats.iter().map(String::as_str);
    for secret in secrets.chain([TOKEN, PASSWORD, CREDENTIALS]) {
        let line = written.lines().find(|line| line.contains(secret));
        assert_eq!(line, None, "{secret} was written");
    }
}

type Way = fn(Site) -> Site;

/// Every way to give a token, and the other way to give a password.
fn ways() -> [Way; 9] {
    [
        |site| site.flag(&format!("--token={TOKEN}")),
        |site| {
            let file = token_file(&site);
            site.flag(&format!("--token-file={file}"))
        },
        |site| site.variable("CONSUL_HTTP_TOKEN", TOKEN),
        |site| {
            let file = token_file(&site);
            site.variable("CONSUL_HTTP_TOKEN_FILE", &file)
        },
        |site| site.variable("VIP_CONSUL_TOKEN", TOKEN),
        |site| site.more(&format!("consul-token: {TOKEN}\n")),
        |site| {
            let file = token_file(&site);
            site.more(&format!("vip-elector:\n  token-file: {file}\n"))
        },
        |site| {
            let credential = site.file("consul-token", TOKEN);
            let directory = Path::new(&credential).parent().unwrap();
            let directory = directory.display().to_string();
            site.variable("CREDENTIALS_DIRECTORY", &directory)
        },
        |site| {
            let file = site.file("password", &format!("user:{PASSWORD}\n"));
            site.flag(&format!("--token={TOKEN}"))
                .flag(&format!("--http-auth-file={file}"))
        },
    ]
}

fn token_file(site: &Site) -> String {
    site.file("token", &format!("{TOKEN}\n"))
}

fn site(agent: &Agent, name: &str) -> Site {
    Site::new(&format!("service/{name}/leader"), "host1")
        .flag(&format!("--addr={}", agent.url()))
        .flag(&format!("--peer-listen=127.0.0.1:{}", Ports::take().http()))
        .flag("--log-level=trace")
        .variable("CONSUL_HTTP_AUTH", &format!("user:{PASSWORD}"))
}

fn text(output: &Output) -> String {
    let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
    text(&output.stdout) + &text(&output.stderr)
}

/// All that stands in a directory, and all that its sockets tell; those of a daemon that has ended are silent.
fn left(directory: &Path) -> String {
    let read = |path: &Path| {
        if std::fs::metadata(path).unwrap().file_type().is_socket() {
            ["/status", "/metrics"].map(|what| ask(path, what)).concat()
        } else {
            String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned()
        }
    };
    let entries = std::fs::read_dir(directory).unwrap();
    entries
        .map(|entry| read(&entry.unwrap().path()) + "\n")
        .collect()
}

fn ask(socket: &Path, what: &str) -> String {
    let Ok(mut stream) = UnixStream::connect(socket) else {
        return String::new();
    };
    stream.set_read_timeout(Some(GENEROUS)).unwrap();
    write!(stream, "GET {what} HTTP/1.1\r\nHost: here\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// What heartbeats to a host are signed with, which stands in Consul for the other hosts.
fn heartbeat_secret(agent: &Agent, root: &str, name: &str) -> String {
    let path = format!("kv/service/{name}/leader/candidates/host1?raw");
    let entry: Value = eventually("the candidate's entry", || {
        let entry = agent.ask_as(root, "GET", &path, "");
        serde_json::from_str(&entry).map_err(|_| entry)
    });
    entry["secret"].as_str().unwrap().to_owned()
}
