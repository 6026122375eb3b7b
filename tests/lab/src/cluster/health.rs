//! Driver: an endpoint that tells of a host's health, and that the lab can make fail. A host has two:
//! the one that Consul's check asks, and one for whoever looks at the host without Consul.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::netns::{self, Namespace};
use crate::worker::{Stop, Wake, Worker};

/// The port of what Consul's check asks, `http://127.0.0.1:9000/healthz`.
pub(super) const PORT: u16 = 9000;
/// The port of [`LOCAL_URL`].
pub(super) const LOCAL_PORT: u16 = 9001;

/// Where every host tells of its health without Consul.
pub const LOCAL_URL: &str = "http://127.0.0.1:9001/healthz";

/// The service that the virtual IP is for, as far as its health goes.
#[derive(Debug)]
pub(super) struct Endpoint {
    healthy: Arc<AtomicBool>,
    _worker: Worker,
}

impl Endpoint {
    /// Starts answering 200.
    pub(super) fn start(host: &Namespace, port: u16) -> Result<io::Result<Self>, netns::Error> {
        let listener = host.enter(|| TcpListener::bind((Ipv4Addr::LOCALHOST, port)))?;
        Ok(listener.and_then(|listener| {
            listener.set_nonblocking(true)?;
            let healthy = Arc::new(AtomicBool::new(true));
            let state = Arc::clone(&healthy);
            let worker =
                Worker::start("health", move |stop| serve_until(&stop, &listener, &state))?;
            Ok(Self {
                healthy,
                _worker: worker,
            })
        }))
    }

    /// Answers 200, or 503.
    pub(super) fn set(&self, healthy: bool) {
        self.healthy.store(healthy, Ordering::Relaxed);
    }
}

fn serve_until(stop: &Stop, listener: &TcpListener, healthy: &AtomicBool) {
    while stop.wait(listener, None) == Wake::Readable {
        if let Ok((client, _)) = listener.accept() {
            // A client that hangs up early will ask again.
            let _ = answer(client, healthy.load(Ordering::Relaxed));
        }
    }
}

fn answer(mut client: TcpStream, healthy: bool) -> io::Result<()> {
    client.set_nonblocking(false)?;
    client.set_read_timeout(Some(Duration::from_millis(500)))?;
    let (mut request, mut block) = (Vec::new(), [0; 1024]);
    while !request.ends_with(b"\r\n\r\n") {
        match client.read(&mut block)? {
            0 => return Ok(()),
            length => request.extend_from_slice(&block[..length]),
        }
    }
    let status = if healthy {
        "200 OK"
    } else {
        "503 Service Unavailable"
    };
    write!(
        client,
        "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    )
}
