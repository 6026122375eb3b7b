//! A small web server whose answers change, and which can keep a request waiting.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use vip_elector::consul::Client;
use vip_elector::consul::access::{Access, Endpoint};

/// How a client that speaks TLS begins.
const TLS_HANDSHAKE: u8 = 0x16;

/// What is answered from now on. The index is that of a blocking read.
#[derive(Clone)]
pub(super) struct Page {
    pub(super) status: u16,
    pub(super) body: String,
    index: u64,
}

pub(super) struct Server {
    pub(super) address: SocketAddr,
    page: watch::Sender<Page>,
    connections: Arc<AtomicUsize>,
    requests: watch::Receiver<usize>,
}

impl Server {
    /// Answers every request with what stands on the page.
    pub(super) async fn of_one_page() -> Self {
        Self::start(|_, page| async move { Some(page.borrow().clone()) }).await
    }

    /// Never answers.
    pub(super) async fn silent() -> Self {
        Self::start(|_, _| std::future::pending()).await
    }

    /// A Consul whose agent is that of node `n`; the page is what it says of that node's checks.
    pub(super) async fn consul() -> Self {
        let server = Self::start(|path, mut page| async move {
            if path.starts_with("/v1/agent/checks") {
                let checks = format!(r#"{{"x":{}}}"#, check("x", "", "passing", ""));
                return Some(Page {
                    body: checks,
                    ..page.borrow().clone()
                });
            }
            if !path.starts_with("/v1/health/node/n?") {
                return None;
            }
            let seen = path
                .split(['?', '&'])
                .find_map(|part| part.strip_prefix("index="));
            let seen: u64 = seen.map_or(0, |index| index.parse().unwrap());
            let newer = page.wait_for(|page| page.index > seen).await;
            Some(newer.ok()?.clone())
        })
        .await;
        server.show(200, "[]");
        server
    }

    async fn start<F, R>(respond: F) -> Self
    where
        F: Fn(String, watch::Receiver<Page>) -> R + Clone + Send + Sync + 'static,
        R: Future<Output = Option<Page>> + Send,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (page, seen) = watch::channel(Page {
            status: 200,
            body: String::new(),
            index: 0,
        });
        let (counted, requests) = watch::channel(0);
        let connections = Arc::new(AtomicUsize::new(0));
        let opened = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                opened.fetch_add(1, Ordering::SeqCst);
                let (respond, seen) = (respond.clone(), seen.clone());
                let counted = counted.clone();
                tokio::spawn(async move {
                    let respond = |path| {
                        counted.send_modify(|count| *count += 1);
                        respond(path, seen.clone())
                    };
                    serve(stream, respond).await
                });
            }
        });
        Self {
            address,
            page,
            connections,
            requests,
        }
    }

    /// Changes the page.
    pub(super) fn show(&self, status: u16, body: &str) {
        self.page.send_modify(|page| {
            *page = Page {
                status,
                body: body.to_owned(),
                index: page.index + 1,
            };
        });
    }

    pub(super) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    /// Waits until so many more requests have come.
    pub(super) async fn asked_again(&self, times: usize) {
        let mut requests = self.requests.clone();
        let enough = *requests.borrow() + times;
        requests.wait_for(|count| *count >= enough).await.unwrap();
    }

    /// A client for which this server is Consul.
    pub(super) fn client(&self) -> Client {
        let url = format!("http://{}", self.address);
        Client::new(&Access::plain(vec![Endpoint::Http(url.parse().unwrap())])).unwrap()
    }
}

/// A check of node `n` as Consul writes it.
pub(super) fn check(id: &str, service: &str, status: &str, said: &str) -> String {
    format!(
        r#"{{"Node":"n","CheckID":"{id}","Status":"{status}","Notes":"{said}","Output":"{said}","ServiceID":"{service}"}}"#
    )
}

/// Answers one request after the other; the connection ends with either side, or without an answer.
async fn serve<R>(mut stream: TcpStream, respond: impl Fn(String) -> R) -> Option<()>
where
    R: Future<Output = Option<Page>>,
{
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.ok()?);
            if head == [TLS_HANDSHAKE] {
                stream.write_all(b"HTTP/1.1 400 x\r\n\r\n").await.ok()?;
                return stream.read_to_end(&mut head).await.ok().map(drop);
            }
        }
        let head = String::from_utf8(head).unwrap();
        let path = head.split(' ').nth(1)?.to_owned();
        let Page {
            status,
            body,
            index,
        } = respond(path).await?;
        let answer = format!(
            "HTTP/1.1 {status} x\r\nX-Consul-Index: {index}\r\nLocation: /\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(answer.as_bytes()).await.ok()?;
    }
}
