//! The engine: one task that owns every unit and deals with one event after the other.
//!
//! Nothing here waits: what takes time is a process, a timer or a descriptor, and comes back as an event.

use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedReceiver;

use super::super::error::ManagerError;
use super::event::{Event, Request};
use super::host::Host;
use super::jobs::{Reply, Transaction, Waiter};
use super::service::Service;
use super::socket::{Socket, SocketResult, Wanted};
use super::transaction::Step;
use super::units::Units;
use super::verbs::Meaning;
use crate::clock;
use crate::model::{ActiveState, JobResult, KillWho, Signal, UnitName, UnitSnapshot, UnitVerb};

/// The longest the engine sleeps when nothing is due.
const IDLE: Duration = Duration::from_secs(3600);

/// Every unit of a run, and what is being done to them.
#[derive(Debug)]
pub(super) struct Engine {
    pub(super) host: Host,
    pub(super) units: Units,
    pub(super) transactions: Vec<Transaction>,
}

impl Engine {
    pub(super) fn new(host: Host) -> Self {
        Self { host, units: Units::default(), transactions: Vec::new() }
    }

    /// Deals with events until nobody can send any. Dropping it ends every process and removes every trace.
    pub(super) async fn run(mut self, mut events: UnboundedReceiver<Event>) {
        loop {
            let due = self.units.services.values().filter_map(Service::deadline).min();
            let due = due.unwrap_or_else(|| Instant::now() + IDLE);
            tokio::select! {
                event = events.recv() => match event {
                    Some(event) => self.on_event(event),
                    None => break,
                },
                units = self.units.readable() => self.on_readable(&units),
                () = tokio::time::sleep_until(due.into()) => self.on_time(Instant::now()),
            }
            self.settle();
        }
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Asked(request) => self.on_request(request),
            Event::Executed { unit, pid, error } => {
                if let Some(service) = self.units.services.get_mut(&unit) {
                    service.on_executed(pid, error, &mut self.host);
                }
            }
            Event::Exited { unit, pid, status } => {
                if let Some(service) = self.units.services.get_mut(&unit) {
                    service.on_exited(pid, status, &mut self.host);
                }
            }
        }
    }

    fn on_time(&mut self, now: Instant) {
        for service in self.units.services.values_mut() {
            service.on_deadline(now, &mut self.host);
        }
    }

    fn on_readable(&mut self, units: &[UnitName]) {
        for unit in units {
            if let Some(service) = self.units.services.get_mut(unit) {
                service.on_notified(&mut self.host);
            }
            self.on_connection(unit);
        }
    }

    fn on_connection(&mut self, unit: &UnitName) {
        let service = self.units.service_of(unit).map(|service| service.name().clone());
        let service_is_up = service.as_ref().is_some_and(|service| self.units.is_up(service) || self.has_job(service));
        let connections = self.units.connections_of(unit);
        let Some(socket) = self.units.sockets.get_mut(unit) else { return };
        match socket.on_readable(service_is_up, connections, &mut self.host) {
            Wanted::Nothing => {}
            Wanted::Service => match service {
                Some(service) => {
                    let steps = self.units.graph.start(&service);
                    self.queue(Some(service), steps, Waiter::Nobody);
                }
                None => socket.fail(SocketResult::Resources, &mut self.host),
            },
            Wanted::Instances(connections) => {
                for connection in connections {
                    if let Some(service) = self.units.instantiate_for(unit, connection, &self.host) {
                        self.queue(Some(service.clone()), vec![(service, Step::Start)], Waiter::Nobody);
                    }
                }
            }
        }
    }

    /// Lets everything that follows from the last event happen.
    fn settle(&mut self) {
        loop {
            self.queue_due_restarts();
            let went_on = self.advance_jobs();
            let followed = self.follow_changes();
            if !went_on && !followed {
                break;
            }
        }
        self.drop_ended_instances();
    }

    /// Sockets follow their services, and bound units those they are bound to. Whether anything changed.
    fn follow_changes(&mut self) -> bool {
        let changed = std::mem::take(&mut self.host.changed);
        for unit in &changed {
            self.follow_service(unit);
            if !self.units.is_up(unit) && !self.has_job(unit) {
                for bound in self.units.graph.bound_to(unit) {
                    if self.units.is_up(&bound) && !self.has_job(&bound) {
                        let steps = self.units.graph.stop(&bound);
                        self.queue(Some(bound), steps, Waiter::Nobody);
                    }
                }
            }
        }
        !changed.is_empty()
    }

    fn follow_service(&mut self, unit: &UnitName) {
        let Some(service) = self.units.services.get(unit) else { return };
        let (state, hit) = (service.state(), service.hit_its_start_limit());
        if self.has_job(unit) && !hit {
            return;
        }
        for socket in self.units.triggered_by(unit) {
            if let Some(socket) = self.units.sockets.get_mut(&socket) {
                socket.follow(state, hit, &mut self.host);
            }
        }
    }

    fn drop_ended_instances(&mut self) {
        let services = self.units.services.values();
        let ended = services.filter(|service| service.is_for_connection() && service.state().is_down());
        let ended: Vec<UnitName> =
            ended.map(|service| service.name().clone()).filter(|unit| !self.has_job(unit)).collect();
        for unit in ended {
            if let Some(mut service) = self.units.services.remove(&unit) {
                service.forget_ended_sessions(&mut self.host);
            }
        }
    }

    fn on_request(&mut self, request: Request) {
        // An answer that nobody waits for any more is dropped.
        match request {
            Request::Install(files, reply) => drop(reply.send(self.units.install(&files, &self.host))),
            Request::Uninstall(reply) => self.uninstall(reply),
            Request::Hold(unit, reply) => drop(reply.send(self.hold(&unit))),
            Request::Snapshot(unit, reply) => drop(reply.send(Ok(self.snapshot(&unit)))),
            Request::Perform(unit, verb, reply) => self.perform(&unit, verb, reply),
            Request::Kill(unit, who, signal, reply) => drop(reply.send(self.kill(&unit, who, signal))),
            Request::Output(unit, reply) => {
                drop(reply.send(self.units.services.get(&unit).map(Service::output)));
            }
            Request::Findings(reply) => {
                drop(reply.send(self.units.findings.clone()));
            }
        }
    }

    fn known(&mut self, unit: &UnitName, action: &str) -> Result<(), ManagerError> {
        if self.units.is_masked(unit) {
            return Err(ManagerError::Masked { action: action.to_owned(), unit: unit.clone() });
        }
        if !self.units.is_known(unit) {
            let remedy = "the embedded manager knows only the units of [units] files".to_owned();
            return Err(ManagerError::NoSuchUnit { action: action.to_owned(), unit: unit.clone(), remedy });
        }
        self.units.instantiate(unit, &self.host);
        Ok(())
    }

    fn hold(&mut self, unit: &UnitName) -> Result<(), ManagerError> {
        self.known(unit, "hold")?;
        self.host.held.insert(unit.clone());
        Ok(())
    }

    fn perform(&mut self, unit: &UnitName, verb: UnitVerb, reply: Reply) {
        if let Err(error) = self.known(unit, verb.name()) {
            let _ = reply.send(Err(error));
            return;
        }
        match self.meaning(unit, verb) {
            Meaning::Steps(steps) => self.queue(Some(unit.clone()), steps, Waiter::Job(reply)),
            Meaning::Nothing => answer(reply, JobResult::Done, None),
            Meaning::Refused(reason) => answer(reply, JobResult::Failed, Some(reason)),
            Meaning::Reset => {
                if let Some(service) = self.units.services.get_mut(unit) {
                    service.reset_failed(&mut self.host);
                }
                if let Some(socket) = self.units.sockets.get_mut(unit) {
                    socket.reset_failed(&mut self.host);
                }
                answer(reply, JobResult::Done, None);
            }
        }
    }

    fn kill(&mut self, unit: &UnitName, who: KillWho, signal: Signal) -> Result<(), ManagerError> {
        self.known(unit, "send a signal to")?;
        let sent = self.units.services.get(unit).is_some_and(|service| service.kill(who, signal));
        let nobody = || ManagerError::NoProcess { signal: signal.to_string(), unit: unit.clone(), who };
        sent.then_some(()).ok_or_else(nobody)
    }

    fn snapshot(&self, unit: &UnitName) -> UnitSnapshot {
        let load_state = match (self.units.is_masked(unit), self.units.is_known(unit)) {
            (true, _) => "masked",
            (_, true) => "loaded",
            (_, false) => "not-found",
        };
        let service = self.units.services.get(unit);
        let socket = self.units.sockets.get(unit);
        let (active_state, sub_state) = service
            .map(|service| (service.state().active_state(), service.state().sub_state()))
            .or_else(|| socket.map(Socket::words))
            .unwrap_or((ActiveState::Inactive, "dead"));
        let result = service.map(Service::result_name).or_else(|| socket.map(Socket::result_name));
        UnitSnapshot {
            unit: unit.clone(),
            at: clock::now(),
            load_state: load_state.to_owned(),
            active_state,
            sub_state: sub_state.to_owned(),
            result: result.unwrap_or("success").to_owned(),
            invocation_id: service.and_then(Service::invocation_id).or_else(|| socket?.invocation_id()),
            need_daemon_reload: false,
            service: service.map(|service| service.describe(self.units.triggered_by(unit))),
            socket: socket
                .map(|socket| socket.describe(UnitName::new(socket.definition.triggers()).into_iter().collect())),
            is_unseen: false,
        }
    }
}

fn answer(reply: Reply, result: JobResult, reason: Option<String>) {
    // Who asked may have gone.
    let _ = reply.send(Ok(super::super::Job { result, ended_at: clock::now(), reason }));
}
