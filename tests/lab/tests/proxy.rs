//! Driver: what stands between a daemon and its agent does what it is told to do, and nothing else.

use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use libtest_mimic::{Failed, Trial};
use vip_lab::cluster::{Proxy, Trouble};
use vip_lab::netns::Namespace;
use vip_lab::runner;
use vip_lab::time::until;

/// Longer than anything takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(10);
/// How late things are, and how long what never comes is waited for.
const LATE: Duration = Duration::from_millis(300);

const REQUEST: &[u8] = b"PUT /x HTTP/1.1\r\ncontent-length: 4\r\n\r\nbody";
const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

type Test = fn(&Stage) -> Result<(), Box<dyn Error>>;

fn main() -> ExitCode {
    let tests: [(&str, Test); 9] = [
        ("without_trouble_answers_come_back", untroubled),
        (
            "a_late_request_arrives_though_its_sender_is_gone",
            late_request,
        ),
        ("a_late_answer_arrives", late_answer),
        ("a_lost_request_does_not_arrive", lost_request),
        ("a_lost_answer_is_to_a_request_that_arrived", lost_answer),
        ("a_cut_answer_is_half_an_answer", cut_answer),
        ("silence_is_for_what_is_under_way_too", silence),
        ("a_reset_is_no_end", reset),
        (
            "a_refusal_has_its_status_and_the_next_request_none",
            refused,
        ),
    ];
    let trials = tests.map(|(name, test)| Trial::test(name, move || run(test)));
    runner::main(&[], trials.into())
}

fn run(test: Test) -> Result<(), Failed> {
    let stage = Stage::new().map_err(Failed::from)?;
    test(&stage).map_err(Failed::from)
}

fn untroubled(stage: &Stage) -> Result<(), Box<dyn Error>> {
    let mut client = stage.connect()?;
    // One connection for many requests, in whatever pieces they come.
    for _ in 0..3 {
        client.write_all(&REQUEST[..9])?;
        client.write_all(&REQUEST[9..])?;
        assert_eq!(answer(&mut client)?, ANSWER);
    }
    assert_eq!(stage.arrived(), 3);
    Ok(())
}

fn late_request(stage: &Stage) -> Result<(), Box<dyn Error>> {
    stage.proxy.set(Trouble::LateRequests(LATE));
    let mut client = stage.connect()?;
    client.write_all(REQUEST)?;
    drop(client);
    let sent = Instant::now();
    stage.until_arrived(1)?;
    assert!(sent.elapsed() >= LATE / 2, "{:?}", sent.elapsed());
    Ok(())
}

fn late_answer(stage: &Stage) -> Result<(), Box<dyn Error>> {
    stage.proxy.set(Trouble::LateAnswers(LATE));
    let mut client = stage.connect()?;
    let sent = Instant::now();
    client.write_all(REQUEST)?;
    assert_eq!(answer(&mut client)?, ANSWER);
    assert!(sent.elapsed() >= LATE, "{:?}", sent.elapsed());
    Ok(())
}

fn lost_request(stage: &Stage) -> Result<(), Box<dyn Error>> {
    stage.proxy.set(Trouble::LostRequests);
    let mut client = stage.connect()?;
    client.write_all(REQUEST)?;
    is_silent(&mut client)?;
    assert_eq!(stage.arrived(), 0);
    Ok(())
}

fn lost_answer(stage: &Stage) -> Result<(), Box<dyn Error>> {
    stage.proxy.set(Trouble::LostAnswers);
    let mut client = stage.connect()?;
    client.write_all(REQUEST)?;
    stage.until_arrived(1)?;
    is_silent(&mut client)
}

fn cut_answer(stage: &Stage) -> Result<(), Box<dyn Error>> {
    stage.proxy.set(Trouble::CutAnswers);
    let mut client = stage.connect()?;
    client.write_all(REQUEST)?;
    let mut heard = Vec::new();
    client.read_to_end(&mut heard)?;
    assert_eq!(heard, &ANSWER[..ANSWER.len() / 2]);
    Ok(())
}

fn silence(stage: &Stage) -> Result<(), Box<dyn Error>> {
    stage.proxy.set(Trouble::LateRequests(LATE));
    let mut before = stage.connect()?;
    before.write_all(REQUEST)?;
    // Taken, and not yet passed on.
    std::thread::sleep(LATE / 3);
    stage.proxy.set(Trouble::Silence);
    let mut during = stage.connect()?;
    during.write_all(REQUEST)?;
    stage.until_arrived(1)?;
    is_silent(&mut before)?;
    is_silent(&mut during)?;
    assert_eq!(stage.arrived(), 1);
    Ok(())
}

fn reset(stage: &Stage) -> Result<(), Box<dyn Error>> {
    stage.proxy.set(Trouble::Reset);
    let mut client = stage.connect()?;
    client.write_all(REQUEST)?;
    let error = client.read(&mut [0; 1]).err().map(|error| error.kind());
    assert_eq!(error, Some(io::ErrorKind::ConnectionReset));
    assert_eq!(stage.arrived(), 0);
    Ok(())
}

fn refused(stage: &Stage) -> Result<(), Box<dyn Error>> {
    let mut client = stage.connect()?;
    stage.proxy.set(Trouble::Refused(429));
    client.write_all(REQUEST)?;
    let heard = String::from_utf8(answer(&mut client)?)?;
    assert!(heard.starts_with("HTTP/1.1 429 "), "{heard}");
    assert_eq!(stage.arrived(), 0);
    stage.proxy.set(Trouble::None);
    client.write_all(REQUEST)?;
    assert_eq!(answer(&mut client)?, ANSWER);
    Ok(())
}

/// A host with an agent that says one thing only, and a proxy before it.
struct Stage {
    host: Namespace,
    proxy: Proxy,
    arrived: Arc<AtomicU32>,
}

impl Stage {
    fn new() -> Result<Self, Box<dyn Error>> {
        static NUMBER: LazyLock<AtomicU32> = LazyLock::new(AtomicU32::default);
        let host = Namespace::new(&format!("host{}", NUMBER.fetch_add(1, Ordering::Relaxed)))?;
        let listener = host.enter(|| TcpListener::bind((Ipv4Addr::LOCALHOST, 8500)))??;
        let proxy = Proxy::start(&host, 8501, 8500)?;
        let arrived = Arc::new(AtomicU32::new(0));
        let counter = Arc::clone(&arrived);
        // Ends with the test's process.
        std::thread::spawn(move || {
            for client in listener.incoming().filter_map(Result::ok) {
                let counter = Arc::clone(&counter);
                std::thread::spawn(move || agent(client, &counter));
            }
        });
        Ok(Self {
            host,
            proxy,
            arrived,
        })
    }

    fn connect(&self) -> Result<TcpStream, Box<dyn Error>> {
        let client = self
            .host
            .enter(|| TcpStream::connect((Ipv4Addr::LOCALHOST, 8501)))??;
        client.set_read_timeout(Some(LIMIT))?;
        client.set_nodelay(true)?;
        Ok(client)
    }

    fn arrived(&self) -> u32 {
        self.arrived.load(Ordering::Relaxed)
    }

    fn until_arrived(&self, number: u32) -> Result<(), Box<dyn Error>> {
        Ok(until("the request to arrive", LIMIT, || {
            match self.arrived() {
                found if found == number => Ok(()),
                found => Err(format!("{found} have arrived")),
            }
        })?)
    }
}

/// Answers every request alike.
fn agent(mut client: TcpStream, arrived: &AtomicU32) -> io::Result<()> {
    let mut request = [0; REQUEST.len()];
    loop {
        client.read_exact(&mut request)?;
        arrived.fetch_add(1, Ordering::Relaxed);
        client.write_all(ANSWER)?;
    }
}

fn answer(client: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut heard = vec![0; 1024];
    let length = client.read(&mut heard)?;
    heard.truncate(length);
    Ok(heard)
}

fn is_silent(client: &mut TcpStream) -> Result<(), Box<dyn Error>> {
    client.set_read_timeout(Some(LATE))?;
    match client.read(&mut [0; 1]) {
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
        heard => Err(format!("heard {heard:?}").into()),
    }
}
