//! What the slowest answered request of each event waited for: a bar for each, in parts.

use super::axis::LinearScale;
use super::{Chart, LEFT, RIGHT, bar, float, label, line};
use crate::render::document::subject;
use crate::render::markup::Markup;
use crate::render::text::ms;
use crate::result::ScenarioResult;
use crate::result::{EventResult, Slowest};

/// A bar, and from one to the next.
const BAR: f64 = 15.0;
const PITCH: f64 = 20.0;

/// Where the first bar begins: above it stands the legend.
const TOP: f64 = 36.0;

/// Room behind the longest bar for its length in figures.
const FIGURE: f64 = 64.0;

/// Bars beyond these are left out: those of the fastest.
const SHOWN: usize = 30;

/// The parts of a bar in their order: what they are called, and what they look like.
const PARTS: [(&str, &str); 4] = [
    ("drain: the old process was there", "wait drain"),
    ("queue: there was none", "wait queued"),
    ("boot: the new one came up", "wait boot"),
    ("rest: behind others, in service", "wait rest"),
];

fn parts(slowest: &Slowest) -> [f64; 4] {
    [slowest.drain_ms, slowest.queue_ms, slowest.boot_ms, slowest.rest_ms]
}

/// The bars of a scenario; none if no answered request waited for an event.
pub(super) fn draw(scenario: &ScenarioResult) -> Option<Chart> {
    let bars = bars(&scenario.events);
    bars.iter().find(|(_, slowest)| slowest.has_waited())?;
    let longest_ms = bars.iter().map(|(_, slowest)| slowest.latency_ms).reduce(f64::max)?;
    let x = LinearScale::new(longest_ms, (LEFT, RIGHT - FIGURE));
    let bottom = TOP + float(bars.len()) * PITCH;
    let mut drawing = Markup::default();
    for (place, text) in x.ticks() {
        line(&mut drawing, "grid", (place, TOP - 4.0), (place, bottom));
        label(&mut drawing, "middle", (place, bottom + 14.0), text);
    }
    for (place, (event, slowest)) in bars.iter().enumerate() {
        draw_bar(&mut drawing, x, TOP + float(place) * PITCH, event, slowest);
    }
    legend(&mut drawing);
    let title = "What the slowest request of each event waited for";
    Some(Chart { name: "waits", title, height: bottom + 26.0, drawing })
}

/// The events that have one, in the order of the run.
fn bars(events: &[EventResult]) -> Vec<(&EventResult, &Slowest)> {
    let mut bars: Vec<_> = events.iter().filter_map(|event| Some((event, event.slowest.as_ref()?))).collect();
    bars.sort_by(|(_, a), (_, b)| b.latency_ms.total_cmp(&a.latency_ms));
    bars.truncate(SHOWN);
    bars.sort_by_key(|(event, _)| event.event);
    bars
}

fn draw_bar(to: &mut Markup, x: LinearScale, top: f64, event: &EventResult, slowest: &Slowest) {
    label(to, "end", (LEFT - 8.0, top + 11.5), format!("{}.{}", event.step, event.run));
    let mut from_ms = 0.0;
    for (part_ms, (name, class)) in parts(slowest).into_iter().zip(PARTS) {
        let (left, right) = (x.at(from_ms), x.at(from_ms + part_ms));
        if right - left >= 0.1 {
            let tip = format!("{}, {}: {name}", subject(event), figure(part_ms));
            bar(to, class, (left, top), (right - left, BAR), &tip);
        }
        from_ms += part_ms;
    }
    label(to, "start", (x.at(slowest.latency_ms) + 6.0, top + 11.5), figure(slowest.latency_ms));
}

fn figure(part_ms: f64) -> String {
    format!("{} ms", ms(Some(part_ms)))
}

fn legend(to: &mut Markup) {
    for (place, (name, class)) in PARTS.into_iter().enumerate() {
        let x = LEFT + float(place) * (RIGHT - LEFT) / float(PARTS.len());
        bar(to, class, (x, 8.0), (10.0, 10.0), "");
        label(to, "start", (x + 15.0, 17.0), name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::analyse;
    use crate::analysis::simulator::stories;

    #[test]
    fn the_fastest_are_left_out_and_the_others_keep_their_order() {
        let result = analyse(&stories::socket_restart().record());
        let event = result.events.iter().find(|event| event.slowest.is_some()).expect("one").clone();
        let slowest = event.slowest.expect("it has one");
        let events: Vec<EventResult> = (0..40_u32)
            .map(|n| EventResult {
                event: n,
                slowest: Some(Slowest { latency_ms: f64::from((n * 7) % 40), ..slowest }),
                ..event.clone()
            })
            .collect();
        let bars = bars(&events);
        assert_eq!(bars.len(), SHOWN);
        assert!(bars.iter().all(|(_, slowest)| slowest.latency_ms >= 10.0));
        assert!(bars.is_sorted_by_key(|(event, _)| event.event));
    }
}
