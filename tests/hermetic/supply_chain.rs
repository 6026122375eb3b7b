//! What the project lets itself depend on: `deny.toml`, held without cargo-deny.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

fn read(file: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(file)).unwrap()
}

/// The strings of a list in `deny.toml`, one a line.
fn list(section: &str, name: &str) -> BTreeSet<String> {
    let text = read("deny.toml");
    let section = text.split(&format!("\n[{section}]\n")).nth(1).unwrap();
    let section = section.split("\n[").next().unwrap();
    let items = section.split(&format!("\n{name} = [\n")).nth(1);
    let items = items.unwrap_or_else(|| panic!("no list {name}"));
    let strings = items.lines().take_while(|line| *line != "]");
    strings
        .map(|line| {
            line.trim()
                .trim_end_matches(',')
                .trim_matches('"')
                .to_owned()
        })
        .collect()
}

/// Every package that is built on this platform, in any way, by Cargo's word.
fn packages() -> Vec<Value> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--format-version=1", "--locked"])
        .arg("--filter-platform=x86_64-unknown-linux-gnu")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo metadata: {said}");
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let used: BTreeSet<&str> = metadata["resolve"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| node["id"].as_str().unwrap())
        .collect();
    let packages = metadata["packages"].as_array().unwrap();
    packages
        .iter()
        .filter(|package| used.contains(package["id"].as_str().unwrap()))
        .cloned()
        .collect()
}

fn text<'a>(package: &'a Value, field: &str) -> &'a str {
    package[field].as_str().unwrap_or_default()
}

#[test]
fn every_dependency_is_one_that_deny_toml_allows() {
    let (licenses, banned) = (list("licenses", "allow"), list("bans", "deny"));
    let sources = list("sources", "allow-registry");
    let mut versions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let packages = packages();
    assert!(packages.len() > 100, "only {}", packages.len());
    for package in &packages {
        let name = text(package, "name");
        versions
            .entry(name.to_owned())
            .or_default()
            .insert(text(package, "version").to_owned());
        assert!(!banned.contains(name), "{name} is banned");
        let license = text(package, "license");
        assert!(is_allowed(license, &licenses), "{name}: {license:?}");
        // Our own packages come from nowhere.
        let source = text(package, "source");
        let registry = source.strip_prefix("registry+").unwrap_or(source);
        let ours = source.is_empty() && name.starts_with("vip-");
        assert!(
            ours || sources.contains(registry),
            "{name} is from {source}"
        );
    }
    let twice: BTreeSet<String> = versions
        .into_iter()
        .filter(|(_, versions)| versions.len() > 1)
        .map(|(name, _)| name)
        .collect();
    let skipped = list("bans", "skip");
    assert!(twice.is_subset(&skipped), "twice: {twice:?}");
}

/// Whether a license expression (SPDX, or the older way with a slash) can be met.
fn is_allowed(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let expression = expression.replace('/', " OR ");
    if let Some(rest) = expression.strip_prefix('(')
        && let Some((inner, and)) = rest.split_once(") AND ")
    {
        return is_allowed(inner, allowed) && is_allowed(and, allowed);
    }
    expression.split(" OR ").any(|choice| {
        choice
            .split(" AND ")
            .all(|license| allowed.contains(license))
    })
}

#[test]
fn license_expressions_are_understood() {
    let allowed = ["MIT", "ISC"].map(str::to_owned).into();
    for (expression, good) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("", false),
        ("GPL-3.0 OR MIT", true),
        ("Unlicense/MIT", true),
        ("GPL-3.0 AND MIT", false),
        ("(GPL-3.0 OR MIT) AND ISC", true),
        ("(GPL-3.0 OR MIT) AND NCSA", false),
        ("Apache-2.0 WITH LLVM-exception OR MIT", true),
    ] {
        assert_eq!(is_allowed(expression, &allowed), good, "{expression}");
    }
}

/// The daemon has none; netlink/ and the lab say at each place why it is sound.
#[test]
fn unsafe_code_is_where_it_is_argued_for() {
    for file in ["src/lib.rs", "src/main.rs", "fuzz/src/lib.rs"] {
        assert!(read(file).contains("#![forbid(unsafe_code)]"), "{file}");
    }
    for directory in ["netlink/src", "tests/lab/src"] {
        walk(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join(directory),
            &|path| {
                let text = fs::read_to_string(path).unwrap();
                let blocks = text.matches("unsafe {").count();
                let arguments = text.matches("// SAFETY:").count();
                assert!(blocks <= arguments, "{}", path.display());
            },
        );
    }
}

fn walk(path: &Path, look: &impl Fn(&Path)) {
    if path.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            walk(&entry.unwrap().path(), look);
        }
    } else if path.extension().is_some_and(|extension| extension == "rs") {
        look(path);
    }
}
