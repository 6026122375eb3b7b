//! Pure: Consul's addresses.

use std::path::PathBuf;

use url::Url;

use super::super::file::Entry;
use super::super::levels::{Levels, filled_flag};
use super::super::origin::{Origin, Sourced, Written};
use super::super::report::{Fault, Findings};
use super::switch;
use crate::consul::access::Endpoint;

/// Consul's own default.
const LOCAL_AGENT: &str = "http://127.0.0.1:8500";

/// Every endpoint that can be used, in the order written; none only where a problem was reported.
pub(super) fn resolve(levels: &Levels<'_>, findings: &mut Findings) -> Vec<Sourced<Endpoint>> {
    let entry = written(levels, findings);
    // As in Consul's client: this turns TLS on even where the address says http://.
    let force_tls = switch(levels, "CONSUL_HTTP_SSL", "ssl", findings);
    let force_tls = force_tls.is_some_and(|force_tls| force_tls.value);
    let texts: Vec<_> = entry.items.iter().flat_map(split).collect();
    if texts.is_empty() {
        findings.problem_at("addr", &entry.origin, Fault::NoEndpoint);
    }
    texts
        .iter()
        .filter_map(|text| accept(text, force_tls, findings))
        .collect()
}

/// An endpoint as it is shown to an operator.
pub(super) fn show(endpoint: &Endpoint) -> String {
    match endpoint {
        Endpoint::Http(url) => url.as_str().trim_end_matches('/').to_owned(),
        Endpoint::Unix(path) => format!("unix://{}", path.display()),
    }
}

fn written(levels: &Levels<'_>, findings: &mut Findings) -> Entry {
    let alone = |written: Written| Entry {
        origin: written.origin.clone(),
        items: vec![written],
    };
    if let Some(flag) = filled_flag("--addr", levels.flags.addr.as_ref()) {
        return alone(flag);
    }
    if let Some(variable) = levels.vip_environment("dcs-endpoints", findings) {
        return alone(variable);
    }
    let by_file = levels
        .agreed("addr", |file| file.own("addr"), findings)
        .or_else(|| levels.agreed("addr", |file| file.setting("dcs-endpoints"), findings));
    if let Some(entry) = by_file {
        return entry.clone();
    }
    let variable = levels.environment("CONSUL_HTTP_ADDR");
    alone(variable.unwrap_or_else(|| Written::new(LOCAL_AGENT.to_owned(), Origin::Default)))
}

fn split(written: &Written) -> Vec<Written> {
    let parts = written
        .value
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty());
    parts.map(|part| written.means(part.to_owned())).collect()
}

fn accept(
    written: &Written,
    force_tls: bool,
    findings: &mut Findings,
) -> Option<Sourced<Endpoint>> {
    match endpoint(&written.value, force_tls) {
        // What was written may hold a secret.
        Err(fault @ (Fault::Credentials | Fault::UrlTail)) => {
            findings.problem_at("addr", &written.origin, fault);
            None
        }
        meaning => findings.accept("addr", written, meaning),
    }
}

fn endpoint(text: &str, force_tls: bool) -> Result<Endpoint, Fault> {
    let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
    let scheme = scheme.to_ascii_lowercase();
    if scheme == "unix" {
        let path = PathBuf::from(rest);
        return if path.is_absolute() {
            Ok(Endpoint::Unix(path))
        } else {
            Err(Fault::SocketPath)
        };
    }
    // First, because every other message quotes the text.
    if rest.contains('@') {
        return Err(Fault::Credentials);
    }
    if rest.contains(['?', '#']) {
        return Err(Fault::UrlTail);
    }
    let scheme = match scheme.as_str() {
        "http" if force_tls => "https",
        "http" => "http",
        "https" => "https",
        _ => return Err(Fault::Scheme),
    };
    Url::parse(&format!("{scheme}://{rest}"))
        .map(Endpoint::Http)
        .map_err(Fault::Url)
}
