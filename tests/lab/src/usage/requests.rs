//! Applier: reads how many requests an agent has answered, from the agent's own counters.

use crate::cluster::{Agent, Error};

/// Has an agent keep counters that only grow: a part of its configuration.
pub const COUNTERS: &str = r#"{ "telemetry": { "prometheus_retention_time": "1h" } }"#;

/// Returns how many requests there were since the agent started, without those that ask this.
pub fn requests(agent: &Agent) -> Result<f64, Error> {
    agent
        .text("/v1/agent/metrics?format=prometheus")
        .map(|text| count(&text))
}

/// Sums up the counters of all endpoints: `consul_http_METHOD_PATH_count`, or from Consul 1.9 on
/// `consul_api_http_count{method,path}`. Versions that have both count everything twice, so one
/// of the two is left out.
fn count(text: &str) -> f64 {
    let new = sum(text, "consul_api_http_count{");
    if new > 0.0 {
        new
    } else {
        sum(text, "consul_http_")
    }
}

fn sum(text: &str, start: &str) -> f64 {
    text.lines()
        .filter(|line| line.starts_with(start) && !line.contains("agent_metrics"))
        .filter_map(|line| line.rsplit_once(' '))
        .filter(|(name, _)| name.ends_with("_count") || name.contains("_count{"))
        .filter_map(|(_, value)| value.parse::<f64>().ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "\
# TYPE consul_http_GET_v1_kv__ summary
consul_http_GET_v1_kv__{quantile=\"0.5\"} 3
consul_http_GET_v1_kv___sum 30.5
consul_http_GET_v1_kv___count 5
consul_http_PUT_v1_session_renew__count 2
consul_http_GET_v1_agent_metrics_count 9
consul_raft_apply 40
";

    #[test]
    fn both_ways_of_counting_are_understood() {
        assert_eq!(count(OLD), 7.0);
        let both = format!(
            "{OLD}consul_api_http_count{{method=\"GET\",path=\"v1_kv_\"}} 6\n\
             consul_api_http_count{{method=\"GET\",path=\"v1_agent_metrics\"}} 3\n"
        );
        assert_eq!(count(&both), 6.0);
    }
}
