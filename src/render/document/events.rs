//! The events of a scenario: a table of those worth a row, and where the slowest answer spent its time.

use super::table::{Column, spare, unless_bad};
use super::{Block, Cell, Level, Table, blocks, instances};
use crate::model::{ActionKind, JobResult};
use crate::render::text::{latency, ms};
use crate::result::{EventResult, GoAwayResult, GoAwayShape, ScenarioResult, Slowest};

const RUN: Column<EventResult> =
    Column::words("run", Level::Brief, |event| Cell::plain(format!("{}.{}", event.step, event.run)));

const ACTION: Column<EventResult> = Column::words("action", Level::Brief, |event| Cell::plain(subject(event)));

const COLUMNS: &[Column<EventResult>] = &[
    Column::words("job", Level::Brief, |event| Cell::value(event.job.map(JobResult::name))),
    Column::words("proven", Level::Brief, |event| Cell::judged(proven(event), event.proven == Some(false))),
    Column::number("dropped", Level::Brief, |event| Cell::loss(event.dropped)),
    unless_bad(Column::number("wrong", Level::Normal, |event| Cell::judged(wrong(event), event.wrong > 0))),
    spare(Column::number("stop ms", Level::Brief, |event| Cell::plain(ms(event.stop_ms)))),
    spare(Column::number("boot ms", Level::Brief, |event| Cell::plain(ms(event.boot_ms)))),
    spare(Column::number("first ok ms", Level::Brief, |event| Cell::plain(ms(event.first_ok_ms)))),
    // Null is "never" where requests failed, and "not measured" where none did.
    Column::number("outage ms", Level::Brief, |event| {
        Cell::plain(latency(event.outage_ms, event.dropped + event.wrong))
    }),
    Column::number("stall ms", Level::Brief, |event| Cell::plain(ms(event.stall_ms))),
    spare(Column::number("recovery ms", Level::Brief, |event| Cell::plain(ms(event.recovery_ms)))),
    Column::number("slowest ms = drain + queue + boot + rest", Level::Normal, |event| {
        Cell::value(event.slowest.as_ref().map(sum))
    }),
    spare(Column::number("queue / backlog", Level::Brief, |event| Cell::value(queue(event)))),
    Column::number("backlog needed", Level::Normal, |event| Cell::value(event.backlog_needed)),
    Column::number("main PID", Level::Full, |event| Cell::plain(main_pid(event))),
];

/// The section; nothing without events that tell something.
pub(super) fn section(scenario: &ScenarioResult, level: Level) -> Vec<Block<'static>> {
    let events = telling(&scenario.events);
    let Some(first) = events.first() else { return Vec::new() };
    // What is the same in all rows stands in the heading.
    let is_uniform = events.iter().all(|event| subject(event) == subject(first));
    let heading = if is_uniform { format!("Events: {}", subject(first)) } else { "Events".to_owned() };
    let names_instances = scenario.stale.is_some();
    let of_instances = instances::OF_EVENTS.iter().filter(|_| names_instances);
    let columns = [&RUN].into_iter().chain((!is_uniform).then_some(&ACTION)).chain(COLUMNS).chain(of_instances);
    let (slowest, goaway) = (slowest(&events), goaway(&events));
    let (all, most) = (events.len(), level.events_max());
    let mut blocks = vec![Block::Heading(heading), Block::Table(Table::of(columns, level, worst(events, most)))];
    if all > most {
        blocks.push(Block::Aside(format!(
            "{most} of {all} events: those that lost the most, then those with the longest stalls. result.json has all."
        )));
    }
    blocks.extend(slowest.map(blocks::text));
    blocks.extend(goaway.map(blocks::text));
    blocks
}

/// The events with something to tell: a wait in which nothing happened has nothing.
fn telling(events: &[EventResult]) -> Vec<&EventResult> {
    let tells = |event: &&EventResult| {
        let is_process_changed = event.stop_ms.is_some() || event.boot_ms.is_some();
        event.action != ActionKind::Wait || is_process_changed || event.dropped + event.wrong > 0
    };
    events.iter().filter(tells).collect()
}

/// The events worth a row, in the order of the run.
fn worst(mut events: Vec<&EventResult>, most: usize) -> Vec<&EventResult> {
    let lost = |event: &EventResult| event.dropped + event.wrong;
    let stall = |event: &EventResult| event.stall_ms.unwrap_or_default();
    events.sort_by(|a, b| lost(b).cmp(&lost(a)).then(stall(b).total_cmp(&stall(a))));
    events.truncate(most);
    events.sort_by_key(|event| event.event);
    events
}

/// What an event did to what: `restart app.service`, `exec ./deploy.sh`, `mark flipped`.
pub(crate) fn subject(event: &EventResult) -> String {
    let action = event.action.name().replace('_', " ");
    if let Some(process) = &event.process {
        return format!("{action} {process}");
    }
    let name = event.name.as_deref().map(shortened);
    let replaced = event.unit.as_ref().map(ToString::to_string);
    [Some(action), name, replaced].into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// A command, no longer than a table bears.
fn shortened(name: &str) -> String {
    const LONGEST_CHARACTERS: usize = 60;
    match name.char_indices().nth(LONGEST_CHARACTERS) {
        Some((end, _)) => format!("{}...", &name[..end]),
        None => name.to_owned(),
    }
}

/// `3 (503)`, or `3 (2 of 503, 1 of UNAVAILABLE)`: how many, and with which status.
fn wrong(event: &EventResult) -> String {
    let of_http = event.unexpected_statuses.iter().map(|(status, &count)| (status.to_string(), count));
    let of_grpc = event.unexpected_grpc_statuses.iter().map(|(status, &count)| (status.to_string(), count));
    let statuses: Vec<(String, u64)> = of_http.chain(of_grpc).collect();
    let all: Vec<String> = match &statuses[..] {
        [(status, count)] if *count == event.wrong => vec![status.clone()],
        statuses => statuses.iter().map(|(status, count)| format!("{count} of {status}")).collect(),
    };
    if all.is_empty() { event.wrong.to_string() } else { format!("{} ({})", event.wrong, all.join(", ")) }
}

fn proven(event: &EventResult) -> &'static str {
    match event.proven {
        Some(true) => "yes",
        Some(false) => "no",
        None => "-",
    }
}

fn queue(event: &EventResult) -> Option<String> {
    event.queue_peak.zip(event.backlog).map(|(peak, backlog)| format!("{peak}/{backlog}"))
}

fn main_pid(event: &EventResult) -> String {
    let pid = |pid: Option<u32>| pid.map_or_else(|| "none".to_owned(), |pid| pid.to_string());
    format!("{} → {}", pid(event.main_pid_before), pid(event.main_pid_after))
}

/// The slowest request as a sum of what it waited for: `939 = 165 + 3.10 + 671 + 100`.
fn sum(slowest: &Slowest) -> String {
    let parts = [slowest.drain_ms, slowest.queue_ms, slowest.boot_ms, slowest.rest_ms];
    format!("{} = {}", ms(Some(slowest.latency_ms)), parts.map(|part| ms(Some(part))).join(" + "))
}

/// What the users who waited longest waited for; none if they did not wait for an event.
fn slowest(events: &[&EventResult]) -> Option<String> {
    let of_events = events.iter().filter_map(|event| Some((event, event.slowest?)));
    let (event, slowest) = of_events.max_by(|(_, a), (_, b)| a.latency_ms.total_cmp(&b.latency_ms))?;
    let parts = [
        (slowest.drain_ms, "until the old process was gone"),
        (slowest.queue_ms, "until the new one started"),
        (slowest.boot_ms, "until that answered"),
        (slowest.rest_ms, "besides"),
    ];
    let parts = parts.iter().filter(|(part_ms, _)| *part_ms > 0.0);
    let parts: Vec<String> = parts.map(|&(part_ms, until)| format!("{} {until}", ms(Some(part_ms)))).collect();
    let (latency, step, run) = (ms(Some(slowest.latency_ms)), event.step, event.run);
    slowest
        .has_waited()
        .then(|| format!("The slowest answer took {latency} ms, in {step}.{run}: {}.", parts.join(", ")))
}

/// How connections ended, in one sentence for all events; none without HTTP/2.
fn goaway(events: &[&EventResult]) -> Option<String> {
    let told: Vec<&GoAwayResult> = events.iter().filter_map(|event| event.goaway.as_ref()).collect();
    let announced: Vec<&GoAwayResult> = told.iter().copied().filter(|goaway| goaway.first_ms.is_some()).collect();
    let (all, times) = (told.len(), announced.len());
    let Some(first) = announced.first() else {
        return (all > 0)
            .then(|| format!("No GOAWAY was read in {all} events: no connection was ended by announcement."));
    };
    let shape = match first.shape {
        _ if announced.iter().any(|goaway| goaway.shape != first.shape) => "single or two-phase GOAWAY",
        GoAwayShape::TwoPhase => "two-phase GOAWAY",
        GoAwayShape::None | GoAwayShape::Single => "single GOAWAY",
    };
    let firsts = announced.iter().filter_map(|goaway| goaway.first_ms);
    let (least, most) = firsts.fold((f64::MAX, 0.0), |(least, most): (f64, f64), at| (least.min(at), most.max(at)));
    let (least, most) = (ms(Some(least)), ms(Some(most)));
    let when = if least == most { most } else { format!("{least} to {most}") };
    let open: u64 = announced.iter().map(|goaway| goaway.streams_open).sum();
    let answered: u64 = announced.iter().map(|goaway| goaway.answered_after).sum();
    let streams = match (open, answered) {
        (0, _) => "no stream was open".to_owned(),
        (open, answered) if open == answered => format!("{open} streams were open, and all were answered"),
        (open, answered) => format!("of {open} streams that were open, {answered} were answered"),
    };
    Some(format!("In {times} of {all} events: {shape}, first {when} ms after the action began; {streams}."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::analyse;
    use crate::analysis::simulator::stories;

    fn told(goaways: &[(GoAwayShape, f64, u64, u64)]) -> Option<String> {
        let result = analyse(&stories::socket_restart().record());
        let events = goaways.iter().map(|&(shape, at_ms, streams_open, answered_after)| {
            let at_ms = (shape != GoAwayShape::None).then_some(at_ms);
            let goaway = GoAwayResult { shape, first_ms: at_ms, last_ms: at_ms, streams_open, answered_after };
            EventResult { goaway: Some(goaway), ..result.events[0].clone() }
        });
        let events: Vec<EventResult> = events.collect();
        goaway(&events.iter().collect::<Vec<_>>())
    }

    #[test]
    fn how_connections_were_ended_is_one_sentence() {
        use GoAwayShape::{None as NoShape, Single, TwoPhase};
        assert_eq!(told(&[]), None);
        let tells = |goaways: &[_], sentence: &str| assert_eq!(told(goaways).as_deref(), Some(sentence));
        tells(&[(NoShape, 0.0, 0, 0)], "No GOAWAY was read in 1 events: no connection was ended by announcement.");
        tells(
            &[(TwoPhase, 4.0, 31, 31)],
            "In 1 of 1 events: two-phase GOAWAY, first 4.00 ms after the action began; 31 streams were open, and all were answered.",
        );
        tells(
            &[(NoShape, 0.0, 0, 0), (Single, 4.0, 8, 3), (Single, 9.0, 2, 2)],
            "In 2 of 3 events: single GOAWAY, first 4.00 to 9.00 ms after the action began; of 10 streams that were open, 5 were answered.",
        );
        tells(
            &[(TwoPhase, 1.0, 0, 0), (Single, 1.0, 0, 0)],
            "In 2 of 2 events: single or two-phase GOAWAY, first 1.00 ms after the action began; no stream was open.",
        );
    }
}
