//! Pure: how a person runs a failing schedule again.

use vip_elector::election::rules::Rule;

/// Returns the command that plays this seed line by line.
pub fn line(seed: u64, without: &[usize], broken: Option<Rule>) -> String {
    played("cargo lab simulate", seed, without, broken)
}

/// Returns the same for [`crate::many`].
pub fn line_of_many(seed: u64, without: &[usize], broken: Option<Rule>) -> String {
    played("cargo lab simulate --many", seed, without, broken)
}

fn played(command: &str, seed: u64, without: &[usize], broken: Option<Rule>) -> String {
    let mut line = format!("{command} --seed {seed}");
    if !without.is_empty() {
        let numbers: Vec<String> = without.iter().map(usize::to_string).collect();
        line = format!("{line} --without {}", numbers.join(","));
    }
    if let Some(rule) = broken {
        line = format!("{line} --break {rule:?}");
    }
    format!("{line} --trace")
}
