//! The arrows of ARCHITECTURE.md, held.

use std::fs;
use std::path::{Path, PathBuf};

fn sources(under: &str) -> Vec<(PathBuf, String)> {
    fn walk(path: &Path, into: &mut Vec<(PathBuf, String)>) {
        if path.is_dir() {
            for entry in fs::read_dir(path).unwrap() {
                walk(&entry.unwrap().path(), into);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && !path.components().any(|part| part.as_os_str() == "tests")
            && !path.ends_with("tests.rs")
        {
            into.push((path.to_owned(), fs::read_to_string(path).unwrap()));
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for path in under.split(' ') {
        walk(&root.join(path), &mut found);
    }
    assert!(!found.is_empty(), "nothing under {under}");
    found
}

/// What a file imports: the paths after `use`, and paths written out in code.
fn imports(text: &str) -> Vec<&str> {
    text.lines()
        .map(str::trim)
        .filter_map(|line| {
            line.strip_prefix("pub ")
                .unwrap_or(line)
                .strip_prefix("use ")
        })
        .collect()
}

#[test]
fn the_pure_core_imports_nothing_that_acts() {
    let allowed = [
        "crate::election::",
        "crate::vip::announce",
        "crate::vip::reconcile",
        "self::",
        "super::",
        "std::cmp",
        "std::collections::",
        "std::fmt",
        "std::net::",
        "std::ops::",
        "std::sync::Arc;",
        "std::time::Duration;",
    ];
    for (path, text) in sources(
        "src/election.rs src/election src/vip/reconcile.rs src/vip/reconcile src/vip/announce.rs src/vip/pace.rs \
             src/vip/carrier.rs src/vip/conflict.rs",
    ) {
        for import in imports(&text) {
            let pure = allowed.iter().any(|allowed| import.starts_with(allowed));
            assert!(pure, "{} imports {import}", path.display());
        }
        for word in [
            "tokio",
            "reqwest",
            "Instant::now",
            "async fn",
            ".await",
            "tracing::",
        ] {
            assert!(!text.contains(word), "{} speaks of {word}", path.display());
        }
    }
}

/// Only these files may name the library, and nothing else may.
fn only(library: &str, homes: &[&str]) {
    for (path, text) in sources("src") {
        let at_home = homes
            .iter()
            .any(|home| path.to_string_lossy().contains(home));
        let named =
            text.contains(&format!("{library}::")) || text.contains(&format!("use {library}"));
        assert!(at_home || !named, "{} names {library}", path.display());
    }
}

#[test]
fn every_library_has_one_home() {
    only("rtnetlink", &[]);
    only("netlink_packet_route", &[]);
    only("pnet", &[]);
    only(
        "vip_netlink",
        &[
            "src/vip/hands.rs",
            "src/vip/herald.rs",
            "src/vip/kernel.rs",
            "src/vip/sentry.rs",
            "src/daemon",
            "src/doctor/gather",
            "src/logging.rs",
        ],
    );
    only("reqwest", &["src/consul", "src/health/url.rs"]);
    only("anyhow", &["src/main.rs"]);
    only("httparse", &["src/status/http.rs"]);
    only("caps", &["src/privileges.rs"]);
    only("serde_yaml", &["src/config"]);
    only("clap", &["src/cli", "src/main.rs"]);
}

#[test]
fn product_code_has_no_way_to_panic_on_purpose() {
    for (path, text) in sources("src netlink/src") {
        let product = text
            .split("#[cfg(test)]\nmod tests {")
            .next()
            .unwrap_or_default();
        for word in [
            ".unwrap()",
            ".expect(",
            "panic!(",
            "unreachable!(",
            "todo!(",
            "unimplemented!(",
        ] {
            assert!(!product.contains(word), "{} has {word}", path.display());
        }
    }
}
