//! From the plan's cohorts to what the load thread starts with: everything that can be wrong is found here.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::connection::LATE_SOCKETS_MAX;
use super::control::Control;
use super::dispatcher::{Agenda, Cohort, Policy, Schedule, rate_micros};
use super::error::LoadError;
use super::health::HealthWatch;
use super::live::Live;
use super::slot::SlotPolicy;
use super::tally::Tally;
use super::target::ReadyTarget;
use crate::model::{Endpoint, MonoTime, Share};
use crate::scenario::plan;
use crate::scenario::plan::{Connections, Pace};

/// Descriptors for everything that is not a connection of the load: the bus, probes, the record, children.
const OTHER_DESCRIPTORS: u64 = 128;

/// A cohort that can be taken to the load thread.
pub(super) struct Prepared {
    name: String,
    pace: ReadyPace,
    health: Option<HealthWatch>,
    policy: ReadyPolicy,
}

/// A policy that can be taken to the load thread.
struct ReadyPolicy {
    slot: SlotPolicy,
    slots_max: usize,
    streams: u32,
    closed_loop: bool,
    on_demand: bool,
    share: Share,
}

#[derive(Clone, Copy)]
enum ReadyPace {
    RateMicros(u64),
    Interval(Duration),
    Clients(u32),
    OnDemand,
}

impl Prepared {
    /// Checks and compiles that share of one cohort, and resolves its host.
    ///
    /// Of clients and of kept connections a shard has its part, with at least one connection wherever it sends. What cannot
    /// be shared is the first shard's: a load balancer's check, whose state comes from answers in a row, and the requests
    /// that steps ask for.
    pub(super) fn new(cohort: &plan::Cohort, share: Share) -> Result<Self, LoadError> {
        let never = |what| LoadError::Never { cohort: cohort.name.clone(), what };
        let pace = match cohort.pace {
            Pace::Rate(rate) => ReadyPace::RateMicros(
                rate_micros(rate).ok_or_else(|| LoadError::Rate { cohort: cohort.name.clone(), rate })?,
            ),
            Pace::Clients(0) => return Err(never("clients")),
            Pace::Clients(clients) => match share.part_of(clients) {
                0 => ReadyPace::OnDemand,
                part => ReadyPace::Clients(part),
            },
            Pace::OnDemand => ReadyPace::OnDemand,
            Pace::Health { interval, .. } if interval.is_zero() => return Err(never("interval")),
            Pace::Health { .. } if !share.is_first() => ReadyPace::OnDemand,
            Pace::Health { interval, .. } => ReadyPace::Interval(interval),
        };
        if cohort.connections == Connections::Reused(0) {
            return Err(never("connections"));
        }
        let reuse = cohort.connections != Connections::New;
        let slot = SlotPolicy { target: ReadyTarget::new(cohort, !reuse)?, reuse, connect_delay: cohort.connect_delay };
        let policy = ReadyPolicy {
            slot,
            slots_max: slots_max(pace, cohort.connections, cohort.target.timeout, share),
            streams: cohort.streams,
            closed_loop: matches!(pace, ReadyPace::Clients(_)),
            on_demand: matches!(pace, ReadyPace::OnDemand),
            share,
        };
        let health = HealthWatch::of(cohort.pace).filter(|_| share.is_first());
        Ok(Self { name: cohort.name.clone(), pace, health, policy })
    }

    /// Where its connections go.
    pub(super) fn endpoint(&self) -> &Endpoint {
        &self.policy.slot.target.endpoint
    }

    /// Whether it is made of clients that send again as soon as they were answered.
    pub(super) fn is_closed_loop(&self) -> bool {
        self.policy.closed_loop
    }

    /// Whether it loads of its own accord, so that the target is ready only once it was answered.
    pub(super) fn loads(&self) -> bool {
        !self.policy.on_demand
    }

    /// The cohort at that place in the plan, with its first request due at `origin` and none from `until` on.
    pub(super) fn at_work(
        self,
        number: u16,
        control: &Rc<Control>,
        (origin, until): (MonoTime, MonoTime),
        live: &Arc<Live>,
    ) -> (String, Rc<Cohort>) {
        let agenda = match self.pace {
            ReadyPace::RateMicros(micros) => Agenda::open(Schedule::by_rate(origin, micros).shared(self.policy.share)),
            ReadyPace::Interval(interval) => Agenda::open(Schedule::by_interval(origin, interval)),
            ReadyPace::Clients(clients) => Agenda::clients(clients, origin),
            ReadyPace::OnDemand => Agenda::clients(0, origin),
        };
        let tally = Tally::new(number, origin, Arc::clone(live)).with_health(self.health);
        let requests = self.policy.slot.target.requests.len();
        let tally =
            tally.with_instances(control.instances.clone()).with_requests(if requests > 1 { requests } else { 0 });
        let ReadyPolicy { slot, slots_max, streams, closed_loop, on_demand, share } = self.policy;
        let tally = tally.for_a_merge(!share.is_whole());
        let policy = Policy { slot: Rc::new(slot), slots_max, streams, closed_loop, on_demand, share, until };
        let cohort = Cohort::new(usize::from(number), policy, Rc::clone(control), tally, agenda);
        (self.name, cohort)
    }
}

/// How many connections a cohort may have at once. With one for each request that is as many as can be due and
/// not timed out.
fn slots_max(pace: ReadyPace, connections: Connections, timeout: Duration, share: Share) -> usize {
    let timeout_ns = timeout.as_nanos();
    let bound = match (pace, connections) {
        (ReadyPace::Clients(clients), Connections::Reused(connections)) => {
            u128::from(clients.min(share.part_of(connections).max(1)))
        }
        (ReadyPace::Clients(clients), Connections::New) => u128::from(clients),
        (ReadyPace::OnDemand, _) => 1,
        (ReadyPace::Interval(_), Connections::Reused(connections)) => u128::from(connections),
        (ReadyPace::RateMicros(_), Connections::Reused(connections)) => u128::from(share.part_of(connections).max(1)),
        (ReadyPace::RateMicros(micros), Connections::New) => {
            (u128::from(micros) * timeout_ns).div_ceil(1_000_000_000_000_000 * u128::from(share.of())) + 1
        }
        (ReadyPace::Interval(interval), Connections::New) => timeout_ns.div_ceil(interval.as_nanos()) + 1,
    };
    usize::try_from(bound).unwrap_or(usize::MAX)
}

/// Makes sure that the process may open the connections of all cohorts: raises its soft limit where it must.
pub(super) fn check_descriptors(cohorts: &[Prepared]) -> Result<(), LoadError> {
    // A connection that announced its end stays as long as a stream is on it, beside the one that takes its place.
    let connections_of = |policy: &ReadyPolicy| (policy.slots_max as u64).saturating_mul(u64::from(policy.streams));
    let connections = cohorts.iter().map(|cohort| connections_of(&cohort.policy));
    let is_of_datagrams = cohorts.iter().any(|cohort| cohort.endpoint().takes_datagrams());
    let late = if is_of_datagrams { LATE_SOCKETS_MAX as u64 } else { 0 };
    let needed = connections.fold(OTHER_DESCRIPTORS + late, u64::saturating_add);
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|soft| needed <= soft) {
        return Ok(());
    }
    if let Some(limit) = maximum.filter(|&hard| hard < needed) {
        return Err(LoadError::DescriptorLimit { needed, limit });
    }
    setrlimit(Resource::Nofile, Rlimit { current: Some(needed), maximum })
        .map_err(|error| LoadError::Io { doing: "raise the limit of file descriptors", source: error.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_connections_are_bounded_by_what_can_be_due_at_once() {
        let shared = |pace, connections, share| slots_max(pace, connections, Duration::from_secs(10), share);
        let bound = |pace, connections| shared(pace, connections, Share::WHOLE);
        assert_eq!(bound(ReadyPace::RateMicros(50_000_000), Connections::New), 501);
        assert_eq!(bound(ReadyPace::RateMicros(50_000_000), Connections::Reused(16)), 16);
        assert_eq!(bound(ReadyPace::Interval(Duration::from_secs(3)), Connections::New), 5);
        assert_eq!(bound(ReadyPace::Clients(32), Connections::New), 32);
        assert_eq!(bound(ReadyPace::Clients(32), Connections::Reused(4)), 4);
        assert_eq!(bound(ReadyPace::Clients(4), Connections::Reused(32)), 4);
        let third = Share::new(3, 3).expect("there is one");
        assert_eq!(shared(ReadyPace::RateMicros(60_000_000), Connections::New, third), 201);
        assert_eq!(shared(ReadyPace::RateMicros(60_000_000), Connections::Reused(16), third), 5);
        assert_eq!(shared(ReadyPace::RateMicros(60_000_000), Connections::Reused(2), third), 1);
    }
}
