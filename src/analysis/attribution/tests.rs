//! Causes by what is known of a failure.

mod attested;
mod clocks;
mod datagrams;
mod mechanisms;
mod sentences;

use std::path::PathBuf;
use std::time::Duration;

use super::super::simulator::plan::{failure, plan, queue, restart, socket, unit};
use super::super::simulator::{Request, Simulation, at_ms, at_us};
use super::super::timeline::Timeline;
use super::Attribution;
use crate::model::holder::Holder;
use crate::model::process::{ExitSource, Process};
use crate::model::{
    ActionKind, Cause, Endpoint, FailureClass, FailureKey, GrpcStatus, KillWho, ProcessId, Signal, SocketState,
    UnitName, UnitVerb,
};
use crate::record::line::{Counters, EndReason, Holders, Line, ProcessChange, UnitChange};
use crate::record::segment::Segment;
use crate::scenario::plan::{Action, Destination};

/// A restart begun at 2 s: the old process is gone after 20 ms, the new one starts at 40 ms and answers first
/// at 300 ms, and from then on every 100 ms.
fn restarted(has_socket: bool) -> Simulation {
    let ok = |ms: u64| Request {
        cohort: 1,
        due_us: ms * 1_000,
        sent_us: Some(ms * 1_000),
        end_us: Some(ms * 1_000 + 1_000),
        fate: Ok(200),
    };
    Simulation {
        plan: plan("one", has_socket, UnitVerb::Restart, 1),
        counting_ms: 1_000,
        stopped_ms: 15_000,
        requests: (1_000..2_000)
            .chain(2_299..14_000)
            .step_by(100)
            .filter(|ms| *ms < 2_000 || *ms > 2_298)
            .map(ok)
            .collect(),
        events: vec![restart(0, 2_000, has_socket, (20, 40, 300))],
        other: Vec::new(),
        end: Some(EndReason::Completed),
        flush_ms: 1_000,
        lateness_us: 40,
        hiccup_ms: 0..0,
    }
}

fn plain() -> Simulation {
    restarted(false)
}

fn behind_socket() -> Simulation {
    restarted(true)
}

impl Simulation {
    fn seeing(mut self, lines: impl IntoIterator<Item = Line>) -> Self {
        self.other.extend(lines);
        self
    }

    /// The event is a SIGKILL.
    fn by_kill(mut self) -> Self {
        let unit = unit("ledger.service");
        self.plan.steps[0].action = Action::Kill { unit, signal: Signal::KILL, who: KillWho::All };
        self
    }

    /// The event only waits: the service ended by itself.
    fn while_waiting(mut self) -> Self {
        self.plan.steps[0].action = Action::Wait { duration: Duration::from_secs(1) };
        self.events[0].begin.action = ActionKind::Wait;
        self.events[0].begin.unit = None;
        self
    }

    fn connecting_to(mut self, destination: &Destination) -> Self {
        self.plan.cohorts.iter_mut().for_each(|cohort| cohort.target.connect = destination.clone());
        self
    }

    /// Nobody was answered between the event and that time.
    fn silent_until(mut self, ms: u64) -> Self {
        self.requests.retain(|request| request.due_us < 2_000_000 || request.due_us >= ms * 1_000);
        self
    }

    /// The new process answered nobody.
    fn never_answering(mut self) -> Self {
        self.requests.retain(|request| request.due_us < 2_000_000);
        self
    }

    /// The cause of one failure that was due and sent at that time, and ended that much later.
    fn cause(self, key: FailureKey, due_ms: u64, took_ms: u64) -> Cause {
        self.cause_on(None, key, due_ms, took_ms)
    }

    /// The same, of a request whose connection was established at that time.
    fn cause_on(mut self, connected_ms: Option<u64>, key: FailureKey, due_ms: u64, took_ms: u64) -> Cause {
        self.requests.push(Request {
            cohort: 1,
            due_us: due_ms * 1_000,
            sent_us: Some(due_ms * 1_000),
            end_us: Some((due_ms + took_ms) * 1_000),
            fate: Err(key),
        });
        let record = self.record_with(|lines| {
            let samples = segments(lines).flat_map(|segment| &mut segment.samples);
            samples.for_each(|sample| sample.connected = connected_ms.map(at_ms));
        });
        let timeline = Timeline::of(&record);
        let found = Attribution::of(&record.tally, &timeline).causes(|_, _| true);
        assert_eq!(found.values().sum::<u64>(), 1);
        *found.first_key_value().expect("one cause").0
    }
}

fn segments(lines: &mut [Line]) -> impl Iterator<Item = &mut Segment> {
    lines.iter_mut().filter_map(|line| match line {
        Line::Segment(segment) => Some(segment.as_mut()),
        _ => None,
    })
}

fn of_new(class: FailureClass) -> FailureKey {
    failure(class, false)
}

fn of_reused(class: FailureClass) -> FailureKey {
    failure(class, true)
}

/// A reset came after the end: EPIPE.
fn then_reset(key: FailureKey) -> FailureKey {
    FailureKey { errno: Some(32), ..key }
}

fn change(name: &UnitName, ms: u64, active_state: &str, result: &str) -> Line {
    Line::Unit(UnitChange {
        unit: name.clone(),
        at: at_ms(ms),
        changed_at: None,
        active_state: active_state.into(),
        sub_state: String::new(),
        main_pid: 0,
        result: result.to_owned(),
        main_exit: None,
    })
}

/// The socket unit takes on a state 10 ms after the event began, and keeps it.
fn socket_becomes(active_state: &str, result: &str) -> Simulation {
    let mut run = behind_socket().seeing([change(&unit("ledger.socket"), 2_010, active_state, result)]);
    let end = run.events[0].end.as_mut().expect("it is over");
    end.after.retain(|snapshot| snapshot.unit != unit("ledger.socket"));
    end.after.push(socket(at_ms(2_300), active_state, result));
    run
}

/// The kernel shows the same listener all the time.
fn steady() -> [Line; 1] {
    [queue(at_ms(0), Some((7, 0)))]
}

/// The socket unit, as it was before the event, is set up like that.
fn with_socket(set_up: fn(&mut SocketState)) -> Simulation {
    let mut run = behind_socket();
    let before = run.events[0].begin.before.iter_mut();
    before.filter_map(|snapshot| snapshot.socket.as_mut()).for_each(set_up);
    run
}

/// A process of the service ended at that time.
fn exit(ms: u64) -> Line {
    let id = ProcessId { pid: 77, start_ticks: 7 };
    let process = Process {
        id,
        name: "ledger".to_owned(),
        control_group: None,
        unit: Some(unit("ledger.service")),
        exe: None,
        netns: None,
        caught_signals: None,
    };
    Line::Process(ProcessChange { at: at_ms(ms), process, ended: Some(ExitSource::Pidfd) })
}
