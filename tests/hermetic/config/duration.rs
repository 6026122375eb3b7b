//! Durations as Go writes them.

use std::time::Duration;

use proptest::prelude::*;
use vip_elector::config::duration::{Go, ParseError, parse};

#[test]
fn reads_what_go_reads() {
    for (text, nanoseconds) in [
        ("10s", 10_000_000_000),
        ("1m30s", 90_000_000_000),
        ("1.5s", 1_500_000_000),
        ("250ms", 250_000_000),
        ("1h", 3_600_000_000_000),
        ("24h", 86_400_000_000_000),
        ("1h15m30.918273645s", 4_530_918_273_645),
        ("3us", 3_000),
        ("3µs", 3_000),
        ("3μs", 3_000),
        ("52ns", 52),
        ("0.5ns", 0),
        ("0", 0),
        ("0s", 0),
        ("+0", 0),
        ("+5s", 5_000_000_000),
        (".5s", 500_000_000),
        ("5.s", 5_000_000_000),
        ("1s1s", 2_000_000_000),
        ("0.100000000000000000000h", 360_000_000_000),
        ("9223372036854775807ns", 9_223_372_036_854_775_807),
    ] {
        assert_eq!(parse(text), Ok(Duration::from_nanos(nanoseconds)), "{text}");
    }
}

#[test]
fn refuses_the_rest() {
    for (text, error) in [
        ("10", without_unit("10", 10_000)),
        ("1.5", without_unit("1.5", 1_500)),
        ("1.2.3", ParseError::Malformed),
        (".", ParseError::Malformed),
        ("-1s", ParseError::Negative),
        ("-", ParseError::Negative),
        ("", ParseError::Malformed),
        ("+", ParseError::Malformed),
        ("s", ParseError::Malformed),
        (".s", ParseError::Malformed),
        ("1 s", ParseError::Malformed),
        (" 1s", ParseError::Malformed),
        ("1S", ParseError::Malformed),
        ("1d", ParseError::Malformed),
        ("1s2", ParseError::Malformed),
        ("1..5s", ParseError::Malformed),
        ("٣s", ParseError::Malformed),
        ("9223372036854775808ns", ParseError::TooLong),
        ("99999999999999999999s", ParseError::TooLong),
    ] {
        assert_eq!(parse(text), Err(error), "{text}");
    }
}

fn without_unit(number: &str, milliseconds: u128) -> ParseError {
    ParseError::NoUnit {
        number: number.to_owned(),
        milliseconds,
    }
}

#[test]
fn prints_the_shortest_spelling() {
    for text in [
        "0s", "10s", "1m30s", "1.5s", "250ms", "24h", "1h1s", "3us", "1.25us", "52ns",
    ] {
        assert_eq!(Go(parse(text).unwrap()).to_string(), text);
    }
    assert_eq!(Go(Duration::from_millis(90_500)).to_string(), "1m30.5s");
    assert_eq!(Go(Duration::new(1, 1)).to_string(), "1.000000001s");
}

proptest! {
    #[test]
    fn what_is_printed_is_read_back(nanoseconds in 0..=i64::MAX.unsigned_abs()) {
        let duration = Duration::from_nanos(nanoseconds);
        prop_assert_eq!(parse(&Go(duration).to_string()), Ok(duration));
    }

    #[test]
    fn small_values_are_read_back_too(nanoseconds in 0_u64..5_000_000_000) {
        let duration = Duration::from_nanos(nanoseconds);
        prop_assert_eq!(parse(&Go(duration).to_string()), Ok(duration));
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in any::<String>()) {
        let _ = parse(&text);
    }

    #[test]
    fn nor_one_that_looks_like_a_duration(text in "[-+0-9.nuµmsh]{0,40}") {
        let _ = parse(&text);
    }
}
