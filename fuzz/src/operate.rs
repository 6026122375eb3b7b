//! What those commands read that an operator runs: `status` what Consul and the daemon of this host answer,
//! the others what Consul answers to their orders.
//!
//! The first byte of an input chooses: `s` for `status`, `l` for the same with the daemon's answer in front,
//! up to the first line `--`; anything else for an order. Consul's answers follow as in the `consul` inputs:
//! trigger key, what stands below it, sessions, services, and the check of each node.

use std::path::PathBuf;
use std::time::Duration;

use vip_elector::config::{Group, Session};
use vip_elector::election::call::Failure;
use vip_elector::operate::{GroupView, Looker, Style, Survey, report_in, show, survey};
use vip_elector::runtime::RuntimeDirectory;

use crate::consul::agent::{self, Agent, TIMEOUT};
use crate::text::{assert_line, assert_name};

const KEY: &str = "service/db/leader";
const OWN: &str = "web1";
const CHECK: &str = "vip-http";

/// What one look may take: as many requests as there may be, with 5 s for each.
const LONGEST: Duration = Duration::from_secs((4 + 64) * 5);

pub(crate) fn take(input: &[u8]) {
    let Some((&choice, rest)) = input.split_first() else {
        return;
    };
    let (daemon, answers) = match choice {
        b'l' => agent::cut(rest).unwrap_or((rest, b"")),
        _ => (&b""[..], rest),
    };
    Agent::with(|agent| {
        agent.answer_with(agent::answers(answers));
        match choice {
            b's' | b'l' => look(agent, daemon),
            _ => order(agent, choice),
        }
    });
}

fn look(agent: &Agent, daemon: &[u8]) {
    let looker = Looker {
        client: agent.client(),
        // No daemon has its socket there.
        directories: vec![RuntimeDirectory::of(Some("/nowhere"))],
    };
    let group = Group {
        file: PathBuf::new(),
        trigger_key: KEY.to_owned(),
        trigger_value: OWN.to_owned(),
        vips: Vec::new(),
        session: Session {
            ttl: Duration::from_secs(10),
            lock_delay: Duration::from_secs(1),
            check_id: Some(CHECK.to_owned()),
        },
        liveness_ttl: None,
        priority: 0,
        preempt_after: None,
    };
    let (seen, took) = agent.run(looker.see(&group));
    assert!(took <= LONGEST, "it took {took:?}");
    match seen {
        Ok(mut seen) => {
            seen.daemon = report_in(daemon, KEY);
            let view = survey(KEY, OWN, Some(CHECK), seen);
            assert_view(&view);
            assert_shown(Survey { groups: vec![view] });
        }
        Err(failure) => assert_failure(&failure),
    }
}

fn assert_view(view: &GroupView) {
    for host in &view.hosts {
        assert_name(&host.host);
        assert_line(&host.health, 300);
        for text in host.since.iter().chain(&host.node) {
            assert_name(text);
        }
    }
    for text in view.leader.iter().chain(&view.switchover) {
        assert!(text.is_empty() || text.chars().count() <= 256, "{text}");
    }
    for why in &view.unseen {
        assert_line(why, 1100);
    }
    let leads = |host: &str| view.leader.as_deref() == Some(host);
    let led = view.hosts.iter().filter(|host| leads(&host.host)).count();
    assert_eq!(led, usize::from(view.leader.is_some()));
}

/// Nothing that somebody else wrote says anything to a terminal.
fn assert_shown(survey: Survey) {
    let plain = show(&survey, Style::Plain);
    assert_harmless(&plain);
    let coloured = show(&survey, Style::Coloured);
    let colours = [
        "\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[33m",
    ];
    let stripped = colours
        .iter()
        .fold(coloured, |text, colour| text.replace(colour, ""));
    assert_eq!(stripped, plain);
}

fn assert_harmless(text: &str) {
    let bad = |letter: &char| letter.is_control() && *letter != '\n';
    assert_eq!(text.chars().find(bad), None, "{text:?}");
}

fn order(agent: &Agent, choice: u8) {
    let client = agent.client();
    let (done, took) = match choice {
        b'd' => agent.run(client.drain(KEY, "web2", b"{}", TIMEOUT)),
        b'r' => agent.run(client.resume(KEY, "web2", TIMEOUT)),
        b'w' => agent.run(client.withdraw_switchover(KEY, 7, TIMEOUT)),
        _ => {
            let asked = client.ask_for_switchover(KEY, Some("web2"), TIMEOUT);
            let (asked, took) = agent.run(asked);
            (asked.map(drop), took)
        }
    };
    assert!(took <= TIMEOUT * 2, "it took {took:?}");
    if let Err(failure) = done {
        assert_failure(&failure);
    }
}

fn assert_failure(failure: &Failure) {
    assert_line(&failure.message, 1100);
}
