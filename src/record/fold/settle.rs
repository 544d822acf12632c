//! What a long record is cut down to. Rows in which nothing happened are added up, the more of them the longer it is:
//! memory follows the plan and what went wrong, never the hours. Counts stay exact, and what was found in those rows is
//! kept: when a cohort had recovered.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::recovery::{ROWS_PER_SECOND, recovered_from};
use super::tally::Tally;
use super::window::{Cell, Window};
use super::zones::{AROUND, Zones};
use crate::model::{EventId, Span};
use crate::record::segment::{ROW_NS, Scope};

/// The number of rows that may be one point of a chart, or be added up: up to two minutes are kept in tenths of a second, twenty in
/// seconds, ...
const GRAINS: [u64; 4] = [1, 10, 100, 600];

/// The most points, but for runs of more than 20 hours.
const POINTS: u64 = 1_200;

/// The number of rows that are added up at a time.
const BATCH: u64 = 200;

/// More rows than these of one cohort are added up whatever happened in them.
const ROWS_MAX: usize = 20_000;

/// The number of rows of a run of that length that make one point.
pub(crate) fn grain(rows: u64) -> u64 {
    grain_for(rows, POINTS)
}

fn grain_for(rows: u64, points: u64) -> u64 {
    let is_fine = |grain: &u64| rows <= points.saturating_mul(*grain);
    GRAINS.into_iter().find(is_fine).unwrap_or(GRAINS[3])
}

/// How far the rows were added up.
#[derive(Clone, Debug)]
pub(super) struct Settled {
    /// The number of rows that are kept, or of sums of them.
    pub(super) points: u64,
    /// Of how many rows the sums are; 0 for none.
    pub(super) grain: u64,
    newest: u64,
    /// Of each cohort, the first row that was not looked at yet.
    until: BTreeMap<u16, u64>,
    /// Cohorts whose next answered row is kept: something happened before it.
    owed: BTreeSet<u16>,
    /// The row from which on a cohort had recovered from an event.
    recovered: BTreeMap<(u16, EventId), u64>,
    /// Rows that were added up though something happened in them.
    coarse: u64,
}

impl Default for Settled {
    fn default() -> Self {
        Self {
            points: POINTS,
            grain: 0,
            newest: 0,
            until: BTreeMap::new(),
            owed: BTreeSet::new(),
            recovered: BTreeMap::new(),
            coarse: 0,
        }
    }
}

impl Settled {
    /// Of how many rows the sum is that a row belongs to; none if it is kept by itself where it is new.
    pub(super) fn grain_at(&self, cohort: u16, row: u64) -> Option<u64> {
        let is_past = self.grain > 0 && self.until.get(&cohort).is_some_and(|until| row < *until);
        is_past.then_some(self.grain)
    }
}

impl Tally {
    /// Rows in which something happened, and that were added up all the same.
    pub(crate) fn coarse_rows(&self) -> u64 {
        self.settled.coarse
    }

    /// The first of the rows `first` to `last` from which on a cohort had recovered from an event. `rows` are those that
    /// are kept.
    pub(crate) fn recovered(
        &self,
        (cohort, event): (u16, EventId),
        rows: &BTreeMap<u64, Cow<'_, Cell>>,
        (first, last): (u64, u64),
        limit_ms: f64,
    ) -> Option<u64> {
        if let Some(&row) = self.settled.recovered.get(&(cohort, event)) {
            return (row <= last).then_some(row);
        }
        let until = self.settled.until.get(&cohort).copied().unwrap_or_default();
        recovered_from(rows, first.max(until), last, limit_ms)
    }

    /// A cohort's rows up to `newest` have come.
    pub(super) fn settle(&mut self, cohort: u16, newest: u64) {
        self.settled.newest = self.settled.newest.max(newest);
        let newest = self.settled.newest;
        let grain = grain_for(newest + 1, self.settled.points);
        if grain == 1 {
            return;
        }
        if self.settled.grain != grain {
            self.settled.grain = grain;
            self.windows.values_mut().for_each(|window| window.sum_up(grain));
        }
        let from = self.settled.until.get(&cohort).copied().unwrap_or_default();
        let late = rows_in(self.timeout(cohort).saturating_add(2 * AROUND)) + ROWS_PER_SECOND;
        if newest < from + late + BATCH {
            return;
        }
        let horizon = self.complete_until(cohort, from, newest - late);
        // Whether a second is as before shows only with its last row.
        let to = horizon.saturating_sub(ROWS_PER_SECOND - 1);
        if to > from {
            self.find_recoveries(cohort, from, horizon);
            let quiet = self.quiet_rows(cohort, from, to);
            self.add_up(cohort, &quiet);
            self.settled.until.insert(cohort, to);
        }
        self.limit_rows(cohort);
    }

    /// The first row from `from` on, up to `to`, of which a request has not ended.
    fn complete_until(&self, cohort: u16, from: u64, to: u64) -> u64 {
        let rows = self.rows_between(cohort, from, to, |_| true);
        rows.iter().find(|(_, cell)| cell.due > cell.ended()).map_or(to, |(&row, _)| row)
    }

    fn find_recoveries(&mut self, cohort: u16, from: u64, horizon: u64) {
        let Some(limit_ms) = self.recovered_limit_ms(cohort) else { return };
        let begins = |place: usize| self.events.get(place).map(|&(_, at)| self.row_of(at));
        let sought: Vec<(EventId, u64)> = (0..self.events.len())
            .rev()
            .take_while(|place| begins(place + 1).is_none_or(|next| next >= from))
            .filter(|&place| !self.settled.recovered.contains_key(&(cohort, self.events[place].0)))
            .filter_map(|place| Some((self.events[place].0, begins(place)?.max(from))))
            .collect();
        if sought.is_empty() {
            return;
        }
        let rows = self.rows_between(cohort, from, horizon, |scope| scope != Scope::Warmup);
        let last = horizon.saturating_sub(ROWS_PER_SECOND);
        let found = sought.into_iter().filter_map(|(event, first)| {
            recovered_from(&rows, first, last, limit_ms).map(|row| ((cohort, event), row))
        });
        let found: Vec<_> = found.collect();
        drop(rows);
        self.settled.recovered.extend(found);
    }

    /// The rows between in which nothing happened.
    fn quiet_rows(&mut self, cohort: u16, from: u64, to: u64) -> BTreeSet<u64> {
        let before = rows_in(AROUND) + 1;
        let after = before + rows_in(self.timeout(cohort));
        let failed = self.failed_rows(cohort, from.saturating_sub(after), to + before);
        let is_near_failure = |row: u64| {
            let next = failed.partition_point(|failed| failed + after < row);
            failed.get(next).is_some_and(|&failed| failed <= row + before)
        };
        let has_status = self.has_status(cohort);
        let slow_us = u64::try_from(AROUND.as_micros()).unwrap_or(u64::MAX);
        let mut owed = self.settled.owed.contains(&cohort);
        let mut quiet = BTreeSet::new();
        let rows = self.rows_between(cohort, from, to, |_| true);
        // The first request of all tells of a cold start.
        let first = (from == 0).then(|| rows.keys().next().copied()).flatten();
        for (&row, cell) in &rows {
            let is_quiet = Some(row) != first
                && cell.adds_up(has_status)
                && cell.max_us <= slow_us
                && !is_near_failure(row)
                && !self.zones.touch(self.span_of(row, 1));
            if is_quiet && !(owed && cell.ok > 0) {
                quiet.insert(row);
            } else {
                // What followed upon it is the first answer after it.
                owed = !is_quiet;
            }
        }
        drop(rows);
        if owed {
            self.settled.owed.insert(cohort)
        } else {
            self.settled.owed.remove(&cohort)
        };
        quiet
    }

    fn failed_rows(&self, cohort: u16, from: u64, to: u64) -> Vec<u64> {
        let windows = self.windows().filter(|&(of, ..)| of == cohort).map(|(.., window)| window);
        let rows = windows.flat_map(|window| window.rows.range(from..to));
        let mut failed: Vec<u64> = rows.filter(|(_, cell)| cell.failures.total() > 0).map(|(&row, _)| row).collect();
        failed.sort_unstable();
        failed
    }

    fn add_up(&mut self, cohort: u16, rows: &BTreeSet<u64>) {
        let (Some(&first), Some(&last), grain) = (rows.first(), rows.last(), self.settled.grain) else { return };
        for ((_, _), window) in self.windows.iter_mut().filter(|((of, _), _)| *of == cohort) {
            let own: Vec<u64> =
                window.rows.range(first..=last).map(|(&row, _)| row).filter(|row| rows.contains(row)).collect();
            for row in own {
                window.rows.remove(&row).into_iter().for_each(|cell| window.add_to_sum(row, grain, &cell));
            }
        }
    }

    /// The number of rows that are kept has a limit, whatever happened.
    fn limit_rows(&mut self, cohort: u16) {
        let windows = || self.windows().filter(|&(of, ..)| of == cohort).map(|(.., window)| window);
        if windows().map(|window| window.rows.len()).sum::<usize>() <= ROWS_MAX {
            return;
        }
        let rows: BTreeSet<u64> = windows().flat_map(|window| window.rows.keys().copied()).collect();
        let oldest: BTreeSet<u64> = rows.iter().copied().take(rows.len().saturating_sub(ROWS_MAX / 2)).collect();
        self.settled.coarse += oldest.len() as u64;
        let until = oldest.last().map_or(0, |last| last + 1);
        self.add_up(cohort, &oldest);
        let known = self.settled.until.entry(cohort).or_default();
        *known = until.max(*known);
    }

    /// The times in which something happened that may have to be explained, and the clients that lost something then.
    pub(super) fn happened(&self) -> (Zones, BTreeSet<String>) {
        let (mut zones, mut clients) = (self.zones.clone(), BTreeSet::new());
        for (cohort, _, window) in self.windows() {
            for (row, rows, _) in window.spans().filter(|(.., cell)| cell.failures.total() > 0) {
                let due = self.span_of(row, rows);
                zones.add(Span::new(due.from, due.to + self.timeout(cohort)));
            }
            clients.extend(window.samples.iter().filter_map(|sample| sample.local.clone()));
        }
        (zones, clients)
    }

    /// The due times of rows.
    fn span_of(&self, first: u64, rows: u64) -> Span {
        let at = |row: u64| self.load_start + Duration::from_nanos(row.saturating_mul(ROW_NS));
        Span::new(at(first), at(first + rows))
    }
}

impl Window {
    /// Its sums become those of `grain` rows.
    fn sum_up(&mut self, grain: u64) {
        for (row, cell) in std::mem::take(&mut self.sums) {
            self.add_to_sum(row, grain, &cell);
        }
    }
}

fn rows_in(span: Duration) -> u64 {
    u64::try_from(span.as_nanos().div_ceil(u128::from(ROW_NS))).unwrap_or(u64::MAX / 4)
}
