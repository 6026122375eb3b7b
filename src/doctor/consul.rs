//! Pure: what the doctor thinks of Consul: endpoints, servers, token and rights, agent, check.

use std::time::Duration;

use super::report::Findings;
use crate::config::duration::{self, Go};
use crate::consul::agent::{Check, CheckState};
use crate::consul::probe::{AgentSettings, CheckSettings, Token, Verdict};
use crate::election::call::Failure;

/// What Consul said.
#[derive(Clone, Debug)]
pub struct Facts {
    /// One for each endpoint, in their order.
    pub endpoints: Vec<Endpoint>,
    /// How many servers have a vote.
    pub peers: Option<usize>,
    /// The token; `None` where there is no ACL.
    pub token: Result<Option<Token>, Failure>,
    /// Whether it is read from a file, and so may be replaced.
    pub token_from_file: bool,
    /// Of the rules that the daemon needs, each with whether the token has it.
    pub rights: Vec<Right>,
    /// The agent's settings.
    pub agent: Result<AgentSettings, Failure>,
    /// The bounds of a TTL, as the servers say them.
    pub ttl_bounds: Option<(String, String)>,
    /// The check of each `--check-id`; `None` where it was not found.
    pub checks: Vec<(String, Result<Option<Check>, Failure>)>,
}

/// One endpoint, asked for the raft leader.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// As it is configured.
    pub label: String,
    /// Whether it is on this host; `None` where that is not to be seen from its name.
    pub local: Option<bool>,
    /// The raft leader it knows of.
    pub answer: Result<Option<String>, String>,
    /// What the answer took.
    pub took: Duration,
}

/// A rule that the token needs.
#[derive(Clone, Debug)]
pub struct Right {
    /// As it stands in a policy.
    pub rule: String,
    /// What happens without it.
    pub without: String,
    /// Whether the token has it.
    pub verdict: Verdict,
    /// Whether anybody leads without it.
    pub vital: bool,
}

/// What was asked for.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Those of the sessions.
    pub ttls: Vec<Duration>,
    /// How often the leader asks Consul that asks it most often.
    pub confirm_interval: Duration,
}

/// A check that takes longer to notice than a lost host takes to be replaced is hardly what was meant.
const SLOW_CHECK: Duration = Duration::from_secs(15);

/// Consul's own, where a check says none.
const CHECK_TIMEOUT: Duration = Duration::from_secs(10);

/// Says what follows from the facts.
pub fn judge(facts: &Facts, wanted: &Wanted, findings: &mut Findings) {
    let reached = facts.endpoints.iter().any(|one| one.answer.is_ok());
    for endpoint in &facts.endpoints {
        judge_endpoint(endpoint, reached, wanted, findings);
    }
    if !reached {
        return;
    }
    judge_servers(facts.peers, findings);
    if judge_token(facts, findings) {
        for right in &facts.rights {
            judge_right(right, findings);
        }
    }
    for ttl in &wanted.ttls {
        judge_ttl(facts.ttl_bounds.as_ref(), *ttl, findings);
    }
    judge_agent(&facts.agent, findings);
    for (id, check) in &facts.checks {
        judge_check(id, check, facts, findings);
    }
}

fn judge_endpoint(one: &Endpoint, reached: bool, wanted: &Wanted, findings: &mut Findings) {
    let Endpoint {
        label,
        local,
        answer,
        took,
    } = one;
    match answer {
        Err(why) if reached => findings.warning(
            "consul",
            why,
            format!("{label} is no help when the others fail: start it, or leave it out"),
        ),
        Err(why) => findings.problem(
            "consul",
            why,
            "start the agent, or name the right address, with --addr or dcs-endpoints",
        ),
        Ok(None) => findings.problem(
            "consul",
            format!("{label} answers, and knows of no raft leader"),
            "nobody can lead until the servers have elected one: consul operator raft list-peers",
        ),
        Ok(Some(leader)) if *took > wanted.confirm_interval => findings.warning(
            "consul",
            format!(
                "{label} answers after {} ms, and a leader asks every {} ms; the raft leader is {leader}",
                took.as_millis(),
                wanted.confirm_interval.as_millis()
            ),
            "find out why consul is slow, or raise --lock-delay",
        ),
        Ok(Some(leader)) => findings.ok(
            "consul",
            format!(
                "{label} answers within {} ms, the raft leader is {leader}",
                took.as_millis() + 1
            ),
        ),
    }
    if *local == Some(false) && answer.is_ok() {
        findings.warning(
            "consul",
            format!("{label} is not on this host"),
            "sessions and checks belong to the node of the agent that is asked: run an agent on each host, and \
             name that one",
        );
    }
}

fn judge_servers(peers: Option<usize>, findings: &mut Findings) {
    match peers {
        None | Some(0) => findings.unknown(
            "servers",
            "consul did not say how many servers it has",
            "consul operator raft list-peers",
        ),
        Some(count @ 1..=2) => findings.warning(
            "servers",
            format!("consul has {count} server(s): when one is lost, nobody can lead"),
            "run three or five",
        ),
        Some(count) => findings.ok("servers", format!("consul has {count} servers")),
    }
}

/// Returns whether rights are worth a word.
fn judge_token(facts: &Facts, findings: &mut Findings) -> bool {
    match &facts.token {
        Err(failure) => {
            findings.problem(
                "token",
                &failure.message,
                "give it a token that this cluster knows, with --token-file",
            );
            false
        }
        Ok(None) => {
            findings.ok("token", "consul has no ACL, everybody may do everything");
            false
        }
        Ok(Some(Token {
            expiration_time: Some(end),
        })) if !facts.token_from_file => {
            findings.warning(
                "token",
                format!("consul knows the token, until {end}"),
                "keep it in a file, and name that with --token-file: it is read again when it changes",
            );
            true
        }
        Ok(Some(Token {
            expiration_time: Some(end),
        })) => {
            findings.ok(
                "token",
                format!(
                    "consul knows the token, until {end}; its file is read again when it changes"
                ),
            );
            true
        }
        Ok(Some(Token {
            expiration_time: None,
        })) => {
            findings.ok("token", "consul knows the token");
            true
        }
    }
}

fn judge_right(right: &Right, findings: &mut Findings) {
    let Right {
        rule,
        without,
        verdict,
        vital,
    } = right;
    match verdict {
        Verdict::Allowed => findings.ok("acl", rule),
        Verdict::Unknown(why) => findings.unknown(
            "acl",
            format!("{rule}: {why}"),
            "vip-elector acl-policy prints all rules",
        ),
        Verdict::Denied(_) => {
            let what = format!("the token lacks {rule}. {without}");
            let remedy = "add the rule to its policy; vip-elector acl-policy prints all of them";
            if *vital {
                findings.problem("acl", what, remedy);
            } else {
                findings.warning("acl", what, remedy);
            }
        }
    }
}

fn judge_ttl(bounds: Option<&(String, String)>, ttl: Duration, findings: &mut Findings) {
    let read = bounds.and_then(|(least, most)| {
        Some((duration::parse(least).ok()?, duration::parse(most).ok()?))
    });
    let Some((least, most)) = read else {
        findings.unknown(
            "ttl",
            "the servers did not say which TTL a session may have",
            "see session_ttl_min in their configuration",
        );
        return;
    };
    let (shown, least_shown, most_shown) = (Go(ttl), Go(least), Go(most));
    if (least..=most).contains(&ttl) {
        let taken = format!("--ttl={shown}, and the servers take {least_shown} to {most_shown}");
        findings.ok("ttl", taken);
    } else {
        findings.problem(
            "ttl",
            format!("the servers refuse --ttl={shown}: they take {least_shown} to {most_shown}"),
            format!("set --ttl={least_shown} or more, or session_ttl_min on all servers"),
        );
    }
}

fn judge_agent(agent: &Result<AgentSettings, Failure>, findings: &mut Findings) {
    let agent = match agent {
        Ok(agent) => agent,
        Err(failure) => {
            let remedy = "what the agent's files say is not looked at; see that leave_on_terminate is false there";
            return findings.unknown("agent", &failure.message, remedy);
        }
    };
    let AgentSettings { node, version, .. } = agent;
    findings.ok("agent", format!("node {node}, consul {version}"));
    match agent.leaves_on_terminate {
        Some(true) => findings.warning(
            "agent",
            "the agent leaves the cluster when it is stopped, and takes its sessions along: its restart is a failover",
            "set leave_on_terminate = false in its configuration",
        ),
        Some(false) => findings.ok("agent", "leave_on_terminate is false"),
        None => findings.unknown(
            "agent",
            "the agent does not say whether it leaves when it is stopped",
            "see that leave_on_terminate is false in its configuration",
        ),
    }
    if agent.server {
        findings.ok(
            "agent",
            "the agent is a server: a crash of this host costs an election of consul's, too",
        );
    }
}

fn judge_check(
    id: &str,
    check: &Result<Option<Check>, Failure>,
    facts: &Facts,
    findings: &mut Findings,
) {
    let check = match check {
        Ok(Some(check)) => check,
        Ok(None) => {
            return findings.problem(
                "check",
                format!("the agent has no check with the id '{id}', or the token may not read it"),
                "--check-id is a check's id, not its name: curl localhost:8500/v1/agent/checks",
            );
        }
        Err(failure) => {
            return findings.unknown(
                "check",
                &failure.message,
                "see what is said of consul above",
            );
        }
    };
    match check.state {
        CheckState::Passing => findings.ok("check", format!("check '{id}' passes")),
        CheckState::Warning => {
            findings.ok("check", format!("check '{id}' warns, which is good enough"))
        }
        CheckState::Critical => findings.problem(
            "check",
            format!("check '{id}' is critical: {}", check.output.trim()),
            "this host cannot lead until it passes",
        ),
    }
    let settings = facts.agent.as_ref().ok();
    let settings = settings.and_then(|agent| agent.checks.iter().find(|check| check.id == *id));
    match settings {
        Some(settings) => judge_definition(id, settings, findings),
        None => findings.unknown(
            "check",
            format!("how often check '{id}' runs is not to be seen here"),
            "a failure is noticed after its interval and its timeout: 2s and 1s are good values",
        ),
    }
}

fn judge_definition(id: &str, settings: &CheckSettings, findings: &mut Findings) {
    let read = |text: &str| duration::parse(text).ok().filter(|time| !time.is_zero());
    let Some(interval) = read(&settings.interval) else {
        return findings.ok("check", format!("check '{id}' does not run by itself"));
    };
    let timeout = read(&settings.timeout).unwrap_or(CHECK_TIMEOUT);
    let within = interval + timeout;
    let noticed = format!(
        "check '{id}' runs every {}: a failure is noticed within {}",
        Go(interval),
        Go(within)
    );
    if within > SLOW_CHECK {
        let remedy = "shorten interval and timeout in its definition: 2s and 1s are good values";
        findings.warning("check", noticed, remedy);
    } else {
        findings.ok("check", noticed);
    }
    if settings.status != "passing" {
        findings.warning(
            "check",
            format!("check '{id}' is critical from the agent's start until it has run once"),
            "write status = \"passing\" into its definition, so that a restart of the agent is no failover",
        );
    }
}

#[cfg(test)]
mod tests;
