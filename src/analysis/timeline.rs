//! What happened when: events, unit states and listeners, by time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::event::{self, Event};
use super::generator::Generator;
use super::processes::Processes;
use super::shortage::Shortage;
use super::trace::Trace;
use crate::model::address::Listener;
use crate::model::time::nanos;
use crate::model::{
    ActiveState, EventId, MonoTime, ServiceState, Signal, SocketState, Span, UnitKind, UnitName, UnitSnapshot,
};
use crate::record::Record;
use crate::record::line::{HostClock, Line, Looks, Pause, Phase, ProcessChange, Queue, UnitChange};
use crate::record::segment::ROW_NS;
use crate::scenario::plan::{Destination, Plan};

/// A look at the listeners is over by then, on a machine that is not overloaded.
const LOOK_TAKES_MAX: Duration = Duration::from_millis(1);

/// The single moments of a record, in order.
pub(crate) struct Timeline<'a> {
    pub(crate) plan: &'a Plan,
    /// Rows count from here.
    pub(crate) load_start: MonoTime,
    /// `_ms` figures count from here: the first counted due time.
    pub(crate) origin: MonoTime,
    /// Nothing is due from here on.
    pub(crate) load_end: MonoTime,
    /// The last moment that the record knows of.
    pub(crate) last: MonoTime,
    /// By how much the times of what was counted may be wrong: of generators on other clocks.
    pub(crate) off_ns: u64,
    pub(crate) events: Vec<Event<'a>>,
    pub(crate) trace: Trace<'a>,
    pub(crate) generator: Generator<'a>,
    queues: Vec<&'a Queue>,
    looks: Vec<&'a Looks>,
    pauses: Vec<&'a Pause>,
    units: BTreeMap<&'a UnitName, Vec<UnitState<'a>>>,
    pub(crate) processes: Processes<'a>,
    counters: BTreeMap<&'a str, Vec<(MonoTime, u64)>>,
    /// The destinations whose listeners were ever shown: about others nothing is known.
    watched: Vec<&'a Destination>,
    /// The clock of the service's machine, at its widest; none where that is ours.
    clock: Option<&'a HostClock>,
}

/// What a unit was from a moment on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UnitState<'a> {
    pub(crate) at: MonoTime,
    pub(crate) active_state: &'a ActiveState,
    pub(crate) sub_state: &'a str,
    pub(crate) result: &'a str,
}

impl UnitState<'_> {
    pub(crate) fn is_active(&self) -> bool {
        self.active_state.is_active()
    }
}

/// What the kernel showed of the listeners at one address during a span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ListenerView {
    /// At some moment no process was listening.
    pub(crate) absent: bool,
    /// The listeners of its end are not those of its beginning.
    pub(crate) changed: bool,
    /// Deepest queue, with the backlog of that listener.
    pub(crate) peak: Option<(u32, u32)>,
}

impl ListenerView {
    /// The same sockets listened all the time.
    pub(crate) fn is_steady(self) -> bool {
        !self.absent && !self.changed
    }
}

impl<'a> Timeline<'a> {
    pub(crate) fn of(record: &'a Record) -> Self {
        let last = record.last;
        let phase = |wanted| {
            record.lines.iter().find_map(|line| match line {
                Line::Phase(change) if change.phase == wanted => Some(change.at),
                _ => None,
            })
        };
        let load_start = phase(Phase::Load).unwrap_or(record.begin.anchor);
        let load_end = phase(Phase::Stopped).unwrap_or(last);
        let mut timeline = Self {
            plan: &record.begin.plan,
            load_start,
            origin: phase(Phase::Counting).unwrap_or(load_start),
            load_end,
            last,
            off_ns: off_ns(record),
            events: event::of(record, load_end),
            trace: Trace::of(&record.lines),
            generator: Generator::of(&record.lines),
            queues: Vec::new(),
            looks: Vec::new(),
            pauses: Vec::new(),
            units: BTreeMap::new(),
            processes: Processes::default(),
            counters: BTreeMap::new(),
            watched: Vec::new(),
            clock: None,
        };
        // What units do while they are put back is none of the run's.
        let over = phase(Phase::PuttingBack);
        let is_of_run = |line: &&Line| match line {
            Line::Unit(UnitChange { at, .. }) | Line::Process(ProcessChange { at, .. }) => {
                over.is_none_or(|over| *at < over)
            }
            _ => true,
        };
        record.lines.iter().filter(is_of_run).for_each(|line| timeline.note(line));
        timeline.sort();
        timeline
    }

    fn note(&mut self, line: &'a Line) {
        self.processes.note(line);
        match line {
            Line::StepBegin(begin) => self.note_snapshots(&begin.before),
            Line::StepEnd(end) => self.note_snapshots(&end.after),
            Line::Unit(change) => self.units.entry(&change.unit).or_default().push(UnitState {
                at: change.changed_at.unwrap_or(change.at),
                active_state: &change.active_state,
                sub_state: &change.sub_state,
                result: &change.result,
            }),
            Line::Queue(queue) => self.queues.push(queue),
            Line::Looks(looks) => self.looks.push(looks),
            Line::Pause(pause) => self.pauses.push(pause),
            Line::Clock(clock) if self.clock.is_none_or(|widest| widest.half_width_ns <= clock.half_width_ns) => {
                self.clock = Some(clock);
            }
            Line::Counters(counters) => {
                for (name, value) in &counters.values {
                    self.counters.entry(name).or_default().push((counters.at, *value));
                }
            }
            _ => {}
        }
    }

    fn note_snapshots(&mut self, snapshots: &'a [UnitSnapshot]) {
        for snapshot in snapshots {
            self.units.entry(&snapshot.unit).or_default().push(UnitState {
                at: snapshot.at,
                active_state: &snapshot.active_state,
                sub_state: &snapshot.sub_state,
                result: &snapshot.result,
            });
        }
    }

    fn sort(&mut self) {
        self.queues.sort_by_key(|queue| queue.at);
        self.looks.sort_by_key(|looks| looks.from);
        self.pauses.sort_by_key(|pause| pause.from);
        self.units.values_mut().for_each(|states| states.sort_by_key(|state| state.at));
        self.processes.sort();
        self.counters.values_mut().for_each(|points| points.sort_unstable());
        let destinations = self.plan.cohorts.iter().map(|cohort| &cohort.target.connect);
        self.watched = destinations.filter(|to| self.queues.iter().any(|queue| is_served(queue, to))).collect();
    }

    /// What the generator lacked, over the whole load.
    pub(crate) fn shortage(&self) -> Shortage {
        self.generator.shortage(Span::new(self.load_start, self.last))
    }

    /// The row that `at` falls into.
    pub(crate) fn row_index(&self, at: MonoTime) -> u64 {
        at.nanos_since(self.load_start) / ROW_NS
    }

    /// The due times of a row.
    pub(crate) fn row_span(&self, index: u64) -> Span {
        self.rows_span(index, 1)
    }

    /// The due times that this number of rows covers.
    pub(crate) fn rows_span(&self, index: u64, rows: u64) -> Span {
        let from = MonoTime::from_nanos(self.load_start.as_nanos().saturating_add(index.saturating_mul(ROW_NS)));
        Span { from, to: MonoTime::from_nanos(from.as_nanos().saturating_add((ROW_NS * rows).saturating_sub(1))) }
    }

    /// The event of that number.
    pub(crate) fn event(&self, id: EventId) -> Option<&Event<'a>> {
        self.events.iter().find(|event| event.begin.event == id)
    }

    /// The scenario's socket unit, or the one that an event is about.
    pub(crate) fn socket(&self) -> Option<&'a UnitName> {
        let named = self.plan.units.as_ref().and_then(|units| units.socket.as_ref());
        let seen = || self.units.keys().copied().find(|unit| unit.kind() == UnitKind::Socket);
        named.or_else(seen)
    }

    /// What was first known of the socket unit.
    pub(crate) fn socket_state(&self) -> Option<&'a SocketState> {
        let unit = self.socket()?;
        let mut before = self.events.iter().flat_map(|event| &event.begin.before);
        before.find(|snapshot| snapshot.unit == *unit)?.socket.as_ref()
    }

    /// The scenario's service, or the one that an event is about.
    pub(crate) fn service(&self) -> Option<&'a UnitName> {
        let named = self.plan.units.as_ref().and_then(|units| units.service.as_ref());
        let seen = || self.units.keys().copied().find(|unit| unit.kind() == UnitKind::Service);
        named.or_else(seen)
    }

    /// What was first known of the service.
    pub(crate) fn service_state(&self) -> Option<&'a ServiceState> {
        let unit = self.service()?;
        let mut before = self.events.iter().flat_map(|event| &event.begin.before);
        before.find(|snapshot| snapshot.unit == *unit)?.service.as_ref()
    }

    /// Every unit whose state was ever seen, by name.
    pub(crate) fn units(&self) -> impl Iterator<Item = &'a UnitName> + '_ {
        self.units.keys().copied()
    }

    /// Every look at the kernel's listeners, in order.
    pub(crate) fn queues(&self) -> &[&'a Queue] {
        &self.queues
    }

    /// The states a unit was in during `span`: the one it entered it with, and those it took on.
    pub(crate) fn states(&self, unit: &UnitName, span: Span) -> &[UnitState<'a>] {
        let Some(states) = self.units.get(unit) else { return &[] };
        let left = states.partition_point(|state| state.at <= span.to);
        let entered = states.partition_point(|state| state.at <= span.from).min(left).saturating_sub(1);
        states.get(entered..left).unwrap_or_default()
    }

    /// The clock of the service's machine, as far as it is known all through the run; none where that is ours.
    pub(crate) fn clock(&self) -> Option<&'a HostClock> {
        self.clock
    }

    /// The most that what was seen on the service's machine can have happened earlier or later than is told, against what
    /// was seen here; 0 where both are the same machine.
    pub(crate) fn half_width_ns(&self) -> i64 {
        self.clock.map_or(0, |clock| i64::try_from(clock.half_width_ns).unwrap_or(i64::MAX))
    }

    /// A span of our clock on the clock of the service's machine: it lies within this one for certain.
    pub(crate) fn there(&self, span: Span) -> Span {
        span.stretched(self.half_width_ns())
    }

    /// Whether a listener was ever shown at an address: about others nothing is known.
    pub(crate) fn is_watched(&self, destination: &Destination) -> bool {
        self.watched.contains(&destination)
    }

    /// When the load thread did not run.
    pub(crate) fn pauses(&self) -> impl Iterator<Item = Span> + '_ {
        self.pauses.iter().map(|pause| Span::new(pause.from, pause.to))
    }

    /// The longest time within `span` in which nobody looked at the listeners, in nanoseconds.
    pub(crate) fn looks_apart_ns(&self, span: Span) -> u64 {
        let within = |from: MonoTime, to: MonoTime| to.min(span.to).nanos_since(from.max(span.from));
        let (mut longest, mut seen_until) = (0, span.from);
        for looks in self.looks.iter().filter(|looks| span.overlaps(Span::new(looks.from, looks.to))) {
            longest =
                longest.max(within(seen_until, looks.from)).max(looks.longest_ns.min(within(looks.from, looks.to)));
            seen_until = seen_until.max(looks.to);
        }
        longest.max(within(seen_until, span.to))
    }

    /// From the last look that showed the listeners of before to the first that showed none of them, each time that
    /// others took their place at an address during `span`.
    pub(crate) fn listener_changes(&self, destination: &Destination, span: Span) -> Vec<Span> {
        let at = |queue: &Queue| inodes_at(queue, destination);
        let pairs = self.queues.windows(2).filter(|pair| span.overlaps(Span::new(pair[1].at, pair[1].at)));
        let replaced = pairs.filter(|pair| {
            let (before, after) = (at(pair[0]), at(pair[1]));
            !before.is_empty() && !after.is_empty() && before.is_disjoint(&after)
        });
        // What did not change was not written down: the last look at the listeners of before may have been later.
        replaced.map(|pair| Span::new(pair[0].at.max(self.look_before(pair[1].at)), pair[1].at)).collect()
    }

    /// The last look before one at `at`, as far as the record tells: one that was late is told with its times.
    fn look_before(&self, at: MonoTime) -> MonoTime {
        let late = self.looks.iter().find(|looks| looks.to == at && looks.longest_ns == at.nanos_since(looks.from));
        late.map_or(at, |looks| looks.from)
    }

    /// Whether a gap that the kernel's trace shows was none: a look in it showed a listener, or one of several stayed. The
    /// trace is one for all network namespaces, and does not always tell whose socket went. Looks are written down where
    /// they differ: where none is, and they were closer to each other than the gap is long, they all showed what stands
    /// before and after it.
    pub(crate) fn is_refuted(&self, destination: &Destination, gap: Span) -> bool {
        let started = self.queues.partition_point(|queue| queue.at <= gap.from);
        // A look shows what it saw a little after its time.
        let ended = self.queues.partition_point(|queue| queue.at + LOOK_TAKES_MAX < gap.to).max(started);
        let during = self.queues.get(started..ended).unwrap_or_default();
        if !during.is_empty() {
            return during.iter().all(|queue| is_served(queue, destination));
        }
        let before = started.checked_sub(1).map(|last| inodes_at(self.queues[last], destination)).unwrap_or_default();
        let after = self.queues.get(ended).map(|first| inodes_at(first, destination)).unwrap_or_default();
        let takes_ns = nanos(LOOK_TAKES_MAX);
        let is_looked_into = self.looks_apart_ns(gap).saturating_add(takes_ns) < gap.to.nanos_since(gap.from);
        let has_stayed = !before.is_empty() && before == after && is_looked_into;
        has_stayed || (before.len() > 1 && !before.is_disjoint(&after))
    }

    /// What the kernel showed at an address during `span`; none if it was never asked about it.
    pub(crate) fn listeners(&self, destination: &Destination, span: Span) -> Option<ListenerView> {
        if !self.is_watched(destination) || self.is_lost_by(span.to) {
            return None;
        }
        let left = self.queues.partition_point(|queue| queue.at <= span.to);
        let entered = self.queues.partition_point(|queue| queue.at <= span.from).min(left).saturating_sub(1);
        let during = self.queues.get(entered..left).filter(|during| !during.is_empty())?;
        let mut view = ListenerView::default();
        let mut inodes: Option<Vec<u64>> = None;
        for queue in during {
            let listeners: Vec<&Listener> =
                queue.listeners.iter().filter(|listener| destination.reaches(&listener.endpoint)).collect();
            view.absent |= listeners.is_empty();
            view.peak = view.peak.max(listeners.iter().map(|listener| (listener.queued, listener.backlog)).max());
            let now: Vec<u64> = listeners.iter().map(|listener| listener.inode).collect();
            view.changed |= inodes.as_ref().is_some_and(|before| *before != now);
            inodes = Some(now);
        }
        Some(view)
    }

    /// How many datagrams the kernel dropped in `span` at the sockets of an address, for want of room; none where it was
    /// never asked. A socket that was made in it has dropped none before.
    pub(crate) fn drops(&self, destination: &Destination, span: Span) -> Option<u64> {
        let left = self.queues.partition_point(|queue| queue.at <= span.to);
        let entered = self.queues.partition_point(|queue| queue.at <= span.from).min(left).saturating_sub(1);
        let mut seen: BTreeMap<u64, (u32, u32)> = BTreeMap::new();
        for (nth, queue) in self.queues.get(entered..left)?.iter().enumerate() {
            for listener in queue.listeners.iter().filter(|listener| destination.reaches(&listener.endpoint)) {
                if let Some(drops) = listener.drops {
                    let before = if nth == 0 { drops } else { 0 };
                    seen.entry(listener.inode).or_insert((before, drops)).1 = drops;
                }
            }
        }
        (!seen.is_empty()).then(|| seen.values().map(|(first, last)| u64::from(last.saturating_sub(*first))).sum())
    }

    /// The spans around and in `within` in which no process was listening at an address, as the kernel showed it: by its trace
    /// to the microsecond, else one, as often as we looked. Empty if it showed none.
    pub(crate) fn listener_gaps(&self, destination: &Destination, within: Span) -> Vec<Span> {
        let gaps = self.trace.gaps(destination, within, self.load_end);
        if gaps.is_empty() { self.gap_between_looks(destination, within).into_iter().collect() } else { gaps }
    }

    fn gap_between_looks(&self, destination: &Destination, within: Span) -> Option<Span> {
        let is_absent = |queue: &&Queue| !is_served(queue, destination);
        self.listeners(destination, within).filter(|view| view.absent)?;
        let from = self.queues.iter().rposition(|queue| queue.at <= within.to && is_absent(queue))?;
        let first = self.queues[..from].iter().rposition(|queue| !is_absent(queue)).map_or(0, |present| present + 1);
        let seen_until = self.lost_after().map_or(self.load_end, |lost| lost.min(self.load_end));
        let back = self.queues[from..].iter().find(|queue| !is_absent(queue)).map_or(seen_until, |queue| queue.at);
        Some(Span::new(self.queues[first].at, back))
    }

    /// From when on connections waited in an accept queue at every look until the end of `span`.
    pub(crate) fn queue_stands_from(&self, span: Span) -> Option<MonoTime> {
        let waits = |queue: &&&Queue| queue.listeners.iter().any(|listener| listener.queued > 0);
        let during = self.queues.iter().filter(|queue| span.holds(queue.at)).rev();
        during.take_while(waits).last().map(|queue| queue.at)
    }

    /// The deepest accept queue seen in `span`, with that listener's backlog.
    pub(crate) fn queue_peak(&self, span: Span) -> Option<(u32, u32)> {
        let entered = self.queues.partition_point(|queue| queue.at <= span.from).saturating_sub(1);
        let left = self.queues.partition_point(|queue| queue.at < span.to);
        let during = self.queues.get(entered..left)?;
        during.iter().flat_map(|queue| &queue.listeners).map(|listener| (listener.queued, listener.backlog)).max()
    }

    /// Whether the process of before did not end of its own will: by a signal that cannot be caught, or because
    /// systemd lost patience (TimeoutStopSec=).
    pub(crate) fn is_killing(&self, event: &Event<'_>) -> bool {
        let by_action = event.signal() == Some(Signal::KILL);
        let exit = event.service_after().and_then(|after| after.service.as_ref()?.main_exit.as_deref());
        let by_exit = exit.is_some_and(|exit| exit == "killed 9" || exit.starts_with("dumped"));
        let states = self.service().map(|service| self.states(service, event.span())).unwrap_or_default();
        let by_patience = |state: &UnitState<'_>| state.at >= event.begin.at && state.sub_state.ends_with("-sigkill");
        by_action || by_exit || states.iter().any(by_patience)
    }

    /// The last look at another machine; nothing is known of what came after it.
    fn lost_after(&self) -> Option<MonoTime> {
        self.clock.and_then(|_| self.looks.iter().map(|looks| looks.to).max())
    }

    /// Another machine could no longer be looked at by then.
    pub(crate) fn is_lost_by(&self, at: MonoTime) -> bool {
        self.lost_after().is_some_and(|lost| lost < at)
    }

    /// The kernel's listeners as last seen at `at`.
    pub(crate) fn listeners_at(&self, at: MonoTime) -> Option<&'a [Listener]> {
        if self.is_lost_by(at) {
            return None;
        }
        let seen = self.queues.partition_point(|queue| queue.at <= at);
        Some(&self.queues.get(seen.checked_sub(1)?)?.listeners)
    }

    /// By how much a counter of the kernel rose in `span`; none if it was never read.
    pub(crate) fn rise(&self, counter: &str, span: Span) -> Option<u64> {
        let points = self.counters.get(counter)?;
        let first = points.first()?.1;
        let at = |limit: MonoTime| {
            let known = points.partition_point(|&(at, _)| at <= limit);
            known.checked_sub(1).map_or(first, |last| points[last].1)
        };
        Some(at(span.to).saturating_sub(at(span.from)))
    }
}

/// Rows have the counts of all generators in one.
fn off_ns(record: &Record) -> u64 {
    let is_off = |line: &Line| matches!(line, Line::Shard(shard) if !shard.is_on_clock);
    let merged = record.begin.merged.filter(|_| record.lines.iter().any(is_off));
    merged.map_or(0, |merged| merged.clock_error_ns)
}

fn inodes_at(queue: &Queue, destination: &Destination) -> BTreeSet<u64> {
    let here = queue.listeners.iter().filter(|listener| destination.reaches(&listener.endpoint));
    here.map(|listener| listener.inode).collect()
}

fn is_served(queue: &Queue, destination: &Destination) -> bool {
    queue.listeners.iter().any(|listener| destination.reaches(&listener.endpoint))
}
