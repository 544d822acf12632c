//! A socket unit: systemd's state machine of socket.c.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::task::Context;
use std::time::Instant;

use super::host::{Host, Watch, random_id};
use super::listener::{HeldListener, flush};
use super::rate_limit::RateLimit;
use super::service::{PassedSocket, State as ServiceState};
use crate::clock;
use crate::model::address::Listener;
use crate::model::{ActiveState, SocketState, UnitName};
use crate::record::line::UnitChange;
use crate::unit_file::SocketUnit;

/// Where a socket unit is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// It does not listen.
    Dead,
    /// It listens, and starts its service on the first connection.
    Listening,
    /// It listens, and its service takes the connections.
    Running,
    /// It stopped listening for the reason in its result.
    Failed,
}

impl State {
    /// ActiveState and SubState.
    const fn words(self) -> (ActiveState, &'static str) {
        match self {
            Self::Dead => (ActiveState::Inactive, "dead"),
            Self::Listening => (ActiveState::Active, "listening"),
            Self::Running => (ActiveState::Active, "running"),
            Self::Failed => (ActiveState::Failed, "failed"),
        }
    }
}

/// Result= of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SocketResult {
    /// All went well.
    Success,
    /// It could not listen, or its service could not be started.
    Resources,
    /// It was started too often.
    StartLimitHit,
    /// It started its service too often.
    TriggerLimitHit,
    /// Its service was started too often.
    ServiceStartLimitHit,
}

impl SocketResult {
    const fn name(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Resources => "resources",
            Self::StartLimitHit => "start-limit-hit",
            Self::TriggerLimitHit => "trigger-limit-hit",
            Self::ServiceStartLimitHit => "service-start-limit-hit",
        }
    }
}

/// What a waiting connection calls for.
#[derive(Debug)]
pub(super) enum Wanted {
    /// Nothing.
    Nothing,
    /// The service is to start.
    Service,
    /// A service for each of these connections is to start.
    Instances(Vec<OwnedFd>),
}

/// A socket unit.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) definition: SocketUnit,
    state: State,
    result: SocketResult,
    held: Vec<HeldListener>,
    /// The files it was bound to and that may still be there.
    bound: BTreeSet<PathBuf>,
    watches: Vec<Watch>,
    start_limit: RateLimit,
    trigger_limit: RateLimit,
    invocation_id: Option<String>,
    /// Connections accepted since the manager began: numbers the instances.
    pub(super) accepted: u64,
}

impl Socket {
    pub(super) fn new(definition: SocketUnit) -> Self {
        Self {
            start_limit: RateLimit::new(definition.unit.start_limit),
            trigger_limit: RateLimit::new(definition.trigger_limit),
            definition,
            state: State::Dead,
            result: SocketResult::Success,
            held: Vec::new(),
            bound: BTreeSet::new(),
            watches: Vec::new(),
            invocation_id: None,
            accepted: 0,
        }
    }

    pub(super) fn name(&self) -> &UnitName {
        &self.definition.name
    }

    pub(super) fn is_active(&self) -> bool {
        matches!(self.state, State::Listening | State::Running)
    }

    /// ActiveState and SubState.
    pub(super) fn words(&self) -> (ActiveState, &'static str) {
        self.state.words()
    }

    /// Result=.
    pub(super) fn result_name(&self) -> &'static str {
        self.result.name()
    }

    /// InvocationID.
    pub(super) fn invocation_id(&self) -> Option<String> {
        self.invocation_id.clone()
    }

    /// Starts to listen. `service`: the state of the service it starts, where it has one.
    ///
    /// # Errors
    /// Why it does not listen.
    pub(super) fn start(&mut self, service: Option<(&UnitName, ServiceState)>, host: &mut Host) -> Result<(), String> {
        if self.is_active() {
            return Ok(());
        }
        if !self.start_limit.allows(Instant::now()) {
            self.fail(SocketResult::StartLimitHit, host);
            return Err(format!("{} was started too often (start-limit-hit)", self.name()));
        }
        if let Some((service, state)) = service
            && !(state.is_down() || state == ServiceState::AutoRestart)
        {
            return Err(format!("its service {service} is already active, and holds no socket of it: refused"));
        }
        self.result = SocketResult::Success;
        self.invocation_id = random_id().ok();
        for (address, line) in &self.definition.listen {
            if let Some(path) = address.path() {
                host.guardian.add_socket(path);
            }
            match HeldListener::open(address, &self.definition) {
                Ok(listener) => {
                    self.held.push(listener);
                    if let Some(path) = address.path() {
                        self.bound.insert(path.to_owned());
                    }
                }
                Err(error) => {
                    let reason = format!("cannot listen on {address} ({}:{line}): {error}", self.name());
                    self.fail(SocketResult::Resources, host);
                    return Err(reason);
                }
            }
        }
        self.listen(host);
        Ok(())
    }

    /// Stops listening.
    pub(super) fn stop(&mut self, host: &mut Host) {
        if self.is_active() {
            self.close();
            self.enter(State::Dead, host);
        }
    }

    /// Forgets that it failed, and how often it was started.
    pub(super) fn reset_failed(&mut self, host: &mut Host) {
        self.start_limit.reset();
        self.result = SocketResult::Success;
        if self.state == State::Failed {
            self.enter(State::Dead, host);
        }
    }

    /// Stops listening for a reason that makes it fail.
    pub(super) fn fail(&mut self, result: SocketResult, host: &mut Host) {
        self.close();
        self.result = result;
        self.enter(State::Failed, host);
    }

    /// Whether connections came.
    pub(super) fn poll_readable(&self, context: &mut Context<'_>) -> bool {
        // Each is asked, so that each will wake us.
        self.watches.iter().filter(|watch| watch.poll_readable(context)).count() > 0
    }

    /// A connection may wait: whether and what it calls for. Counts against the trigger limit.
    /// `service_is_up`: it runs, or a job for it is pending. `connections`: with Accept=yes, those served now.
    pub(super) fn on_readable(&mut self, service_is_up: bool, connections: usize, host: &mut Host) -> Wanted {
        if self.state != State::Listening || !self.held.iter().any(HeldListener::has_waiting) {
            return Wanted::Nothing;
        }
        if self.definition.accept {
            return self.accept(connections, host);
        }
        if !self.trigger(host) {
            return Wanted::Nothing;
        }
        self.watches.clear();
        self.enter(State::Running, host);
        if service_is_up { Wanted::Nothing } else { Wanted::Service }
    }

    fn trigger(&mut self, host: &mut Host) -> bool {
        let within = self.trigger_limit.allows(Instant::now());
        if !within {
            self.fail(SocketResult::TriggerLimitHit, host);
        }
        within
    }

    /// Takes every connection that waits; past MaxConnections= they are closed at once.
    fn accept(&mut self, connections: usize, host: &mut Host) -> Wanted {
        let mut taken = Vec::new();
        let most = usize::try_from(self.definition.max_connections).unwrap_or(usize::MAX);
        while let Some(connection) = self.held.iter().find_map(|listener| listener.accept().ok().flatten()) {
            if connections + taken.len() >= most {
                drop(connection);
            } else if self.trigger(host) {
                taken.push(connection);
            } else {
                break;
            }
        }
        Wanted::Instances(taken)
    }

    /// The service it starts is in this state now, and no job for it is pending.
    pub(super) fn follow(&mut self, service: ServiceState, hit_its_start_limit: bool, host: &mut Host) {
        if !self.is_active() {
            return;
        }
        let lets_go = service.is_down()
            || matches!(service, ServiceState::FinalSigterm | ServiceState::FinalSigkill | ServiceState::AutoRestart);
        if hit_its_start_limit {
            self.fail(SocketResult::ServiceStartLimitHit, host);
        } else if lets_go && self.state == State::Running {
            self.listen(host);
        } else if service == ServiceState::Running && self.state == State::Listening {
            self.watches.clear();
            self.enter(State::Running, host);
        }
    }

    /// What its service is passed: all its sockets under one name.
    pub(super) fn passed(&self) -> io::Result<Vec<PassedSocket>> {
        let name = &self.definition.descriptor_name;
        let pass = |listener: &HeldListener| {
            Ok(PassedSocket { descriptor: Arc::new(listener.duplicate()?), name: name.clone() })
        };
        self.held.iter().map(pass).collect()
    }

    /// What is known of it now, the kernel's listeners as far as it holds them itself: with nothing known of
    /// their queues.
    pub(super) fn describe(&self, triggers: Vec<UnitName>) -> SocketState {
        let listeners = self.held.iter().filter_map(|held| {
            let (inode, backlog) = (held.inode(), held.backlog());
            Some(Listener { endpoint: held.endpoint()?, inode, queued: 0, backlog, cookie: None, drops: None })
        });
        SocketState {
            accept: self.definition.accept,
            flush_pending: self.definition.flush_pending,
            max_connections: self.definition.accept.then_some(self.definition.max_connections),
            max_connections_per_source: None,
            listen: self.definition.listen.iter().filter_map(|(address, _)| address.endpoint()).collect(),
            listeners: listeners.collect(),
            backlog: self.definition.backlog,
            triggers,
        }
    }

    /// Removes the files it was ever bound to.
    pub(super) fn remove_paths(&mut self) {
        for path in std::mem::take(&mut self.bound) {
            // It may be gone: services remove it as well.
            let _ = std::fs::remove_file(path);
        }
    }

    fn listen(&mut self, host: &mut Host) {
        if self.definition.flush_pending && !self.definition.accept {
            flush(&self.held);
        }
        let watch = |listener: &HeldListener| Watch::new(listener.duplicate()?);
        match self.held.iter().map(watch).collect::<io::Result<_>>() {
            Ok(watches) => {
                self.watches = watches;
                self.enter(State::Listening, host);
            }
            Err(_) => self.fail(SocketResult::Resources, host),
        }
    }

    fn close(&mut self) {
        if self.definition.remove_on_stop {
            self.remove_paths();
        }
        self.watches.clear();
        self.held.clear();
    }

    fn enter(&mut self, state: State, host: &mut Host) {
        self.state = state;
        let (active_state, sub_state) = state.words();
        let at = clock::now();
        host.tell(UnitChange {
            unit: self.definition.name.clone(),
            at,
            changed_at: Some(at),
            active_state,
            sub_state: sub_state.to_owned(),
            main_pid: 0,
            result: self.result.name().to_owned(),
            main_exit: None,
        });
    }
}
