//! Pure: what carries many groups on a host, and how it is set up.

use std::path::Path;

use vip_lab::cluster::{CHECK_ID, Group, Program, Setup};
use vip_lab::usage;

use super::super::stack::Programs;
use super::scene::RHYTHM;

/// Starts `$0` with all other arguments once for each group, each with a port of its own for heartbeats,
/// and ends when all of them have ended; whoever signals the process group signals them as well.
const ONE_FOR_EACH: &str = r#"
trap : TERM
port=8547
for file in {directory}/groups/*.yml; do
  "$0" --vip-manager-config="$file" --peer-listen=0.0.0.0:$port "$@" &
  port=$((port + 1))
done
wait
wait
"#;

/// Something that carries groups.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Carrier {
    /// vip-elector: one process for all.
    One,
    /// vip-elector: a process for each.
    Each,
    /// keepalived: an instance for each.
    Keepalived,
}

impl Carrier {
    /// Returns its name in tables.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::One => "vip-elector",
            Self::Each => "vip-elector, a process for each",
            Self::Keepalived => "keepalived",
        }
    }

    /// Returns the numbers of groups that it is measured with; none where that is the plan's.
    ///
    /// Fifty processes are more than an agent takes connections of (200 from one address); an interface
    /// has 255 virtual router ids.
    pub(super) fn groups(self) -> Option<&'static [u16]> {
        match self {
            Self::One => None,
            Self::Each => Some(&[1, 10, 30, 50]),
            Self::Keepalived => Some(&[1, 10, 100, 255]),
        }
    }

    /// Returns whether it makes the promise that never two hosts have an address.
    pub(super) fn promises(self) -> bool {
        match self {
            Self::One | Self::Each => true,
            Self::Keepalived => false,
        }
    }

    /// Returns the description of its cluster.
    ///
    /// # Errors
    /// What is missing, and how to get it.
    pub(super) fn setup(self, groups: u16, programs: &Programs) -> Result<Setup, String> {
        let counters = serde_json::from_str(usage::COUNTERS).map_err(|error| error.to_string())?;
        let setup = Setup::new()
            .groups(groups)
            .probe_every(RHYTHM)
            .consul(counters);
        let daemon = &programs.daemon;
        Ok(match self {
            Self::One => setup.daemon(Program::manager(daemon)),
            Self::Each => setup.daemon(one_for_each(daemon)),
            Self::Keepalived => {
                let program = Program::new(programs.keepalived.clone()?).args([
                    "--dont-fork",
                    "--log-console",
                    "--vrrp",
                    "--use-file={directory}/keepalived.conf",
                    "--pid={directory}/keepalived.pid",
                    "--vrrp_pid={directory}/vrrp.pid",
                ]);
                setup
                    .lockless()
                    .file("keepalived.conf", keepalived_conf(groups))
                    .daemon(program)
            }
        })
    }
}

fn one_for_each(daemon: &Path) -> Program {
    Program::new("/bin/sh")
        .args(["-c", ONE_FOR_EACH])
        .args([daemon.display().to_string()])
        .args([
            format!("--check-id={CHECK_ID}"),
            "--addr=127.0.0.1:8500".to_owned(),
            "--manage-vip".to_owned(),
        ])
}

/// All hosts have the same: every default, no priority and no preemption.
fn keepalived_conf(groups: u16) -> String {
    let instance = |number: u16| {
        let address = Group::numbered(number).address();
        format!(
            "vrrp_instance vip{number} {{
    state BACKUP
    nopreempt
    interface eth0
    virtual_router_id {number}
    virtual_ipaddress {{
        {address} dev eth0
    }}
}}
"
        )
    };
    (1..=groups).map(instance).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keepalived_has_an_instance_for_each_group() {
        let file = keepalived_conf(3);
        assert_eq!(file.matches("vrrp_instance").count(), 3);
        assert!(file.contains("virtual_router_id 3\n"));
        assert!(file.contains("fd00:77::1:2 dev eth0"));
    }
}
