//! One failure, or several of a kind in one tenth of a second, with what is known around it.

use crate::analysis::event::Event;
use crate::analysis::timeline::{ListenerView, Timeline, UnitState};
use crate::analysis::trace::ResetWord;
use crate::model::{ActiveState, EventId, FailureClass, FailureKey, Instead, MonoTime, Span, UnitName};
use crate::record::segment::{FailureSample, Scope};
use crate::result::EventPhase;
use crate::scenario::plan::{Cohort, Destination};

/// What the observers may lag behind what they observe.
pub(super) const OBSERVER_LAG_NS: u64 = 50_000_000;

/// It ended with a reset: the kernel threw away what nobody had read.
pub(crate) const RESET: &[FailureClass] =
    &[FailureClass::ResetBeforeResponse, FailureClass::WriteFailed, FailureClass::ConnectReset];

/// One phase of one event, as one cohort saw it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PhaseSpan {
    pub(crate) event: EventId,
    pub(crate) phase: EventPhase,
    pub(crate) span: Span,
    /// The event does not let the process end of its own will.
    pub(crate) is_killing: bool,
    /// The event is to end or bring a process; during a mere wait, one crashes or comes up by itself.
    pub(crate) is_asked: bool,
}

/// The phases of an event, in order; none if it neither ended nor brought a process.
pub(crate) fn phases(event: &Event<'_>, is_killing: bool, first_ok_end: Option<MonoTime>) -> Vec<PhaseSpan> {
    let (begin, gone, started) = (event.begin.at, event.gone_at(), event.started_at());
    let mut phases = Vec::new();
    let (event_id, is_asked) = (event.begin.event, !event.is_watching());
    let mut push = |phase, from, to| {
        phases.push(PhaseSpan { event: event_id, phase, span: Span::new(from, to), is_killing, is_asked });
    };
    match (gone, started) {
        (Some(stopped), _) | (None, Some(stopped)) if is_asked => push(EventPhase::Stopping, begin, stopped),
        // When it began to stop is not known.
        (Some(gone), _) => push(EventPhase::Stopping, gone, gone),
        _ => {}
    }
    if let Some(gone) = gone {
        push(EventPhase::Down, gone, started.unwrap_or(event.until));
    }
    if let Some(started) = started {
        push(EventPhase::Starting, started, first_ok_end.unwrap_or(event.until));
    }
    phases
}

/// What the server had of a request when its connection ended, as the kernel tells it: a process that closes or ends
/// with unread bytes has the connection reset, a process that had read them all has it closed in order (`tcp_close`,
/// net/ipv4/tcp.c; `unix_release_sock`, net/unix/af_unix.c).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hold {
    /// It had read it.
    InHand,
    /// It had not.
    Unread,
    /// Nothing tells.
    Unknown,
}

/// What is to be explained.
pub(crate) struct Case<'a> {
    pub(crate) key: FailureKey,
    /// Its client.
    pub(crate) cohort: &'a Cohort,
    /// When it was due.
    pub(crate) due: Span,
    /// When it can have failed.
    pub(crate) moment: Span,
    /// What tells when it failed, if any sample does.
    pub(crate) sample: Option<&'a FailureSample>,
    /// What may lie between the clock of the service's machine and ours, in nanoseconds; negative: what does so for
    /// certain. 0 where both are the same.
    pub(crate) slack_ns: i64,
    /// Why the kernel reset its connection, where its trace tells.
    pub(crate) word: Option<ResetWord>,
    /// When its connection was established, where a sample tells.
    pub(crate) connected: Option<MonoTime>,
    /// What the server spoke, where a sample tells that it was not the HTTP/2 that it was asked for.
    pub(crate) instead: Option<Instead>,
    /// The phases of all events, as its cohort saw them.
    pub(crate) phases: &'a [PhaseSpan],
    /// When the service came up that no event had asked to.
    pub(crate) unasked_starts: &'a [Span],
    /// When requests of its cohort were answered, in order.
    pub(crate) answers: &'a [MonoTime],
    pub(crate) timeline: &'a Timeline<'a>,
}

impl<'a> Case<'a> {
    /// When failures of `key` that were due in `due` can have ended, if no sample tells: by the end of the run.
    pub(crate) fn moment_of(key: FailureKey, cohort: &Cohort, due: Span, last: MonoTime) -> Span {
        let span = Self::unbounded_moment(key, cohort, due);
        Span::new(span.from.min(last), span.to.min(last))
    }

    fn unbounded_moment(key: FailureKey, cohort: &Cohort, due: Span) -> Span {
        let target = &cohort.target;
        match key.class {
            FailureClass::Refused | FailureClass::PathMissing | FailureClass::Permission | FailureClass::QueueFull => {
                due
            }
            FailureClass::ResponseTimeout | FailureClass::NoConnection => {
                Span::new(due.from + target.timeout, due.to + target.timeout)
            }
            FailureClass::ConnectTimeout => Span::new(due.from, due.to + target.connect_timeout),
            _ => Span::new(due.from, due.to + target.timeout),
        }
    }

    /// The same failure as a sample saw it.
    pub(crate) fn sharpened(&self, sample: &'a FailureSample) -> Self {
        // A connection is turned away when it is tried; that it was too often shows only at the end.
        let from = if sample.key.class == FailureClass::ConnectTimeout { sample.due } else { sample.end };
        Self {
            due: Span::new(sample.due, sample.due).widened(sample.off_ns),
            moment: Span::new(from, sample.end).widened(sample.off_ns),
            sample: Some(sample),
            word: self.timeline.trace.reset_of(sample, self.destination(), self.slack_ns),
            connected: sample.connected,
            instead: sample.instead,
            ..*self
        }
    }

    /// The same failure, if the other machine's clock is taken to be so far off.
    pub(crate) fn with_slack(&self, slack_ns: i64) -> Self {
        let case = Self { slack_ns, ..*self };
        self.sample.map_or(Self { slack_ns, ..*self }, |sample| case.sharpened(sample))
    }

    /// A span of our clock, for what was seen on the service's machine.
    pub(crate) fn there(&self, span: Span) -> Span {
        span.stretched(self.slack_ns)
    }

    pub(crate) fn is(&self, classes: &[FailureClass]) -> bool {
        classes.contains(&self.key.class)
    }

    pub(crate) fn destination(&self) -> &'a Destination {
        &self.cohort.target.connect
    }

    /// The moment, with room for late observers.
    pub(crate) fn seen(&self) -> Span {
        self.there(self.moment.widened(OBSERVER_LAG_NS))
    }

    /// The phase that it failed in.
    pub(crate) fn phase(&self, scope: Scope) -> EventPhase {
        let Scope::Event(event) = scope else { return EventPhase::Before };
        let failed = Span::new(self.moment.to, self.moment.to);
        let own = self.phases.iter().filter(|span| span.event == event);
        own.filter(|span| span.span.overlaps(failed)).map(|span| span.phase).min().unwrap_or(EventPhase::After)
    }

    pub(crate) fn is_in(&self, phase: EventPhase) -> bool {
        self.phases.iter().any(|span| span.phase == phase && span.span.overlaps(self.seen()))
    }

    /// While a process was not up yet that no event had asked to start: a first start, or one after a crash.
    pub(crate) fn is_in_unasked_start(&self) -> bool {
        self.unasked_starts.iter().any(|start| start.overlaps(self.seen()))
    }

    /// A process was stopping at some time of its connection's life.
    pub(crate) fn was_open_while_stopping(&self) -> bool {
        let open = Span::new(self.connected.unwrap_or(self.moment.from), self.moment.to);
        let stopping = |span: &&PhaseSpan| span.phase == EventPhase::Stopping;
        self.phases.iter().filter(stopping).any(|span| span.span.overlaps(self.there(open)))
    }

    /// While a process was made to end that could not finish its work.
    pub(crate) fn is_in_killing(&self) -> bool {
        let killing = |span: &&PhaseSpan| span.is_killing && span.phase == EventPhase::Stopping;
        self.phases.iter().filter(killing).any(|span| span.span.overlaps(self.seen()))
    }

    /// A process that served ended at that moment, asked or not.
    pub(crate) fn is_at_exit(&self) -> bool {
        self.timeline.processes.exits(self.timeline.service(), self.seen()).next().is_some()
    }

    /// A process was about to end, or ended.
    pub(crate) fn is_in_ending(&self) -> bool {
        self.is_in(EventPhase::Stopping) || self.is_at_exit()
    }

    /// It ended with its process and not before.
    pub(crate) fn died_with_process(&self) -> bool {
        let ended = self.is_in_killing() || (self.is_at_exit() && !self.is_in(EventPhase::Stopping));
        ended && !self.was_flushed()
    }

    /// What the server had of it.
    pub(crate) fn hold(&self) -> Hold {
        use FailureClass::{
            ClosedBeforeResponse, ClosedMidResponse, ConnectReset, ResetBeforeResponse, ResetMidResponse, StreamReset,
            WriteFailed,
        };
        let was_reset = self.key.errno.is_some() || self.word.is_some();
        match self.key.class {
            // A stream that was not processed would be refused (RFC 9113, section 8.7).
            ClosedMidResponse | ResetMidResponse | StreamReset => Hold::InHand,
            // An orderly end: unless a reset answered the request, it had been read. From afar that reset may come
            // after the client has looked.
            ClosedBeforeResponse if was_reset => Hold::Unread,
            ClosedBeforeResponse if self.is_local() => Hold::InHand,
            // No queue holds a kept connection: the server had it thrown away.
            ResetBeforeResponse if self.word == Some(ResetWord::Aborted) => Hold::Unknown,
            ResetBeforeResponse if self.word == Some(ResetWord::QueueClosed) && self.key.reused => Hold::Unknown,
            ResetBeforeResponse | WriteFailed | ConnectReset => Hold::Unread,
            _ => Hold::Unknown,
        }
    }

    /// What is written to it arrives at once.
    pub(crate) fn is_local(&self) -> bool {
        let is_loopback = self.destination().host().is_none_or(|(host, _)| {
            host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
        });
        is_loopback || (self.timeline.clock().is_none() && self.timeline.is_watched(self.destination()))
    }

    /// From when it was due until it failed.
    pub(crate) fn wait(&self) -> Span {
        Span::new(self.due.from, self.moment.to)
    }

    /// How much of its wait passed in these phases, in nanoseconds.
    fn waited_in(&self, phases: &[EventPhase]) -> u64 {
        let meant = self.phases.iter().filter(|span| phases.contains(&span.phase));
        meant.map(|span| span.span.shared_ns(self.there(self.wait()))).sum()
    }

    /// It waited for an old process to end, longer than for the new one to come up.
    pub(crate) fn waited_for_stop(&self) -> bool {
        let stopping = self.waited_in(&[EventPhase::Stopping]);
        stopping > 0 && stopping >= self.waited_in(&[EventPhase::Down, EventPhase::Starting])
    }

    /// A request of its cohort was answered after it had failed.
    pub(crate) fn was_followed_by_an_answer(&self) -> bool {
        self.answers.last().is_some_and(|last| *last > self.moment.to)
    }

    /// No request of its cohort was answered while it waited.
    pub(crate) fn nothing_was_answered(&self) -> bool {
        let next = self.answers.partition_point(|answer| *answer <= self.due.to);
        self.answers.get(next).is_none_or(|answer| *answer > self.moment.to)
    }

    /// A request of its cohort was answered at some time of the run.
    pub(crate) fn was_ever_answered(&self) -> bool {
        !self.answers.is_empty()
    }

    /// A process of the service ran all the while that it waited.
    pub(crate) fn service_ran(&self) -> bool {
        let wait = self.there(self.wait());
        let is_active = |unit: &UnitName| {
            let states = self.timeline.states(unit, wait);
            !states.is_empty() && states.iter().all(UnitState::is_active)
        };
        let (processes, service) = (&self.timeline.processes, self.timeline.service());
        let is_seen = !self.timeline.is_lost_by(wait.to);
        match service {
            Some(service) => is_seen && processes.runs_through(service, wait) || is_active(service),
            None => is_seen && processes.holds_through(self.destination(), wait),
        }
    }

    /// The service is one that tells when it is ready (Type=notify), and was active as it failed.
    pub(crate) fn service_said_that_it_is_ready(&self) -> bool {
        let of_type = self.timeline.service_state().is_some_and(|service| service.service_type.starts_with("notify"));
        of_type && self.service_states().last().is_some_and(UnitState::is_active)
    }

    /// A process holds the listener, listens elsewhere and was never seen with a connection of this one.
    pub(crate) fn service_listens_elsewhere(&self) -> bool {
        self.timeline.processes.listens_elsewhere(self.destination(), self.timeline.service())
    }

    /// Connections were seen to wait in the accept queue.
    pub(crate) fn queue_was_filled(&self) -> bool {
        self.listener().and_then(|view| view.peak).is_some_and(|(queued, _)| queued > 0)
    }

    /// It may have waited in the accept queue: one was seen filled, or it was too young to tell.
    pub(crate) fn may_have_been_queued(&self) -> bool {
        let lag_ns = OBSERVER_LAG_NS.saturating_add_signed(self.slack_ns);
        let is_young = self.connected.is_none_or(|at| self.moment.to.nanos_since(at) <= lag_ns);
        is_young || self.queue_was_filled()
    }

    /// It waited for a service that ended, and FlushPending= says what becomes of those: the manager accepts them
    /// and closes them unread.
    pub(crate) fn was_flushed(&self) -> bool {
        let flushes = self.timeline.socket_state().is_some_and(|socket| socket.flush_pending);
        flushes && !self.key.reused && self.is(RESET) && self.queue_was_filled() && self.listener_was_kept()
    }

    /// The socket unit has a service for each connection.
    pub(crate) fn is_accepted_by_manager(&self) -> bool {
        self.timeline.socket_state().is_some_and(|socket| socket.accept)
    }

    /// Something between the client and the service is known to pass requests on: the scenario says so, a known proxy
    /// holds the listener, or the socket unit has no such address and its service is reached all the same.
    pub(crate) fn has_front(&self) -> bool {
        let is_of_socket = |socket: &crate::model::SocketState| {
            socket.listen.is_empty() || socket.listen.iter().any(|endpoint| self.destination().reaches(endpoint))
        };
        let socket = self.timeline.socket_state();
        self.cohort.target.front
            || self.timeline.processes.proxy_at(self.destination(), self.there(self.moment).to).is_some()
            || socket.is_some_and(|socket| !is_of_socket(socket))
    }

    /// Connections go to a socket that the manager holds.
    pub(crate) fn has_socket_unit(&self) -> bool {
        self.timeline.socket().is_some()
    }

    /// States of the socket unit around the moment; empty if there is none, or nothing is known.
    pub(crate) fn socket_states(&self) -> &'a [UnitState<'a>] {
        self.states_of(self.timeline.socket())
    }

    /// States of the service around the moment.
    pub(crate) fn service_states(&self) -> &'a [UnitState<'a>] {
        self.states_of(self.timeline.service())
    }

    fn states_of(&self, unit: Option<&UnitName>) -> &'a [UnitState<'a>] {
        unit.map_or(&[], |unit| self.timeline.states(unit, self.seen()))
    }

    /// The socket unit was active all the time: known, not assumed.
    pub(crate) fn socket_is_active(&self) -> bool {
        let states = self.socket_states();
        !states.is_empty() && states.iter().all(UnitState::is_active)
    }

    /// The socket unit was seen in another state than active.
    pub(crate) fn socket_is_down(&self) -> bool {
        self.socket_states().iter().any(|state| !state.is_active())
    }

    /// A unit in the way had failed with that result.
    pub(crate) fn has_result(&self, results: &[&str]) -> bool {
        let mut states = self.socket_states().iter().chain(self.service_states());
        states.any(|state| *state.active_state == ActiveState::Failed && results.contains(&state.result))
    }

    /// What the kernel showed of the listener around the moment; none if it was not asked.
    pub(crate) fn listener(&self) -> Option<ListenerView> {
        self.timeline.listeners(self.destination(), self.seen())
    }

    /// The listener that the client had connected to went away.
    pub(crate) fn listener_was_lost(&self) -> bool {
        match self.listener() {
            Some(view) => !view.is_steady(),
            None if self.has_socket_unit() => self.socket_is_down(),
            None => self.is_in(EventPhase::Stopping),
        }
    }

    /// The listener stayed: by the kernel's word, or because an active socket unit holds it.
    pub(crate) fn listener_was_kept(&self) -> bool {
        self.listener().map_or_else(|| self.socket_is_active(), ListenerView::is_steady)
    }
}
