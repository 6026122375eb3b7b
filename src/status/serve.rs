//! Applier: answers whoever asks how the daemon is.
//!
//! One task per listener, spawned by `daemon` and ended with it; aborted at any point it loses nothing. It
//! shares its thread with the elections, so that a client costs a bounded amount of everything: one question on
//! each connection, in a bounded time; so many connections at once, of which the oldest makes room; and so
//! many in a tenth of a second, after which the others wait in the kernel.

use std::collections::VecDeque;
use std::fs;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::Instant;
use tracing::{info, warn};

use crate::driver::clock;
use crate::status::board::Board;
use crate::status::http::{self, MAX_HEAD};
use crate::status::routes;

/// How long a connection may take, from its beginning to its end.
const PATIENCE: Duration = Duration::from_secs(3);

/// How many connections there may be at once.
const CONNECTIONS: usize = 32;

/// How many pieces a question may come in.
const READS: usize = 16;

/// How many are accepted in each [`WINDOW`]. Less than a millisecond's work, between two steps of an election.
const PACE: u32 = 16;

const WINDOW: Duration = Duration::from_millis(100);

/// How long to wait after a failure that will not be over at once.
const PAUSE: Duration = Duration::from_secs(1);

/// Whoever may write to the socket may ask: the daemon's user and group, and root. What is said is no
/// secret, but local users who have nothing to do with it need not take its time.
const MODE: u32 = 0o660;

/// A socket in the file system, which goes with this value.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    path: PathBuf,
    inode: u64,
}

impl Socket {
    /// Listens at `path`. What a process before has left there is removed: the caller is the only one of its
    /// group.
    ///
    /// # Errors
    ///
    /// When there is no such file to be had.
    pub fn bind(path: &Path) -> io::Result<Self> {
        match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let socket = Self {
            listener: UnixListener::bind(path)?,
            path: path.to_owned(),
            inode: fs::symlink_metadata(path)?.ino(),
        };
        fs::set_permissions(path, fs::Permissions::from_mode(MODE))?;
        Ok(socket)
    }

    /// Answers, for ever.
    #[expect(
        clippy::manual_async_fn,
        reason = "what an async function is given is there twice"
    )]
    pub fn serve(self, board: Board) -> impl Future<Output = ()> + Send {
        async move { serve(&self.listener, &board).await }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // The next process may have put its own there.
        if fs::symlink_metadata(&self.path).is_ok_and(|there| there.ino() == self.inode) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Answers over TCP, at the newest address, for as long as there is one to come.
pub async fn serve_tcp(mut listen: watch::Receiver<Option<SocketAddr>>, board: Board) {
    loop {
        let address = *listen.borrow_and_update();
        let serving = async {
            match address {
                Some(address) => serve(&bound(address).await, &board).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = serving => {}
            changed = listen.changed() => if changed.is_err() { return },
        }
    }
}

/// Waits for an address that may not be there yet, or may still be another program's.
async fn bound(address: SocketAddr) -> TcpListener {
    let mut said = None;
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => {
                info!(%address, "answering over http");
                return listener;
            }
            Err(error) => {
                let error = error.to_string();
                if said.as_ref() != Some(&error) {
                    warn!(
                        %address,
                        error,
                        "nobody can ask how this daemon is, trying again; free the port, or set --listen to an \
                         address of this host and a port from 1024 on"
                    );
                }
                said = Some(error);
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

trait Listener {
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    fn next(&self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

impl Listener for TcpListener {
    type Stream = TcpStream;

    async fn next(&self) -> io::Result<TcpStream> {
        Ok(self.accept().await?.0)
    }
}

impl Listener for UnixListener {
    type Stream = UnixStream;

    async fn next(&self) -> io::Result<UnixStream> {
        Ok(self.accept().await?.0)
    }
}

async fn serve<L: Listener>(listener: &L, board: &Board) {
    let mut tasks = JoinSet::new();
    let mut open: VecDeque<AbortHandle> = VecDeque::new();
    let mut window = (Instant::now(), 0);
    loop {
        if window.1 == PACE {
            // In a box, as all that is rare: there is one of these for each group.
            Box::pin(tokio::time::sleep_until(window.0 + WINDOW)).await;
        }
        let accepted = listener.next().await;
        if window.0.elapsed() >= WINDOW {
            window = (Instant::now(), 0);
        }
        window.1 += 1;
        while tasks.try_join_next().is_some() {}
        open.retain(|task| !task.is_finished());
        let Ok(stream) = accepted else {
            // Out of descriptors: those of others are freed by time alone.
            Box::pin(tokio::time::sleep(WINDOW)).await;
            continue;
        };
        if open.len() == CONNECTIONS
            && let Some(oldest) = open.pop_front()
        {
            oldest.abort();
        }
        let board = board.clone();
        open.push_back(tasks.spawn(async move {
            // Who is slow, or is gone, is nobody's loss.
            let _ = tokio::time::timeout(PATIENCE, answer(stream, &board)).await;
        }));
    }
}

async fn answer<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, board: &Board) -> io::Result<()> {
    let mut head = Vec::new();
    let mut request = None;
    for _ in 0..READS {
        let room = MAX_HEAD - head.len();
        if (&mut stream).take(room as u64).read_buf(&mut head).await? == 0 {
            return Ok(());
        }
        request = http::parse(&head);
        if request.is_some() {
            break;
        }
    }
    let Some(request) = request else {
        return Ok(());
    };
    let response = match request {
        Ok(request) => {
            let response = routes::answer(board.look(), clock::now(), &request);
            if request.body {
                response.whole()
            } else {
                response.head()
            }
        }
        Err(refusal) => refusal.whole(),
    };
    stream.write_all(response.as_bytes()).await?;
    stream.shutdown().await?;
    // What is still on its way would otherwise have the kernel take the answer back.
    let mut rest = [0; 512];
    for _ in 0..READS {
        if stream.read(&mut rest).await? == 0 {
            break;
        }
    }
    Ok(())
}
