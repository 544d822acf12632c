//! Which processes ran when, how they ended, and who held the listeners.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::Span;
use crate::model::holder::Holder;
use crate::model::process::Process;
use crate::model::{MonoTime, ProcessId, Signal, UnitName};
use crate::record::line::{Holders, Line, ProcessChange, StepEnd, UnitChange};
use crate::scenario::plan::Destination;

/// Programs that pass requests on to others: what they answer for a server that they cannot reach is theirs.
const PROXIES: &[&str] = &[
    "nginx",
    "haproxy",
    "envoy",
    "caddy",
    "traefik",
    "apache2",
    "httpd",
    "varnishd",
    "squid",
    "pound",
    "hitch",
    "systemd-socket-",
];

/// The processes of one run.
#[derive(Debug, Default)]
pub(crate) struct Processes<'a> {
    lives: BTreeMap<ProcessId, Life<'a>>,
    /// When processes ended, in order.
    exits: Vec<Exit<'a>>,
    looks: Vec<&'a Holders>,
    /// PIDs that ever held a listener of a target.
    holders: BTreeSet<ProcessId>,
    /// How main processes ended, in systemd's words, by unit.
    ends: Vec<(MonoTime, &'a UnitName, &'a str)>,
}

#[derive(Debug)]
struct Life<'a> {
    process: &'a Process,
    found: MonoTime,
    ended: Option<MonoTime>,
}

/// The end of a process that matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Exit<'a> {
    /// When it was noticed.
    pub(crate) at: MonoTime,
    /// None in records that only tell that a main process went.
    pub(crate) id: Option<ProcessId>,
    unit: Option<&'a UnitName>,
}

impl<'a> Processes<'a> {
    pub(crate) fn note(&mut self, line: &'a Line) {
        match line {
            Line::Process(change) => self.note_change(change),
            Line::Holders(look) => {
                self.holders.extend(look.holders.iter().map(|holder| holder.process.id));
                self.looks.push(look);
            }
            Line::StepEnd(end) => self.note_end(end),
            Line::Unit(UnitChange { unit, at, main_exit: Some(how), .. }) => self.ends.push((*at, unit, how)),
            _ => {}
        }
    }

    fn note_change(&mut self, change: &'a ProcessChange) {
        let process = &change.process;
        let life = self.lives.entry(process.id).or_insert(Life { process, found: change.at, ended: None });
        if change.ended.is_some() {
            life.ended = Some(change.at);
            self.exits.push(Exit { at: change.at, id: Some(process.id), unit: process.unit.as_ref() });
        } else {
            // What is known of it now: a server sets its signal handlers up after it began.
            life.process = process;
        }
    }

    fn note_end(&mut self, end: &'a StepEnd) {
        self.exits.extend(end.old_main_gone_at.map(|at| Exit { at, id: None, unit: None }));
    }

    pub(crate) fn sort(&mut self) {
        self.exits.sort();
        self.looks.sort_by_key(|look| look.at);
        self.ends.sort();
    }

    /// The ends of processes in `span` that served: of `service`, or of whoever held the target's listener.
    pub(crate) fn exits(&self, service: Option<&UnitName>, span: Span) -> impl Iterator<Item = &Exit<'a>> {
        let from = self.exits.partition_point(|exit| exit.at < span.from);
        let to = self.exits.partition_point(|exit| exit.at <= span.to);
        let during = self.exits.get(from..to).unwrap_or_default().iter();
        let serves = move |exit: &&Exit<'_>| {
            exit.unit.is_none() || service.is_none_or(|service| exit.unit == Some(service)) || self.is_holder(exit.id)
        };
        during.filter(serves)
    }

    fn is_holder(&self, id: Option<ProcessId>) -> bool {
        id.is_some_and(|id| self.holders.contains(&id))
    }

    /// What was known of a process before it ended.
    pub(crate) fn process(&self, id: ProcessId) -> Option<&'a Process> {
        self.lives.get(&id).map(|life| life.process)
    }

    /// Whether a process of `service` ran all through `span`, as far as was seen.
    pub(crate) fn runs_through(&self, service: &UnitName, span: Span) -> bool {
        let own = self.lives.values().filter(|life| life.process.unit.as_ref() == Some(service));
        own.into_iter().any(|life| life.found <= span.to && life.ended.is_none_or(|ended| ended > span.to))
    }

    /// Whether a process that held the listener at `destination` ran all through `span`, as far as was seen.
    pub(crate) fn holds_through(&self, destination: &Destination, span: Span) -> bool {
        let held = self.holders_at(destination, span.from);
        held.iter().any(|holder| {
            self.lives.get(&holder.process.id).is_some_and(|life| life.ended.is_none_or(|ended| ended > span.to))
        })
    }

    /// Whether a process of `service` listens somewhere else and was never seen with a connection from `destination`.
    pub(crate) fn listens_elsewhere(&self, destination: &Destination, service: Option<&UnitName>) -> bool {
        let looks = self.looks.iter().filter(|look| destination.reaches(&look.endpoint));
        let holders = looks.flat_map(|look| look.holders.iter().chain(&look.elsewhere));
        let own = |holder: &&Holder| service.is_none_or(|service| holder.process.unit.as_ref() == Some(service));
        let own: Vec<&Holder> = holders.filter(own).collect();
        own.iter().all(|holder| holder.accepted == 0) && own.iter().any(|holder| !holder.also_listens.is_empty())
    }

    /// How the last main process of `unit` that had ended by `at` ended: `killed 9`.
    pub(crate) fn end_by(&self, unit: &UnitName, at: MonoTime) -> Option<&'a str> {
        self.ends.iter().rev().find(|&&(told, of, _)| of == unit && told <= at).map(|&(.., how)| how)
    }

    /// Whether a handler for SIGTERM was missing in a process, where that is known.
    pub(crate) fn lacks_handler(&self, id: ProcessId, signal: Signal) -> Option<bool> {
        let caught = self.process(id)?.caught_signals?;
        let bit = u32::try_from(signal.number()).ok()?.checked_sub(1)?;
        Some(caught & 1_u64.checked_shl(bit)? == 0)
    }

    /// Who held the listeners at `destination` as last seen by `at`, the first look where there was none yet.
    pub(crate) fn holders_at(&self, destination: &Destination, at: MonoTime) -> Vec<&'a Holder> {
        let own: Vec<&Holders> =
            self.looks.iter().copied().filter(|look| destination.reaches(&look.endpoint)).collect();
        let last = own.iter().rfind(|look| look.at <= at).or(own.first());
        last.map(|look| look.holders.iter().collect()).unwrap_or_default()
    }

    /// Where processes of `service` listen apart from `destination`, as last seen by `at`.
    pub(crate) fn listening_elsewhere(
        &self,
        destination: &Destination,
        service: Option<&UnitName>,
        at: MonoTime,
    ) -> Vec<&'a Holder> {
        let mut looks = self.looks.iter().filter(|look| destination.reaches(&look.endpoint) && look.at <= at);
        let own = |holder: &&Holder| service.is_none_or(|service| holder.process.unit.as_ref() == Some(service));
        let last = looks.next_back().into_iter().flat_map(|look| look.holders.iter().chain(&look.elsewhere));
        last.filter(own).filter(|holder| !holder.also_listens.is_empty()).collect()
    }

    /// The proxy that holds the listener at `destination`, if one is seen to.
    pub(crate) fn proxy_at(&self, destination: &Destination, at: MonoTime) -> Option<&'a Process> {
        let mut holders = self.holders_at(destination, at).into_iter().map(|holder| &holder.process);
        holders.find(|process| PROXIES.iter().any(|name| process.name.starts_with(name)))
    }
}
