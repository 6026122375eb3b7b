//! Pure: the options that make a takeover faster, and those that say who is preferred.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::describe::Lines;
use super::levels::{Levels, flag};
use super::option::{Resolver, Time, boolean, number_within, time_within};
use super::origin::Sourced;
use super::report::{Fault, Findings};

/// How hosts watch one another, so that a dead leader is missed sooner than Consul would miss it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peers {
    /// Where this host listens for heartbeats, over UDP; the port is never 0.
    pub listen: SocketAddr,
    /// The time from one heartbeat to the next; 10 ms to 10 s.
    pub interval: Duration,
}

/// What was asked for. A field is `None` only where a problem was reported.
pub(super) struct Takeover {
    /// Zero for none.
    pub(super) liveness_ttl: Option<Sourced<Time>>,
    peer_watch: Option<Sourced<bool>>,
    peer_listen: Option<Sourced<SocketAddr>>,
    peer_interval: Option<Sourced<Time>>,
    pub(super) priority: Option<Sourced<i32>>,
    preempt: Option<Sourced<bool>>,
    preempt_delay: Option<Sourced<Time>>,
}

const LIVENESS_TTL: Duration = Duration::from_secs(3);
const PEER_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 8547);
const PEER_INTERVAL: Duration = Duration::from_millis(100);
const LEAST_PEER_INTERVAL: Duration = Duration::from_millis(10);
const MOST_PEER_INTERVAL: Duration = Duration::from_secs(10);
const PRIORITIES: std::ops::RangeInclusive<i32> = -1000..=1000;
const PREEMPT_DELAY: Duration = Duration::from_secs(60);
const MOST_PREEMPT_DELAY: Duration = Duration::from_secs(24 * 60 * 60);

impl Takeover {
    pub(super) fn resolve(levels: &Levels<'_>, findings: &mut Findings, lines: &mut Lines) -> Self {
        let flags = levels.flags;
        let mut resolver = Resolver { levels, findings };
        let takeover = Self {
            liveness_ttl: resolver.option(
                flag("--liveness-ttl", flags.liveness_ttl.as_ref()),
                "liveness-ttl",
                Time::default(LIVENESS_TTL),
                Time::parse,
            ),
            peer_watch: resolver.option(
                flag("--peer-watch", flags.peer_watch.as_ref()),
                "peer-watch",
                true,
                on_or_off,
            ),
            peer_listen: resolver.option(
                flag("--peer-listen", flags.peer_listen.as_ref()),
                "peer-listen",
                PEER_LISTEN,
                listen,
            ),
            peer_interval: resolver.option(
                flag("--peer-interval", flags.peer_interval.as_ref()),
                "peer-interval",
                Time::default(PEER_INTERVAL),
                time_within(LEAST_PEER_INTERVAL..=MOST_PEER_INTERVAL),
            ),
            priority: resolver.option(
                flag("--priority", flags.priority.as_ref()),
                "priority",
                0,
                number_within(PRIORITIES),
            ),
            preempt: resolver.option(
                flag("--preempt", flags.preempt.as_ref()),
                "preempt",
                false,
                boolean,
            ),
            preempt_delay: resolver.option(
                flag("--preempt-delay", flags.preempt_delay.as_ref()),
                "preempt-delay",
                Time::default(PREEMPT_DELAY),
                time_within(Duration::ZERO..=MOST_PREEMPT_DELAY),
            ),
        };
        takeover.describe(&mut resolver, lines);
        takeover
    }

    /// `None` where none is wanted, or a problem was reported.
    pub(super) fn peers(&self) -> Option<Peers> {
        self.peer_watch.as_ref().filter(|watch| watch.value)?;
        Some(Peers {
            listen: self.peer_listen.as_ref()?.value,
            interval: self.peer_interval.as_ref()?.value.duration,
        })
    }

    /// `None` where none is wanted, or a problem was reported.
    pub(super) fn liveness_ttl(&self) -> Option<Duration> {
        let ttl = self.liveness_ttl.as_ref()?.value.duration;
        (!ttl.is_zero()).then_some(ttl)
    }

    /// `None` where none is wanted, or a problem was reported.
    pub(super) fn preempt_after(&self) -> Option<Duration> {
        self.preempt.as_ref().filter(|preempt| preempt.value)?;
        Some(self.preempt_delay.as_ref()?.value.duration)
    }

    fn describe(&self, resolver: &mut Resolver<'_>, lines: &mut Lines) {
        lines.add("liveness-ttl", self.liveness_ttl.as_ref(), Time::show);
        let shown = |on: &bool| if *on { "on" } else { "off" }.to_owned();
        lines.add("peer-watch", self.peer_watch.as_ref(), shown);
        if self.peer_watch.as_ref().is_some_and(|watch| watch.value) {
            let listen = self.peer_listen.as_ref();
            lines.add("peer-listen", listen, SocketAddr::to_string);
            lines.add("peer-interval", self.peer_interval.as_ref(), Time::show);
        } else {
            let without = "peer-watch on";
            resolver.idle("peer-listen", self.peer_listen.as_ref(), without);
            resolver.idle("peer-interval", self.peer_interval.as_ref(), without);
        }
        lines.add("priority", self.priority.as_ref(), i32::to_string);
        lines.add("preempt", self.preempt.as_ref(), bool::to_string);
        if self.preempt.as_ref().is_some_and(|preempt| preempt.value) {
            lines.add("preempt-delay", self.preempt_delay.as_ref(), Time::show);
        } else {
            resolver.idle("preempt-delay", self.preempt_delay.as_ref(), "preempt");
        }
    }
}

fn on_or_off(text: &str) -> Result<bool, Fault> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(Fault::NotOneOf { known: "on or off" }),
    }
}

fn listen(text: &str) -> Result<SocketAddr, Fault> {
    match text.parse::<SocketAddr>() {
        Ok(address) if address.port() != 0 && !address.ip().is_multicast() => Ok(address),
        Ok(_) | Err(_) => Err(Fault::PeerListen),
    }
}
