//! What the tests of all judges share.

use super::report::{Findings, Level};

/// A finding that is not as it should be: level, word and sentence.
pub(super) type Bad = (Level, &'static str, String);

/// Returns what a judge finds bad, each of which says what to do about it.
pub(super) fn bad(judge: impl FnOnce(&mut Findings)) -> Vec<Bad> {
    let mut findings = Findings::default();
    judge(&mut findings);
    findings
        .done()
        .into_iter()
        .filter(|finding| finding.level != Level::Ok)
        .map(|finding| {
            assert!(finding.remedy.is_some(), "{finding:?}");
            (finding.level, finding.about, finding.what)
        })
        .collect()
}

/// Panics unless this is all that is bad.
pub(super) fn assert_alone(found: &[Bad], level: Level, about: &str, words: &str) {
    let [(found_level, found_about, what)] = found else {
        panic!("{words}: {found:?}");
    };
    assert_eq!((*found_level, *found_about), (level, about), "{what}");
    assert!(what.contains(words), "{words}: {what}");
}
