//! Pure: takeover, outage and overlap from what the witnesses saw.

use std::collections::HashMap;
use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{AddressEvent, Answer, Change};

/// How long an answer may take.
pub const IN_FLIGHT: Duration = Duration::from_millis(100);

/// A time during which a host was in some state: had an address, or was down.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Span {
    /// The host's name.
    pub host: Arc<str>,
    /// When it began.
    pub from: Instant,
    /// When it ended; `None` while it lasts.
    pub until: Option<Instant>,
}

impl Span {
    fn contains(&self, at: Instant) -> bool {
        self.from <= at && self.until.is_none_or(|until| at < until)
    }
}

/// Returns when each host had `address`.
pub fn tenures(events: &[AddressEvent], address: IpAddr) -> Vec<Span> {
    let mut tenures: Vec<Span> = Vec::new();
    for event in events.iter().filter(|event| event.address == address) {
        let open = tenures
            .iter_mut()
            .rfind(|tenure| tenure.host == event.host && tenure.until.is_none());
        match (event.change, open) {
            (Change::Appeared, None) => {
                let host = Arc::clone(&event.host);
                tenures.push(Span {
                    host,
                    from: event.at,
                    until: None,
                });
            }
            (Change::Gone, Some(tenure)) => tenure.until = Some(event.at),
            (Change::Appeared, Some(_)) | (Change::Gone, None) => {}
        }
    }
    tenures
}

/// Returns the events of each address, in order.
pub fn by_address(events: &[AddressEvent]) -> HashMap<IpAddr, Vec<AddressEvent>> {
    let mut sorted: HashMap<IpAddr, Vec<AddressEvent>> = HashMap::new();
    for event in events {
        sorted.entry(event.address).or_default().push(event.clone());
    }
    sorted
}

/// How an address left a host for another one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Move {
    /// When the host no longer had it; nothing where it had it to the end.
    pub off: Option<Instant>,
    /// When the first other host had it.
    pub on: Instant,
}

/// Returns how an address left `host` after `start`; nothing where no other host has had it since.
pub fn moved(events: &[AddressEvent], host: &str, start: Instant) -> Option<Move> {
    let since = |change| {
        let new = events.iter().filter(move |event| event.at >= start);
        new.filter(move |event| event.change == change)
    };
    let on = since(Change::Appeared).find(|event| *event.host != *host)?;
    let off = since(Change::Gone).find(|event| *event.host == *host);
    Some(Move {
        off: off.map(|event| event.at),
        on: on.at,
    })
}

/// Returns for how long, within `window`, more than one living host had the address. A host is dead
/// during its spans in `dead`.
pub fn overlap(tenures: &[Span], dead: &[Span], window: Range<Instant>) -> Duration {
    let ends = tenures
        .iter()
        .chain(dead)
        .flat_map(|span| [Some(span.from), span.until]);
    let mut instants: Vec<Instant> = ends
        .flatten()
        .chain([window.start, window.end])
        .filter(|at| *at <= window.end)
        .collect();
    instants.retain(|at| *at >= window.start);
    instants.sort_unstable();
    // Nothing changes between two neighbours, so their beginning speaks for both.
    let is_double = |at: Instant| {
        let alive = |host| {
            !dead
                .iter()
                .any(|span| span.host == host && span.contains(at))
        };
        let holds = |tenure: &&Span| tenure.contains(at) && alive(Arc::clone(&tenure.host));
        tenures.iter().filter(holds).count() > 1
    };
    let pairs = instants.windows(2).filter(|pair| is_double(pair[0]));
    pairs.map(|pair| pair[1] - pair[0]).sum()
}

/// Returns for how long at a stretch nobody answered: of the questions that were asked in `window`, from
/// the first one that was lost to the next one that was answered, or to the window's end. What is
/// asked in the end has [`IN_FLIGHT`] to be answered.
///
/// A client that had to wait for its turn has asked nothing, and lost nothing; but where another host
/// answers afterwards, all of that time counts.
pub fn outage(questions: &[Instant], answers: &[Answer], window: Range<Instant>) -> Duration {
    let recent = answers.partition_point(|answer| answer.at < window.start);
    let answers = answers[recent..].iter();
    let answers: HashMap<u64, &Arc<str>> = answers.map(|answer| (answer.to, &answer.by)).collect();
    let (mut longest, mut lost, mut served) = (Duration::ZERO, None, None);
    for (number, asked) in (0..).zip(questions) {
        if !window.contains(asked) {
            continue;
        }
        let Some(by) = answers.get(&number) else {
            lost = lost.or(Some(*asked));
            continue;
        };
        let moved = served.filter(|(_, old)| old != by).map(|(asked, _)| asked);
        if let Some(since) = lost.take().or(moved) {
            longest = longest.max(*asked - since);
        }
        served = Some((*asked, *by));
    }
    let last = lost.map(|since| window.end - since);
    longest.max(last.filter(|last| *last > IN_FLIGHT).unwrap_or_default())
}

/// Returns the first answer after `fault` by another host than `old`.
pub fn successor<'a>(answers: &'a [Answer], fault: Instant, old: &str) -> Option<&'a Answer> {
    answers
        .iter()
        .find(|answer| answer.at >= fault && answer.by.as_ref() != old)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VIP: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 77, 0, 200));

    /// Times in milliseconds from one base.
    struct Clock(Instant);

    impl Clock {
        fn at(&self, milliseconds: u64) -> Instant {
            self.0 + Duration::from_millis(milliseconds)
        }

        fn window(&self, from: u64, until: u64) -> Range<Instant> {
            self.at(from)..self.at(until)
        }

        fn span(&self, host: &str, from: u64, until: Option<u64>) -> Span {
            let until = until.map(|until| self.at(until));
            Span {
                host: host.into(),
                from: self.at(from),
                until,
            }
        }

        fn answers(&self, answers: &[(u64, &str)]) -> Vec<Answer> {
            let answer = |(at, by): &(u64, &str)| Answer {
                at: self.at(*at),
                by: (*by).into(),
                to: 0,
            };
            answers.iter().map(answer).collect()
        }
    }

    fn milliseconds(number: u64) -> Duration {
        Duration::from_millis(number)
    }

    #[test]
    fn tenures_pair_each_coming_with_its_going() {
        let clock = Clock(Instant::now());
        let event = |at, host: &str, change| AddressEvent {
            at: clock.at(at),
            host: host.into(),
            address: VIP,
            change,
        };
        let events = [
            event(1, "web1", Change::Appeared),
            event(5, "web2", Change::Appeared),
            event(7, "web1", Change::Gone),
            event(9, "web1", Change::Appeared),
        ];
        let expected = [
            clock.span("web1", 1, Some(7)),
            clock.span("web2", 5, None),
            clock.span("web1", 9, None),
        ];
        assert_eq!(tenures(&events, VIP), expected);
        assert_eq!(tenures(&events, IpAddr::from([10, 77, 0, 1])), []);
    }

    #[test]
    fn a_move_is_from_the_host_to_the_first_other_one() {
        let clock = Clock(Instant::now());
        let event = |at, host: &str, change| AddressEvent {
            at: clock.at(at),
            host: host.into(),
            address: VIP,
            change,
        };
        let events = [
            event(1, "web2", Change::Appeared),
            event(2, "web2", Change::Gone),
            event(3, "web1", Change::Appeared),
            event(10, "web1", Change::Gone),
            event(12, "web3", Change::Appeared),
            event(20, "web3", Change::Gone),
            event(21, "web2", Change::Appeared),
        ];
        let found = moved(&events, "web1", clock.at(5));
        let (off, on) = (Some(clock.at(10)), clock.at(12));
        assert_eq!(found, Some(Move { off, on }));
        let never = moved(&events, "web2", clock.at(21));
        assert_eq!(never, None);
        let other = IpAddr::from([10, 77, 0, 1]);
        let sorted = by_address(&events);
        assert_eq!(sorted[&VIP], events);
        assert!(!sorted.contains_key(&other));
    }

    #[test]
    fn overlap_is_the_time_with_two_living_holders() {
        let clock = Clock(Instant::now());
        let tenures = [
            clock.span("web1", 0, Some(100)),
            clock.span("web2", 80, None),
        ];
        assert_eq!(
            overlap(&tenures, &[], clock.window(0, 200)),
            milliseconds(20)
        );
        let cut = clock.window(90, 200);
        assert_eq!(overlap(&tenures, &[], cut), milliseconds(10));
    }

    #[test]
    fn a_removal_at_the_instant_of_the_addition_is_no_overlap() {
        let clock = Clock(Instant::now());
        let tenures = [
            clock.span("web1", 0, Some(100)),
            clock.span("web2", 100, None),
        ];
        assert_eq!(overlap(&tenures, &[], clock.window(0, 200)), Duration::ZERO);
    }

    #[test]
    fn three_holders_count_once() {
        let clock = Clock(Instant::now());
        let tenures = ["web1", "web2", "web3"].map(|host| clock.span(host, 10, Some(30)));
        assert_eq!(
            overlap(&tenures, &[], clock.window(0, 200)),
            milliseconds(20)
        );
    }

    #[test]
    fn the_dead_hold_nothing() {
        let clock = Clock(Instant::now());
        let tenures = [clock.span("web1", 0, None), clock.span("web2", 50, None)];
        let dead = [clock.span("web1", 40, Some(150))];
        assert_eq!(
            overlap(&tenures, &dead, clock.window(0, 160)),
            milliseconds(10)
        );
    }

    /// What was asked when, and who answered it, if anybody did.
    fn asked(clock: &Clock, questions: &[(u64, Option<&str>)]) -> (Vec<Instant>, Vec<Answer>) {
        let answers = (0..).zip(questions).filter_map(|(to, (at, by))| {
            Some(Answer {
                at: clock.at(*at + 1),
                by: (*by)?.into(),
                to,
            })
        });
        let instants = questions.iter().map(|(at, _)| clock.at(*at));
        (instants.collect(), answers.collect())
    }

    #[test]
    fn outage_is_the_longest_silence() {
        let clock = Clock(Instant::now());
        let (questions, answers) = asked(
            &clock,
            &[
                (10, None),
                (14, Some("a")),
                (18, None),
                (22, None),
                (27, Some("b")),
                (31, None),
                (35, Some("b")),
                (99, Some("b")),
                (150, Some("a")),
            ],
        );
        let outage = |from, until| outage(&questions, &answers, clock.window(from, until));
        assert_eq!(outage(12, 120), milliseconds(9));
        assert_eq!(outage(28, 120), milliseconds(4));
        assert_eq!(outage(32, 120), Duration::ZERO, "nothing was asked");
        assert_eq!(outage(32, 300), milliseconds(51), "another one answers");
    }

    #[test]
    fn silence_lasts_until_the_window_ends() {
        let clock = Clock(Instant::now());
        let (questions, answers) = asked(&clock, &[(10, Some("a")), (14, None), (18, None)]);
        let outage = |until| outage(&questions, &answers, clock.window(5, until));
        assert_eq!(outage(214), milliseconds(200));
        assert_eq!(outage(60), Duration::ZERO, "they may be answered yet");
    }

    #[test]
    fn the_successor_is_another_host_after_the_fault() {
        let clock = Clock(Instant::now());
        let answers = clock.answers(&[(5, "b"), (10, "a"), (14, "a"), (60, "b")]);
        let found = successor(&answers, clock.at(12), "a").map(|answer| answer.at);
        assert_eq!(found, Some(clock.at(60)));
        assert_eq!(successor(&answers, clock.at(61), "a"), None);
    }
}
