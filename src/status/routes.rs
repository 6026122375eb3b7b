//! Pure: which question has which answer.

use std::time::Duration;

use crate::election::health::Health;
use crate::election::status::Feature;
use crate::election::time::Timestamp;
use crate::status::Role;
use crate::status::board::Board;
use crate::status::http::{Request, Response, Status};
use crate::status::metrics;
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

/// Answers a question.
pub fn answer(board: &Board, now: Timestamp, request: &Request) -> Response {
    let answer = match request.path.as_str() {
        "/" => |_: &Board, _: &[Snapshot], _, _: &Request| Response::text(Status::Ok, ROUTES),
        "/status" => status,
        "/metrics" => measured,
        "/livez" => live,
        "/readyz" => ready,
        "/leader" => leader,
        _ => {
            return Response::text(
                Status::NotFound,
                format!("there is no such path; there are:\n{ROUTES}"),
            );
        }
    };
    let groups = board.read(request.group.as_deref());
    if groups.is_empty() {
        return Response::text(Status::NotFound, "this daemon has no such group\n");
    }
    answer(board, &groups, now, request)
}

fn status(board: &Board, groups: &[Snapshot], now: Timestamp, _: &Request) -> Response {
    match serde_json::to_string(&board.report(groups, now)) {
        Ok(json) => Response {
            status: Status::Ok,
            content_type: "application/json",
            body: json + "\n",
        },
        Err(error) => Response::text(Status::Unavailable, format!("{error}\n")),
    }
}

fn measured(board: &Board, groups: &[Snapshot], now: Timestamp, request: &Request) -> Response {
    Response {
        status: Status::Ok,
        content_type: request.format.content_type(),
        body: metrics::write(board.started_at(), groups, now, request.format),
    }
}

fn live(_: &Board, groups: &[Snapshot], now: Timestamp, _: &Request) -> Response {
    of_each(groups, |group| {
        let still = now.since(group.turned_at);
        if still < STUCK || group.role == Role::Stopped {
            Ok("alive".to_owned())
        } else {
            Err(format!("stuck for {} s", still.as_secs()))
        }
    })
}

fn ready(_: &Board, groups: &[Snapshot], _: Timestamp, _: &Request) -> Response {
    of_each(groups, |group| {
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
fn leader(_: &Board, groups: &[Snapshot], now: Timestamp, _: &Request) -> Response {
    let [group] = groups else {
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
fn of_each(groups: &[Snapshot], judge: impl Fn(&Snapshot) -> Result<String, String>) -> Response {
    let mut status = Status::Ok;
    let mut body = String::new();
    for group in groups {
        let (Ok(word) | Err(word)) = judge(group).inspect_err(|_| status = Status::Unavailable);
        body.push_str(&format!("{}: {word}\n", group.about.group));
    }
    Response::text(status, body)
}
