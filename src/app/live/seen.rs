//! What a watcher was told so far, and what that comes to at a moment.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::view::View;
use crate::run::progress::Figures;

/// Rates are those of the last second: long enough not to flicker, short enough to follow.
const RATE_OVER: Duration = Duration::from_secs(1);

/// What was told.
#[derive(Debug, Default)]
pub(super) struct Seen {
    name: String,
    doing: String,
    /// When the load began.
    began: Option<Instant>,
    /// When the stage began, and how much of the run was left then.
    left: Option<(Instant, Duration)>,
    figures: Option<Figures>,
    /// When how many requests had ended `ok` and failed, the oldest first: one that is a second old, and all since.
    counts: VecDeque<(Instant, u64, u64)>,
}

impl Seen {
    /// Nothing yet of the scenario of that name.
    pub(super) fn of(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// A stage began; `left` of the run, as far as can be told.
    pub(super) fn stage(&mut self, doing: String, is_under_load: bool, left: Option<Duration>, now: Instant) {
        self.doing = doing;
        self.left = left.map(|left| (now, left));
        if is_under_load {
            self.began.get_or_insert(now);
        }
    }

    /// The load has counted.
    pub(super) fn figures(&mut self, figures: Figures, now: Instant) {
        self.counts.push_back((now, figures.ok, figures.failed));
        while self.counts.get(1).is_some_and(|&(then, ..)| now.duration_since(then) >= RATE_OVER) {
            self.counts.pop_front();
        }
        self.figures = Some(figures);
    }

    /// What is shown of it.
    pub(super) fn view(&self, now: Instant) -> View {
        let [ok_per_s, failed_per_s] = self.rates();
        let left = self.left.and_then(|(then, left)| left.checked_sub(now.duration_since(then)));
        View {
            name: self.name.clone(),
            doing: self.doing.clone(),
            elapsed: self.began.map(|began| now.duration_since(began)),
            left,
            figures: self.figures.clone(),
            ok_per_s,
            failed_per_s,
        }
    }

    fn rates(&self) -> [f64; 2] {
        let (Some(&(then, ok_then, failed_then)), Some(&(now, ok, failed))) = (self.counts.front(), self.counts.back())
        else {
            return [0.0; 2];
        };
        let seconds = now.duration_since(then).as_secs_f64();
        [(ok_then, ok), (failed_then, failed)].map(|(before, after)| per_second(after.saturating_sub(before), seconds))
    }
}

#[expect(clippy::cast_precision_loss, reason = "nobody sends 2^53 requests a second")]
fn per_second(n: u64, seconds: f64) -> f64 {
    if seconds > 0.0 { n as f64 / seconds } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(ok: u64, failed: u64) -> Figures {
        Figures { ok, failed, ..Figures::default() }
    }

    #[test]
    #[expect(clippy::float_cmp, reason = "the figures are exact")]
    fn rates_are_those_of_the_last_second() {
        let start = Instant::now();
        let mut seen = Seen::default();
        assert_eq!(seen.rates(), [0.0, 0.0]);
        for fifth in 0..=20_u64 {
            // 100 requests a second for two seconds, then 50 of which every tenth fails.
            let (ok, failed) = if fifth <= 10 { (fifth * 20, 0) } else { (200 + (fifth - 10) * 9, fifth - 10) };
            seen.figures(counted(ok, failed), start + Duration::from_millis(fifth * 200));
            if fifth == 10 {
                assert_eq!(seen.rates(), [100.0, 0.0]);
            }
        }
        assert_eq!(seen.rates(), [45.0, 5.0]);
    }

    #[test]
    fn the_clock_runs_from_the_first_stage_under_load_and_what_is_left_from_the_last_stage() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut seen = Seen::default();
        seen.stage("setting up".to_owned(), false, Some(Duration::from_secs(10)), start);
        assert_eq!(seen.view(at(1)).elapsed, None);
        seen.stage("warming up".to_owned(), true, Some(Duration::from_secs(9)), at(2));
        seen.stage("a step".to_owned(), true, Some(Duration::from_secs(4)), at(5));
        let view = seen.view(at(6));
        assert_eq!((view.elapsed, view.left), (Some(Duration::from_secs(4)), Some(Duration::from_secs(3))));
        assert_eq!(seen.view(at(10)).left, None, "it takes longer than it was expected to");
    }
}
