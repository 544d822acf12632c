//! Evidence in a sentence.

use super::Finding;
use super::case::OBSERVER_LAG_NS;
use crate::analysis::describe;
use crate::analysis::event::Event;
use crate::analysis::number::span_ms;
use crate::analysis::timeline::{Span, Timeline, UnitState};
use crate::model::{Cause, MonoTime};
use crate::result::EventPhase;
use crate::scenario::plan::Destination;

/// What was seen of the failures in `finding`: their number and classes, then the mechanism with its times.
pub(crate) fn of(cause: Cause, finding: &Finding, event: Option<&Event<'_>>, timeline: &Timeline<'_>) -> String {
    let classes: Vec<String> =
        finding.classes.iter().map(|(class, n)| format!("{n} {}", class.name().replace('_', " "))).collect();
    let scene =
        Scene { span: finding.span.unwrap_or(Span::new(timeline.origin, timeline.origin)), finding, event, timeline };
    format!("{}: {}{}", classes.join(", "), scene.mechanism(cause), standing(cause, finding))
}

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
            Cause::AcceptQueueReset => {
                format!("the listener on {address} was closed {when} with them in its accept queue{}", self.stop())
            }
            Cause::AcceptedUnread => self.accepted_unread(&when),
            Cause::KeepAliveRace => {
                format!("the server closed idle connections {when} while these requests were in the air{}", self.stop())
            }
            Cause::KilledInFlight => format!("{} ended with them in flight {when}{}", self.old_process(), self.stop()),
            Cause::QueueOverflow => format!("the accept queue of {address} was full {when}{}", self.depth()),
            Cause::SlowStart => format!("{} had not answered yet {when}", self.new_process()),
            Cause::StartLimit => {
                format!(
                    "systemd had refused to start the service again (start limit hit), and nobody listened on {address} {when}"
                )
            }
            Cause::TriggerLimit => {
                format!("{} had failed (trigger limit hit), and nobody listened on {address} {when}", self.socket())
            }
            Cause::SocketUnitDown => format!("{} was not active {when}", self.socket()),
            Cause::PathUnlinked => format!("the path {address} was removed while its listener lived on, {when}"),
            Cause::Permission => format!("the client may not connect to {address}, {when}"),
            Cause::ProxyUpstream => format!("a proxy answered for a server that it could not reach, {when}"),
            Cause::Application => format!("the application answered {address} otherwise than expected, {when}"),
            Cause::Ambiguous if self.finding.own == self.finding.count => {
                format!("the load thread itself did not keep up {when}, so nothing can be said of the target")
            }
            Cause::Ambiguous => {
                let stop = if self.is_of_event() { self.stop() } else { String::new() };
                format!("no one mechanism explains them, {when}{}{stop}", self.seen_of_listeners())
            }
        }
    }

    /// By the kernel's word where there is one, else by what the clients saw.
    fn no_listener(&self, address: &str) -> String {
        let mut seen =
            self.destinations().into_iter().map(|destination| self.timeline.listener_gaps(destination, self.span));
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
        let processes = self.event.filter(|_| self.is_of_event()).map(|event| {
            match (event.pid_before().filter(|_| event.gone_at().is_some()), event.pid_after()) {
                (Some(old), Some(new)) if old != new => {
                    format!(", between the exit of PID {old} and the start of PID {new}")
                }
                (Some(old), None) => format!(", after the exit of PID {old}"),
                _ => String::new(),
            }
        });
        format!("nobody listened on {address} {spans}{}", processes.unwrap_or_default())
    }

    /// Whether the event was still under way when some of them failed.
    fn is_of_event(&self) -> bool {
        self.finding.phases.keys().any(|phase| *phase != EventPhase::After)
    }

    /// What the kernel showed of the listeners that these requests were meant for, where no mechanism tells it.
    fn seen_of_listeners(&self) -> String {
        let seen = self.destinations().into_iter().filter_map(|destination| {
            let (view, address) =
                (self.timeline.listeners(destination, self.span)?, describe::destination(destination));
            Some(match view.peak {
                _ if view.absent => format!("; at times nobody listened on {address}"),
                _ if view.changed => format!("; another listener took the place of the one on {address}"),
                Some((0, _)) => format!("; the listener on {address} stayed, with an empty queue"),
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
                ("systemd".to_owned(), format!(", as it does past MaxConnections= of {}", self.socket()))
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
        let span = self.span.widened(OBSERVER_LAG_NS);
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

    fn depth(&self) -> String {
        let peak = self.timeline.queue_peak(self.span);
        peak.map_or_else(String::new, |(queued, backlog)| {
            format!("; up to {queued} connections waited, with a backlog of {backlog}")
        })
    }
}
