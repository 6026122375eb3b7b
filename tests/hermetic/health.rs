//! How fit this host is: with a real web server, real commands, and a Consul that says what it is told.

mod server;

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use vip_elector::config::{CheckMode, Probe, ProbeOf};
use vip_elector::election::health::Health;
use vip_elector::health::{self, Sources};

use self::server::{Server, check};
use crate::lines::{Lines, capture};

/// Far more than anything here takes.
const GENEROUS: Duration = Duration::from_secs(30);

struct Host {
    health: watch::Receiver<Health>,
    sources: watch::Sender<Sources>,
    running: JoinHandle<()>,
}

impl Host {
    fn start(probe: Option<Probe>, watched: Option<&str>, consul: &Server) -> Self {
        Self::of(
            Sources {
                probe,
                check_id: watched.map(str::to_owned),
                check_mode: CheckMode::Watch,
            },
            consul,
        )
    }

    fn of(sources: Sources, consul: &Server) -> Self {
        let client = consul.client();
        let (sender, health) = watch::channel(Health::Unknown);
        let (sources, followed) = watch::channel(sources);
        let running = tokio::spawn(async move { health::run("g", followed, client, sender).await });
        Self {
            health,
            sources,
            running,
        }
    }

    async fn becomes(&mut self, expected: &Health) {
        let becoming = self.health.wait_for(|health| health == expected);
        let became = tokio::time::timeout(GENEROUS, becoming).await.is_ok();
        assert!(
            became,
            "{expected:?} is awaited, and it is {:?}",
            self.health.borrow()
        );
    }

    async fn is_good(&mut self) {
        self.becomes(&Health::Good).await;
    }

    async fn is_bad(&mut self, reason: &str) {
        self.becomes(&Health::Bad(reason.to_owned())).await;
    }
}

fn probe(what: ProbeOf) -> Probe {
    Probe {
        what,
        interval: Duration::from_millis(50),
        timeout: GENEROUS,
        fall: 2,
        rise: 1,
    }
}

fn url(server: &Server) -> Probe {
    let url = format!("http://{}/health", server.address);
    probe(ProbeOf::Url(url.parse().unwrap()))
}

fn command(command: &str) -> Probe {
    probe(ProbeOf::Command(command.to_owned()))
}

#[tokio::test]
async fn a_url_that_answers_well_and_badly() {
    let lines = Lines::default();
    let capturing = capture(&lines);
    let (consul, web) = (Server::consul().await, Server::of_one_page().await);
    let mut host = Host::start(Some(url(&web)), None, &consul);
    host.is_good().await;
    web.show(503, "not now");
    let name = format!("health-url http://{}/health", web.address);
    let unwell = format!("{name} answered 503, 2 times in a row");
    host.is_bad(&unwell).await;
    web.show(204, "");
    host.is_good().await;
    web.show(302, "");
    let elsewhere = format!("{name} answered 302, 2 times in a row");
    host.is_bad(&elsewhere).await;
    assert_eq!(web.connections(), 1, "one connection serves all tries");
    drop(capturing);
    let group = r#"group="g""#;
    assert_eq!(
        lines.all(),
        [
            format!("INFO this host is healthy {group}"),
            format!(
                "WARN this host is not healthy, and does not lead until it is {group} reason={unwell:?}"
            ),
            format!("INFO this host is healthy {group}"),
            format!(
                "WARN this host is not healthy, and does not lead until it is {group} reason={elsewhere:?}"
            ),
        ]
    );
}

#[tokio::test]
async fn a_url_that_does_not_answer() {
    let (consul, silent) = (Server::consul().await, Server::silent().await);
    let hurried = Probe {
        timeout: Duration::from_millis(50),
        ..url(&silent)
    };
    let reason = format!("{} did not answer within 50ms", hurried.what);
    Host::start(Some(hurried), None, &consul)
        .is_bad(&reason)
        .await;

    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = nobody.local_addr().unwrap();
    drop(nobody);
    let what = ProbeOf::Url(format!("http://{address}/").parse().unwrap());
    let reason = format!("{what} gave no answer: Connection refused (os error 111)");
    let mut host = Host::start(Some(probe(what)), None, &consul);
    host.is_bad(&reason).await;

    let plain = Server::of_one_page().await;
    let what = ProbeOf::Url(format!("https://{}/", plain.address).parse().unwrap());
    let reason =
        format!("{what} gave no answer: received corrupt message of type InvalidContentType");
    let mut host = Host::start(Some(probe(what)), None, &consul);
    host.is_bad(&reason).await;
}

#[tokio::test]
async fn a_command_that_succeeds_and_fails() {
    let consul = Server::consul().await;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("well");
    let text = format!("test -e {}", file.display());
    let mut host = Host::start(Some(command(&text)), None, &consul);
    let reason = format!("health-command '{text}' exited with status 1");
    host.is_bad(&reason).await;
    std::fs::write(&file, "").unwrap();
    host.is_good().await;
    std::fs::remove_file(&file).unwrap();
    host.is_bad(&format!("{reason}, 2 times in a row")).await;

    let mut host = Host::start(Some(command("kill -9 $$")), None, &consul);
    host.is_bad("health-command 'kill -9 $$' was killed by signal 9")
        .await;
}

/// Every process of the command holds the pipe open, so that its end is the end of them all. It says
/// something when there is more than one.
fn holding(pipe: &Path) -> Probe {
    nix::unistd::mkfifo(pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
    command(&format!(
        "exec 3>{}; sleep 100 & echo >&3; wait",
        pipe.display()
    ))
}

/// Tells when something was said on the pipe, and when nobody holds it any more.
fn ends_of(pipe: &Path) -> (oneshot::Receiver<()>, oneshot::Receiver<()>) {
    let (hearing, heard) = oneshot::channel();
    let (ending, ended) = oneshot::channel();
    let pipe = pipe.to_owned();
    std::thread::spawn(move || {
        // One that was killed before it said anything is followed by another.
        let mut file = loop {
            let mut file = std::fs::File::open(&pipe).unwrap();
            if file.read_exact(&mut [0]).is_ok() {
                break file;
            }
        };
        let _ = hearing.send(());
        file.read_to_end(&mut Vec::new()).unwrap();
        let _ = ending.send(());
    });
    (heard, ended)
}

async fn soon(what: oneshot::Receiver<()>) {
    tokio::time::timeout(GENEROUS, what).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_command_that_takes_too_long_is_killed_with_what_it_started() {
    let consul = Server::consul().await;
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("pipe");
    let hurried = Probe {
        timeout: Duration::from_millis(300),
        ..holding(&pipe)
    };
    let reason = format!("{} did not answer within 300ms", hurried.what);
    let (_, ended) = ends_of(&pipe);
    let mut host = Host::start(Some(hurried), None, &consul);
    host.is_bad(&reason).await;
    soon(ended).await;
}

#[tokio::test]
async fn an_abort_leaves_no_process_behind() {
    let consul = Server::consul().await;
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("pipe");
    let (holding, (heard, ended)) = (holding(&pipe), ends_of(&pipe));
    let host = Host::start(Some(holding), None, &consul);
    soon(heard).await;
    host.running.abort();
    soon(ended).await;
}

#[tokio::test]
async fn nothing_is_known_before_all_have_spoken() {
    let (silent, web) = (Server::silent().await, Server::of_one_page().await);
    let host = Host::start(Some(url(&web)), None, &silent);
    tokio::time::timeout(GENEROUS, web.asked_again(3))
        .await
        .unwrap();
    assert_eq!(*host.health.borrow(), Health::Unknown);
}

#[tokio::test]
async fn maintenance_and_a_watched_check() {
    let consul = Server::consul().await;
    let web = |status| check("web-http", "web", status, "HTTP 503");
    let show = |checks: &[String]| consul.show(200, &format!("[{}]", checks.join(",")));
    let mut host = Host::start(None, Some("web-http"), &consul);
    host.is_bad(
        "check 'web-http' is not to be seen: register it with this host's agent, or, if it is, the token \
                 needs node_prefix \"\" { policy = \"read\" } and service_prefix \"\" { policy = \"read\" }",
    )
    .await;
    show(&[web("warning")]);
    host.is_good().await;
    show(&[web("critical")]);
    host.is_bad("check 'web-http' is critical: HTTP 503").await;
    show(&[web("passing")]);
    host.is_good().await;
    let maintenance = check("_node_maintenance", "", "critical", "new disks");
    show(&[web("passing"), maintenance]);
    host.is_bad("node maintenance is on: new disks").await;
    let maintenance = check("_service_maintenance:web", "web", "critical", "new page");
    show(&[web("passing"), maintenance]);
    host.is_bad("maintenance of service 'web' is on: new page")
        .await;
    show(&[web("passing")]);
    host.is_good().await;
}

#[tokio::test]
async fn the_reason_of_the_probe_comes_first() {
    let consul = Server::consul().await;
    let mut host = Host::start(Some(command("exit 7")), Some("web"), &consul);
    host.is_bad("health-command 'exit 7' exited with status 7")
        .await;
}

#[tokio::test]
async fn what_consul_said_last_stays_while_it_is_away() {
    let consul = Server::consul().await;
    let mut host = Host::start(None, None, &consul);
    host.is_good().await;
    consul.show(500, "No cluster leader");
    // Between one request and the next, the failure of the first has been looked at.
    tokio::time::timeout(GENEROUS, consul.asked_again(2))
        .await
        .unwrap();
    assert_eq!(*host.health.borrow(), Health::Good);
    let maintenance = check("_node_maintenance", "", "critical", "");
    consul.show(200, &format!("[{maintenance}]"));
    host.is_bad("node maintenance is on").await;
}

#[tokio::test]
async fn a_consul_that_refuses() {
    let lines = Lines::default();
    let capturing = capture(&lines);
    let consul = Server::consul().await;
    consul.show(403, "Permission denied");
    let sources = |check_mode| Sources {
        probe: None,
        check_id: Some("web".to_owned()),
        check_mode,
    };
    Host::of(sources(CheckMode::Session), &consul)
        .is_good()
        .await;
    Host::of(sources(CheckMode::Watch), &consul)
        .is_bad("check 'web' cannot be read: consul refuses it")
        .await;
    drop(capturing);
    let warned = |line: &&String| line.contains("consul does not show the checks of this host");
    assert_eq!(
        lines.all().iter().filter(warned).count(),
        2,
        "{:?}",
        lines.all()
    );
}

#[tokio::test]
async fn it_ends_when_nobody_listens() {
    let consul = Server::consul().await;
    let host = Host::start(None, None, &consul);
    drop(host.health);
    tokio::time::timeout(GENEROUS, host.running)
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn another_probe_goes_on_from_what_is_believed() {
    let (consul, web) = (Server::consul().await, Server::of_one_page().await);
    let mut host = Host::start(Some(url(&web)), None, &consul);
    host.is_good().await;
    // The first answer of another probe would be enough for a host of which nothing is known.
    let probe = Probe {
        fall: 3,
        ..command("exit 7")
    };
    let reason = format!("{} exited with status 7, 3 times in a row", probe.what);
    host.sources
        .send_modify(|sources| sources.probe = Some(probe));
    host.is_bad(&reason).await;
    host.sources.send_modify(|sources| sources.probe = None);
    host.is_good().await;
}
