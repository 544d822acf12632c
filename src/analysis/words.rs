//! The sentences of reasons.

use super::event::Event;
use super::figures::Figures;
use crate::model::bound::{Comparison, Limit};
use crate::model::metric::Dimension;
use crate::model::{ActionKind, Bound, Metric};

/// The most examples that one reason names.
const EXAMPLES: usize = 3;

/// `12.345 ms`.
pub(crate) fn ms(ms: f64) -> String {
    if ms.is_finite() { format!("{ms:.3} ms") } else { "never".to_owned() }
}

/// The value of a metric for people.
pub(crate) fn value(metric: Metric, value: f64) -> String {
    match metric.dimension() {
        // A count per event may be a fraction.
        Dimension::Count => format!("{}", (value * 100.0).round() / 100.0),
        Dimension::Ratio => format!("{value:.6}"),
        Dimension::Time => ms(value),
    }
}

/// `request` or `requests`.
pub(crate) fn requests(count: u64) -> &'static str {
    if count == 1 { "request" } else { "requests" }
}

/// With a capital at its beginning and a full stop at its end.
pub(crate) fn sentence(text: &str) -> String {
    let mut letters = text.trim_end().chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    let whole = first + letters.as_str();
    if whole.ends_with(['.', '!', '?']) { whole } else { whole + "." }
}

/// The first few as sentences, and how many more there are.
pub(crate) fn sentences(clauses: &[String]) -> String {
    let mut text: Vec<String> = clauses.iter().take(EXAMPLES).map(|clause| sentence(clause)).collect();
    if clauses.len() > EXAMPLES {
        text.push(format!("And {} more.", clauses.len() - EXAMPLES));
    }
    text.join(" ")
}

/// `Restart 3 of ledger-api.service`.
pub(crate) fn event(event: &Event<'_>) -> String {
    sentence(&lower_event(event)).trim_end_matches('.').to_owned()
}

/// `restart 3 of ledger-api.service`.
pub(crate) fn lower_event(event: &Event<'_>) -> String {
    let (action, run) = (event.begin.action, event.begin.run.saturating_add(1));
    let name = action.name().replace('_', " ");
    if let Some(process) = &event.begin.process {
        return format!("the end of {process}");
    }
    if let Some(mark) = &event.begin.name {
        return format!("{name} {mark}");
    }
    match &event.begin.unit {
        Some(unit) if action == ActionKind::Exec => format!("{name} {run} (replaces {unit})"),
        Some(unit) => format!("{name} {run} of {unit}"),
        None => format!("{name} {run}"),
    }
}

/// Which claims of an event do not hold.
pub(crate) fn unproven(event: &Event<'_>) -> String {
    let claims = event.end.map(|end| end.proof.as_slice()).unwrap_or_default();
    let open: Vec<String> = claims
        .iter()
        .filter(|claim| !claim.holds)
        .map(|claim| format!("{} (seen: {})", claim.claim, claim.seen))
        .collect();
    if open.is_empty() {
        return format!("{} is not proven: nothing was seen of it", self::event(event));
    }
    format!("{} is not proven: {}", self::event(event), open.join(", "))
}

/// How an expectation was missed.
pub(crate) fn broken_bound(metric: Metric, bound: Bound, actual: f64, place: &str, figures: &Figures) -> String {
    let limit = match bound.limit {
        Limit::Number(number) => format!("{number}"),
        Limit::Time(time) => format!("{time:?}"),
    };
    let allowed = match bound.comparison {
        Comparison::AtMost => format!("at most {limit}"),
        Comparison::LessThan => format!("less than {limit}"),
        Comparison::AtLeast => format!("at least {limit}"),
        Comparison::MoreThan => format!("more than {limit}"),
        Comparison::Exactly => format!("exactly {limit}"),
    };
    let due = figures.requests.due;
    let of = |verb: &str| format!("{actual} of {due} {} {verb}{place}; expected: {allowed}.", requests(due));
    match metric {
        Metric::Dropped => of("were dropped"),
        Metric::Wrong => of("were answered wrong"),
        Metric::Failed => of("failed"),
        Metric::Http000 => of("ended without a status line (000)"),
        Metric::Stale => {
            let by: Vec<String> =
                figures.stale.iter().flatten().map(|(name, n)| format!("{n} of {name}")).take(EXAMPLES).collect();
            let by = if by.is_empty() { String::new() } else { format!(" ({})", by.join(", ")) };
            format!(
                "{actual} answers were stale{place}{by}: from an instance that had answered before an event, to a request sent \
                 after that event was over; expected: {allowed}."
            )
        }
        _ if actual.is_infinite() => {
            format!("{metric} has no end{place}: what failed was never answered; expected: {allowed}.")
        }
        _ => format!("{metric} is {}{place}; expected: {allowed}.", value(metric, actual)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clause_becomes_one_sentence() {
        assert_eq!(sentence("it stopped"), "It stopped.");
        assert_eq!(sentence("It stopped."), "It stopped.");
        assert_eq!(sentence(""), ".");
    }

    #[test]
    fn many_clauses_are_cut_and_counted() {
        let clauses: Vec<String> = (1..=5).map(|n| format!("c{n}")).collect();
        assert_eq!(sentences(&clauses), "C1. C2. C3. And 2 more.");
    }
}
