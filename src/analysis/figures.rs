//! Figures over any selection of cohorts and events: what expectations read and results show.

use std::collections::BTreeMap;
use std::time::Duration;

use super::facts::Facts;
use super::number::{finite_ms, float, ns_to_ms, worst};
use crate::model::{Cause, FailureClass, FailureKey, GrpcStatus, Metric};
use crate::record::LatencyHistogram;
use crate::record::fold::tally::Group;
use crate::record::fold::window::{Cell, Distributions, add_counts};
use crate::record::segment::Scope;
use crate::result::{Connections, Latencies, Lateness, Percentiles, Requests};
use crate::scenario::plan::{Pace, Plan};

/// Which part of the counted run is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// All of it.
    Whole,
    /// All of it that has ended, of a run that is still under way.
    Ended,
    /// The events of one step, by its place in the plan.
    Step(u16),
    /// All but the events of those steps that have expectations of their own.
    Rest,
}

impl Part {
    pub(crate) fn holds_group(self, group: Group, plan: &Plan) -> bool {
        let own = |step: u16| plan.steps.get(usize::from(step)).is_some_and(|step| step.expect.is_some());
        match (self, group) {
            (_, Group::Warmup) | (Self::Step(_), Group::Before) => false,
            (Self::Whole | Self::Ended, _) | (Self::Rest, Group::Before) => true,
            (Self::Step(wanted), Group::Step(step)) => wanted == step,
            (Self::Rest, Group::Step(step)) => !own(step),
        }
    }
}

/// Figures of a selection. Times are exact milliseconds; infinite is what never ended, none what was not measured.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    pub(crate) requests: Requests,
    pub(crate) outcomes: BTreeMap<FailureClass, u64>,
    pub(crate) http_000: u64,
    pub(crate) causes: BTreeMap<Cause, u64>,
    pub(crate) statuses: BTreeMap<u16, u64>,
    pub(crate) grpc_statuses: BTreeMap<GrpcStatus, u64>,
    pub(crate) distributions: Distributions,
    pub(crate) stall_ms: Option<f64>,
    pub(crate) outage_ms: Option<f64>,
    pub(crate) recovery_ms: Option<f64>,
    pub(crate) queue_peak: Option<u32>,
    /// None without a load balancer's check.
    pub(crate) flaps: Option<u64>,
    pub(crate) cold_start_ms: Option<f64>,
    /// Stale answers by instance; none where no answer is asked for its instance.
    pub(crate) stale: Option<BTreeMap<String, u64>>,
    /// Of the outcomes, those that may be the generator's own doing.
    in_doubt: BTreeMap<FailureClass, u64>,
    /// Of these, the ones without a status line.
    in_doubt_000: u64,
}

impl Figures {
    /// The figures of `part`, of one cohort or of all.
    pub(crate) fn of(facts: &Facts<'_>, cohort: Option<u16>, part: Part) -> Self {
        let plan = facts.timeline.plan;
        let is_meant = |index: u16| cohort.is_none_or(|only| only == index) && usize::from(index) < plan.cohorts.len();
        let is_scope = |scope| part.holds_group(facts.group(scope), plan);
        let mut figures = Self::default();
        for (index, scope, window) in facts.tally.windows().filter(|&(index, ..)| is_meant(index)) {
            let is_without_status = !plan.cohorts[usize::from(index)].target.scheme.speaks_http();
            if is_scope(scope) {
                figures.add_in_doubt(facts.in_doubt.of_window(index, scope), is_without_status);
            }
            for cell in window.cells() {
                if scope == Scope::Warmup && part == Part::Whole {
                    figures.requests.warmup += cell.due.max(cell.ended());
                } else if is_scope(scope) {
                    figures.add_cell(cell, is_without_status);
                }
            }
        }
        if part == Part::Whole {
            figures.add_unended(facts.unended.iter().filter(|(index, _)| is_meant(**index)).map(|(_, n)| n).sum());
        }
        let distributions = facts.tally.distributions();
        for (.., counted) in distributions.filter(|&(index, group, _)| is_meant(index) && part.holds_group(group, plan))
        {
            figures.distributions.add(counted);
        }
        figures.causes = facts.attribution.causes(|index, scope| is_meant(index) && is_scope(scope));
        let times = || facts.times.iter().filter(|((index, scope), _)| is_meant(*index) && is_scope(*scope));
        figures.stall_ms = worst(times().map(|(_, times)| times.stall));
        figures.outage_ms = worst(times().map(|(_, times)| times.outage));
        figures.recovery_ms = worst(times().map(|(_, times)| times.recovery));
        figures.queue_peak = facts.queue_peak(part);
        let mut cohorts = (0_u16..).zip(&plan.cohorts).filter(|&(index, _)| is_meant(index));
        let has_check = cohorts.any(|(_, cohort)| matches!(cohort.pace, Pace::Health { .. }));
        figures.flaps = has_check.then_some(figures.distributions.flaps);
        figures.stale = stale(facts, is_meant, is_scope);
        if part.holds_group(Group::Before, plan) {
            figures.cold_start_ms =
                worst(facts.cold_starts.iter().filter(|(index, _)| is_meant(**index)).map(|(_, ms)| Some(*ms)));
        }
        figures.close();
        figures
    }

    fn add_cell(&mut self, cell: &Cell, is_without_status: bool) {
        self.requests.ok += cell.ok;
        add_counts(&mut self.statuses, cell.statuses.iter());
        add_counts(&mut self.grpc_statuses, cell.grpc_statuses.iter());
        for (key, n) in cell.failures.iter() {
            *self.outcomes.entry(key.class).or_default() += n;
            if let Some(status) = key.status {
                *self.statuses.entry(status).or_default() += n;
            }
            if let Some(status) = key.grpc {
                *self.grpc_statuses.entry(status).or_default() += n;
            }
            if key.is_http_000() && !is_without_status {
                self.http_000 += n;
            }
        }
    }

    fn add_in_doubt(&mut self, failures: impl Iterator<Item = (FailureKey, u64)>, is_without_status: bool) {
        for (key, n) in failures {
            *self.in_doubt.entry(key.class).or_default() += n;
            if key.is_http_000() && !is_without_status {
                self.in_doubt_000 += n;
            }
        }
    }

    /// What fell due and never ended was cut off with the run.
    fn add_unended(&mut self, unended: u64) {
        if unended > 0 {
            *self.outcomes.entry(FailureClass::Interrupted).or_default() += unended;
        }
    }

    fn close(&mut self) {
        self.requests.failed = self.count(|class| !class.is_unsent());
        self.requests.unsent = self.count(FailureClass::is_unsent);
        self.requests.due = self.requests.ok + self.requests.failed + self.requests.unsent;
    }

    fn count(&self, meant: impl Fn(FailureClass) -> bool) -> u64 {
        self.outcomes.iter().filter(|(class, _)| meant(**class)).map(|(_, n)| n).sum()
    }

    /// Dropped requests.
    pub(crate) fn dropped(&self) -> u64 {
        self.count(FailureClass::is_dropped)
    }

    /// Wrong answers.
    pub(crate) fn wrong(&self) -> u64 {
        self.count(FailureClass::is_wrong)
    }

    /// The value of a metric: infinite if it never ended, none if it was not measured.
    pub(crate) fn value(&self, metric: Metric) -> Option<f64> {
        let counted = |n: u64| Some(float(n));
        match metric {
            Metric::Dropped => counted(self.dropped()),
            Metric::Wrong => counted(self.wrong()),
            Metric::Failed => counted(self.requests.failed),
            Metric::ErrorRate => {
                (self.requests.due > 0).then(|| float(self.requests.failed) / float(self.requests.due))
            }
            Metric::Http000 => counted(self.http_000),
            Metric::P50 => self.percentile(5_000),
            Metric::P90 => self.percentile(9_000),
            Metric::P95 => self.percentile(9_500),
            Metric::P99 => self.percentile(9_900),
            Metric::P99_9 => self.percentile(9_990),
            Metric::Max => self.percentile(10_000),
            Metric::Stall => self.stall_ms,
            Metric::Outage => self.outage_ms,
            Metric::Recovery => self.recovery_ms,
            Metric::QueuePeak => self.queue_peak.map(f64::from),
            Metric::Flaps => self.flaps.map(float),
            Metric::ColdStart => self.cold_start_ms,
            Metric::Stale => self.stale.as_ref().map(|stale| float(stale.values().sum())),
            Metric::Outcome(class) => counted(self.outcomes.get(&class).copied().unwrap_or_default()),
            Metric::Cause(cause) => counted(self.causes.get(&cause).copied().unwrap_or_default()),
        }
    }

    /// What the value of a metric of losses would be if none of the failures had happened that may be the generator's own
    /// doing; none for other metrics, and where there are no such failures.
    pub(crate) fn value_without_doubt(&self, metric: Metric) -> Option<f64> {
        let all: u64 = self.in_doubt.values().sum();
        let doubted = match metric {
            Metric::Dropped | Metric::Failed | Metric::ErrorRate | Metric::Cause(Cause::Ambiguous) => all,
            Metric::Http000 => self.in_doubt_000,
            Metric::Outcome(class) => self.in_doubt.get(&class).copied().unwrap_or_default(),
            _ => 0,
        };
        let value = self.value(metric).filter(|_| doubted > 0)?;
        let doubted = float(doubted);
        Some(value - if metric == Metric::ErrorRate { doubted / float(self.requests.due) } else { doubted })
    }

    fn percentile(&self, hundredths: u16) -> Option<f64> {
        percentile_ms(&self.distributions.ok, self.requests.failed, hundredths)
    }

    /// The p99 of lateness, in nanoseconds.
    pub(crate) fn lateness_p99_ns(&self) -> Option<u64> {
        let lateness = &self.distributions.lateness;
        lateness.at_rank(rank(lateness.len(), 9_900))
    }

    /// How many requests were sent later than `limit` after they could have been, to three significant digits.
    pub(crate) fn sent_later_than(&self, limit: Duration) -> u64 {
        let later = self.distributions.lateness.iter().filter(|(ns, _)| u128::from(*ns) > limit.as_nanos());
        later.map(|(_, n)| n).sum()
    }

    pub(crate) fn latencies(&self) -> Latencies {
        let mut answered = self.distributions.ok.clone();
        answered.add(&self.distributions.wrong);
        Latencies {
            all: percentiles(&self.distributions.ok, self.requests.failed),
            answered: percentiles(&answered, 0),
            service: percentiles(&self.distributions.service, 0),
        }
    }

    pub(crate) fn lateness(&self) -> Lateness {
        lateness(&self.distributions.lateness)
    }

    pub(crate) fn connections(&self) -> Connections {
        let counts = self.distributions.connections;
        Connections {
            opened: counts.opened,
            reused_requests: counts.reused_requests,
            closed_idle: counts.closed_idle,
            unframed: counts.unframed,
        }
    }
}

/// In whole microseconds.
pub(crate) fn lateness(lateness: &LatencyHistogram) -> Lateness {
    let at = |hundredths| lateness.at_rank(rank(lateness.len(), hundredths)).map(|ns| ns / 1_000);
    Lateness { p50: at(5_000), p99: at(9_900), max: at(10_000) }
}

fn stale(
    facts: &Facts<'_>,
    is_meant: impl Fn(u16) -> bool,
    is_scope: impl Fn(Scope) -> bool,
) -> Option<BTreeMap<String, u64>> {
    let mut cohorts = (0_u16..).zip(&facts.timeline.plan.cohorts);
    let is_asked = cohorts.any(|(index, cohort)| is_meant(index) && cohort.target.instance.is_some());
    let stale = || facts.tally.instances.stale_of(|cohort, event| is_meant(cohort) && is_scope(Scope::Event(event)));
    is_asked.then(|| stale().into_iter().map(|(name, n)| (name.to_owned(), n)).collect())
}

/// Nearest rank, from 1: the smallest number of values that are at least that share of all.
fn rank(len: u64, hundredths: u16) -> u64 {
    len.saturating_mul(u64::from(hundredths)).div_ceil(10_000)
}

/// A percentile over what was answered and `never` requests that were not: infinite where it falls on one of these.
fn percentile_ms(answered: &LatencyHistogram, never: u64, hundredths: u16) -> Option<f64> {
    let len = answered.len() + never;
    if len == 0 {
        return None;
    }
    Some(answered.at_rank(rank(len, hundredths)).map_or(f64::INFINITY, ns_to_ms))
}

fn percentiles(answered: &LatencyHistogram, never: u64) -> Percentiles {
    let at = |hundredths| finite_ms(percentile_ms(answered, never, hundredths));
    Percentiles { p50: at(5_000), p90: at(9_000), p95: at(9_500), p99: at(9_900), p99_9: at(9_990), max: at(10_000) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hundred_ms() -> LatencyHistogram {
        let mut histogram = LatencyHistogram::default();
        (1..=100).for_each(|ms| histogram.record(ms * 1_000_000));
        histogram
    }

    #[test]
    fn a_rank_is_the_nearest_one_above_the_share() {
        assert_eq!([rank(100, 9_900), rank(101, 9_900), rank(1, 5_000), rank(0, 5_000)], [99, 100, 1, 0]);
        assert_eq!(rank(1_000, 9_990), 999);
    }

    #[test]
    fn a_percentile_that_falls_on_an_unanswered_request_never_ends() {
        let answered = hundred_ms();
        assert_eq!(percentile_ms(&answered, 0, 10_000), Some(100.0));
        // 101 requests: the 99th percentile is the 100th of them, the slowest that was answered.
        assert_eq!(percentile_ms(&answered, 1, 9_900), Some(100.0));
        assert_eq!(percentile_ms(&answered, 2, 9_900), Some(f64::INFINITY));
        assert_eq!(percentiles(&answered, 2).p99, None);
        assert!(percentiles(&answered, 2).p95.is_some());
    }

    #[test]
    fn without_requests_there_is_no_percentile() {
        assert_eq!(percentile_ms(&LatencyHistogram::default(), 0, 5_000), None);
    }
}
