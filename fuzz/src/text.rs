//! What a line for an operator must be, whatever it speaks of.

/// Asserts that a text is one line, and no longer than `limit` characters.
pub(crate) fn assert_line(text: &str, limit: usize) {
    assert!(!text.trim().is_empty(), "nothing is said");
    assert!(
        !text.chars().any(char::is_control),
        "a control character stands in {text:?}"
    );
    let length = text.chars().count();
    assert!(length <= limit, "a line of {length} characters: {text}");
}

/// Asserts that a name from outside fits into a line, a path and a file.
pub(crate) fn assert_name(name: &str) {
    assert_line(name, 256);
}
