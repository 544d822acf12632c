//! What goes in comes out, whatever the hand-over.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use proptest::prelude::*;

use super::*;
use crate::load::ended::{Accepted, Trace};
use crate::model::{Disposition, EventId};
use crate::record::segment::FailureCount;

const ORIGIN: MonoTime = MonoTime::from_nanos(1_000_000_000);

fn at(ms: u64) -> MonoTime {
    MonoTime::from_nanos(ORIGIN.as_nanos() + ms * 1_000_000)
}

fn key(class: FailureClass) -> FailureKey {
    FailureKey::new(class, Disposition::Unanswered)
}

fn ended(due: u64, end: u64, result: Result<Accepted, FailureKey>) -> Ended {
    let trace = Trace { sent: Some(at(due)), nth: 1, ..Trace::default() };
    Ended { due: at(due), which: 0, end: at(end), result, lateness_ns: Some(7), trace }
}

const OK: Result<Accepted, FailureKey> = Ok(Accepted { status: Some(200), grpc: None, unconfirmed: false });

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
    assert_eq!(row.failures, [FailureCount { key: refused, n: 2, ends: None }]);
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
fn the_first_and_the_last_samples_of_a_class_are_kept_and_what_lies_between_is_counted() {
    let (mut tally, timeline) = counting();
    let (first, last) = (FIRST_SAMPLES as u64, LAST_SAMPLES as u64);
    for number in 0..first + 4 + last {
        request(&mut tally, &timeline, &ended(number, number + 1, Err(key(FailureClass::Refused))));
    }
    request(&mut tally, &timeline, &ended(5, 6, Err(key(FailureClass::Malformed))));
    let segment = tally.take_segment(at(9)).unwrap();
    assert_eq!((segment.samples.len() as u64, segment.samples_left_out), (first + last + 1, 4));
    assert_eq!(tally.samples_left_out(), 4);
    let refused = segment.samples.iter().filter(|sample| sample.key.class == FailureClass::Refused);
    let dues: Vec<_> = refused.map(|sample| sample.due).collect();
    let kept = (0..first).chain(first + 4..first + 4 + last);
    assert_eq!(dues, kept.map(at).collect::<Vec<_>>());
    request(&mut tally, &timeline, &ended(7, 8, Err(key(FailureClass::Refused))));
    assert_eq!(tally.take_segment(at(10)).unwrap().samples.len(), 1, "a new segment starts anew");
}

#[test]
fn the_longest_time_without_a_connect_is_within_one_scope_its_edges_included() {
    let (mut tally, mut timeline) = counting();
    for ms in [0, 10, 35] {
        tally.connect_attempted(&timeline, at(ms));
    }
    tally.end_attempt_gap(&timeline, at(100));
    timeline.mark(EventId(0), at(100));
    for ms in [120, 124] {
        tally.connect_attempted(&timeline, at(ms));
    }
    let gaps: Vec<_> = std::iter::from_fn(|| tally.take_segment(at(200)))
        .map(|segment| (segment.scope, segment.connect_gap_ns))
        .collect();
    assert_eq!(gaps, [(Scope::Before, Some(65_000_000)), (Scope::Event(EventId(0)), Some(20_000_000))]);
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
