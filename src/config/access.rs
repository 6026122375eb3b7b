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
use crate::consul::token::{self, TokenFileError, fits_a_header};

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
    let http_auth = http_auth(levels, findings);
    lines.add("http-auth", http_auth.as_ref(), |_| MASK.to_owned());
    let tls = tls::resolve(levels, findings, lines);
    let typed = filled_flag("--namespace", levels.flags.namespace.as_ref());
    let namespace = levels.consul(typed, "CONSUL_NAMESPACE", "namespace", findings);
    lines.add("namespace", namespace.as_ref(), Clone::clone);
    let typed = filled_flag("--partition", levels.flags.partition.as_ref());
    let partition = levels.consul(typed, "CONSUL_PARTITION", "partition", findings);
    lines.add("partition", partition.as_ref(), Clone::clone);

    let endpoints: Vec<_> = endpoints
        .into_iter()
        .map(|endpoint| endpoint.value)
        .collect();
    if endpoints.iter().any(speaks_tls) {
        if let Some(unverified) = &tls.unverified {
            findings.warning("ssl-verify", unverified, Caution::Unverified);
        }
    } else {
        // Whoever writes one of these believes that TLS is spoken.
        for setting in ["ca-file", "ca-path", "client-cert", "tls-server-name"] {
            if let Some(origin) = lines.origin(setting) {
                let without = "https:// in front of Consul's address";
                findings.warning_at(setting, origin, Caution::Idle { without });
            }
        }
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
            let token = secret_file(levels, &file, "token-file", "the token", findings);
            (token, Some(PathBuf::from(file.value)))
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

/// A password is no flag: every user of the host could read it in the process list.
fn http_auth(levels: &Levels<'_>, findings: &mut Findings) -> Option<Sourced<SecretString>> {
    let file = filled_flag("--http-auth-file", levels.flags.http_auth_file.as_ref());
    if file.is_none()
        && let Some(auth) = levels.environment("CONSUL_HTTP_AUTH")
    {
        return header(Some(auth), "http-auth", findings);
    }
    let file = levels.option(file, "http-auth-file", findings)?;
    secret_file(levels, &file, "http-auth-file", "user:password", findings)
}

fn secret_file(
    levels: &Levels<'_>,
    file: &Written,
    setting: &'static str,
    wanted: &'static str,
    findings: &mut Findings,
) -> Option<Sourced<SecretString>> {
    let bytes = (levels.sources.read)(Path::new(&file.value)).map_err(Fault::Unreadable);
    let secret = bytes.and_then(|bytes| {
        token::parse(&bytes).map_err(|error| match error {
            TokenFileError::Unreadable(error) => Fault::Unreadable(error),
            TokenFileError::NotText => Fault::NotText,
            TokenFileError::Empty => Fault::EmptySecretFile { wanted },
            TokenFileError::NotAHeader => Fault::NotAHeader,
        })
    });
    findings.accept(setting, file, secret)
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
