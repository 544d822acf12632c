//! Goes through all records at once, and writes one.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use super::MergeError;
use super::agree::Agreed;
use super::attempts::Attempts;
use super::marks::Marks;
use super::notes::Notes;
use super::rows::RowSums;
use super::segments::{SegmentSums, add_counts, add_gap, add_goaways, add_instance, add_times, add_unknown};
use super::source::Source;
use super::stale::{Stale, Waiting};
use super::stalls::Stalls;
use crate::model::time::nanos;
use crate::model::{EventId, MonoTime};
use crate::record::begin::Begin;
use crate::record::fold::join_uses;
use crate::record::generator::GeneratorUse;
use crate::record::line::{Cap, End, Line};
use crate::record::reader::RecordError;
use crate::record::segment::{FailureSample, ROW_NS, Row, Rows, Scope, Segment, SentOk};
use crate::record::shard::{Merged, ShardUse};
use crate::record::{Fold, LatencyHistogram, Record, RecordWriter};
use crate::scenario::plan::{Pace, Plan};

/// Rows are written once every shard is this number of rows past them.
const LAG_ROWS: u64 = 20;

/// Distributions are written every so many rows.
const SEGMENT_ROWS: u64 = 100;

/// What is made of the records.
pub(super) struct Merger<W: Write> {
    writer: RecordWriter<W>,
    fold: Fold,
    agreed: Agreed,
    marks: Marks,
    /// What the clocks of two machines may differ by.
    clock_error: Duration,
    rows: RowSums,
    segments: SegmentSums,
    attempts: BTreeMap<u16, Attempts>,
    stalls: BTreeMap<u16, Stalls>,
    stale: Stale,
    /// The first answers after an event that other shards than the first had, by cohort.
    first_oks: BTreeMap<(u16, EventId), SentOk>,
    uses: BTreeMap<u32, ShardUse>,
    /// What is left out of the records, by what it is.
    caps: BTreeMap<String, u64>,
    notes: Notes,
    segments_written: u64,
    end: Option<End>,
}

impl<W: Write> Merger<W> {
    pub(super) fn new(agreed: Agreed, marks: Marks, clock_error: Duration, writer: RecordWriter<W>) -> Self {
        Self {
            writer,
            fold: Fold::default(),
            agreed,
            marks,
            clock_error,
            rows: RowSums::default(),
            segments: SegmentSums::default(),
            attempts: BTreeMap::new(),
            stalls: BTreeMap::new(),
            stale: Stale::default(),
            first_oks: BTreeMap::new(),
            uses: BTreeMap::new(),
            caps: BTreeMap::new(),
            notes: Notes::default(),
            segments_written: 0,
            end: None,
        }
    }

    /// Merges the records; the first is the one whose lines stand as they are.
    pub(super) fn run(mut self, mut sources: Vec<Source>) -> Result<Record, MergeError> {
        let mut open: Vec<usize> = (0..sources.len()).collect();
        while let Some(&next) = open.iter().min_by_key(|&&place| (sources[place].position, place)) {
            let source = &mut sources[next];
            match source.next(&self.marks) {
                Ok(Some(line)) => self.take(line, source, next == 0)?,
                Ok(None) => open.retain(|&place| place != next),
                Err(error) => return Err(MergeError::Record { name: source.name.clone(), error }),
            }
            if let Some(position) = open.iter().map(|&place| sources[place].position).min() {
                self.settle(position.saturating_sub(LAG_ROWS))?;
            }
        }
        self.finish(&sources)
    }

    fn is_shared(&self) -> bool {
        self.agreed.of > 1
    }

    fn write(&mut self, line: &Line) -> Result<(), MergeError> {
        let bytes = self.writer.write(line).map_err(|error| MergeError::Write(error.into()))?;
        self.fold.add(bytes).map_err(MergeError::Write)
    }

    fn take(&mut self, line: Line, source: &mut Source, is_base: bool) -> Result<(), MergeError> {
        match line {
            Line::Begin(begin) => self.begin(*begin, source, is_base),
            Line::Rows(rows) => {
                self.take_rows(rows, source, is_base);
                Ok(())
            }
            Line::Segment(segment) => {
                self.take_segment(&segment, source, is_base);
                Ok(())
            }
            Line::Cap(cap) => {
                let sum = self.caps.entry(cap.what).or_default();
                *sum = sum.saturating_add(cap.left_out);
                Ok(())
            }
            Line::End(end) => {
                if is_base {
                    self.end = Some(end);
                }
                Ok(())
            }
            Line::WallClock(_) => Ok(()),
            Line::Note(note) if is_base => {
                self.notes.add_own(note.clone());
                self.write(&Line::Note(note))
            }
            Line::Note(note) => {
                self.notes.add_of(source.index(), note);
                Ok(())
            }
            line if is_base => self.write(&line),
            Line::Generator(generator) => self.take_use(generator, source),
            // That a thread of ours did not run is of account wherever it was.
            Line::Pause(_) => self.write(&line),
            // What was done, and what was seen of the machine, is told by the first shard.
            _ => Ok(()),
        }
    }

    fn begin(&mut self, begin: Begin, source: &Source, is_base: bool) -> Result<(), MergeError> {
        let shard = ShardUse {
            index: source.index(),
            host: begin.host.name.clone(),
            due: 0,
            ok: 0,
            failed: 0,
            unsent: 0,
            warmup: 0,
            lateness: LatencyHistogram::default(),
            is_on_clock: true,
            is_whole: true,
        };
        self.uses.insert(source.index(), shard);
        if !is_base {
            return Ok(());
        }
        for cohort in self.loading(&begin.plan) {
            let attempts = Attempts::new(self.marks.load_start, self.marks.boundaries());
            self.attempts.insert(cohort, attempts);
        }
        let merged = Merged { of: self.agreed.of, clock_error_ns: nanos(self.clock_error) };
        self.write(&Line::Begin(Box::new(Begin { shard: None, merged: Some(merged), ..begin })))
    }

    /// The cohorts whose attempts are those of all shards.
    fn loading(&self, plan: &Plan) -> Vec<u16> {
        let cohorts = (0_u16..).zip(&plan.cohorts).filter(|(_, cohort)| cohort.pace != Pace::OnDemand);
        if self.is_shared() { cohorts.map(|(index, _)| index).collect() } else { Vec::new() }
    }

    /// By how much the times of a source may be wrong.
    fn off(&self, source: &Source) -> Duration {
        if source.is_on_clock() { Duration::ZERO } else { self.clock_error }
    }

    fn take_rows(&mut self, rows: Rows, source: &Source, is_base: bool) {
        let (cohort, off) = (rows.cohort, self.off(source));
        let last = self.marks.load_end.nanos_since(self.marks.load_start) / ROW_NS;
        for row in rows.rows {
            if !is_base && self.marks.is_cut && row.index > last {
                self.notes.cut = self.notes.cut.saturating_add(row.due);
                self.uses.entry(source.index()).and_modify(|shard| shard.is_whole = false);
                continue;
            }
            if let Some(shard) = self.uses.get_mut(&source.index()) {
                count_use(shard, rows.scope, &row);
            }
            if let Some(attempts) = self.attempts.get_mut(&cohort) {
                let times = row.attempts.iter().flat_map(|&(first, last)| [first, last]);
                times.for_each(|at| attempts.add(at, nanos(off)));
            }
            if self.is_shared() {
                row.ok_ends.into_iter().for_each(|ends| self.stalls.entry(cohort).or_default().answered(ends));
            }
            if is_base || rows.scope == Scope::Warmup {
                self.rows.add(cohort, rows.scope, &row);
            } else {
                self.place_row(cohort, row, off);
            }
        }
    }

    /// A row of a shard that knows of no event: what was answered belongs to the event at its beginning, what failed to
    /// the one that its own end tells.
    fn place_row(&mut self, cohort: u16, mut row: Row, off: Duration) {
        let from = self.marks.load_start + Duration::from_nanos(row.index.saturating_mul(ROW_NS));
        let until = from + Duration::from_nanos(ROW_NS - 1);
        for failure in std::mem::take(&mut row.failures) {
            let ends = failure.ends.unwrap_or((from, until));
            if self.marks.is_near((from, until), ends, off) {
                self.notes.near = self.notes.near.saturating_add(failure.n);
            }
            let scope = self.marks.scope_of(from, ends.1);
            let failed_due = row.failed_due.filter(|_| !failure.key.class.is_unsent());
            let part = Row { index: row.index, failures: vec![failure], failed_due, ..Row::default() };
            self.rows.add(cohort, scope, &part);
        }
        row.failed_due = None;
        let scope = self.marks.scope_at(from);
        if let (Scope::Event(event), Some((end, _))) = (self.marks.scope_at(from - off), row.ok_ends) {
            // It was due after the event began, so it was sent after that.
            let ok = SentOk { sent: from, end };
            let first = self.first_oks.entry((cohort, event)).or_insert(ok);
            if ok.end < first.end {
                *first = ok;
            }
        }
        self.rows.add(cohort, scope, &row);
    }

    fn take_segment(&mut self, segment: &Segment, source: &Source, is_base: bool) {
        let (cohort, off) = (segment.cohort, self.off(source));
        if !is_base && self.marks.is_cut && segment.from >= self.marks.load_end {
            return;
        }
        let is_warmup = segment.scope == Scope::Warmup;
        if let Some(shard) = self.uses.get_mut(&source.index()).filter(|_| !is_warmup) {
            add_times(&mut shard.lateness, &segment.lateness);
        }
        let keeps_scope = is_base || is_warmup;
        let at = |marks: &Marks, due: MonoTime, end: MonoTime| {
            if keeps_scope { segment.scope } else { marks.scope_of(due, end) }
        };
        // A second or ten of a shard that an event begins in are counted under it: what it disturbed is in them.
        let scope = at(&self.marks, segment.to, segment.to);
        add_counts(self.segments.of(cohort, scope, segment.from), segment);
        if let Some(goaways) = segment.goaways {
            let scope = at(&self.marks, goaways.first, goaways.first);
            add_goaways(self.segments.of(cohort, scope, segment.from), goaways);
        }
        for sample in &segment.samples {
            let row = sample.due.nanos_since(self.marks.load_start) / ROW_NS;
            let due = self.marks.load_start + Duration::from_nanos(row * ROW_NS);
            let scope = at(&self.marks, due, sample.end);
            self.segments.of(cohort, scope, segment.from).samples.push(known_to(sample, off));
        }
        for sample in &segment.unframed {
            let scope = at(&self.marks, sample.due, sample.end);
            self.segments.of(cohort, scope, segment.from).unframed.push(sample.clone());
        }
        self.take_instances(segment, scope, off);
        for gap in &segment.gaps {
            if self.is_shared() {
                self.stalls.entry(cohort).or_default().gap(*gap, is_warmup);
            } else {
                add_gap(self.segments.of(cohort, scope, segment.from), *gap);
            }
        }
        if is_base {
            let sum = self.segments.of(cohort, scope, segment.from);
            sum.first_ok = sum.first_ok.or(segment.first_ok);
            if self.agreed.of == 1 {
                sum.connect_gap_ns = sum.connect_gap_ns.max(segment.connect_gap_ns);
            }
        }
    }

    fn take_instances(&mut self, segment: &Segment, scope: Scope, off: Duration) {
        let Some(instances) = &segment.instances else { return };
        add_unknown(self.segments.of(segment.cohort, scope, segment.from), instances);
        for count in &instances.named {
            self.stale.add((segment.cohort, scope), count.clone(), off);
        }
    }

    /// What a load thread lacked is told second by second, the rest together.
    fn take_use(&mut self, generator: GeneratorUse, source: &mut Source) -> Result<(), MergeError> {
        let generator = GeneratorUse { shard: source.index(), ..generator };
        let Some(earlier) = source.pending_use.take() else {
            source.pending_use = Some(generator);
            return Ok(());
        };
        if let Some(joined) = join_uses(&earlier, &generator) {
            source.pending_use = Some(joined);
            return Ok(());
        }
        source.pending_use = Some(generator);
        self.write(&Line::Generator(earlier))
    }

    /// Every shard is past the rows before `until`.
    fn settle(&mut self, until: u64) -> Result<(), MergeError> {
        if until == 0 {
            return Ok(());
        }
        for line in self.rows.take_before(until) {
            self.write(&line)?;
        }
        if until >= self.segments_written + SEGMENT_ROWS {
            self.segments_written = until;
            let at = self.marks.load_start + Duration::from_nanos(until.saturating_mul(ROW_NS));
            self.settle_times(at);
            self.write_segments()?;
        }
        Ok(())
    }

    /// All that was before `at` is known.
    fn settle_times(&mut self, at: MonoTime) {
        self.attempts.values_mut().for_each(|attempts| attempts.settle(at));
        for (&cohort, stalls) in &mut self.stalls {
            for (scope, gap) in stalls.settle(at, &self.marks) {
                add_gap(self.segments.of(cohort, scope, gap.from), gap);
            }
        }
        for Waiting { cohort, scope, count, .. } in self.stale.settle(at, &self.marks) {
            add_instance(self.segments.of(cohort, scope, count.first), count);
        }
    }

    fn write_segments(&mut self) -> Result<(), MergeError> {
        let lines: Vec<Line> = self.segments.take().collect();
        lines.iter().try_for_each(|line| self.write(line))
    }

    fn finish(mut self, sources: &[Source]) -> Result<Record, MergeError> {
        for line in self.rows.take_before(u64::MAX) {
            self.write(&line)?;
        }
        self.settle_times(MonoTime::from_nanos(u64::MAX));
        let end = self.marks.load_end;
        for (cohort, attempts) in std::mem::take(&mut self.attempts) {
            for (scope, gap_ns) in attempts.finish(end) {
                self.segments.of(cohort, scope, end).connect_gap_ns = Some(gap_ns);
            }
        }
        for ((cohort, event), ok) in std::mem::take(&mut self.first_oks) {
            self.segments.of(cohort, Scope::Event(event), end).first_ok = Some(ok);
        }
        self.write_segments()?;
        for generator in sources.iter().filter_map(|source| source.pending_use.clone()) {
            self.write(&Line::Generator(generator))?;
        }
        for source in sources {
            if let Some(mut shard) = self.uses.remove(&source.index()) {
                let unended =
                    shard.due.saturating_sub(shard.ok.saturating_add(shard.failed).saturating_add(shard.unsent));
                shard.unsent = shard.unsent.saturating_add(unended);
                shard.is_on_clock = source.is_on_clock();
                shard.is_whole &= source.end.is_some();
                self.write(&Line::Shard(Box::new(shard)))?;
            }
        }
        for (what, left_out) in std::mem::take(&mut self.caps) {
            self.write(&Line::Cap(Cap { what, left_out }))?;
        }
        let doubts = std::mem::take(&mut self.agreed.doubts);
        for note in self.notes.remarks(doubts, sources, self.clock_error) {
            self.write(&Line::Note(note))?;
        }
        if let Some(End { reason, at, .. }) = self.end.take() {
            let last = self.writer.finish(reason, at).map_err(|error| MergeError::Write(error.into()))?;
            self.fold.add(last).map_err(MergeError::Write)?;
        }
        self.fold.finish().ok_or_else(|| MergeError::Write(RecordError::NotARecord("it is empty".to_owned())))
    }
}

fn count_use(shard: &mut ShardUse, scope: Scope, row: &Row) {
    let add = |sum: &mut u64, n: u64| *sum = sum.saturating_add(n);
    if scope == Scope::Warmup {
        return add(&mut shard.warmup, row.due);
    }
    add(&mut shard.due, row.due);
    add(&mut shard.ok, row.ok);
    for failure in &row.failures {
        let of = if failure.key.class.is_unsent() { &mut shard.unsent } else { &mut shard.failed };
        add(of, failure.n);
    }
}

/// A failure as another shard saw it. Where its times may be wrong, no address joins it with what the kernel of another
/// machine tells.
fn known_to(sample: &FailureSample, off: Duration) -> FailureSample {
    let local = sample.local.clone().filter(|_| off.is_zero());
    FailureSample { local, off_ns: nanos(off), ..sample.clone() }
}
