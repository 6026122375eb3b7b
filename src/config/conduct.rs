//! Pure: the options on how an address behaves on its interface.

use std::time::Duration;

use super::describe::Lines;
use super::levels::{Levels, flag};
use super::option::{Resolver, Time, time_within};
use super::origin::Sourced;
use super::report::{Fault, Findings};

/// How the addresses of this host behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conduct {
    /// Whether the kernel looks for another holder before an IPv6 address may be used.
    pub ipv6_dad: bool,
    /// Whether this host uses an IPv6 address for its own connections.
    pub is_source: bool,
    /// How long a lost carrier is borne; at most 60 s.
    pub carrier_delay: Duration,
    /// How long others are asked for the address before it is added, if at all; at most 2 s.
    pub probe: Option<Duration>,
}

/// What was asked for. A field is `None` only where a problem was reported.
pub(super) struct Asked {
    ipv6_dad: Option<Sourced<bool>>,
    vip_source: Option<Sourced<bool>>,
    carrier_delay: Option<Sourced<Time>>,
    probe: Option<Sourced<Time>>,
}

const CARRIER_DELAY: Duration = Duration::from_millis(300);
const MOST_CARRIER_DELAY: Duration = Duration::from_secs(60);
const MOST_PROBE: Duration = Duration::from_secs(2);

impl Asked {
    pub(super) fn resolve(
        levels: &Levels<'_>,
        manage_vip: bool,
        findings: &mut Findings,
        lines: &mut Lines,
    ) -> Self {
        let flags = levels.flags;
        let mut resolver = Resolver { levels, findings };
        let asked = Self {
            ipv6_dad: resolver.option(
                flag("--ipv6-dad", flags.ipv6_dad.as_ref()),
                "ipv6-dad",
                false,
                one_of("off", "on", "on or off"),
            ),
            vip_source: resolver.option(
                flag("--vip-source", flags.vip_source.as_ref()),
                "vip-source",
                false,
                one_of("avoid", "allow", "avoid or allow"),
            ),
            carrier_delay: resolver.option(
                flag("--carrier-delay", flags.carrier_delay.as_ref()),
                "carrier-delay",
                Time::default(CARRIER_DELAY),
                time_within(Duration::ZERO..=MOST_CARRIER_DELAY),
            ),
            probe: resolver.option(
                flag(
                    "--probe-before-takeover",
                    flags.probe_before_takeover.as_ref(),
                ),
                "probe-before-takeover",
                Time::default(Duration::ZERO),
                time_within(Duration::ZERO..=MOST_PROBE),
            ),
        };
        if manage_vip {
            asked.describe(lines);
        } else {
            let without = "manage-vip";
            resolver.idle("ipv6-dad", asked.ipv6_dad.as_ref(), without);
            resolver.idle("vip-source", asked.vip_source.as_ref(), without);
            resolver.idle("carrier-delay", asked.carrier_delay.as_ref(), without);
            resolver.idle("probe-before-takeover", asked.probe.as_ref(), without);
        }
        asked
    }

    fn describe(&self, lines: &mut Lines) {
        let either = |no: &'static str, yes: &'static str| {
            move |is: &bool| if *is { yes } else { no }.to_owned()
        };
        lines.add("ipv6-dad", self.ipv6_dad.as_ref(), either("off", "on"));
        let source = self.vip_source.as_ref();
        lines.add("vip-source", source, either("avoid", "allow"));
        lines.add("carrier-delay", self.carrier_delay.as_ref(), Time::show);
        lines.add("probe-before-takeover", self.probe.as_ref(), Time::show);
    }

    /// `None` where a problem was reported.
    pub(super) fn conduct(&self) -> Option<Conduct> {
        let probe = self.probe.as_ref()?.value.duration;
        Some(Conduct {
            ipv6_dad: self.ipv6_dad.as_ref()?.value,
            is_source: self.vip_source.as_ref()?.value,
            carrier_delay: self.carrier_delay.as_ref()?.value.duration,
            probe: (!probe.is_zero()).then_some(probe),
        })
    }
}

fn one_of(
    no: &'static str,
    yes: &'static str,
    known: &'static str,
) -> impl FnOnce(&str) -> Result<bool, Fault> {
    move |text| {
        if text == yes {
            Ok(true)
        } else if text == no {
            Ok(false)
        } else {
            Err(Fault::NotOneOf { known })
        }
    }
}
