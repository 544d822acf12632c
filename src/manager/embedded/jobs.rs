//! Jobs: transactions under way, one step after the other.

use std::collections::VecDeque;

use tokio::sync::oneshot;

use super::super::Job;
use super::super::error::ManagerError;
use super::engine::Engine;
use super::service::{Begun, PassedSocket, Service, State};
use super::transaction::Step;
use super::units::Units;
use crate::clock;
use crate::model::{JobResult, UnitName};

/// Where the answer about a job goes.
pub(super) type Reply = oneshot::Sender<Result<Job, ManagerError>>;

/// Who waits for a transaction.
#[derive(Debug)]
pub(super) enum Waiter {
    /// Nobody: a connection or Restart= asked.
    Nobody,
    /// Who performs a verb.
    Job(Reply),
    /// Who takes all units away.
    Uninstall(oneshot::Sender<()>),
}

/// A transaction under way.
#[derive(Debug)]
pub(super) struct Transaction {
    /// The unit it was asked for; none where all are meant.
    anchor: Option<UnitName>,
    steps: VecDeque<(UnitName, Step)>,
    /// The first step has begun.
    begun: bool,
    /// How the anchor's last step ended.
    outcome: (JobResult, Option<String>),
    waiter: Waiter,
}

/// How far a step has come.
enum Progress {
    /// It must wait for something else.
    Waits,
    /// It goes on.
    GoesOn,
    /// It is over.
    Over(JobResult, Option<String>),
}

impl Transaction {
    fn touches(&self, unit: &UnitName) -> bool {
        self.steps.iter().any(|(other, _)| other == unit)
    }

    /// Tells who waits. They may have gone.
    fn answer(self) {
        let (result, reason) = self.outcome;
        match self.waiter {
            Waiter::Nobody => {}
            Waiter::Job(reply) => drop(reply.send(Ok(Job { result, ended_at: clock::now(), reason }))),
            Waiter::Uninstall(reply) => drop(reply.send(())),
        }
    }
}

impl Engine {
    /// Queues the steps. Other jobs on the same units are cancelled, as by systemd's mode `replace`.
    pub(super) fn queue(&mut self, anchor: Option<UnitName>, steps: Vec<(UnitName, Step)>, waiter: Waiter) {
        let shares = |transaction: &mut Transaction| steps.iter().any(|(unit, _)| transaction.touches(unit));
        for mut old in self.transactions.extract_if(.., shares) {
            if let Some(service) = old.steps.front().and_then(|(unit, _)| self.units.services.get_mut(unit)) {
                service.forget_job();
            }
            old.outcome = (JobResult::Canceled, Some("another job took its place".to_owned()));
            old.answer();
        }
        let outcome = (JobResult::Done, None);
        self.transactions.push(Transaction { anchor, steps: steps.into(), begun: false, outcome, waiter });
    }

    /// Whether a job for the unit is pending.
    pub(super) fn has_job(&self, unit: &UnitName) -> bool {
        self.transactions.iter().any(|transaction| transaction.touches(unit))
    }

    /// Brings every job as far as it goes now. Whether any went on.
    pub(super) fn advance_jobs(&mut self) -> bool {
        let mut any = false;
        for mut transaction in std::mem::take(&mut self.transactions) {
            any |= self.advance(&mut transaction);
            if transaction.steps.is_empty() {
                if matches!(transaction.waiter, Waiter::Uninstall(_)) {
                    self.units = Units::default();
                }
                transaction.answer();
            } else {
                self.transactions.push(transaction);
            }
        }
        any
    }

    fn advance(&mut self, transaction: &mut Transaction) -> bool {
        let mut any = false;
        while let Some((unit, step)) = transaction.steps.front().cloned() {
            let progress = if transaction.begun { self.look_at(&unit) } else { self.begin(&unit, step) };
            match progress {
                Progress::Waits => return any,
                Progress::GoesOn => {
                    transaction.begun = true;
                    return any;
                }
                Progress::Over(result, reason) => {
                    any = true;
                    transaction.begun = false;
                    transaction.steps.pop_front();
                    // What follows a unit follows it once no job for it is pending.
                    self.host.changed.insert(unit.clone());
                    self.account(transaction, &unit, result, reason);
                }
            }
        }
        any
    }

    /// What the end of a step means for the rest of its transaction.
    fn account(&self, transaction: &mut Transaction, unit: &UnitName, result: JobResult, reason: Option<String>) {
        if result != JobResult::Done {
            let requiring = self.units.graph.requiring(unit);
            if transaction.anchor.as_ref().is_some_and(|anchor| requiring.contains(anchor)) {
                let reason = reason.as_deref().unwrap_or("it could not be started");
                transaction.outcome = (JobResult::Dependency, Some(format!("{unit}: {reason}")));
            }
            transaction.steps.retain(|(other, _)| !requiring.contains(other));
        }
        if transaction.anchor.as_ref() == Some(unit) {
            transaction.outcome = (result, reason);
        }
    }

    fn look_at(&mut self, unit: &UnitName) -> Progress {
        match self.units.services.get_mut(unit).map(Service::take_settled) {
            Some(Some((result, reason))) => Progress::Over(result, reason),
            Some(None) => Progress::GoesOn,
            None => Progress::Over(JobResult::Collected, Some(format!("{unit} is gone"))),
        }
    }

    fn begin(&mut self, unit: &UnitName, step: Step) -> Progress {
        if self.units.sockets.contains_key(unit) {
            return self.begin_socket(unit, step);
        }
        let passed = self.passed_to(unit);
        let Some(service) = self.units.services.get_mut(unit) else {
            return Progress::Over(JobResult::Failed, Some(format!("there is no unit {unit}")));
        };
        let begun = match step {
            Step::Start => service.begin_start(passed, false, &mut self.host),
            Step::StartAgain => service.begin_start(passed, true, &mut self.host),
            Step::Stop => service.begin_stop(false, &mut self.host),
            Step::StopToRestart => service.begin_stop(true, &mut self.host),
            Step::Reload => service.begin_reload(&mut self.host),
        };
        match begun {
            Begun::Yes => self.look_at(unit),
            Begun::NotYet => Progress::Waits,
        }
    }

    fn begin_socket(&mut self, unit: &UnitName, step: Step) -> Progress {
        let service = self.units.service_of(unit).map(|service| (service.name().clone(), service.state()));
        let missing = service.is_none() && !self.units.has_template_for(unit);
        let Some(socket) = self.units.sockets.get_mut(unit) else { return Progress::Waits };
        match step {
            Step::Stop | Step::StopToRestart => {
                socket.stop(&mut self.host);
                Progress::Over(JobResult::Done, None)
            }
            Step::Reload => Progress::Over(JobResult::Failed, Some(format!("{unit} cannot be reloaded"))),
            Step::Start | Step::StartAgain if missing => {
                let reason = format!("its service {} is not there", socket.definition.triggers());
                Progress::Over(JobResult::Failed, Some(reason))
            }
            Step::Start | Step::StartAgain => {
                let service: Option<(&UnitName, State)> = service.as_ref().map(|(name, state)| (name, *state));
                match socket.start(service, &mut self.host) {
                    Ok(()) => Progress::Over(JobResult::Done, None),
                    Err(reason) => Progress::Over(JobResult::Failed, Some(reason)),
                }
            }
        }
    }

    /// The sockets that a service is passed, one unit after the other by name.
    fn passed_to(&self, service: &UnitName) -> Vec<PassedSocket> {
        let sockets = self.units.sockets_of(service);
        let held = sockets.iter().filter_map(|socket| self.units.sockets.get(socket)?.passed().ok());
        held.flatten().collect()
    }

    /// Restart= asks for these: a start, unless a job is pending, which then does it.
    pub(super) fn queue_due_restarts(&mut self) {
        let due: Vec<UnitName> = self
            .units
            .services
            .values_mut()
            .filter_map(|service| service.take_due_restart().then(|| service.name().clone()))
            .collect();
        for unit in due {
            let pending = self.transactions.iter_mut().find_map(|transaction| {
                let begun = transaction.begun;
                transaction.steps.front_mut().filter(|(other, step)| !begun && *other == unit && *step == Step::Start)
            });
            match pending {
                Some((_, step)) => *step = Step::StartAgain,
                None => self.queue(Some(unit.clone()), vec![(unit, Step::StartAgain)], Waiter::Nobody),
            }
        }
    }
}
