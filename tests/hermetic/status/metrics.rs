//! What Prometheus reads, and what alerts and dashboard make of it.

use std::path::Path;

use vip_elector::status::{http, routes};

use super::{NOW, ask, leader, standby, view};

#[test]
fn metrics_are_written_as_they_are_asked_for() {
    let view = view(vec![leader("service/pg/leader"), standby("odd \"key\"")]);
    let plain = ask(&view, NOW, "/metrics");
    assert_eq!(
        plain.content_type,
        "text/plain; version=0.0.4; charset=utf-8"
    );
    insta::assert_snapshot!("metrics", plain.body);

    // As Prometheus asks.
    let head = "GET /metrics HTTP/1.1\r\naccept: application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.2\r\n\r\n";
    let open = routes::answer(view, NOW, &http::parse(head.as_bytes()).unwrap().unwrap());
    assert_eq!(
        open.content_type,
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    let (text, end) = open.body.split_at(open.body.len() - "# EOF\n".len());
    assert_eq!(end, "# EOF\n");
    // A counter is declared without the ending that its samples carry; the rest is the same.
    let counters = |line: &&str| line.starts_with("# ") && line.contains("_total ");
    assert_eq!(text.lines().filter(counters).count(), 0);
    let samples = |text: &str| {
        text.lines()
            .filter(|line| !line.starts_with('#'))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(samples(text), samples(&plain.body));
}

#[test]
fn alerts_and_dashboard_name_only_what_is_there() {
    let view = view(vec![leader("a")]);
    let metrics = ask(&view, NOW, "/metrics").body;
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let known = |name: &str| {
        metrics.lines().any(|line| {
            line.split(|letter| !is_part(letter))
                .any(|word| word == name)
        })
    };
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/monitoring");
    let read = |name: &str| std::fs::read_to_string(place.join(name)).unwrap();
    let (alerts, tests, dashboard) = (
        read("alerts.yml"),
        read("alerts.test.yml"),
        read("dashboard.json"),
    );
    for text in [&alerts, &tests, &dashboard] {
        let names: Vec<_> = text
            .split(|letter| !is_part(letter))
            .filter(|word| word.starts_with("vip_elector_"))
            .collect();
        assert!(names.len() > 10);
        for name in names {
            assert!(known(name), "there is no {name}");
        }
    }
    let alerts: Vec<_> = alerts
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- alert: "))
        .collect();
    assert!(alerts.len() > 10);
    for alert in alerts {
        assert!(
            tests.contains(&format!("alertname: {alert}")),
            "{alert} is not tried"
        );
    }
}
