//! Durations as Go writes them (`time.ParseDuration`, Go 1.24): `300ms`, `1.5h`, `2h45m`.

use std::time::Duration;

/// Longest duration accepted; anything beyond is a typing error. Keeps the arithmetic far from overflow.
const SECONDS_MAX: f64 = 365.0 * 24.0 * 3600.0;

/// Parses a duration that is not negative; `None` for anything else.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    if rest.is_empty() {
        return None;
    }
    let mut seconds = 0.0_f64;
    while !rest.is_empty() {
        let unit_at = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, tail) = rest.split_at(unit_at);
        // Go takes `1.s` and `.5s`, and refuses a lone dot; so does this parser of floats.
        let number: f64 = number.parse().ok()?;
        let next_at = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(next_at);
        seconds += number * seconds_of(unit)?;
        rest = tail;
    }
    (seconds <= SECONDS_MAX).then(|| Duration::from_secs_f64(seconds))
}

fn seconds_of(unit: &str) -> Option<f64> {
    Some(match unit {
        "ns" => 1e-9,
        // Both micro signs, U+00B5 and U+03BC.
        "us" | "\u{b5}s" | "\u{3bc}s" => 1e-6,
        "ms" => 1e-3,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, millis: Option<u64>) {
        assert_eq!(parse(text), millis.map(Duration::from_millis), "{text}");
    }

    #[test]
    fn durations_read_as_in_go() {
        check("30s", Some(30_000));
        check("1m30s", Some(90_000));
        check("1.5h", Some(5_400_000));
        check("300ms", Some(300));
        check("+1s", Some(1_000));
        check("0", Some(0));
        check("0s", Some(0));
        check(".5s", Some(500));
    }

    #[test]
    fn what_go_refuses_is_refused() {
        for text in ["", "30", "s", "-1s", "1 s", "1d", "1.2.3s", ".s", "1s ", "infs", "9e9h", "99999999h"] {
            check(text, None);
        }
    }
}
