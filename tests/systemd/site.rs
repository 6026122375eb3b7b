//! A machine with the project's units, a Consul, and an interface for a virtual IP.

use std::error::Error;
use std::fs;
use std::path::Path;
use std::time::Duration;

use libtest_mimic::Trial;
use serde_json::{Value, json};
use vip_lab::machine::Machine;
use vip_lab::parts;
use vip_lab::time::{Timeout, until};

use crate::DAEMON;

/// As `vip-elector.service` is called in most tests.
pub(crate) const UNIT: &str = "vip-elector.service";

/// The trigger key of the group of `/etc/vip-manager.yml`.
pub(crate) const KEY: &str = "service/demo/leader";

/// Its virtual IP.
pub(crate) const VIP: &str = "10.77.0.200";

/// Long enough for anything that happens at all, on a machine that is busy.
pub(crate) const LIMIT: Duration = Duration::from_secs(40);

pub(crate) type Outcome = Result<(), Box<dyn Error>>;

/// Makes a trial with a machine of its own.
pub(crate) fn trial(name: &str, test: fn(&Site) -> Outcome) -> Trial {
    Trial::test(name, move || {
        let site = Site::boot()?;
        test(&site)
            .map_err(|error| format!("{error}\n\nits journal:\n{}", site.whole_journal()))?;
        Ok(())
    })
}

pub(crate) struct Site {
    machine: Machine,
}

impl Site {
    /// Boots the machine, and starts Consul, whose check `vip-http` passes.
    fn boot() -> Result<Self, Box<dyn Error>> {
        let consul = parts::consul()?;
        let vip_manager = parts::vip_manager()?;
        let programs: [(&Path, &str); 3] = [
            (Path::new(DAEMON), "vip-elector"),
            (&consul, "consul"),
            (&vip_manager, "vip-manager"),
        ];
        let machine = Machine::boot("host1", &programs)?;
        let network = machine.network();
        network.ip(&[
            "link", "add", "vip0", "type", "veth", "peer", "name", "vip1",
        ])?;
        network.ip(&["address", "add", "10.77.0.1/24", "dev", "vip0"])?;
        for link in ["vip0", "vip1"] {
            network.ip(&["link", "set", link, "up"])?;
        }
        let site = Self { machine };
        for unit in [UNIT, "vip-elector@.service"] {
            site.install(unit, unit)?;
        }
        site.group("/etc/vip-manager.yml", KEY, VIP, "")?;
        let check =
            json!({ "id": "vip-http", "name": "health", "ttl": "24h", "status": "passing" });
        let config = json!({ "service": { "name": "vip-guard", "check": check } });
        site.write("/etc/consul.json", &config.to_string())?;
        site.write(
            "/etc/systemd/system/consul.service",
            "[Service]\nExecStart=/usr/local/bin/consul agent -dev -log-level=warn -node=host1 -config-file=/etc/consul.json\n",
        )?;
        site.systemctl(&["daemon-reload"])?;
        site.systemctl(&["start", "consul"])?;
        until("consul to answer", LIMIT, || {
            let checks = "http://127.0.0.1:8500";
            site.run(&["consul", "catalog", "services", "-http-addr", checks])
                .map_err(|error| error.to_string())
                .and_then(|said| said.contains("vip-guard").then_some(()).ok_or(said))
        })?;
        Ok(site)
    }

    /// Puts a file of `systemd/` to where it is installed.
    pub(crate) fn install(&self, from: &str, to: &str) -> Outcome {
        let file = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("systemd")
            .join(from);
        self.write(
            &format!("/etc/systemd/system/{to}"),
            &fs::read_to_string(file)?,
        )
    }

    /// Installs the drop-in by which the daemon holds the address, of a unit or a template.
    pub(crate) fn hold_the_address(&self, unit: &str) -> Outcome {
        self.install(
            "vip-elector.service.d/manage-vip.conf",
            &format!("{unit}.d/manage-vip.conf"),
        )?;
        self.systemctl(&["daemon-reload"])
    }

    /// Adds to a unit.
    pub(crate) fn drop_in(&self, unit: &str, text: &str) -> Outcome {
        self.write(&format!("/etc/systemd/system/{unit}.d/zz-test.conf"), text)?;
        self.systemctl(&["daemon-reload"])
    }

    /// Writes a group's file.
    pub(crate) fn group(&self, path: &str, key: &str, vip: &str, more: &str) -> Outcome {
        let text = format!(
            "ip: {vip}\nnetmask: 24\ninterface: vip0\ntrigger-key: {key}\ntrigger-value: host1\n\
             dcs-type: consul\ndcs-endpoints: [http://127.0.0.1:8500]\ninterval: 200\n{more}"
        );
        self.write(path, &text)
    }

    pub(crate) fn write(&self, path: &str, text: &str) -> Outcome {
        Ok(self.machine.write(path, text)?)
    }

    /// Runs a command, and returns what it printed.
    pub(crate) fn run(&self, line: &[&str]) -> Result<String, Box<dyn Error>> {
        Ok(self.machine.run(line)?)
    }

    pub(crate) fn machine(&self) -> &Machine {
        &self.machine
    }

    pub(crate) fn systemctl(&self, arguments: &[&str]) -> Outcome {
        self.run(&[&["systemctl"], arguments].concat()).map(drop)
    }

    /// Returns a property of a unit.
    pub(crate) fn property(&self, unit: &str, name: &str) -> Result<String, Box<dyn Error>> {
        let said = self.run(&["systemctl", "show", "--value", "--property", name, unit])?;
        Ok(said.trim().to_owned())
    }

    /// Waits until a property of a unit is as wanted, and returns it.
    pub(crate) fn wait_for(
        &self,
        unit: &str,
        name: &str,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<String, Timeout> {
        until(&format!("{name} of {unit}"), LIMIT, || {
            let value = self
                .property(unit, name)
                .map_err(|error| error.to_string())?;
            if wanted(&value) {
                Ok(value)
            } else {
                Err(format!("it is {value:?}"))
            }
        })
    }

    /// Waits until the unit's status line has `text` in it, and returns the line.
    pub(crate) fn wait_for_status(&self, unit: &str, text: &str) -> Result<String, Timeout> {
        self.wait_for(unit, "StatusText", |line| line.contains(text))
    }

    /// Returns a field of the main process's `/proc/PID/status`.
    pub(crate) fn process_field(&self, unit: &str, field: &str) -> Result<String, Box<dyn Error>> {
        let pid = self.property(unit, "MainPID")?;
        let status = self.run(&["cat", &format!("/proc/{pid}/status")])?;
        let mut fields = status.lines().filter_map(|line| line.split_once(':'));
        let value = fields
            .find(|(name, _)| *name == field)
            .map(|(_, value)| value.trim().to_owned());
        value.ok_or_else(|| format!("no {field} in {status}").into())
    }

    /// Returns the unit's entries in the journal, those of systemd about it included.
    pub(crate) fn journal(&self, unit: &str) -> Result<Vec<Value>, Box<dyn Error>> {
        let said = self.run(&["journalctl", "--output=json", "--all", "--unit", unit])?;
        Ok(said
            .lines()
            .map(serde_json::from_str)
            .collect::<Result<_, _>>()?)
    }

    /// Waits for the `count`th entry of the unit whose message has `text` in it, and returns it.
    pub(crate) fn wait_for_entry(
        &self,
        unit: &str,
        text: &str,
        count: usize,
    ) -> Result<Value, Timeout> {
        until(
            &format!("{count} times {text:?} in the journal"),
            LIMIT,
            || {
                let entries = self.journal(unit).map_err(|error| error.to_string())?;
                let mut found = entries
                    .into_iter()
                    .filter(|entry| message(entry).contains(text));
                found
                    .nth(count - 1)
                    .ok_or_else(|| "there are fewer".to_owned())
            },
        )
    }

    /// Returns what Consul has at a key: `Session`, `LockIndex`, `ModifyIndex`, `Value`, each in a line.
    pub(crate) fn key(&self, key: &str) -> Result<String, Box<dyn Error>> {
        self.run(&["consul", "kv", "get", "-detailed", key])
    }

    /// Returns whether the kernel has an address on the interface.
    pub(crate) fn has(&self, address: &str) -> Result<bool, Box<dyn Error>> {
        let addresses = self
            .machine
            .network()
            .ip(&["-o", "address", "show", "dev", "vip0"])?;
        Ok(addresses.contains(&format!("inet {address}/")))
    }

    /// Waits until the kernel has the address, or has it no longer.
    pub(crate) fn wait_for_address(&self, address: &str, wanted: bool) -> Result<(), Timeout> {
        until(&format!("{address} to be there: {wanted}"), LIMIT, || {
            let there = self.has(address).map_err(|error| error.to_string())?;
            (there == wanted)
                .then_some(())
                .ok_or_else(|| format!("it is there: {there}"))
        })
    }

    fn whole_journal(&self) -> String {
        let said = self.run(&[
            "journalctl",
            "--no-pager",
            "--lines=60",
            "--output=short-precise",
        ]);
        said.unwrap_or_else(|error| error.to_string())
    }
}

/// Returns the message of an entry.
pub(crate) fn message(entry: &Value) -> &str {
    entry["MESSAGE"].as_str().unwrap_or_default()
}
