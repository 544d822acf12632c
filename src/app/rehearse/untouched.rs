//! Whether the real units are as they were: their main processes, invocations and listeners, before and after a rehearsal.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use crate::host::{holder, listener, machine, process};
use crate::manager::systemd::Inspector;
use crate::model::{Endpoint, UnitKind, UnitName, UnitSnapshot};

/// The machine's own units, as they were.
#[derive(Debug, Default)]
pub(super) struct Untouched {
    inspector: Option<Inspector>,
    before: Vec<State>,
}

/// What a restart would change of a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
struct State {
    unit: UnitName,
    activity: String,
    main_pid: Option<u32>,
    invocation_id: Option<String>,
    /// Addresses with the inodes of the sockets that listen there.
    listeners: BTreeSet<(Endpoint, u64)>,
}

impl Untouched {
    /// Looks at them; at none where the machine was not booted with systemd.
    pub(super) async fn look(units: &[UnitName]) -> Self {
        if !machine::booted_with_systemd() {
            return Self::default();
        }
        let Ok(inspector) = Inspector::system().await else { return Self::default() };
        let mut before = Vec::new();
        for unit in units {
            before.extend(State::of(&inspector, unit).await);
        }
        Self { inspector: Some(inspector), before }
    }

    /// The sockets that listen on the machine, and the services of which a process does; none where it was not booted with
    /// systemd.
    pub(super) async fn listening(&self) -> Option<Vec<UnitName>> {
        let inspector = self.inspector.as_ref()?;
        let mut listening = Vec::new();
        for socket in inspector.sockets().await.ok()? {
            if inspector.look(&socket).await.is_ok_and(|details| details.snapshot.is_active()) {
                listening.push(socket);
            }
        }
        listening.extend(listening_services());
        Some(listening)
    }

    /// A sentence for each that is as it was, or is not.
    pub(super) async fn compare(&self) -> Vec<Result<String, String>> {
        let Some(inspector) = &self.inspector else { return Vec::new() };
        let mut sentences = Vec::new();
        for before in &self.before {
            let unit = &before.unit;
            sentences.push(match State::of(inspector, unit).await {
                Some(after) if after == *before => Ok(format!("the real {unit} is as it was: {}", before.in_words())),
                Some(after) => Err(format!(
                    "the real {unit} changed during the rehearsal, which did not touch it: before: {}; now: {}",
                    before.in_words(),
                    after.in_words()
                )),
                None => Err(format!("the real {unit} cannot be compared: systemd does not answer")),
            });
        }
        sentences
    }
}

impl State {
    async fn of(inspector: &Inspector, unit: &UnitName) -> Option<Self> {
        let state = inspector.look(unit).await.ok()?.snapshot;
        Some(Self {
            unit: unit.clone(),
            activity: state.active_state.to_string(),
            main_pid: state.main_process().map(|process| process.pid),
            invocation_id: state.invocation_id.clone(),
            listeners: listeners(&state),
        })
    }

    fn in_words(&self) -> String {
        let mut words = self.activity.clone();
        if let Some(pid) = self.main_pid {
            let _ = write!(words, ", main PID {pid}"); // writing to a String cannot fail
        }
        if let Some(invocation) = &self.invocation_id {
            let _ = write!(words, ", invocation {invocation}");
        }
        for (endpoint, inode) in &self.listeners {
            let _ = write!(words, ", listener {inode} at {endpoint}");
        }
        words
    }
}

/// Services of which a process waits for connections.
fn listening_services() -> BTreeSet<UnitName> {
    let listeners: BTreeSet<u64> =
        listener::all().unwrap_or_default().into_iter().map(|listener| listener.inode).collect();
    let holders = holder::of_sockets().into_iter().filter(|(inode, _)| listeners.contains(inode));
    let pids: BTreeSet<u32> = holders.flat_map(|(_, holders)| holders).map(|holder| holder.pid).collect();
    let units = pids.into_iter().filter_map(|pid| process::describe(pid)?.unit);
    units.filter(|unit| unit.kind() == UnitKind::Service).collect()
}

/// The listeners of a socket unit, or of the processes of a service.
fn listeners(state: &UnitSnapshot) -> BTreeSet<(Endpoint, u64)> {
    let of_socket = state.socket.iter().flat_map(|socket| socket.listeners.clone());
    let processes = state.service.iter().flat_map(|service| &service.processes);
    let held: BTreeSet<u64> = processes.flat_map(|process| holder::sockets_of(process.pid)).collect();
    let all = if held.is_empty() { Vec::new() } else { listener::all().unwrap_or_default() };
    let of_service = all.into_iter().filter(|listener| held.contains(&listener.inode));
    of_socket.chain(of_service).map(|listener| (listener.endpoint, listener.inode)).collect()
}
