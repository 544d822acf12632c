//! Plans, units and events for simulated runs.

use std::time::Duration;

use super::{Event, at_ms};
use crate::model::address::Listener;
use crate::model::{
    ActiveState, Bound, Disposition, Endpoint, EventId, FailureClass, FailureKey, JobResult, Metric, MonoTime,
    ProcessId, ServiceState, SocketState, UnitName, UnitSnapshot, UnitVerb,
};
use crate::record::line::{Claim, Line, Queue, StepBegin, StepEnd};
use crate::scenario::plan::{
    Action, Cohort, Connections, Destination, Expectations, Pace, Plan, Protocol, RunOptions, Scheme, Spacing,
    StatusPattern, Step, Target, Units,
};

pub(crate) fn unit(name: &str) -> UnitName {
    UnitName::new(name).expect("a valid unit name")
}

pub(crate) fn endpoint() -> Endpoint {
    Endpoint::Tcp(([127, 0, 0, 1], 8010).into())
}

pub(crate) fn cohort(name: &str, rate: f64, connections: Connections) -> Cohort {
    Cohort {
        name: name.to_owned(),
        pace: Pace::Rate(rate),
        connections,
        connect_delay: Duration::ZERO,
        streams: 1,
        target: Target {
            scheme: Scheme::Http,
            protocol: Protocol::Http1,
            url: "http://127.0.0.1:8010/health".to_owned(),
            connect: Destination::Host { host: "127.0.0.1".to_owned(), port: 8010 },
            authority: "127.0.0.1:8010".to_owned(),
            method: "GET".to_owned(),
            path: "/health".to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            expect_status: vec![StatusPattern::Class(2)],
            expect_grpc_status: Vec::new(),
            expect_body: None,
            instance: None,
            requests: Vec::new(),
            timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(10),
            ca_file: None,
            insecure: false,
            front: false,
        },
    }
}

/// A plan with both default cohorts, one step on the service, and the default expectations.
pub(crate) fn plan(name: &str, has_socket: bool, verb: UnitVerb, times: u32) -> Plan {
    Plan {
        name: name.to_owned(),
        description: "A ledger under load".to_owned(),
        directory: std::path::PathBuf::new(),
        cohorts: vec![cohort("keep-alive", 100.0, Connections::Reused(16)), cohort("new", 25.0, Connections::New)],
        units: Some(Units {
            service: Some(unit("ledger.service")),
            socket: has_socket.then(|| unit("ledger.socket")),
            files: Vec::new(),
            prepare: Vec::new(),
        }),
        run: RunOptions::default(),
        steps: vec![Step {
            action: Action::Unit { verb, unit: unit("ledger.service") },
            times,
            spacing: Spacing::Every(Duration::from_secs(2)),
            wait_ready: true,
            job: JobResult::Done,
            expect: None,
        }],
        expect: Expectations {
            bounds: vec![(Metric::Dropped, Bound::at_most(0.0)), (Metric::Wrong, Bound::at_most(0.0))],
            ..Expectations::default()
        },
    }
}

/// The service with main process `pid`; none when it is dead.
pub(crate) fn service(at: MonoTime, pid: Option<u32>, started_at: MonoTime) -> UnitSnapshot {
    let state = ServiceState {
        main_process: pid.map(|pid| ProcessId { pid, start_ticks: u64::from(pid) * 10 }),
        main_started_at: Some(started_at),
        memory_bytes: pid.map(|pid| 30_000_000 + u64::from(pid)),
        ..ServiceState::default()
    };
    UnitSnapshot {
        is_unseen: false,
        unit: unit("ledger.service"),
        at,
        load_state: "loaded".to_owned(),
        active_state: if pid.is_some() { ActiveState::Active } else { ActiveState::Inactive },
        sub_state: if pid.is_some() { "running" } else { "dead" }.to_owned(),
        result: "success".to_owned(),
        invocation_id: pid.map(|pid| format!("{pid:032x}")),
        need_daemon_reload: false,
        service: Some(state),
        socket: None,
    }
}

/// The socket unit, in that state and with that result.
pub(crate) fn socket(at: MonoTime, active_state: &str, result: &str) -> UnitSnapshot {
    let listeners = if active_state == "active" { vec![listener(7_001, 0)] } else { Vec::new() };
    UnitSnapshot {
        is_unseen: false,
        unit: unit("ledger.socket"),
        at,
        load_state: "loaded".to_owned(),
        active_state: active_state.into(),
        sub_state: "listening".to_owned(),
        result: result.to_owned(),
        invocation_id: Some("5".repeat(32)),
        need_daemon_reload: false,
        service: None,
        socket: Some(SocketState { listen: vec![endpoint()], listeners, backlog: 128, ..SocketState::default() }),
    }
}

pub(crate) fn listener(inode: u64, queued: u32) -> Listener {
    Listener { endpoint: endpoint(), inode, queued, backlog: 128, cookie: None, drops: None }
}

/// What the kernel showed at the target's address: no inode, no process is listening.
pub(crate) fn queue(at: MonoTime, listening: Option<(u64, u32)>) -> Line {
    Line::Queue(Queue { at, listeners: listening.map(|(inode, queued)| listener(inode, queued)).into_iter().collect() })
}

/// A proven restart of the service, run `run`, begun at `at_ms_` and over `ready_ms` later.
pub(crate) fn restart(
    run: u32,
    begin_ms: u64,
    has_socket: bool,
    (stop_ms, start_ms, ready_ms): (u64, u64, u64),
) -> Event {
    let (begin, old, new) = (at_ms(begin_ms), 812 + run * 28, 840 + run * 28);
    let mut before = vec![service(begin, Some(old), at_ms(0))];
    let mut after = vec![service(at_ms(begin_ms + ready_ms), Some(new), at_ms(begin_ms + start_ms))];
    if has_socket {
        before.push(socket(begin, "active", "success"));
        after.push(socket(at_ms(begin_ms + ready_ms), "active", "success"));
    }
    Event {
        begin: StepBegin {
            event: EventId(run),
            step: 0,
            run,
            action: UnitVerb::Restart.into(),
            unit: Some(unit("ledger.service")),
            name: None,
            at: begin,
            before,
            process: None,
        },
        end: Some(StepEnd {
            event: EventId(run),
            at: at_ms(begin_ms + ready_ms),
            job: Some(JobResult::Done),
            done_at: Some(at_ms(begin_ms + start_ms + 5)),
            old_main_gone_at: Some(at_ms(begin_ms + stop_ms)),
            ready_at: Some(at_ms(begin_ms + ready_ms)),
            proof: vec![Claim {
                claim: "InvocationID changed".to_owned(),
                seen: format!("{old:032x} -> {new:032x}"),
                holds: true,
            }],
            after,
            error: None,
            is_late: false,
        }),
    }
}

pub(crate) fn failure(class: FailureClass, reused: bool) -> FailureKey {
    let disposition = match class {
        FailureClass::Refused
        | FailureClass::PathMissing
        | FailureClass::NoConnection
        | FailureClass::Permission
        | FailureClass::QueueFull
        | FailureClass::ConnectTimeout
        | FailureClass::LocalPort => Disposition::Unsent,
        FailureClass::ResetMidResponse | FailureClass::ClosedMidResponse => Disposition::Partial,
        FailureClass::UnexpectedStatus | FailureClass::UnexpectedGrpcStatus | FailureClass::UnexpectedBody => {
            Disposition::Answered
        }
        _ => Disposition::Unanswered,
    };
    FailureKey { reused, ..FailureKey::new(class, disposition) }
}
