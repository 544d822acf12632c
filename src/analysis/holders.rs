//! What became of those who listened, where no step acted on them: a deployment that restarts, or a crash.

use std::collections::BTreeMap;

use super::facts::Facts;
use super::words;
use crate::model::process::Process;
use crate::model::{Endpoint, MonoTime, ProcessId};
use crate::record::line::{Holders, Line, Note, NoteKind};

/// More ends than these are counted instead of told one by one.
const ENDS_TOLD: usize = 5;

/// Processes that held a listener of the load, each with its address.
type Held<'a> = BTreeMap<ProcessId, (&'a Process, &'a Endpoint)>;

/// The looks at the holders, and everybody who was seen to be one.
fn seen<'a>(facts: &Facts<'a>) -> (Vec<&'a Holders>, Held<'a>) {
    let mut held = Held::new();
    let looks: Vec<&Holders> = facts
        .record
        .lines
        .iter()
        .filter_map(|line| match line {
            Line::Holders(look) => Some(look),
            _ => None,
        })
        .collect();
    for look in &looks {
        for holder in look.holders.iter().filter(|holder| !holder.is_manager()) {
            held.entry(holder.process.id).or_insert((&holder.process, &look.endpoint));
        }
    }
    (looks, held)
}

/// Who has listened in place of a process that had ended at that time.
pub(crate) fn successor(ended: ProcessId, at: MonoTime, facts: &Facts<'_>) -> Option<ProcessId> {
    let (looks, held) = seen(facts);
    let (_, address) = held.get(&ended)?;
    next_holder(&looks, address, at, &held).map(|next| next.id)
}

/// A note for each process that listened at an address of the load and ended in an event that acts on no unit.
pub(crate) fn notes(facts: &Facts<'_>) -> Vec<Note> {
    let (looks, held) = seen(facts);
    let ends = facts.record.lines.iter().filter_map(|line| match line {
        Line::Process(change) if change.ended.is_some() => Some((change.at, change.process.id)),
        _ => None,
    });
    let mut told: Vec<String> = Vec::new();
    for (at, id) in ends {
        let Some((process, address)) = held.get(&id) else { continue };
        let event = facts.timeline.events.iter().rfind(|event| event.begin.at <= at);
        if let Some(event) = event.filter(|event| event.begin.unit.is_none() && at <= event.until) {
            let name = described(process);
            let second = seconds(at, facts);
            let next = next_holder(&looks, address, at, &held);
            let next = next.map(|next| format!("; {} has listened since", described(next))).unwrap_or_default();
            told.push(format!(
                "{name}, which listened on {address}, ended at {second}, in {}{next}.",
                words::lower_event(event)
            ));
        }
    }
    let more = told.len().saturating_sub(ENDS_TOLD);
    told.truncate(ENDS_TOLD);
    if more > 0 {
        told.push(format!("{more} more processes that listened ended."));
    }
    told.into_iter().map(|message| Note { kind: NoteKind::Info, message }).collect()
}

/// The first process that was not seen to hold the listener until `at`, and was after that.
fn next_holder<'a>(looks: &[&'a Holders], address: &Endpoint, at: MonoTime, held: &Held<'_>) -> Option<&'a Process> {
    let here = looks.iter().filter(|look| look.endpoint == *address);
    let known: Vec<ProcessId> = here
        .clone()
        .filter(|look| look.at <= at)
        .flat_map(|look| look.holders.iter().map(|holder| holder.process.id))
        .collect();
    let mut later = here.filter(|look| look.at > at).flat_map(|look| &look.holders);
    let is_new = |process: &Process| held.contains_key(&process.id) && !known.contains(&process.id);
    later.find(|holder| is_new(&holder.process)).map(|holder| &holder.process)
}

/// `python3 (812) of ledger.service`.
pub(crate) fn described(process: &Process) -> String {
    let unit = process.unit.as_ref().map(|unit| format!(" of {unit}")).unwrap_or_default();
    format!("{process}{unit}")
}

fn seconds(at: MonoTime, facts: &Facts<'_>) -> String {
    format!("{:.3} s", at.millis_since(facts.timeline.origin) / 1e3)
}
