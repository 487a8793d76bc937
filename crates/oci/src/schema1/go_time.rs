//! Times as Go reads and writes them: RFC 3339 in, the shortest RFC 3339 of nanoseconds out.

use serde::de::{Error as _, Unexpected};
use serde::{Deserialize, Deserializer, Serialize};

/// A time in the form in which Go writes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub(super) struct GoTime(String);

impl Default for GoTime {
    /// Go's zero time, which it writes where it read none.
    fn default() -> GoTime {
        GoTime("0001-01-01T00:00:00Z".to_owned())
    }
}

impl<'de> Deserialize<'de> for GoTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<GoTime, D::Error> {
        let text = String::deserialize(deserializer)?;
        GoTime::parse(&text)
            .ok_or_else(|| D::Error::invalid_value(Unexpected::Other("text"), &"a time of RFC 3339"))
    }
}

impl GoTime {
    /// `None` where Go 1.20 and later take it for no time.
    fn parse(text: &str) -> Option<GoTime> {
        let (date_time, rest) = text.split_at_checked("2006-01-02T15:04:05".len())?;
        let number = |from: usize, to: usize| decimal(date_time.get(from..to)?);
        let mark = |at: usize, mark: u8| date_time.as_bytes().get(at) == Some(&mark);
        if !(mark(4, b'-') && mark(7, b'-') && mark(10, b'T') && mark(13, b':') && mark(16, b':')) {
            return None;
        }
        let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
        let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
        let is_date = (1..=days(year, month)?).contains(&day);
        if !is_date || hour > 23 || minute > 59 || second > 59 {
            return None;
        }
        let (fraction, zone) = match rest.strip_prefix('.') {
            None => ("", rest),
            Some(rest) => rest.split_at(rest.bytes().take_while(u8::is_ascii_digit).count()),
        };
        if rest.starts_with('.') && fraction.is_empty() {
            return None;
        }
        // What is finer than nanoseconds is cut, not rounded.
        let fraction = fraction.get(..9).unwrap_or(fraction).trim_end_matches('0');
        let point = if fraction.is_empty() { "" } else { "." };
        Some(GoTime(format!("{date_time}{point}{fraction}{}", offset(zone)?)))
    }
}

/// The offset from UTC; none at all is always written `Z`.
fn offset(zone: &str) -> Option<&str> {
    if zone == "Z" {
        return Some("Z");
    }
    let (hours, minutes) = zone.strip_prefix(['+', '-'])?.split_once(':')?;
    match (hours.len(), minutes.len(), decimal(hours)?, decimal(minutes)?) {
        (2, 2, 0, 0) => Some("Z"),
        (2, 2, 0..=23, 0..=59) => Some(zone),
        _ => None,
    }
}

fn days(year: u32, month: u32) -> Option<u32> {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 => Some(if is_leap { 29 } else { 28 }),
        4 | 6 | 9 | 11 => Some(30),
        1..=12 => Some(31),
        _ => None,
    }
}

/// Digits only: `parse` alone would take a sign.
fn decimal(digits: &str) -> Option<u32> {
    if digits.bytes().all(|byte| byte.is_ascii_digit()) { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        assert_eq!(GoTime::parse(text).map(|time| time.0).as_deref(), expected, "{text}");
    }

    #[test]
    fn times_are_written_as_go_writes_them() {
        check("2015-10-31T22:22:56.015925234Z", Some("2015-10-31T22:22:56.015925234Z"));
        check("2015-10-31T22:22:56.0150Z", Some("2015-10-31T22:22:56.015Z"));
        check("2015-10-31T22:22:56.000Z", Some("2015-10-31T22:22:56Z"));
        check("2015-10-31T22:22:56.1234567899Z", Some("2015-10-31T22:22:56.123456789Z"));
        check("2015-10-31T22:22:56+00:00", Some("2015-10-31T22:22:56Z"));
        check("2015-10-31T22:22:56-07:30", Some("2015-10-31T22:22:56-07:30"));
        check("2016-02-29T00:00:00Z", Some("2016-02-29T00:00:00Z"));
        assert_eq!(GoTime::parse("0001-01-01T00:00:00Z"), Some(GoTime::default()));
    }

    #[test]
    fn what_go_takes_for_no_time_is_none() {
        for text in [
            "",
            "2015-10-31",
            "2015-10-31T22:22:56",
            "2015-10-31t22:22:56Z",
            "2015-10-31T22:22:56z",
            "2015-10-31T22:22:56.Z",
            "2015-10-31T22:22:56,5Z",
            "2015-10-31T22:22:60Z",
            "2015-10-31T24:00:00Z",
            "2015-02-29T00:00:00Z",
            "2015-13-01T00:00:00Z",
            "2015-00-01T00:00:00Z",
            "2015-10-00T00:00:00Z",
            "+015-10-31T22:22:56Z",
            "2015-10-31T22:22:56+24:00",
            "2015-10-31T22:22:56+0:00",
            "2015-10-31T22:22:56+00:60",
            "2015-10-31T22:22:5éZ",
        ] {
            check(text, None);
        }
    }
}
