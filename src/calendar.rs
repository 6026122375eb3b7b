//! Pure: points in time as people and other programs read them.

use std::time::{SystemTime, UNIX_EPOCH};

const DAY: u64 = 24 * 60 * 60;

/// The days of 400 years, after which the calendar repeats itself.
const ERA: u64 = 146_097;

/// From the first of March of the year 0, where an era begins, to 1970.
const BEFORE_1970: u64 = 719_468;

/// Writes an instant as RFC 3339 has it, in UTC with milliseconds; one before 1970 as 1970.
pub fn rfc3339(at: SystemTime) -> String {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let (seconds, millis) = (since.as_secs(), since.subsec_millis());
    let (year, month, day) = date(seconds / DAY);
    let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
}

/// Leaves the fraction of a second out, where a time has one.
pub fn whole_seconds(written: &str) -> String {
    let parts = written
        .strip_suffix('Z')
        .and_then(|time| time.rsplit_once('.'));
    match parts {
        Some((whole, fraction)) if fraction.bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("{whole}Z")
        }
        Some(_) | None => written.to_owned(),
    }
}

/// The Gregorian date, so many days after the first of January 1970. Years begin in March here, so that
/// the day that some of them have more is their last.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + BEFORE_1970;
    let (era, day) = (days / ERA, days % ERA);
    // Less the leap days: one in 4 years, none in 100, one in 400.
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (year * 365 + year / 4 - year / 100);
    // 153 days are the five months from March, and again those from August.
    let month = (day * 5 + 2) / 153;
    let day = day - (month * 153 + 2) / 5 + 1;
    let next_year = u64::from(month >= 10);
    (
        era * 400 + year + next_year,
        month + 3 - 12 * next_year,
        day,
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn instants_are_written_in_utc() {
        // As `date -u -d @N` says.
        for (seconds, written) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399, "2000-02-28T23:59:59.000Z"),
            (951_782_400, "2000-02-29T00:00:00.000Z"),
            (951_868_800, "2000-03-01T00:00:00.000Z"),
            (1_704_067_199, "2023-12-31T23:59:59.000Z"),
            (1_709_210_096, "2024-02-29T12:34:56.000Z"),
            (4_107_542_399, "2100-02-28T23:59:59.000Z"),
            (4_107_542_400, "2100-03-01T00:00:00.000Z"),
        ] {
            assert_eq!(rfc3339(UNIX_EPOCH + Duration::from_secs(seconds)), written);
        }
        let late = UNIX_EPOCH + Duration::from_micros(1_234_567_890_123_999);
        assert_eq!(rfc3339(late), "2009-02-13T23:31:30.123Z");
        assert_eq!(
            rfc3339(UNIX_EPOCH - Duration::from_secs(1)),
            "1970-01-01T00:00:00.000Z"
        );
    }

    #[test]
    fn a_fraction_is_left_out_and_nothing_else() {
        for (written, whole) in [
            ("2026-11-22T12:03:11.123Z", "2026-11-22T12:03:11Z"),
            ("2026-11-22T12:03:11Z", "2026-11-22T12:03:11Z"),
            ("2026-11-22T12:03:11.1x3Z", "2026-11-22T12:03:11.1x3Z"),
            ("yesterday", "yesterday"),
            ("", ""),
        ] {
            assert_eq!(whole_seconds(written), whole);
        }
    }

    #[test]
    fn every_day_follows_the_one_before() {
        let mut last = date(0);
        for days in 1..150_000 {
            let next = date(days);
            assert!(
                next > last && (1..=31).contains(&next.2) && (1..=12).contains(&next.1),
                "{next:?}"
            );
            last = next;
        }
        assert_eq!(
            last,
            (2380, 9, 7),
            "as `date -u -d @$((149999*86400))` says"
        );
    }
}
