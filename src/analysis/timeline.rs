//! What happened when: events, unit states and listeners, by time.

use std::collections::BTreeMap;

use crate::model::address::Listener;
use crate::model::{ActionKind, Endpoint, EventId, MonoTime, Signal, UnitKind, UnitName, UnitSnapshot};
use crate::record::Record;
use crate::record::line::{Line, Phase, Queue, StepBegin, StepEnd};
use crate::record::segment::ROW_NS;
use crate::scenario::plan::{Action, Destination, Plan, Step};

/// A span of time, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span {
    pub(crate) from: MonoTime,
    pub(crate) to: MonoTime,
}

impl Span {
    pub(crate) fn new(from: MonoTime, to: MonoTime) -> Self {
        Self { from, to: to.max(from) }
    }

    pub(crate) fn overlaps(self, other: Self) -> bool {
        self.from <= other.to && other.from <= self.to
    }

    /// Longer by `slack_ns` at both ends.
    pub(crate) fn widened(self, slack_ns: u64) -> Self {
        let slack = std::time::Duration::from_nanos(slack_ns);
        Self { from: self.from - slack, to: self.to + slack }
    }
}

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
    pub(crate) events: Vec<Event<'a>>,
    queues: Vec<&'a Queue>,
    units: BTreeMap<&'a UnitName, Vec<UnitState<'a>>>,
    exits: Vec<(MonoTime, Option<&'a UnitName>)>,
    counters: Vec<(MonoTime, &'a [(String, u64)])>,
}

/// One run of one step.
pub(crate) struct Event<'a> {
    pub(crate) begin: &'a StepBegin,
    /// None if the record ends before the event does.
    pub(crate) end: Option<&'a StepEnd>,
    /// The next event's beginning, or the end of the load.
    pub(crate) until: MonoTime,
    /// Its step in the plan.
    pub(crate) step: Option<&'a Step>,
    /// The service it is about, or the scenario's.
    service: Option<&'a UnitName>,
}

/// What a unit was from a moment on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct UnitState<'a> {
    pub(crate) at: MonoTime,
    pub(crate) active_state: &'a str,
    pub(crate) sub_state: &'a str,
    pub(crate) result: &'a str,
}

impl UnitState<'_> {
    pub(crate) fn is_active(&self) -> bool {
        matches!(self.active_state, "active" | "reloading")
    }
}

/// What the kernel showed of the listeners at one address during a span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ListenerView {
    /// At some moment nobody listened.
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
        let last = last_moment(record);
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
            events: events(record, load_end),
            queues: Vec::new(),
            units: BTreeMap::new(),
            exits: Vec::new(),
            counters: Vec::new(),
        };
        record.lines.iter().for_each(|line| timeline.note(line));
        timeline.sort();
        timeline
    }

    fn note(&mut self, line: &'a Line) {
        match line {
            Line::StepBegin(begin) => self.note_snapshots(&begin.before),
            Line::StepEnd(end) => {
                self.note_snapshots(&end.after);
                self.exits.extend(end.old_main_gone_at.map(|at| (at, None)));
            }
            Line::Unit(change) => self.units.entry(&change.unit).or_default().push(UnitState {
                at: change.changed_at.unwrap_or(change.at),
                active_state: &change.active_state,
                sub_state: &change.sub_state,
                result: &change.result,
            }),
            Line::Queue(queue) => self.queues.push(queue),
            Line::Process(change) if !change.began => self.exits.push((change.at, change.unit.as_ref())),
            Line::Counters(counters) => self.counters.push((counters.at, &counters.values)),
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
        self.units.values_mut().for_each(|states| states.sort_by_key(|state| state.at));
        self.exits.sort();
        self.counters.sort_by_key(|&(at, _)| at);
    }

    /// The row that `at` falls into.
    pub(crate) fn row_index(&self, at: MonoTime) -> u64 {
        at.nanos_since(self.load_start) / ROW_NS
    }

    /// The due times of a row.
    pub(crate) fn row_span(&self, index: u64) -> Span {
        let from = MonoTime::from_nanos(self.load_start.as_nanos().saturating_add(index.saturating_mul(ROW_NS)));
        Span { from, to: MonoTime::from_nanos(from.as_nanos().saturating_add(ROW_NS - 1)) }
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

    /// The scenario's service, or the one that an event is about.
    pub(crate) fn service(&self) -> Option<&'a UnitName> {
        let named = self.plan.units.as_ref().and_then(|units| units.service.as_ref());
        let seen = || self.units.keys().copied().find(|unit| unit.kind() == UnitKind::Service);
        named.or_else(seen)
    }

    /// The states a unit was in during `span`: the one it entered it with, and those it took on.
    pub(crate) fn states(&self, unit: &UnitName, span: Span) -> &[UnitState<'a>] {
        let Some(states) = self.units.get(unit) else { return &[] };
        let entered = states.partition_point(|state| state.at <= span.from).saturating_sub(1);
        let left = states.partition_point(|state| state.at <= span.to);
        states.get(entered..left).unwrap_or_default()
    }

    /// What the kernel showed at an address during `span`; none if it was never asked about it.
    pub(crate) fn listeners(&self, destination: &Destination, span: Span) -> Option<ListenerView> {
        let of = |queue: &&'a Queue| -> Vec<&'a Listener> {
            queue.listeners.iter().filter(|listener| serves(&listener.endpoint, destination)).collect()
        };
        if !self.queues.iter().any(|queue| !of(queue).is_empty()) {
            return None;
        }
        let entered = self.queues.partition_point(|queue| queue.at <= span.from).saturating_sub(1);
        let left = self.queues.partition_point(|queue| queue.at <= span.to);
        let during = self.queues.get(entered..left).filter(|during| !during.is_empty())?;
        let mut view = ListenerView::default();
        let mut inodes: Option<Vec<u64>> = None;
        for queue in during {
            let listeners = of(queue);
            view.absent |= listeners.is_empty();
            view.peak = view.peak.max(listeners.iter().map(|listener| (listener.queued, listener.backlog)).max());
            let now: Vec<u64> = listeners.iter().map(|listener| listener.inode).collect();
            view.changed |= inodes.as_ref().is_some_and(|before| *before != now);
            inodes = Some(now);
        }
        Some(view)
    }

    /// The span around `within` in which nobody listened at an address, as the kernel showed it.
    pub(crate) fn listener_gap(&self, destination: &Destination, within: Span) -> Option<Span> {
        let is_absent =
            |queue: &&Queue| !queue.listeners.iter().any(|listener| serves(&listener.endpoint, destination));
        self.listeners(destination, within).filter(|view| view.absent)?;
        let from = self.queues.iter().rposition(|queue| queue.at <= within.to && is_absent(queue))?;
        let first = self.queues[..from].iter().rposition(|queue| !is_absent(queue)).map_or(0, |present| present + 1);
        let back = self.queues[from..].iter().find(|queue| !is_absent(queue)).map_or(self.load_end, |queue| queue.at);
        Some(Span::new(self.queues[first].at, back))
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
        let by_action =
            matches!(event.step.map(|step| &step.action), Some(Action::Kill { signal, .. }) if *signal == Signal::KILL);
        let exit = event.service_after().and_then(|after| after.service.as_ref()?.main_exit.as_deref());
        let by_exit = exit.is_some_and(|exit| exit == "killed 9" || exit.starts_with("dumped"));
        let states = self.service().map(|service| self.states(service, event.span())).unwrap_or_default();
        let by_patience = |state: &UnitState<'_>| state.at >= event.begin.at && state.sub_state.ends_with("-sigkill");
        by_action || by_exit || states.iter().any(by_patience)
    }

    /// The kernel's listeners as last seen at `at`.
    pub(crate) fn listeners_at(&self, at: MonoTime) -> Option<&'a [Listener]> {
        let seen = self.queues.partition_point(|queue| queue.at <= at);
        Some(&self.queues.get(seen.checked_sub(1)?)?.listeners)
    }

    /// Whether a main process of `service` (or of whatever an event restarted) ended in `span`.
    pub(crate) fn has_exit(&self, service: Option<&UnitName>, span: Span) -> bool {
        self.exits.iter().any(|&(at, unit)| (unit.is_none() || unit == service) && span.overlaps(Span::new(at, at)))
    }

    /// Whether a counter of the kernel rose in `span`; none if it was never read.
    pub(crate) fn rose(&self, counter: &str, span: Span) -> Option<bool> {
        let read = |values: &[(String, u64)]| values.iter().find(|(name, _)| name == counter).map(|&(_, value)| value);
        let points: Vec<(MonoTime, u64)> =
            self.counters.iter().filter_map(|&(at, values)| read(values).map(|value| (at, value))).collect();
        let first = points.first()?.1;
        let at = |limit: MonoTime| points.iter().rev().find(|(at, _)| *at <= limit).map_or(first, |&(_, value)| value);
        Some(at(span.to) > at(span.from))
    }
}

impl<'a> Event<'a> {
    pub(crate) fn span(&self) -> Span {
        Span::new(self.begin.at, self.until)
    }

    pub(crate) fn service_before(&self) -> Option<&'a UnitSnapshot> {
        snapshot_of(&self.begin.before, self.service)
    }

    pub(crate) fn service_after(&self) -> Option<&'a UnitSnapshot> {
        snapshot_of(&self.end?.after, self.service)
    }

    /// The unit it is about, just before and when it was over.
    pub(crate) fn unit_pair(&self) -> Option<(&'a UnitSnapshot, &'a UnitSnapshot)> {
        let unit = self.begin.unit.as_ref()?;
        Some((snapshot_of(&self.begin.before, Some(unit))?, snapshot_of(&self.end?.after, Some(unit))?))
    }

    pub(crate) fn pid_before(&self) -> Option<u32> {
        self.service_before()?.main_process().map(|process| process.pid)
    }

    pub(crate) fn pid_after(&self) -> Option<u32> {
        self.service_after()?.main_process().map(|process| process.pid)
    }

    /// When the old main process was gone.
    pub(crate) fn gone_at(&self) -> Option<MonoTime> {
        self.end?.old_main_gone_at
    }

    /// When the new main process began; none if the event brought none.
    pub(crate) fn started_at(&self) -> Option<MonoTime> {
        let started = self.service_after()?.service.as_ref()?.main_started_at?;
        (started >= self.begin.at).then_some(started)
    }

    /// Whether it changes the state of a unit, and so can drop something.
    pub(crate) fn is_acting(&self) -> bool {
        self.begin.unit.is_some()
            && !matches!(self.begin.action, ActionKind::Wait | ActionKind::Request | ActionKind::Gate)
    }
}

fn events(record: &Record, load_end: MonoTime) -> Vec<Event<'_>> {
    let plan = &record.begin.plan;
    let begins: Vec<&StepBegin> = record
        .lines
        .iter()
        .filter_map(|line| match line {
            Line::StepBegin(begin) => Some(begin),
            _ => None,
        })
        .collect();
    let ends: BTreeMap<EventId, &StepEnd> = record
        .lines
        .iter()
        .filter_map(|line| match line {
            Line::StepEnd(end) => Some((end.event, end.as_ref())),
            _ => None,
        })
        .collect();
    let until = |place: usize| begins.get(place + 1).map_or(load_end, |next| next.at);
    let service = plan.units.as_ref().and_then(|units| units.service.as_ref());
    let of = |(place, begin): (usize, &&'_ StepBegin)| until(place).max(begin.at);
    begins
        .iter()
        .enumerate()
        .map(|(place, &begin)| Event {
            begin,
            end: ends.get(&begin.event).copied(),
            until: of((place, &begin)),
            step: plan.steps.get(usize::from(begin.step)),
            service: begin.unit.as_ref().filter(|unit| unit.kind() == UnitKind::Service).or(service),
        })
        .collect()
}

fn snapshot_of<'a>(snapshots: &'a [UnitSnapshot], unit: Option<&UnitName>) -> Option<&'a UnitSnapshot> {
    match unit {
        Some(unit) => snapshots.iter().find(|snapshot| snapshot.unit == *unit),
        None => snapshots.iter().find(|snapshot| snapshot.unit.kind() == UnitKind::Service),
    }
}

/// Whether a listener at `endpoint` takes connections to `destination`. A host name stands for any address:
/// only its port can be compared.
fn serves(endpoint: &Endpoint, destination: &Destination) -> bool {
    match (endpoint, destination) {
        (Endpoint::Unix(path), Destination::Unix(wanted)) => path == wanted,
        (Endpoint::Tcp(address), Destination::Host { host, port }) => {
            let same_host = host.parse().map_or(true, |ip: std::net::IpAddr| address.ip() == ip);
            address.port() == *port && (same_host || address.ip().is_unspecified())
        }
        _ => false,
    }
}

/// The last moment that anything in the record speaks of.
fn last_moment(record: &Record) -> MonoTime {
    let of_line = |line: &Line| match line {
        Line::Phase(change) => change.at,
        Line::Segment(segment) => segment.to,
        Line::StepBegin(begin) => begin.at,
        Line::StepEnd(end) => end.at,
        Line::Unit(change) => change.at,
        Line::Queue(queue) => queue.at,
        Line::Process(change) => change.at,
        Line::Rows(rows) => {
            let ends = rows.rows.iter().filter_map(|row| row.ok_ends.map(|(_, last)| last));
            ends.max().unwrap_or_default()
        }
        _ => MonoTime::default(),
    };
    let end = record.end.as_ref().map_or(record.begin.anchor, |end| end.at);
    record.lines.iter().map(of_line).fold(end, MonoTime::max)
}
