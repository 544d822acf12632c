//! Scales: from values to places, and the round values worth a label.

use super::super::text;

/// Milliseconds on a logarithmic scale.
#[derive(Clone, Copy, Debug)]
pub(super) struct LogScale {
    low: f64,
    high: f64,
    top: f64,
    bottom: f64,
}

impl LogScale {
    /// Half decades around `low_ms` to `high_ms`, drawn from `bottom` up to `top`.
    pub(super) fn new((low_ms, high_ms): (f64, f64), (top, bottom): (f64, f64)) -> Self {
        let low = (low_ms.max(0.001).log10() * 2.0).floor() / 2.0;
        let high = (high_ms.max(0.002).log10() * 2.0 + 0.1).ceil() / 2.0;
        Self { low, high: high.max(low + 1.0), top, bottom }
    }

    /// Where a value stands; beyond the scale, its edge.
    pub(super) fn at(self, ms: f64) -> f64 {
        let share = (ms.max(f64::MIN_POSITIVE).log10() - self.low) / (self.high - self.low);
        self.bottom - share.clamp(0.0, 1.0) * (self.bottom - self.top)
    }

    /// Round values with their labels: decades, and steps between them where there are few.
    #[expect(clippy::cast_possible_truncation, reason = "a handful of decades")]
    pub(super) fn ticks(self) -> impl Iterator<Item = (f64, String)> {
        let steps: &[f64] = if self.high - self.low <= 2.0 { &[1.0, 2.0, 5.0] } else { &[1.0] };
        let values = (self.low.floor() as i32..=self.high.ceil() as i32)
            .flat_map(move |decade| steps.iter().map(move |step| step * 10_f64.powi(decade)));
        let is_inside = move |ms: &f64| (self.low - 1e-9..=self.high + 1e-9).contains(&ms.log10());
        values.filter(is_inside).map(move |ms| (self.at(ms), time(ms)))
    }
}

/// Times on a linear scale from left to right.
#[derive(Clone, Copy, Debug)]
pub(super) struct TimeScale {
    end_ms: f64,
    left: f64,
    right: f64,
}

impl TimeScale {
    pub(super) fn new(end_ms: f64, (left, right): (f64, f64)) -> Self {
        Self { end_ms: end_ms.max(1.0), left, right }
    }

    /// Where a moment stands; beyond the scale, its edge.
    pub(super) fn at(self, ms: f64) -> f64 {
        self.left + (ms / self.end_ms).clamp(0.0, 1.0) * (self.right - self.left)
    }

    /// Round moments with their labels, at most a dozen.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a dozen ticks")]
    pub(super) fn ticks(self) -> impl Iterator<Item = (f64, String)> {
        const STEPS_S: [f64; 16] =
            [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1_800.0, 3_600.0, 7_200.0];
        let end_s = self.end_ms / 1e3;
        let step_s = STEPS_S.into_iter().find(|step| end_s / step <= 12.0).unwrap_or(end_s / 12.0);
        let count = (end_s / step_s).floor() as u32;
        (0..=count).map(move |n| {
            let s = f64::from(n) * step_s;
            (self.at(s * 1e3), clock(s, step_s))
        })
    }
}

/// Milliseconds from zero on, from left to right.
#[derive(Clone, Copy, Debug)]
pub(super) struct LinearScale {
    end_ms: f64,
    left: f64,
    right: f64,
}

impl LinearScale {
    pub(super) fn new(end_ms: f64, (left, right): (f64, f64)) -> Self {
        Self { end_ms: end_ms.max(1e-3), left, right }
    }

    /// Where a value stands; beyond the scale, its edge.
    pub(super) fn at(self, ms: f64) -> f64 {
        self.left + (ms / self.end_ms).clamp(0.0, 1.0) * (self.right - self.left)
    }

    /// Round values with their labels, at most eleven.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a dozen ticks")]
    pub(super) fn ticks(self) -> impl Iterator<Item = (f64, String)> {
        let decade = 10_f64.powf((self.end_ms / 10.0).log10().floor());
        let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * decade);
        let step_ms = steps.into_iter().find(|step| self.end_ms / step <= 10.0).unwrap_or(self.end_ms);
        let count = (self.end_ms / step_ms).floor() as u32;
        let label = |ms: f64| if ms > 0.0 { time(ms) } else { "0".to_owned() };
        (0..=count).map(move |n| {
            let ms = f64::from(n) * step_ms;
            (self.at(ms), label(ms))
        })
    }
}

/// A time with its unit: `50 µs`, `1.5 ms`, `2 s`.
pub(super) fn time(ms: f64) -> String {
    if ms < 0.999_5 {
        format!("{:.0} µs", ms * 1e3)
    } else if ms < 999.5 {
        format!("{} ms", text::trimmed(ms))
    } else {
        format!("{} s", text::trimmed(ms / 1e3))
    }
}

/// A moment of the run: seconds, or minutes and seconds in long runs.
fn clock(s: f64, step_s: f64) -> String {
    if step_s < 1.0 {
        format!("{s:.1} s")
    } else if step_s < 30.0 {
        format!("{s:.0} s")
    } else {
        format!("{:.0}:{:02.0}", (s / 60.0).floor(), s % 60.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_scale_holds_its_values_and_labels_decades() {
        let scale = LogScale::new((0.8, 320.0), (10.0, 110.0));
        assert!(scale.at(0.8) < 110.0 && scale.at(320.0) > 10.0 && scale.at(320.0) < scale.at(0.8));
        let labels: Vec<String> = scale.ticks().map(|(_, label)| label).collect();
        assert_eq!(labels, ["1 ms", "10 ms", "100 ms", "1 s"]);
        assert!((scale.at(f64::INFINITY) - 10.0).abs() < 1e-9);
    }

    #[test]
    fn a_linear_scale_has_round_ticks_and_not_many() {
        let labels = |end_ms| -> Vec<String> {
            LinearScale::new(end_ms, (0.0, 900.0)).ticks().map(|(_, label)| label).collect()
        };
        assert_eq!(
            labels(477.0),
            ["0", "50 ms", "100 ms", "150 ms", "200 ms", "250 ms", "300 ms", "350 ms", "400 ms", "450 ms"]
        );
        assert_eq!(labels(2_100.0), ["0", "500 ms", "1 s", "1.5 s", "2 s"]);
        for end_ms in [0.0, 0.004, 0.9, 1.0, 10.0, 99.9, 101.0, 86_400_000.0] {
            assert!((1..=11).contains(&labels(end_ms).len()), "{end_ms}: {:?}", labels(end_ms));
        }
    }

    #[test]
    fn a_time_scale_has_a_dozen_ticks_at_most() {
        for end_ms in [1.0, 900.0, 6_500.0, 61_000.0, 3_600_000.0, 86_400_000.0] {
            let ticks: Vec<_> = TimeScale::new(end_ms, (0.0, 900.0)).ticks().collect();
            assert!((1..=13).contains(&ticks.len()), "{end_ms}: {ticks:?}");
        }
        let hour: Vec<_> = TimeScale::new(3_600_000.0, (0.0, 900.0)).ticks().map(|(_, label)| label).collect();
        assert_eq!(hour[..3], ["0:00", "5:00", "10:00"]);
    }
}
