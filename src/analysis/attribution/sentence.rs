//! Evidence in a sentence.

use std::collections::BTreeSet;
use std::time::Duration;

use super::Finding;
use super::case::OBSERVER_LAG_NS;
use super::datagram;
use crate::analysis::event::Event;
use crate::analysis::number::span_ms;
use crate::analysis::timeline::{Timeline, UnitState};
use crate::model::{Cause, Instead, MonoTime, ProcessId, Signal, SocketState, Span};
use crate::result::EventPhase;
use crate::scenario::describe;
use crate::scenario::plan::Destination;

/// What is told of one cause in one event.
pub(super) struct Told {
    pub(super) sentence: String,
    /// What helps here, where that is something else than what helps in general.
    pub(super) remedy: Option<String>,
}

/// What was seen of the failures in `finding`: their number and classes, then the mechanism with its times.
pub(super) fn of(cause: Cause, finding: &Finding, event: Option<&Event<'_>>, timeline: &Timeline<'_>) -> Told {
    let classes: Vec<String> =
        finding.classes.iter().map(|(class, n)| format!("{n} {}", class.name().replace('_', " "))).collect();
    let span = finding.span().unwrap_or(Span::new(timeline.origin, timeline.origin));
    let scene = Scene { span, finding, event, timeline };
    Told {
        sentence: format!("{}: {}{}", classes.join(", "), scene.mechanism(cause), standing(cause, finding)),
        remedy: match cause {
            Cause::KilledInFlight => scene.remedy_of_kill(),
            Cause::AcceptedUnread => scene.remedy_of_limit(),
            Cause::AcceptQueueReset => scene.remedy_of_socket(),
            Cause::QueueOverflow => scene.destinations().into_iter().find_map(datagram::remedy_of_overflow),
            Cause::Ambiguous if scene.is_unconfirmed() => Some(datagram::REMEDY_OF_UNCONFIRMED.to_owned()),
            _ => None,
        },
    }
}

/// More processes than these are counted instead of named.
const PROCESSES_TOLD: usize = 3;

/// systemd tells of an exit after the kernel does.
const UNIT_LAG: Duration = Duration::from_secs(1);

/// More gaps of a listener than these are counted instead of told one by one.
const GAPS_TOLD: usize = 3;

/// Whether the cause is to be believed on the kernel's word or on ours.
fn standing(cause: Cause, finding: &Finding) -> String {
    match (finding.attested, finding.count) {
        _ if cause == Cause::Ambiguous => String::new(),
        (0, _) => " (inferred)".to_owned(),
        (attested, count) if attested == count => " (attested by the kernel's trace)".to_owned(),
        (attested, count) => format!(" ({attested} attested by the kernel's trace, {} inferred)", count - attested),
    }
}

struct Scene<'a> {
    span: Span,
    finding: &'a Finding,
    event: Option<&'a Event<'a>>,
    timeline: &'a Timeline<'a>,
}

impl Scene<'_> {
    fn mechanism(&self, cause: Cause) -> String {
        let (address, when) = (self.addresses(), self.when());
        match cause {
            Cause::NoListener => self.no_listener(&address),
            Cause::AcceptQueueReset if self.is_of_datagrams() => {
                format!(
                    "the socket of {address} was closed with them in its receive queue, before {when}{}",
                    self.stop()
                )
            }
            Cause::AcceptQueueReset => {
                format!("the listener on {address} was closed {when} with them in its accept queue{}", self.stop())
            }
            Cause::AcceptedUnread => self.accepted_unread(&when),
            Cause::KeepAliveRace => {
                format!("the server closed kept connections {when} before it had read these requests{}", self.stop())
            }
            Cause::KilledInFlight => self.killed_in_flight(&when),
            Cause::QueueOverflow => self.queue_overflow(&address, &when),
            Cause::SlowStart => format!("{} had not answered yet {when}", self.new_process()),
            Cause::SlowStop => self.slow_stop(&when),
            Cause::NotAccepted => self.not_accepted(&address, &when),
            Cause::GoawayRace => format!("the streams crossed the GOAWAY of {address}, {when}"),
            Cause::Tls => format!("TLS with {address} failed {when}{}", self.tls_faults()),
            Cause::StartLimit => {
                format!(
                    "systemd had refused to start the service again (start limit hit), and no process was listening on {address} {when}"
                )
            }
            Cause::TriggerLimit => {
                format!(
                    "{} had failed (trigger limit hit), and no process was listening on {address} {when}",
                    self.socket()
                )
            }
            Cause::SocketUnitDown => format!("{} was not active {when}", self.socket()),
            Cause::PathUnlinked => format!("the path {address} was removed while its listener lived on, {when}"),
            Cause::Permission => format!("the client may not connect to {address}, {when}"),
            Cause::ProxyUpstream => {
                let (proxy, answers) = (self.proxy(), self.answers());
                format!("{proxy} answered {answers} for a server that it could not reach, {when}")
            }
            Cause::Application => {
                format!("the application at {address} gave an unexpected answer, {}, {when}", self.answers())
            }
            Cause::Ambiguous if self.is_unconfirmed() => {
                let within = self.event.map_or(self.span, |event| event.span().hull(self.span));
                datagram::unconfirmed(&self.destinations(), &when, within, self.timeline)
            }
            Cause::Ambiguous if self.finding.own == self.finding.count => {
                format!("the load thread itself did not keep up {when}, so nothing can be said of the target")
            }
            Cause::Ambiguous => {
                let stop = if self.is_of_event() { self.stop() } else { String::new() };
                format!(
                    "no single mechanism explains these failures, {when}{}{}{stop}",
                    self.instead(),
                    self.seen_of_listeners()
                )
            }
        }
    }

    /// By the kernel's word where there is one, else by what the clients saw.
    fn no_listener(&self, address: &str) -> String {
        let mut seen = self
            .destinations()
            .into_iter()
            .map(|destination| self.timeline.listener_gaps(destination, self.timeline.there(self.span)));
        let gaps = seen.find(|gaps| !gaps.is_empty()).unwrap_or_else(|| vec![self.span]);
        let spans = match gaps.as_slice() {
            [first, .., last] if gaps.len() > GAPS_TOLD => {
                format!("{} times between {} and {}", gaps.len(), self.at(first.from), self.at(last.to))
            }
            few => {
                let told = few.iter().map(|gap| format!("from {} to {}", self.at(gap.from), self.at(gap.to)));
                told.collect::<Vec<_>>().join(" and ")
            }
        };
        let whole = gaps.iter().copied().reduce(Span::hull).unwrap_or(self.span);
        let is_asked = self.event.is_some_and(|event| event.gone_at().is_some());
        let processes = if gaps.len() > 1 && !is_asked { self.exits_in(whole) } else { self.processes_of_gap(whole) };
        format!("no process was listening on {address} {spans}{processes}")
    }

    /// A span on the clock of the service's machine, with room for late observers.
    fn around(&self, span: Span) -> Span {
        self.timeline.there(span.widened(OBSERVER_LAG_NS))
    }

    /// The first processes that ended in `span`.
    fn exits_in(&self, span: Span) -> String {
        let exits = self.timeline.processes.exits(self.timeline.service(), self.around(span));
        let told = exits.filter_map(|exit| Some((exit.at, exit.id?))).take(PROCESSES_TOLD);
        let told: Vec<String> = told.map(|(at, id)| format!("; PID {} was gone at {}", id.pid, self.at(at))).collect();
        told.concat()
    }

    /// The end of the process before a gap and the start of the one after it, as far as they lie there: a server may
    /// close its listener long before it ends.
    fn processes_of_gap(&self, gap: Span) -> String {
        let slack = Duration::from_nanos(OBSERVER_LAG_NS);
        let event = self.event.filter(|_| self.is_of_event());
        let asked = event.and_then(|event| Some((event.gone_at()?, event.pid_before())));
        let by_itself = || {
            let around = Span::new(gap.from - slack, gap.to);
            let exit = self.timeline.processes.exits(self.timeline.service(), around).next()?;
            Some((exit.at, exit.id.map(|id| id.pid)))
        };
        let Some((gone, Some(old))) = asked.filter(|(gone, _)| *gone <= gap.to + slack).or_else(by_itself) else {
            return String::new();
        };
        let new = event.and_then(|event| Some((event.pid_after()?, event.started_at()?)));
        let new = new.filter(|&(pid, started)| pid != old && started <= gap.to + slack);
        match new {
            _ if gone < gap.from - slack => String::new(),
            Some((new, started)) if gone > gap.from + slack => {
                let (gone, started) = (self.at(gone), self.at(started));
                format!(
                    "; PID {old} had stopped listening before it was gone at {gone}, and PID {new} started at {started}"
                )
            }
            None if gone > gap.from + slack => {
                format!("; PID {old} had stopped listening before it was gone at {}", self.at(gone))
            }
            Some((new, _)) => format!(", between the exit of PID {old} and the start of PID {new}"),
            None => format!(", after the exit of PID {old}"),
        }
    }

    /// The processes that ended as these requests failed, each once, at most a few.
    fn ended(&self) -> Vec<(MonoTime, ProcessId)> {
        let around = self.around(self.span);
        let exits = self.timeline.processes.exits(self.timeline.service(), around);
        exits.filter_map(|exit| Some((exit.at, exit.id?))).collect()
    }

    fn killed_in_flight(&self, when: &str) -> String {
        let ended = self.ended();
        let gone: Vec<String> =
            ended.iter().map(|(at, id)| format!("PID {} was gone at {}", id.pid, self.at(*at))).collect();
        let (who, gone) = match gone.as_slice() {
            [] if self.event.and_then(Event::gone_at).is_some_and(|gone| !self.around(self.span).holds(gone)) => {
                let who = format!(
                    "{} closed their connections as it stopped, with the requests in hand, {when}",
                    self.old_process()
                );
                (who, self.stop())
            }
            [] => (format!("{} ended with them in hand {when}", self.old_process()), self.stop()),
            [only] => (format!("PID {} ended with them in hand {when}", ended[0].1.pid), format!("; {only}")),
            several => {
                let more = several.len().saturating_sub(PROCESSES_TOLD);
                let told = several.iter().take(PROCESSES_TOLD).cloned().collect::<Vec<_>>().join(", ");
                let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                (format!("{} processes ended with them in hand {when}", several.len()), format!("; {told}{more}"))
            }
        };
        format!("{who}{gone}{}", self.how_it_ended())
    }

    /// The signal, where that says more than that it ended.
    fn how_it_ended(&self) -> String {
        if let Some(signal) = self.deadly_signal() {
            return format!("; it had no handler for {signal}");
        }
        let unit = self.timeline.service();
        let end = unit.and_then(|unit| self.timeline.processes.end_by(unit, self.span.to + UNIT_LAG));
        match end.filter(|_| self.event.is_none_or(|event| !event.is_acting())) {
            Some(end) => format!("; systemd says: {end}"),
            None => String::new(),
        }
    }

    /// The signal that this event sent to a main process that had no handler for it, other than SIGKILL.
    fn deadly_signal(&self) -> Option<Signal> {
        let event = self.event.filter(|event| event.is_acting())?;
        let before = event.service_before()?;
        let stop = before.service.as_ref()?.kill_signal.and_then(|number| Signal::from_name(&number.to_string()));
        let signal = event.signal().or(stop).unwrap_or(Signal::TERM);
        let lacks = self.timeline.processes.lacks_handler(before.main_process()?, signal)?;
        (lacks && signal != Signal::KILL).then_some(signal)
    }

    /// What helps depends on how the process ended.
    fn remedy_of_kill(&self) -> Option<String> {
        let event = self.event;
        if event.and_then(Event::signal) == Some(Signal::KILL) {
            let remedy = "A process cannot handle SIGKILL: have clients or a proxy send idempotent requests again, or end the service by its KillSignal=.";
            return Some(remedy.to_owned());
        }
        if let Some(signal) = self.deadly_signal() {
            return Some(format!(
                "Handle {signal}: stop accepting, answer what is in hand, then end. Keep TimeoutStopSec= longer than the slowest request."
            ));
        }
        let by_itself = event.is_none_or(|event| !event.is_acting()) && !self.ended().is_empty();
        by_itself
            .then(|| "Find out why the process ended: see its log, what it exited with, and who signals it.".to_owned())
    }

    /// Drain and boot apart.
    fn slow_stop(&self, when: &str) -> String {
        let took = |from: MonoTime, to: MonoTime| format!("{:.1} s", span_ms(from, to) / 1e3);
        let event = self.event;
        let drain = event.and_then(|event| Some((event.begin.at, event.gone_at()?)));
        let boot = event.and_then(|event| Some((event.started_at()?, event.end?.ready_at?)));
        let drain = drain.map(|(from, to)| {
            format!("; the drain took {}, from {} to {}", took(from, to), self.at(from), self.at(to))
        });
        let boot = boot.filter(|(started, ready)| ready > started).map(|(started, ready)| {
            format!("; the boot took {}, from {} to {}", took(started, ready), self.at(started), self.at(ready))
        });
        let (drain, boot) = (drain.unwrap_or_default(), boot.unwrap_or_default());
        let queued =
            event.and_then(|event| self.timeline.queue_stands_from(Span::new(event.begin.at, event.gone_at()?)));
        let queued = queued.map_or_else(String::new, |from| {
            format!("; connections waited in its accept queue from {}", self.at(from))
        });
        format!("{} no longer accepted and had not ended {when}{queued}{drain}{boot}", self.old_process())
    }

    fn not_accepted(&self, address: &str, when: &str) -> String {
        let (processes, service) = (&self.timeline.processes, self.timeline.service());
        let destinations = self.destinations().into_iter();
        let elsewhere: Vec<_> =
            destinations.flat_map(|to| processes.listening_elsewhere(to, service, self.span.to)).collect();
        let addresses: BTreeSet<String> =
            elsewhere.iter().flat_map(|holder| &holder.also_listens).map(ToString::to_string).collect();
        let service = || service.map_or_else(|| "the service".to_owned(), ToString::to_string);
        let who = elsewhere.first().map_or_else(service, |holder| holder.process.to_string());
        let addresses = addresses.into_iter().collect::<Vec<_>>().join(", ");
        let elsewhere = if addresses.is_empty() { addresses } else { format!("; it listens on {addresses}") };
        format!("{who} ran and took no connection from {address} {when}{elsewhere}{}", self.depth())
    }

    /// What answered in place of the server.
    fn proxy(&self) -> String {
        let mut proxies =
            self.destinations().into_iter().filter_map(|to| self.timeline.processes.proxy_at(to, self.span.to));
        proxies.next().map_or_else(|| "a proxy".to_owned(), ToString::to_string)
    }

    /// The statuses of wrong answers: `503 (12 times)`, `UNAVAILABLE (3 times)`.
    fn answers(&self) -> String {
        let statuses = self.finding.statuses.iter().map(|(status, n)| format!("{status} ({n} times)"));
        let of_grpc = self.finding.grpc_statuses.iter().map(|(status, n)| format!("{status} ({n} times)"));
        let statuses: Vec<String> = statuses.chain(of_grpc).collect();
        if statuses.is_empty() { "with another body".to_owned() } else { statuses.join(", ") }
    }

    /// What came from a server that was asked for HTTP/2 or gRPC.
    fn instead(&self) -> String {
        let told = self.finding.instead.iter().map(|instead| match instead {
            Instead::Http1 => "; HTTP/2 was asked for, and the server answered as HTTP/1.1",
            Instead::Other => "; HTTP/2 was asked for, and the server answered with other bytes",
            Instead::NoAlpn => "; HTTP/2 was asked for, and the server did not choose it in its TLS handshake (ALPN)",
            Instead::NotGrpc => "; gRPC was asked for, and the server answered with something else over HTTP/2",
        });
        told.collect()
    }

    /// What TLS did not take, with how often where it was not one thing alone.
    fn tls_faults(&self) -> String {
        let faults = &self.finding.tls;
        let is_only = faults.values().eq([&self.finding.count]);
        let told =
            faults.iter().map(|(fault, n)| if is_only { fault.to_string() } else { format!("{fault} ({n} times)") });
        let told = told.collect::<Vec<_>>().join(", ");
        if told.is_empty() { told } else { format!(": {told}") }
    }

    /// Whether the event was still under way when some of them failed.
    fn is_of_event(&self) -> bool {
        self.finding.phases.keys().any(|phase| *phase != EventPhase::After)
    }

    /// What the kernel showed of the listeners that these requests were meant for, where no mechanism tells it.
    fn seen_of_listeners(&self) -> String {
        let seen = self.destinations().into_iter().filter_map(|destination| {
            let (view, address) = (
                self.timeline.listeners(destination, self.timeline.there(self.span))?,
                describe::destination(destination),
            );
            Some(match view.peak {
                _ if view.absent => format!("; at times no process was listening on {address}"),
                _ if view.changed => format!("; another listener took the place of the one on {address}"),
                Some((0, _)) => format!("; the listener on {address} stayed, with an empty queue"),
                Some((queued, backlog)) if destination.takes_datagrams() => {
                    format!("; the socket of {address} stayed, with up to {queued} of {backlog} in its receive queue")
                }
                Some((queued, backlog)) => format!(
                    "; the listener on {address} stayed, and of {} places in its queue at most {queued} were taken",
                    u64::from(backlog) + 1
                ),
                None => format!("; the listener on {address} stayed"),
            })
        });
        seen.collect()
    }

    /// By whom: with Accept=yes or FlushPending=yes the manager may have been the one, and as it stops a socket.
    fn accepted_unread(&self, when: &str) -> String {
        let socket = self.timeline.socket_state();
        let (who, why) = match socket {
            Some(socket) if socket.accept => {
                let why = match Self::directive(socket) {
                    Some((name, limit)) => format!("; {} has {name}{limit}", self.socket()),
                    None => format!(", as it does past a limit of {}", self.socket()),
                };
                ("systemd".to_owned(), why)
            }
            Some(socket) if socket.flush_pending => {
                ("systemd or the service".to_owned(), format!("; {} has FlushPending=yes", self.socket()))
            }
            _ if self.socket_stopped() => {
                (format!("systemd or {}", self.old_process()), format!(" as {} stopped", self.socket()))
            }
            _ => (self.old_process(), String::new()),
        };
        format!("{who} accepted their connections and closed them unread {when}{why}{}", self.stop())
    }

    fn remedy_of_limit(&self) -> Option<String> {
        let socket = self.timeline.socket_state().filter(|socket| socket.accept)?;
        let limit = Self::directive(socket).map_or("the limit", |(name, _)| name);
        Some(format!("Raise {limit} of {}, or have clients open fewer connections at once.", self.socket()))
    }

    /// Where a socket unit holds the listener already, it must not be stopped with the service.
    fn remedy_of_socket(&self) -> Option<String> {
        let (socket, state) = (self.timeline.socket()?, self.timeline.socket_state()?);
        let reaches = |destination: &&Destination| state.listen.iter().any(|listen| destination.reaches(listen));
        self.destinations().iter().find(|destination| reaches(destination))?;
        if self.event.is_some_and(|event| event.begin.unit.as_ref() == Some(socket)) {
            return Some(format!(
                "Leave {socket} alone when the service is deployed: what waits in its queue goes with its listener."
            ));
        }
        let states = self.timeline.states(socket, self.around(self.span));
        let has_hit_limit = states.iter().any(|state| state.result == "service-start-limit-hit");
        let cause = if has_hit_limit { Cause::StartLimit } else { Cause::SocketUnitDown };
        Some(cause.remedy().to_owned())
    }

    /// The limit of a socket with Accept=yes that a single client meets first.
    fn directive(socket: &SocketState) -> Option<(&'static str, u32)> {
        match (socket.max_connections, socket.max_connections_per_source) {
            (all, Some(source)) if all.is_none_or(|all| source <= all) => Some(("MaxConnectionsPerSource=", source)),
            (Some(all), _) => Some(("MaxConnections=", all)),
            (None, _) => None,
        }
    }

    fn at(&self, moment: MonoTime) -> String {
        format!("{:.3} s", span_ms(self.timeline.origin, moment) / 1e3)
    }

    fn when(&self) -> String {
        let (from, to) = (self.at(self.span.from), self.at(self.span.to));
        if from == to { format!("at {from}") } else { format!("between {from} and {to}") }
    }

    /// Where the cohorts that lost them connect to, each once.
    fn destinations(&self) -> Vec<&Destination> {
        let cohorts = &self.timeline.plan.cohorts;
        let lost = self.finding.cohorts.iter().filter_map(|&index| cohorts.get(usize::from(index)));
        let mut destinations: Vec<&Destination> = Vec::new();
        for cohort in lost {
            if !destinations.contains(&&cohort.target.connect) {
                destinations.push(&cohort.target.connect);
            }
        }
        destinations
    }

    fn addresses(&self) -> String {
        let addresses: Vec<String> = self.destinations().into_iter().map(describe::destination).collect();
        addresses.join(" and ")
    }

    fn old_process(&self) -> String {
        let pid = self.event.and_then(Event::pid_before);
        pid.map_or_else(|| "the process".to_owned(), |pid| format!("PID {pid}"))
    }

    fn new_process(&self) -> String {
        let pid = self.event.and_then(Event::pid_after);
        pid.map_or_else(|| "the new process".to_owned(), |pid| format!("the new process (PID {pid})"))
    }

    /// systemd accepts and closes what still connects to a socket that is about to stop.
    fn socket_stopped(&self) -> bool {
        let span = self.around(self.span);
        let states = self.timeline.socket().map(|unit| self.timeline.states(unit, span)).unwrap_or_default();
        !states.iter().all(UnitState::is_active)
    }

    fn socket(&self) -> String {
        self.timeline.socket().map_or_else(|| "the socket unit".to_owned(), ToString::to_string)
    }

    /// When the old process was gone, if it was.
    fn stop(&self) -> String {
        let gone = self.event.and_then(|event| Some((event.pid_before()?, event.gone_at()?)));
        gone.map_or_else(String::new, |(pid, gone)| format!("; PID {pid} was gone at {}", self.at(gone)))
    }

    fn queue_overflow(&self, address: &str, when: &str) -> String {
        let of_messages = |destination| datagram::overflow(destination, self.span, self.event, self.timeline);
        let told: Vec<String> = self.destinations().into_iter().filter_map(of_messages).collect();
        if told.is_empty() {
            return format!("the accept queue of {address} was full {when}{}", self.depth());
        }
        format!("{}, {when}", told.join(" and "))
    }

    /// All were datagrams to a receiver that never answered.
    fn is_unconfirmed(&self) -> bool {
        self.finding.count > 0 && self.finding.unconfirmed == self.finding.count
    }

    fn is_of_datagrams(&self) -> bool {
        let destinations = self.destinations();
        !destinations.is_empty() && destinations.iter().all(|destination| destination.takes_datagrams())
    }

    fn depth(&self) -> String {
        let peak = self.timeline.queue_peak(self.span);
        peak.map_or_else(String::new, |(queued, backlog)| {
            format!("; up to {queued} connections waited, with a backlog of {backlog}")
        })
    }
}
