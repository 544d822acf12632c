//! Two results side by side: what is new, what is gone, what is better and what is worse.

use std::collections::BTreeSet;

use serde::Serialize;

use super::number::float;
use super::words;
use crate::model::Verdict;
use crate::model::metric::{Dimension, Metric};
use crate::result::{RunResult, ScenarioResult};

/// A time counts as changed when it moved by more than this share of what it was ...
const CHANGED_SHARE: f64 = 0.10;

/// ... and by more than this: below it, two runs of the same thing differ as well.
const CHANGED_MS: f64 = 1.0;

/// Two results side by side.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// By name: those of the run after in its order, then those that are gone.
    pub scenarios: Vec<ScenarioComparison>,
}

/// One scenario in both runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ScenarioComparison {
    /// Its name.
    pub name: String,
    /// Its verdict before; none if it was not run.
    pub before: Option<Verdict>,
    /// Its verdict after; none if it was not run.
    pub after: Option<Verdict>,
    /// Why counts are told per event: the runs differ in the number of events or in the load. None where they do not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub per_event: Option<String>,
    /// Every figure that either run has; empty if only one run has the scenario.
    pub figures: Vec<FigureChange>,
}

/// One figure in both runs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct FigureChange {
    /// Which.
    pub metric: Metric,
    /// Before: infinite if it never ended, none if it was not measured.
    pub before: Option<f64>,
    /// After.
    pub after: Option<f64>,
    /// What that means.
    pub change: Change,
}

/// What a pair of figures means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, strum::IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Change {
    /// As before, or as close to it as two runs of the same thing are.
    Same,
    /// Less of what nobody wants.
    Better,
    /// More of what nobody wants.
    Worse,
    /// There was none of it before.
    New,
    /// There is none of it any more.
    Gone,
    /// It never ended, before and after: by how much, nobody knows.
    #[strum(serialize = "cannot be judged")]
    Unjudged,
}

/// Sets `after` beside `before`, scenario by scenario.
#[must_use]
pub fn compare(before: &RunResult, after: &RunResult) -> Comparison {
    let find = |name: &str| before.scenarios.iter().find(|scenario| scenario.name == name);
    let mut scenarios: Vec<ScenarioComparison> =
        after.scenarios.iter().map(|scenario| pair(find(&scenario.name), scenario)).collect();
    let names: BTreeSet<&str> = after.scenarios.iter().map(|scenario| scenario.name.as_str()).collect();
    let gone = before.scenarios.iter().filter(|scenario| !names.contains(scenario.name.as_str()));
    scenarios.extend(gone.map(|scenario| ScenarioComparison {
        name: scenario.name.clone(),
        before: Some(scenario.verdict),
        after: None,
        per_event: None,
        figures: Vec::new(),
    }));
    Comparison { scenarios }
}

fn pair(before: Option<&ScenarioResult>, after: &ScenarioResult) -> ScenarioComparison {
    let per_event = before.and_then(|before| difference(before, after));
    let figures = before.map(|before| figures(before, after, per_event.is_some())).unwrap_or_default();
    ScenarioComparison {
        name: after.name.clone(),
        before: before.map(|before| before.verdict),
        after: Some(after.verdict),
        per_event,
        figures,
    }
}

/// What makes the counts of two runs of a scenario no match for each other; none if nothing does.
fn difference(before: &ScenarioResult, after: &ScenarioResult) -> Option<String> {
    let loads = |scenario: &ScenarioResult| {
        let loads = scenario.cohorts.iter().map(|cohort| format!("{}: {}", cohort.name, cohort.load));
        loads.collect::<Vec<_>>().join("; ")
    };
    let (was, is) = (acting_events(before), acting_events(after));
    let events = (was != is).then(|| format!("{was} events before, {is} after"));
    let (old, new) = (loads(before), loads(after));
    let load = (old != new).then(|| format!("the load was {old}, and is {new}"));
    let differences: Vec<String> = [events, load].into_iter().flatten().collect();
    (!differences.is_empty()).then(|| format!("Counts are per event: {}.", differences.join("; ")))
}

/// Events that did something to a unit, or all of a scenario that acts on none.
fn acting_events(scenario: &ScenarioResult) -> usize {
    let acting = scenario.events.iter().filter(|event| event.unit.is_some()).count();
    if acting > 0 { acting } else { scenario.events.len() }
}

fn figures(before: &ScenarioResult, after: &ScenarioResult, per_event: bool) -> Vec<FigureChange> {
    let outcomes: BTreeSet<_> = before.outcomes.keys().chain(after.outcomes.keys()).copied().collect();
    let causes: BTreeSet<_> = before.causes.keys().chain(after.causes.keys()).copied().collect();
    let metrics =
        Metric::plain().chain(outcomes.into_iter().map(Metric::Outcome)).chain(causes.into_iter().map(Metric::Cause));
    metrics
        .map(|metric| {
            let is_count = metric.dimension() == Dimension::Count && metric != Metric::QueuePeak;
            let value = |scenario: &ScenarioResult| {
                let value = scenario.value(metric)?;
                if !(per_event && is_count) {
                    return Some(value);
                }
                let events = acting_events(scenario);
                (events > 0).then(|| value / float(events as u64))
            };
            FigureChange::of(metric, value(before), value(after))
        })
        .filter(|figure| figure.before.is_some() || figure.after.is_some())
        .collect()
}

impl Change {
    /// The word used in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }
}

impl Comparison {
    /// What changed at all, in one sentence: `Worse: a, b. Better: c. As before: 3. New: d. Gone: e.`
    #[must_use]
    pub fn summary(&self) -> String {
        let of = |wanted: Trend| {
            let meant = self.scenarios.iter().filter(move |scenario| scenario.trend() == wanted);
            meant.map(|scenario| scenario.name.as_str()).collect::<Vec<_>>()
        };
        let named = |word: &str, trend| {
            let names = of(trend);
            (!names.is_empty()).then(|| format!("{word}: {}.", names.join(", ")))
        };
        let as_before = of(Trend::Same).len();
        let sentences = [
            named("Worse", Trend::Worse),
            named("Better", Trend::Better),
            named("Cannot be judged", Trend::Unjudged),
            (as_before > 0).then(|| format!("As before: {as_before} of {}.", self.scenarios.len())),
            named("New", Trend::New),
            named("Gone", Trend::Gone),
        ];
        sentences.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }
}

/// Where a scenario went from one run to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trend {
    /// Something of it is worse, whatever else is better.
    Worse,
    /// Something is better, and nothing worse.
    Better,
    /// Nothing is better or worse, and something never ended before and after.
    Unjudged,
    /// Nothing changed by more than two runs of the same thing differ.
    Same,
    /// Only the later run has it.
    New,
    /// Only the earlier run has it.
    Gone,
}

impl ScenarioComparison {
    /// Where it went: by its verdict, then by its figures.
    #[must_use]
    pub fn trend(&self) -> Trend {
        let (Some(before), Some(after)) = (self.before, self.after) else {
            return if self.after.is_some() { Trend::New } else { Trend::Gone };
        };
        // Fewer requests lost, if in another way: that way is new, but not worse.
        let lost_fewer =
            self.figures.iter().any(|figure| figure.metric == Metric::Failed && figure.change == Change::Better);
        let is_part = |metric| matches!(metric, Metric::Outcome(_) | Metric::Cause(_));
        let telling = || self.figures.iter().filter(move |figure| !(lost_fewer && is_part(figure.metric)));
        let has = |changes: [Change; 2]| telling().any(|figure| changes.contains(&figure.change));
        if after > before || (after == before && has([Change::Worse, Change::New])) {
            Trend::Worse
        } else if after < before || has([Change::Better, Change::Gone]) {
            Trend::Better
        } else if telling().any(|figure| figure.change == Change::Unjudged) {
            Trend::Unjudged
        } else {
            Trend::Same
        }
    }

    /// What became of the verdict: `failed -> passed`, or that only one run has the scenario.
    #[must_use]
    pub fn verdicts(&self) -> String {
        match (self.before, self.after) {
            (Some(before), Some(after)) if before == after => format!("{after}, as before"),
            (Some(before), Some(after)) => format!("{before} -> {after}"),
            (None, Some(after)) => format!("{after}, new"),
            (Some(before), None) => format!("gone, was {before}"),
            (None, None) => "never run".to_owned(),
        }
    }

    /// The figures worth a line: those that changed, and those that say the most of any run.
    pub fn telling(&self) -> impl Iterator<Item = &FigureChange> {
        let always = [Metric::Dropped, Metric::P50, Metric::P99, Metric::Stall];
        self.figures.iter().filter(move |figure| figure.change != Change::Same || always.contains(&figure.metric))
    }
}

impl FigureChange {
    /// Before, after and their ratio, for people.
    #[must_use]
    pub fn words(&self) -> [String; 3] {
        let shown = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| words::value(self.metric, value));
        let ratio = self.ratio().map_or_else(|| "-".to_owned(), |ratio| format!("{ratio:.2}x"));
        [shown(self.before), shown(self.after), ratio]
    }

    fn of(metric: Metric, before: Option<f64>, after: Option<f64>) -> Self {
        Self { metric, before, after, change: change(metric.dimension(), before, after) }
    }

    /// After over before; none where that says nothing: one of them is zero, never ended or was not measured.
    #[must_use]
    pub fn ratio(&self) -> Option<f64> {
        let (before, after) = self.before.zip(self.after)?;
        (before > 0.0 && before.is_finite() && after.is_finite()).then(|| after / before)
    }
}

fn change(dimension: Dimension, before: Option<f64>, after: Option<f64>) -> Change {
    match (before, after) {
        (Some(before), Some(after)) if before.is_infinite() && after.is_infinite() => Change::Unjudged,
        (Some(before), Some(after)) => {
            let difference = after - before;
            let is_noise = dimension == Dimension::Time
                && difference.abs() <= f64::max(CHANGED_MS, before.min(after) * CHANGED_SHARE);
            match dimension {
                _ if is_noise || difference == 0.0 => Change::Same,
                Dimension::Count if before == 0.0 => Change::New,
                Dimension::Count if after == 0.0 => Change::Gone,
                _ if difference > 0.0 => Change::Worse,
                _ => Change::Better,
            }
        }
        (None, Some(_)) => Change::New,
        (Some(_), None) => Change::Gone,
        (None, None) => Change::Same,
    }
}

#[cfg(test)]
mod tests {
    use super::super::combine;
    use super::super::simulator::{Simulation, stories};
    use super::*;
    use crate::model::{Cause, FailureClass};

    fn result(story: Simulation, name: &str) -> RunResult {
        let mut story = story;
        name.clone_into(&mut story.plan.name);
        combine(&[story.record()]).expect("there is a record")
    }

    fn of(comparison: &Comparison, metric: Metric) -> FigureChange {
        let figures = &comparison.scenarios[0].figures;
        *figures.iter().find(|figure| figure.metric == metric).expect("compared")
    }

    #[test]
    fn a_run_beside_itself_is_the_same_in_everything() {
        let run = result(stories::plain_restart(), "a");
        let comparison = compare(&run, &run);
        let same = |figure: &&FigureChange| figure.change == Change::Same;
        let others = comparison.scenarios[0].figures.iter().filter(|figure| !same(figure));
        // Its p99 was never reached, in either.
        assert!(others.clone().all(|figure| figure.change == Change::Unjudged && figure.before == Some(f64::INFINITY)));
        assert!(others.count() > 0);
        assert_eq!(comparison.summary(), "Cannot be judged: a.");
        let run = result(stories::socket_restart(), "a");
        assert_eq!(compare(&run, &run).summary(), "As before: 1 of 1.");
    }

    #[test]
    fn counts_of_runs_with_other_events_or_another_load_are_told_per_event() {
        let plain = result(stories::plain_restart(), "a");
        let mut longer = plain.clone();
        let scenario = &mut longer.scenarios[0];
        scenario.events.extend(scenario.events.clone());
        scenario.dropped *= 2;
        let comparison = compare(&plain, &longer);
        assert_eq!(
            comparison.scenarios[0].per_event.as_deref(),
            Some("Counts are per event: 2 events before, 4 after.")
        );
        let dropped = of(&comparison, Metric::Dropped);
        assert_eq!((dropped.before, dropped.after, dropped.change), (Some(36.0), Some(36.0), Change::Same));
        let mut faster = plain.clone();
        faster.scenarios[0].cohorts[0].load = "200/s, 16 connections".to_owned();
        let told = compare(&plain, &faster).scenarios[0].per_event.clone().expect("the load differs");
        assert!(told.contains("the load was keep-alive: 100/s, 16 connections"), "{told}");
        assert_eq!(compare(&plain, &plain).scenarios[0].per_event, None);
    }

    #[test]
    fn what_was_lost_anew_is_new_and_what_no_longer_is_gone() {
        let (socket, plain) = (result(stories::socket_restart(), "a"), result(stories::plain_restart(), "a"));
        let worse = compare(&socket, &plain);
        assert_eq!(worse.summary(), "Worse: a.");
        assert_eq!(of(&worse, Metric::Dropped).change, Change::New);
        assert_eq!(of(&worse, Metric::Dropped).after, Some(36.0));
        assert_eq!(of(&worse, Metric::Outcome(FailureClass::Refused)).change, Change::New);
        assert_eq!(of(&worse, Metric::P99).after, Some(f64::INFINITY));
        assert_eq!(of(&worse, Metric::P99).change, Change::Worse);
        assert_eq!(of(&worse, Metric::P99).ratio(), None);
        let better = compare(&plain, &socket);
        assert_eq!(better.summary(), "Better: a.");
        assert_eq!(of(&better, Metric::Cause(Cause::NoListener)).change, Change::Gone);
        assert_eq!(of(&better, Metric::Max).change, Change::Better);
        assert_eq!(
            (better.scenarios[0].before, better.scenarios[0].after),
            (Some(Verdict::Failed), Some(Verdict::Passed))
        );
    }

    #[test]
    fn fewer_losses_are_better_even_if_one_of_them_has_a_new_cause() {
        let figure = |metric, before, after| FigureChange::of(metric, Some(before), Some(after));
        let trend = |failed_after| {
            let figures = vec![
                figure(Metric::Failed, 580.0, failed_after),
                figure(Metric::Cause(Cause::NoListener), 580.0, failed_after - 1.0),
                figure(Metric::Cause(Cause::AcceptQueueReset), 0.0, 1.0),
            ];
            let verdict = Some(Verdict::Passed);
            ScenarioComparison { name: String::new(), before: verdict, after: verdict, per_event: None, figures }
                .trend()
        };
        assert_eq!([trend(555.0), trend(580.0), trend(600.0)], [Trend::Better, Trend::Worse, Trend::Worse]);
    }

    #[test]
    fn small_differences_of_times_are_none_but_those_of_counts_are() {
        let time = |before, after| change(Dimension::Time, Some(before), Some(after));
        assert_eq!([time(2.0, 2.9), time(100.0, 109.0)], [Change::Same; 2]);
        assert_eq!([time(2.0, 3.1), time(100.0, 111.0)], [Change::Worse; 2]);
        assert_eq!(time(f64::INFINITY, 100.0), Change::Better);
        let count = |before, after| change(Dimension::Count, Some(before), Some(after));
        assert_eq!(
            [count(0.0, 1.0), count(1_000.0, 1_001.0), count(2.0, 1.0)],
            [Change::New, Change::Worse, Change::Better]
        );
    }

    #[test]
    fn a_scenario_of_one_run_only_is_named() {
        let comparison = compare(&result(stories::plain_restart(), "old"), &result(stories::plain_restart(), "new"));
        assert_eq!(comparison.summary(), "New: new. Gone: old.");
        let names: Vec<_> =
            comparison.scenarios.iter().map(|pair| (pair.name.as_str(), pair.before, pair.after)).collect();
        assert_eq!(names, [("new", None, Some(Verdict::Failed)), ("old", Some(Verdict::Failed), None)]);
    }
}
