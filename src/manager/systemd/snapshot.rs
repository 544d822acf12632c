//! Properties as what the harness knows of a unit.

use std::io;
use std::path::PathBuf;

use super::properties::Properties;
use crate::host::process;
use crate::model::address::Listener;
use crate::model::{
    ActiveState, Endpoint, MonoTime, ProcessId, ServiceState, SocketState, UnitKind, UnitName, UnitSnapshot,
};

/// Asks the kernel which listeners there are at an address, of those that the systemd with this PID holds. It has none
/// where the bus does not know it.
pub type FindListeners = fn(&Endpoint, Option<u32>) -> io::Result<Vec<Listener>>;

/// The unit as all its properties say, with what `/proc`, the control group and the kernel's listeners add where
/// `find_listeners` can ask for them: on this machine. `at` is when systemd was asked: what it tells of afterwards is
/// newer.
pub(super) fn snapshot(
    unit: &UnitName,
    at: MonoTime,
    properties: &Properties,
    find_listeners: Option<&impl Fn(&Endpoint) -> io::Result<Vec<Listener>>>,
) -> UnitSnapshot {
    let is_here = find_listeners.is_some();
    UnitSnapshot {
        unit: unit.clone(),
        at,
        load_state: properties.text("LoadState"),
        active_state: properties.text("ActiveState").into(),
        sub_state: properties.text("SubState"),
        result: properties.text("Result"),
        invocation_id: properties.invocation_id(),
        need_daemon_reload: properties.is("NeedDaemonReload"),
        service: (unit.kind() == UnitKind::Service).then(|| service_state(properties, is_here)),
        socket: (unit.kind() == UnitKind::Socket).then(|| socket_state(properties, find_listeners)),
        is_unseen: !is_here,
    }
}

fn service_state(properties: &Properties, is_here: bool) -> ServiceState {
    let processes = if is_here { process::in_cgroup(&properties.text("ControlGroup")) } else { Vec::new() };
    let identify = |pid| if is_here { process::identify(pid) } else { Some(by_systemd(properties, pid)) };
    ServiceState {
        main_process: main_pid(properties).and_then(identify),
        main_started_at: properties.time("ExecMainStartTimestampMonotonic"),
        main_exit: main_exit(properties),
        restarts: properties.get("NRestarts").unwrap_or(0),
        memory_bytes: memory_bytes(properties, &processes),
        processes,
        start_limit: start_limit(properties),
        restart_policy: properties.text("Restart"),
        kill_mode: properties.text("KillMode"),
        service_type: properties.text("Type"),
        kill_signal: properties.get("KillSignal"),
        refuse_manual_start: properties.is("RefuseManualStart"),
        triggered_by: properties.units("TriggeredBy"),
    }
}

/// A main process that only systemd tells of: it cannot be mistaken for a later one with the same PID either.
fn by_systemd(properties: &Properties, pid: u32) -> ProcessId {
    const TICK_NS: u64 = 10_000_000;
    let started_at = properties.time_there("ExecMainStartTimestampMonotonic").unwrap_or_default();
    ProcessId { pid, start_ticks: started_at.as_nanos() / TICK_NS }
}

fn socket_state(
    properties: &Properties,
    find_listeners: Option<&impl Fn(&Endpoint) -> io::Result<Vec<Listener>>>,
) -> SocketState {
    let listen = listen_endpoints(properties.list("Listen"));
    SocketState {
        accept: properties.is("Accept"),
        flush_pending: properties.is("FlushPending"),
        max_connections: limit(properties, "MaxConnections"),
        max_connections_per_source: limit(properties, "MaxConnectionsPerSource"),
        listeners: find_listeners
            .iter()
            .flat_map(|find| listen.iter().flat_map(|at| find(at).unwrap_or_default()))
            .collect(),
        listen,
        backlog: properties.get("Backlog").unwrap_or(0),
        triggers: properties.units("Triggers"),
    }
}

/// A limit on the connections of a socket with Accept=yes; none where it is off.
fn limit(of_socket: &Properties, name: &str) -> Option<u32> {
    of_socket.get(name).filter(|limit| *limit != 0 && of_socket.is("Accept"))
}

/// MainPID; none if there is no main process.
fn main_pid(of_service: &Properties) -> Option<u32> {
    of_service.get("MainPID").filter(|pid| *pid != 0)
}

/// How the last main process ended: `exited 0`, `killed 9`. The codes are CLD_* of waitid(2).
fn main_exit(of_service: &Properties) -> Option<String> {
    let how = match of_service.get::<i32>("ExecMainCode")? {
        1 => "exited",
        2 => "killed",
        3 => "dumped",
        _ => return None,
    };
    Some(format!("{how} {}", of_service.get::<i32>("ExecMainStatus")?))
}

/// MemoryCurrent, or what the processes hold where systemd does not account for memory.
fn memory_bytes(of_service: &Properties, processes: &[ProcessId]) -> Option<u64> {
    let accounted = of_service.get("MemoryCurrent").filter(|bytes| *bytes != u64::MAX);
    accounted.or_else(|| processes.iter().filter_map(|id| process::pss_bytes(id.pid)).reduce(|sum, pss| sum + pss))
}

/// Starts allowed, and in how many microseconds; none when the limit is off, which either being 0 says.
fn start_limit(of_unit: &Properties) -> Option<(u32, u64)> {
    let burst = of_unit.get("StartLimitBurst").filter(|burst| *burst != 0)?;
    let interval_us = of_unit.get("StartLimitIntervalUSec").filter(|micros| *micros != 0)?;
    Some((burst, interval_us))
}

/// The addresses among those of Listen that a client can speak to: not vsock, netlink and message queues.
fn listen_endpoints(listen: Vec<(String, String)>) -> Vec<Endpoint> {
    let endpoint = |(kind, address): (String, String)| {
        let (is_unix, path, ip) = (address.starts_with(['/', '@']), PathBuf::from(&address), address.parse());
        match (kind.as_str(), is_unix) {
            ("Stream", true) => Some(Endpoint::Unix(path)),
            ("Stream", false) => ip.ok().map(Endpoint::Tcp),
            ("Datagram", true) => Some(Endpoint::UnixDgram(path)),
            ("Datagram", false) => ip.ok().map(Endpoint::Udp),
            ("SequentialPacket", true) => Some(Endpoint::UnixSeqpacket(path)),
            ("FIFO", true) => Some(Endpoint::Fifo(path)),
            _ => None,
        }
    };
    listen.into_iter().filter_map(endpoint).collect()
}

/// What a signal about a unit is compared by and recorded with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Brief {
    pub(super) active_state: ActiveState,
    pub(super) sub_state: String,
    pub(super) changed_at: Option<MonoTime>,
    pub(super) main_pid: u32,
    pub(super) result: String,
    pub(super) main_exit: Option<String>,
}

impl Brief {
    /// `properties` are all of the unit.
    pub(super) fn of(properties: &Properties) -> Self {
        Self {
            active_state: properties.text("ActiveState").into(),
            sub_state: properties.text("SubState"),
            changed_at: properties.time("StateChangeTimestampMonotonic"),
            main_pid: main_pid(properties).unwrap_or(0),
            result: properties.text("Result"),
            main_exit: main_exit(properties),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use zbus::OwnedVariant;

    use super::*;
    use crate::ssh::Offset;

    fn properties<const N: usize>(values: [(&str, OwnedVariant); N]) -> Properties {
        Properties::new(HashMap::from(values.map(|(name, value)| (name.to_owned(), value))), Offset::default())
    }

    #[test]
    fn only_what_a_client_can_speak_to_is_an_endpoint() {
        let listen = [
            ("Stream", "[::]:8008"),
            ("Stream", "127.0.0.1:80"),
            ("Stream", "/run/app.sock"),
            ("Stream", "@abstract"),
            ("Stream", "vsock:2:80"),
            ("Datagram", "0.0.0.0:53"),
            ("Datagram", "/run/log"),
            ("SequentialPacket", "/run/control"),
            ("FIFO", "/run/fifo"),
            ("Netlink", "kobject-uevent 1"),
            ("MessageQueue", "/queue"),
            ("Special", "/dev/input"),
        ];
        let listen = listen.map(|(kind, address)| (kind.to_owned(), address.to_owned())).to_vec();
        let texts: Vec<String> = listen_endpoints(listen).iter().map(ToString::to_string).collect();
        let streams = ["[::]:8008", "127.0.0.1:80", "/run/app.sock", "@abstract"];
        let others = ["udp://0.0.0.0:53", "unix-dgram:/run/log", "unix-seqpacket:/run/control", "fifo:/run/fifo"];
        assert_eq!(texts, [streams, others].concat());
    }

    #[test]
    fn an_exit_reads_as_systemd_prints_it() {
        let exit = |code: i32, status: i32| {
            main_exit(&properties([("ExecMainCode", code.into()), ("ExecMainStatus", status.into())]))
        };
        assert_eq!(exit(1, 203).as_deref(), Some("exited 203"));
        assert_eq!(exit(2, 9).as_deref(), Some("killed 9"));
        assert_eq!(exit(0, 0), None, "it has not ended");
    }

    #[test]
    fn a_start_limit_that_is_off_is_none() {
        let limit = |burst: u32, interval_us: u64| {
            start_limit(&properties([
                ("StartLimitBurst", burst.into()),
                ("StartLimitIntervalUSec", interval_us.into()),
            ]))
        };
        assert_eq!(limit(5, 10_000_000), Some((5, 10_000_000)));
        assert_eq!(limit(0, 10_000_000), None);
        assert_eq!(limit(5, 0), None);
    }

    #[test]
    fn memory_that_is_not_accounted_for_is_added_up() {
        let own = process::identify(std::process::id()).expect("we run");
        let of = |bytes: u64| memory_bytes(&properties([("MemoryCurrent", bytes.into())]), &[own]);
        assert_eq!(of(4096), Some(4096));
        assert!(of(u64::MAX).is_some_and(|bytes| bytes > 64 * 1024));
        assert_eq!(memory_bytes(&Properties::default(), &[]), None);
    }

    #[test]
    fn an_invocation_of_zeros_is_none() {
        let id = |bytes: Vec<u8>| {
            properties([("InvocationID", zbus::Variant::from(bytes).try_into().expect("no fd"))]).invocation_id()
        };
        assert_eq!(id(vec![0xab; 16]).as_deref(), Some("abababababababababababababababab"));
        assert_eq!(id(vec![0; 16]), None);
        assert_eq!(id(vec![]), None);
    }
}
