//! Answers that only the end of their connection delimits: one that was cut short looks like a whole one.
//!
//! One that ended while the old process stopped, and is shorter than all that ended at another time, was cut short: it
//! counts as dropped. What is left in an event is in doubt.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::time::Duration;

use super::event::Event;
use super::facts::Facts;
use super::timeline::Timeline;
use super::words;
use crate::model::Span;
use crate::model::{Disposition, FailureClass, FailureKey};
use crate::record::fold::tally::{Group, Tally};
use crate::record::fold::window::Window;
use crate::record::line::StepBegin;
use crate::record::segment::{FailureSample, Scope, UnframedSample, density_bucket, density_floor_us};

/// An exit is noticed a little after the sockets of the process were closed, and a client reads that end a little later.
const EXIT_SLACK: Duration = Duration::from_millis(20);

/// Counts the answers that were cut short as what they are.
pub(crate) fn count_cut_short(tally: &mut Cow<'_, Tally>, timeline: &Timeline<'_>) {
    for (cohort, event, sample) in cut_short(tally, timeline) {
        drop_one(tally.to_mut(), timeline, (cohort, event), &sample);
    }
}

/// The answers that were cut short, with their cohorts and events.
fn cut_short<'a>(tally: &Tally, timeline: &'a Timeline<'a>) -> Vec<(u16, &'a StepBegin, UnframedSample)> {
    let stops: Vec<(&StepBegin, Span)> =
        timeline.events.iter().filter_map(|event| Some((event.begin, stop(event)?))).collect();
    let is_in_a_stop = |sample: &UnframedSample| stops.iter().any(|(_, stop)| contains(*stop, sample));
    let cohorts: BTreeSet<u16> = tally.windows().map(|(cohort, ..)| cohort).collect();
    let mut cut = Vec::new();
    for cohort in cohorts {
        let samples = tally.windows().filter(|&(of, ..)| of == cohort).flat_map(|(.., window)| &window.unframed);
        let Some(shortest) = samples.filter(|sample| !is_in_a_stop(sample)).map(|sample| sample.bytes_in).min() else {
            continue;
        };
        for &(begin, stop) in &stops {
            let window = tally.window(cohort, Scope::Event(begin.event));
            let is_cut = |sample: &&UnframedSample| contains(stop, sample) && sample.bytes_in < shortest;
            let samples = window.into_iter().flat_map(|window| &window.unframed).filter(is_cut);
            cut.extend(samples.map(|sample| (cohort, begin, sample.clone())));
        }
    }
    cut
}

/// While the old main process stopped.
fn stop(event: &Event<'_>) -> Option<Span> {
    Some(Span::new(event.begin.at, event.gone_at()? + EXIT_SLACK))
}

fn contains(span: Span, sample: &UnframedSample) -> bool {
    span.overlaps(Span::new(sample.end, sample.end))
}

fn drop_one(tally: &mut Tally, timeline: &Timeline<'_>, (cohort, event): (u16, &StepBegin), sample: &UnframedSample) {
    let latency_ns = sample.end.nanos_since(sample.due);
    let scope = Scope::Event(event.event);
    let Some(window) = tally.window_mut(cohort, scope) else { return };
    let Some(cell) = window.rows.get_mut(&timeline.row_index(sample.due)).filter(|cell| cell.unframed > 0) else {
        return;
    };
    let bucket = density_bucket(latency_ns / 1_000);
    if cell.ok == 0 || !cell.density.take(bucket) {
        return;
    }
    let status = cell.statuses.iter().next().map(|(status, _)| status);
    status.map(|status| cell.statuses.take(status));
    let key = FailureKey { status, ..FailureKey::new(FailureClass::ClosedMidResponse, Disposition::Partial) };
    cell.ok -= 1;
    cell.unframed -= 1;
    cell.failures.add(key, 1);
    let (first, last) = cell.failed_due.unwrap_or((sample.due, sample.due));
    cell.failed_due = Some((first.min(sample.due), last.max(sample.due)));
    cell.lasting_oks.retain(|&ok| ok != (sample.due, sample.end));
    cell.slowest = cell.slowest.filter(|&ok| ok != (sample.due, sample.end));
    let slowest = cell.density.iter().next_back().map_or(0, |(bucket, _)| bucket);
    if density_bucket(cell.max_us) != slowest {
        cell.max_us = density_floor_us(slowest);
    }
    window.samples.push(FailureSample {
        off_ns: 0,
        key,
        due: sample.due,
        sent: sample.sent,
        end: sample.end,
        local: sample.local.clone(),
        connected: None,
        nth: 1,
        bytes_out: 0,
        instead: None,
        bytes_in: sample.bytes_in,
    });
    if let Some(distributions) = tally.distributions_mut(cohort, Group::Step(event.step)) {
        distributions.ok.take(latency_ns);
    }
}

/// What is in doubt of the answers in the events of a step: none if nothing is.
pub(crate) fn in_doubt(events: &[&Event<'_>], facts: &Facts<'_>) -> Option<(u64, String)> {
    let in_event = |event: &Event<'_>| -> u64 {
        let windows = facts.tally.windows_of(Scope::Event(event.begin.event));
        windows.flat_map(Window::cells).map(|cell| cell.unframed).sum()
    };
    let doubtful: Vec<String> =
        events.iter().filter(|event| in_event(event) > 0).map(|event| words::lower_event(event)).collect();
    let count: u64 = events.iter().map(|event| in_event(event)).sum();
    (count > 0).then(|| {
        let reason = format!(
            "Only the end of their connection delimited {count} {} in {}: whether they were whole is unknown. Have the \
             server send Content-Length or chunks, or give expect_body a pattern that only a whole answer matches.",
            if count == 1 { "answer" } else { "answers" },
            doubtful.join(", "),
        );
        (count, reason)
    })
}
