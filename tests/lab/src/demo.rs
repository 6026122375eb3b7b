//! Driver: `cargo lab demo`: one fault after another on a real cluster, live, and a table.

mod table;
mod view;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use vip_lab::cluster::{Cluster, Fault, LOCAL_URL, Program, SETTLE_LIMIT, Setup};
use vip_lab::drill::{self, Outcome, Step};
use vip_lab::sandbox::Sandbox;

use crate::screen::Screen;
use view::View;

/// Who has ended a silent leader's session, or lost its own, suspects nobody for ten seconds.
const APART: Duration = Duration::from_secs(11);

/// Whether the cluster stays after the last fault.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum After {
    /// End.
    Leave,
    /// Wait for Ctrl-C.
    Keep,
}

/// Runs the demonstration with `daemon`; returns whether every fault was made up for.
pub(super) fn run(sandbox: Sandbox, daemon: &Path, after: After) -> anyhow::Result<bool> {
    let screen = Screen::new();
    screen.note("three hosts on a switch, with a Consul server and the daemon on each");
    screen.note("waiting for Consul to elect its leader (up to 60 s)");
    let daemon = Program::manager(daemon).args([
        format!("--health-url={LOCAL_URL}"),
        "--health-interval=100ms".to_owned(),
    ]);
    let setup = Setup::new().daemon(daemon);
    let mut cluster = setup.start().context("the cluster did not start")?;
    let view = View::start(&cluster, screen)?;
    let outcomes = drills(&mut cluster, screen, &view)?;
    // It would print across the table.
    drop(view);
    screen.table(&table::render(&outcomes));
    let good = outcomes.iter().all(Outcome::is_good);
    screen.verdict(
        good,
        if good {
            "every fault was followed by another host, and never two had the address"
        } else {
            "the promise was broken: see the table"
        },
    );
    if after == After::Keep {
        keep(&cluster, sandbox, screen)?;
    }
    Ok(good)
}

fn drills(cluster: &mut Cluster, screen: Screen, view: &View) -> anyhow::Result<Vec<Outcome>> {
    settling(screen, SETTLE_LIMIT);
    // What the daemons said is what explains why it takes too long.
    let mut leader = cluster
        .settle(SETTLE_LIMIT)
        .with_context(|| cluster.logs())?;
    let mut outcomes = Vec::new();
    // When the lock last went without being handed over.
    let mut last_loss = None;
    for (number, fault) in Fault::ALL.into_iter().enumerate() {
        view.catch_up();
        screen.title(&format!("{} of {}: {fault}", number + 1, Fault::ALL.len()));
        if fault.is_silent() {
            keep_apart(screen, last_loss);
        }
        let start = Instant::now();
        let outcome = drill::run(cluster, fault, &leader, |step| {
            view.catch_up();
            tell(screen, fault, &step);
        })
        .with_context(|| format!("{fault}\n{}", cluster.logs()))?;
        let settled = outcome
            .settled
            .as_ref()
            .map(String::clone)
            .map_err(ToString::to_string);
        if !fault.is_handed_over() {
            last_loss = Some(
                start
                    + outcome
                        .after
                        .as_ref()
                        .map_or(Duration::ZERO, |(_, took)| *took),
            );
        }
        outcomes.push(outcome);
        match settled {
            Ok(next) => leader = next,
            Err(trouble) => {
                // Another fault now would be a double one.
                view.catch_up();
                screen.bad(&trouble);
                screen.plain(&cluster.logs());
                break;
            }
        }
    }
    view.catch_up();
    Ok(outcomes)
}

/// Each fault by itself: the one before would make a silent leader's failover slower.
fn keep_apart(screen: Screen, last_loss: Option<Instant>) {
    let Some(last_loss) = last_loss else {
        return;
    };
    let left = (last_loss + APART).saturating_duration_since(Instant::now());
    if !left.is_zero() {
        screen.note(&format!(
            "a pause of {:.0} s: after a failover, silence is not taken for death for a while",
            left.as_secs_f64()
        ));
        std::thread::sleep(left);
    }
}

fn tell(screen: Screen, fault: Fault, step: &Step<'_>) {
    match step {
        Step::Inject(host) => screen.fault(&format!("{host}: {}", doing(fault))),
        Step::Await(limit) => screen.note(&format!(
            "waiting for another host to answer (up to {} s)",
            limit.as_secs()
        )),
        Step::TakenOver(host, takeover) => {
            screen.good(&format!(
                "{host} took over after {} ms",
                takeover.as_millis()
            ));
        }
        Step::NotTakenOver => screen.bad("nobody took over in time"),
        Step::Repair(host) => {
            if let Some(undoing) = undoing(fault) {
                screen.fault(&format!("{host}: {undoing}"));
            }
        }
        Step::Settle(limit) => settling(screen, *limit),
    }
}

fn settling(screen: Screen, limit: Duration) {
    let limit = limit.as_secs();
    screen.note(&format!(
        "waiting until one host leads and the others stand by (up to {limit} s)"
    ));
}

fn doing(fault: Fault) -> &'static str {
    match fault {
        Fault::Stop => "the daemon is asked to stop (SIGTERM)",
        Fault::Switchover => "an operator asks for another host",
        Fault::LocalHealth => "what its daemon asks about its health answers 503 from now on",
        Fault::CheckFailure => "what Consul asks about its health answers 503 from now on",
        Fault::Kill => "the daemon is killed (SIGKILL)",
        Fault::Crash => "the power fails: no process, no carrier",
        Fault::Partition => "its switch port moves to another network",
        Fault::Freeze => "the daemon stops in mid-air (SIGSTOP)",
    }
}

/// Returns nothing where nothing is to be undone.
fn undoing(fault: Fault) -> Option<&'static str> {
    Some(match fault {
        Fault::Switchover => return None,
        Fault::Stop | Fault::Kill => "the daemon is started again",
        Fault::LocalHealth | Fault::CheckFailure => "that answers 200 again",
        Fault::Crash => "the power is back; the host boots",
        Fault::Partition => "its switch port moves back",
        Fault::Freeze => "the daemon goes on (SIGCONT), none the wiser",
    })
}

/// Leaves the cluster to whoever wants to look at it. Ctrl-C ends this process, and with it
/// everything.
fn keep(cluster: &Cluster, sandbox: Sandbox, screen: Screen) -> anyhow::Result<()> {
    screen.title("the cluster stays until Ctrl-C; to look around, from another terminal:");
    let names = cluster
        .hosts()
        .iter()
        .map(|host| host.name())
        .chain([cluster.client().name()]);
    for name in names {
        screen.plain(&format!(
            "  {} ip netns exec {name} bash",
            sandbox.nsenter()
        ));
    }
    screen.title("configurations and logs, as seen from inside:");
    for host in cluster.hosts() {
        screen.plain(&format!("  {}", host.directory().display()));
    }
    screen.plain("");
    let _view = View::start_now(cluster, screen)?;
    loop {
        std::thread::park();
    }
}
