//! Driver: prints who holds the lock, who has the address and who answers, whenever that changes.

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use vip_lab::cluster::{Agent, Cluster};
use vip_lab::history::History;
use vip_lab::witness::{AddressEvent, Answer, Change};
use vip_lab::worker::{Stop, Worker};

use crate::screen::Screen;

/// How often the view looks; the times that it prints are those of the witnesses.
const PERIOD: Duration = Duration::from_millis(50);
/// Silence is shown when it has lasted so long.
const SILENCE: Duration = Duration::from_millis(250);

/// A running view; it ends when it is dropped.
#[derive(Debug)]
pub(super) struct View {
    seen: Arc<Mutex<Seen>>,
    _worker: Worker,
}

impl View {
    /// Starts printing, with what has been seen before.
    pub(super) fn start(cluster: &Cluster, screen: Screen) -> io::Result<Self> {
        Self::start_from(cluster, screen, (0, 0))
    }

    /// Starts printing what is new.
    pub(super) fn start_now(cluster: &Cluster, screen: Screen) -> io::Result<Self> {
        let seen = (
            cluster.addresses().history().len(),
            cluster.probe().history().len(),
        );
        Self::start_from(cluster, screen, seen)
    }

    fn start_from(
        cluster: &Cluster,
        screen: Screen,
        (addresses_seen, answers_seen): (usize, usize),
    ) -> io::Result<Self> {
        let seen = Arc::new(Mutex::new(Seen {
            screen,
            vip: cluster.vip(),
            addresses: cluster.addresses().history().clone(),
            answers: cluster.probe().history().clone(),
            addresses_seen,
            answers_seen,
            answering: None,
        }));
        let agents: Vec<Agent> = cluster.hosts().iter().map(|host| host.agent()).collect();
        let key = cluster.key().to_owned();
        let worker = Worker::start("view", {
            let seen = Arc::clone(&seen);
            move |stop| look_until(&stop, &seen, screen, &agents, &key)
        })?;
        Ok(Self {
            seen,
            _worker: worker,
        })
    }

    /// Prints what the witnesses have seen so far, before something else is printed.
    pub(super) fn catch_up(&self) {
        catch_up(&self.seen);
    }
}

/// What the witnesses have seen, and how much of that is printed.
#[derive(Debug)]
struct Seen {
    screen: Screen,
    vip: IpAddr,
    addresses: History<AddressEvent>,
    answers: History<Answer>,
    addresses_seen: usize,
    answers_seen: usize,
    /// The last answer of the host that was last printed as answering.
    answering: Option<Answer>,
}

fn look_until(stop: &Stop, seen: &Mutex<Seen>, screen: Screen, agents: &[Agent], key: &str) {
    let mut printed = None;
    while stop.pause(PERIOD) {
        catch_up(seen);
        // Whoever still has a leader speaks for the majority.
        let nearby = agents
            .iter()
            .find_map(|agent| agent.key_nearby(key).ok().flatten());
        let Some(entry) = nearby else { continue };
        let holder = entry
            .filter(|entry| entry.session.is_some())
            .and_then(|entry| entry.value);
        if holder != printed {
            screen.change(
                Instant::now(),
                &match &holder {
                    Some(host) => format!("lock     {host}"),
                    None => "lock     nobody".to_owned(),
                },
            );
            printed = holder;
        }
    }
}

fn catch_up(seen: &Mutex<Seen>) {
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    let mut lines = seen.changed_addresses();
    lines.extend(seen.changed_answers());
    lines.sort_by_key(|(at, _)| *at);
    for (at, text) in lines {
        seen.screen.change(at, &text);
    }
}

impl Seen {
    fn changed_addresses(&mut self) -> Vec<(Instant, String)> {
        let new = self
            .addresses
            .read(|events| events[self.addresses_seen..].to_vec());
        self.addresses_seen += new.len();
        let ours = new.into_iter().filter(|event| event.address == self.vip);
        ours.map(|event| {
            let verb = match event.change {
                Change::Appeared => "has",
                Change::Gone => "no longer has",
            };
            (
                event.at,
                format!("address  {} {verb} {}", event.host, self.vip),
            )
        })
        .collect()
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
                lines.push((answer.at, format!("client   hears {}", answer.by)));
            }
            self.answering = Some(answer);
        }
        if let Some(last) = self.answering.take_if(|last| last.at.elapsed() > SILENCE) {
            lines.push((last.at, "client   hears nobody".to_owned()));
        }
        lines
    }
}
