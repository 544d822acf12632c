//! What is kept of the looks at a machine: far from all that happened, a look that shows what the one before did is told
//! with it.

use std::collections::BTreeSet;
use std::time::Duration;

use super::zones::Zones;
use crate::model::{MonoTime, Span};
use crate::record::generator::GeneratorUse;
use crate::record::line::{Line, Looks, Queue, Traced};

/// Kinds of lines that are joined.
const KINDS: usize = 4;

/// Looks at a queue are told together if they are no further apart.
const TOGETHER: Duration = Duration::from_secs(10);

/// Thins the lines of before `before` that are in none of the zones. Resets are kept of these clients alone.
pub(super) fn thin(lines: &mut Vec<Line>, zones: &Zones, before: MonoTime, clients: &BTreeSet<String>) {
    let mut kept: Vec<Line> = Vec::new();
    // By kind of line, where the last one of it stands.
    let mut last: [Option<usize>; KINDS] = [None; KINDS];
    for line in lines.drain(..).filter(|line| !is_reset_of_another(line, before, clients)) {
        let Some((kind, seen)) = kind_of(&line) else {
            kept.push(line);
            continue;
        };
        let joined = last[kind].filter(|_| seen.to < before).and_then(|place| {
            let (_, earlier) = kind_of(&kept[place])?;
            let is_quiet = !zones.touch(earlier.hull(seen));
            join(&kept[place], &line).filter(|_| is_quiet).map(|joined| (place, joined))
        });
        if let Some((place, joined)) = joined {
            kept[place] = joined;
        } else {
            // Counters rise from what they were at first: that is joined with nothing.
            let is_first = matches!(line, Line::Counters(_)) && !kept.iter().any(|it| matches!(it, Line::Counters(_)));
            last[kind] = (!is_first).then_some(kept.len());
            kept.push(line);
        }
    }
    kept.shrink_to_fit();
    *lines = kept;
}

/// Of the lines that may be joined: which of them, and its time.
fn kind_of(line: &Line) -> Option<(usize, Span)> {
    match line {
        Line::Queue(queue) => Some((0, Span::new(queue.at, queue.at))),
        // Those of other shards were joined when the records were.
        Line::Generator(generator) if generator.shard == 0 => Some((1, Span::new(generator.from, generator.to))),
        Line::Looks(looks) => Some((2, Span::new(looks.from, looks.to))),
        Line::Counters(counters) => Some((3, Span::new(counters.at, counters.at))),
        _ => None,
    }
}

/// Both in one; none if that would say something else.
fn join(earlier: &Line, later: &Line) -> Option<Line> {
    match (earlier, later) {
        (Line::Queue(earlier), Line::Queue(later)) => join_queues(earlier, later).map(Line::Queue),
        (Line::Generator(earlier), Line::Generator(later)) => join_uses(earlier, later).map(Line::Generator),
        (Line::Looks(earlier), Line::Looks(later)) => {
            let is_late = |looks: &Looks| u128::from(looks.longest_ns) >= Looks::LATE_MIN.as_nanos();
            let longest_ns = earlier.longest_ns.max(later.longest_ns);
            let joined = Looks { from: earlier.from, to: later.to, longest_ns };
            (earlier.to == later.from && !is_late(&joined)).then_some(Line::Looks(joined))
        }
        // What a counter was in between nobody asks.
        (Line::Counters(earlier), Line::Counters(later)) => {
            let names = |values: &[(String, u64)]| values.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
            (names(&earlier.values) == names(&later.values)).then(|| Line::Counters(later.clone()))
        }
        _ => None,
    }
}

/// The same listeners, their queues as deep as they were.
fn join_queues(earlier: &Queue, later: &Queue) -> Option<Queue> {
    let is_near = later.at.since(earlier.at) <= TOGETHER;
    let pairs = || earlier.listeners.iter().zip(&later.listeners);
    let are_same = earlier.listeners.len() == later.listeners.len()
        && pairs().all(|(one, other)| {
            (&one.endpoint, one.inode, one.cookie, one.backlog)
                == (&other.endpoint, other.inode, other.cookie, other.backlog)
        });
    (is_near && are_same).then(|| {
        let mut joined = earlier.clone();
        for (listener, other) in joined.listeners.iter_mut().zip(&later.listeners) {
            listener.queued = listener.queued.max(other.queued);
        }
        joined
    })
}

/// Two spans of one thread in which the load thread lacked nothing, where the same is true of both together.
pub(crate) fn join_uses(earlier: &GeneratorUse, later: &GeneratorUse) -> Option<GeneratorUse> {
    let is_well = |it: &GeneratorUse| !it.is_saturated() && it.pauses.is_empty() && it.pauses_left_out == 0;
    let joined = GeneratorUse {
        from: earlier.from,
        cpu_ns: earlier.cpu_ns.saturating_add(later.cpu_ns),
        run_delay_ns: earlier.run_delay_ns.zip(later.run_delay_ns).map(|(one, other)| one.saturating_add(other)),
        parked_ns: earlier.parked_ns.saturating_add(later.parked_ns),
        due: earlier.due.saturating_add(later.due),
        begun: earlier.begun.saturating_add(later.begun),
        waiting: earlier.waiting.max(later.waiting),
        ..later.clone()
    };
    (earlier.to == later.from && [earlier, later, &joined].into_iter().all(is_well)).then_some(joined)
}

fn is_reset_of_another(line: &Line, before: MonoTime, clients: &BTreeSet<String>) -> bool {
    match line {
        Line::Trace(event) => match &event.traced {
            Traced::ResetSent { to, .. } => event.at < before && !clients.contains(&to.to_string()),
            Traced::ResetReceived { .. } => true,
            _ => false,
        },
        _ => false,
    }
}
