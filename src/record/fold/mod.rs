//! What a record comes to, line by line: counts are added up, and only what tells more than counts do is kept.

pub(crate) mod counts;
pub(crate) mod tally;

use self::tally::Tally;
use super::begin::Begin;
use super::line::{End, Line};
use crate::model::MonoTime;

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
    /// The last line; none if the record is incomplete.
    pub end: Option<End>,
}

impl Record {
    /// One of which only the first line is known.
    pub(super) fn new(begin: Begin) -> Self {
        Self { last: begin.anchor, begin, tally: Tally::default(), lines: Vec::new(), end: None }
    }

    /// Takes the next line in.
    pub(super) fn add(&mut self, line: Line) {
        self.last = self.last.max(last_moment(&line));
        self.tally.add(&line);
        match line {
            Line::Rows(_) | Line::Segment(_) | Line::Journal(_) | Line::Exec(_) | Line::Request(_) => {}
            Line::End(end) => self.end = Some(end),
            other => self.lines.push(other),
        }
    }
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
        Line::Rows(rows) => {
            let ends = rows.rows.iter().filter_map(|row| row.ok_ends.map(|(_, last)| last));
            ends.max().unwrap_or_default()
        }
        Line::End(end) => end.at,
        _ => MonoTime::default(),
    }
}
