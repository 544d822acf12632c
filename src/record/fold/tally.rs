//! Rows and segments added up: what each cohort counted under each scope.
//!
//! A record may bring the counts of one scope and one tenth of a second in any number of parts and in any
//! order; from here on that is forgotten.

use std::borrow::Cow;
use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::instances::Instances;
use super::recovery::recovered_p99_ms;
use super::settle::Settled;
use super::window::{Cell, Distributions, Window};
use super::zones::Zones;
use crate::model::{EventId, MonoTime};
use crate::record::begin::Begin;
use crate::record::line::{Line, Phase};
use crate::record::segment::{ROW_NS, RequestCount, Rows, Scope};
use crate::scenario::plan::{Cohort, MOST_REQUESTS};

/// More of them than any run of the harness has.
const WINDOWS_MAX: usize = 100_000;

/// Everything counted.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(super) windows: BTreeMap<(u16, Scope), Window>,
    distributions: BTreeMap<(u16, Group), Distributions>,
    /// Every cohort that has a window.
    cohorts: BTreeSet<u16>,
    /// The steps of the events that were begun.
    steps: BTreeMap<EventId, u16>,
    /// The events, in order, with their beginnings.
    pub(super) events: Vec<(EventId, MonoTime)>,
    /// Rows count from here.
    pub(super) load_start: MonoTime,
    clients: Vec<Client>,
    /// What became of each request of a cohort that sends several.
    pub(crate) requests: BTreeMap<(u16, u16), RequestCount>,
    /// Who answered.
    pub(crate) instances: Instances,
    pub(super) zones: Zones,
    pub(super) settled: Settled,
}

/// What must be known of a cohort to add up its rows.
#[derive(Clone, Copy, Debug)]
struct Client {
    timeout: Duration,
    has_status: bool,
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

impl Tally {
    /// That of a record that begins like this.
    pub(super) fn new(begin: &Begin) -> Self {
        let client =
            |cohort: &Cohort| Client { timeout: cohort.target.timeout, has_status: cohort.target.scheme.speaks_http() };
        Self { load_start: begin.anchor, clients: begin.plan.cohorts.iter().map(client).collect(), ..Self::default() }
    }

    /// Adds what a line counts.
    pub(super) fn add(&mut self, line: &Line) {
        self.zones.see(line);
        match line {
            Line::Phase(change) if change.phase == Phase::Load => self.load_start = change.at,
            Line::StepBegin(begin) => {
                self.steps.insert(begin.event, begin.step);
                self.events.push((begin.event, begin.at));
            }
            Line::Rows(rows) => self.add_rows(rows),
            Line::Segment(segment) => {
                let (cohort, scope) = self.place(segment.cohort, segment.scope);
                if let Some(counted) = &segment.instances {
                    self.instances.add(cohort, scope, counted);
                }
                if scope != Scope::Warmup {
                    for count in segment.requests.iter().filter(|count| count.request < MOST_REQUESTS) {
                        self.requests.entry((cohort, count.request)).or_default().add(count);
                    }
                }
                let group = self.group(scope);
                self.distributions.entry((cohort, group)).or_default().add_segment(segment);
                let window = self.windows.entry((cohort, scope)).or_default();
                window.add_segment(segment);
                window.limit(&self.zones);
            }
            _ => {}
        }
    }

    fn add_rows(&mut self, rows: &Rows) {
        let (cohort, scope) = self.place(rows.cohort, rows.scope);
        let window = self.windows.entry((cohort, scope)).or_default();
        for row in &rows.rows {
            match self.settled.grain_at(cohort, row.index).filter(|_| !window.rows.contains_key(&row.index)) {
                Some(grain) => {
                    let mut late = Cell::default();
                    late.add_row(row);
                    window.add_to_sum(row.index, grain, &late);
                }
                None => window.rows.entry(row.index).or_default().add_row(row),
            }
        }
        if let Some(newest) = rows.rows.iter().map(|row| row.index).max() {
            self.settle(cohort, newest);
        }
    }

    /// Where something is counted: all cohorts that are not in the plan are one, and a record that claims more events
    /// than there can be has one for the rest.
    fn place(&mut self, cohort: u16, scope: Scope) -> (u16, Scope) {
        let cohort = cohort.min(u16::try_from(self.clients.len()).unwrap_or(u16::MAX));
        self.cohorts.insert(cohort);
        let is_full = self.windows.len() >= WINDOWS_MAX && !self.windows.contains_key(&(cohort, scope));
        (cohort, if is_full { Scope::Event(EventId(u32::MAX)) } else { scope })
    }

    /// The longest that a request of a cohort can take.
    pub(super) fn timeout(&self, cohort: u16) -> Duration {
        self.clients.get(usize::from(cohort)).map_or(Duration::ZERO, |client| client.timeout)
    }

    /// Whether each `ok` of a cohort has a status.
    pub(super) fn has_status(&self, cohort: u16) -> bool {
        self.clients.get(usize::from(cohort)).is_some_and(|client| client.has_status)
    }

    /// The row that `at` falls into.
    pub(super) fn row_of(&self, at: MonoTime) -> u64 {
        at.nanos_since(self.load_start) / ROW_NS
    }

    /// The p99 that counts as recovered for a cohort; none without a warmup.
    pub(crate) fn recovered_limit_ms(&self, cohort: u16) -> Option<f64> {
        let warmup = &self.distributions.get(&(cohort, Group::Warmup))?.ok;
        let p99 = warmup.at_rank(warmup.len().saturating_mul(99).div_ceil(100))?;
        Some(recovered_p99_ms(p99))
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

    /// The rows of a cohort over all counted scopes, added up where scopes meet: those that are kept.
    pub(crate) fn counted_rows(&self, cohort: u16) -> BTreeMap<u64, Cow<'_, Cell>> {
        self.rows_between(cohort, 0, u64::MAX, |scope| scope != Scope::Warmup)
    }

    /// The rows of a cohort in those scopes from `from` to before `to`, added up where scopes meet.
    pub(super) fn rows_between(
        &self,
        cohort: u16,
        from: u64,
        to: u64,
        is_meant: impl Fn(Scope) -> bool,
    ) -> BTreeMap<u64, Cow<'_, Cell>> {
        let windows = self.windows().filter(|&(of, scope, _)| of == cohort && is_meant(scope));
        added_up(windows.flat_map(|(.., window)| window.rows.range(from..to).map(|(&row, cell)| (row, cell))))
    }

    /// All that a cohort counted, in parts each of which has all of its requests: by row, or where rows were added up, by
    /// the first of them.
    pub(crate) fn counted_parts(&self, cohort: u16) -> Vec<Cow<'_, Cell>> {
        let windows = || self.windows().filter(|&(of, scope, _)| of == cohort && scope != Scope::Warmup);
        let sums: BTreeSet<u64> = windows().flat_map(|(.., window)| window.sums.keys().copied()).collect();
        let grain = self.settled.grain.max(1);
        let part = |row: u64| Some(row / grain * grain).filter(|first| sums.contains(first)).unwrap_or(row);
        let cells = windows().flat_map(|(.., window)| window.rows_and_sums());
        added_up(cells.map(|(row, cell)| (part(row), cell))).into_values().collect()
    }
}

fn added_up<'a>(cells: impl Iterator<Item = (u64, &'a Cell)>) -> BTreeMap<u64, Cow<'a, Cell>> {
    let mut all = BTreeMap::<u64, Cow<'_, Cell>>::new();
    for (row, cell) in cells {
        match all.entry(row) {
            Entry::Vacant(free) => {
                free.insert(Cow::Borrowed(cell));
            }
            Entry::Occupied(mut part) => part.get_mut().to_mut().add(cell),
        }
    }
    all
}
