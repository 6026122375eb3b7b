//! Pure: a session's name as text and as bytes: a UUID (RFC 9562), as Consul writes it.

/// In bytes, without the hyphens.
pub(super) const LENGTH: usize = 16;

/// Where hyphens stand in the text: before these bytes.
const HYPHENS: [usize; 4] = [4, 6, 8, 10];

const TEXT: usize = 2 * LENGTH + HYPHENS.len();

/// Reads a text that this module would write, and no other for the same bytes.
pub(super) fn parse(text: &str) -> Option<[u8; LENGTH]> {
    let mut bytes = [0; LENGTH];
    let mut digits = text.bytes();
    for (place, byte) in bytes.iter_mut().enumerate() {
        if HYPHENS.contains(&place) && digits.next()? != b'-' {
            return None;
        }
        *byte = digit(digits.next()?)? << 4 | digit(digits.next()?)?;
    }
    digits.next().is_none().then_some(bytes)
}

/// Writes the text of these bytes.
pub(super) fn format(bytes: [u8; LENGTH]) -> String {
    let mut text = String::with_capacity(TEXT);
    for (place, byte) in bytes.into_iter().enumerate() {
        if HYPHENS.contains(&place) {
            text.push('-');
        }
        for half in [byte >> 4, byte & 0xf] {
            text.extend(char::from_digit(half.into(), 16));
        }
    }
    text
}

fn digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'a'..=b'f' => Some(character - b'a' + 10),
        _ => None,
    }
}
