//! Durations as ISO 8601 writes them and Java reads them: days, hours, minutes and seconds, such as
//! `P7D`, `PT1H30M` or `PT0.5S`.

use std::time::Duration;

/// The duration; none for what is not one, is negative or above some hundred years.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let text = text.trim();
    let rest = text.strip_prefix(['P', 'p'])?;
    let (date, time) = match rest.split_once(['T', 't']) {
        Some((_, "")) => return None,
        Some((date, time)) => (date, time),
        None => (rest, ""),
    };
    if date.is_empty() && time.is_empty() {
        return None;
    }
    let days = parts(date, &[('D', 86_400)])?;
    let seconds = parts(time, &[('H', 3_600), ('M', 60), ('S', 1)])?;
    let whole = days.checked_add(seconds)?;
    // More than the age of any record, and nothing overflows that adds or subtracts it.
    (whole <= Duration::from_secs(500 * 366 * 86_400)).then_some(whole)
}

/// The sum of numbers with their units, each unit at most once and in this order.
fn parts(mut text: &str, units: &[(char, u64)]) -> Option<Duration> {
    let mut sum = Duration::ZERO;
    for &(unit, seconds) in units {
        let Some(at) = text.find([unit, unit.to_ascii_lowercase()]) else { continue };
        let (number, rest) = text.split_at(at);
        text = rest.get(1..)?;
        sum = sum.checked_add(number_of(number, seconds, unit == 'S')?)?;
    }
    text.is_empty().then_some(sum)
}

/// Digits, for seconds with a fraction of up to nine.
fn number_of(text: &str, seconds: u64, fraction: bool) -> Option<Duration> {
    let text = text.strip_prefix('+').unwrap_or(text);
    let (whole, part) = match text.split_once(['.', ',']) {
        Some((whole, part)) if fraction && part.len() <= 9 => (whole, part),
        Some(_) => return None,
        None => (text, ""),
    };
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(part) {
        return None;
    }
    let nanos = format!("{part:0<9}").parse().ok()?;
    Some(Duration::new(whole.parse::<u64>().ok()?.checked_mul(seconds)?, nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_hours_minutes_and_seconds_are_read_as_java_reads_them() {
        let table = [
            ("P7D", 7 * 86_400_000),
            ("PT1H", 3_600_000),
            ("pt1h30m", 5_400_000),
            ("P1DT2H3M4.5S", 93_784_500),
            ("PT0.001S", 1),
            ("PT0S", 0),
            ("PT+5M", 300_000),
            (" PT90M ", 5_400_000),
        ];
        for (text, millis) in table {
            assert_eq!(parse(text), Some(Duration::from_millis(millis)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_or_a_negative_one_is_refused() {
        let bad = [
            "",
            "P",
            "PT",
            "P1DT",
            "1D",
            "P1H",
            "PT1D",
            "P1Y",
            "P1M",
            "P1W",
            "PT-5M",
            "-PT5M",
            "PT5",
            "PT1M1H",
            "PT1H1H",
            "PT1.5H",
            "PT.5S",
            "PT1.1234567890S",
            "PTS",
            "P999999999D",
            "PT5Mx",
            "P99999999999999999999D",
            "PT１H",
        ];
        for text in bad {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }
}
