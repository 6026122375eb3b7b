//! Driver: `cargo lab demo`: one fault after another on a real cluster, live, and a table.

mod screen;
mod table;
mod view;

use std::path::Path;

use anyhow::Context;
use vip_lab::cluster::{Cluster, Fault, Program, Setup};
use vip_lab::drill::{self, Outcome, Step};
use vip_lab::sandbox::Sandbox;

use screen::Screen;
use view::View;

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
    screen.note("three hosts on a switch, a Consul server and the daemon on each");
    screen.note("waiting for Consul to elect its leader (up to 60 s)");
    let setup = Setup::new().daemon(Program::manager(daemon));
    let mut cluster = setup.start().context("the cluster did not start")?;
    screen.note(&format!(
        "the daemons run; the virtual IP is {}",
        cluster.vip()
    ));
    let outcomes = {
        let _view = View::start(&cluster, screen)?;
        drills(&mut cluster, screen)?
    };
    screen.table(&table::render(&outcomes));
    let good = outcomes.iter().all(Outcome::is_good);
    screen.verdict(good);
    if after == After::Keep {
        keep(&cluster, sandbox, screen)?;
    }
    Ok(good)
}

fn drills(cluster: &mut Cluster, screen: Screen) -> anyhow::Result<Vec<Outcome>> {
    let mut outcomes = Vec::new();
    for (number, fault) in Fault::ALL.into_iter().enumerate() {
        screen.title(&format!("{} of {}: {fault}", number + 1, Fault::ALL.len()));
        let outcome = drill::run(cluster, fault, |step| tell(screen, fault, &step));
        // What the daemons said is what explains it.
        let outcome = outcome.with_context(|| format!("{fault}\n{}", cluster.logs()))?;
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

fn tell(screen: Screen, fault: Fault, step: &Step<'_>) {
    match step {
        Step::Settle(limit) => screen.note(&format!(
            "waiting until one host leads and all others stand by (up to {} s)",
            limit.as_secs()
        )),
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
        Step::Repair(host) => screen.note(&format!("{host}: {}", undoing(fault))),
    }
}

fn doing(fault: Fault) -> &'static str {
    match fault {
        Fault::Stop => "the daemon is asked to stop (SIGTERM)",
        Fault::CheckFailure => "its health endpoint answers 503 from now on",
        Fault::Kill => "the daemon is killed (SIGKILL)",
        Fault::Crash => "the power fails: no process, no carrier",
        Fault::Partition => "its switch port moves to another network",
        Fault::Freeze => "the daemon stops in mid-air (SIGSTOP)",
    }
}

fn undoing(fault: Fault) -> &'static str {
    match fault {
        Fault::Stop | Fault::Kill => "the daemon is started again",
        Fault::CheckFailure => "its health endpoint answers 200 again",
        Fault::Crash => "the power is back; the host boots",
        Fault::Partition => "its switch port moves back",
        Fault::Freeze => "the daemon goes on (SIGCONT), none the wiser",
    }
}

/// Leaves the cluster to whoever wants to look at it.
fn keep(cluster: &Cluster, sandbox: Sandbox, screen: Screen) -> anyhow::Result<()> {
    screen.title("the cluster stays until Ctrl-C; from another terminal:");
    let enter = sandbox.nsenter();
    for host in cluster.hosts() {
        screen.plain(&format!("{enter} ip netns exec {} bash", host.name()));
    }
    screen.plain(&format!(
        "{enter} ip netns exec {} bash",
        cluster.client().name()
    ));
    screen.note("configurations and logs, seen from inside:");
    for host in cluster.hosts() {
        screen.plain(&host.directory().display().to_string());
    }
    let _view = View::start(cluster, screen)?;
    // Ctrl-C ends this process, and with it everything.
    loop {
        std::thread::park();
    }
}
