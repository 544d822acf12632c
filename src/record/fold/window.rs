//! What one cohort counted under one scope: rows, and the sums of those in which nothing happened.

use std::collections::BTreeMap;

use super::counts::Counts;
use super::zones::Zones;
use crate::model::{FailureClass, FailureKey, GrpcStatus, MonoTime, Span};
use crate::record::histogram::LatencyHistogram;
use crate::record::segment::{
    ConnectionCounts, FailureSample, Gap, GoAways, Row, Segment, SentOk, UnframedSample, density_bucket,
};

/// The number of failures of a window that are kept one by one from its beginning; half as many are from its end.
const SAMPLES_MAX: usize = 4_000;

/// The number of gaps that are kept of a window.
const GAPS_MAX: usize = 500;

/// What one cohort counted under one scope.
#[derive(Clone, Debug, Default)]
pub(crate) struct Window {
    /// By tenth of a second of the due times, from the start of the load.
    pub(crate) rows: BTreeMap<u64, Cell>,
    /// Those in which nothing happened, of a long record: sums by their first row.
    pub(super) sums: BTreeMap<u64, Cell>,
    /// Of this number of rows each.
    grain: u64,
    /// Spans without an `ok` while requests were due.
    pub(crate) gaps: Vec<Gap>,
    /// Longest time without a connection attempt.
    pub(crate) connect_gap_ns: Option<u64>,
    /// How servers announced the end of connections.
    pub(crate) goaways: Option<GoAways>,
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
    pub(crate) grpc_statuses: Counts<GrpcStatus>,
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

impl Cell {
    pub(super) fn add_row(&mut self, row: &Row) {
        self.due += row.due;
        self.ok += row.ok;
        self.statuses.add_all(row.statuses.iter().copied());
        self.grpc_statuses.add_all(row.grpc_statuses.iter().copied());
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
        self.grpc_statuses.add_all(other.grpc_statuses.iter());
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
    /// All that it counted: rows, and sums of rows.
    pub(crate) fn cells(&self) -> impl Iterator<Item = &Cell> {
        self.rows.values().chain(self.sums.values())
    }

    /// The same, with the first row of each.
    pub(crate) fn rows_and_sums(&self) -> impl Iterator<Item = (u64, &Cell)> {
        self.rows.iter().chain(&self.sums).map(|(&row, cell)| (row, cell))
    }

    /// The same, with the number of rows as well.
    pub(crate) fn spans(&self) -> impl Iterator<Item = (u64, u64, &Cell)> {
        let rows = self.rows.iter().map(|(&row, cell)| (row, 1, cell));
        rows.chain(self.sums.iter().map(|(&row, cell)| (row, self.grain, cell)))
    }

    /// Adds a row, or a sum of fewer rows, to its sum of `grain` rows.
    pub(super) fn add_to_sum(&mut self, row: u64, grain: u64, cell: &Cell) {
        self.grain = grain;
        let sum = self.sums.entry(row / grain * grain).or_default();
        sum.add(cell);
        // Which came after what is known of single rows only.
        sum.lasting_oks = Vec::new();
    }

    /// Keeps no more of what is kept one by one than there is room for.
    pub(super) fn limit(&mut self, zones: &Zones) {
        let moment = |at: MonoTime| Span::new(at, at);
        if self.samples.len() > 2 * SAMPLES_MAX {
            let left_out = self.samples.drain(SAMPLES_MAX..self.samples.len() - SAMPLES_MAX / 2).count();
            self.samples_left_out += left_out as u64;
        }
        if self.unframed.len() > 2 * SAMPLES_MAX {
            // The shortest of those that nobody cut short is what the others are held against.
            let shortest = self.unframed.iter().map(|sample| sample.bytes_in).min();
            self.unframed.retain(|sample| zones.touch(moment(sample.end)) || Some(sample.bytes_in) == shortest);
            self.unframed.truncate(SAMPLES_MAX);
        }
        if self.gaps.len() > 2 * GAPS_MAX {
            let longest = self.longest_gap_ns();
            let length = |gap: &Gap| gap.to.nanos_since(gap.from);
            self.gaps.retain(|gap| Some(length(gap)) == longest || zones.touch(Span::new(gap.from, gap.to)));
            self.gaps.truncate(GAPS_MAX);
        }
    }

    pub(super) fn add_segment(&mut self, segment: &Segment) {
        self.gaps.extend_from_slice(&segment.gaps);
        self.connect_gap_ns = self.connect_gap_ns.max(segment.connect_gap_ns);
        self.first_ok = earlier(self.first_ok, segment.first_ok);
        self.goaways = self.goaways.into_iter().chain(segment.goaways).reduce(GoAways::and);
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
    pub(super) fn add_segment(&mut self, segment: &Segment) {
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
