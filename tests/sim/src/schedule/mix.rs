//! Pure: which faults hit a schedule, and when.

use std::time::Duration;

use fastrand::Rng;

use super::{CALM, HostPlan, TTL, Timed, lock_delay, millis, spread};
use crate::fault::{Fault, Record, Target, Ways, Weather};

pub(super) fn faults(draw: &mut Rng, plans: &[HostPlan]) -> Vec<Timed> {
    let hosts = plans.len();
    let lock_delay = plans.first().map_or(TTL, |plan| plan.lock_delay);
    if draw.u8(..10) == 0 {
        return vec![alone(draw, hosts)];
    }
    let count = draw.usize(3..=8);
    let mut at = CALM + millis(draw, 0, 4_000);
    let mut faults = Vec::with_capacity(count);
    for _ in 0..count {
        let (fault, shortest, longest) = fault(draw, hosts);
        let until = at + spread(draw, shortest, longest);
        faults.push(Timed { at, until, fault });
        // Faults that come together are worse than those that come one by one.
        at += match draw.u8(..8) {
            0 => Duration::ZERO,
            1 | 2 => spread(draw, 1.0, 500.0),
            3 | 4 => lock_delay.mul_f64(draw.f64() * 1.2),
            _ => millis(draw, 1_000, 16_000),
        };
    }
    match draw.u8(..16) {
        0 => faults.extend(lost_while_answers_are_slow(draw, lock_delay)),
        1 => faults.extend(given_up_while_requests_are_late(draw)),
        2 => faults.extend(lost_again_while_an_acquire_is_late(draw, lock_delay)),
        _ => {}
    }
    faults.sort_by_key(|timed| timed.at);
    faults
}

/// A fault that comes alone, and is long: a leader is replaced as soon as was promised, and nobody else
/// is.
fn alone(draw: &mut Rng, hosts: usize) -> Timed {
    let whom = Target::Leader;
    let with = draw.usize(..hosts);
    let ways = ways(draw);
    let fault = match draw.u8(..7) {
        0 => Fault::Kill {
            whom,
            record: Record::Kept,
        },
        1 => Fault::Freeze { whom },
        2 => Fault::CutPair { whom, with, ways },
        3 => Fault::CutPeers { whom, with, ways },
        4 => Fault::FlapCheck {
            whom: Target::Host(with),
        },
        5 => Fault::Drain { whom },
        _ => Fault::DeleteEntry {
            whom: Target::Host(with),
        },
    };
    let at = CALM + millis(draw, 2_000, 6_000);
    let until = at + millis(draw, 30_000, 60_000);
    Timed { at, until, fault }
}

/// The session dies just after a confirm whose answer takes its time, and the leader hears no more.
fn lost_while_answers_are_slow(draw: &mut Rng, lock_delay: Duration) -> [Timed; 3] {
    let slow = Weather {
        late: 0.8,
        by: lock_delay / 4,
        ..Weather::default()
    };
    let begins = CALM + millis(draw, 0, 20_000);
    let dies = begins + lock_delay / 4 + millis(draw, 500, 3_000);
    let whom = Target::Leader;
    let ways = Ways::Both;
    let timed = |at, until, fault| Timed { at, until, fault };
    [
        timed(begins, dies + lock_delay / 4, Fault::Weather(slow)),
        timed(dies, dies, Fault::DestroySession),
        timed(
            dies + millis(draw, 10, 1_000),
            dies + lock_delay + Duration::from_secs(3),
            Fault::CutAgent { whom, ways },
        ),
    ]
}

/// A leader gives up for a moment, and its release is under way for longer than that.
fn given_up_while_requests_are_late(draw: &mut Rng) -> [Timed; 2] {
    let late = Weather {
        loss: 0.2,
        late: 0.6,
        by: spread(draw, 1_000.0, 8_000.0),
        ..Weather::default()
    };
    let begins = CALM + millis(draw, 0, 20_000);
    let flaps = begins + millis(draw, 0, 1_000);
    let whom = Target::Leader;
    let flushes = false;
    let timed = |at, until, fault| Timed { at, until, fault };
    [
        timed(begins, flaps + millis(draw, 0, 2_000), Fault::Weather(late)),
        timed(
            flaps,
            flaps + millis(draw, 10, 500),
            Fault::LinkDown { whom, flushes },
        ),
    ]
}

/// The lock is free at last, one host gets it and another's acquire is late; then the key is deleted.
fn lost_again_while_an_acquire_is_late(draw: &mut Rng, lock_delay: Duration) -> [Timed; 3] {
    let late = Weather {
        late: 0.5,
        by: spread(draw, 500.0, 4_000.0),
        ..Weather::default()
    };
    let lost = CALM + millis(draw, 0, 15_000);
    let free = lost + lock_delay;
    let again = free + millis(draw, 200, 2_500);
    let timed = |at, until, fault| Timed { at, until, fault };
    [
        timed(lost, lost, Fault::DeleteKey),
        timed(
            free - Duration::from_millis(200),
            free + Duration::from_secs(1),
            Fault::Weather(late),
        ),
        timed(again, again, Fault::DeleteKey),
    ]
}

/// A fault, and the shortest and longest it lasts, in milliseconds.
fn fault(draw: &mut Rng, hosts: usize) -> (Fault, f64, f64) {
    let whom = if draw.u8(..10) < 6 {
        Target::Leader
    } else {
        Target::Host(draw.usize(..hosts))
    };
    let ways = ways(draw);
    let (moment, outage) = ((1.0, 1.0), (300.0, 25_000.0));
    let (fault, (shortest, longest)) = match draw.u8(..78) {
        0..=5 => {
            let record = match draw.u8(..8) {
                0 => Record::Lost,
                1 => Record::Garbage,
                2 => Record::OtherBoot,
                _ => Record::Kept,
            };
            (Fault::Kill { whom, record }, (50.0, 20_000.0))
        }
        6..=9 => (Fault::Freeze { whom }, (20.0, 40_000.0)),
        10 | 11 => (Fault::FreezeBoth { whom }, (20.0, 30_000.0)),
        12 => (Fault::FreezeServer { whom }, outage),
        13 | 14 => (Fault::FreezeRaftLeader, (300.0, 20_000.0)),
        15 | 16 => (Fault::Crash { whom }, (2_000.0, 25_000.0)),
        17..=19 => (Fault::Stop { whom }, (10.0, 10_000.0)),
        20 => {
            let lock_delay = lock_delay(draw);
            (Fault::Reconfigure { whom, lock_delay }, (10.0, 2_000.0))
        }
        21..=23 => (Fault::CutAgent { whom, ways }, outage),
        24..=27 => (Fault::Isolate { whom, ways }, outage),
        28 | 29 => {
            let with = draw.usize(..hosts.max(3));
            (Fault::CutPair { whom, with, ways }, outage)
        }
        30..=35 => (Fault::Weather(weather(draw)), (1_000.0, 25_000.0)),
        36..=38 => {
            let leave = draw.bool();
            let forgets = draw.bool();
            let fault = Fault::RestartAgent {
                whom,
                leave,
                forgets,
            };
            (fault, (300.0, 8_000.0))
        }
        39..=41 => (Fault::ChangeRaftLeader, moment),
        42..=44 => (Fault::FlapCheck { whom }, (50.0, 8_000.0)),
        45 => (Fault::Lag { whom }, outage),
        46..=48 => (Fault::DeleteKey, moment),
        49..=51 => (Fault::DestroySession, moment),
        52 | 53 => (Fault::Overwrite, moment),
        54 => (Fault::WriteValue, moment),
        55..=58 => {
            let flushes = draw.bool();
            (Fault::LinkDown { whom, flushes }, (10.0, 10_000.0))
        }
        59 | 60 => (Fault::RemoveAddress { whom }, moment),
        61..=64 => (Fault::Unfit { whom }, (50.0, 20_000.0)),
        65..=67 => {
            // One more than there are: somebody mistypes.
            let to = (draw.u8(..4) > 0).then(|| draw.usize(..=hosts));
            (Fault::Switchover { to }, moment)
        }
        68..=71 => {
            let with = draw.usize(..hosts);
            (Fault::CutPeers { whom, with, ways }, outage)
        }
        72 => (Fault::Replay, outage),
        73 => (Fault::DeleteEntry { whom }, moment),
        74 | 75 => (Fault::Drain { whom }, (50.0, 30_000.0)),
        _ => {
            let full = draw.bool();
            (Fault::NoMemory { whom, full }, outage)
        }
    };
    (fault, shortest, longest)
}

fn ways(draw: &mut Rng) -> Ways {
    [Ways::Both, Ways::Both, Ways::Out, Ways::In][draw.usize(..4)]
}

fn weather(draw: &mut Rng) -> Weather {
    let mut share = |most: f64| if draw.bool() { draw.f64() * most } else { 0.0 };
    Weather {
        loss: share(0.4),
        twice: share(0.3),
        late: share(0.6).max(0.05),
        by: spread(draw, 100.0, 8_000.0),
    }
}
