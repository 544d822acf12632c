//! Long records, made, not measured: that of an hour with 1,050 requests/s, a restart every five seconds and some 10,000
//! failures, and others.

use std::io::Write;
use std::time::Duration;

use gapless::model::address::Listener;
use gapless::model::{Disposition, Endpoint, EventId, FailureClass, FailureKey, MonoTime, UnitName};
use gapless::record::generator::{GeneratorUse, Taken};
use gapless::record::line::{
    Counters, EndReason, JournalEntry, Line, Looks, Phase, PhaseChange, Queue, StepBegin, StepEnd, UnitChange,
};
use gapless::record::segment::{FailureCount, FailureSample, Gap, Row, Rows, Scope, Segment, SentOk, density_bucket};
use gapless::record::{Record, RecordWriter};

/// What a record is to be like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Seconds of counted load.
    pub(crate) seconds: u64,
    /// From one event to the next: whole segments.
    pub(crate) spacing_s: u64,
    /// Requests in a row of 100 ms, by cohort.
    pub(crate) per_row: [u64; 2],
}

/// From one segment to the next.
const SEGMENT_S: u64 = 5;
/// Failures of each event, all of the second cohort: 720 events make 10,080.
pub(crate) const FAILURES_PER_EVENT: u64 = 14;
const START: MonoTime = MonoTime::from_nanos(1_000_000_000_000);

/// Writes the record. Plan and events are those of the fixture `ledger-plain`, over and over.
///
/// # Panics
/// When the fixture is none.
pub(crate) fn write(shape: Shape, out: impl Write) {
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
    let mut hour = Hour { shape, writer: RecordWriter::new(out), dice: 1 };
    hour.write(&Line::Begin(Box::new(begin)));
    hour.write(&phase(Phase::Load, START));
    hour.write(&phase(Phase::Counting, START));
    for second in (0..shape.seconds).step_by(5) {
        if second % shape.spacing_s == 0 {
            hour.event(second / shape.spacing_s, &templates);
        }
        hour.segments(second);
    }
    let end = at_ms(shape.seconds * 1_000);
    hour.write(&phase(Phase::Stopped, end));
    hour.writer.finish(EndReason::Completed, end).expect("there is room");
}

fn at_ms(ms: u64) -> MonoTime {
    START + Duration::from_millis(ms)
}

fn phase(phase: Phase, at: MonoTime) -> Line {
    Line::Phase(PhaseChange { phase, at })
}

struct Hour<W: Write> {
    shape: Shape,
    writer: RecordWriter<W>,
    dice: u64,
}

impl<W: Write> Hour<W> {
    fn write(&mut self, line: &Line) {
        self.writer.write(line).expect("there is room");
    }

    /// A latency in microseconds: around 1 ms, one in a hundred up to thirty times that.
    fn latency_us(&mut self) -> u64 {
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let roll = self.dice >> 33;
        let spread = 300 + roll % 700 + (roll >> 10) % 700;
        if roll % 100 == 7 { spread * (2 + roll % 29) } else { spread }
    }

    /// One event.
    fn event(&mut self, number: u64, templates: &(StepBegin, StepEnd)) {
        let start_ms = number * self.shape.spacing_s * 1_000;
        let at = at_ms(start_ms);
        let event = EventId(u32::try_from(number).unwrap_or(u32::MAX));
        let run = event.0;
        self.write(&Line::StepBegin(StepBegin { event, run, at, ..templates.0.clone() }));
        self.surroundings(start_ms, &templates.0.before[0].unit);
        let end = StepEnd {
            event,
            at: at_ms(start_ms + 300),
            done_at: Some(at_ms(start_ms + 40)),
            old_main_gone_at: Some(at_ms(start_ms + 20)),
            ready_at: Some(at_ms(start_ms + 300)),
            ..templates.1.clone()
        };
        self.write(&Line::StepEnd(Box::new(end)));
    }

    /// Five seconds of load.
    fn segments(&mut self, second: u64) {
        let (start_ms, at) = (second * 1_000, at_ms(second * 1_000));
        let scope = Scope::Event(EventId(u32::try_from(second / self.shape.spacing_s).unwrap_or(u32::MAX)));
        for (cohort, per_row) in (0_u16..).zip(self.shape.per_row) {
            let mut segment = Segment::empty(cohort, scope, at);
            segment.to = at_ms(start_ms + SEGMENT_S * 1_000);
            segment.gaps.push(Gap { from: at, to: at_ms(start_ms + 300) });
            segment.first_ok = Some(SentOk { sent: at_ms(start_ms + 290), end: at_ms(start_ms + 291) });
            segment.connect_gap_ns = Some(20_000_000);
            for second in 0..SEGMENT_S {
                let first = start_ms / 100 + second * 10;
                let rows = (first..first + 10).map(|index| self.row(index, per_row, &mut segment)).collect();
                self.write(&Line::Rows(Rows { cohort, scope, rows }));
            }
            self.write(&Line::Segment(Box::new(segment)));
        }
        self.looks(second);
    }

    /// What was seen of the machine meanwhile: a queue that is hardly ever empty, and a load thread that lacks nothing.
    fn looks(&mut self, first: u64) {
        let (from, to) = (at_ms(first * 1_000), at_ms((first + SEGMENT_S) * 1_000));
        self.write(&Line::Looks(Looks { from, to, longest_ns: 26_000_000 }));
        for second in first..first + SEGMENT_S {
            self.write(&Line::Generator(GeneratorUse {
                shard: 0,
                from: at_ms(second * 1_000),
                to: at_ms(second * 1_000 + 1_000),
                cpu_ns: 50_000_000,
                run_delay_ns: Some(1_000_000),
                parked_ns: 900_000_000,
                due: 0,
                begun: 0,
                waiting: 0,
                pauses: Vec::new(),
                pauses_left_out: 0,
                taken: Taken::default(),
            }));
            for part in 1..5 {
                let endpoint = Endpoint::Tcp(([127, 0, 0, 1], 8010).into());
                let inode = first / self.shape.spacing_s * self.shape.spacing_s * 1_000;
                let listeners =
                    vec![Listener { endpoint, inode, queued: part % 3, backlog: 128, cookie: None, drops: None }];
                self.write(&Line::Queue(Queue { at: at_ms(second * 1_000 + u64::from(part) * 200), listeners }));
            }
        }
    }

    fn row(&mut self, index: u64, per_row: u64, segment: &mut Segment) -> Row {
        let due = at_ms(index * 100);
        let mut row = Row { index, due: per_row, ..Row::default() };
        // The first rows of an event's second cohort fail.
        let failed_rows = FAILURES_PER_EVENT.div_ceil(per_row);
        let into_event = index % (self.shape.spacing_s * 10);
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
            self.write(&Line::Unit(UnitChange {
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
            let listeners =
                vec![Listener { endpoint, inode: start_ms, queued, backlog: 128, cookie: None, drops: None }];
            self.write(&Line::Queue(Queue { at: at_ms(start_ms + step * 50), listeners }));
        }
        for second in 0..SEGMENT_S {
            let values = vec![("ListenOverflows".to_owned(), start_ms), ("OutRsts".to_owned(), start_ms + second)];
            self.write(&Line::Counters(Counters { at: at_ms(start_ms + second * 1_000), values }));
            let message = "Application startup complete.".to_owned();
            let at = at_ms(start_ms + second);
            self.write(&Line::Journal(JournalEntry { at, unit: unit.clone(), priority: 6, message }));
        }
    }
}

fn fail(row: &mut Row, segment: &mut Segment, due: MonoTime, n: u64) {
    let key = FailureKey { errno: Some(111), ..FailureKey::new(FailureClass::Refused, Disposition::Unsent) };
    row.failures.push(FailureCount { key, n, ends: None });
    row.failed_due = Some((due, due));
    let sample = FailureSample {
        off_ns: 0,
        key,
        due,
        sent: None,
        end: due + Duration::from_micros(80),
        local: Some("127.0.0.1:40000".to_owned()),
        connected: None,
        nth: 1,
        bytes_out: 0,
        bytes_in: 0,
        instead: None,
    };
    segment.samples.extend((0..n).map(|_| sample.clone()));
}
