//! One record, read line by line, with its times on the clock of the merged record.

use std::fmt;
use std::io::BufRead;
use std::time::Duration;

use super::marks::Marks;
use crate::model::MonoTime;
use crate::record::generator::GeneratorUse;
use crate::record::line::{EndReason, Line, Pause, Phase};
use crate::record::reader::{Lines, RecordError};
use crate::record::segment::{ROW_NS, Rows, Segment};
use crate::record::shard::{Clocks, Shard};

/// Shards of one machine start at one moment, as far as two looks at its wall clock are one: a clock that is set or slewed
/// between them makes them differ.
const SAME_START: Duration = Duration::from_millis(5);

/// A record that is merged.
pub(super) struct Source {
    pub(super) name: String,
    pub(super) shard: Shard,
    pub(super) host: String,
    reader: Box<dyn BufRead>,
    lines: Lines,
    bytes: Vec<u8>,
    /// None before the load started.
    clock: Option<Clock>,
    /// The row that it has come to.
    pub(super) position: u64,
    pub(super) end: Option<EndReason>,
    clocks: Option<Clocks>,
    /// What its load thread had of the machine, joined as long as it lacked nothing.
    pub(super) pending_use: Option<GeneratorUse>,
}

/// From the clock of a source to that of the merged record.
#[derive(Clone, Copy, Debug)]
struct Clock {
    /// The start of the load on this clock,
    from: MonoTime,
    /// and on that; none where they are one.
    to: Option<MonoTime>,
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("name", &self.name).field("shard", &self.shard).finish_non_exhaustive()
    }
}

impl Source {
    pub(super) fn new(name: String, shard: Shard, reader: Box<dyn BufRead>) -> Self {
        Self {
            name,
            shard,
            host: String::new(),
            reader,
            lines: Lines::default(),
            bytes: Vec::new(),
            clock: None,
            position: 0,
            end: None,
            clocks: None,
            pending_use: None,
        }
    }

    pub(super) fn index(&self) -> u32 {
        self.shard.share.index()
    }

    /// The next line, its times on the clock of the merged record; none behind the last.
    pub(super) fn next(&mut self, marks: &Marks) -> Result<Option<Line>, RecordError> {
        let Some(mut line) = self.lines.read(&mut self.reader, &mut self.bytes)? else { return Ok(None) };
        match &mut line {
            Line::Begin(begin) => self.host.clone_from(&begin.host.name),
            Line::Phase(change) if change.phase == Phase::Load && self.clock.is_none() => {
                self.clock = Some(self.clock_from(change.at, marks));
            }
            Line::WallClock(clocks) => self.clocks = Some(*clocks),
            Line::End(end) => self.end = Some(end.reason.clone()),
            _ => {}
        }
        if let Some(Clock { from, to: Some(to) }) = self.clock {
            let map = |at: &mut MonoTime| *at = mapped(*at, from, to);
            map_times(&mut line, &map);
        }
        let row = |at: MonoTime| at.nanos_since(marks.load_start) / ROW_NS;
        self.position = self.position.max(match &line {
            Line::Rows(rows) => rows.rows.iter().map(|row| row.index).max().unwrap_or_default(),
            Line::Generator(generator) => row(generator.to),
            _ => 0,
        });
        Ok(Some(line))
    }

    fn clock_from(&self, started_at: MonoTime, marks: &Marks) -> Clock {
        let apart = started_at.nanos_since(marks.load_start).max(marks.load_start.nanos_since(started_at));
        let is_same_boot = self.shard.boot.is_some() && self.shard.boot == marks.boot;
        let is_one = is_same_boot && u128::from(apart) <= SAME_START.as_nanos();
        Clock { from: started_at, to: (!is_one).then_some(marks.load_start) }
    }

    /// It started to load.
    pub(super) fn has_loaded(&self) -> bool {
        self.clock.is_some()
    }

    /// Its times are on the clock of the merged record; else they were mapped by two wall clocks.
    pub(super) fn is_on_clock(&self) -> bool {
        self.clock.is_none_or(|clock| clock.to.is_none())
    }

    /// By how much the wall clock was set while it loaded, in nanoseconds.
    pub(super) fn was_set_ns(&self) -> Option<u64> {
        let (clock, clocks, start_at_ns) = (self.clock?, self.clocks?, self.shard.start_at_ns?);
        let by_wall = i128::from(clocks.wall_ns) - i128::from(start_at_ns);
        let by_clock = i128::from(clocks.at.as_nanos()) - i128::from(clock.from.as_nanos());
        u64::try_from((by_wall - by_clock).unsigned_abs()).ok()
    }
}

fn mapped(at: MonoTime, from: MonoTime, to: MonoTime) -> MonoTime {
    let after = i128::from(at.as_nanos()) - i128::from(from.as_nanos()) + i128::from(to.as_nanos());
    MonoTime::from_nanos(u64::try_from(after.max(0)).unwrap_or(u64::MAX))
}

/// Maps the times of the lines that are merged of a shard other than the first.
pub(super) fn map_times(line: &mut Line, map: &impl Fn(&mut MonoTime)) {
    let pause = |pause: &mut Pause| [&mut pause.from, &mut pause.to].into_iter().for_each(map);
    match line {
        Line::Rows(rows) => rows_times(rows, map),
        Line::Segment(segment) => segment_times(segment, map),
        Line::Generator(generator) => {
            [&mut generator.from, &mut generator.to].into_iter().for_each(map);
            generator.pauses.iter_mut().for_each(pause);
        }
        Line::Pause(own) => pause(own),
        Line::Phase(change) => map(&mut change.at),
        _ => {}
    }
}

fn pair(pair: &mut (MonoTime, MonoTime), map: &impl Fn(&mut MonoTime)) {
    map(&mut pair.0);
    map(&mut pair.1);
}

fn rows_times(rows: &mut Rows, map: &impl Fn(&mut MonoTime)) {
    for row in &mut rows.rows {
        let own = [
            &mut row.slowest,
            &mut row.unframed_ends,
            &mut row.ok_ends,
            &mut row.failed_due,
            &mut row.attempts,
            &mut row.lasting_ok,
        ];
        let of_failures = row.failures.iter_mut().map(|failure| &mut failure.ends);
        own.into_iter().chain(of_failures).flatten().for_each(|times| pair(times, map));
    }
}

fn segment_times(segment: &mut Segment, map: &impl Fn(&mut MonoTime)) {
    [&mut segment.from, &mut segment.to].into_iter().for_each(map);
    segment.gaps.iter_mut().for_each(|gap| [&mut gap.from, &mut gap.to].into_iter().for_each(map));
    if let Some(goaways) = &mut segment.goaways {
        [&mut goaways.first, &mut goaways.last].into_iter().for_each(map);
    }
    if let Some(ok) = &mut segment.first_ok {
        [&mut ok.sent, &mut ok.end].into_iter().for_each(map);
    }
    for sample in &mut segment.samples {
        [&mut sample.due, &mut sample.end]
            .into_iter()
            .chain(&mut sample.sent)
            .chain(&mut sample.connected)
            .for_each(map);
    }
    for sample in &mut segment.unframed {
        [&mut sample.due, &mut sample.end].into_iter().chain(&mut sample.sent).for_each(map);
    }
    for instance in segment.instances.iter_mut().flat_map(|instances| &mut instances.named) {
        [&mut instance.first, &mut instance.last].into_iter().for_each(map);
        instance.sent.iter_mut().for_each(|times| pair(times, map));
    }
}
