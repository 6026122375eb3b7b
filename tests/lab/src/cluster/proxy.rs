//! Driver: what stands between a daemon and its agent, and may pass things on late, in part or not
//! at all.

mod connection;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::Error;
use super::setup::failed;
use crate::netns::Namespace;
use crate::worker::{Stop, Wake, Worker};

/// What happens to each request, and to its answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Trouble {
    /// Nothing.
    None,
    /// The request arrives late: even when whoever sent it has given up on it.
    LateRequests(Duration),
    /// The answer arrives late.
    LateAnswers(Duration),
    /// The request never arrives.
    LostRequests,
    /// The request is carried out, and the answer never arrives.
    LostAnswers,
    /// The request is carried out, and half of the answer arrives.
    CutAnswers,
    /// Nothing arrives on either side, nor does what was under way before.
    Silence,
    /// The connection is reset in the face of the request.
    Reset,
    /// The request is carried out by nobody, and answered with this status.
    Refused(u16),
}

/// A way to an agent. It ends when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    trouble: Shared,
    _worker: Worker,
}

impl Proxy {
    /// Starts listening on port `from`, for an agent on port `to`, both on the 127.0.0.1 of `host`.
    pub fn start(host: &Namespace, from: u16, to: u16) -> Result<Self, Error> {
        let trouble = Arc::new(Mutex::new(Trouble::None));
        let shared = Arc::clone(&trouble);
        let agent = SocketAddr::from((Ipv4Addr::LOCALHOST, to));
        // Threads are where the thread is that starts them.
        let worker = host
            .enter(move || {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, from))?;
                listener.set_nonblocking(true)?;
                Worker::start("proxy", move |stop| {
                    serve_until(stop, &listener, agent, &shared);
                })
            })?
            .map_err(|cause| failed("start the proxy of", host.name(), cause))?;
        Ok(Self {
            trouble,
            _worker: worker,
        })
    }

    /// Sets what happens from the next request on; and to what is under way, if it is silence.
    pub fn set(&self, trouble: Trouble) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = trouble;
    }
}

/// Connections end with the listener: they are told by the same means.
fn serve_until(stop: Stop, listener: &TcpListener, agent: SocketAddr, trouble: &Shared) {
    let stop = Arc::new(stop);
    while stop.wait(listener, None) == Wake::Readable {
        let Ok((client, _)) = listener.accept() else {
            continue;
        };
        let (stop, trouble) = (Arc::clone(&stop), Arc::clone(trouble));
        // A connection that cannot be served is closed, which its client will notice.
        let _ = std::thread::Builder::new()
            .name("proxied".to_owned())
            .spawn(move || {
                let trouble = move || *trouble.lock().unwrap_or_else(PoisonError::into_inner);
                let _ = connection::serve(&stop, client, agent, trouble);
            });
    }
}

/// Set by the lab, read at every request.
type Shared = Arc<Mutex<Trouble>>;
