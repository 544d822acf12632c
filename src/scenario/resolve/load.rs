//! `[[load]]`: the cohorts.

use std::path::Path;
use std::time::Duration;

use super::target;
use crate::scenario::file::load::Health;
use crate::scenario::file::steps::Action;
use crate::scenario::file::{File, Load};
use crate::scenario::mistake::Mistakes;
use crate::scenario::plan::{Cohort, Connections, Pace, Scheme, Target};
use crate::scenario::reader::Given;
use crate::scenario::source::{Place, Spanned};

/// Requests a second of the cohort `new` where a scenario has no `[[load]]`.
const DEFAULT_NEW_RATE: f64 = 50.0;

/// Every cohort; none if one of them has no target, which was noted.
pub(super) fn cohorts(file: &File, directory: &Path, mistakes: &mut Mistakes) -> Option<Vec<Cohort>> {
    let Some(entries) = file.load.value() else {
        let target = target::resolve(file, None, directory, mistakes);
        return if file.load.is_absent() { target.map(|target| default_cohorts(&target)) } else { None };
    };
    if let (true, Some(place)) = (entries.is_empty(), file.load.key()) {
        mistakes.add(place, "this load has no cohort").help("add [[load]], or leave `load` out for the default");
        return None;
    }
    check_names(entries, mistakes);
    let cohorts: Vec<_> = entries.iter().map(|entry| cohort(file, &entry.value, directory, mistakes)).collect();
    cohorts.into_iter().collect()
}

/// What loads where a scenario does not say: `keep-alive` and `new`. Without HTTP there is no keep-alive.
fn default_cohorts(target: &Target) -> Vec<Cohort> {
    let cohort = |name: &str, rate, connections| Cohort {
        name: name.to_owned(),
        pace: Pace::Rate(rate),
        connections,
        streams: 1,
        connect_delay: Duration::ZERO,
        target: target.clone(),
    };
    let new = cohort("new", DEFAULT_NEW_RATE, Connections::New);
    if !target.scheme.speaks_http() {
        return vec![new];
    }
    let unsaid = Load::default();
    vec![cohort("keep-alive", unsaid.rate.or_default(), Connections::Reused(unsaid.connections.or_default())), new]
}

/// The cohort of each `request` step, in their order: no load, but the client that such a step is.
pub(super) fn of_requests(file: &File, loads: &[Cohort], directory: &Path, mistakes: &mut Mistakes) -> Vec<Cohort> {
    let written = file.steps.value().map_or(&[][..], Vec::as_slice);
    let requests = (1..).zip(written).filter_map(|(number, step)| match step.value.actions.0.as_slice() {
        [(_, action)] => match action.given() {
            Some(Given { value: Action::Request(request), key, .. }) => Some((number, request, *key)),
            _ => None,
        },
        _ => None,
    });
    let mut cohorts = Vec::new();
    for (number, request, key) in requests {
        let name = format!("request-{number}");
        if loads.iter().any(|load| load.name == name) {
            mistakes
                .add(key, format!("a cohort is called \"{name}\", as are the requests of this step"))
                .help("give the [[load]] another name");
        }
        if let Some(target) = target::of_request(file, request, key, directory, mistakes) {
            cohorts.push(Cohort {
                name,
                pace: Pace::OnDemand,
                connections: Connections::New,
                streams: 1,
                connect_delay: Duration::ZERO,
                target,
            });
        }
    }
    cohorts
}

fn check_names(entries: &[Spanned<Load>], mistakes: &mut Mistakes) {
    let mut seen: Vec<(&str, Place)> = Vec::new();
    for entry in entries {
        let Some(name) = entry.value.name.given() else { continue };
        if let Some((_, first)) = seen.iter().find(|(known, _)| *known == name.value) {
            mistakes
                .add(name.place, format!("a second cohort is called \"{}\"", name.value))
                .help("give each [[load]] a name of its own")
                .and(*first, "the first");
        }
        seen.push((&name.value, name.place));
    }
}

fn cohort(file: &File, load: &Load, directory: &Path, mistakes: &mut Mistakes) -> Option<Cohort> {
    let target = target::resolve(file, Some(load), directory, mistakes);
    let pace = pace(load, mistakes);
    let connections = connections(load, target.as_ref(), pace, mistakes);
    let streams = streams(load, target.as_ref(), connections, mistakes);
    let target = target?;
    if let Some(delay) = load.connect_delay.given().filter(|delay| delay.value >= target.timeout) {
        mistakes
            .add(delay.place, "`connect_delay` is not shorter than the timeout: no request would ever be sent")
            .help("shorten it, or raise `timeout` in [target]");
    }
    Some(Cohort {
        name: load.name.or_default(),
        pace,
        connections,
        streams,
        connect_delay: load.connect_delay.or_default(),
        target,
    })
}

/// One of `rate`, `clients` and `health`.
fn pace(load: &Load, mistakes: &mut Mistakes) -> Pace {
    let keys = [("rate", load.rate.key()), ("clients", load.clients.key()), ("health", load.health.key())];
    let given: Vec<_> = keys.iter().filter_map(|(key, place)| place.map(|place| (*key, place))).collect();
    if let [(first, first_place), (second, second_place), ..] = given[..] {
        mistakes
            .add(second_place, format!("`{second}` together with `{first}`"))
            .help("a cohort has one pace: `rate` for an open loop, `clients` for a closed one")
            .and(first_place, "its pace already");
    }
    if let Some(health) = load.health.given() {
        return health_pace(&health.value, health.place, mistakes);
    }
    match load.clients.value() {
        Some(clients) => Pace::Clients(*clients),
        None => Pace::Rate(load.rate.or_default()),
    }
}

fn health_pace(health: &Health, place: Place, mistakes: &mut Mistakes) -> Pace {
    let missing = health.interval.is_absent() || health.rise.is_absent() || health.fall.is_absent();
    if missing {
        mistakes
            .add(place, "a health check has an interval, a rise and a fall")
            .help("write health = { interval = \"2s\", rise = 2, fall = 3 }");
    }
    Pace::Health {
        interval: health.interval.or(Duration::from_secs(2)),
        rise: health.rise.or(2),
        fall: health.fall.or(3),
    }
}

fn connections(load: &Load, target: Option<&Target>, pace: Pace, mistakes: &mut Mistakes) -> Connections {
    let of_bytes = target.filter(|target| !target.scheme.speaks_http());
    if let (Some(target), Some(true), Some(place)) = (of_bytes, load.reuse.value(), load.reuse.key()) {
        let scheme = target.url.split(':').next().unwrap_or_default();
        mistakes.add(place, format!("`reuse` with a {scheme} target")).help(if target.scheme == Scheme::Fifo {
            "each request opens the FIFO anew: leave `reuse` out, or use false".to_owned()
        } else {
            format!("over {scheme} each request has a socket of its own: leave `reuse` out, or use false")
        });
    }
    let reuse = load.reuse.or(of_bytes.is_none());
    if let (false, Some(place)) = (reuse, load.connections.key()) {
        mistakes
            .add(place, "`connections` without reuse: every request has its own")
            .help("leave it out, or say reuse = true");
    }
    // A closed loop of more clients than there is room for would make its clients wait for each other.
    let least = if let Pace::Clients(clients) = pace { clients.div_ceil(load.streams.or_default()) } else { 0 };
    let most = load.connections.or(load.connections.or_default().max(least));
    if reuse { Connections::Reused(most) } else { Connections::New }
}

fn streams(load: &Load, target: Option<&Target>, connections: Connections, mistakes: &mut Mistakes) -> u32 {
    let Some(given) = load.streams.given().filter(|given| given.value > 1) else { return 1 };
    if target.is_some_and(|target| !target.protocol.is_http2()) {
        mistakes
            .add(given.key, "`streams` without HTTP/2: a connection carries one request at a time")
            .help("add protocol = \"http2\" to [target], or use `connections`");
    } else if connections == Connections::New {
        mistakes
            .add(given.key, "`streams` without reuse: every request has a connection of its own")
            .help("leave it out, or use reuse = true");
    }
    given.value
}
