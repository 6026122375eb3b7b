//! Pure: durations as Go writes them: `10s`, `1m30s`, `1.5s`, `250ms`.
//!
//! The grammar is that of `time.ParseDuration`, which Consul and vip-manager use, without negative
//! values.

use std::fmt;
use std::time::Duration;

use thiserror::Error;

/// Why a text is no duration.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ParseError {
    /// A number alone.
    #[error("has no unit; write {number}s or {milliseconds}ms")]
    NoUnit {
        /// As written.
        number: String,
        /// What it is if seconds were meant.
        milliseconds: u128,
    },
    /// A part without a number, or a unit that Go does not know.
    #[error("is no duration; write it like 10s, 1m30s, 1.5s or 250ms")]
    Malformed,
    /// Below zero.
    #[error("is negative; leave the minus sign out")]
    Negative,
    /// Longer than Go's 64-bit nanoseconds can say (292 years).
    #[error("is longer than any duration can be; write it like 10s or 1m30s")]
    TooLong,
}

/// Units, longest name first where one name begins another.
const UNITS: [(&str, u128); 8] = [
    ("ns", 1),
    ("us", 1_000),
    ("µs", 1_000), // U+00B5
    ("μs", 1_000), // U+03BC
    ("ms", 1_000_000),
    ("s", SECOND),
    ("m", 60 * SECOND),
    ("h", 3_600 * SECOND),
];
const SECOND: u128 = 1_000_000_000;

/// Reads a duration; digits below a nanosecond are dropped.
pub fn parse(text: &str) -> Result<Duration, ParseError> {
    if text.starts_with('-') {
        return Err(ParseError::Negative);
    }
    let text = text.strip_prefix('+').unwrap_or(text);
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    if text.is_empty() {
        return Err(ParseError::Malformed);
    }
    if text
        .bytes()
        .all(|byte| byte == b'.' || byte.is_ascii_digit())
    {
        let seconds = parse(&format!("{text}s"))?;
        let (number, milliseconds) = (text.to_owned(), seconds.as_millis());
        return Err(ParseError::NoUnit {
            number,
            milliseconds,
        });
    }
    let mut rest = text;
    let mut nanoseconds: u128 = 0;
    while !rest.is_empty() {
        let (part, after) = first_part(rest)?;
        nanoseconds = nanoseconds.checked_add(part).ok_or(ParseError::TooLong)?;
        rest = after;
    }
    let nanoseconds = i64::try_from(nanoseconds).map_err(|_| ParseError::TooLong)?;
    Ok(Duration::from_nanos(nanoseconds.unsigned_abs()))
}

/// Prints a duration in the shortest of Go's spellings: `24h`, `1m30s`, `1.5s`, `250ms`, `0s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Go(pub Duration);

impl fmt::Display for Go {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.0.as_nanos();
        match all {
            0 => return f.write_str("0s"),
            1..1_000 => return write!(f, "{all}ns"),
            1_000..1_000_000 => return write_fraction(f, all, 1_000, "us"),
            1_000_000..SECOND => return write_fraction(f, all, 1_000_000, "ms"),
            SECOND.. => {}
        }
        let (hours, rest) = (all / (3_600 * SECOND), all % (3_600 * SECOND));
        let (minutes, rest) = (rest / (60 * SECOND), rest % (60 * SECOND));
        if hours > 0 {
            write!(f, "{hours}h")?;
        }
        if minutes > 0 {
            write!(f, "{minutes}m")?;
        }
        if rest > 0 {
            write_fraction(f, rest, SECOND, "s")?;
        }
        Ok(())
    }
}

/// Splits `1.5s30ms` into the nanoseconds of `1.5s` and `30ms`.
fn first_part(text: &str) -> Result<(u128, &str), ParseError> {
    let (whole, after_whole) = digits(text);
    let (fraction, after_number) = match after_whole.strip_prefix('.') {
        Some(after_point) => digits(after_point),
        None => ("", after_whole),
    };
    if whole.is_empty() && fraction.is_empty() {
        return Err(ParseError::Malformed);
    }
    let unit_end = after_number
        .find(|c: char| c == '.' || c.is_ascii_digit())
        .unwrap_or(after_number.len());
    let (name, rest) = after_number.split_at(unit_end);
    let unit = UNITS
        .iter()
        .find_map(|&(known, unit)| (known == name).then_some(unit))
        .ok_or(ParseError::Malformed)?;
    let whole = number(whole)?
        .checked_mul(unit)
        .ok_or(ParseError::TooLong)?;
    // An hour has 3.6e12 ns: digits after the thirteenth are below a nanosecond in every unit.
    let fraction = &fraction[..fraction.len().min(13)];
    let scale = fraction.bytes().fold(1_u128, |scale, _| scale * 10);
    let part = whole + number(fraction)? * unit / scale;
    Ok((part, rest))
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(
        text.find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len()),
    )
}

fn number(digits: &str) -> Result<u128, ParseError> {
    if digits.is_empty() {
        return Ok(0);
    }
    // More than 64 bits of anything is too long, and 64 bits times an hour fit into 128.
    digits
        .parse::<u64>()
        .map(u128::from)
        .map_err(|_| ParseError::TooLong)
}

fn write_fraction(f: &mut fmt::Formatter<'_>, value: u128, unit: u128, name: &str) -> fmt::Result {
    let (whole, below) = (value / unit, value % unit);
    if below == 0 {
        return write!(f, "{whole}{name}");
    }
    let width = unit.ilog10() as usize;
    let below = format!("{below:0width$}");
    write!(f, "{whole}.{}{name}", below.trim_end_matches('0'))
}
