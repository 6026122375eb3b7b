//! Pure: which question has which answer.

use std::time::Duration;

use crate::election::health::Health;
use crate::election::status::Feature;
use crate::election::time::Timestamp;
use crate::status::Role;
use crate::status::board::View;
use crate::status::http::{Request, Response, Status};
use crate::status::metrics::{self, Format};
use crate::status::snapshot::{PULSE, Snapshot};

/// How long a driver's loop may stand still before it counts as stuck; more than the stop of a busy machine.
const STUCK: Duration = PULSE.saturating_mul(5);

const ROUTES: &str = "\
/status   everything, as JSON
/metrics  for Prometheus
/livez    200 while the daemon goes on with its work
/readyz   200 while this host leads, or could lead next
/leader   200 while this host leads
With several groups, ?group=TRIGGER-KEY names one.
";

/// Answers a question about what was seen just now.
pub fn answer(mut seen: View, now: Timestamp, request: &Request) -> Response {
    let answer = match request.path.as_str() {
        "/" => return Response::text(Status::Ok, ROUTES),
        "/status" => status,
        "/metrics" => return measured(&seen, now, request.format),
        "/livez" => live,
        "/readyz" => ready,
        "/leader" => leader,
        _ => {
            let nothing = format!("there is no such path; there are:\n{ROUTES}");
            return Response::text(Status::NotFound, nothing);
        }
    };
    if let Some(name) = &request.group {
        seen.groups.retain(|group| group.about.group == *name);
        if seen.groups.is_empty() {
            return Response::text(Status::NotFound, "this daemon has no such group\n");
        }
    }
    answer(&seen, now)
}

fn status(seen: &View, now: Timestamp) -> Response {
    match serde_json::to_string(&seen.report(now)) {
        Ok(json) => Response {
            status: Status::Ok,
            content_type: "application/json",
            body: json + "\n",
        },
        Err(error) => Response::text(Status::Unavailable, format!("{error}\n")),
    }
}

/// Of all groups, whatever was asked for: a scrape is one.
fn measured(seen: &View, now: Timestamp, format: Format) -> Response {
    Response {
        status: Status::Ok,
        content_type: format.content_type(),
        body: metrics::write(seen, now, format),
    }
}

fn live(seen: &View, now: Timestamp) -> Response {
    of_each(seen, |group| {
        let still = now.since(group.turned_at);
        if still < STUCK || group.role == Role::Stopped {
            Ok("alive".to_owned())
        } else {
            Err(format!("stuck for {} s", still.as_secs()))
        }
    })
}

fn ready(seen: &View, _: Timestamp) -> Response {
    if seen.groups.is_empty() {
        return Response::text(Status::Unavailable, "this daemon has no group yet\n");
    }
    of_each(seen, |group| {
        // Without the right to stand as a candidate, a standby leads when nobody is one.
        let without = group.status.lost.contains_key(&Feature::Candidates);
        match group.role {
            Role::Leader => Ok("leader".to_owned()),
            Role::Standby if group.status.candidate => Ok("candidate".to_owned()),
            Role::Standby if without && group.status.health == Health::Good => {
                Ok("standby".to_owned())
            }
            Role::Joining | Role::Standby | Role::Resigning | Role::Stopped => {
                Err(group.why().unwrap_or_default())
            }
        }
    })
}

/// Without a body: who asks looks at the status alone, and vip-manager never closes a body.
fn leader(seen: &View, now: Timestamp) -> Response {
    if seen.groups.is_empty() {
        return Response::text(Status::NotFound, "this daemon has no group yet\n");
    }
    let [group] = seen.groups.as_slice() else {
        return Response::text(
            Status::BadRequest,
            "this daemon has several groups; name one: /leader?group=TRIGGER-KEY\n",
        );
    };
    let status = if group.leads(now) {
        Status::Ok
    } else {
        Status::Unavailable
    };
    Response::text(status, "")
}

/// One line for each group; well only if each of them is.
fn of_each(seen: &View, judge: impl Fn(&Snapshot) -> Result<String, String>) -> Response {
    let mut status = Status::Ok;
    let mut body = String::new();
    for group in &seen.groups {
        let (Ok(word) | Err(word)) = judge(group).inspect_err(|_| status = Status::Unavailable);
        body.push_str(&format!("{}: {word}\n", group.about.group));
    }
    Response::text(status, body)
}
