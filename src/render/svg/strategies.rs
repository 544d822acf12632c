//! Scenarios next to each other: what each lost, its longest stall and its p99, each on one axis for all.

use super::axis::LinearScale;
use super::{Chart, RIGHT, bar, float, label, line};
use crate::model::float as count;
use crate::render::markup::Markup;
use crate::render::text::{latency, ms};
use crate::result::Strategy;

/// A bar, and from one row to the next.
const BAR: f64 = 14.0;
const PITCH: f64 = 20.0;

/// Where the first row begins: above it stand the names of the panels.
const TOP: f64 = 34.0;

/// Where the first panel begins: names of scenarios stand to the left.
const NAMES: f64 = 250.0;

/// From one panel to the next, with room for the figure of the longest bar.
const GAP: f64 = 70.0;

/// A longer name is cut.
const NAME_CHARACTERS: usize = 38;

/// Rows beyond these are left out.
const SHOWN: usize = 60;

/// A panel: its name, the bar of a row (infinite for one that never ends), and its figure.
struct Panel {
    name: &'static str,
    class: &'static str,
    length: fn(&Strategy) -> Option<f64>,
    figure: fn(&Strategy) -> String,
    is_time: bool,
}

const PANELS: [Panel; 3] = [
    Panel {
        name: "requests lost",
        class: "f0",
        length: |strategy| Some(count(strategy.lost())),
        figure: |strategy| strategy.lost().to_string(),
        is_time: false,
    },
    Panel {
        name: "longest stall",
        class: "wait drain",
        length: |strategy| strategy.stall_ms,
        figure: |strategy| with_unit(ms(strategy.stall_ms)),
        is_time: true,
    },
    Panel {
        name: "p99",
        class: "queue",
        length: |strategy| strategy.p99_ms.or((strategy.due > 0).then_some(f64::INFINITY)),
        figure: |strategy| with_unit(latency(strategy.p99_ms, strategy.due)),
        is_time: true,
    },
];

fn with_unit(figure: String) -> String {
    if figure.starts_with(|c: char| c.is_ascii_digit()) { format!("{figure} ms") } else { figure }
}

/// The chart; none of fewer than two rows.
pub(super) fn draw(strategies: &[Strategy]) -> Option<Chart> {
    let shown = &strategies[..strategies.len().min(SHOWN)];
    if shown.len() < 2 {
        return None;
    }
    let mut drawing = Markup::default();
    for (place, strategy) in shown.iter().enumerate() {
        let name: String = strategy.label().chars().take(NAME_CHARACTERS).collect();
        label(&mut drawing, "end", (NAMES - 10.0, row(place) + 11.0), name);
    }
    let width = (RIGHT - NAMES - GAP * float(PANELS.len())) / float(PANELS.len());
    for (place, panel) in PANELS.iter().enumerate() {
        let left = NAMES + float(place) * (width + GAP);
        draw_panel(&mut drawing, panel, (left, left + width), shown);
    }
    let bottom = row(shown.len());
    let left_out = strategies.len() - shown.len();
    if left_out > 0 {
        label(&mut drawing, "end soft", (NAMES - 10.0, bottom + 14.0), format!("and {left_out} more"));
    }
    Some(Chart { name: "comparison", title: "Requests lost, longest stall and p99", height: bottom + 26.0, drawing })
}

fn row(place: usize) -> f64 {
    TOP + float(place) * PITCH
}

fn draw_panel(to: &mut Markup, panel: &Panel, (left, right): (f64, f64), rows: &[Strategy]) {
    let lengths = rows.iter().filter_map(panel.length).filter(|length| length.is_finite());
    let longest = lengths.fold(0.0, f64::max);
    let x = LinearScale::new(if longest > 0.0 { longest } else { 1.0 }, (left, right));
    let bottom = row(rows.len());
    label(to, "start panel", (left, 16.0), panel.name);
    let ticks: Vec<(f64, String)> = x.ticks().collect();
    // The first and the last that there is: between them there is no room.
    for (place, text) in ticks.first().into_iter().chain(ticks.last().filter(|_| longest > 0.0)) {
        line(to, "grid", (*place, TOP - 4.0), (*place, bottom));
        let text = if panel.is_time { text.clone() } else { text.split(' ').next().unwrap_or_default().to_owned() };
        if panel.is_time || longest < 1_000.0 {
            label(to, "middle soft", (*place, bottom + 14.0), text);
        }
    }
    for (place, strategy) in rows.iter().enumerate() {
        let Some(length) = (panel.length)(strategy) else { continue };
        let (top, end) = (row(place), if length.is_finite() { x.at(length) } else { right });
        let tip = format!("{}, {}: {}", strategy.label(), panel.name, (panel.figure)(strategy));
        if end - left >= 0.1 {
            bar(to, if length.is_finite() { panel.class } else { "f0" }, (left, top), (end - left, BAR), &tip);
        }
        let class = if length.is_finite() { "start" } else { "start never-text" };
        label(to, class, (end + 5.0, top + 11.0), (panel.figure)(strategy));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Verdict;

    fn strategy(scenario: &str, dropped: u64, p99_ms: Option<f64>) -> Strategy {
        Strategy {
            run: None,
            scenario: scenario.to_owned(),
            verdict: Verdict::Passed,
            due: 100,
            dropped,
            wrong: 0,
            p50_ms: Some(1.0),
            p99_ms,
            stall_ms: Some(12.5),
            stale: None,
        }
    }

    fn drawn(strategies: &[Strategy]) -> String {
        let chart = draw(strategies).expect("there are two");
        String::from_utf8(chart.drawing.into_bytes()).expect("text")
    }

    #[test]
    fn one_scenario_is_compared_with_nothing_and_many_are_cut() {
        assert!(draw(&[strategy("a", 0, None)]).is_none());
        let many: Vec<Strategy> = (0..SHOWN + 3).map(|n| strategy(&format!("s{n}"), 1, Some(2.0))).collect();
        assert!(drawn(&many).contains("and 3 more"));
    }

    #[test]
    fn every_row_has_its_figures_and_what_never_ended_says_so() {
        let svg = drawn(&[strategy("plain", 68, None), strategy("<socket>", 0, Some(281.5))]);
        for text in
            ["plain", "&lt;socket&gt;", "68", "12.5 ms", "282", "never", "requests lost", "longest stall", "p99"]
        {
            assert!(svg.contains(text), "{text}: {svg}");
        }
    }
}
