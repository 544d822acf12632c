//! Rows and segments added up: what each cohort counted under each scope.
//!
//! A record may bring the counts of one scope and one tenth of a second in any number of parts and in any
//! order; from here on that is forgotten.

use std::borrow::Cow;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use super::counts::Counts;
use crate::model::{EventId, FailureClass, FailureKey, MonoTime};
use crate::record::histogram::LatencyHistogram;
use crate::record::line::Line;
use crate::record::segment::{
    ConnectionCounts, FailureSample, Gap, Row, Scope, Segment, SentOk, UnframedSample, density_bucket,
};

/// Everything counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    windows: BTreeMap<(u16, Scope), Window>,
    distributions: BTreeMap<(u16, Group), Distributions>,
    /// Every cohort that has a window.
    cohorts: BTreeSet<u16>,
    /// The steps of the events that were begun.
    steps: BTreeMap<EventId, u16>,
}

/// What distributions are kept apart by: they are large, and nothing asks for those of a single event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Group {
    /// Before counting began.
    Warmup,
    /// Before the first event.
    Before,
    /// All events of a step, by its place in the plan.
    Step(u16),
}

/// What one cohort counted under one scope.
#[derive(Clone, Debug, Default)]
pub(crate) struct Window {
    /// By tenth of a second of the due times, from the start of the load.
    pub(crate) rows: BTreeMap<u64, Cell>,
    /// Spans without an `ok` while requests were due.
    pub(crate) gaps: Vec<Gap>,
    /// Longest time without a connection attempt.
    pub(crate) connect_gap_ns: Option<u64>,
    /// The first `ok` that was sent after the event began.
    pub(crate) first_ok: Option<SentOk>,
    /// Single failures.
    pub(crate) samples: Vec<FailureSample>,
    /// How many failures have no sample.
    pub(crate) samples_left_out: u64,
    /// Answers that only the end of their connection delimited.
    pub(crate) unframed: Vec<UnframedSample>,
}

/// A tenth of a second of due times.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cell {
    pub(crate) due: u64,
    pub(crate) ok: u64,
    pub(crate) statuses: Counts<u16>,
    pub(crate) failures: Counts<FailureKey>,
    /// Of the `ok`, those that only the end of their connection delimited.
    pub(crate) unframed: u64,
    pub(crate) max_us: u64,
    /// Due and end of the slowest `ok`; of several, the first.
    pub(crate) slowest: Option<(MonoTime, MonoTime)>,
    pub(crate) density: Counts<u16>,
    /// When the first and the last `ok` ended.
    pub(crate) ok_ends: Option<(MonoTime, MonoTime)>,
    /// Due times of the first and the last failed one.
    pub(crate) failed_due: Option<(MonoTime, MonoTime)>,
    /// Due and end of the `ok` requests that are known one by one, ascending.
    pub(crate) lasting_oks: Vec<(MonoTime, MonoTime)>,
}

/// Distributions and connection counts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Distributions {
    pub(crate) ok: LatencyHistogram,
    pub(crate) wrong: LatencyHistogram,
    pub(crate) service: LatencyHistogram,
    pub(crate) lateness: LatencyHistogram,
    pub(crate) connections: ConnectionCounts,
    pub(crate) flaps: u64,
}

impl Tally {
    /// Adds what a line counts.
    pub(super) fn add(&mut self, line: &Line) {
        match line {
            Line::StepBegin(begin) => {
                self.steps.insert(begin.event, begin.step);
            }
            Line::Rows(rows) => {
                let window = self.window_of(rows.cohort, rows.scope);
                for row in &rows.rows {
                    window.rows.entry(row.index).or_default().add_row(row);
                }
            }
            Line::Segment(segment) => {
                let group = self.group(segment.scope);
                self.distributions.entry((segment.cohort, group)).or_default().add_segment(segment);
                self.window_of(segment.cohort, segment.scope).add_segment(segment);
            }
            _ => {}
        }
    }

    fn window_of(&mut self, cohort: u16, scope: Scope) -> &mut Window {
        self.cohorts.insert(cohort);
        self.windows.entry((cohort, scope)).or_default()
    }

    /// The group of a scope. An event whose beginning is missing counts as step 0.
    pub(crate) fn group(&self, scope: Scope) -> Group {
        match scope {
            Scope::Warmup => Group::Warmup,
            Scope::Before => Group::Before,
            Scope::Event(event) => Group::Step(self.steps.get(&event).copied().unwrap_or_default()),
        }
    }

    /// All distributions.
    pub(crate) fn distributions(&self) -> impl Iterator<Item = (u16, Group, &Distributions)> {
        self.distributions.iter().map(|(&(cohort, group), distributions)| (cohort, group, distributions))
    }

    /// One window, if anything was counted in it.
    pub(crate) fn window(&self, cohort: u16, scope: Scope) -> Option<&Window> {
        self.windows.get(&(cohort, scope))
    }

    /// One window, to count in it otherwise.
    pub(crate) fn window_mut(&mut self, cohort: u16, scope: Scope) -> Option<&mut Window> {
        self.windows.get_mut(&(cohort, scope))
    }

    /// The distributions of one group of windows, to count in them otherwise.
    pub(crate) fn distributions_mut(&mut self, cohort: u16, group: Group) -> Option<&mut Distributions> {
        self.distributions.get_mut(&(cohort, group))
    }

    /// All windows.
    pub(crate) fn windows(&self) -> impl Iterator<Item = (u16, Scope, &Window)> {
        self.windows.iter().map(|(&(cohort, scope), window)| (cohort, scope, window))
    }

    /// The windows of one scope, one for each cohort that has one.
    pub(crate) fn windows_of(&self, scope: Scope) -> impl Iterator<Item = &Window> {
        self.cohorts.iter().filter_map(move |&cohort| self.window(cohort, scope))
    }

    /// The rows of a cohort over all counted scopes, added up where scopes meet.
    pub(crate) fn counted_rows(&self, cohort: u16) -> BTreeMap<u64, Cow<'_, Cell>> {
        let mut all = BTreeMap::<u64, Cow<'_, Cell>>::new();
        for (_, _, window) in self.windows().filter(|&(of, scope, _)| of == cohort && scope != Scope::Warmup) {
            for (&index, cell) in &window.rows {
                match all.entry(index) {
                    Entry::Vacant(free) => {
                        free.insert(Cow::Borrowed(cell));
                    }
                    Entry::Occupied(mut part) => part.get_mut().to_mut().add(cell),
                }
            }
        }
        all
    }
}

impl Cell {
    fn add_row(&mut self, row: &Row) {
        self.due += row.due;
        self.ok += row.ok;
        self.statuses.add_all(row.statuses.iter().copied());
        self.failures.add_all(row.failures.iter().map(|failure| (failure.key, failure.n)));
        self.unframed += row.unframed;
        self.max_us = self.max_us.max(row.max_us);
        self.slowest = slower(self.slowest, row.slowest);
        self.density.add_all(row.density.iter().map(|&(bucket, n)| (bucket, u64::from(n))));
        self.ok_ends = hull(self.ok_ends, row.ok_ends);
        self.failed_due = hull(self.failed_due, row.failed_due);
        self.know_oks(row.lasting_ok.as_slice());
    }

    /// Adds what another part of the same tenth of a second counted.
    pub(crate) fn add(&mut self, other: &Self) {
        self.due += other.due;
        self.ok += other.ok;
        self.statuses.add_all(other.statuses.iter());
        self.failures.add_all(other.failures.iter());
        self.unframed += other.unframed;
        self.max_us = self.max_us.max(other.max_us);
        self.slowest = slower(self.slowest, other.slowest);
        self.density.add_all(other.density.iter());
        self.ok_ends = hull(self.ok_ends, other.ok_ends);
        self.failed_due = hull(self.failed_due, other.failed_due);
        self.know_oks(&other.lasting_oks);
    }

    fn know_oks(&mut self, oks: &[(MonoTime, MonoTime)]) {
        if !oks.is_empty() {
            self.lasting_oks.extend_from_slice(oks);
            self.lasting_oks.sort_unstable();
            self.lasting_oks.dedup();
        }
    }

    /// Whether its counts, over all scopes, can be of the same requests; of those with HTTP, each has a status.
    pub(crate) fn adds_up(&self, has_status: bool) -> bool {
        let slowest = self.density.iter().next_back().map_or(0, |(bucket, _)| bucket);
        self.ended() <= self.due
            && self.density.total() == self.ok
            && (self.statuses.total() == self.ok || !has_status)
            && density_bucket(self.max_us) == slowest
    }

    /// Requests that ended, however.
    pub(crate) fn ended(&self) -> u64 {
        self.ok + self.failures.total()
    }

    /// Dropped and wrong requests.
    pub(crate) fn failed(&self) -> u64 {
        self.count(|class| !class.is_unsent())
    }

    /// Failures of the classes meant.
    pub(crate) fn count(&self, meant: impl Fn(FailureClass) -> bool) -> u64 {
        self.failures.iter().filter(|(key, _)| meant(key.class)).map(|(_, n)| n).sum()
    }
}

impl Window {
    fn add_segment(&mut self, segment: &Segment) {
        self.gaps.extend_from_slice(&segment.gaps);
        self.connect_gap_ns = self.connect_gap_ns.max(segment.connect_gap_ns);
        self.first_ok = earlier(self.first_ok, segment.first_ok);
        self.samples.extend_from_slice(&segment.samples);
        self.samples_left_out += segment.samples_left_out;
        self.unframed.extend_from_slice(&segment.unframed);
    }

    /// The longest span without an `ok` while requests were due.
    pub(crate) fn longest_gap_ns(&self) -> Option<u64> {
        self.gaps.iter().map(|gap| gap.to.nanos_since(gap.from)).max()
    }
}

impl Distributions {
    fn add_segment(&mut self, segment: &Segment) {
        add_times(&mut self.ok, &segment.ok);
        add_times(&mut self.wrong, &segment.wrong);
        add_times(&mut self.service, &segment.service);
        add_times(&mut self.lateness, &segment.lateness);
        self.add_connections(&segment.connections);
        self.flaps += segment.flaps;
    }

    /// Adds what another group counted.
    pub(crate) fn add(&mut self, other: &Self) {
        add_times(&mut self.ok, &other.ok);
        add_times(&mut self.wrong, &other.wrong);
        add_times(&mut self.service, &other.service);
        add_times(&mut self.lateness, &other.lateness);
        self.add_connections(&other.connections);
        self.flaps += other.flaps;
    }

    fn add_connections(&mut self, other: &ConnectionCounts) {
        self.connections.opened += other.opened;
        self.connections.reused_requests += other.reused_requests;
        self.connections.closed_idle += other.closed_idle;
        self.connections.unframed += other.unframed;
    }
}

/// Adds a histogram. Most are empty or the first of their kind, and an addition goes over every bucket.
fn add_times(to: &mut LatencyHistogram, from: &LatencyHistogram) {
    if to.is_empty() {
        *to = from.clone();
    } else if !from.is_empty() {
        to.add(from);
    }
}

/// Adds counts key by key.
pub(crate) fn add_counts<K: Ord + Copy>(to: &mut BTreeMap<K, u64>, from: impl IntoIterator<Item = (K, u64)>) {
    for (key, n) in from {
        *to.entry(key).or_default() += n;
    }
}

fn hull(a: Option<(MonoTime, MonoTime)>, b: Option<(MonoTime, MonoTime)>) -> Option<(MonoTime, MonoTime)> {
    match (a, b) {
        (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.max(b.1))),
        (one, other) => one.or(other),
    }
}

/// The slower of two requests; of two as slow, the one that was due first.
fn slower(a: Option<(MonoTime, MonoTime)>, b: Option<(MonoTime, MonoTime)>) -> Option<(MonoTime, MonoTime)> {
    let rank = |&(due, end): &(MonoTime, MonoTime)| (end.nanos_since(due), std::cmp::Reverse(due));
    [a, b].into_iter().flatten().max_by_key(rank)
}

fn earlier(a: Option<SentOk>, b: Option<SentOk>) -> Option<SentOk> {
    [a, b].into_iter().flatten().min_by_key(|ok| (ok.sent, ok.end))
}
