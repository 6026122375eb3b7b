//! A small kernel: one interface with one address, and a reconciler on it.

use super::*;

const ADDRESS: &str = "192.0.2.1";
const FOR_EVER: Timestamp = Timestamp::from_boot(Duration::MAX);

pub(super) const UP: Option<LinkSeen> = Some(LinkSeen {
    up: true,
    mac: Some([2, 0, 0, 0, 0, 1]),
    moves: 0,
});

/// One interface with one address, whole-second lifetimes, and removal as late as it may be.
pub(super) struct World {
    pub(super) now: Timestamp,
    reconciler: Reconciler,
    pub(super) order: VipOrder,
    pub(super) link: Option<LinkSeen>,
    /// When the kernel at the latest removes our address.
    pub(super) ours_until: Option<Timestamp>,
    /// Somebody else's, with this prefix length.
    pub(super) foreign: Option<u8>,
    pub(super) refuses: bool,
    /// Whether the kernel looks for another holder, what it has found, and how often that was one.
    pub(super) detects: bool,
    pub(super) state: VipState,
    pub(super) duplicates: u32,
    /// Whether the neighbours are asked, for how long, and whether one answers.
    pub(super) asks: bool,
    pub(super) asking_takes: Duration,
    pub(super) answered: bool,
    /// By how much it wakes up late.
    pub(super) late: Duration,
    pub(super) steps: Vec<Step>,
    pub(super) looks: u32,
    /// The last report, and when to go on.
    pub(super) rest: Option<(VipReport, Option<Timestamp>)>,
}

impl World {
    pub(super) fn new() -> Self {
        Self {
            now: Timestamp::from_boot(Duration::from_secs(100)),
            reconciler: Reconciler::new(Announcing::of(ADDRESS.parse().unwrap())),
            order: VipOrder {
                version: 0,
                target: VipTarget::Absent,
            },
            link: UP,
            ours_until: None,
            foreign: None,
            refuses: false,
            detects: false,
            state: VipState::Usable,
            duplicates: 0,
            asks: false,
            asking_takes: Duration::ZERO,
            answered: false,
            late: Duration::ZERO,
            steps: Vec::new(),
            looks: 0,
            rest: None,
        }
    }

    pub(super) fn hold(&mut self, terms: Terms) -> Lease {
        let lease = Lease::new(terms, self.now);
        self.order.version += u64::from(matches!(self.order.target, VipTarget::Absent));
        self.order.target = VipTarget::HeldUntil(lease);
        self.settle();
        lease
    }

    pub(super) fn let_go(&mut self) {
        self.order.version += u64::from(!matches!(self.order.target, VipTarget::Absent));
        self.order.target = VipTarget::Absent;
        self.settle();
    }

    fn seen_ours(&mut self) -> Option<VipSeen> {
        if self.ours_until.is_some_and(|until| until <= self.now) {
            self.ours_until = None;
        }
        self.ours_until.map(|_| VipSeen {
            prefix: 32,
            ours: true,
            state: self.state,
        })
    }

    fn seen(&mut self) -> Observed {
        let ours = self.seen_ours();
        let foreign = self.foreign.map(|prefix| VipSeen {
            prefix,
            ours: false,
            state: VipState::Usable,
        });
        Observed {
            link: self.link,
            vips: ours.into_iter().chain(foreign).collect(),
            prefix: 32,
            asks: self.asks,
            detects: self.detects,
            duplicates: self.duplicates,
        }
    }

    /// What the task does in one pass.
    pub(super) fn settle(&mut self) {
        self.reconciler.begin();
        for _ in 0..20 {
            match self.reconciler.next(self.now, &self.order) {
                Next::Look => {
                    let seen = self.seen();
                    self.looks += 1;
                    self.reconciler.looked(seen);
                }
                Next::Do(step) => {
                    self.steps.push(step);
                    let result = self.carry_out(step);
                    self.reconciler.done(self.now, &self.order, step, result);
                }
                Next::Rest { report, wake_at } => {
                    assert!(wake_at.is_none_or(|at| at > self.now), "busy");
                    self.rest = Some((report, wake_at));
                    return;
                }
            }
        }
        panic!("never settles: {:?}", self.steps);
    }

    fn carry_out(&mut self, step: Step) -> Result<(), String> {
        match step {
            Step::Add { .. } if self.refuses => return Err("no".to_owned()),
            Step::Add { prefix, .. } if self.foreign == Some(prefix) => {
                return Err("it is there".to_owned());
            }
            Step::Add { lifetime, .. } | Step::Refresh { lifetime, .. } => {
                let adds = matches!(step, Step::Add { .. });
                assert!(
                    !adds || self.foreign.is_none(),
                    "somebody else's address is never touched"
                );
                let KernelLifetime::Seconds(seconds) = lifetime else {
                    self.ours_until = Some(FOR_EVER);
                    return Ok(());
                };
                let lifetime = Duration::from_secs(seconds);
                self.ours_until = Some(self.now + lifetime + KERNEL_LATENESS);
            }
            Step::Remove { prefix } => {
                let theirs = self.foreign == Some(prefix) && self.seen_ours().is_none();
                assert!(
                    prefix == 32 && !theirs,
                    "somebody else's address is never touched"
                );
                self.ours_until = None;
            }
            Step::Announce => {
                assert!(self.ours_until.is_some(), "announced and not there");
                assert_eq!(self.state, VipState::Usable, "announced and not usable");
            }
            Step::Ask => {
                assert!(self.ours_until.is_none(), "asked for what it has");
                self.now = self.now + self.asking_takes;
                if self.answered {
                    return Err("somebody has it".to_owned());
                }
            }
        }
        Ok(())
    }

    pub(super) fn report(&mut self) -> VipReport {
        self.settle();
        self.rest.clone().unwrap().0
    }

    /// Lets time pass, waking up when the reconciler asks for it.
    pub(super) fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let wake_at = self.rest.as_ref().and_then(|(_, wake_at)| *wake_at);
            match wake_at {
                Some(at) if at <= end => {
                    self.now = self.now.max(at) + self.late;
                    self.settle();
                }
                Some(_) | None => break,
            }
        }
        self.now = self.now.max(end);
        self.settle();
    }
}
