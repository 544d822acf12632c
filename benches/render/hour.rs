//! The record of an hour: 1,050 requests/s, a restart every five seconds, some 10,000 failures. Made, not measured.

use std::time::Duration;

use gapless::model::address::Listener;
use gapless::model::{Disposition, Endpoint, EventId, FailureClass, FailureKey, MonoTime, UnitName};
use gapless::record::line::{
    Counters, EndReason, JournalEntry, Line, Phase, PhaseChange, Queue, StepBegin, StepEnd, UnitChange,
};
use gapless::record::segment::{FailureCount, FailureSample, Gap, Row, Rows, Scope, Segment, SentOk, density_bucket};
use gapless::record::{Record, RecordWriter};

/// Seconds of counted load.
const SECONDS: u64 = 3_600;
/// From one event to the next, and from one segment to the next.
const SPACING_S: u64 = 5;
/// Failures of each event, all of the second cohort: 720 events make 10,080.
pub(crate) const FAILURES_PER_EVENT: u64 = 14;
/// Requests in a row of 100 ms, by cohort.
const PER_ROW: [u64; 2] = [100, 5];
const START: MonoTime = MonoTime::from_nanos(1_000_000_000_000);

/// The bytes of the record. Plan and events are those of the fixture `ledger-plain`, over and over.
///
/// # Panics
/// When the fixture is none.
pub(crate) fn record() -> Vec<u8> {
    let fixture = include_bytes!("../../tests/fixtures/ledger-plain.jsonl");
    let fixture = Record::read(fixture.as_slice()).expect("the fixture is a record");
    let begun = fixture.lines.iter().find_map(|line| match line {
        Line::StepBegin(begin) => Some(begin.clone()),
        _ => None,
    });
    let ended = fixture.lines.iter().find_map(|line| match line {
        Line::StepEnd(end) => Some((**end).clone()),
        _ => None,
    });
    let templates = (begun.expect("it has an event"), ended.expect("which is over"));
    let mut begin = fixture.begin.clone();
    "hour".clone_into(&mut begin.plan.name);
    let mut hour = Hour { lines: vec![Line::Begin(Box::new(begin))], dice: 1 };
    hour.lines.push(phase(Phase::Load, START));
    hour.lines.push(phase(Phase::Counting, START));
    for second in (0..SECONDS).step_by(5) {
        hour.event(second / SPACING_S, &templates);
    }
    hour.lines.push(phase(Phase::Stopped, at_ms(SECONDS * 1_000)));
    let mut bytes = Vec::new();
    let mut writer = RecordWriter::new(&mut bytes);
    for line in &hour.lines {
        writer.write(line).expect("memory does not fail");
    }
    writer.finish(EndReason::Completed, at_ms(SECONDS * 1_000)).expect("memory does not fail");
    bytes
}

fn at_ms(ms: u64) -> MonoTime {
    START + Duration::from_millis(ms)
}

fn phase(phase: Phase, at: MonoTime) -> Line {
    Line::Phase(PhaseChange { phase, at })
}

struct Hour {
    lines: Vec<Line>,
    dice: u64,
}

impl Hour {
    /// A latency in microseconds: around 1 ms, one in a hundred up to thirty times that.
    fn latency_us(&mut self) -> u64 {
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let roll = self.dice >> 33;
        let spread = 300 + roll % 700 + (roll >> 10) % 700;
        if roll % 100 == 7 { spread * (2 + roll % 29) } else { spread }
    }

    /// One event, and the five seconds of load after it.
    fn event(&mut self, number: u64, templates: &(StepBegin, StepEnd)) {
        let start_ms = number * SPACING_S * 1_000;
        let at = at_ms(start_ms);
        let event = EventId(u32::try_from(number).unwrap_or(u32::MAX));
        let run = event.0;
        self.lines.push(Line::StepBegin(StepBegin { event, run, at, ..templates.0.clone() }));
        self.surroundings(start_ms, &templates.0.before[0].unit);
        let end = StepEnd {
            event,
            at: at_ms(start_ms + 300),
            done_at: Some(at_ms(start_ms + 40)),
            old_main_gone_at: Some(at_ms(start_ms + 20)),
            ready_at: Some(at_ms(start_ms + 300)),
            ..templates.1.clone()
        };
        self.lines.push(Line::StepEnd(Box::new(end)));
        let scope = Scope::Event(event);
        for (cohort, per_row) in (0_u16..).zip(PER_ROW) {
            let mut segment = Segment::empty(cohort, scope, at);
            segment.to = at_ms(start_ms + SPACING_S * 1_000);
            segment.gaps.push(Gap { from: at, to: at_ms(start_ms + 300) });
            segment.first_ok = Some(SentOk { sent: at_ms(start_ms + 290), end: at_ms(start_ms + 291) });
            segment.connect_gap_ns = Some(20_000_000);
            for second in 0..SPACING_S {
                let first = start_ms / 100 + second * 10;
                let rows = (first..first + 10).map(|index| self.row(index, per_row, &mut segment)).collect();
                self.lines.push(Line::Rows(Rows { cohort, scope, rows }));
            }
            self.lines.push(Line::Segment(Box::new(segment)));
        }
    }

    fn row(&mut self, index: u64, per_row: u64, segment: &mut Segment) -> Row {
        let due = at_ms(index * 100);
        let mut row = Row { index, due: per_row, ..Row::default() };
        // The first rows of an event's second cohort fail.
        let failed_rows = FAILURES_PER_EVENT.div_ceil(per_row);
        let into_event = index % (SPACING_S * 10);
        if segment.cohort == 1 && into_event < failed_rows {
            let n = per_row.min(FAILURES_PER_EVENT - into_event * per_row);
            fail(&mut row, segment, due, n);
        }
        let mut density = std::collections::BTreeMap::<u16, u32>::new();
        row.ok = per_row - row.failures.iter().map(|failure| failure.n).sum::<u64>();
        for _ in 0..row.ok {
            let latency_us = self.latency_us();
            segment.ok.record(latency_us * 1_000);
            segment.service.record(latency_us * 990);
            segment.lateness.record(latency_us * 50);
            *density.entry(density_bucket(latency_us)).or_default() += 1;
            row.sum_us += latency_us;
            row.max_us = row.max_us.max(latency_us);
        }
        row.statuses = if row.ok > 0 { vec![(200, row.ok)] } else { Vec::new() };
        row.density = density.into_iter().collect();
        let end = |ms| due + Duration::from_millis(ms);
        row.ok_ends = (row.ok > 0).then(|| (end(1), end(100)));
        row.lasting_ok = (row.ok > 0).then(|| (end(50), end(51)));
        row
    }

    /// What the units, the kernel and the journal show around an event.
    fn surroundings(&mut self, start_ms: u64, unit: &UnitName) {
        for (ms, active_state, sub_state) in [
            (1, "deactivating", "stop-sigterm"),
            (20, "inactive", "dead"),
            (25, "activating", "start"),
            (40, "active", "running"),
        ] {
            self.lines.push(Line::Unit(UnitChange {
                unit: unit.clone(),
                at: at_ms(start_ms + ms),
                changed_at: Some(at_ms(start_ms + ms)),
                active_state: active_state.into(),
                sub_state: sub_state.to_owned(),
                main_pid: 812,
                result: "success".to_owned(),
                main_exit: None,
            }));
        }
        for step in 0..20 {
            let endpoint = Endpoint::Tcp(([127, 0, 0, 1], 8010).into());
            let queued = if step % 2 == 0 { 12 } else { 0 };
            let listeners = vec![Listener { endpoint, inode: start_ms, queued, backlog: 128, cookie: None }];
            self.lines.push(Line::Queue(Queue { at: at_ms(start_ms + step * 50), listeners }));
        }
        for second in 0..SPACING_S {
            let values = vec![("ListenOverflows".to_owned(), start_ms), ("OutRsts".to_owned(), start_ms + second)];
            self.lines.push(Line::Counters(Counters { at: at_ms(start_ms + second * 1_000), values }));
            let message = "Application startup complete.".to_owned();
            let at = at_ms(start_ms + second);
            self.lines.push(Line::Journal(JournalEntry { at, unit: unit.clone(), priority: 6, message }));
        }
    }
}

fn fail(row: &mut Row, segment: &mut Segment, due: MonoTime, n: u64) {
    let key = FailureKey {
        class: FailureClass::Refused,
        disposition: Disposition::Unsent,
        reused: false,
        status: None,
        errno: Some(111),
        tls: None,
    };
    row.failures.push(FailureCount { key, n });
    row.failed_due = Some((due, due));
    let sample = FailureSample {
        key,
        due,
        sent: None,
        end: due + Duration::from_micros(80),
        local: Some("127.0.0.1:40000".to_owned()),
        connected: None,
        nth: 1,
        bytes_out: 0,
        bytes_in: 0,
    };
    segment.samples.extend((0..n).map(|_| sample.clone()));
}
