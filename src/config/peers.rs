//! Pure: how the hosts watch one another.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use super::describe::Lines;
use super::levels::{Levels, flag};
use super::option::{Resolver, Time, time_within};
use super::report::{Fault, Findings};

/// How hosts watch one another, so that a dead leader is missed sooner than Consul would miss it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peers {
    /// Where this host listens for heartbeats, over UDP; the port is never 0.
    pub listen: SocketAddr,
    /// The time from one heartbeat to the next; 10 ms to 10 s.
    pub interval: Duration,
}

const LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 8547);
const INTERVAL: Duration = Duration::from_millis(100);
const LEAST_INTERVAL: Duration = Duration::from_millis(10);
const MOST_INTERVAL: Duration = Duration::from_secs(10);

/// `None` where none is wanted, or a problem was reported.
pub(super) fn resolve(
    levels: &Levels<'_>,
    findings: &mut Findings,
    lines: &mut Lines,
) -> Option<Peers> {
    let flags = levels.flags;
    let mut resolver = Resolver { levels, findings };
    let watch = resolver.option(
        flag("--peer-watch", flags.peer_watch.as_ref()),
        "peer-watch",
        true,
        on_or_off,
    );
    let listen = resolver.option(
        flag("--peer-listen", flags.peer_listen.as_ref()),
        "peer-listen",
        LISTEN,
        listen_address,
    );
    let interval = resolver.option(
        flag("--peer-interval", flags.peer_interval.as_ref()),
        "peer-interval",
        Time::default(INTERVAL),
        time_within(LEAST_INTERVAL..=MOST_INTERVAL),
    );
    let shown = |on: &bool| if *on { "on" } else { "off" }.to_owned();
    lines.add("peer-watch", watch.as_ref(), shown);
    if !watch.is_some_and(|watch| watch.value) {
        let without = "peer-watch on";
        resolver.idle("peer-listen", listen.as_ref(), without);
        resolver.idle("peer-interval", interval.as_ref(), without);
        return None;
    }
    lines.add("peer-listen", listen.as_ref(), SocketAddr::to_string);
    lines.add("peer-interval", interval.as_ref(), Time::show);
    Some(Peers {
        listen: listen?.value,
        interval: interval?.value.duration,
    })
}

fn on_or_off(text: &str) -> Result<bool, Fault> {
    match text {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(Fault::NotOneOf { known: "on or off" }),
    }
}

fn listen_address(text: &str) -> Result<SocketAddr, Fault> {
    match text.parse::<SocketAddr>() {
        Ok(address) if address.port() != 0 && !address.ip().is_multicast() => Ok(address),
        Ok(_) | Err(_) => Err(Fault::PeerListen),
    }
}
