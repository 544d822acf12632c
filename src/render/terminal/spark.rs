//! The run in two lines: how slow the slowest answer of each moment was, and where the events began.

use crate::render::text::{LOSS, block};
use crate::result::{ScenarioResult, SeriesPoint};

/// A run as lines of text.
pub(super) struct Spark {
    /// One character for each moment.
    pub(super) latency: String,
    /// A mark under each moment in which an event began.
    pub(super) events: String,
    /// The slowest answer of all, in milliseconds; none if nothing was answered.
    pub(super) peak_ms: Option<f64>,
    /// The time that one character stands for.
    pub(super) moment_ms: u64,
}

/// The run of a scenario in at most `width` characters; none if nothing was due.
pub(super) fn spark(scenario: &ScenarioResult, width: usize) -> Option<Spark> {
    let series = &scenario.series;
    let first_ms = series.points.first()?.at_ms;
    let steps = |at_ms: f64| steps_between(first_ms, at_ms, series.step_ms);
    let length = series.points.iter().map(|point| steps(point.at_ms) + 1).max()?;
    let per_character = length.div_ceil(width.max(1));
    let mut moments = vec![Moment::default(); length.div_ceil(per_character)];
    for point in &series.points {
        moments[steps(point.at_ms) / per_character].add(point);
    }
    let mut marks = vec![' '; moments.len()];
    for event in &scenario.events {
        if let Some(mark) = marks.get_mut(steps(event.at_ms) / per_character) {
            *mark = '↑';
        }
    }
    let peak_ms = moments.iter().filter_map(|moment| moment.max_ms).reduce(f64::max);
    Some(Spark {
        latency: moments.iter().map(|moment| moment.character(peak_ms.unwrap_or_default())).collect(),
        events: marks.into_iter().collect::<String>().trim_end().to_owned(),
        peak_ms,
        moment_ms: u64::from(series.step_ms) * per_character as u64,
    })
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to zero; runs are short")]
fn steps_between(first_ms: f64, at_ms: f64, step_ms: u32) -> usize {
    // Points are whole steps apart, but for rounding to three decimals.
    ((at_ms - first_ms + 0.001) / f64::from(step_ms.max(1))).max(0.0) as usize
}

#[derive(Clone, Default)]
struct Moment {
    max_ms: Option<f64>,
    lost: bool,
}

impl Moment {
    fn add(&mut self, point: &SeriesPoint) {
        self.max_ms = [self.max_ms, point.max_ms].into_iter().flatten().reduce(f64::max);
        self.lost |= point.dropped + point.wrong > 0;
    }

    fn character(&self, peak_ms: f64) -> char {
        match self.max_ms {
            _ if self.lost => LOSS,
            None => ' ',
            Some(max_ms) => block(max_ms / peak_ms.max(f64::MIN_POSITIVE)),
        }
    }
}
