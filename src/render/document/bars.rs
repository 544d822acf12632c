//! Scenarios next to each other as bars of text.

use crate::render::text::{latency, ms};
use crate::result::Strategy;

/// The longest bar, in characters.
const LONGEST: usize = 20;

/// A longer name is cut.
const NAME_CHARACTERS: usize = 40;

/// One line of bars for each, under a line of names; all of one kind on one scale.
pub(crate) fn bars(strategies: &[Strategy]) -> Vec<String> {
    let name = |strategy: &Strategy| strategy.label().chars().take(NAME_CHARACTERS).collect::<String>();
    let names: Vec<String> = strategies.iter().map(name).collect();
    let lost = column("lost", strategies, |it| (Some(crate::model::float(it.lost())), it.lost().to_string()));
    let stall = column("stall ms", strategies, |it| (it.stall_ms, ms(it.stall_ms)));
    let p99 = column("p99 ms", strategies, |it| {
        (it.p99_ms.or((it.due > 0).then_some(f64::INFINITY)), latency(it.p99_ms, it.due))
    });
    let wide = names.iter().map(|name| name.chars().count()).max().unwrap_or_default();
    let names = std::iter::once(String::new()).chain(names);
    let lines = names.zip(lost).zip(stall).zip(p99);
    let line = |(((name, lost), stall), p99): (((String, String), String), String)| {
        format!("{name:wide$}  {lost}  {stall}  {p99}").trim_end().to_owned()
    };
    lines.map(line).collect()
}

/// The head of a column and its cells: a figure and its bar, all of one width.
fn column(head: &str, strategies: &[Strategy], cell: impl Fn(&Strategy) -> (Option<f64>, String)) -> Vec<String> {
    let cells: Vec<(Option<f64>, String)> = strategies.iter().map(cell).collect();
    let longest = cells.iter().filter_map(|(value, _)| value.filter(|value| value.is_finite())).fold(0.0, f64::max);
    let figures = cells.iter().map(|(_, figure)| figure.chars().count()).max().unwrap_or_default();
    let drawn = cells.iter().map(|(value, figure)| {
        let bar = "█".repeat(value.map_or(0, |value| length(value, longest)));
        format!("{figure:>figures$} {bar:LONGEST$}")
    });
    let wide = figures + 1 + LONGEST;
    std::iter::once(format!("{head:wide$}")).chain(drawn).collect()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most the longest bar")]
fn length(value: f64, longest: f64) -> usize {
    if value <= 0.0 {
        return 0;
    }
    let share = if value.is_finite() { (value / longest).min(1.0) } else { 1.0 };
    // What is there is seen.
    ((share * 20.0).round() as usize).clamp(1, LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Verdict;

    #[test]
    fn bars_of_one_kind_have_one_scale_and_what_never_ended_is_the_longest() {
        let strategy = |scenario: &str, dropped, p99_ms| Strategy {
            run: None,
            scenario: scenario.to_owned(),
            verdict: Verdict::Passed,
            due: 100,
            dropped,
            wrong: 0,
            p50_ms: None,
            p99_ms,
            stall_ms: Some(250.0),
            stale: None,
        };
        let lines = bars(&[strategy("plain", 40, None), strategy("socket", 1, Some(10.0))]);
        let [head, plain, socket] = &lines[..] else { panic!("{lines:?}") };
        assert!(head.contains("lost") && head.contains("stall ms") && head.ends_with("p99 ms"), "{head:?}");
        assert_eq!(plain.matches('█').count(), 60, "{plain}");
        assert_eq!(socket.matches('█').count(), 1 + 20 + 20, "{socket}");
        assert!(plain.contains("never") && socket.contains("10"), "{plain} {socket}");
    }
}
