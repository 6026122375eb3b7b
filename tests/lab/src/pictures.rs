//! Driver: `cargo lab pictures`: the pictures of the README, made by what they show.

mod drawing;
mod terminal;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use vip_lab::cluster::{Cluster, Fault, LOCAL_URL, Program, SETTLE_LIMIT, Setup};
use vip_lab::drill;
use vip_lab::time::until;

/// What the command line says.
#[derive(Clone, Debug, clap::Args)]
pub(super) struct Arguments {
    /// Where they go
    #[arg(long, value_name = "DIR", default_value = "docs/pictures")]
    out: PathBuf,
    /// Run this program instead of building the daemon
    #[arg(long, value_name = "PATH")]
    daemon: Option<PathBuf>,
}

impl Arguments {
    pub(super) fn daemon(&self) -> Option<PathBuf> {
        self.daemon.clone()
    }

    /// The demonstration; as it needs a sandbox of its own, this comes before ours.
    pub(super) fn draw_demo(&self, daemon: &Path) -> anyhow::Result<()> {
        let lab = std::env::current_exe().context("this program's own path")?;
        let mut demo = Command::new(lab);
        demo.arg("demo").arg("--daemon").arg(daemon);
        let printed = terminal::show(demo).context("the demonstration")?;
        self.write("demo", "cargo lab demo", ending(&printed))
    }

    /// `vip-elector status` on a host of a cluster that has just moved its address.
    pub(super) fn draw_status(&self, daemon: &Path) -> anyhow::Result<()> {
        let program = Program::manager(daemon).args([
            format!("--health-url={LOCAL_URL}"),
            "--health-interval=100ms".to_owned(),
        ]);
        let mut cluster = Setup::new().daemon(program).start()?;
        let mut leader = cluster
            .settle(SETTLE_LIMIT)
            .with_context(|| cluster.logs())?;
        for fault in [Fault::Switchover, Fault::LocalHealth] {
            let outcome = drill::run(&mut cluster, fault, &leader, |_| ())?;
            leader = outcome.settled.with_context(|| cluster.logs())?;
        }
        until("each host to say how it is", SETTLE_LIMIT, || {
            let shown = status(&cluster, &leader, daemon)
                .and_then(|mut status| Ok(status.output()?.stdout))
                .map_err(|error| error.to_string())?;
            let shown = String::from_utf8_lossy(&shown).into_owned();
            match shown.contains("by its own word") {
                false => Ok(()),
                true => Err(shown),
            }
        })?;
        let printed =
            terminal::show(status(&cluster, &leader, daemon)?).context("vip-elector status")?;
        self.write("status", "vip-elector status", &printed)
    }

    fn write(&self, name: &str, title: &str, printed: &str) -> anyhow::Result<()> {
        let path = self.out.join(format!("{name}.svg"));
        std::fs::create_dir_all(&self.out)
            .and_then(|()| std::fs::write(&path, drawing::draw(title, printed)))
            .with_context(|| format!("{} could not be written", path.display()))
    }
}

/// The last fault and the table.
fn ending(printed: &str) -> &str {
    let last = Fault::ALL.len();
    let chapter = format!("{last} of {last}: ");
    printed.rfind(&chapter).map_or(printed, |at| {
        &printed[printed[..at].rfind('\n').unwrap_or(0)..]
    })
}

fn status(cluster: &Cluster, host: &str, daemon: &Path) -> anyhow::Result<Command> {
    let host = cluster.host(host)?;
    let mut status = host.command(daemon);
    let config = host.directory().join("vip-manager.yml");
    status.arg("status").arg("--vip-manager-config").arg(config);
    Ok(status)
}
