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
