//! Properties as what the harness knows of a unit.

use std::path::PathBuf;

use super::looked::{Looked, Mains};
use super::properties::Properties;
use crate::model::{ActiveState, Endpoint, MonoTime, ServiceState, SocketState, UnitKind, UnitName, UnitSnapshot};

/// The unit as all its properties say, with what was seen of it where its machine can be looked at. `at` is when systemd was
/// asked: what it tells of afterwards is newer.
pub(super) fn snapshot(
    unit: &UnitName,
    at: MonoTime,
    properties: &Properties,
    looked: Option<Looked>,
    mains: &Mains,
) -> UnitSnapshot {
    let main_process = mains.identify(unit, properties, looked.as_ref());
    let is_unseen = looked.is_none();
    let looked = Looked { main_process, ..looked.unwrap_or_default() };
    UnitSnapshot {
        unit: unit.clone(),
        at,
        load_state: properties.text("LoadState"),
        active_state: properties.text("ActiveState").into(),
        sub_state: properties.text("SubState"),
        result: properties.text("Result"),
        invocation_id: properties.invocation_id(),
        need_daemon_reload: properties.is("NeedDaemonReload"),
        service: (unit.kind() == UnitKind::Service).then(|| service_state(properties, &looked)),
        socket: (unit.kind() == UnitKind::Socket).then(|| socket_state(properties, looked)),
        is_unseen,
    }
}

fn service_state(properties: &Properties, looked: &Looked) -> ServiceState {
    ServiceState {
        main_process: looked.main_process,
        main_started_at: properties.time("ExecMainStartTimestampMonotonic"),
        main_exit: main_exit(properties),
        restarts: properties.get("NRestarts").unwrap_or(0),
        memory_bytes: accounted_bytes(properties).or(looked.memory_bytes),
        processes: looked.processes.clone(),
        start_limit: start_limit(properties),
        restart_policy: properties.text("Restart"),
        kill_mode: properties.text("KillMode"),
        service_type: properties.text("Type"),
        kill_signal: properties.get("KillSignal"),
        refuse_manual_start: properties.is("RefuseManualStart"),
        triggered_by: properties.units("TriggeredBy"),
    }
}

fn socket_state(properties: &Properties, looked: Looked) -> SocketState {
    SocketState {
        accept: properties.is("Accept"),
        flush_pending: properties.is("FlushPending"),
        max_connections: limit(properties, "MaxConnections"),
        max_connections_per_source: limit(properties, "MaxConnectionsPerSource"),
        listeners: looked.listeners,
        listen: listen_endpoints(properties.list("Listen")),
        backlog: properties.get("Backlog").unwrap_or(0),
        triggers: properties.units("Triggers"),
    }
}

/// A limit on the connections of a socket with Accept=yes; none where it is off.
fn limit(of_socket: &Properties, name: &str) -> Option<u32> {
    of_socket.get(name).filter(|limit| *limit != 0 && of_socket.is("Accept"))
}

/// MainPID; none if there is no main process.
pub(super) fn main_pid(of_service: &Properties) -> Option<u32> {
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

/// MemoryCurrent; none where systemd does not account for memory.
pub(super) fn accounted_bytes(of_service: &Properties) -> Option<u64> {
    of_service.get("MemoryCurrent").filter(|bytes| *bytes != u64::MAX)
}

/// Starts allowed, and in how many microseconds; none when the limit is off, which either being 0 says.
fn start_limit(of_unit: &Properties) -> Option<(u32, u64)> {
    let burst = of_unit.get("StartLimitBurst").filter(|burst| *burst != 0)?;
    let interval_us = of_unit.get("StartLimitIntervalUSec").filter(|micros| *micros != 0)?;
    Some((burst, interval_us))
}

/// The addresses among those of Listen that a client can speak to: not vsock, netlink and message queues.
pub(super) fn listen_endpoints(listen: Vec<(String, String)>) -> Vec<Endpoint> {
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
    /// On the clock of its machine, on which a time is always the same.
    pub(super) changed_at_there: Option<MonoTime>,
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
            changed_at_there: properties.time_there("StateChangeTimestampMonotonic"),
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
    use crate::ssh::Clock;

    fn properties<const N: usize>(values: [(&str, OwnedVariant); N]) -> Properties {
        Properties::new(HashMap::from(values.map(|(name, value)| (name.to_owned(), value))), Clock::default())
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
    fn memory_that_is_not_accounted_for_is_none_that_systemd_knows() {
        let of = |bytes: u64| accounted_bytes(&properties([("MemoryCurrent", bytes.into())]));
        assert_eq!((of(4096), of(u64::MAX)), (Some(4096), None));
        assert_eq!(accounted_bytes(&Properties::default()), None);
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
