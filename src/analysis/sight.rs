//! Passed needs sight: whether a listener can have been gone in an event without anybody noticing.
//!
//! Three things look at a listener: the kernel's trace, the looks at the kernel's table of sockets, and the connection
//! attempts of the load. The closest of them tells how long a gap would have had to be, to be seen.

use std::collections::BTreeSet;
use std::time::Duration;

use super::event::Event;
use super::facts::Facts;
use super::number::{float, ns_to_ms, span_ms};
use super::words;
use crate::model::Span;
use crate::model::time::nanos;
use crate::record::line::Looks;
use crate::record::segment::Scope;
use crate::scenario::describe;
use crate::scenario::plan::{Destination, MaxUnseen, Pace};

/// What can have gone unseen in the events of a step.
#[derive(Debug, Default)]
pub(crate) struct Sight {
    /// A listener gap that was shorter may have gone unseen; 0 where the kernel's trace attests the listener.
    pub(crate) unseen_ns: u64,
    /// What forbids a pass.
    pub(crate) doubts: Vec<Doubt>,
}

/// Why an event does not show that no listener gap went unseen.
#[derive(Debug)]
pub(crate) struct Doubt {
    /// What was seen, in one clause.
    pub(crate) clause: String,
    /// What would show it, in one sentence.
    pub(crate) remedy: String,
}

/// What can have gone unseen in the events of the step at that place in the plan; none where nobody asks, or nothing
/// was done.
pub(crate) fn of_step(step: u16, facts: &Facts<'_>) -> Option<Sight> {
    let MaxUnseen::AtMost(limit) = facts.timeline.plan.run.max_unseen else { return None };
    let events: Vec<&Event<'_>> = facts.timeline.events.iter().filter(|event| event.begin.step == step).collect();
    if events.is_empty() {
        return None;
    }
    let has_losses = events.iter().any(|event| facts.dropped_in(scope_of(event, facts)) > 0);
    let mut sight = Sight::default();
    for event in events {
        for address in addresses(facts) {
            let view = View { event, address, facts };
            sight.unseen_ns = sight.unseen_ns.max(view.unseen_ns());
            // Where a loss was seen that was allowed, nothing need be proven unseen.
            if !has_losses {
                sight.doubts.extend(view.doubt(limit));
            }
        }
    }
    Some(sight)
}

/// What the event's connection attempts are counted under: a pause or a look has no scope of its own.
fn scope_of(event: &Event<'_>, facts: &Facts<'_>) -> Scope {
    let mut marked = facts.timeline.events.iter().filter(|event| !event.is_watching());
    let last = marked.rfind(|marked| marked.begin.at <= event.begin.at);
    last.map_or(Scope::Before, |marked| Scope::Event(marked.begin.event))
}

/// Every address that the load connects to of its own accord.
fn addresses<'a>(facts: &Facts<'a>) -> Vec<&'a Destination> {
    let mut addresses: Vec<&Destination> = Vec::new();
    for cohort in facts.timeline.plan.cohorts.iter().filter(|cohort| cohort.pace != Pace::OnDemand) {
        if !addresses.contains(&&cohort.target.connect) {
            addresses.push(&cohort.target.connect);
        }
    }
    addresses
}

/// One address during one event.
struct View<'f, 'a> {
    event: &'f Event<'a>,
    address: &'a Destination,
    facts: &'f Facts<'a>,
}

impl View<'_, '_> {
    fn span(&self) -> Span {
        self.event.span()
    }

    fn unseen_ns(&self) -> u64 {
        if self.is_traced() { 0 } else { self.attempts_apart_ns().min(self.looks_apart_ns(self.span())) }
    }

    /// The kernel's trace misses nothing. That it is about this listener, a look has to show: behind an address that is
    /// translated there is none.
    fn is_traced(&self) -> bool {
        let timeline = &self.facts.timeline;
        timeline.is_watched(self.address) && timeline.trace.covers(self.address, timeline.there(self.span()))
    }

    /// The longest time without a connection attempt, of the cohort that tried most often.
    fn attempts_apart_ns(&self) -> u64 {
        let scope = scope_of(self.event, self.facts);
        let cohorts = (0_u16..).zip(&self.facts.timeline.plan.cohorts);
        let here =
            cohorts.filter(|(_, cohort)| cohort.pace != Pace::OnDemand && cohort.target.connect == *self.address);
        here.filter_map(|(index, _)| self.facts.tally.window(index, scope)?.connect_gap_ns)
            .min()
            .unwrap_or(u64::MAX)
            .min(length_ns(self.span()))
    }

    /// The longest time within `span` without a look that tells of this address.
    fn looks_apart_ns(&self, span: Span) -> u64 {
        let timeline = &self.facts.timeline;
        if timeline.is_watched(self.address) { timeline.looks_apart_ns(timeline.there(span)) } else { length_ns(span) }
    }

    /// What leaves less unseen.
    fn more_often(&self, rate: f64) -> String {
        match self.address {
            Destination::Host { .. } | Destination::Unix(_) => {
                format!("Make new connections (reuse = false) at a rate of {rate} per second or more")
            }
            _ => format!("Send messages at a rate of {rate} per second or more"),
        }
    }

    /// The gravest reason not to let the event pass.
    fn doubt(&self, limit: Duration) -> Option<Doubt> {
        self.gone().or_else(|| self.replaced_unseen()).or_else(|| self.unseen(limit))
    }

    /// The record shows that the listener was gone, and no request has met that: none was dropped.
    fn gone(&self) -> Option<Doubt> {
        let timeline = &self.facts.timeline;
        let gaps = timeline.listener_gaps(self.address, timeline.there(self.span())).into_iter();
        let is_unmet = |gap: &Span| !timeline.is_refuted(self.address, *gap) && !self.is_met(*gap);
        let longest = gaps.filter(is_unmet).max_by_key(|gap| length_ns(*gap))?;
        let (name, address) = (words::lower_event(self.event), describe::destination(self.address));
        let from_s = longest.from.millis_since(timeline.origin) / 1e3;
        let gap = words::ms(span_ms(longest.from, longest.to));
        let rate = (2e9 / float(length_ns(longest).max(1))).ceil();
        Some(Doubt {
            clause: format!(
                "no process was listening on {address} for {gap} from {from_s:.3} s, in {name}, and no request met this gap"
            ),
            remedy: format!("{}.", self.more_often(rate)),
        })
    }

    /// A request was dropped in one of the events that the gap lies in: it may outlast the event that brought it.
    fn is_met(&self, gap: Span) -> bool {
        let timeline = &self.facts.timeline;
        let mut events = timeline.events.iter().filter(|event| timeline.there(event.span()).overlaps(gap));
        events.any(|event| self.facts.dropped_in(scope_of(event, self.facts)) > 0)
    }

    /// Another listener took its place while nobody looked, longer than a look is usually late.
    fn replaced_unseen(&self) -> Option<Doubt> {
        if self.is_traced() {
            return None;
        }
        let changes = self.facts.timeline.listener_changes(self.address, self.span());
        let apart_ns = changes.into_iter().map(|change| self.looks_apart_ns(change)).max()?;
        let unseen_ns = apart_ns.min(self.attempts_apart_ns());
        (unseen_ns >= nanos(Looks::LATE_MIN)).then(|| Doubt {
            clause: format!(
                "the listener on {} was replaced in {}, while gapless neither looked at it nor connected for {}: it may \
                 have been gone",
                describe::destination(self.address),
                words::lower_event(self.event),
                words::ms(ns_to_ms(unseen_ns)),
            ),
            remedy: "Give gapless the CPU time that it needs, and do not stop it.".to_owned(),
        })
    }

    /// A gap longer than `limit` would not have been seen.
    fn unseen(&self, limit: Duration) -> Option<Doubt> {
        let unseen_ns = self.unseen_ns();
        (unseen_ns > nanos(limit)).then(|| {
            let attempts_ns = self.attempts_apart_ns();
            let looks = if self.facts.timeline.is_watched(self.address) {
                format!("looks at the listener up to {} apart", words::ms(ns_to_ms(self.looks_apart_ns(self.span()))))
            } else {
                "and the kernel showed no listener there".to_owned()
            };
            let rate = (1.0 / limit.as_secs_f64()).ceil() + 1.0;
            let clause = format!(
                "in {} the listener on {} may have been gone for up to {} unseen, over max_unseen ({limit:?}): connection \
                 attempts were up to {} apart, {looks}",
                words::lower_event(self.event),
                describe::destination(self.address),
                words::ms(ns_to_ms(unseen_ns)),
                words::ms(ns_to_ms(attempts_ns)),
            );
            let more = self.more_often(rate);
            let remedy = match self.address {
                Destination::Host { .. } => format!(
                    "{more}, or run as root on the target's machine, where the kernel's trace attests the listener."
                ),
                _ => format!("{more}, or run on the target's machine, where the kernel's table of sockets is looked at."),
            };
            Doubt { clause, remedy }
        })
    }
}

fn length_ns(span: Span) -> u64 {
    span.to.nanos_since(span.from)
}

/// The pauses of the load thread that lie in an event, with the events.
pub(crate) fn pauses(facts: &Facts<'_>) -> Option<String> {
    let timeline = &facts.timeline;
    let in_event = |pause: Span| timeline.events.iter().filter(move |event| event.span().overlaps(pause));
    let pauses: Vec<Span> = timeline.pauses().filter(|&pause| in_event(pause).next().is_some()).collect();
    let longest = pauses.iter().map(|pause| length_ns(*pause)).max()?;
    let names: BTreeSet<String> = pauses.iter().flat_map(|&pause| in_event(pause)).map(words::lower_event).collect();
    let times = if pauses.len() == 1 { "once".to_owned() } else { format!("{} times", pauses.len()) };
    Some(format!(
        "the load thread did not run {times}, for up to {:.1} s, in {}: the process was stopped, or got no CPU",
        ns_to_ms(longest) / 1e3,
        names.into_iter().collect::<Vec<_>>().join(", "),
    ))
}
