//! What a record may say at most. It is read from a file that anybody may have edited, and analysis goes over its time
//! second by second, and adds its counts up: beyond these limits that would take for ever, or overflow.

use std::ops::RangeInclusive;
use std::time::Duration;

use super::begin::Begin;
use super::generator::GeneratorUse;
use super::line::{EndReason, Line};
use super::segment::{ROW_NS, Row, Rows, Segment};
use crate::model::MonoTime;
use crate::scenario::plan::{MOST_COHORTS, MOST_STEPS};

/// No run takes longer.
const RUN_MAX: Duration = Duration::from_secs(31 * 24 * 3600);

/// How long before the beginning of the record an event that it tells of may have happened.
const BEFORE_MAX: Duration = Duration::from_secs(3600);

/// The most that is counted in one place, be it requests, bytes or microseconds,
const COUNT_MAX: u64 = 1 << 43;

/// and in all of them together: whatever figures are made of them, each adds up none of them more than twice.
const TOTAL_MAX: u64 = 1 << 62;

/// The last density bucket: see [`super::segment::density_bucket`].
const BUCKET_MAX: u16 = 63 * 8 + 7;

/// No text that somebody else wrote is longer: of what a command prints, 64 KiB are kept.
const TEXT_MAX_BYTES: usize = 256 << 10;

/// The maximum number of notes, checks and caps that are shown.
const REMARKS_MAX: u32 = 10_000;

/// What the lines of one record may say.
#[derive(Debug)]
pub(super) struct Limits {
    times: RangeInclusive<u64>,
    /// What may still be counted.
    left: u64,
    /// What may still be remarked.
    remarks_left: u32,
}

impl Limits {
    /// Those behind that first line.
    ///
    /// # Errors
    /// Why that line cannot be true.
    pub(super) fn of(begin: &Begin) -> Result<Self, &'static str> {
        if begin.plan.cohorts.len() > MOST_COHORTS || begin.plan.steps.len() > MOST_STEPS {
            return Err("its plan has more cohorts or steps than a scenario may have");
        }
        let earliest = begin.anchor.as_nanos().saturating_sub(nanos(BEFORE_MAX));
        let latest = begin.anchor.as_nanos().saturating_add(nanos(RUN_MAX));
        Ok(Self { times: earliest..=latest, left: TOTAL_MAX, remarks_left: REMARKS_MAX })
    }

    /// Why a line cannot be true; none if it can.
    pub(super) fn doubt(&mut self, line: &Line) -> Option<&'static str> {
        let (times, counts) = match line {
            Line::Looks(looks) => (vec![looks.from, looks.to], Vec::new()),
            Line::Pause(pause) => (vec![pause.from, pause.to], Vec::new()),
            Line::Rows(rows) => (times_of_rows(rows), rows.rows.iter().flat_map(counts_of_row).collect()),
            Line::Segment(segment) => (times_of_segment(segment), counts_of_segment(segment)),
            Line::Generator(generator) => (times_of_generator(generator), counts_of_generator(generator)),
            Line::Shard(shard) => (Vec::new(), vec![shard.due, shard.ok, shard.failed, shard.unsent, shard.warmup]),
            other => (time_of(other).into_iter().collect(), Vec::new()),
        };
        if texts_of(line).into_iter().any(|text| text.len() > TEXT_MAX_BYTES) {
            return Some("it holds a longer text than is ever kept");
        }
        if matches!(line, Line::Note(_) | Line::Check(_) | Line::Cap(_) | Line::Shard(_)) {
            match self.remarks_left.checked_sub(1) {
                Some(left) => self.remarks_left = left,
                None => return Some("the record has more remarks than a run makes"),
            }
        }
        let rows = match line {
            Line::Rows(rows) => rows.rows.as_slice(),
            _ => &[],
        };
        if rows.iter().any(|row| row.density.iter().any(|&(bucket, _)| bucket > BUCKET_MAX)) {
            return Some("it has a density bucket that there is not");
        }
        if rows.iter().any(|row| row.index > nanos(RUN_MAX) / ROW_NS)
            || times.iter().any(|time| !self.times.contains(&time.as_nanos()))
        {
            return Some("its time is out of all proportion to the beginning of the record");
        }
        counts.iter().any(|&count| !self.can_be(count)).then_some("it counts more than there can be")
    }

    fn can_be(&mut self, count: u64) -> bool {
        let left = self.left.checked_sub(count).filter(|_| count <= COUNT_MAX);
        self.left = left.unwrap_or_default();
        left.is_some()
    }
}

fn nanos(span: Duration) -> u64 {
    crate::model::time::nanos(span)
}

fn time_of(line: &Line) -> Option<MonoTime> {
    match line {
        Line::Phase(change) => Some(change.at),
        Line::StepBegin(begin) => Some(begin.at),
        Line::StepEnd(end) => Some(end.at),
        Line::Unit(change) => Some(change.at),
        Line::Queue(queue) => Some(queue.at),
        Line::Counters(counters) => Some(counters.at),
        Line::Clock(clock) => Some(clock.at),
        Line::Trace(event) => Some(event.at),
        Line::Process(change) => Some(change.at),
        Line::Holders(holders) => Some(holders.at),
        Line::Exec(outcome) => Some(outcome.at),
        Line::Request(request) => Some(request.end),
        Line::Gate(outcome) => Some(outcome.at),
        Line::WallClock(clocks) => Some(clocks.at),
        Line::End(end) => Some(end.at),
        // The first five have several. Those of the others are shown, and nothing is derived from them.
        Line::Rows(_)
        | Line::Segment(_)
        | Line::Generator(_)
        | Line::Looks(_)
        | Line::Pause(_)
        | Line::Begin(_)
        | Line::Journal(_)
        | Line::Check(_)
        | Line::Cap(_)
        | Line::Shard(_)
        | Line::Note(_) => None,
    }
}

/// What is shown as it stands.
fn texts_of(line: &Line) -> Vec<&str> {
    match line {
        Line::Note(note) => vec![&note.message],
        Line::Check(check) => vec![&check.name, &check.expected, &check.actual],
        Line::Cap(cap) => vec![&cap.what],
        Line::Shard(shard) => vec![&shard.host],
        Line::Segment(segment) => {
            let named = segment.instances.iter().flat_map(|instances| &instances.named);
            named.map(|instance| instance.name.as_str()).collect()
        }
        Line::Clock(clock) => vec![&clock.host],
        Line::Journal(entry) => vec![&entry.message],
        Line::Exec(outcome) => vec![&outcome.output],
        Line::StepEnd(end) => {
            let claims = end.proof.iter().flat_map(|claim| [&claim.claim, &claim.seen]);
            claims.chain(&end.error).map(String::as_str).collect()
        }
        Line::End(end) => match &end.reason {
            EndReason::Stopped(text)
            | EndReason::NotReady(text)
            | EndReason::Error(text)
            | EndReason::Lost(text)
            | EndReason::Full(text) => vec![text],
            EndReason::Completed | EndReason::StepFailed | EndReason::Interrupted => Vec::new(),
        },
        _ => Vec::new(),
    }
}

fn times_of_rows(rows: &Rows) -> Vec<MonoTime> {
    let pairs = rows
        .rows
        .iter()
        .flat_map(|row| [row.ok_ends, row.failed_due, row.lasting_ok, row.slowest, row.unframed_ends, row.attempts]);
    let ends = rows.rows.iter().flat_map(|row| row.failures.iter().map(|failure| failure.ends));
    pairs.chain(ends).flatten().flat_map(|(first, last)| [first, last]).collect()
}

fn times_of_segment(segment: &Segment) -> Vec<MonoTime> {
    let gaps = segment.gaps.iter().flat_map(|gap| [gap.from, gap.to]);
    let first_ok = segment.first_ok.iter().flat_map(|ok| [ok.sent, ok.end]);
    let samples = segment.samples.iter().flat_map(|sample| [sample.due, sample.end]);
    let unframed = segment.unframed.iter().flat_map(|sample| [sample.due, sample.end]);
    let goaways = segment.goaways.iter().flat_map(|goaways| [goaways.first, goaways.last]);
    let named = segment.instances.iter().flat_map(|instances| &instances.named);
    let answers = named.flat_map(|instance| {
        let sent = instance.sent.into_iter().flat_map(|(first, last)| [first, last]);
        [instance.first, instance.last].into_iter().chain(sent)
    });
    let ends = [segment.from, segment.to].into_iter();
    ends.chain(gaps).chain(first_ok).chain(samples).chain(unframed).chain(goaways).chain(answers).collect()
}

fn times_of_generator(generator: &GeneratorUse) -> Vec<MonoTime> {
    let pauses = generator.pauses.iter().flat_map(|pause| [pause.from, pause.to]);
    [generator.from, generator.to].into_iter().chain(pauses).collect()
}

fn counts_of_generator(generator: &GeneratorUse) -> Vec<u64> {
    let GeneratorUse { cpu_ns, run_delay_ns, parked_ns, due, begun, waiting, pauses_left_out, taken, .. } = generator;
    // Nanoseconds are more than there can be of anything that is counted.
    let times =
        [Some(*cpu_ns), *run_delay_ns, Some(*parked_ns), taken.throttled_ns, taken.steal_ns, taken.memory_wait_ns];
    let denied = taken.socket_memory_denied.unwrap_or_default();
    times.into_iter().flatten().map(|ns| ns / 1_000).chain([*due, *begun, *waiting, *pauses_left_out, denied]).collect()
}

fn counts_of_row(row: &Row) -> Vec<u64> {
    let statuses = row.statuses.iter().map(|&(_, n)| n);
    let grpc = row.grpc_statuses.iter().map(|&(_, n)| n);
    let failures = row.failures.iter().map(|failure| failure.n);
    // No latency is longer than the run, and none of the sum's parts.
    [row.due, row.ok, row.sum_us, row.max_us, row.unframed]
        .into_iter()
        .chain(statuses)
        .chain(grpc)
        .chain(failures)
        .collect()
}

fn counts_of_segment(segment: &Segment) -> Vec<u64> {
    let connections = segment.connections;
    let goaways = segment.goaways.map_or([0; 4], |goaways| {
        [goaways.connections, goaways.two_phase, goaways.streams_open, goaways.answered_after]
    });
    let counts = [
        connections.opened,
        connections.reused_requests,
        connections.closed_idle,
        connections.unframed,
        connections.unasked,
        segment.samples_left_out,
        segment.unframed_left_out,
        segment.flaps,
    ];
    let instances = segment.instances.iter().flat_map(|instances| {
        let named = instances
            .named
            .iter()
            .flat_map(|instance| instance.stale.iter().map(|stale| stale.n).chain([instance.answers]));
        named.chain([instances.unnamed, instances.unnamed_ok, instances.left_out])
    });
    let requests = segment.requests.iter().flat_map(|count| [count.ok, count.dropped, count.wrong, count.unsent]);
    counts.into_iter().chain(goaways).chain(instances).chain(requests).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Record;
    use crate::record::reader::RecordError;
    use crate::record::segment::Scope;

    const RECORD: &str = include_str!("../../tests/fixtures/ledger-socket.jsonl");

    fn json(line: &Line) -> String {
        serde_json::to_string(line).expect("it serialises")
    }

    /// The number of the line that is wrong in a record of these lines, and what is wrong with it.
    fn refusal<'a>(lines: impl IntoIterator<Item = &'a str>) -> Option<(u64, &'static str)> {
        let text: String = lines.into_iter().flat_map(|line| [line, "\n"]).collect();
        match Record::read(text.as_bytes()) {
            Ok(_) => None,
            Err(RecordError::Implausible { number, doubt }) => Some((number, doubt)),
            Err(error) => panic!("{error}"),
        }
    }

    fn first_line() -> &'static str {
        RECORD.lines().next().expect("it has one")
    }

    /// What is wrong with a record that goes on like this behind its first line.
    fn doubt(line: &Line) -> Option<&'static str> {
        let refusal = refusal([first_line(), &json(line)]);
        assert!(refusal.is_none_or(|(number, _)| number == 2), "{refusal:?}");
        refusal.map(|(_, doubt)| doubt)
    }

    fn rows(row: Row) -> Line {
        Line::Rows(Rows { cohort: 0, scope: Scope::Before, rows: vec![row] })
    }

    #[test]
    fn what_would_take_for_ever_or_overflow_is_refused_with_its_line() {
        assert_eq!(doubt(&rows(Row { index: 10, due: 1_000, density: vec![(511, 7)], ..Row::default() })), None);
        let time = Some("its time is out of all proportion to the beginning of the record");
        assert_eq!(doubt(&rows(Row { index: u64::MAX, ..Row::default() })), time);
        let never = MonoTime::from_nanos(u64::MAX);
        assert_eq!(doubt(&rows(Row { ok_ends: Some((never, never)), ..Row::default() })), time);
        let gone = Segment::empty(0, Scope::Before, never);
        assert_eq!(doubt(&Line::Segment(Box::new(gone))), time);
        let count = Some("it counts more than there can be");
        assert_eq!(doubt(&rows(Row { due: u64::MAX, ..Row::default() })), count);
        assert_eq!(doubt(&rows(Row { statuses: vec![(200, u64::MAX)], ..Row::default() })), count);
        let flaps =
            Segment { flaps: u64::MAX, ..Segment::empty(0, Scope::Before, MonoTime::from_nanos(1_000_000_000_000)) };
        assert_eq!(doubt(&Line::Segment(Box::new(flaps))), count);
        let bucket = Some("it has a density bucket that there is not");
        assert_eq!(doubt(&rows(Row { density: vec![(512, 1)], ..Row::default() })), bucket);
    }

    fn begin() -> Begin {
        serde_json::from_str(first_line()).expect("it is one")
    }

    #[test]
    fn counts_that_would_overflow_together_are_refused_where_they_do() {
        let most = rows(Row { due: COUNT_MAX, ..Row::default() });
        let mut limits = Limits { left: 2 * COUNT_MAX, ..Limits::of(&begin()).expect("it can be") };
        let doubts = [(); 3].map(|()| limits.doubt(&most));
        assert_eq!(doubts, [None, None, Some("it counts more than there can be")]);
    }

    #[test]
    fn a_plan_that_no_scenario_makes_is_refused() {
        let mut begin = begin();
        begin.plan.cohorts = vec![begin.plan.cohorts[0].clone(); MOST_COHORTS + 1];
        let line = json(&Line::Begin(Box::new(begin)));
        assert_eq!(refusal([line.as_str()]), Some((1, "its plan has more cohorts or steps than a scenario may have")));
    }
}
