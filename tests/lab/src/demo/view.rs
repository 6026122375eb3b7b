//! Driver: prints who holds the lock, who has the address and who answers, whenever that changes.

use std::io;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use vip_lab::cluster::{Agent, Cluster};
use vip_lab::history::History;
use vip_lab::witness::{AddressEvent, Answer, Change};
use vip_lab::worker::{Stop, Worker};

use super::screen::Screen;

/// How often the view looks; the times that it prints are those of the witnesses.
const PERIOD: Duration = Duration::from_millis(50);
/// Silence is shown when it has lasted so long.
const SILENCE: Duration = Duration::from_millis(100);

/// A running view; it ends when it is dropped.
#[derive(Debug)]
pub(super) struct View {
    _worker: Worker,
}

impl View {
    /// Starts printing.
    pub(super) fn start(cluster: &Cluster, screen: Screen) -> io::Result<Self> {
        let state = State {
            screen,
            vip: cluster.vip().into(),
            key: cluster.key().to_owned(),
            agents: cluster.hosts().iter().map(|host| host.agent()).collect(),
            addresses: cluster.addresses().history().clone(),
            answers: cluster.probe().history().clone(),
            addresses_seen: cluster.addresses().history().len(),
            answers_seen: cluster.probe().history().len(),
            lock: None,
            answering: None,
        };
        let worker = Worker::start("view", move |stop| state.look_until(&stop))?;
        Ok(Self { _worker: worker })
    }
}

struct State {
    screen: Screen,
    vip: IpAddr,
    key: String,
    agents: Vec<Agent>,
    addresses: History<AddressEvent>,
    answers: History<Answer>,
    addresses_seen: usize,
    answers_seen: usize,
    /// Who holds the lock, as last printed.
    lock: Option<String>,
    /// The last answer of the host that was last printed as answering.
    answering: Option<Answer>,
}

impl State {
    fn look_until(mut self, stop: &Stop) {
        while stop.pause(PERIOD) {
            let mut lines = self.changed_addresses();
            lines.extend(self.changed_answers());
            lines.extend(self.changed_lock());
            lines.sort_by_key(|(at, _)| *at);
            for (at, text) in lines {
                self.screen.change(at, &text);
            }
        }
    }

    fn changed_addresses(&mut self) -> Vec<(Instant, String)> {
        let (seen, vip) = (self.addresses_seen, self.vip);
        let (lines, length) = self.addresses.read(|events| {
            let new = events[seen..].iter().filter(|event| event.address == vip);
            let lines: Vec<_> = new
                .map(|event| match event.change {
                    Change::Appeared => (event.at, format!("address  {} has {vip}", event.host)),
                    Change::Gone => (
                        event.at,
                        format!("address  {} no longer has {vip}", event.host),
                    ),
                })
                .collect();
            (lines, events.len())
        });
        self.addresses_seen = length;
        lines
    }

    fn changed_answers(&mut self) -> Vec<(Instant, String)> {
        let new = self
            .answers
            .read(|answers| answers[self.answers_seen..].to_vec());
        self.answers_seen += new.len();
        let mut lines = Vec::new();
        for answer in new {
            if self
                .answering
                .as_ref()
                .is_none_or(|last| last.by != answer.by)
            {
                lines.push((answer.at, format!("client   {} answers", answer.by)));
            }
            self.answering = Some(answer);
        }
        if let Some(last) = self.answering.take_if(|last| last.at.elapsed() > SILENCE) {
            lines.push((last.at, "client   nobody answers any more".to_owned()));
        }
        lines
    }

    fn changed_lock(&mut self) -> Option<(Instant, String)> {
        // Whoever still has a leader speaks for the majority.
        let key = self
            .agents
            .iter()
            .find_map(|agent| agent.key_nearby(&self.key).ok().flatten())?;
        let holder = key
            .filter(|key| key.session.is_some())
            .and_then(|key| key.value);
        if holder == self.lock {
            return None;
        }
        let text = match &holder {
            Some(host) => format!("lock     {host} holds it"),
            None => "lock     nobody holds it".to_owned(),
        };
        self.lock = holder;
        Some((Instant::now(), text))
    }
}
