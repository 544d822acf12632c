//! Latency by percentile, as HdrHistogram draws it: every further nine takes the same room.

use std::fmt::Write as _;

use super::axis::{LogScale, time};
use super::{Chart, LEFT, RIGHT, WIDTH, label, line, px, scale_name};
use crate::render::markup::Markup;
use crate::result::ScenarioResult;
use crate::result::charts::Curve;

const TOP: f64 = 36.0;
const BOTTOM: f64 = 300.0;
const HEIGHT: f64 = 346.0;

/// More than the words beside the line of what was never answered take.
const NEVER_LABEL_WIDTH: f64 = 220.0;

/// The marks below the plot: shares of the requests.
const MARKS: [(f64, &str); 8] = [
    (0.0, "0 %"),
    (0.5, "50 %"),
    (0.9, "90 %"),
    (0.99, "99 %"),
    (0.999, "99.9 %"),
    (0.999_9, "99.99 %"),
    (0.999_99, "99.999 %"),
    (0.999_999, "99.9999 %"),
];

/// The curves of a scenario; none if nothing was answered.
pub(super) fn draw(scenario: &ScenarioResult) -> Option<Chart> {
    let curves = &scenario.charts.curves;
    let points = || curves.iter().flat_map(|curve| &curve.points);
    let low_ms = points().map(|&(_, ms)| ms).reduce(f64::min)?;
    let high_ms = points().map(|&(_, ms)| ms).reduce(f64::max)?;
    let last = points().map(|&(share, _)| share).fold(0.9, f64::max);
    let plot = Plot { y: LogScale::new((low_ms, high_ms), (TOP, BOTTOM)), decades: decades(last) * 1.03 };
    let mut drawing = Markup::default();
    plot.scales(&mut drawing, last);
    // The first curve is drawn last: where curves meet it is the one to see.
    for (place, curve) in curves.iter().enumerate().rev() {
        plot.curve(&mut drawing, CLASSES[place % CLASSES.len()], curve);
    }
    legend(&mut drawing, curves);
    Some(Chart { name: "percentiles", title: "Latency by percentile", height: HEIGHT, drawing })
}

const CLASSES: [&str; 3] = ["curve a", "curve b", "curve c"];

struct Plot {
    y: LogScale,
    /// The width of the plot, in decades of 1 / (1 - share).
    decades: f64,
}

fn decades(share: f64) -> f64 {
    -(1.0 - share).max(1e-12).log10()
}

impl Plot {
    fn x(&self, share: f64) -> f64 {
        LEFT + (decades(share) / self.decades).clamp(0.0, 1.0) * (RIGHT - LEFT)
    }

    fn scales(&self, to: &mut Markup, last: f64) {
        for (y, text) in self.y.ticks() {
            line(to, "grid", (LEFT, y), (RIGHT, y));
            label(to, "end", (LEFT - 8.0, y + 4.0), text);
        }
        for (share, text) in MARKS.into_iter().filter(|&(share, _)| share <= last.max(0.99)) {
            let x = self.x(share);
            line(to, "grid", (x, TOP), (x, BOTTOM));
            label(to, "middle", (x, BOTTOM + 18.0), text);
        }
        scale_name(to, (TOP, BOTTOM), "latency");
        label(to, "end soft", (RIGHT, HEIGHT - 8.0), "share of the requests answered at least as fast");
    }

    fn curve(&self, to: &mut Markup, class: &'static str, curve: &Curve) {
        let mut path = String::new();
        for (place, &(share, ms)) in curve.points.iter().enumerate() {
            let command = if place == 0 { "M" } else { "L" };
            // Writing to a String cannot fail.
            let _ = write!(path, "{command}{} {}", px(self.x(share)), px(self.y.at(ms)));
        }
        to.shape("path", &[("class", &class), ("d", &path)]);
        if let Some(&(share, ms)) = curve.points.last() {
            let (x, y) = (self.x(share), self.y.at(ms));
            to.nested(
                "circle",
                &[("class", &format!("dot {class}")), ("cx", &px(x)), ("cy", &px(y)), ("r", &"3")],
                |dot| {
                    dot.element("title", &[], format!("{}: slowest {}", curve.name, time(ms)));
                },
            );
        }
        if let (Some(share), Some(&(_, ms))) = (curve.never_from, curve.points.last()) {
            let x = self.x(share);
            line(to, "never", (x, self.y.at(ms)), (x, TOP));
            line(to, "never", (x, TOP), (RIGHT, TOP));
            let (class, at) = never_label(x);
            label(to, class, at, format!("never answered, from {:.3} % on", share * 100.0));
        }
    }
}

/// Where to say from where on requests were never answered, and how it is set: beside the line there, or above the
/// plot where that would be cut off.
fn never_label(line_x: f64) -> (&'static str, (f64, f64)) {
    if line_x + NEVER_LABEL_WIDTH > RIGHT {
        return ("never-text end", (RIGHT, TOP - 4.0));
    }
    ("never-text", (line_x + 6.0, TOP + 14.0))
}

fn legend(to: &mut Markup, curves: &[Curve]) {
    let mut x = LEFT;
    for (place, curve) in curves.iter().enumerate() {
        let text = match curve.name {
            "all" => "all: from the due time, failures never end",
            "answered" => "answered: from the due time",
            _ => "service: from the send",
        };
        line(to, CLASSES[place % CLASSES.len()], (x, 12.0), (x + 18.0, 12.0));
        label(to, "start", (x + 24.0, 16.0), text);
        x += (WIDTH - LEFT) / 3.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_on_what_was_never_answered_is_never_cut_off() {
        let plot = Plot { y: LogScale::new((1.0, 100.0), (TOP, BOTTOM)), decades: 3.6 };
        let of = |share| never_label(plot.x(share));
        assert_eq!(of(0.84).0, "never-text");
        assert!(of(0.84).1.0 + NEVER_LABEL_WIDTH < RIGHT);
        assert_eq!(of(0.999_4), ("never-text end", (RIGHT, TOP - 4.0)));
    }
}
