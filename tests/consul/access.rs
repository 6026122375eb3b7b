//! Every way to Consul that an operator can configure: the daemon itself is started, takes the lock, and
//! leaves. That it has, Consul's own command line says.

mod daemon;
mod pki;
mod proxy;
mod troubles;

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::json;
use vip_elector::consul::access::Access;
use vip_elector::election::call::{Call, FailureKind};

use self::daemon::{Way, goes, refused};
use self::pki::Pki;
use self::proxy::Proxy;
use crate::agent::{Agent, Ports};
use crate::security::{acl_agent, token_for};
use crate::{Host, access, trial};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = vec![
        trial("a_daemon_gets_in_plainly_and_by_socket", plainly),
        trial("a_daemon_gets_in_by_tls_with_a_private_ca", private_ca),
        trial("a_daemon_gets_in_with_a_client_certificate", certificate),
        trial(
            "a_daemon_gets_in_through_a_proxy_that_wants_a_password",
            password,
        ),
        trial("namespace_and_partition_go_with_every_request", namespace),
        trial(
            "a_daemon_gets_in_where_the_acl_denies_by_default",
            default_deny,
        ),
    ];
    trials.extend(troubles::trials());
    trials
}

async fn plainly() {
    let directory = tempfile::tempdir().unwrap();
    let socket = format!("unix://{}/consul.sock", directory.path().display());
    let ports = Ports::take();
    let addresses = json!({ "addresses": { "http": format!("127.0.0.1 {socket}") } });
    let agent = Agent::start("n1", ports, &addresses);
    let plain = format!("127.0.0.1:{}", ports.http());
    for way in [
        Way::new("flag").flag("addr", &format!("http://{plain}")),
        Way::new("variable").variable("CONSUL_HTTP_ADDR", &plain),
        Way::new("endpoints").line(&format!("dcs-endpoints: [\"{plain}\"]")),
        Way::new("option").option("addr", &plain),
        Way::new("socket-flag").flag("addr", &socket),
        Way::new("socket-variable").variable("CONSUL_HTTP_ADDR", &socket),
    ] {
        goes(&agent, "", &way);
    }
    // The daemon has no capability that would let it in all the same.
    let at = |name: &str, socket: &str| Way::new(name).flag("addr", socket);
    let nobody = std::fs::Permissions::from_mode(0o000);
    std::fs::set_permissions(socket.trim_start_matches("unix://"), nobody).unwrap();
    refused(&at("closed", &socket), "may not write to the socket");
    refused(&at("absent", "unix:///none/s"), "no socket is there");
}

async fn private_ca() {
    let pki = Pki::of_consul();
    // The certificate is for the first of the two addresses.
    let addresses = json!({ "addresses": { "https": "127.0.0.1 127.0.0.2" } });
    let agent = pki.agent(&json!({ "verify_incoming": false }), &addresses);
    let port = agent.ports.https();
    let at = |name: &str| Way::new(name).flag("addr", &format!("https://127.0.0.1:{port}"));
    let elsewhere = |name: &str| Way::new(name).flag("addr", &format!("https://127.0.0.2:{port}"));
    let (ca, directory) = (pki.file("consul-agent-ca.pem"), pki.directory_of_ca());
    for way in [
        at("ca-flag").flag("ca-file", &ca),
        at("ca-variable").variable("CONSUL_CACERT", &ca),
        at("ca-option").option("ca-file", &ca),
        at("path-flag").flag("ca-path", &directory),
        at("path-variable").variable("CONSUL_CAPATH", &directory),
        at("path-option").option("ca-path", &directory),
        Way::new("ssl-variable")
            .variable("CONSUL_HTTP_ADDR", &format!("127.0.0.1:{port}"))
            .variable("CONSUL_HTTP_SSL", "true")
            .variable("CONSUL_CACERT", &ca),
        elsewhere("name-flag")
            .flag("ca-file", &ca)
            .flag("tls-server-name", "server.dc1.consul"),
        elsewhere("name-variable")
            .flag("ca-file", &ca)
            .variable("CONSUL_TLS_SERVER_NAME", "server.dc1.consul"),
        elsewhere("name-option")
            .flag("ca-file", &ca)
            .option("tls-server-name", "server.dc1.consul"),
    ] {
        let said = goes(&agent, "", &way);
        assert!(!said.contains("unverified"), "{said}");
    }
    // Neither the CA nor the name: every start says that nobody looks.
    for way in [
        elsewhere("unverified-flag").flag("ssl-verify", "false"),
        elsewhere("unverified-variable").variable("CONSUL_HTTP_SSL_VERIFY", "false"),
        elsewhere("unverified-option").option("ssl-verify", "false"),
    ] {
        for _ in 0..2 {
            let said = goes(&agent, "", &way);
            let warnings = warnings(&said);
            assert_eq!(warnings.len(), 1, "{said}");
            assert!(
                warnings[0].contains("leaves Consul's certificate unverified"),
                "{said}"
            );
        }
    }
}

async fn certificate() {
    let pki = Pki::of_consul();
    let agent = pki.agent(&json!({ "verify_incoming": true }), &json!({}));
    let ca = pki.file("consul-agent-ca.pem");
    let certificate = pki.file("dc1-client-consul-0.pem");
    let key = pki.file("dc1-client-consul-0-key.pem");
    let port = agent.ports.https();
    let at = |name: &str| {
        Way::new(name)
            .flag("addr", &format!("https://127.0.0.1:{port}"))
            .flag("ca-file", &ca)
    };
    for way in [
        at("flags")
            .flag("client-cert", &certificate)
            .flag("client-key", &key),
        at("variables")
            .variable("CONSUL_CLIENT_CERT", &certificate)
            .variable("CONSUL_CLIENT_KEY", &key),
        at("options")
            .option("client-cert", &certificate)
            .option("client-key", &key),
    ] {
        goes(&agent, "", &way);
    }
    refused(&at("without"), "consul wants a client certificate");
}

async fn password() {
    let agent = Agent::server();
    // user:s3cret
    let proxy = Proxy::that_wants(agent.ports.http(), "Basic dXNlcjpzM2NyZXQ=");
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let file = directory.path().join(name);
        std::fs::write(&file, text).unwrap();
        file.display().to_string()
    };
    let (file, wrong) = (
        write("auth", "user:s3cret\n"),
        write("wrong", "user:guess\n"),
    );
    let at = |name: &str| Way::new(name).flag("addr", &format!("http://127.0.0.1:{}", proxy.port));
    for way in [
        at("auth-flag").flag("http-auth-file", &file),
        at("auth-variable").variable("CONSUL_HTTP_AUTH", "user:s3cret"),
        at("auth-option").option("http-auth-file", &file),
    ] {
        let said = goes(&agent, "", &way);
        assert!(!said.contains("s3cret"), "{said}");
    }
    for way in [at("without"), at("wrong").flag("http-auth-file", &wrong)] {
        refused(&way, "wants a user and a password that it knows");
    }
}

async fn namespace() {
    let agent = Agent::server();
    let at = |port: u16| format!("http://127.0.0.1:{port}");
    for (way, namespace, partition) in [
        (
            Way::new("flags")
                .flag("namespace", "team")
                .flag("partition", "west"),
            "ns=team",
            "partition=west",
        ),
        (
            Way::new("variables")
                .variable("CONSUL_NAMESPACE", "a b")
                .variable("CONSUL_PARTITION", "c&d"),
            "ns=a+b",
            "partition=c%26d",
        ),
        (
            Way::new("options")
                .option("namespace", "x")
                .option("partition", "y"),
            "ns=x",
            "partition=y",
        ),
    ] {
        let proxy = Proxy::that_takes_away(agent.ports.http(), &["ns", "partition"]);
        goes(&agent, "", &way.flag("addr", &at(proxy.port)));
        let requests = proxy.requests();
        // A session, the key, the candidates, the transactions, the service, and the check of it.
        for kind in [
            "/v1/session/create",
            "/v1/kv/",
            "/v1/txn",
            "/v1/agent/",
            "/v1/session/destroy/",
        ] {
            assert!(
                requests.iter().any(|target| target.contains(kind)),
                "no {kind} in {requests:#?}"
            );
        }
        for target in &requests {
            let (_, query) = target.split_once('?').unwrap_or((target, ""));
            let said = |parameter: &str| query.split('&').filter(|pair| *pair == parameter).count();
            assert_eq!((said(namespace), said(partition)), (1, 1), "{target}");
        }
    }

    // And a Consul that has no namespaces says so.
    let mut access: Access = access(&[agent.url()]);
    access.namespace = Some("team".to_owned());
    let host = Host::new(&access, "host1", Duration::from_secs(1));
    let message = host.fails(Call::Read, FailureKind::Refused).await;
    assert!(message.contains("Enterprise"), "{message}");
}

async fn default_deny() {
    let (agent, root) = acl_agent();
    let key = daemon::KEY;
    let policy = format!(
        r#"key "{key}" {{ policy = "write" }}
           key_prefix "{key}/" {{ policy = "write" }}
           session_prefix "" {{ policy = "write" }}
           service "vip-elector" {{ policy = "write" }}
           node_prefix "" {{ policy = "read" }}
           agent_prefix "" {{ policy = "read" }}"#
    );
    let token = token_for(&agent, &root, "elector", &policy);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("token");
    std::fs::write(&file, format!("{token}\n")).unwrap();
    let file = file.display().to_string();
    let at = |name: &str| Way::new(name).flag("addr", &agent.url());
    for way in [
        at("token-flag").flag("token-file", &file),
        at("token-variable").variable("CONSUL_HTTP_TOKEN", &token),
        at("token-file-variable").variable("CONSUL_HTTP_TOKEN_FILE", &file),
        at("token-option").option("token-file", &file),
        at("token-key").line(&format!("consul-token: {token}")),
    ] {
        let said = goes(&agent, &root, &way);
        assert!(!said.contains(&token), "{said}");
        assert!(
            warnings(&said).is_empty(),
            "the policy leaves something out: {said}"
        );
    }
    refused(&at("without"), "the token needs");
}

/// What the daemon warned of, but for its own end.
fn warnings(said: &str) -> Vec<&str> {
    said.lines()
        .filter(|line| line.contains("WARN") && !line.contains("LOCK LOST"))
        .collect()
}
