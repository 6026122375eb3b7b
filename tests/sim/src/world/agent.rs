//! Pure: what a daemon registers with the agent beside it: a service whose check it passes as long as it
//! lives.
//!
//! The agent keeps the check's time by itself and outlives the daemon. What it finds it tells the
//! catalog a little later, and only there does a session die of it.

use std::rc::Rc;
use std::time::Duration;

use vip_elector::election::call::{Answer, Call, FailureKind};
use vip_elector::election::status::Feature;

use super::{Event, World};
use crate::request::{Request, failure};
use crate::trace::Who;

/// For how long a check must have been critical before its service is given up, and how much later the
/// agent may notice.
const ABANDONED: Duration = Duration::from_secs(60);
const REAPER_PACE: Duration = Duration::from_secs(30);

/// A service with a TTL check.
#[derive(Clone, Copy, Debug)]
pub(super) struct Service {
    /// Tells it from one that was registered before.
    number: u64,
    ttl: Duration,
    /// When the check is critical unless it is passed.
    due: Duration,
    /// When the last pass that was taken had been sent.
    pub(super) passed: Duration,
    pub(super) critical: bool,
}

impl World<'_> {
    /// Whether the ACL refuses a request.
    pub(super) const fn is_denied(request: &Request) -> bool {
        let Some(feature) = request.plan.denied else {
            return false;
        };
        match feature {
            Feature::Candidates => matches!(
                request.call,
                Call::WatchGroup { .. }
                    | Call::Register(_)
                    | Call::Unregister(_)
                    | Call::HandOver { .. }
                    | Call::DropRequest { .. }
            ),
            Feature::Liveness => matches!(
                request.call,
                Call::RegisterService { .. } | Call::Feed | Call::DeregisterService
            ),
            Feature::PeerWatch => matches!(request.call, Call::Depose(_)),
        }
    }

    /// The agent does by itself what concerns its own service.
    pub(super) fn serve(&mut self, request: &Rc<Request>) {
        let node = request.host;
        let known = self.nodes[node].service.is_some();
        let registers = matches!(request.call, Call::RegisterService { .. });
        let result = if !registers && !known {
            Err(failure(FailureKind::CheckMissing))
        } else {
            if let Call::DeregisterService = request.call {
                self.nodes[node].service = None;
                self.tell_soon(node);
            } else {
                self.pass(request);
            }
            Ok(Answer::Done)
        };
        self.answer(node, request, result, Duration::ZERO);
    }

    /// The check is passed, and the service registered where it is not.
    pub(super) fn pass(&mut self, request: &Rc<Request>) {
        let node = request.host;
        let Some(ttl) = request.plan.liveness_ttl else {
            return;
        };
        let due = self.now + self.hosts[node].clock.lasts(ttl);
        let passed = request.sent;
        match &mut self.nodes[node].service {
            Some(service) => {
                service.due = due;
                service.passed = passed;
                if std::mem::replace(&mut service.critical, false) {
                    let number = service.number;
                    self.at(due, Event::LivenessOver { node, number });
                    self.tell_soon(node);
                }
            }
            None => {
                let number = self.number();
                self.nodes[node].service = Some(Service {
                    number,
                    ttl,
                    due,
                    passed,
                    critical: false,
                });
                self.at(due, Event::LivenessOver { node, number });
                self.tell_soon(node);
            }
        }
    }

    /// A check may not have been passed in time.
    pub(super) fn liveness_over(&mut self, node: usize, number: u64) {
        if self.nodes[node].down > 0 || self.nodes[node].frozen > 0 {
            return;
        }
        let now = self.now;
        let Some(service) = &mut self.nodes[node].service else {
            return;
        };
        if service.number != number || service.critical {
            return;
        }
        if now < service.due {
            let due = service.due;
            self.at(due, Event::LivenessOver { node, number });
            return;
        }
        service.critical = true;
        self.tally.saw("liveness checks that ran out");
        self.trace.say(self.now, Who::Host(node), || {
            "agent: the liveness check is critical".to_owned()
        });
        self.tell_soon(node);
        let reaped = ABANDONED + REAPER_PACE.mul_f64(self.draw.f64());
        self.after(reaped, Event::Reap { node, number });
    }

    /// A service that nobody cares for is deregistered by its agent.
    pub(super) fn reap(&mut self, node: usize, number: u64) {
        let service = self.nodes[node].service;
        if service.is_some_and(|service| service.number == number && service.critical) {
            self.tally.saw("services that were given up");
            self.nodes[node].service = None;
            self.tell_soon(node);
        }
    }

    /// The agent goes on: what should have happened meanwhile happens now.
    pub(super) fn mind_service(&mut self, node: usize) {
        if let Some(service) = self.nodes[node].service {
            let pause = self.nap();
            let number = service.number;
            self.after(pause, Event::LivenessOver { node, number });
        }
    }

    /// The agent starts, with or without what was registered before. A check whose time was not over when
    /// it ended has all of its time again.
    pub(super) fn service_restarts(&mut self, node: usize, forgets: bool) {
        let Some(mut service) = self.nodes[node].service.take() else {
            return;
        };
        if forgets {
            self.tally.saw("services that were forgotten");
            return;
        }
        if !service.critical && self.now < service.due {
            service.due = self.now + self.hosts[node].clock.lasts(service.ttl);
        } else {
            service.critical = true;
        }
        self.nodes[node].service = Some(service);
        self.mind_service(node);
    }

    /// The agent tells the catalog, as soon as it has the time.
    fn tell_soon(&mut self, node: usize) {
        let pause = self.millis(0, 20);
        self.after(pause, Event::AntiEntropy { node });
    }
}
