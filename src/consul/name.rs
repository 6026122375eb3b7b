//! Pure: names that come from Consul, and go into lines, paths and files from here.

use crate::consul::error::shorten;
use crate::election::call::SessionId;

/// A session's id is a UUID; nothing longer is taken for one, in bytes.
const MAX_SESSION: usize = 64;

/// No node has a longer name, in bytes.
const MAX_NODE: usize = 256;

/// Takes a session's id.
///
/// # Errors
/// What is wrong with it, for an operator.
pub(super) fn session(text: &str) -> Result<SessionId, String> {
    let fits = (1..=MAX_SESSION).contains(&text.len());
    if fits && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(SessionId::new(text))
    } else {
        Err(format!(
            "consul's answer has a session that no id names: '{}'",
            shorten(text.as_bytes())
        ))
    }
}

/// Takes a node's name.
///
/// # Errors
/// What is wrong with it, for an operator.
pub(super) fn node(text: String) -> Result<String, String> {
    if is_name(&text, MAX_NODE) {
        Ok(text)
    } else {
        Err(format!(
            "consul's answer has a node that no name names: '{}'",
            shorten(text.as_bytes())
        ))
    }
}

/// Tells whether a text is a name of at most so many bytes.
pub(super) fn is_name(text: &str, most: usize) -> bool {
    !text.trim().is_empty() && text.len() <= most && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_fit_into_a_line() {
        for good in ["565fe19a-7a4f-4a3e-9d8b-5d0c3f1e2a4b", "s1"] {
            assert_eq!(session(good), Ok(SessionId::new(good)));
        }
        for bad in ["", "a b", "a\nb", "é", &"x".repeat(65)] {
            session(bad).unwrap_err();
        }
        for good in ["web1", "web 1.example", "wéb"] {
            assert_eq!(node(good.to_owned()), Ok(good.to_owned()));
        }
        for bad in ["", " ", "a\x1b[31mb", "a\nb", &"x".repeat(257)] {
            node(bad.to_owned()).unwrap_err();
        }
    }
}
