//! The counters of one cohort: rows, segments, gaps, samples.

use std::collections::VecDeque;
use std::sync::Arc;

use super::ended::Ended;
use super::gaps::{GAPS_KEPT, GapWatch, TOLD_TO_A_MERGE, keep_longest};
use super::health::HealthWatch;
use super::instances::{Answered, InstanceTally, Instances};
use super::live::Live;
use super::row_tally::RowTally;
use super::timeline::Timeline;
use crate::model::{FailureClass, FailureKey, MonoTime};
use crate::record::segment::{
    FIRST_SAMPLES, FailureSample, Gap, GoAways, LAST_SAMPLES, ROW_NS, RequestCount, Row, Rows, Scope, Segment, SentOk,
    UnframedSample,
};

/// What one cohort has counted and not handed over yet, by scope.
#[derive(Debug)]
pub(super) struct Tally {
    cohort: u16,
    origin: MonoTime,
    live: Arc<Live>,
    scopes: Vec<ScopeTally>,
    /// Since when segments count.
    cut_at: MonoTime,
    gap: GapWatch,
    health: Option<HealthWatch>,
    instances: Instances,
    /// How many requests it sends, where each is counted.
    requests: usize,
    outstanding: u64,
    /// Requests due before a moment that had not ended by then, and still have not.
    awaited: (MonoTime, u64),
    /// Since when no connect call was made in the current scope.
    unattempted_since: MonoTime,
    samples_left_out: u64,
    unasked: u64,
    last_end: MonoTime,
    latest_ok: Option<SentOk>,
    /// Keeps what tells to which event a request belongs whose generator does not know of it.
    is_for_a_merge: bool,
}

#[derive(Debug)]
struct ScopeTally {
    scope: Scope,
    rows: Vec<RowTally>,
    segment: Option<Box<SegmentTally>>,
}

/// A segment that still counts, and the failures of each class that it was given last.
#[derive(Debug)]
struct SegmentTally {
    segment: Segment,
    /// How many samples of each class the segment has.
    sampled: [usize; FailureClass::ALL.len()],
    /// What came after these, up to [`LAST_SAMPLES`] of each class.
    last: [VecDeque<(FailureKey, Ended)>; FailureClass::ALL.len()],
    /// Of the answers that only the end of their connection delimited, what came after the first.
    last_unframed: VecDeque<Ended>,
    instances: InstanceTally,
}

impl Tally {
    /// Counts for the cohort at that place in the plan; `origin` is the start of the load.
    pub(super) fn new(cohort: u16, origin: MonoTime, live: Arc<Live>) -> Self {
        Self {
            cohort,
            origin,
            live,
            scopes: Vec::new(),
            cut_at: origin,
            gap: GapWatch::default(),
            health: None,
            instances: Instances::default(),
            requests: 0,
            outstanding: 0,
            awaited: (MonoTime::default(), 0),
            unattempted_since: origin,
            samples_left_out: 0,
            unasked: 0,
            last_end: origin,
            latest_ok: None,
            is_for_a_merge: false,
        }
    }

    /// The same, as the part of a load that several generators share.
    pub(super) fn for_a_merge(self, is_for_a_merge: bool) -> Self {
        Self { is_for_a_merge, ..self }
    }

    /// The same, following the state of a load balancer's check as well.
    pub(super) fn with_health(self, health: Option<HealthWatch>) -> Self {
        Self { health, ..self }
    }

    /// The same, with the instances that the whole load knows.
    pub(super) fn with_instances(self, instances: Instances) -> Self {
        Self { instances, ..self }
    }

    /// The same, counting each of so many requests.
    pub(super) fn with_requests(self, requests: usize) -> Self {
        Self { requests, ..self }
    }

    /// Since when there was no `ok` while requests were due; none if all is well.
    pub(super) fn no_ok_since(&self) -> Option<MonoTime> {
        self.gap.since()
    }

    /// Requests that fell due and have not ended.
    pub(super) fn outstanding(&self) -> u64 {
        self.outstanding
    }

    /// From here on, [`Self::has_ended`] is about what was due before `at`.
    pub(super) fn await_due_before(&mut self, at: MonoTime) {
        self.awaited = (at, self.outstanding);
    }

    /// Whether all has ended that was due before the moment last awaited.
    pub(super) fn has_ended(&self) -> bool {
        self.awaited.1 == 0
    }

    /// Whether nothing was counted since all was taken.
    pub(super) fn is_empty(&self) -> bool {
        self.scopes.is_empty()
    }

    /// The `ok` request that was sent last of all.
    pub(super) fn latest_ok(&self) -> Option<SentOk> {
        self.latest_ok
    }

    /// How many failures have no sample because there were too many of their class.
    pub(super) fn samples_left_out(&self) -> u64 {
        self.samples_left_out
    }

    /// How many connections brought bytes that no request had asked for.
    pub(super) fn unasked(&self) -> u64 {
        self.unasked
    }

    /// A request fell due.
    pub(super) fn fell_due(&mut self, timeline: &Timeline, due: MonoTime) {
        let scope = timeline.scope_at(due);
        self.row(scope, due).fell_due();
        self.outstanding += 1;
        self.gap.fell_due(due);
        if scope != Scope::Warmup {
            self.live.fell_due();
        }
    }

    /// A connect call was made at `at`.
    pub(super) fn connect_attempted(&mut self, timeline: &Timeline, at: MonoTime) {
        self.end_attempt_gap(timeline, at);
        if self.is_for_a_merge {
            self.row(timeline.scope_at(at), at).attempted(at);
        }
    }

    /// A step asks for requests at `at`: that none was made before says nothing.
    pub(super) fn asked(&mut self, at: MonoTime) {
        self.unattempted_since = at;
    }

    /// The time without a connect call ends at `at`: with one, or with the current scope. A listener that was gone for
    /// less may have gone unseen.
    pub(super) fn end_attempt_gap(&mut self, timeline: &Timeline, at: MonoTime) {
        let gap_ns = at.nanos_since(std::mem::replace(&mut self.unattempted_since, at));
        let segment = self.segment(timeline.scope_at(at));
        segment.connect_gap_ns = segment.connect_gap_ns.max(Some(gap_ns));
    }

    /// A connection was established at `at`.
    pub(super) fn connection_opened(&mut self, timeline: &Timeline, at: MonoTime) {
        self.segment(timeline.scope_at(at)).connections.opened += 1;
    }

    /// The server was found at `at` to have closed an idle connection.
    pub(super) fn connection_closed_idle(&mut self, timeline: &Timeline, at: MonoTime) {
        self.segment(timeline.scope_at(at)).connections.closed_idle += 1;
    }

    /// A connection was found at `at` to have brought bytes that no request had asked for.
    pub(super) fn bytes_unasked(&mut self, timeline: &Timeline, at: MonoTime) {
        self.segment(timeline.scope_at(at)).connections.unasked += 1;
        self.unasked += 1;
    }

    /// The server announced the end of a connection, or answered a stream that was in flight then.
    pub(super) fn goaways(&mut self, timeline: &Timeline, goaways: GoAways) {
        let segment = self.segment(timeline.scope_at(goaways.first));
        segment.goaways = segment.goaways.into_iter().chain([goaways]).reduce(GoAways::and);
    }

    /// A request ended.
    pub(super) fn ended(&mut self, timeline: &Timeline, ended: &Ended) {
        let scope = timeline.scope_of(ended.due, ended.end);
        self.outstanding -= 1;
        if ended.due < self.awaited.0 {
            self.awaited.1 -= 1;
        }
        self.last_end = self.last_end.max(ended.end);
        self.live.ended(scope == Scope::Warmup, ended.result.err());
        let offset_ns = ended.due.nanos_since(self.origin) % ROW_NS;
        let is_for_a_merge = self.is_for_a_merge;
        let row = self.row(scope, ended.due);
        match ended.result {
            Ok(accepted) => row.ok(ended.due, ended.end, accepted, offset_ns),
            Err(key) => row.failed(ended, key, is_for_a_merge),
        }
        let began = timeline.began(scope);
        let segment = self.segment(scope);
        if let Some(lateness_ns) = ended.lateness_ns {
            segment.lateness.record(lateness_ns);
        }
        segment.connections.reused_requests += u64::from(ended.trace.reused() && ended.trace.sent.is_some());
        segment.connections.unframed += u64::from(ended.trace.unframed);
        if self.health.as_mut().is_some_and(|health| health.ended(ended)) {
            self.segment(scope).flaps += 1;
        }
        self.instance(timeline, scope, ended);
        if let Some(count) = self.segment(scope).requests.get_mut(usize::from(ended.which)) {
            count.count(ended.result.err().map(|key| key.class));
        }
        match ended.result {
            Ok(accepted) => {
                self.ok(timeline, scope, began, ended);
                if accepted.unconfirmed {
                    self.unconfirmed(scope, ended);
                }
            }
            Err(key) => self.failed(scope, key, ended),
        }
    }

    fn ok(&mut self, timeline: &Timeline, scope: Scope, began: MonoTime, ended: &Ended) {
        let segment = self.segment(scope);
        segment.ok.record(ended.end.nanos_since(ended.due));
        if let Some(sent) = ended.trace.sent {
            segment.service.record(ended.end.nanos_since(sent));
            let ok = SentOk { sent, end: ended.end };
            if sent > began && segment.first_ok.is_none_or(|first| ok.end < first.end) {
                segment.first_ok = Some(ok);
            }
            if self.latest_ok.is_none_or(|latest| latest.sent < sent) {
                self.latest_ok = Some(ok);
            }
        }
        if let Some(gap) = self.gap.ok(ended.end, self.outstanding) {
            self.keep_gap(timeline, gap);
        }
    }

    fn instance(&mut self, timeline: &Timeline, scope: Scope, ended: &Ended) {
        let Some(named) = ended.trace.named else { return };
        let answered = Answered { named, sent: ended.trace.sent, end: ended.end, is_ok: ended.result.is_ok() };
        let instances = self.instances.clone();
        self.segment_tally(scope).instances.count(answered, &instances, timeline);
    }

    fn unconfirmed(&mut self, scope: Scope, ended: &Ended) {
        let SegmentTally { segment, last_unframed, .. } = self.segment_tally(scope);
        if segment.unframed.len() < FIRST_SAMPLES {
            segment.unframed.push(unframed_sample(ended));
            return;
        }
        if last_unframed.len() == LAST_SAMPLES {
            last_unframed.pop_front();
            segment.unframed_left_out += 1;
        }
        last_unframed.push_back(*ended);
    }

    fn failed(&mut self, scope: Scope, key: FailureKey, ended: &Ended) {
        let SegmentTally { segment, sampled, last, .. } = self.segment_tally(scope);
        if key.class.is_wrong() {
            segment.wrong.record(ended.end.nanos_since(ended.due));
            if let Some(sent) = ended.trace.sent {
                segment.service.record(ended.end.nanos_since(sent));
            }
        }
        let (sampled, last) = (&mut sampled[key.class as usize], &mut last[key.class as usize]);
        if *sampled < FIRST_SAMPLES {
            *sampled += 1;
            segment.samples.push(sample(key, ended));
            return;
        }
        let is_full = last.len() == LAST_SAMPLES;
        if is_full {
            last.pop_front();
            segment.samples_left_out += 1;
        }
        last.push_back((key, *ended));
        self.samples_left_out += u64::from(is_full);
    }

    /// Counting begins at `at`: a gap that is open then counts from there.
    pub(super) fn begin_counting(&mut self, timeline: &Timeline, at: MonoTime) {
        if let Some(gap) = self.gap.cut(at) {
            self.keep_gap(timeline, gap);
        }
    }

    /// The load is over, or a step has asked for its last: nothing was due from `stopped_at` on, and all requests have ended. What has seen no `ok`
    /// until then is a gap.
    pub(super) fn finish(&mut self, timeline: &Timeline, stopped_at: MonoTime) {
        if let Some(gap) = self.gap.finish(stopped_at.max(self.last_end)) {
            self.keep_gap(timeline, gap);
        }
    }

    fn keep_gap(&mut self, timeline: &Timeline, gap: Gap) {
        let is_for_a_merge = self.is_for_a_merge;
        let gaps = &mut self.segment(timeline.scope_of(gap.from, gap.to)).gaps;
        let kept = if is_for_a_merge && gap.to.since(gap.from) >= TOLD_TO_A_MERGE { usize::MAX } else { GAPS_KEPT };
        keep_longest(gaps, gap, kept);
    }

    /// Takes the rows of one scope; none once all were taken.
    pub(super) fn take_rows(&mut self) -> Option<Rows> {
        let scope = self.scopes.iter_mut().find(|scope| !scope.rows.is_empty())?;
        let rows: Vec<Row> = scope.rows.drain(..).map(RowTally::into_row).collect();
        let taken = Rows { cohort: self.cohort, scope: scope.scope, rows };
        self.scopes.retain(ScopeTally::holds_something);
        Some(taken)
    }

    /// Takes the segment of one scope, cut at `at`; none once all were taken, and the next ones start there.
    pub(super) fn take_segment(&mut self, at: MonoTime) -> Option<Box<Segment>> {
        let taken = self.scopes.iter_mut().find_map(|scope| scope.segment.take());
        if let Some(tally) = taken {
            self.scopes.retain(ScopeTally::holds_something);
            return Some(tally.into_segment(at, &self.instances, self.is_for_a_merge));
        }
        self.cut_at = at;
        None
    }

    fn row(&mut self, scope: Scope, due: MonoTime) -> &mut RowTally {
        let index = due.nanos_since(self.origin) / ROW_NS;
        let rows = &mut self.scope(scope).rows;
        let place = match rows.last().map(RowTally::index) {
            Some(last) if last == index => rows.len() - 1,
            _ => match rows.binary_search_by_key(&index, RowTally::index) {
                Ok(place) => place,
                Err(place) => {
                    rows.insert(place, RowTally::new(index));
                    place
                }
            },
        };
        &mut rows[place]
    }

    fn segment(&mut self, scope: Scope) -> &mut Segment {
        &mut self.segment_tally(scope).segment
    }

    fn segment_tally(&mut self, scope: Scope) -> &mut SegmentTally {
        let (cohort, from, requests) = (self.cohort, self.cut_at, self.requests);
        let of_request = |request| RequestCount { request, ..RequestCount::default() };
        let counts = || (0..).map(of_request).take(requests).collect();
        let empty = || SegmentTally {
            segment: Segment { requests: counts(), ..Segment::empty(cohort, scope, from) },
            sampled: Default::default(),
            last: Default::default(),
            last_unframed: VecDeque::new(),
            instances: InstanceTally::default(),
        };
        self.scope(scope).segment.get_or_insert_with(|| Box::new(empty()))
    }

    fn scope(&mut self, scope: Scope) -> &mut ScopeTally {
        // The current scope is the one that was added last, nearly always.
        let place = self.scopes.iter().rposition(|tally| tally.scope == scope).unwrap_or_else(|| {
            self.scopes.push(ScopeTally { scope, rows: Vec::new(), segment: None });
            self.scopes.len() - 1
        });
        &mut self.scopes[place]
    }
}

impl SegmentTally {
    fn into_segment(mut self, to: MonoTime, instances: &Instances, is_for_a_merge: bool) -> Box<Segment> {
        let last = self.last.iter().flatten().map(|(key, ended)| sample(*key, ended));
        self.segment.samples.extend(last);
        self.segment.unframed.extend(self.last_unframed.iter().map(unframed_sample));
        self.segment.requests.retain(|count| count.ended() > 0);
        let instances = self.instances.into_record(instances, is_for_a_merge);
        Box::new(Segment { to, instances, ..self.segment })
    }
}

impl ScopeTally {
    fn holds_something(&self) -> bool {
        !self.rows.is_empty() || self.segment.is_some()
    }
}

fn sample(key: FailureKey, ended: &Ended) -> FailureSample {
    let trace = &ended.trace;
    FailureSample {
        off_ns: 0,
        key,
        due: ended.due,
        sent: trace.sent,
        end: ended.end,
        local: trace.local.map(|address| address.to_string()),
        connected: trace.connected,
        nth: trace.nth,
        bytes_out: trace.bytes_out,
        bytes_in: trace.bytes_in,
        instead: trace.instead,
    }
}

fn unframed_sample(ended: &Ended) -> UnframedSample {
    let trace = &ended.trace;
    UnframedSample {
        due: ended.due,
        sent: trace.sent,
        end: ended.end,
        local: trace.local.map(|address| address.to_string()),
        bytes_in: trace.bytes_in,
    }
}

#[cfg(test)]
mod tests;
