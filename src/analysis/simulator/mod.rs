//! A deterministic stand-in for a run: requests and events with known fates become a record, counted the way
//! the load thread counts. What goes in is what analysis must get back.

pub(crate) mod plan;
mod shape;
pub(crate) mod stories;

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use crate::model::{FailureKey, MonoTime};
use crate::record::begin::{Begin, Host, ManagerChoice, ManagerKind, Tool};
use crate::record::line::{EndReason, Line, Looks, Phase, PhaseChange, StepBegin, StepEnd};
use crate::record::segment::{
    FailureCount, FailureSample, Gap, ROW_NS, Row, Rows, Scope, Segment, SentOk, density_bucket,
};
use crate::record::{Record, RecordWriter, SCHEMA};
use crate::scenario::plan::{Connections, Plan};

/// The start of the load.
pub(crate) const START: MonoTime = MonoTime::from_nanos(1_000_000_000_000);

/// That many microseconds after the start of the load.
pub(crate) fn at_us(us: u64) -> MonoTime {
    START + Duration::from_micros(us)
}

/// That many milliseconds after the start of the load.
pub(crate) fn at_ms(ms: u64) -> MonoTime {
    at_us(ms * 1_000)
}

/// One request and its fate; times in microseconds from the start of the load.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    pub(crate) cohort: u16,
    pub(crate) due_us: u64,
    pub(crate) sent_us: Option<u64>,
    /// None if it never ended.
    pub(crate) end_us: Option<u64>,
    /// The status of the expected answer, or what went wrong.
    pub(crate) fate: Result<u16, FailureKey>,
}

/// One event as the harness saw it.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    pub(crate) begin: StepBegin,
    pub(crate) end: Option<StepEnd>,
}

/// A run in the making.
#[derive(Clone, Debug)]
pub(crate) struct Simulation {
    pub(crate) plan: Plan,
    pub(crate) counting_ms: u64,
    pub(crate) stopped_ms: u64,
    pub(crate) requests: Vec<Request>,
    pub(crate) events: Vec<Event>,
    /// Lines that are what they are: unit changes, queues, checks, notes.
    pub(crate) other: Vec<Line>,
    /// None leaves the record incomplete.
    pub(crate) end: Option<EndReason>,
    /// How often rows are flushed, in milliseconds; 0 writes each count in a part of its own.
    pub(crate) flush_ms: u64,
    /// The lateness of every request but those in `hiccup`.
    pub(crate) lateness_us: u64,
    /// When the generator was held up, in milliseconds: what was due then was sent 25 ms late.
    pub(crate) hiccup_ms: Range<u64>,
}

impl Simulation {
    /// The record of this run, as it is read back: one that the harness could not have written is refused.
    pub(crate) fn record(&self) -> Record {
        Record::read(self.bytes().as_slice()).expect("it could be the record of a run")
    }

    /// The same, its lines changed.
    pub(crate) fn record_with(&self, change: impl FnOnce(&mut Vec<Line>)) -> Record {
        let mut lines = self.lines();
        change(&mut lines);
        Record::read(self.written(&lines).as_slice()).expect("it could be the record of a run")
    }

    /// The record of this run, written as the harness writes it.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.written(&self.lines())
    }

    fn written(&self, lines: &[Line]) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut writer = RecordWriter::new(&mut bytes);
        writer.write(&Line::Begin(Box::new(self.begin()))).expect("memory takes all");
        for line in lines {
            writer.write(line).expect("memory takes all");
        }
        if let Some(reason) = &self.end {
            writer.finish(reason.clone(), at_ms(self.stopped_ms)).expect("memory takes all");
        }
        bytes
    }

    fn lines(&self) -> Vec<Line> {
        let mut lines = vec![phase(Phase::Load, 0), phase(Phase::Counting, self.counting_ms)];
        for event in &self.events {
            lines.push(Line::StepBegin(event.begin.clone()));
            lines.extend(event.end.clone().map(|end| Line::StepEnd(Box::new(end))));
        }
        lines.extend(self.other.iter().cloned());
        // The listeners were looked at all the time, unless the run tells it otherwise.
        if self.end.is_some() && !lines.iter().any(|line| matches!(line, Line::Looks(_))) {
            lines.push(looks(0, self.stopped_ms, 25));
        }
        if self.end.is_some() {
            lines.push(phase(Phase::Stopped, self.stopped_ms));
        }
        lines.extend(self.rows().into_iter().map(Line::Rows));
        lines.extend(self.segments().into_iter().map(|segment| Line::Segment(Box::new(segment))));
        lines
    }

    fn begin(&self) -> Begin {
        Begin {
            schema: SCHEMA.to_owned(),
            tool: Tool { name: "gapless".to_owned(), version: "0.1.0".to_owned() },
            host: Host {
                name: "testbed".to_owned(),
                kernel: "6.12.0".to_owned(),
                arch: "x86_64".to_owned(),
                cpus: 2,
                manager_version: Some("systemd 252".to_owned()),
                twin: false,
                units_on: None,
            },
            started_at: "2026-01-02T03:04:05Z".to_owned(),
            anchor: START,
            manager: Some(ManagerChoice {
                kind: ManagerKind::System,
                reason: "root on a machine booted with systemd".to_owned(),
            }),
            plan: self.plan.clone(),
            scenario_text: String::new(),
            shard: None,
            merged: None,
        }
    }

    /// What a request is counted under when it ends.
    pub(crate) fn scope(&self, due: MonoTime, end: MonoTime) -> Scope {
        if due < at_ms(self.counting_ms) {
            return Scope::Warmup;
        }
        let mut begun = self.events.iter().map(|event| (event.begin.at, event.begin.event));
        let during = begun.clone().find(|&(at, _)| due < at && at <= end);
        let before = || begun.rfind(|&(at, _)| at <= due);
        during.or_else(before).map_or(Scope::Before, |(_, event)| Scope::Event(event))
    }

    fn rows(&self) -> Vec<Rows> {
        // What was counted by (flush, cohort, scope) and row: a flush hands over what came since the last one.
        let mut parts = BTreeMap::<(u64, u16, Scope), BTreeMap<u64, Part<'_>>>::new();
        for (place, request) in self.requests.iter().enumerate() {
            let flush = |us: u64| (us / 1_000).checked_div(self.flush_ms).unwrap_or(place as u64);
            let due = at_us(request.due_us);
            let index = due.nanos_since(START) / ROW_NS;
            let at_due = (flush(request.due_us), request.cohort, self.scope(due, due));
            parts.entry(at_due).or_default().entry(index).or_default().due += 1;
            if let Some(end_us) = request.end_us {
                let at_end = (flush(end_us), request.cohort, self.scope(due, at_us(end_us)));
                parts.entry(at_end).or_default().entry(index).or_default().ended.push(request);
            }
        }
        let rows_of = |part: BTreeMap<u64, Part<'_>>| part.iter().map(|(&index, part)| part.row(index)).collect();
        parts.into_iter().map(|((_, cohort, scope), part)| Rows { cohort, scope, rows: rows_of(part) }).collect()
    }

    fn segments(&self) -> Vec<Segment> {
        let mut segments = BTreeMap::<(u64, u16, Scope), Segment>::new();
        let mut ended: Vec<&Request> = self.requests.iter().filter(|request| request.end_us.is_some()).collect();
        ended.sort_by_key(|request| request.end_us);
        let mut last_ok = BTreeMap::<u16, MonoTime>::new();
        let attempt_gaps = self.attempt_gaps();
        for request in ended {
            let end_us = request.end_us.unwrap_or_default();
            let (due, end) = (at_us(request.due_us), at_us(end_us));
            let scope = self.scope(due, end);
            let key = (end_us / 10_000_000, request.cohort, scope);
            let segment = segments.entry(key).or_insert_with(|| Segment::empty(request.cohort, scope, end));
            segment.to = end;
            let is_held_up = self.hiccup_ms.contains(&(request.due_us / 1_000));
            segment.lateness.record(if is_held_up { 25_000_000 } else { self.lateness_us * 1_000 });
            count_in_segment(segment, request, self.begin_of(scope));
            if request.fate.is_ok() && scope != Scope::Warmup {
                let from = last_ok.insert(request.cohort, end).unwrap_or(at_ms(self.counting_ms));
                segment.gaps.push(Gap { from, to: end });
            }
            let connections = self.plan.cohorts[usize::from(request.cohort)].connections;
            if connections == Connections::New {
                segment.connections.opened += 1;
                let gap = attempt_gaps.get(&(request.cohort, scope, request.due_us)).copied();
                segment.connect_gap_ns = segment.connect_gap_ns.max(gap);
            } else {
                segment.connections.reused_requests += 1;
            }
        }
        let mut segments: Vec<Segment> = segments.into_values().collect();
        for segment in &mut segments {
            segment.gaps.sort_by_key(|gap| std::cmp::Reverse(gap.to.nanos_since(gap.from)));
            segment.gaps.truncate(8);
        }
        segments
    }

    /// The time since the last connection attempt of the same window, in nanoseconds, by due time.
    fn attempt_gaps(&self) -> BTreeMap<(u16, Scope, u64), u64> {
        let mut last = BTreeMap::<(u16, Scope), u64>::new();
        let mut gaps = BTreeMap::new();
        for request in &self.requests {
            let Some(end_us) = request.end_us else { continue };
            let scope = self.scope(at_us(request.due_us), at_us(end_us));
            if let Some(before) = last.insert((request.cohort, scope), request.due_us) {
                gaps.insert((request.cohort, scope, request.due_us), request.due_us.abs_diff(before) * 1_000);
            }
        }
        gaps
    }

    fn begin_of(&self, scope: Scope) -> Option<MonoTime> {
        let Scope::Event(wanted) = scope else { return None };
        self.events.iter().find(|event| event.begin.event == wanted).map(|event| event.begin.at)
    }
}

/// Looks at the listeners between two times in milliseconds, at most `longest_ms` apart.
pub(crate) fn looks(from_ms: u64, to_ms: u64, longest_ms: u64) -> Line {
    Line::Looks(Looks { from: at_ms(from_ms), to: at_ms(to_ms), longest_ns: longest_ms * 1_000_000 })
}

fn phase(phase: Phase, ms: u64) -> Line {
    Line::Phase(PhaseChange { phase, at: at_ms(ms) })
}

/// What one flush has of one row.
#[derive(Default)]
struct Part<'a> {
    due: u64,
    ended: Vec<&'a Request>,
}

impl Part<'_> {
    fn row(&self, index: u64) -> Row {
        let mut row = Row { index, due: self.due, ..Row::default() };
        let (mut statuses, mut density, mut failures) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let mut oks = Vec::new();
        for request in &self.ended {
            let end_us = request.end_us.unwrap_or_default();
            let latency_us = end_us - request.due_us;
            match request.fate {
                Ok(status) => {
                    row.ok += 1;
                    row.sum_us += latency_us;
                    if row.slowest.is_none() || latency_us > row.max_us {
                        row.slowest = Some((at_us(request.due_us), at_us(end_us)));
                    }
                    row.max_us = row.max_us.max(latency_us);
                    *statuses.entry(status).or_default() += 1;
                    *density.entry(density_bucket(latency_us)).or_default() += 1;
                    oks.push((at_us(request.due_us), at_us(end_us)));
                }
                Err(key) => {
                    *failures.entry(key).or_default() += 1;
                    if !key.class.is_unsent() {
                        let due = at_us(request.due_us);
                        let (first, last) = row.failed_due.unwrap_or((due, due));
                        row.failed_due = Some((first.min(due), last.max(due)));
                    }
                }
            }
        }
        row.statuses = statuses.into_iter().collect();
        row.density = density.into_iter().collect();
        row.failures = failures.into_iter().map(|(key, n)| FailureCount { key, n, ends: None }).collect();
        row.ok_ends = oks.iter().map(|ok| ok.1).min().zip(oks.iter().map(|ok| ok.1).max());
        let last_failed = row.failed_due.map(|(_, last)| last);
        row.lasting_ok = oks.into_iter().filter(|&(due, _)| Some(due) > last_failed).min();
        row
    }
}

fn count_in_segment(segment: &mut Segment, request: &Request, begin: Option<MonoTime>) {
    let end_us = request.end_us.unwrap_or_default();
    let latency_ns = (end_us - request.due_us) * 1_000;
    let sent = request.sent_us.map(at_us);
    match request.fate {
        Ok(_) => {
            segment.ok.record(latency_ns);
            segment.service.record(at_us(end_us).nanos_since(sent.unwrap_or(START)));
            let first = sent.filter(|sent| begin.is_some_and(|begin| *sent >= begin));
            if let Some(sent) = first.filter(|&sent| segment.first_ok.is_none_or(|known| sent < known.sent)) {
                segment.first_ok = Some(SentOk { sent, end: at_us(end_us) });
            }
        }
        Err(key) if key.class.is_unsent() => {}
        Err(key) => {
            if key.class.is_wrong() {
                segment.wrong.record(latency_ns);
                segment.service.record(latency_ns);
            }
            segment.samples.push(FailureSample {
                off_ns: 0,
                instead: None,
                key,
                due: at_us(request.due_us),
                sent,
                end: at_us(end_us),
                local: None,
                connected: None,
                nth: if key.reused { 2 } else { 1 },
                bytes_out: 0,
                bytes_in: 0,
            });
        }
    }
}
