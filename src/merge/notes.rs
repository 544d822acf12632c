//! What a reader of merged records must know.

use std::time::Duration;

use super::source::Source;
use crate::model::time::nanos;
use crate::record::line::{EndReason, Note, NoteKind};

/// A wall clock that was set by less than this while the load ran was slewed, as NTP does it.
const SET_MIN: Duration = Duration::from_millis(100);

/// What the records note, and what merging them leaves open.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// Those of the first shard, which stand as they are.
    own: Vec<Note>,
    /// Those of others, with who has them.
    others: Vec<(Note, Vec<u32>)>,
    /// Failures whose event is known to the row only, or to the clocks.
    pub(super) near: u64,
    /// Requests that were due when the run had ended in the first shard.
    pub(super) cut: u64,
}

impl Notes {
    /// A note of the first shard.
    pub(super) fn add_own(&mut self, note: Note) {
        self.own.push(note);
    }

    /// A note of another.
    pub(super) fn add_of(&mut self, shard: u32, note: Note) {
        match self.others.iter_mut().find(|(known, _)| *known == note) {
            Some((_, shards)) => shards.push(shard),
            None => self.others.push((note, vec![shard])),
        }
    }

    /// What a reader must know of the records.
    pub(super) fn remarks(&self, doubts: Vec<String>, sources: &[Source], clock_error: Duration) -> Vec<Note> {
        let doubt = |message| Note { kind: NoteKind::Doubt, message };
        let info = |message| Note { kind: NoteKind::Info, message };
        let mut notes: Vec<Note> = doubts.into_iter().map(doubt).collect();
        notes.extend(sources.iter().skip(1).filter_map(ended_early).map(doubt));
        let limit = clock_error.max(SET_MIN);
        let was_set = |source: &Source| {
            let by = Duration::from_nanos(source.was_set_ns().filter(|ns| *ns > nanos(limit))?);
            let (index, host) = (source.index(), &source.host);
            Some(format!(
                "the wall clock of shard {index} on {host} was set by {by:?} while it loaded: its times cannot be mapped"
            ))
        };
        notes.extend(sources.iter().filter_map(was_set).map(doubt));
        notes.extend(self.of_others());
        let off: Vec<u32> = sources.iter().filter(|source| !source.is_on_clock()).map(Source::index).collect();
        if !off.is_empty() {
            let (who, error) = (shards(&off), clock_error);
            notes.push(info(format!(
                "the times of {who} are mapped to the clock of shard {} by the wall clocks of their machines, which are taken to \
                 agree within {error:?} (--clock-error): that is not measured, and stalls are known to that only",
                sources.first().map_or(1, Source::index)
            )));
        }
        if self.near > 0 {
            let to = if off.is_empty() { String::new() } else { format!(" and {clock_error:?} of clocks") };
            let (n, verb) = (self.near, if self.near == 1 { "failure" } else { "failures" });
            notes.push(info(format!(
                "of {n} {verb} of shards that do not act it is known to 100ms{to} only to which event they belong: they are \
                 counted under the one that began then"
            )));
        }
        if self.cut > 0 {
            notes.push(info(format!(
                "{} requests of other shards were due after the run had ended in the first, and are not counted",
                self.cut
            )));
        }
        notes
    }

    /// What others note and the first shard does not; of looks at a machine, the first shard's are told.
    fn of_others(&self) -> Vec<Note> {
        let is_new = |(note, _): &&(Note, Vec<u32>)| {
            note.kind == NoteKind::Doubt || (note.kind == NoteKind::Info && !self.own.contains(note))
        };
        let told = |(note, who): &(Note, Vec<u32>)| Note {
            kind: note.kind,
            message: format!("{}: {}", shards(who), note.message),
        };
        self.others.iter().filter(is_new).map(told).collect()
    }
}

/// `shard 2`, `shards 2 and 3`, `shards 2 to 64`.
fn shards(of: &[u32]) -> String {
    match of {
        [] => "no shard".to_owned(),
        [one] => format!("shard {one}"),
        [one, other] => format!("shards {one} and {other}"),
        [first, .., last] if (last - first) as usize + 1 == of.len() => format!("shards {first} to {last}"),
        many => format!("shards {}", many.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")),
    }
}

/// Why a shard did not load as long as the first; none if it did.
fn ended_early(source: &Source) -> Option<String> {
    let who = format!("shard {} on {}", source.index(), source.host);
    match &source.end {
        None => Some(format!("the record of {who} is cut off: what it sent afterwards is unknown")),
        Some(EndReason::Completed) if source.has_loaded() => None,
        Some(EndReason::Completed) => Some(format!("{who} did not load")),
        Some(EndReason::Interrupted) => Some(format!("{who} was interrupted")),
        Some(EndReason::StepFailed) => Some(format!("{who} ended early")),
        Some(
            EndReason::Stopped(why)
            | EndReason::NotReady(why)
            | EndReason::Error(why)
            | EndReason::Lost(why)
            | EndReason::Full(why),
        ) => Some(format!("{who} ended early: {why}")),
    }
}
