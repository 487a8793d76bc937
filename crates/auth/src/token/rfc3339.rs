//! RFC 3339 timestamps after 1970, as Go and Python write them. Reads no clock.

use std::time::{Duration, SystemTime};

/// The time, or `None` if the text is none or lies before 1970.
///
/// Lenient where it does no harm: a fraction of any length is cut to whole seconds, and a space may stand for the `T`.
pub(super) fn parse(text: &str) -> Option<SystemTime> {
    let bytes = text.as_bytes();
    let separators = [(4, "-"), (7, "-"), (10, "Tt "), (13, ":"), (16, ":")];
    if !separators
        .iter()
        .all(|&(index, allowed)| bytes.get(index).is_some_and(|byte| allowed.as_bytes().contains(byte)))
    {
        return None;
    }
    let (year, month, day) = (number(text, 0, 4)?, number(text, 5, 7)?, number(text, 8, 10)?);
    let (hour, minute, second) = (number(text, 11, 13)?, number(text, 14, 16)?, number(text, 17, 19)?);
    // 60 is a leap second.
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let zone = text.get(19..)?;
    let zone = match zone.strip_prefix('.') {
        Some(fraction) => fraction.trim_start_matches(|character: char| character.is_ascii_digit()),
        None => zone,
    };
    let local = days_since_1970(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
    let seconds = u64::try_from(local - zone_seconds(zone)?).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// The digits from `start` to `end` as a number.
fn number(text: &str, start: usize, end: usize) -> Option<i64> {
    let digits = text.get(start..end)?;
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// What `Z`, `+02:00` or `-0730` is ahead of UTC, in seconds.
fn zone_seconds(zone: &str) -> Option<i64> {
    if zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let (sign, offset) = match zone.split_at_checked(1)? {
        ("+", offset) => (1, offset),
        ("-", offset) => (-1, offset),
        _ => return None,
    };
    let minutes = match offset.len() {
        4 => number(offset, 2, 4)?,
        5 if offset.as_bytes().get(2) == Some(&b':') => number(offset, 3, 5)?,
        _ => return None,
    };
    Some(sign * (number(offset, 0, 2)? * 3_600 + minutes * 60))
}

/// Days from 1970-01-01 to a date of the Gregorian calendar, by counting in years that begin in March, so that the leap
/// day is the last of its year.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    const DAYS_TO_1970: i64 = 719_468;
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + (153 * month + 2) / 5 + day - 1 - DAYS_TO_1970
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Seconds since 1970, or `None`.
    fn seconds(text: &str) -> Option<u64> {
        parse(text).map(|time| time.duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs())
    }

    #[test]
    fn timestamps_as_servers_write_them() {
        assert_eq!(seconds("1970-01-01T00:00:00Z"), Some(0));
        assert_eq!(seconds("2009-11-10T23:00:00Z"), Some(1_257_894_000));
        assert_eq!(seconds("2015-02-10T12:00:00.123456789-08:00"), Some(1_423_598_400));
        assert_eq!(seconds("2024-02-29 23:59:60z"), Some(1_709_251_200));
        assert_eq!(seconds("2026-11-24T20:00:00+0200"), Some(1_795_543_200));
    }

    #[test]
    fn what_is_no_timestamp_is_none() {
        for text in [
            "",
            "2026-11-24",
            "2026-11-24T20:00:00",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-01-32T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:60:00Z",
            "2026-01-01T00:00:61Z",
            "+026-01-01T00:00:00Z",
            "2026-01-01T00:00:00+2",
            "2026-01-01T00:00:00+02-00",
            "2026-01-01T00:00:00 UTC",
            "2026-01-01T00:00:00Zx",
            "1969-12-31T23:59:59Z",
            "1970-01-01T00:00:00+00:01",
        ] {
            assert_eq!(seconds(text), None, "{text}");
        }
    }

    /// Days before a date, counted one month after the other.
    fn model_days(year: i64, month: i64, day: i64) -> i64 {
        let is_leap = |year: i64| year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let days_of = |year, month| match month {
            4 | 6 | 9 | 11 => 30,
            2 if is_leap(year) => 29,
            2 => 28,
            _ => 31,
        };
        let years: i64 = (1970..year).map(|year| if is_leap(year) { 366 } else { 365 }).sum();
        years + (1..month).map(|month| days_of(year, month)).sum::<i64>() + day - 1
    }

    proptest! {
        #[test]
        fn dates_count_as_the_calendar(
            (year, month, day) in (1971i64..3000, 1i64..=12, 1i64..=28),
            (hour, minute, second) in (0i64..24, 0i64..60, 0i64..60),
            (ahead, zone_hours, zone_minutes) in (any::<bool>(), 0i64..24, 0i64..60),
            fraction in "(\\.[0-9]{1,9})?",
        ) {
            let sign = if ahead { '+' } else { '-' };
            let text = format!(
                "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}{sign}{zone_hours:02}:{zone_minutes:02}"
            );
            let zone = (zone_hours * 60 + zone_minutes) * if ahead { 60 } else { -60 };
            let expected = model_days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - zone;
            prop_assert_eq!(seconds(&text), u64::try_from(expected).ok(), "{}", text);
        }

        #[test]
        fn any_text_is_a_timestamp_or_none(text in ".{0,30}|[0-9TZ:. +-]{17,26}") {
            let _ = parse(&text);
        }
    }
}
