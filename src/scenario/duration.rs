//! Durations as scenarios write them: `500ms`, `2s`, `1m30s`, `1h`, `250us`.

use std::time::Duration;

/// The units, longest first, with their nanoseconds.
const UNITS: &[(&str, u64)] = &[
    ("d", 86_400_000_000_000),
    ("h", 3_600_000_000_000),
    ("m", 60_000_000_000),
    ("s", 1_000_000_000),
    ("ms", 1_000_000),
    ("us", 1_000),
    ("ns", 1),
];

/// How to write one, for help lines.
pub(crate) const HELP: &str = "a duration is a string with a unit: \"250us\", \"500ms\", \"2s\", \"1m30s\", \"1h\"";

/// Reads a duration: numbers with units, larger units first, each unit once; a number may have decimals.
/// Exact to the nanosecond.
///
/// # Errors
/// What is wrong with it, as a clause.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let mut rest = text;
    let mut total_ns: u64 = 0;
    let mut units = UNITS;
    if rest.is_empty() {
        return Err("is empty".to_owned());
    }
    while !rest.is_empty() {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.').len();
        let (number, tail) = rest.split_at(digits);
        let letters = tail.len() - tail.trim_start_matches(|c: char| c.is_alphabetic()).len();
        let (unit, tail) = tail.split_at(letters);
        if number.is_empty() {
            return Err(format!("has no number before {rest:?}"));
        }
        if unit.is_empty() {
            return Err(format!("has no unit after {number}"));
        }
        let Some(position) = units.iter().position(|(name, _)| *name == unit) else {
            let known = UNITS.iter().any(|(name, _)| *name == unit);
            let why = if known { "out of order or twice" } else { "no unit of time" };
            return Err(format!("has {unit:?}, which is {why}"));
        };
        let part = decimal(number, units[position].1).ok_or_else(|| format!("has the bad number {number}"))?;
        total_ns = total_ns.checked_add(part).ok_or("is longer than 584 years")?;
        units = &units[position + 1..];
        rest = tail;
    }
    Ok(Duration::from_nanos(total_ns))
}

/// `number` times `unit_ns` without rounding; none if it is no number, too large, or finer than a nanosecond.
fn decimal(number: &str, unit_ns: u64) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let mut total = whole.parse::<u64>().ok()?.checked_mul(unit_ns)?;
    let mut place_ns = unit_ns;
    if fraction.is_empty() || fraction.contains('.') {
        return None;
    }
    for digit in fraction.trim_end_matches('0').bytes() {
        if !place_ns.is_multiple_of(10) {
            return None;
        }
        place_ns /= 10;
        total = total.checked_add(u64::from(digit - b'0').checked_mul(place_ns)?)?;
    }
    Some(total)
}

/// Writes a duration so that [`parse`] gives it back: `1m30s`, `0s`.
#[must_use]
pub(crate) fn format(span: Duration) -> String {
    let mut rest = crate::model::time::nanos(span);
    let mut text = String::new();
    for (unit, unit_ns) in UNITS {
        if rest >= *unit_ns {
            text.push_str(&(rest / unit_ns).to_string());
            text.push_str(unit);
            rest %= unit_ns;
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_duration_is_a_sum_of_numbers_with_units() {
        let good = [
            ("500ms", 500_000_000),
            ("2s", 2_000_000_000),
            ("1m30s", 90_000_000_000),
            ("1h", 3_600_000_000_000),
            ("250us", 250_000),
            ("1.5s", 1_500_000_000),
            ("0.25ms", 250_000),
            ("0s", 0),
            ("1d", 86_400_000_000_000),
        ];
        for (text, nanos) in good {
            assert_eq!(parse(text), Ok(Duration::from_nanos(nanos)), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_said_why() {
        let bad = [
            ("", "is empty"),
            ("5", "has no unit after 5"),
            ("s", "has no number before \"s\""),
            ("5 s", "has no unit after 5"),
            ("-5s", "has no number before \"-5s\""),
            ("5sec", "has \"sec\", which is no unit of time"),
            ("30s1m", "has \"m\", which is out of order or twice"),
            ("1s1s", "has \"s\", which is out of order or twice"),
            ("1.2.3s", "has the bad number 1.2.3"),
            ("1.s", "has the bad number 1."),
            ("0.5ns", "has the bad number 0.5"),
            ("99999999999999999999s", "has the bad number 99999999999999999999"),
        ];
        for (text, why) in bad {
            assert_eq!(parse(text), Err(why.to_owned()), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_duration_comes_back_from_its_text(nanos: u64) {
            let span = Duration::from_nanos(nanos);
            prop_assert_eq!(parse(&format(span)), Ok(span));
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC*") {
            let _ = parse(&text);
        }
    }
}
