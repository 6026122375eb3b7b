//! Applier: the witnesses are tested themselves, with an address that is moved by hand.

use std::error::Error;
use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use vip_lab::netns::{Namespace, Switch};
use vip_lab::runner;
use vip_lab::witness::measure::{self, Span};
use vip_lab::witness::{Addresses, Change, Probe, Responder};

const VIP: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 200);
/// About the gap and the overlap that the lab must find again; the exact bounds are what the test's
/// own clock says around the moves.
const KNOWN: Duration = Duration::from_millis(300);
const LIMIT: Duration = Duration::from_secs(10);

fn main() -> ExitCode {
    runner::main(
        &[],
        vec![
            Trial::test("a_known_gap_is_an_outage", || check(known_gap)),
            Trial::test("a_known_overlap_is_an_overlap", || check(known_overlap)),
            Trial::test("a_dead_host_does_not_overlap", || check(dead_host)),
            Trial::test("the_client_believes_its_neighbour_table", || {
                check(stale_neighbour)
            }),
            Trial::test("addresses_from_before_are_known", || check(inventory)),
            Trial::test("a_refreshed_lifetime_is_no_event", || check(refresh)),
        ],
    )
}

fn check(test: fn() -> Result<(), Box<dyn Error>>) -> Result<(), Failed> {
    test().map_err(Failed::from)
}

fn known_gap() -> Result<(), Box<dyn Error>> {
    let stage = Stage::new()?;
    stage.give(&stage.left)?;
    stage.hear("left")?;
    let fault = Instant::now();
    stage.take(&stage.left)?;
    let removed = Instant::now();
    std::thread::sleep(KNOWN);
    let adding = Instant::now();
    stage.give(&stage.right)?;
    stage.announce()?;
    stage.hear("right")?;
    let end = Instant::now();

    let answers = stage.probe.answers();
    let questions = stage.probe.questions().read(<[_]>::to_vec);
    let outage = measure::outage(&questions, &answers, fault..end);
    let in_the_gap = |at: &Instant| (removed..adding).contains(at);
    let asked: Vec<&Instant> = questions.iter().filter(|at| in_the_gap(at)).collect();
    let [first, .., last] = asked[..] else {
        return Err("too few questions were asked in the gap".into());
    };
    // Nobody had it between the two, and somebody had it before and after.
    expect_within(outage, *last - *first, end - fault)?;
    for answer in &answers {
        let question = questions[usize::try_from(answer.to)?];
        assert!(
            question <= answer.at && !in_the_gap(&question),
            "{answer:?}"
        );
    }
    let first = measure::successor(&answers, fault, "left").ok_or("no successor")?;
    assert_eq!(first.by.as_ref(), "right");
    expect_within(first.at - fault, adding - fault, end - fault)?;
    assert_eq!(stage.overlap(&[], fault..end)?, Duration::ZERO);
    Ok(())
}

fn known_overlap() -> Result<(), Box<dyn Error>> {
    let stage = Stage::new()?;
    stage.give(&stage.left)?;
    stage.hear("left")?;
    let start = Instant::now();
    stage.give(&stage.right)?;
    stage.wait_held("right")?;
    let both = Instant::now();
    std::thread::sleep(KNOWN);
    let taking = Instant::now();
    stage.take(&stage.left)?;
    stage.wait_gone("left")?;
    let end = Instant::now();

    let overlap = stage.overlap(&[], start..end)?;
    expect_within(overlap, taking - both, end - start)?;
    Ok(())
}

fn dead_host() -> Result<(), Box<dyn Error>> {
    let stage = Stage::new()?;
    stage.give(&stage.left)?;
    let start = Instant::now();
    let dead = [Span {
        host: "left".into(),
        from: start,
        until: None,
    }];
    stage.give(&stage.right)?;
    stage.wait_held("right")?;
    assert_eq!(stage.overlap(&dead, start..Instant::now())?, Duration::ZERO);
    assert!(stage.overlap(&[], start..Instant::now())? > Duration::ZERO);
    Ok(())
}

/// Without an announcement a moved address stays silent for a while, as for any real client.
fn stale_neighbour() -> Result<(), Box<dyn Error>> {
    let stage = Stage::new()?;
    stage.give(&stage.left)?;
    stage.hear("left")?;
    let table = stage
        .client
        .ip(&["-j", "neighbour", "show", &VIP.to_string()])?;
    let left = stage.left.ip(&["-j", "link", "show", "eth0"])?;
    let hardware = |printed: &str, key: &str| -> Option<String> {
        let value: serde_json::Value = serde_json::from_str(printed).ok()?;
        Some(value.get(0)?.get(key)?.as_str()?.to_owned())
    };
    let known = hardware(&table, "lladdr");
    assert!(known.is_some());
    assert_eq!(known, hardware(&left, "address"));
    stage.take(&stage.left)?;
    let mark = stage.probe.history().len();
    stage.give(&stage.right)?;
    let early = stage.probe.history().wait("an answer", KNOWN, |answers| {
        answers[mark..]
            .iter()
            .find(|answer| answer.by.as_ref() == "right")
            .cloned()
    });
    if early.is_ok() {
        return Err("the client found the new host without being told".into());
    }
    stage.announce()?;
    stage.hear("right")
}

fn inventory() -> Result<(), Box<dyn Error>> {
    let host = Namespace::new("early")?;
    host.ip(&["address", "add", "10.77.0.9/32", "dev", "lo"])?;
    let addresses = Addresses::watch(&[host])?;
    let early = Ipv4Addr::new(10, 77, 0, 9).into();
    assert_eq!(addresses.holders(early).len(), 1);
    Ok(())
}

fn refresh() -> Result<(), Box<dyn Error>> {
    let host = Namespace::new("leased")?;
    let addresses = Addresses::watch(std::slice::from_ref(&host))?;
    let lease = [
        "address",
        "replace",
        "10.77.0.9/32",
        "dev",
        "lo",
        "valid_lft",
        "9",
        "preferred_lft",
        "9",
    ];
    for _ in 0..3 {
        host.ip(&lease)?;
    }
    host.ip(&["address", "del", "10.77.0.9/32", "dev", "lo"])?;
    let leased = std::net::IpAddr::from([10, 77, 0, 9]);
    let changes = addresses.history().wait("the removal", LIMIT, |events| {
        let changes = events.iter().filter(|event| event.address == leased);
        let changes: Vec<Change> = changes.map(|event| event.change).collect();
        changes.contains(&Change::Gone).then_some(changes)
    })?;
    assert_eq!(changes, [Change::Appeared, Change::Gone]);
    Ok(())
}

fn expect_within(found: Duration, from: Duration, to: Duration) -> Result<(), Box<dyn Error>> {
    if (from..=to).contains(&found) {
        return Ok(());
    }
    Err(format!("measured {found:?}, which is not between {from:?} and {to:?}").into())
}

/// Two hosts that may have the address, a client that asks for it, and the witnesses.
struct Stage {
    addresses: Addresses,
    probe: Probe,
    _responders: [Responder; 2],
    left: Namespace,
    right: Namespace,
    client: Namespace,
    _switch: Switch,
}

impl Stage {
    fn new() -> Result<Self, Box<dyn Error>> {
        let switch = Switch::new("switch")?;
        let plug = |name, last| -> Result<Namespace, Box<dyn Error>> {
            let host = Namespace::new(name)?;
            switch.plug(&host, Ipv4Addr::new(10, 77, 0, last))?;
            Ok(host)
        };
        let (left, right, client) = (plug("left", 1)?, plug("right", 2)?, plug("client", 100)?);
        let addresses = Addresses::watch(&[left.clone(), right.clone()])?;
        let responders = [Responder::start(&left)?, Responder::start(&right)?];
        let probe = Probe::start(&client, VIP, Probe::INTERVAL)?;
        Ok(Self {
            addresses,
            probe,
            _responders: responders,
            left,
            right,
            client,
            _switch: switch,
        })
    }

    /// Gives a host the address, and tells nobody.
    fn give(&self, host: &Namespace) -> Result<(), Box<dyn Error>> {
        host.ip(&["address", "add", &format!("{VIP}/32"), "dev", "eth0"])?;
        Ok(())
    }

    /// Makes the client forget where the address was.
    fn announce(&self) -> Result<(), Box<dyn Error>> {
        self.client.ip(&["neighbour", "flush", "dev", "eth0"])?;
        Ok(())
    }

    fn take(&self, host: &Namespace) -> Result<(), Box<dyn Error>> {
        host.ip(&["address", "del", &format!("{VIP}/32"), "dev", "eth0"])?;
        Ok(())
    }

    fn hear(&self, host: &str) -> Result<(), Box<dyn Error>> {
        let mark = self.probe.history().len();
        let what = format!("an answer by {host}");
        self.probe.history().wait(&what, LIMIT, |answers| {
            answers[mark..]
                .iter()
                .any(|answer| answer.by.as_ref() == host)
                .then_some(())
        })?;
        Ok(())
    }

    fn wait_gone(&self, host: &str) -> Result<(), Box<dyn Error>> {
        self.wait_for("leave", host, Change::Gone)
    }

    fn wait_held(&self, host: &str) -> Result<(), Box<dyn Error>> {
        self.wait_for("reach", host, Change::Appeared)
    }

    fn wait_for(&self, verb: &str, host: &str, change: Change) -> Result<(), Box<dyn Error>> {
        let what = format!("the address to {verb} {host}");
        self.addresses.history().wait(&what, LIMIT, |events| {
            let last = events
                .iter()
                .rfind(|event| event.address == VIP && event.host.as_ref() == host);
            last.filter(|event| event.change == change).map(drop)
        })?;
        Ok(())
    }

    fn overlap(
        &self,
        dead: &[Span],
        window: std::ops::Range<Instant>,
    ) -> Result<Duration, Box<dyn Error>> {
        let tenures = measure::tenures(&self.addresses.events()?, VIP.into());
        Ok(measure::overlap(&tenures, dead, window))
    }
}
