//! Pure: who reaches whom, and how fast.

use std::time::Duration;

use fastrand::Rng;

use crate::fault::{Ways, Weather};

/// More nodes than any schedule has.
const NODES: usize = 4;

/// Even in good weather now and then a message is lost, late or doubled.
const FINE: Weather = Weather {
    loss: 0.001,
    twice: 0.002,
    late: 0.003,
    by: LATEST,
};

/// No message is later than this.
pub const LATEST: Duration = Duration::from_secs(8);

/// The links between nodes, between each node's daemon and its agent, and the weather on all of them.
#[derive(Debug, Default)]
pub struct Network {
    cuts: [[u32; NODES]; NODES],
    /// Of the datagrams between daemons alone.
    peers: [[u32; NODES]; NODES],
    /// By how many faults old datagrams are sent again.
    pub replays: u32,
    /// From daemon to agent, and back.
    local: [[u32; 2]; NODES],
    weather: Vec<(usize, Weather)>,
    /// No message is ever lost, late or doubled.
    calm: bool,
}

impl Network {
    /// Returns a network without any weather.
    pub fn calm() -> Self {
        Self {
            calm: true,
            ..Self::default()
        }
    }

    /// Says whether messages of one node reach another.
    pub fn passes(&self, from: usize, to: usize) -> bool {
        from == to || self.cuts[from][to] == 0
    }

    /// Says whether two nodes reach each other.
    pub fn joined(&self, a: usize, b: usize) -> bool {
        self.passes(a, b) && self.passes(b, a)
    }

    /// Says whether a daemon's requests reach its agent.
    pub const fn asks(&self, node: usize) -> bool {
        self.local[node][0] == 0
    }

    /// Says whether an agent's answers reach its daemon.
    pub const fn hears(&self, node: usize) -> bool {
        self.local[node][1] == 0
    }

    /// Says whether datagrams of one node's daemon reach another's.
    pub fn talks(&self, from: usize, to: usize) -> bool {
        self.passes(from, to) && self.peers[from][to] == 0
    }

    /// Cuts (or with `heal` mends) the links between two nodes, as seen from the first.
    pub fn cut(&mut self, a: usize, b: usize, ways: Ways, heal: bool) {
        cut(&mut self.cuts, a, b, ways, heal);
    }

    /// Does the same to nothing but the datagrams between their daemons.
    pub fn cut_peers(&mut self, a: usize, b: usize, ways: Ways, heal: bool) {
        cut(&mut self.peers, a, b, ways, heal);
    }

    /// Cuts (or with `heal` mends) the link between a daemon and its agent.
    pub fn cut_local(&mut self, node: usize, ways: Ways, heal: bool) {
        let (out, into) = directions(ways);
        count(&mut self.local[node][0], out, heal);
        count(&mut self.local[node][1], into, heal);
    }

    /// Begins (or with `None` ends) the weather of a fault.
    pub fn weather(&mut self, fault: usize, weather: Option<Weather>) {
        match weather {
            Some(weather) => self.weather.push((fault, weather)),
            None => self.weather.retain(|(of, _)| *of != fault),
        }
    }

    /// Draws how long a message is under way; `None` where it is lost.
    pub fn transit(&self, draw: &mut Rng) -> Option<Duration> {
        let weather = self.now();
        let fate = draw.f64();
        if fate < weather.loss {
            return None;
        }
        if fate < weather.loss + weather.late {
            let share = draw.f64();
            return Some(weather.by.mul_f64(share * share));
        }
        Some(Duration::from_micros(draw.u64(60..900)))
    }

    /// Draws whether a message is delivered twice.
    pub fn doubled(&self, draw: &mut Rng) -> bool {
        draw.f64() < self.now().twice
    }

    fn now(&self) -> Weather {
        let usual = if self.calm { Weather::default() } else { FINE };
        self.weather.last().map_or(usual, |(_, weather)| *weather)
    }
}

fn cut(cuts: &mut [[u32; NODES]; NODES], a: usize, b: usize, ways: Ways, heal: bool) {
    if a == b {
        return;
    }
    let (out, into) = directions(ways);
    count(&mut cuts[a][b], out, heal);
    count(&mut cuts[b][a], into, heal);
}

const fn directions(ways: Ways) -> (bool, bool) {
    match ways {
        Ways::Both => (true, true),
        Ways::Out => (true, false),
        Ways::In => (false, true),
    }
}

const fn count(cuts: &mut u32, hit: bool, heal: bool) {
    if hit {
        *cuts = if heal {
            cuts.saturating_sub(1)
        } else {
            *cuts + 1
        };
    }
}
