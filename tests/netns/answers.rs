//! What real daemons say over HTTP, asked by curl: who leads, while that moves; and what promtool thinks of their
//! metrics, of the alerts and of the dashboard.

use std::error::Error;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use libtest_mimic::{Failed, Trial};
use serde_json::{Value, json};
use vip_elector::status::{Report, Role};
use vip_lab::cluster::{Cluster, Fault, Host, Program, Setup};
use vip_lab::time::until;
use vip_lab::{drill, parts};

use crate::DAEMON;
use crate::alone::{self, LIMIT, lead};

type Tried<T> = Result<T, Box<dyn Error>>;

const OPENMETRICS: &str = "Accept: application/openmetrics-text;version=1.0.0";

/// What a daemon's memory may grow by while it answers 200 questions, in KiB: what the first ones touch.
const GROWTH: u64 = 1024;

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        Trial::test("who_leads_is_answered_over_http_while_it_moves", || {
            let program = Program::manager(DAEMON).args(["--listen=0.0.0.0:8548"]);
            Setup::new()
                .daemon(program)
                .run(moves)
                .map_err(Failed::from)
        }),
        Trial::test(
            "promtool_takes_the_metrics_the_alerts_and_the_dashboard",
            || alone::run(judged),
        ),
    ]
}

/// An answer.
pub(crate) struct Answer {
    /// 0 where there was none.
    pub(crate) code: u16,
    kind: String,
    pub(crate) body: String,
}

/// Asks by `curl`, wherever that is run.
pub(crate) fn curl(mut curl: Command, arguments: &[&str]) -> Tried<Answer> {
    curl.args([
        "--silent",
        "--max-time",
        "10",
        "--write-out",
        "\n%{http_code} %{content_type}",
    ]);
    let said = curl.args(arguments).stdin(Stdio::null()).output()?.stdout;
    let said = String::from_utf8(said)?;
    let (body, last) = said.rsplit_once('\n').ok_or("curl said nothing")?;
    let (code, kind) = last.split_once(' ').ok_or("curl said no code")?;
    Ok(Answer {
        code: code.parse()?,
        kind: kind.to_owned(),
        body: body.to_owned(),
    })
}

fn asked(host: &Host, path: &str) -> Tried<Answer> {
    curl(
        host.command("curl"),
        &[&format!("http://127.0.0.1:8548{path}")],
    )
}

/// By the socket, as `vip-elector status` asks.
fn report(host: &Host, key: &str) -> Tried<Report> {
    let name = format!("{}.sock", key.replace('/', "_2f"));
    let socket = host.directory().join("run").join(name);
    let socket = socket.to_string_lossy();
    let answer = curl(
        host.command("curl"),
        &["--unix-socket", &socket, "http://localhost/status"],
    )?;
    assert_eq!(
        (answer.code, answer.kind.as_str()),
        (200, "application/json")
    );
    Ok(serde_json::from_str(&answer.body)?)
}

/// Waits until this host, and no other, answers that it leads, and all could.
fn until_alone(cluster: &Cluster, leader: &str) -> Tried<()> {
    Ok(until("one host to answer that it leads", LIMIT, || {
        for host in cluster.hosts() {
            let (leads, ready) = (asked(host, "/leader"), asked(host, "/readyz"));
            let (leads, ready) = match (leads, ready) {
                (Ok(leads), Ok(ready)) => (leads.code, ready),
                (Err(error), _) | (_, Err(error)) => return Err(error.to_string()),
            };
            let wanted = if host.name() == leader { 200 } else { 503 };
            if leads != wanted || ready.code != 200 {
                return Err(format!(
                    "{}: {leads}, {} {}",
                    host.name(),
                    ready.code,
                    ready.body
                ));
            }
        }
        Ok(())
    })?)
}

fn moves(cluster: &mut Cluster, leader: &str) -> Tried<()> {
    until_alone(cluster, leader)?;
    let outcome = drill::run(cluster, Fault::Stop, leader, |_| {})?;
    assert!(outcome.is_good(), "{outcome:?}");
    let next = cluster.settle(LIMIT)?;
    assert_ne!(next, leader);
    until_alone(cluster, &next)?;

    let key = cluster.key();
    let entry = cluster.host(&next)?.agent().key(key)?.ok_or("no key")?;
    for host in cluster.hosts() {
        assert_eq!(asked(host, "/livez")?.code, 200);
        let report = report(host, key)?;
        let [group] = report.groups.as_slice() else {
            return Err(format!("{report:?}").into());
        };
        assert_eq!(
            (group.group.as_str(), group.leader.as_deref()),
            (key, Some(next.as_str()))
        );
        let leads = host.name() == next;
        assert_eq!(
            group.role,
            if leads { Role::Leader } else { Role::Standby },
            "{group:?}"
        );
        assert_eq!(
            group
                .addresses
                .iter()
                .filter(|address| address.held)
                .count(),
            usize::from(leads)
        );
        // The index of the lock, which nobody has written over.
        assert_eq!(group.term, leads.then_some(entry.modify_index));
        assert_eq!(group.why, (!leads).then(|| format!("{next} leads")));
        assert_eq!(host.daemon().id(), Some(report.pid));
    }
    let old = report(cluster.host(leader)?, key)?;
    let last = old
        .groups
        .iter()
        .flat_map(|group| &group.transitions)
        .next_back();
    assert_eq!(last.map(|last| last.to), Some(Role::Standby), "{old:?}");
    Ok(())
}

fn judged(_: &Cluster, host: &Host) -> Tried<()> {
    let promtool = parts::promtool()?;
    let judge = |arguments: &[&str], input: &str| judge(&promtool, arguments, input);
    let daemon = lead(host, &["--listen=127.0.0.1:8548"])?;
    until("an answer", LIMIT, || match asked(host, "/leader") {
        Ok(Answer { code: 200, .. }) => Ok(()),
        Ok(Answer { code, .. }) => Err(code.to_string()),
        Err(error) => Err(error.to_string()),
    })?;

    let plain = asked(host, "/metrics")?;
    assert_eq!(plain.kind, "text/plain; version=0.0.4; charset=utf-8");
    judge(&["check", "metrics"], &plain.body)?;

    // Of OpenMetrics promtool reads only what has times.
    let open = curl(
        host.command("curl"),
        &["--header", OPENMETRICS, "http://127.0.0.1:8548/metrics"],
    )?;
    assert_eq!(
        open.kind,
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    let timed = |line: &str| match line.starts_with('#') {
        true => format!("{line}\n"),
        false => format!("{line} 1700000000\n"),
    };
    let timed: String = open.body.lines().map(timed).collect();
    let (file, blocks) = (
        host.directory().join("metrics"),
        host.directory().join("blocks"),
    );
    fs::write(&file, timed)?;
    let (file, blocks) = (file.to_string_lossy(), blocks.to_string_lossy());
    judge(
        &["tsdb", "create-blocks-from", "openmetrics", &file, &blocks],
        "",
    )?;

    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/monitoring");
    judge(
        &[
            "check",
            "rules",
            &place.join("alerts.yml").to_string_lossy(),
        ],
        "",
    )?;
    judge(
        &[
            "test",
            "rules",
            &place.join("alerts.test.yml").to_string_lossy(),
        ],
        "",
    )?;
    let dashboard = serde_json::from_str(&fs::read_to_string(place.join("dashboard.json"))?)?;
    let rules = host.directory().join("dashboard.yml");
    fs::write(&rules, as_rules(&dashboard).to_string())?;
    judge(&["check", "rules", &rules.to_string_lossy()], "")?;

    let before = memory(&daemon)?;
    let many = ["metrics", "status"].map(|path| format!("http://127.0.0.1:8548/{path}?[1-100]"));
    let output = host
        .command("curl")
        .args(["--silent", "--fail", "--output", "/dev/null"])
        .args(["--output", "/dev/null"])
        .args(&many)
        .status()?;
    assert!(output.success());
    let after = memory(&daemon)?;
    assert!(
        after <= before + GROWTH,
        "{before} KiB before, {after} KiB after"
    );
    Ok(())
}

/// Has promtool judge, and fails with its words.
fn judge(promtool: &Path, arguments: &[&str], input: &str) -> Tried<()> {
    let mut child = Command::new(promtool)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    child
        .stdin
        .take()
        .ok_or("no input")?
        .write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    if output.status.success() {
        return Ok(());
    }
    let words =
        [output.stdout, output.stderr].map(|words| String::from_utf8_lossy(&words).into_owned());
    Err(format!("promtool {arguments:?}: {}", words.concat()).into())
}

/// Every query of a dashboard as a rule, with Grafana's own variables filled in.
fn as_rules(dashboard: &Value) -> Value {
    let panels = dashboard["panels"].as_array().into_iter().flatten();
    let queries = panels.flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let rules: Vec<Value> = queries
        .filter_map(|query| query["expr"].as_str())
        .map(|query| {
            query
                .replace("$__rate_interval", "1m")
                .replace("$group", ".*")
        })
        .enumerate()
        .map(|(number, query)| json!({ "record": format!("query{number}"), "expr": query }))
        .collect();
    assert!(rules.len() > 10, "{rules:?}");
    json!({ "groups": [{ "name": "dashboard", "rules": rules }] })
}

/// What is resident, in KiB.
fn memory(daemon: &alone::Daemon) -> Tried<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.process.id()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.trim().strip_suffix(" kB"));
    Ok(number.ok_or("no VmRSS")?.parse()?)
}
