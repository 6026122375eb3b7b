use super::*;
use crate::doctor::report::Level;
use crate::doctor::tests::{self, Bad, assert_alone};

fn good() -> Facts {
    Facts {
        manage_vip: true,
        missing_capabilities: Vec::new(),
        unmarked: false,
        runtime_directory: ("/run/vip-elector".to_owned(), Ok(())),
        daemons: vec![("k".to_owned(), Some(7))],
        second_daemons: Vec::new(),
        rivals: Vec::new(),
        heartbeats: Some(("0.0.0.0:8547".parse().unwrap(), true)),
        clock_source: Some("tsc".to_owned()),
        suspended: Duration::ZERO,
    }
}

fn rival(name: &str) -> Vec<Rival> {
    let name = name.to_owned();
    vec![Rival { name, pid: 9 }]
}

fn bad(facts: &Facts) -> Vec<Bad> {
    tests::bad(|findings| judge(facts, findings))
}

#[test]
fn what_is_as_it_should_be() {
    let before = Facts {
        daemons: vec![("k".to_owned(), None)],
        heartbeats: Some(("0.0.0.0:8547".parse().unwrap(), false)),
        ..good()
    };
    let companion = Facts {
        manage_vip: false,
        missing_capabilities: vec!["CAP_NET_ADMIN".to_owned()],
        rivals: rival("vip-manager"),
        heartbeats: None,
        ..good()
    };
    for facts in [good(), before, companion] {
        assert_eq!(bad(&facts), [], "{facts:?}");
    }
}

#[test]
fn what_is_wrong_and_how_much() {
    let (problem, warning) = (Level::Problem, Level::Warning);
    let listen = "0.0.0.0:8547".parse().unwrap();
    let rows = [
        (
            Facts {
                missing_capabilities: vec!["CAP_NET_RAW".to_owned()],
                ..good()
            },
            warning,
            "privileges",
            "has not CAP_NET_RAW",
        ),
        (
            Facts {
                unmarked: true,
                ..good()
            },
            problem,
            "kernel",
            "Linux 5.18",
        ),
        (
            Facts {
                rivals: rival("vip-manager"),
                ..good()
            },
            problem,
            "rivals",
            "process 9, and --manage-vip holds the address as well",
        ),
        (
            Facts {
                rivals: rival("keepalived"),
                ..good()
            },
            warning,
            "rivals",
            "keepalived runs here, process 9",
        ),
        (
            Facts {
                manage_vip: false,
                ..good()
            },
            warning,
            "rivals",
            "nobody moves the address",
        ),
        (
            Facts {
                second_daemons: vec![8],
                ..good()
            },
            problem,
            "daemon",
            "process 8 is a vip-elector with the same file",
        ),
        (
            Facts {
                runtime_directory: ("/run/x".to_owned(), Err("it is full".to_owned())),
                ..good()
            },
            warning,
            "runtime",
            "/run/x: it is full",
        ),
        (
            Facts {
                daemons: vec![("k".to_owned(), None)],
                ..good()
            },
            warning,
            "heartbeats",
            "another program has UDP 0.0.0.0:8547",
        ),
        (
            Facts {
                heartbeats: Some((listen, false)),
                ..good()
            },
            warning,
            "heartbeats",
            "does not listen",
        ),
        (
            Facts {
                clock_source: Some("hpet".to_owned()),
                ..good()
            },
            warning,
            "clock",
            "from hpet",
        ),
        (
            Facts {
                clock_source: None,
                ..good()
            },
            Level::Unknown,
            "clock",
            "does not say",
        ),
        (
            Facts {
                suspended: Duration::from_secs(60),
                ..good()
            },
            warning,
            "clock",
            "suspended for 60 s",
        ),
    ];
    for (facts, level, about, words) in rows {
        let found = bad(&facts);
        assert_alone(&found, level, about, words);
    }
}
