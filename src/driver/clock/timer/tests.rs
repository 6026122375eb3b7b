use std::time::Duration;

use futures_util::FutureExt;
use tokio::task::JoinSet;

use super::*;

const LIMIT: Duration = Duration::from_secs(20);

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn waiting(timer: &Timer) -> usize {
    timer.shared.waiting().wakers.len()
}

/// How many timers this process has open.
fn descriptors() -> usize {
    let entries = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let targets = entries.filter_map(|entry| std::fs::read_link(entry.path()).ok());
    targets
        .filter(|target| target.as_os_str() == "anon_inode:[timerfd]")
        .count()
}

#[tokio::test]
async fn many_wait_on_one_timer_each_until_its_instant() {
    let timer = Timer::open().unwrap();
    let begin = now();
    let mut tasks = JoinSet::new();
    // Whoever comes later may be first, and two may wait for the same instant.
    for number in (0..1000).rev() {
        let timer = timer.clone();
        let at = begin + millis(20 + number / 2);
        tasks.spawn(async move {
            timer.until(at).await;
            (at, now())
        });
    }
    let all = async {
        while let Some(done) = tasks.join_next().await {
            let (at, woken) = done.unwrap();
            assert!(woken >= at, "{woken:?} is before {at:?}");
        }
    };
    tokio::time::timeout(LIMIT, all).await.unwrap();
    assert_eq!(waiting(&timer), 0);
}

#[tokio::test]
async fn a_thousand_clocks_have_one_descriptor() {
    let timer = Timer::open().unwrap();
    let one = descriptors();
    let clones = vec![timer; 1000];
    // Other tests of this process open and close timers meanwhile, but hardly a thousand.
    assert!(descriptors() < one + 100);
    drop(clones);
}

#[tokio::test]
async fn who_comes_later_may_be_woken_first() {
    let timer = Timer::open().unwrap();
    let begin = now();
    let late = timer.until(begin + Duration::from_secs(3600));
    tokio::pin!(late);
    assert!(late.as_mut().now_or_never().is_none());
    let soon = timer.until(begin + millis(10));
    tokio::time::timeout(LIMIT, soon).await.unwrap();
    assert!(now() >= begin + millis(10));
    assert!(late.as_mut().now_or_never().is_none());
    assert_eq!(waiting(&timer), 1, "the one that goes on waiting");
}

#[tokio::test]
async fn a_wait_that_is_dropped_holds_up_nobody_and_leaves_nothing() {
    let timer = Timer::open().unwrap();
    let begin = now();
    for number in 0..100 {
        let given_up = timer.until(begin + millis(5 + number));
        assert!(given_up.now_or_never().is_none());
    }
    assert_eq!(waiting(&timer), 0);
    let at = begin + millis(200);
    tokio::time::timeout(LIMIT, timer.until(at)).await.unwrap();
    assert!(now() >= at);
}

#[tokio::test]
async fn a_wait_goes_on_in_another_task() {
    let timer = Timer::open().unwrap();
    let at = now() + millis(50);
    let wait = {
        let timer = timer.clone();
        Box::pin(async move { timer.until(at).await })
    };
    let mut wait = wait;
    assert!(wait.as_mut().now_or_never().is_none());
    let moved = tokio::spawn(wait);
    tokio::time::timeout(LIMIT, moved).await.unwrap().unwrap();
    assert!(now() >= at);
    assert_eq!(waiting(&timer), 0);
}

#[tokio::test]
async fn the_task_ends_with_the_last_clock() {
    let timer = Timer::open().unwrap();
    let task = timer._task.0.clone();
    let shared = Arc::downgrade(&timer.shared);
    drop(timer.clone());
    tokio::task::yield_now().await;
    assert!(!task.is_finished());
    drop(timer);
    let gone = async {
        while shared.upgrade().is_some() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LIMIT, gone).await.unwrap();
}
