//! Values with a meaning of their own: switches, times, sizes, modes, signals.

use std::time::Duration;

use super::finding::ValueError;
use crate::model::Signal;

/// A time span, systemd.time(7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TimeSpan {
    /// This length of time.
    Finite(Duration),
    /// `infinity`.
    Infinity,
}

impl TimeSpan {
    /// The span as a limit: none where there is no end.
    #[must_use]
    pub const fn limit(self) -> Option<Duration> {
        match self {
            Self::Finite(span) => Some(span),
            Self::Infinity => None,
        }
    }
}

/// A switch: `1 yes y true t on` or `0 no n false f off`, in any case.
///
/// # Errors
/// When it is neither.
pub fn boolean(text: &str) -> Result<bool, ValueError> {
    let lower = text.to_ascii_lowercase();
    match lower.as_str() {
        "1" | "yes" | "y" | "true" | "t" | "on" => Ok(true),
        "0" | "no" | "n" | "false" | "f" | "off" => Ok(false),
        _ => Err(ValueError::not(text, "boolean; say yes or no")),
    }
}

/// Unit names of systemd.time(7) and their length in nanoseconds.
const UNITS: &[(&[&str], f64)] = &[
    (&["usec", "us", "µs", "μs"], 1e3),
    (&["msec", "ms"], 1e6),
    (&["seconds", "second", "sec", "s", ""], 1e9),
    (&["minutes", "minute", "min", "m"], 60e9),
    (&["hours", "hour", "hr", "h"], 3_600e9),
    (&["days", "day", "d"], 86_400e9),
    (&["weeks", "week", "w"], 604_800e9),
    (&["months", "month", "M"], 2_629_800e9),
    (&["years", "year", "y"], 31_557_600e9),
];

/// A time span: `5min 20s`, `1.5`, `infinity`. A bare number counts seconds.
///
/// # Errors
/// When it is none, or negative, or longer than 584 years.
pub fn time_span(text: &str) -> Result<TimeSpan, ValueError> {
    let expected = "time span; say for example 5s, 1min 30s or infinity";
    if text.trim() == "infinity" {
        return Ok(TimeSpan::Infinity);
    }
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(ValueError::not(text, expected));
    }
    let mut total_ns = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, behind) = rest.split_at(digits);
        let behind = behind.trim_start();
        let letters = behind.find(|c: char| !c.is_alphabetic()).unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(letters);
        let number: f64 = number.parse().map_err(|_| ValueError::not(text, expected))?;
        let known = UNITS.iter().find(|(names, _)| names.contains(&unit));
        let (_, unit_ns) = known.ok_or_else(|| ValueError::not(text, expected))?;
        total_ns += number * unit_ns;
        rest = behind.trim_start();
    }
    let span = Duration::try_from_secs_f64(total_ns / 1e9).map_err(|_| ValueError::range(text, "time span"))?;
    // systemd counts whole microseconds.
    let micros = u64::try_from(span.as_nanos().div_ceil(1_000)).map_err(|_| ValueError::range(text, "time span"))?;
    Ok(TimeSpan::Finite(Duration::from_micros(micros)))
}

/// A timeout, where 0 stands for no limit, as in TimeoutStartSec=.
///
/// # Errors
/// As [`time_span`].
pub fn timeout(text: &str) -> Result<TimeSpan, ValueError> {
    time_span(text).map(|span| if span == TimeSpan::Finite(Duration::ZERO) { TimeSpan::Infinity } else { span })
}

/// File permissions in octal, 0 to 7777.
///
/// # Errors
/// When it is no such number.
pub fn mode(text: &str) -> Result<u32, ValueError> {
    let all_octal = !text.is_empty() && text.chars().all(|c| c.is_digit(8));
    let mode = u32::from_str_radix(text, 8).ok().filter(|_| all_octal);
    let mode = mode.ok_or_else(|| ValueError::not(text, "file mode; say for example 0660"))?;
    if mode > 0o7777 { Err(ValueError::range(text, "file mode")) } else { Ok(mode) }
}

/// A whole number that is not negative: decimal, or as C writes it behind `0x`, `0o`, `0b` or `0`.
///
/// # Errors
/// When it is none, or has more than 32 bits.
pub fn number(text: &str) -> Result<u32, ValueError> {
    let bases = [("0x", 16), ("0X", 16), ("0o", 8), ("0b", 2), ("0", 8)];
    let based = bases.iter().find_map(|&(prefix, base)| Some((text.strip_prefix(prefix)?, base)));
    let (digits, base) = based.filter(|(digits, _)| !digits.is_empty()).unwrap_or((text, 10));
    let all_digits = digits.chars().all(|c| c.is_digit(base)) || base == 10;
    let number = u32::from_str_radix(digits, base).ok().filter(|_| all_digits);
    number.ok_or_else(|| ValueError::not(text, "whole number"))
}

/// A size in bytes, with the suffixes K, M, G, T, P, E to the base 1024.
///
/// # Errors
/// When it is none, or has more than 64 bits.
pub fn size_bytes(text: &str) -> Result<u64, ValueError> {
    const SUFFIXES: &str = "KMGTPE";
    let expected = "size; say for example 64K";
    let plain = text.strip_suffix('B').unwrap_or(text);
    let exponent = plain.chars().next_back().and_then(|last| SUFFIXES.find(last));
    let (digits, exponent) = exponent.map_or((plain, 0), |place| (&plain[..plain.len() - 1], place + 1));
    let number: u64 = digits.trim_end().parse().map_err(|_| ValueError::not(text, expected))?;
    let factor = (0..exponent).fold(1_u64, |factor, _| factor * 1024);
    number.checked_mul(factor).ok_or_else(|| ValueError::range(text, "size"))
}

/// A signal by name or number.
///
/// # Errors
/// When there is no such signal.
pub fn signal(text: &str) -> Result<Signal, ValueError> {
    Signal::from_name(text).ok_or_else(|| ValueError::not(text, "signal"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn time_spans_are_those_of_the_man_page() {
        let seconds = |n: f64| TimeSpan::Finite(Duration::from_secs_f64(n));
        for (text, span) in [
            ("2 h", seconds(7200.0)),
            ("2hours", seconds(7200.0)),
            ("48hr", seconds(172_800.0)),
            ("1y 12month", seconds(31_557_600.0 * 2.0)),
            ("55s500ms", seconds(55.5)),
            ("300ms20s 5day", seconds(432_020.3)),
            ("5min 20s", seconds(320.0)),
            ("90", seconds(90.0)),
            ("0.5", seconds(0.5)),
            ("1M", seconds(2_629_800.0)),
            ("infinity", TimeSpan::Infinity),
        ] {
            assert_eq!(time_span(text), Ok(span), "{text}");
        }
        for text in ["", "-5", "5 parsecs", "s", "1s x", "1e99y"] {
            assert!(time_span(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_timeout_of_zero_is_none() {
        assert_eq!(timeout("0"), Ok(TimeSpan::Infinity));
        assert_eq!(time_span("0"), Ok(TimeSpan::Finite(Duration::ZERO)));
    }

    #[test]
    fn sizes_modes_and_switches() {
        assert_eq!(size_bytes("64K"), Ok(65_536));
        assert_eq!(size_bytes("3G"), Ok(3 << 30));
        assert!(size_bytes("16E").is_err());
        assert!(size_bytes("K").is_err());
        assert_eq!(mode("0660"), Ok(0o660));
        assert!(mode("0888").is_err() && mode("10000").is_err() && mode("+7").is_err());
        assert_eq!(boolean("On"), Ok(true));
        assert!(boolean("128  # x").is_err());
    }

    proptest! {
        #[test]
        fn no_text_makes_them_panic(text in "\\PC*") {
            let _ = (time_span(&text), size_bytes(&text), mode(&text), boolean(&text), signal(&text));
        }

        #[test]
        fn whole_milliseconds_come_back(ms in 0_u64..1_000_000_000) {
            prop_assert_eq!(time_span(&format!("{ms}ms")), Ok(TimeSpan::Finite(Duration::from_millis(ms))));
        }
    }
}
