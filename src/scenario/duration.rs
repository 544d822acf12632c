//! Durations as scenarios write them: `500ms`, `2s`, `1m30s`, `1h`, `250us`.

use std::time::Duration;

use jiff::SpanRelativeTo;
use jiff::fmt::friendly::{Designator, Spacing, SpanParser, SpanPrinter};
use regex_lite::Regex;

/// Numbers with units, larger units first: less than jiff reads, so that a duration has one way to be written.
pub(crate) const PATTERN: &str = r"^([0-9.]+d)?([0-9.]+h)?([0-9.]+m)?([0-9.]+s)?([0-9.]+ms)?([0-9.]+us)?([0-9.]+ns)?$";

/// How to write one, for help lines.
pub(crate) const HELP: &str = "a duration is a string with a unit: \"250us\", \"500ms\", \"2s\", \"1m30s\", \"1h\"";

/// Reads a duration, exact to the nanosecond. A day has 24 hours.
///
/// # Errors
/// What is wrong with it, as a clause.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let read = || {
        let grammar = Regex::new(PATTERN).ok()?;
        let span = grammar.is_match(text).then(|| SpanParser::new().parse_span(text).ok())??;
        Duration::try_from(span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?).ok()
    };
    read().ok_or_else(|| format!("{text:?} is not a number with a unit of time"))
}

/// Writes a duration so that [`parse`] gives it back: `1m30s`, `0s`.
#[must_use]
pub(crate) fn format(span: Duration) -> String {
    let printer = SpanPrinter::new().designator(Designator::HumanTime).spacing(Spacing::None);
    printer.unsigned_duration_to_string(&span)
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
    fn what_is_not_a_duration_is_said_why() {
        for text in ["", "5", "s", "5 s", "5sec", "-5s", "30s1m", "1s1s", "1.2.3s", "99999999999999999999s", "PT5S"] {
            assert_eq!(parse(text), Err(format!("{text:?} is not a number with a unit of time")));
        }
    }

    #[test]
    fn a_duration_is_written_as_short_as_it_is_read() {
        for text in ["0s", "250us", "500ms", "1m30s", "1h", "26h", "1s5ns"] {
            assert_eq!(format(parse(text).expect("a duration")), text);
        }
    }

    proptest! {
        #[test]
        fn every_duration_comes_back_from_its_text(nanos in 0..=i64::MAX as u64) {
            let span = Duration::from_nanos(nanos);
            prop_assert_eq!(parse(&format(span)), Ok(span));
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC*") {
            let _ = parse(&text);
        }
    }
}
