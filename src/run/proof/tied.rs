//! Answers are tied to the unit: who listens at the addresses of the load is the service.

use super::{Seen, inodes, is_replaced, sockets_of};
use crate::model::holder::Holder;
use crate::model::{ProcessId, UnitName, UnitSnapshot};
use crate::record::line::Claim;
use crate::run::serving::{Held, Served};

/// One claim for each address of the load where no proxy is declared: who listens there is the service, after a restart
/// its new incarnation.
pub(super) fn claims(unit: &UnitName, seen: &Seen<'_>) -> Vec<Claim> {
    let Some((before, after)) = seen.pair(unit).filter(|(_, after)| after.service.is_some()) else { return Vec::new() };
    let starts_one_each = |socket: &UnitSnapshot| socket.socket.as_ref().is_some_and(|socket| socket.accept);
    if sockets_of(unit, seen.after).any(starts_one_each) {
        return Vec::new();
    }
    let of_sockets: Vec<u64> = sockets_of(unit, seen.after).flat_map(inodes).collect();
    let processes = |snapshot: &UnitSnapshot| -> Vec<ProcessId> {
        snapshot.service.iter().flat_map(|service| service.processes.clone()).chain(snapshot.main_process()).collect()
    };
    let (old, new) = (processes(before), processes(after));
    let is_new = is_replaced(unit, seen);
    let is_own = |holder: &Holder| {
        new.contains(&holder.process.id) || holder.process.unit.as_ref() == Some(unit) && after.is_active()
    };
    let is_fresh = |holder: &Holder| is_own(holder) && !(is_new && old.contains(&holder.process.id));
    let is_ours = |holder: &Holder| {
        let unit = holder.process.unit.as_ref();
        let is_of_scenario = |unit| seen.brought.contains(unit) || seen.pair(unit).is_some();
        let services = seen.after.iter().filter_map(|unit| unit.service.as_ref());
        is_own(holder)
            || unit.is_some_and(is_of_scenario)
            || services.into_iter().any(|service| service.processes.contains(&holder.process.id))
    };
    let is_strangers = |served: &Served| {
        let held = |listener: &Held| of_sockets.contains(&listener.inode) || listener.holders.iter().any(is_ours);
        served.listeners.iter().any(|listener| !held(listener))
    };
    let claim = |served: &Served| {
        let holds = served.holders().any(is_fresh) && !is_strangers(served);
        let remedy =
            format!("; if that is a proxy in front of {unit}, declare it: front = true under [target], or --front");
        let remedy = if holds || served.listeners.is_empty() { String::new() } else { remedy };
        let which = if is_new { "the new incarnation of " } else { "" };
        Claim {
            claim: format!("{which}{unit} listens on {}", served.address),
            seen: format!("{}{remedy}", served.who()),
            holds,
        }
    };
    let addresses: Vec<&Served> = seen.serving.into_iter().flatten().filter(|served| !served.is_front).collect();
    // A scenario may load other units as well; one address at least is this unit's.
    let own: Vec<&Served> = addresses.iter().copied().filter(|served| served.holders().any(is_own)).collect();
    let judged = if own.is_empty() { addresses } else { own };
    judged.into_iter().map(claim).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::scripted::process;
    use crate::model::address::{Endpoint, Listener};
    use crate::model::{ServiceState, SocketState};

    const INODE: u64 = 7;

    fn unit(name: &str) -> UnitName {
        UnitName::new(name).unwrap()
    }

    fn snapshot(name: &str, invocation: &str) -> UnitSnapshot {
        UnitSnapshot {
            sub_state: "running".into(),
            invocation_id: Some(invocation.into()),
            ..UnitSnapshot::in_state(name, "active")
        }
    }

    fn service(invocation: &str, pids: &[u32]) -> UnitSnapshot {
        let processes = pids.iter().map(|&pid| process(pid, "/system.slice/a.service").id).collect();
        let state = ServiceState { processes, ..ServiceState::default() };
        UnitSnapshot { service: Some(state), ..snapshot("a.service", invocation) }
    }

    fn address() -> Endpoint {
        Endpoint::Tcp(([127, 0, 0, 1], 80).into())
    }

    fn socket() -> UnitSnapshot {
        let listener = Listener { endpoint: address(), inode: INODE, queued: 0, backlog: 1, cookie: None, drops: None };
        let triggers = vec![unit("a.service")];
        let state = SocketState { listeners: vec![listener], triggers, ..SocketState::default() };
        UnitSnapshot { socket: Some(state), ..snapshot("a.socket", "s") }
    }

    fn held(inode: u64, by: &[(u32, &str)]) -> Held {
        let holder = |&(pid, group): &(u32, &str)| Holder {
            process: process(pid, &format!("/system.slice/{group}")),
            accepted: 0,
            also_listens: Vec::new(),
        };
        Held { inode, holders: by.iter().map(holder).collect() }
    }

    /// The claim after a restart of PID 10 by 11, where these listen.
    fn after_restart(listeners: Vec<Held>, is_front: bool, units: &[UnitSnapshot]) -> Vec<(bool, String)> {
        let before = [&[service("1", &[10])], units].concat();
        let after = [&[service("2", &[11])], units].concat();
        let serving = [Served { address: address(), is_front, listeners }];
        let seen = Seen {
            before: &before,
            after: &after,
            survivors: &[],
            listened: &[],
            serving: Some(&serving),
            brought: &[unit("b.service")],
        };
        claims(&unit("a.service"), &seen).into_iter().map(|claim| (claim.holds, claim.seen)).collect()
    }

    fn holds(listeners: Vec<Held>, units: &[UnitSnapshot]) -> bool {
        let claims = after_restart(listeners, false, units);
        assert_eq!(claims.len(), 1);
        claims[0].0
    }

    #[test]
    fn a_service_with_its_own_port_must_hold_it_by_its_new_incarnation() {
        assert!(holds(vec![held(INODE, &[(11, "a.service")])], &[]));
        assert!(holds(vec![held(INODE, &[(12, "a.service")])], &[]), "a worker that was forked since");
        assert!(!holds(vec![held(INODE, &[(10, "a.service")])], &[]), "only the old incarnation has it");
        assert!(!holds(vec![held(INODE, &[(90, "other.service")])], &[]));
        assert!(!holds(Vec::new(), &[]));
    }

    #[test]
    fn a_socket_units_listener_must_be_taken_by_the_new_incarnation() {
        let units = [socket()];
        let systemd = (1, "init.scope");
        assert!(holds(vec![held(INODE, &[systemd, (11, "a.service")])], &units));
        assert!(!holds(vec![held(INODE, &[systemd])], &units), "nobody has taken it");
        assert!(!holds(vec![held(INODE, &[systemd, (10, "a.service")])], &units));
    }

    #[test]
    fn a_stranger_that_shares_the_port_gets_some_of_the_answers() {
        assert!(!holds(vec![held(INODE, &[(11, "a.service")]), held(8, &[(90, "other.service")])], &[]));
        assert!(
            holds(vec![held(INODE, &[(11, "a.service")]), held(8, &[(90, "b.service")])], &[]),
            "the scenario's own"
        );
    }

    #[test]
    fn the_addresses_of_other_units_are_not_this_units_affair() {
        let before = [service("1", &[10])];
        let after = [service("2", &[11])];
        let at = |port, holder| Served {
            address: Endpoint::Tcp(([127, 0, 0, 1], port).into()),
            is_front: false,
            listeners: vec![held(u64::from(port), &[holder])],
        };
        let count = |serving: &[Served]| {
            let seen = Seen {
                before: &before,
                after: &after,
                survivors: &[],
                listened: &[],
                serving: Some(serving),
                brought: &[],
            };
            let claims = claims(&unit("a.service"), &seen);
            (claims.len(), claims.iter().filter(|claim| claim.holds).count())
        };
        assert_eq!(count(&[at(80, (11, "a.service")), at(81, (90, "other.service"))]), (1, 1));
        assert_eq!(count(&[at(80, (90, "other.service")), at(81, (90, "other.service"))]), (2, 0));
    }

    #[test]
    fn who_listens_instead_is_named_and_what_cannot_be_seen_is_said() {
        let told = |listeners| after_restart(listeners, false, &[]).remove(0).1;
        let stranger = told(vec![held(INODE, &[(90, "other.service")])]);
        assert!(stranger.starts_with("server (90) of other.service listens there; if that is a proxy"), "{stranger}");
        assert!(told(vec![held(INODE, &[])]).starts_with("who listens there cannot be seen; run as root"));
    }

    #[test]
    fn a_declared_front_claims_nothing_nor_does_a_service_for_each_connection() {
        let stranger = || vec![held(INODE, &[(90, "nginx.service")])];
        assert_eq!(after_restart(stranger(), true, &[]), []);
        let mut accepting = socket();
        accepting.socket.as_mut().unwrap().accept = true;
        assert_eq!(after_restart(stranger(), false, &[accepting]), []);
    }
}
