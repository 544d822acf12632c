//! The counters of one cohort: rows, segments, gaps, samples.

use std::sync::Arc;

use super::ended::Ended;
use super::gaps::{GapWatch, keep_longest};
use super::live::Live;
use super::row_tally::RowTally;
use super::timeline::Timeline;
use crate::model::{FailureClass, FailureKey, MonoTime};
use crate::record::LatencyHistogram;
use crate::record::segment::{
    ConnectionCounts, FailureSample, Gap, ROW_NS, Row, Rows, SAMPLES_PER_CLASS, Scope, Segment, SentOk,
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
    outstanding: u64,
    last_attempt: Option<(Scope, MonoTime)>,
    samples_left_out: u64,
    latest_ok: Option<SentOk>,
}

#[derive(Debug)]
struct ScopeTally {
    scope: Scope,
    rows: Vec<RowTally>,
    segment: Option<Box<SegmentTally>>,
}

/// A segment that still counts, and how many samples of each class it has.
#[derive(Debug)]
struct SegmentTally {
    segment: Segment,
    sampled: [usize; FailureClass::ALL.len()],
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
            outstanding: 0,
            last_attempt: None,
            samples_left_out: 0,
            latest_ok: None,
        }
    }

    /// Requests that fell due and have not ended.
    pub(super) fn outstanding(&self) -> u64 {
        self.outstanding
    }

    /// The `ok` request that was sent last of all.
    pub(super) fn latest_ok(&self) -> Option<SentOk> {
        self.latest_ok
    }

    /// How many failures have no sample because there were too many of their class.
    pub(super) fn samples_left_out(&self) -> u64 {
        self.samples_left_out
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
        let scope = timeline.scope_at(at);
        if let Some((_, last)) = self.last_attempt.replace((scope, at)).filter(|&(last_scope, _)| last_scope == scope) {
            let segment = self.segment(scope);
            segment.connect_gap_ns = segment.connect_gap_ns.max(Some(at.nanos_since(last)));
        }
    }

    /// A connection was established at `at`.
    pub(super) fn connection_opened(&mut self, timeline: &Timeline, at: MonoTime) {
        self.segment(timeline.scope_at(at)).connections.opened += 1;
    }

    /// The server was found at `at` to have closed an idle connection.
    pub(super) fn connection_closed_idle(&mut self, timeline: &Timeline, at: MonoTime) {
        self.segment(timeline.scope_at(at)).connections.closed_idle += 1;
    }

    /// A request ended.
    pub(super) fn ended(&mut self, timeline: &Timeline, ended: &Ended) {
        let scope = timeline.scope_of(ended.due, ended.end);
        self.outstanding -= 1;
        self.live.ended(scope == Scope::Warmup, ended.result.err());
        let offset_ns = ended.due.nanos_since(self.origin) % ROW_NS;
        let row = self.row(scope, ended.due);
        match ended.result {
            Ok(accepted) => row.ok(ended.due, ended.end, accepted.status, offset_ns),
            Err(key) => row.failed(ended.due, key),
        }
        let began = timeline.began(scope);
        let segment = self.segment(scope);
        if let Some(lateness_ns) = ended.lateness_ns {
            segment.lateness.record(lateness_ns);
        }
        segment.connections.reused_requests += u64::from(ended.trace.reused() && ended.trace.sent.is_some());
        segment.connections.unframed += u64::from(ended.trace.unframed);
        match ended.result {
            Ok(_) => self.ok(timeline, scope, began, ended),
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

    fn failed(&mut self, scope: Scope, key: FailureKey, ended: &Ended) {
        let SegmentTally { segment, sampled } = self.segment_tally(scope);
        if key.class.is_wrong() {
            segment.wrong.record(ended.end.nanos_since(ended.due));
            if let Some(sent) = ended.trace.sent {
                segment.service.record(ended.end.nanos_since(sent));
            }
        }
        let sampled = &mut sampled[key.class as usize];
        if *sampled < SAMPLES_PER_CLASS {
            *sampled += 1;
            segment.samples.push(sample(key, ended));
        } else {
            segment.samples_left_out += 1;
            self.samples_left_out += 1;
        }
    }

    /// Counting begins at `at`: a gap that is open then counts from there.
    pub(super) fn begin_counting(&mut self, timeline: &Timeline, at: MonoTime) {
        if let Some(gap) = self.gap.cut(at) {
            self.keep_gap(timeline, gap);
        }
    }

    /// The load is over: what has seen no `ok` until then is a gap.
    pub(super) fn finish(&mut self, timeline: &Timeline, at: MonoTime) {
        if let Some(gap) = self.gap.finish(at) {
            self.keep_gap(timeline, gap);
        }
    }

    fn keep_gap(&mut self, timeline: &Timeline, gap: Gap) {
        keep_longest(&mut self.segment(timeline.scope_of(gap.from, gap.to)).gaps, gap);
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
            return Some(Box::new(Segment { to: at, ..tally.segment }));
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
        let (cohort, from) = (self.cohort, self.cut_at);
        let empty = || SegmentTally { segment: empty_segment(cohort, scope, from), sampled: Default::default() };
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

impl ScopeTally {
    fn holds_something(&self) -> bool {
        !self.rows.is_empty() || self.segment.is_some()
    }
}

fn empty_segment(cohort: u16, scope: Scope, from: MonoTime) -> Segment {
    Segment {
        cohort,
        scope,
        from,
        to: from,
        ok: LatencyHistogram::default(),
        wrong: LatencyHistogram::default(),
        service: LatencyHistogram::default(),
        lateness: LatencyHistogram::default(),
        connections: ConnectionCounts::default(),
        gaps: Vec::new(),
        connect_gap_ns: None,
        first_ok: None,
        samples: Vec::new(),
        samples_left_out: 0,
    }
}

fn sample(key: FailureKey, ended: &Ended) -> FailureSample {
    let trace = &ended.trace;
    FailureSample {
        key,
        due: ended.due,
        sent: trace.sent,
        end: ended.end,
        local: trace.local.map(|address| address.to_string()),
        connected: trace.connected,
        nth: trace.nth,
        bytes_out: trace.bytes_out,
        bytes_in: trace.bytes_in,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::atomic::Ordering;

    use proptest::prelude::*;

    use super::super::ended::{Accepted, Trace};
    use super::*;
    use crate::model::{Disposition, EventId};
    use crate::record::segment::FailureCount;

    const ORIGIN: MonoTime = MonoTime::from_nanos(1_000_000_000);

    fn at(ms: u64) -> MonoTime {
        MonoTime::from_nanos(ORIGIN.as_nanos() + ms * 1_000_000)
    }

    fn key(class: FailureClass) -> FailureKey {
        FailureKey { class, disposition: Disposition::Unanswered, reused: false, status: None, errno: None }
    }

    fn ended(due: u64, end: u64, result: Result<Accepted, FailureKey>) -> Ended {
        let trace = Trace { sent: Some(at(due)), nth: 1, ..Trace::default() };
        Ended { due: at(due), end: at(end), result, lateness_ns: Some(7), trace }
    }

    const OK: Result<Accepted, FailureKey> = Ok(Accepted { status: Some(200) });

    fn counting() -> (Tally, Timeline) {
        let mut timeline = Timeline::default();
        timeline.begin_counting(ORIGIN);
        (Tally::new(3, ORIGIN, Arc::default()), timeline)
    }

    fn request(tally: &mut Tally, timeline: &Timeline, request: &Ended) {
        tally.fell_due(timeline, request.due);
        tally.ended(timeline, request);
    }

    fn only_row(tally: &mut Tally) -> Row {
        let mut rows = tally.take_rows().unwrap().rows;
        assert_eq!((rows.len(), tally.take_rows()), (1, None));
        rows.remove(0)
    }

    #[test]
    fn a_row_tells_of_its_tenth_of_a_second() {
        let (mut tally, timeline) = counting();
        let refused = key(FailureClass::Refused);
        for ended in [
            ended(205, 206, OK),
            ended(210, 211, Err(refused)),
            ended(220, 230, Err(refused)),
            ended(240, 250, OK),
            ended(250, 252, OK),
        ] {
            request(&mut tally, &timeline, &ended);
        }
        let row = only_row(&mut tally);
        assert_eq!((row.index, row.due, row.ok), (2, 5, 3));
        assert_eq!(row.statuses, [(200, 3)]);
        assert_eq!(row.failures, [FailureCount { key: refused, n: 2 }]);
        assert_eq!((row.sum_us, row.max_us), (13_000, 10_000));
        assert_eq!(row.ok_ends, Some((at(206), at(252))));
        assert_eq!(row.failed_due, Some((at(210), at(220))));
        assert_eq!(row.lasting_ok, Some((at(240), at(250))));
        assert_eq!(row.density.iter().map(|&(_, n)| n).sum::<u32>(), 3);
    }

    #[test]
    fn what_the_generator_could_not_send_is_no_failure_of_the_target() {
        let (mut tally, timeline) = counting();
        request(&mut tally, &timeline, &ended(10, 10, Err(key(FailureClass::LocalPort))));
        assert_eq!(only_row(&mut tally).failed_due, None);
        assert_eq!(tally.live.unsent.load(Ordering::Relaxed), 1);
        assert_eq!(tally.live.dropped.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn wrong_answers_have_a_latency_of_their_own() {
        let (mut tally, timeline) = counting();
        request(&mut tally, &timeline, &ended(10, 15, Err(key(FailureClass::UnexpectedStatus))));
        request(&mut tally, &timeline, &ended(20, 22, OK));
        request(&mut tally, &timeline, &ended(30, 39, Err(key(FailureClass::Refused))));
        let segment = tally.take_segment(at(50)).unwrap();
        assert_eq!((segment.from, segment.to, segment.cohort), (ORIGIN, at(50), 3));
        assert_eq!((segment.ok.max_ns(), segment.wrong.max_ns()), (2_000_000, 5_000_000));
        assert_eq!((segment.service.len(), segment.lateness.len()), (2, 3));
    }

    #[test]
    fn samples_are_capped_by_class_and_what_is_left_out_is_counted() {
        let (mut tally, timeline) = counting();
        let most = SAMPLES_PER_CLASS as u64;
        (0..most + 4).for_each(|_| request(&mut tally, &timeline, &ended(1, 2, Err(key(FailureClass::Refused)))));
        request(&mut tally, &timeline, &ended(1, 2, Err(key(FailureClass::Tls))));
        let segment = tally.take_segment(at(9)).unwrap();
        assert_eq!((segment.samples.len() as u64, segment.samples_left_out), (most + 1, 4));
        assert_eq!(tally.samples_left_out(), 4);
        request(&mut tally, &timeline, &ended(1, 2, Err(key(FailureClass::Refused))));
        assert_eq!(tally.take_segment(at(10)).unwrap().samples.len(), 1, "a new segment starts anew");
    }

    #[test]
    fn the_longest_time_between_connects_is_within_one_scope() {
        let (mut tally, mut timeline) = counting();
        [0, 10, 35].iter().for_each(|&ms| tally.connect_attempted(&timeline, at(ms)));
        timeline.mark(EventId(0), at(100));
        [120, 124].iter().for_each(|&ms| tally.connect_attempted(&timeline, at(ms)));
        let gaps: Vec<_> = std::iter::from_fn(|| tally.take_segment(at(200)))
            .map(|segment| (segment.scope, segment.connect_gap_ns))
            .collect();
        assert_eq!(gaps, [(Scope::Before, Some(25_000_000)), (Scope::Event(EventId(0)), Some(4_000_000))]);
    }

    #[test]
    fn the_first_ok_of_an_event_was_sent_after_it_began() {
        let (mut tally, mut timeline) = counting();
        timeline.mark(EventId(0), at(100));
        request(&mut tally, &timeline, &ended(90, 110, OK));
        request(&mut tally, &timeline, &ended(101, 130, OK));
        request(&mut tally, &timeline, &ended(105, 120, OK));
        let segment = tally.take_segment(at(200)).unwrap();
        assert_eq!(segment.first_ok, Some(SentOk { sent: at(105), end: at(120) }));
    }

    #[test]
    fn a_gap_open_when_counting_begins_counts_from_there() {
        let mut timeline = Timeline::default();
        let mut tally = Tally::new(0, ORIGIN, Arc::default());
        tally.fell_due(&timeline, at(10));
        timeline.begin_counting(at(50));
        tally.begin_counting(&timeline, at(50));
        tally.finish(&timeline, at(90));
        let gaps: Vec<_> =
            std::iter::from_fn(|| tally.take_segment(at(100))).map(|segment| (segment.scope, segment.gaps)).collect();
        let gap = |from, to| vec![Gap { from: at(from), to: at(to) }];
        assert_eq!(gaps, [(Scope::Warmup, gap(10, 50)), (Scope::Before, gap(50, 90))]);
    }

    /// Per scope: due, ok, failed, latencies, lateness, samples.
    type Sums = BTreeMap<Scope, [u64; 6]>;

    fn add_taken(tally: &mut Tally, sums: &mut Sums, now: MonoTime) {
        while let Some(rows) = tally.take_rows() {
            let sum = sums.entry(rows.scope).or_default();
            for row in rows.rows {
                sum[0] += row.due;
                sum[1] += row.ok;
                sum[2] += row.failures.iter().map(|failure| failure.n).sum::<u64>();
            }
        }
        while let Some(segment) = tally.take_segment(now) {
            let sum = sums.entry(segment.scope).or_default();
            sum[3] += segment.ok.len();
            sum[4] += segment.lateness.len();
            sum[5] += segment.samples.len() as u64;
        }
    }

    proptest! {
        // Each part that is handed over has four large histograms.
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn the_sums_do_not_depend_on_when_they_are_handed_over(
            requests in proptest::collection::vec((0u64..3, 0u64..400, any::<bool>(), proptest::bool::weighted(0.1)), 1..120),
            marks in proptest::collection::btree_set(0u64..300, 0..5),
        ) {
            let (mut often, mut timeline) = counting();
            let (mut once, _) = counting();
            for (event, &ms) in (0..).zip(&marks) {
                timeline.mark(EventId(event), at(ms));
            }
            let (mut by_parts, mut at_once, mut due) = (Sums::new(), Sums::new(), 0);
            for &(step, latency, is_ok, hand_over) in &requests {
                due += step;
                let ended = ended(due, due + latency, if is_ok { OK } else { Err(key(FailureClass::Refused)) });
                request(&mut often, &timeline, &ended);
                request(&mut once, &timeline, &ended);
                if hand_over {
                    add_taken(&mut often, &mut by_parts, at(due));
                }
            }
            add_taken(&mut often, &mut by_parts, at(due));
            add_taken(&mut once, &mut at_once, at(due));
            prop_assert_eq!(&by_parts, &at_once);
            let total: u64 = at_once.values().map(|sum| sum[0]).sum();
            let ended: u64 = at_once.values().map(|sum| sum[1] + sum[2]).sum();
            prop_assert_eq!((total, ended), (requests.len() as u64, requests.len() as u64));
        }
    }
}
