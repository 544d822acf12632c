//! Units for the tests of rules.

use std::path::PathBuf;

use super::facts::{Facts, ServiceFacts, SocketFacts};
use super::live_facts::{Address, HeldListener, LiveService, LiveSocket, LiveUnit};
use super::source::Source;
use super::{check, rules};
use crate::host::holder::Holder;
use crate::model::address::Listener;
use crate::model::{ActiveState, Endpoint, UnitName};
use crate::unit_file::specifier::Directories;

/// A pair of units.
pub(super) struct Pair {
    pub(super) socket: &'static str,
    pub(super) service: &'static str,
}

/// Units without a fault.
pub(super) const EXAMPLES: Pair = Pair {
    socket: "[Socket]\nListenStream=127.0.0.1:8008\nBacklog=1024\n[Install]\nWantedBy=sockets.target\n",
    service: "[Unit]\nRequires=a.socket\nStartLimitIntervalSec=0\n[Service]\nExecStart=/bin/app --serve\n",
};

fn source(name: &str, text: &str) -> Source {
    Source::new(UnitName::new(name).unwrap(), &[(PathBuf::from(name), text.to_owned())])
}

pub(super) fn socket(text: &str) -> SocketFacts {
    SocketFacts::new(source("a.socket", text), Directories::system(), None)
}

pub(super) fn service(text: &str) -> ServiceFacts {
    ServiceFacts::new(source("a.service", text), Directories::system(), None)
}

/// A socket and its service, as files.
pub(super) fn pair(socket_text: &str, service_text: &str) -> Facts {
    Facts { socket: Some(socket(socket_text)), service: Some(service(service_text)), ..Facts::default() }
}

/// The sound units, live and well.
pub(super) fn alive() -> Facts {
    let well = |sub_state: &str, file_state: &str| LiveUnit {
        load_state: "loaded".to_owned(),
        active_state: ActiveState::Active,
        sub_state: sub_state.to_owned(),
        result: "success".to_owned(),
        unit_file_state: file_state.to_owned(),
        need_daemon_reload: false,
        ..LiveUnit::default()
    };
    let mut facts = pair(EXAMPLES.socket, EXAMPLES.service);
    let service = LiveService { unit: well("running", "static"), main_pid: Some(42), ..LiveService::default() };
    facts.service.as_mut().unwrap().live = Some(service);
    let triggers = vec![UnitName::new("a.service").unwrap()];
    let socket = LiveSocket { unit: well("running", "enabled"), triggers, ..LiveSocket::default() };
    facts.socket.as_mut().unwrap().live = Some(socket);
    facts
}

/// An address of which these processes hold the one listener.
pub(super) fn address_held_by(address: &str, pids: &[u32]) -> Address {
    let endpoint = Endpoint::Tcp(address.parse().unwrap());
    let listener =
        Listener { endpoint: endpoint.clone(), inode: 7, cookie: None, queued: 0, backlog: 1024, drops: None };
    let holder = |&pid: &u32| Holder { pid, name: "app".to_owned() };
    let holders = Some(pids.iter().map(holder).collect());
    let listeners = vec![HeldListener { listener, holders, held_by_systemd: pids.contains(&1) }];
    Address { endpoint, is_reachable: true, listeners }
}

/// The ids of what is found in two files.
pub(super) fn found(socket: &str, service: &str) -> Vec<&'static str> {
    ids(&pair(socket, service))
}

/// The ids of what is found.
pub(super) fn ids(facts: &Facts) -> Vec<&'static str> {
    check(facts, &[]).into_iter().map(|finding| finding.id).collect()
}

/// The rule finds a fault in the one and none in the other.
pub(super) fn tells_apart(id: &str, faulty: &Facts, sound: &Facts) {
    assert!(rules().any(|rule| rule.id == id), "there is no rule {id}");
    assert!(ids(faulty).contains(&id), "{id} is not found: {:?}", ids(faulty));
    assert!(!ids(sound).contains(&id), "{id} is found where it is not: {:?}", check(sound, &[]));
}

/// A line added to the sound socket is a fault by that rule, and another line is none.
pub(super) fn in_socket(id: &str, faulty: &str, sound: &str) {
    let with =
        |line: &str| pair(&EXAMPLES.socket.replace("[Socket]\n", &format!("[Socket]\n{line}\n")), EXAMPLES.service);
    tells_apart(id, &with(faulty), &with(sound));
}

/// As [`in_socket`], for a line of [Service].
pub(super) fn in_service(id: &str, faulty: &str, sound: &str) {
    let with = |line: &str| pair(EXAMPLES.socket, &format!("{}{line}\n", EXAMPLES.service));
    tells_apart(id, &with(faulty), &with(sound));
}

/// As [`in_service`], for a whole command in place of the sound one.
pub(super) fn in_command(id: &str, faulty: &str, sound: &str) {
    let with = |line: &str| pair(EXAMPLES.socket, &EXAMPLES.service.replace("ExecStart=/bin/app --serve", line));
    tells_apart(id, &with(faulty), &with(sound));
}
