//! Proofs that an action happened: claims held against what the units were before and are after, and that who answers
//! is the unit.

mod tied;

use super::serving::Served;
use crate::model::{ActiveState, KillWho, ProcessId, Signal, SocketState, UnitKind, UnitName, UnitSnapshot, UnitVerb};
use crate::record::line::Claim;
use crate::scenario::plan::Action;

/// What was seen of the units around an action.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The units of the scenario just before.
    pub before: &'a [UnitSnapshot],
    /// The units of the scenario when the step was over.
    pub after: &'a [UnitSnapshot],
    /// Of the processes a signal was meant for, those that are still there.
    pub survivors: &'a [ProcessId],
    /// The listeners at the addresses of the load just before, by inode.
    pub listened: &'a [Served],
    /// Who listens at the addresses of the load since it was answered again; none where that was not awaited.
    pub serving: Option<&'a [Served]>,
    /// Units that the scenario brought, among those of the processes that listen.
    pub brought: &'a [UnitName],
}

impl<'a> Seen<'a> {
    fn pair(&self, unit: &UnitName) -> Option<(&'a UnitSnapshot, &'a UnitSnapshot)> {
        let find = |list: &'a [UnitSnapshot]| list.iter().find(|snapshot| snapshot.unit == *unit);
        Some((find(self.before)?, find(self.after)?))
    }
}

/// The signals that end a service when nothing else is said of them. The others are used to talk to it, SIGHUP
/// for a reload above all.
#[must_use]
pub fn is_terminating(signal: Signal) -> bool {
    matches!(signal.name(), "KILL" | "TERM" | "INT" | "QUIT" | "ABRT" | "SEGV" | "BUS" | "ILL" | "FPE" | "TRAP" | "SYS")
}

/// The claims of `action`, held against what was seen. Empty for an action that claims nothing.
#[must_use]
pub fn claims(action: &Action, seen: &Seen<'_>) -> Vec<Claim> {
    let mut claims = match action {
        Action::Unit { verb, unit } => of_verb(*verb, unit, seen),
        Action::Kill { unit, signal, who } => of_kill(unit, *signal, *who, seen),
        Action::Exec { replaces: Some(unit), .. } => of_replacement(unit, seen),
        Action::Exec { replaces: None, .. }
        | Action::DaemonReload
        | Action::Wait { .. }
        | Action::Request { .. }
        | Action::Gate { .. } => Vec::new(),
    };
    let is_down = matches!(action, Action::Unit { verb: UnitVerb::Stop | UnitVerb::ResetFailed, .. });
    if let Some(unit) = action.unit().filter(|_| !is_down && !claims.is_empty()) {
        claims.extend(tied::claims(unit, seen));
    }
    claims
}

/// Whether the event brought a new incarnation of the unit.
#[must_use]
pub fn is_replaced(unit: &UnitName, seen: &Seen<'_>) -> bool {
    seen.pair(unit).is_some_and(|(before, after)| {
        before.invocation_id.is_some() && after.invocation_id.is_some() && before.invocation_id != after.invocation_id
    })
}

fn of_verb(verb: UnitVerb, unit: &UnitName, seen: &Seen<'_>) -> Vec<Claim> {
    let Some((before, after)) = seen.pair(unit) else { return vec![unseen(unit)] };
    match (verb, unit.kind()) {
        (UnitVerb::TryRestart, _) if !before.is_active() => Vec::new(),
        (UnitVerb::Restart | UnitVerb::TryRestart, UnitKind::Socket) => {
            let listener = (!is_unseen(before, after)).then(|| own_listener_changed(before, after));
            std::iter::once(invocation_changed(before, after)).chain(listener).collect()
        }
        (UnitVerb::Restart | UnitVerb::TryRestart, _) => replaced(before, after, seen),
        (UnitVerb::ReloadOrRestart, _) => {
            if before.invocation_id == after.invocation_id {
                reloaded(before, after, seen)
            } else {
                replaced(before, after, seen)
            }
        }
        (UnitVerb::Reload, _) => reloaded(before, after, seen),
        (UnitVerb::Stop, _) => stopped(before, after, seen),
        (UnitVerb::Start, _) => vec![is_active(after)],
        (UnitVerb::ResetFailed, _) => vec![not_failed(after)],
    }
}

fn of_kill(unit: &UnitName, signal: Signal, who: KillWho, seen: &Seen<'_>) -> Vec<Claim> {
    let Some((before, after)) = seen.pair(unit) else { return vec![unseen(unit)] };
    if !is_terminating(signal) {
        return handed_over(before, after, seen).unwrap_or_else(|| vec![main_process_kept(before, after)]);
    }
    let is_unseen = is_unseen(before, after);
    let named = match who {
        KillWho::Main => main_pids(before),
        KillWho::All if is_unseen => main_pids(before),
        KillWho::All | KillWho::Control => pids(before),
    };
    let are_gone = seen.survivors.is_empty();
    let told = if are_gone {
        format!("{} gone", list(&named))
    } else {
        format!("{} still running", list(&seen.survivors.iter().map(|process| process.pid).collect::<Vec<_>>()))
    };
    let holds = are_gone && !named.is_empty();
    let which = if is_unseen { "the main process" } else { "the processes" };
    let (was, are) = if is_unseen { ("was", "is") } else { ("were", "are") };
    vec![Claim { claim: format!("{which} of {unit} that {was} sent {signal} {are} gone"), seen: told, holds }]
}

/// The machine could not be looked at, before the event or after it.
fn is_unseen(before: &UnitSnapshot, after: &UnitSnapshot) -> bool {
    before.is_unseen || after.is_unseen
}

/// A command replaces a unit by a restart, or has it hand over to a new main process.
fn of_replacement(unit: &UnitName, seen: &Seen<'_>) -> Vec<Claim> {
    let Some((before, after)) = seen.pair(unit) else { return vec![unseen(unit)] };
    handed_over(before, after, seen).unwrap_or_else(|| replaced(before, after, seen))
}

/// A new incarnation serves, and the listener in front of it is the old one.
fn replaced(before: &UnitSnapshot, after: &UnitSnapshot, seen: &Seen<'_>) -> Vec<Claim> {
    let mut claims = vec![invocation_changed(before, after)];
    if before.main_process().is_some() || after.main_process().is_some() {
        claims.push(main_process_changed(before, after));
    }
    claims.extend(listeners_kept(&before.unit, seen));
    claims
}

fn reloaded(before: &UnitSnapshot, after: &UnitSnapshot, seen: &Seen<'_>) -> Vec<Claim> {
    let unchanged = || vec![invocation_kept(before, after), main_process_kept(before, after)];
    handed_over(before, after, seen).unwrap_or_else(unchanged)
}

/// The main process of the same invocation is another one, by MAINPID=, PIDFile= or a fork of its own: the listener must
/// have gone over to it. None where it is no such handover.
fn handed_over(before: &UnitSnapshot, after: &UnitSnapshot, seen: &Seen<'_>) -> Option<Vec<Claim>> {
    let (old, new) = (before.main_process()?, after.main_process()?);
    if old == new || before.invocation_id.is_none() || before.invocation_id != after.invocation_id {
        return None;
    }
    let mut claims = vec![invocation_kept(before, after), main_process_changed(before, after)];
    let of_sockets = listeners_kept(&before.unit, seen);
    claims.extend(if of_sockets.is_empty() { listeners_carried_over(seen) } else { of_sockets });
    Some(claims)
}

/// One claim for each address of the load that the unit itself serves: a listener of before is still there.
fn listeners_carried_over(seen: &Seen<'_>) -> Vec<Claim> {
    let now = |address| seen.serving.into_iter().flatten().find(|served| served.address == address);
    let kept = |was: &Served| {
        let (old, new) = (was.inodes(), now(was.address.clone())?.inodes());
        Some(Claim {
            claim: format!("a listener on {} was carried over", was.address),
            seen: format!("inode {} -> {}", list(&Vec::from_iter(&old)), list(&Vec::from_iter(&new))),
            holds: !old.is_disjoint(&new),
        })
    };
    seen.listened.iter().filter(|was| !was.is_front).filter_map(kept).collect()
}

/// It is down; or its socket has started it again, which a stop does not forbid.
fn stopped(before: &UnitSnapshot, after: &UnitSnapshot, seen: &Seen<'_>) -> Vec<Claim> {
    if let Some(socket) = restarted_by(&before.unit, seen) {
        let is_unseen = is_unseen(before, after);
        let known = |unit| if is_unseen { main_pids(unit) } else { pids(unit) };
        let left: Vec<u32> = known(before).into_iter().filter(|pid| known(after).contains(pid)).collect();
        let old = if left.is_empty() { "ended".to_owned() } else { format!("{} left", list(&left)) };
        let which = if is_unseen { "the main process" } else { "the processes" };
        return vec![Claim {
            claim: format!("{which} of {} ended", before.unit),
            seen: format!("{old}; {socket} started it again"),
            holds: left.is_empty(),
        }];
    }
    let mut claims = vec![Claim {
        claim: format!("{} is inactive", after.unit),
        seen: state(after),
        holds: after.active_state.is_stopped(),
    }];
    if let Some(service) = &after.service
        && !after.is_unseen
        && matches!(service.kill_mode.as_str(), "control-group" | "mixed")
    {
        let left = pids(after);
        claims.push(Claim {
            claim: format!("the control group of {} is empty", after.unit),
            seen: if left.is_empty() { "empty".to_owned() } else { format!("{} left", list(&left)) },
            holds: left.is_empty(),
        });
    }
    claims
}

fn is_active(after: &UnitSnapshot) -> Claim {
    Claim { claim: format!("{} is active", after.unit), seen: state(after), holds: after.is_active() }
}

fn not_failed(after: &UnitSnapshot) -> Claim {
    let holds = after.active_state != ActiveState::Failed;
    Claim { claim: format!("{} is not failed", after.unit), seen: state(after), holds }
}

fn unseen(unit: &UnitName) -> Claim {
    Claim { claim: format!("{unit} could be looked at"), seen: "no snapshot".to_owned(), holds: false }
}

fn invocation_kept(before: &UnitSnapshot, after: &UnitSnapshot) -> Claim {
    Claim {
        claim: format!("InvocationID of {} is unchanged", after.unit),
        seen: from_to(before.invocation_id.as_deref(), after.invocation_id.as_deref()),
        holds: before.invocation_id.is_some() && before.invocation_id == after.invocation_id,
    }
}

fn invocation_changed(before: &UnitSnapshot, after: &UnitSnapshot) -> Claim {
    Claim {
        claim: format!("InvocationID of {} changed", after.unit),
        seen: from_to(before.invocation_id.as_deref(), after.invocation_id.as_deref()),
        holds: after.invocation_id.is_some() && before.invocation_id != after.invocation_id,
    }
}

fn main_process_changed(before: &UnitSnapshot, after: &UnitSnapshot) -> Claim {
    let (old, new) = (before.main_process(), after.main_process());
    Claim {
        claim: format!("main process of {} changed", after.unit),
        seen: from_to(old.map(process).as_deref(), new.map(process).as_deref()),
        holds: new.is_some() && old != new,
    }
}

fn main_process_kept(before: &UnitSnapshot, after: &UnitSnapshot) -> Claim {
    let (old, new) = (before.main_process(), after.main_process());
    Claim {
        claim: format!("main process of {} is unchanged", after.unit),
        seen: from_to(old.map(process).as_deref(), new.map(process).as_deref()),
        holds: old.is_some() && old == new,
    }
}

fn own_listener_changed(before: &UnitSnapshot, after: &UnitSnapshot) -> Claim {
    let (old, new) = (inodes(before), inodes(after));
    Claim {
        claim: format!("listener of {} is a new one", after.unit),
        seen: format!("inode {} -> {}", list(&old), list(&new)),
        holds: !new.is_empty() && new.iter().all(|inode| !old.contains(inode)),
    }
}

/// One claim for each socket unit that triggers `service`: its listener is the same kernel object as before.
fn listeners_kept(service: &UnitName, seen: &Seen<'_>) -> Vec<Claim> {
    let triggers = |socket: &SocketState| !socket.accept && socket.triggers.contains(service);
    let kept = |old: &UnitSnapshot, new: &UnitSnapshot| {
        // Of a machine that cannot be looked at, the incarnation of the socket unit tells that it was not started anew.
        if is_unseen(old, new) {
            return invocation_kept(old, new);
        }
        let (was, is) = (inodes(old), inodes(new));
        Claim {
            claim: format!("listener of {} is the same", old.unit),
            seen: format!("inode {} -> {}", list(&was), list(&is)),
            holds: !was.is_empty() && was == is,
        }
    };
    let sockets = seen.before.iter().filter(|old| old.socket.as_ref().is_some_and(triggers));
    sockets.filter_map(|old| seen.pair(&old.unit)).map(|(old, new)| kept(old, new)).collect()
}

/// The active socket unit that has started `service` anew since the event began.
fn restarted_by<'a>(service: &UnitName, seen: &Seen<'a>) -> Option<&'a UnitName> {
    let is_up = |unit: &UnitSnapshot| unit.is_active() || unit.active_state == ActiveState::Activating;
    if !is_replaced(service, seen) || !seen.pair(service).is_some_and(|(_, after)| is_up(after)) {
        return None;
    }
    sockets_of(service, seen.after).find(|socket| socket.is_active()).map(|socket| &socket.unit)
}

fn sockets_of<'a>(service: &UnitName, units: &'a [UnitSnapshot]) -> impl Iterator<Item = &'a UnitSnapshot> {
    let triggers = move |snapshot: &&UnitSnapshot| {
        snapshot.socket.as_ref().is_some_and(|socket| socket.triggers.contains(service))
    };
    units.iter().filter(triggers)
}

fn pids(snapshot: &UnitSnapshot) -> Vec<u32> {
    snapshot.service.iter().flat_map(|service| &service.processes).map(|process| process.pid).collect()
}

fn main_pids(snapshot: &UnitSnapshot) -> Vec<u32> {
    snapshot.main_process().iter().map(|main| main.pid).collect()
}

fn inodes(snapshot: &UnitSnapshot) -> Vec<u64> {
    let mut inodes: Vec<u64> =
        snapshot.socket.iter().flat_map(|socket| &socket.listeners).map(|listener| listener.inode).collect();
    inodes.sort_unstable();
    inodes
}

fn state(snapshot: &UnitSnapshot) -> String {
    format!("{} ({})", snapshot.active_state, snapshot.sub_state)
}

fn process(process: ProcessId) -> String {
    format!("PID {}", process.pid)
}

fn from_to(old: Option<&str>, new: Option<&str>) -> String {
    format!("{} -> {}", old.unwrap_or("none"), new.unwrap_or("none"))
}

fn list<T: ToString>(items: &[T]) -> String {
    if items.is_empty() {
        return "none".to_owned();
    }
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
