//! Driver: a client that asks an address every few milliseconds who it is.
//!
//! It is an ordinary host with an ordinary neighbour table: after a move it goes on sending to the
//! old host's hardware address until somebody tells it better.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{Error, responder};
use crate::history::History;
use crate::netns::Namespace;
use crate::worker::{Stop, Wake, Worker, hurry};

/// How old an answer may be to say who answers now.
const A_MOMENT: Duration = Duration::from_millis(100);

/// An answer that reached the client.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Answer {
    /// When it arrived.
    pub at: Instant,
    /// The name of the host that answered.
    pub by: Arc<str>,
    /// Which question it answers, counted from 0.
    pub to: u64,
}

/// A client at work.
#[derive(Debug)]
pub struct Probe {
    questions: History<Instant>,
    answers: History<Answer>,
    _worker: Worker,
}

impl Probe {
    /// The usual time between two questions: nothing shorter than it can be told from the rhythm.
    pub const INTERVAL: Duration = Duration::from_millis(4);

    /// Starts asking `address` from `client`, every `interval`.
    pub fn start(
        client: &Namespace,
        address: impl Into<IpAddr>,
        interval: Duration,
    ) -> Result<Self, Error> {
        let address = address.into();
        let any: IpAddr = match address {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = client
            .enter(|| UdpSocket::bind((any, 0)))?
            .and_then(|socket| {
                // Connected, so that only answers from that very address count.
                socket.connect((address, responder::PORT))?;
                socket.set_nonblocking(true)?;
                Ok(socket)
            })
            .map_err(|cause| Error::Socket("open", cause))?;
        let (questions, answers) = (History::default(), History::default());
        let records = (questions.clone(), answers.clone());
        let worker = Worker::start("probe", move |stop| {
            probe_until(&stop, &socket, interval, &records.0, &records.1);
        })
        .map_err(|cause| Error::Socket("start a thread for", cause))?;
        Ok(Self {
            questions,
            answers,
            _worker: worker,
        })
    }

    /// Returns when each question was asked. Only a question without an answer is lost: a client that
    /// had to wait for its turn has asked nothing, and heard nothing.
    pub fn questions(&self) -> &History<Instant> {
        &self.questions
    }

    /// Returns the record of answers, for reading and waiting.
    pub fn history(&self) -> &History<Answer> {
        &self.answers
    }

    /// Returns who answers now: the last to do so, if that was a moment ago.
    pub fn now(&self) -> Option<Arc<str>> {
        let last = self.answers.read(|answers| answers.last().cloned())?;
        (last.at.elapsed() < A_MOMENT).then_some(last.by)
    }

    /// Returns every answer so far, in order of arrival.
    pub fn answers(&self) -> Vec<Answer> {
        self.answers.read(<[_]>::to_vec)
    }
}

fn probe_until(
    stop: &Stop,
    socket: &UdpSocket,
    interval: Duration,
    questions: &History<Instant>,
    answers: &History<Answer>,
) {
    hurry();
    let mut names: Vec<Arc<str>> = Vec::new();
    let mut next = Instant::now();
    loop {
        match stop.wait(socket, Some(next.saturating_duration_since(Instant::now()))) {
            Wake::Stopped => return,
            Wake::TimedOut => {
                let number = questions.len() as u64;
                questions.push(Instant::now());
                // Nobody there, or an unreachable network, is what silence means here.
                let _ = socket.send(&number.to_be_bytes());
                // After a pause of this thread the rhythm goes on; it does not catch up.
                next = Instant::now().max(next + interval);
            }
            Wake::Readable => {
                let mut answer = [0; 64];
                if let Ok(length) = socket.recv(&mut answer)
                    && let Some((number, name)) = answer[..length].split_first_chunk()
                {
                    let by = intern(&mut names, &String::from_utf8_lossy(name));
                    answers.push(Answer {
                        at: Instant::now(),
                        by,
                        to: u64::from_be_bytes(*number),
                    });
                }
            }
        }
    }
}

/// Returns the one copy of a name.
fn intern(names: &mut Vec<Arc<str>>, name: &str) -> Arc<str> {
    if let Some(known) = names.iter().find(|known| known.as_ref() == name) {
        return Arc::clone(known);
    }
    let name: Arc<str> = name.into();
    names.push(Arc::clone(&name));
    name
}
