//! What each action claims, and whether it holds.

use super::*;
use crate::host::scripted::process;
use crate::model::address::{Endpoint, Listener};
use crate::model::holder::Holder;
use crate::model::{ServiceState, SocketState};
use crate::run::serving::Held;

fn service(invocation: &str, pid: u32) -> UnitSnapshot {
    let main = ProcessId { pid, start_ticks: u64::from(pid) * 10 };
    UnitSnapshot {
        sub_state: "running".into(),
        invocation_id: Some(invocation.into()),
        service: Some(ServiceState {
            main_process: Some(main),
            processes: vec![main],
            kill_mode: "control-group".into(),
            ..ServiceState::default()
        }),
        ..UnitSnapshot::in_state("a.service", "active")
    }
}

fn socket(inode: u64) -> UnitSnapshot {
    let endpoint = Endpoint::Tcp("127.0.0.1:8008".parse().unwrap());
    UnitSnapshot {
        unit: UnitName::new("a.socket").unwrap(),
        service: None,
        socket: Some(SocketState {
            listeners: vec![Listener { endpoint, inode, queued: 0, backlog: 128, cookie: None, drops: None }],
            triggers: vec![UnitName::new("a.service").unwrap()],
            ..SocketState::default()
        }),
        ..service("s", 1)
    }
}

fn restart() -> Action {
    Action::Unit { verb: UnitVerb::Restart, unit: UnitName::new("a.service").unwrap() }
}

fn holds(action: &Action, before: &[UnitSnapshot], after: &[UnitSnapshot], survivors: &[ProcessId]) -> Vec<bool> {
    let seen = Seen { before, after, survivors, listened: &[], serving: None, brought: &[] };
    claims(action, &seen).iter().map(|claim| claim.holds).collect()
}

#[test]
fn a_restart_is_a_new_invocation_and_process_behind_the_same_listener() {
    let (before, after) = ([service("1", 10), socket(7)], [service("2", 11), socket(7)]);
    assert_eq!(holds(&restart(), &before, &after, &[]), [true, true, true]);
}

#[test]
fn a_restart_that_kept_its_process_or_lost_its_listener_is_not_proven() {
    let before = [service("1", 10), socket(7)];
    assert_eq!(holds(&restart(), &before, &[service("1", 10), socket(7)], &[]), [false, false, true]);
    assert_eq!(holds(&restart(), &before, &[service("2", 11), socket(8)], &[]), [true, true, false]);
    assert_eq!(holds(&restart(), &before, &[], &[]), [false]);
}

#[test]
fn a_kill_is_proven_when_the_processes_it_named_are_gone() {
    let kill = Action::Kill { unit: UnitName::new("a.service").unwrap(), signal: Signal::KILL, who: KillWho::All };
    let (before, after) = ([service("1", 10)], [service("2", 11)]);
    assert_eq!(holds(&kill, &before, &after, &[]), [true]);
    let survivor = before[0].main_process().unwrap();
    assert_eq!(holds(&kill, &before, &after, &[survivor]), [false]);
}

#[test]
fn a_signal_that_only_talks_to_the_service_must_leave_its_main_process() {
    let hup = Action::Kill { unit: UnitName::new("a.service").unwrap(), signal: Signal::HUP, who: KillWho::Main };
    assert_eq!(holds(&hup, &[service("1", 10)], &[service("1", 10)], &[]), [true]);
    assert_eq!(holds(&hup, &[service("1", 10)], &[service("2", 11)], &[]), [false]);
}

#[test]
fn a_stop_must_leave_nothing_in_the_control_group() {
    let stop = Action::Unit { verb: UnitVerb::Stop, unit: UnitName::new("a.service").unwrap() };
    let mut after = service("1", 10);
    after.active_state = "inactive".into();
    assert_eq!(holds(&stop, &[service("1", 10)], std::slice::from_ref(&after), &[]), [true, false]);
    after.service.as_mut().unwrap().processes.clear();
    assert_eq!(holds(&stop, &[service("1", 10)], &[after], &[]), [true, true]);
}

/// As [`holds`], for a service that listens itself: by the inodes of its listener before and after.
fn holds_with(action: &Action, before: &[UnitSnapshot], after: &[UnitSnapshot], inodes: [u64; 2]) -> Vec<bool> {
    let served = |inode, pid| {
        let holder = Holder { process: process(pid, "/system.slice/a.service"), accepted: 0, also_listens: Vec::new() };
        let address = Endpoint::Tcp(([127, 0, 0, 1], 80).into());
        Served { address, is_front: false, listeners: vec![Held { inode, holders: vec![holder] }] }
    };
    let (listened, serving) = ([served(inodes[0], 10)], [served(inodes[1], 11)]);
    let seen = Seen { before, after, survivors: &[], listened: &listened, serving: Some(&serving), brought: &[] };
    claims(action, &seen).iter().map(|claim| claim.holds).collect()
}

fn all_hold(claims: &[bool]) -> bool {
    !claims.is_empty() && claims.iter().all(|holds| *holds)
}

#[test]
fn a_handover_of_the_main_process_is_proven_where_the_listener_went_over() {
    let unit = || UnitName::new("a.service").unwrap();
    let reload = Action::Unit { verb: UnitVerb::Reload, unit: unit() };
    let upgrade = Action::Kill { unit: unit(), signal: Signal::HUP, who: KillWho::Main };
    let replace = Action::Exec { argv: vec!["./upgrade".to_owned()], replaces: Some(unit()) };
    for action in [&reload, &upgrade, &replace] {
        let (old, new) = ([service("1", 10)], [service("1", 11)]);
        assert!(all_hold(&holds_with(action, &old, &new, [7, 7])), "{action:?}");
        assert!(!all_hold(&holds_with(action, &old, &new, [7, 8])), "another listener took its place: {action:?}");
        let (old, new) = ([service("1", 10), socket(7)], [service("1", 11), socket(7)]);
        assert!(all_hold(&holds_with(action, &old, &new, [7, 7])), "the socket unit's own: {action:?}");
    }
    for action in [&reload, &upgrade] {
        assert!(!all_hold(&holds_with(action, &[service("1", 10)], &[service("2", 11)], [7, 7])), "it was restarted");
    }
}

#[test]
fn a_stop_that_its_socket_undoes_is_proven_by_the_end_of_the_old_processes() {
    let stop = Action::Unit { verb: UnitVerb::Stop, unit: UnitName::new("a.service").unwrap() };
    let before = [service("1", 10), socket(7)];
    assert_eq!(holds(&stop, &before, &[service("2", 11), socket(7)], &[]), [true]);
    let mut half_stopped = service("2", 11);
    half_stopped.service.as_mut().unwrap().processes.push(ProcessId { pid: 10, start_ticks: 100 });
    assert_eq!(holds(&stop, &before, &[half_stopped, socket(7)], &[]), [false]);
    assert_eq!(holds(&stop, &before, &[service("1", 10), socket(7)], &[]), [false, false], "it never stopped");
    let mut down = socket(7);
    down.active_state = "inactive".into();
    assert_eq!(holds(&stop, &before, &[service("2", 11), down], &[]), [false, false], "something else started it");
}
