//! Pure: how to reach Consul: endpoints, token and TLS, in the order in which Consul's own tools and
//! vip-manager look for them.
//!
//! The meaning of each variable: <https://developer.hashicorp.com/consul/commands#environment-variables>.

mod endpoint;
mod tls;

use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

use super::credentials;
use super::describe::{Lines, MASK};
use super::file::Entry;
use super::levels::{Levels, filled_flag};
use super::option::boolean;
use super::origin::{Origin, Sourced, Written};
use super::report::{Caution, Fault, Findings};
use crate::consul::access::{Access, Endpoint};
use crate::consul::token::{self, fits_a_header};

/// Everything that is needed to talk to Consul; `None` only where a problem was reported.
pub(super) fn resolve(
    levels: &Levels<'_>,
    findings: &mut Findings,
    lines: &mut Lines,
) -> Option<Access> {
    let endpoints = endpoint::resolve(levels, findings);
    for endpoint in &endpoints {
        lines.add("addr", Some(endpoint), endpoint::show);
    }
    let (token, token_file) = token(levels, findings);
    lines.add("token", token.as_ref(), |_| MASK.to_owned());
    let http_auth = header(
        levels.environment("CONSUL_HTTP_AUTH"),
        "http-auth",
        findings,
    );
    lines.add("http-auth", http_auth.as_ref(), |_| MASK.to_owned());
    let tls = tls::resolve(levels, findings, lines);
    let namespace = levels.environment("CONSUL_NAMESPACE");
    lines.add("namespace", namespace.as_ref(), Clone::clone);
    let partition = levels.environment("CONSUL_PARTITION");
    lines.add("partition", partition.as_ref(), Clone::clone);

    let endpoints: Vec<_> = endpoints
        .into_iter()
        .map(|endpoint| endpoint.value)
        .collect();
    if let Some(unverified) = &tls.unverified
        && endpoints.iter().any(speaks_tls)
    {
        findings.warning("ssl-verify", unverified, Caution::Unverified);
    }
    let usable = !endpoints.is_empty();
    usable.then(|| Access {
        endpoints,
        token: token.map(|token| token.value),
        token_file,
        http_auth: http_auth.map(|auth| auth.value),
        tls: tls.tls,
        namespace: namespace.map(|namespace| namespace.value),
        partition: partition.map(|partition| partition.value),
    })
}

fn speaks_tls(endpoint: &Endpoint) -> bool {
    match endpoint {
        Endpoint::Http(url) => url.scheme() == "https",
        Endpoint::Unix(_) => false,
    }
}

/// A variable with Go's `strconv.ParseBool`; not set and refused are both `None`.
fn switch(
    levels: &Levels<'_>,
    name: &'static str,
    setting: &str,
    findings: &mut Findings,
) -> Option<Sourced<bool>> {
    let written = levels.environment(name)?;
    findings.accept(setting, &written, boolean(&written.value))
}

/// The token, and the file that it comes from if it comes from one.
fn token(
    levels: &Levels<'_>,
    findings: &mut Findings,
) -> (Option<Sourced<SecretString>>, Option<PathBuf>) {
    match written_token(levels, findings) {
        Some(Source::Value(token)) => (header(Some(token), "token", findings), None),
        Some(Source::File(file)) => {
            let path = PathBuf::from(&file.value);
            (token_file(levels, &file, findings), Some(path))
        }
        None => (None, None),
    }
}

/// Where a token was written.
enum Source {
    Value(Written),
    File(Written),
}

fn written_token(levels: &Levels<'_>, findings: &mut Findings) -> Option<Source> {
    let flags = levels.flags;
    let typed = flags.token.as_ref().map(SecretString::expose_secret);
    if let Some(token) = typed.filter(|token| !token.is_empty()) {
        let token = Written::new((*token).to_owned(), Origin::Flag("--token"));
        findings.warning_at("token", &token.origin, Caution::InProcessList);
        return Some(Source::Value(token));
    }
    if let Some(file) = filled_flag("--token-file", flags.token_file.as_ref()) {
        return Some(Source::File(file));
    }
    if let Some(token) = levels.environment("CONSUL_HTTP_TOKEN") {
        return Some(Source::Value(token));
    }
    if let Some(file) = levels.environment("CONSUL_HTTP_TOKEN_FILE") {
        return Some(Source::File(file));
    }
    if let Some(token) = levels.vip_environment("consul-token", findings) {
        return Some(Source::Value(token));
    }
    if let Some(file) = levels.option(None, "token-file", findings) {
        return Some(Source::File(file));
    }
    let key = "consul-token";
    let by_file = levels.agreed(key, |file| file.setting(key), findings);
    if let Some(token) = by_file.and_then(Entry::one) {
        return Some(Source::Value(token));
    }
    levels.credential(credentials::TOKEN).map(Source::File)
}

fn token_file(
    levels: &Levels<'_>,
    file: &Written,
    findings: &mut Findings,
) -> Option<Sourced<SecretString>> {
    let token = match (levels.sources.read)(Path::new(&file.value)) {
        Ok(bytes) => token::parse(&bytes).map_err(Fault::Token),
        Err(error) => Err(Fault::Unreadable(error)),
    };
    findings.accept("token-file", file, token)
}

/// A secret that is sent in a header. Its value is never reported.
fn header(
    written: Option<Written>,
    setting: &str,
    findings: &mut Findings,
) -> Option<Sourced<SecretString>> {
    let written = written?;
    if !fits_a_header(&written.value) {
        findings.problem_at(setting, &written.origin, Fault::NotAHeader);
        return None;
    }
    Some(written.means(SecretString::from(written.value.as_str())))
}
