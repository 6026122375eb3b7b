//! Applier: asks the local probe again and again.

use std::future::Future;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::rise::Rise;
use crate::config::Probe;
use crate::config::duration::Go;
use crate::election::health::Health;

/// One way to ask.
pub(super) trait Ask: Send {
    /// Asks once, and says why the answer is not good: as it continues `health-url http://h/`. Comes
    /// back within the timeout. Cancel safe.
    fn ask(&mut self) -> impl Future<Output = Result<(), String>> + Send;
}

/// Asks for ever, one try at a time. The interval counts from start to start; a try that takes longer
/// delays the next.
pub(super) async fn follow(probe: &Probe, mut asking: impl Ask, report: &watch::Sender<Health>) {
    let mut rise = Rise::new(probe.fall, probe.rise, report.borrow().clone());
    let mut starts = interval(probe.interval);
    starts.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        starts.tick().await;
        let answer = asking.ask().await;
        let answer = answer.map_err(|why| format!("{} {why}", probe.what));
        report_change(report, rise.take(answer).clone());
    }
}

/// Reports what is new, and wakes nobody for what is not.
pub(super) fn report_change(report: &watch::Sender<Health>, health: Health) {
    report.send_if_modified(|current| {
        let changed = *current != health;
        *current = health;
        changed
    });
}

/// Why a try that was given up is not good.
pub(super) fn too_late(timeout: Duration) -> String {
    format!("did not answer within {}", Go(timeout))
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::time::Duration;

    use tokio::time::{Instant, sleep};

    use super::*;
    use crate::config::ProbeOf;

    /// Takes so many milliseconds for each answer, writes down when it was asked, and then hangs.
    struct Scripted {
        answers: VecDeque<(u64, Result<(), String>)>,
        started: Instant,
        asked: watch::Sender<Vec<u128>>,
    }

    impl Ask for Scripted {
        async fn ask(&mut self) -> Result<(), String> {
            let at = self.started.elapsed().as_millis();
            self.asked.send_modify(|asked| asked.push(at));
            match self.answers.pop_front() {
                Some((milliseconds, answer)) => {
                    sleep(Duration::from_millis(milliseconds)).await;
                    answer
                }
                None => std::future::pending().await,
            }
        }
    }

    /// Plays the answers, and returns when each was asked for and when health changed to what.
    async fn play(
        answers: impl IntoIterator<Item = (u64, Result<(), String>)>,
    ) -> (Vec<u128>, Vec<(u128, Health)>) {
        let probe = Probe {
            what: ProbeOf::Command("x".to_owned()),
            interval: Duration::from_millis(100),
            timeout: Duration::from_secs(1),
            fall: 3,
            rise: 2,
        };
        let answers: VecDeque<_> = answers.into_iter().collect();
        let last = answers.len() + 1;
        let started = Instant::now();
        let (asked, mut all_asked) = watch::channel(Vec::new());
        let (report, mut health) = watch::channel(Health::Unknown);
        let asking = Scripted {
            answers,
            started,
            asked,
        };
        let mut changes = Vec::new();
        let watching = async {
            while health.changed().await.is_ok() {
                changes.push((started.elapsed().as_millis(), health.borrow().clone()));
            }
        };
        tokio::select! {
            () = follow(&probe, asking, &report) => {}
            () = watching => {}
            _ = all_asked.wait_for(|asked| asked.len() == last) => {}
        }
        let asked = all_asked.borrow().clone();
        (asked, changes)
    }

    fn bad() -> Result<(), String> {
        Err("broke".to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn the_interval_counts_from_start_to_start_and_a_long_try_delays_the_next() {
        let (asked, _) = play([(0, Ok(())), (99, Ok(())), (250, Ok(())), (0, Ok(()))]).await;
        assert_eq!(asked, [0, 100, 200, 450, 550]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_is_noticed_after_interval_times_fall() {
        let answers = [Ok(()), bad(), bad(), bad(), bad(), Ok(()), Ok(())];
        let (_, changes) = play(answers.map(|answer| (0, answer))).await;
        let reason = "health-command 'x' broke, 3 times in a row".to_owned();
        let expected = [
            (0, Health::Good),
            (300, Health::Bad(reason)),
            (600, Health::Good),
        ];
        assert_eq!(changes, expected);
    }
}
