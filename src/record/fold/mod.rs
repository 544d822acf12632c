//! What a record comes to, line by line: counts are added up, and only what tells more than counts do is kept.

pub(crate) mod counts;
pub(crate) mod instances;
mod recovery;
mod settle;
pub(crate) mod tally;
#[cfg(test)]
mod tests;
mod thin;
pub(crate) mod window;
mod zones;

pub(crate) use recovery::ROWS_PER_SECOND;
pub(crate) use settle::grain;
pub(crate) use thin::join_uses;

use std::time::Duration;

use self::tally::Tally;
use self::thin::thin;
use super::begin::Begin;
use super::line::{End, Line};
use crate::model::MonoTime;

/// More of them than any run of the harness has that does not lose all it sends.
const LINES_MAX: usize = 100_000;

/// Fewer lines are all kept.
const LINES_MIN: usize = 4_096;

/// The longest time between what explains a failure and the moment the failure was known.
const KEPT_FOR: Duration = Duration::from_secs(120);

/// A record as far as it was read.
#[derive(Clone, Debug)]
pub struct Record {
    /// The first line.
    pub begin: Begin,
    /// What the load counted.
    pub(crate) tally: Tally,
    /// What happened beside the load, in order: the lines that a report is made of.
    pub lines: Vec<Line>,
    /// The last moment that it knows of.
    pub(crate) last: MonoTime,
    /// The number of lines when they were last thinned.
    thinned: usize,
    /// The number of further ones that were not kept.
    pub(crate) left_out: u64,
    /// The last line; none if the record is incomplete.
    pub end: Option<End>,
}

impl Record {
    /// One of which only the first line is known.
    pub(super) fn new(begin: Begin) -> Self {
        let (last, tally) = (begin.anchor, Tally::new(&begin));
        Self { begin, tally, lines: Vec::new(), last, thinned: 0, left_out: 0, end: None }
    }

    /// Takes the next line in.
    pub(super) fn add(&mut self, line: Line) {
        self.last = self.last.max(last_moment(&line));
        self.tally.add(&line);
        match line {
            Line::Rows(_) | Line::Segment(_) | Line::Journal(_) | Line::Exec(_) | Line::Request(_) => {}
            Line::End(end) => self.end = Some(end),
            other if self.lines.len() >= LINES_MAX && is_observation(&other) => self.left_out += 1,
            other => self.lines.push(other),
        }
        if self.lines.len() >= LINES_MIN.max(2 * self.thinned) {
            self.thin();
        }
    }

    fn thin(&mut self) {
        let (zones, clients) = self.tally.happened();
        thin(&mut self.lines, &zones, self.last - KEPT_FOR, &clients);
        self.thinned = self.lines.len();
    }
}

/// One of many looks at the machine, or at what happens on it.
fn is_observation(line: &Line) -> bool {
    matches!(
        line,
        Line::Unit(_)
            | Line::Queue(_)
            | Line::Looks(_)
            | Line::Pause(_)
            | Line::Counters(_)
            | Line::Trace(_)
            | Line::Process(_)
            | Line::Holders(_)
            | Line::Generator(_)
    )
}

/// The last moment that a line speaks of.
fn last_moment(line: &Line) -> MonoTime {
    match line {
        Line::Phase(change) => change.at,
        Line::Segment(segment) => segment.to,
        Line::StepBegin(begin) => begin.at,
        Line::StepEnd(end) => end.at,
        Line::Unit(change) => change.at,
        Line::Queue(queue) => queue.at,
        Line::Looks(looks) => looks.to,
        Line::Trace(event) => event.at,
        Line::Process(change) => change.at,
        Line::Holders(holders) => holders.at,
        Line::Clock(clock) => clock.at,
        Line::Rows(rows) => {
            let ends = rows.rows.iter().filter_map(|row| row.ok_ends.map(|(_, last)| last));
            ends.max().unwrap_or_default()
        }
        Line::End(end) => end.at,
        _ => MonoTime::default(),
    }
}
