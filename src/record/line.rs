//! The lines of a record.

use std::net::SocketAddr;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::begin::Begin;
use super::gate::GateOutcome;
use super::generator::GeneratorUse;
use super::request::RequestEnd;
use super::segment::{Rows, Segment};
use super::shard::{Clocks, ShardUse};
use crate::model::address::{Endpoint, Listener};
use crate::model::holder::Holder;
use crate::model::process::{ExitSource, Process};
use crate::model::{ActionKind, ActiveState, EventId, JobResult, MonoTime, UnitName, UnitSnapshot, Verdict};

/// One line. Unknown kinds are an error: a newer schema says so in its first line.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Line {
    /// The first line.
    Begin(Box<Begin>),
    /// The load went from one phase to the next.
    Phase(PhaseChange),
    /// Counts by due time.
    Rows(Rows),
    /// Distributions of a span.
    Segment(Box<Segment>),
    /// What the load thread had of the machine over a span.
    Generator(GeneratorUse),
    /// An event began.
    StepBegin(StepBegin),
    /// An event is over.
    StepEnd(Box<StepEnd>),
    /// A unit changed its state, or was looked at.
    Unit(UnitChange),
    /// Depth of an accept queue.
    Queue(Queue),
    /// Looks at the listeners followed one another.
    Looks(Looks),
    /// How the clock of the service's machine is to ours.
    Clock(HostClock),
    /// The load thread did not run.
    Pause(Pause),
    /// Counters of the kernel.
    Counters(Counters),
    /// The kernel's own word on a listener or a reset.
    Trace(TraceEvent),
    /// A process that matters was found, or ended.
    Process(ProcessChange),
    /// Who holds a listener at the target's address.
    Holders(Holders),
    /// A line of the unit's journal.
    Journal(JournalEntry),
    /// A command of the scenario's own has run.
    Exec(ExecOutcome),
    /// A request that a step asked for has ended.
    Request(RequestEnd),
    /// A gate was judged.
    Gate(GateOutcome),
    /// Something a state check found after the last step.
    Check(StateCheck),
    /// Both clocks of the machine, at the end of the load of a shard.
    WallClock(Clocks),
    /// What one generator of a merged record did.
    Shard(Box<ShardUse>),
    /// A limit on what is kept was reached.
    Cap(Cap),
    /// Something a reader of the report must know.
    Note(Note),
    /// The last line.
    End(End),
}

/// The load went from one phase to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PhaseChange {
    /// Into which.
    pub phase: Phase,
    /// When.
    pub at: MonoTime,
}

/// The phases of a run, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The load starts. Rows count from here.
    Load,
    /// What is due from here on is counted. `_ms` figures count from here.
    Counting,
    /// The last step is over.
    Cooldown,
    /// Nothing is due from here on.
    Stopped,
    /// Everything was seen; units are put back from here on.
    PuttingBack,
}

/// An event began: written before anything is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepBegin {
    /// Its number in the scenario.
    pub event: EventId,
    /// The step, by its place in the plan, from 0.
    pub step: u16,
    /// Which run of the step, from 0.
    pub run: u32,
    /// What is done.
    pub action: ActionKind,
    /// To which unit.
    pub unit: Option<UnitName>,
    /// The name of a mark.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// When: the load's counters were cut here.
    pub at: MonoTime,
    /// The units of the scenario as they were just before.
    pub before: Vec<UnitSnapshot>,
    /// The process that ended, for an event that no step asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<Box<Process>>,
}

/// An event is over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepEnd {
    /// Which.
    pub event: EventId,
    /// When it was over: ready again, or given up.
    pub at: MonoTime,
    /// How systemd's job ended; none for actions without a job.
    pub job: Option<JobResult>,
    /// When the job ended; for other actions, when the action was done.
    pub done_at: Option<MonoTime>,
    /// When the main process of before was gone.
    pub old_main_gone_at: Option<MonoTime>,
    /// When every cohort had been answered again.
    pub ready_at: Option<MonoTime>,
    /// What the action claims to have done, claim by claim; empty for actions that claim nothing.
    pub proof: Vec<Claim>,
    /// The units of the scenario as they are now.
    pub after: Vec<UnitSnapshot>,
    /// Why the step failed: one sentence; none if it did not.
    pub error: Option<String>,
    /// It failed because the target was not seen to answer again in time.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_late: bool,
}

impl StepEnd {
    /// One of which nothing but its time is known.
    #[must_use]
    pub fn of(event: EventId, at: MonoTime) -> Self {
        Self {
            event,
            at,
            job: None,
            done_at: None,
            old_main_gone_at: None,
            ready_at: None,
            proof: Vec::new(),
            after: Vec::new(),
            error: None,
            is_late: false,
        }
    }

    /// Whether every claim was seen to hold. True where there is nothing to prove.
    #[must_use]
    pub fn is_proven(&self) -> bool {
        self.proof.iter().all(|claim| claim.holds)
    }
}

/// One claim of a proof: `InvocationID changed`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// What is claimed.
    pub claim: String,
    /// What was seen.
    pub seen: String,
    /// Whether it holds.
    pub holds: bool,
}

/// A unit changed its state, or was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitChange {
    /// Which.
    pub unit: UnitName,
    /// When we were told.
    pub at: MonoTime,
    /// StateChangeTimestampMonotonic, where systemd gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_at: Option<MonoTime>,
    /// ActiveState.
    pub active_state: ActiveState,
    /// SubState.
    pub sub_state: String,
    /// MainPID; 0 for none.
    #[serde(default)]
    pub main_pid: u32,
    /// Result.
    #[serde(default)]
    pub result: String,
    /// How the last main process ended, as systemd prints it (`exited 0`, `killed 9`); none while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub main_exit: Option<String>,
}

/// Depth of an accept queue, when it changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queue {
    /// When.
    pub at: MonoTime,
    /// The listeners at the target's address; empty when no process is listening.
    pub listeners: Vec<Listener>,
}

/// The listeners were looked at again and again, whether or not a look showed anything new. The next of these lines
/// begins where this one ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Looks {
    /// The first look.
    pub from: MonoTime,
    /// The last look.
    pub to: MonoTime,
    /// The longest time from one look to the next, in nanoseconds.
    pub longest_ns: u64,
}

impl Looks {
    /// A look that comes later than this after the last one is told in a line of its own, with its times: looks are due
    /// every 25 ms.
    pub const LATE_MIN: Duration = Duration::from_millis(100);
}

/// The load thread did not run when it should have: the process was stopped, or got no CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// When it was to run.
    pub from: MonoTime,
    /// When it ran again.
    pub to: MonoTime,
}

impl Pause {
    /// How late it ran.
    #[must_use]
    pub fn length_ns(&self) -> u64 {
        self.to.nanos_since(self.from)
    }
}

/// Counters of the kernel that rose, in its own names (`ListenOverflows`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// When.
    pub at: MonoTime,
    /// Name and value since boot, ascending by name.
    pub values: Vec<(String, u64)>,
}

/// The kernel's own word on a listener or a reset, from its trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceEvent {
    /// When, to the microsecond.
    pub at: MonoTime,
    /// What.
    #[serde(flatten)]
    pub traced: Traced,
}

/// What the kernel's trace tells of a target's port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Traced {
    /// The trace is on: from here nothing is missed.
    Began {
        /// The addresses it is about.
        targets: Vec<SocketAddr>,
    },
    /// The trace is off.
    Ended {
        /// Events that were lost, by the kernel or by us.
        left_out: u64,
    },
    /// A socket began to listen.
    ListenerUp {
        /// Its address.
        local: SocketAddr,
    },
    /// A socket listens no more.
    ListenerDown {
        /// Its address.
        local: SocketAddr,
        /// Its cookie, where it was destroyed as it went: what a look at the listeners names it by. One that was shut
        /// down lives on, and has none here.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cookie: Option<u64>,
    },
    /// The kernel sent a reset from the target's side.
    ResetSent {
        /// The target's address.
        from: SocketAddr,
        /// The client's address.
        to: SocketAddr,
        /// The state of the target's socket, `TCP_CLOSE`; `UNKNOWN` where there was none.
        state: String,
        /// Why, from Linux 6.10 on: `NO_SOCKET`, `TCP_STATE`, `TCP_ABORT_ON_CLOSE`, ...
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// The client's side got a reset.
    ResetReceived {
        /// The target's address.
        from: SocketAddr,
        /// The client's address.
        to: SocketAddr,
    },
}

/// How the CLOCK_MONOTONIC of the service's machine is to ours, where that is another machine. All times of a record are on
/// our clock: those that were read on the other one were mapped, and are known to `half_width_ns` only. Written when the
/// host is first asked, when the bound grows, and at the end; of several lines, the widest counts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostClock {
    /// When.
    pub at: MonoTime,
    /// The name of the machine.
    pub host: String,
    /// What that clock was ahead of ours, in nanoseconds; negative where it was behind.
    pub offset_ns: i64,
    /// The most that a time which was mapped until now can be off, in nanoseconds.
    pub half_width_ns: u64,
}

impl HostClock {
    /// `5.000 s ahead of the generator's, known to ±0.12 ms`.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "it is rounded for people")]
    pub fn in_words(&self) -> String {
        let seconds = self.offset_ns.unsigned_abs() as f64 / 1e9;
        let side = if self.offset_ns < 0 { "behind" } else { "ahead of" };
        let half_width_ms = self.half_width_ns as f64 / 1e6;
        format!("{seconds:.3} s {side} the generator's, known to \u{b1}{half_width_ms:.2} ms")
    }
}

/// A process that matters was found, or ended: of a unit of the scenario, a holder of the target's listener, or of the
/// control group of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessChange {
    /// When it was found to run; or when its end was noticed.
    pub at: MonoTime,
    /// Which.
    #[serde(flatten)]
    pub process: Process,
    /// What told of its end; none while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<ExitSource>,
}

/// Who holds a listener at the target's address, as far as may be seen: written when that changes, and after each event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holders {
    /// When the look began.
    pub at: MonoTime,
    /// The address of the target.
    pub endpoint: Endpoint,
    /// The listener's.
    pub inode: u64,
    /// By PID; empty where no process may be read that holds it.
    pub holders: Vec<Holder>,
    /// Processes of the services around it that do not hold it, and listen somewhere else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub elsewhere: Vec<Holder>,
}

/// A line of a unit's journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalEntry {
    /// When.
    pub at: MonoTime,
    /// Of which unit.
    pub unit: UnitName,
    /// PRIORITY, 0 to 7.
    pub priority: u8,
    /// MESSAGE.
    pub message: String,
}

/// A command of the scenario's own has run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecOutcome {
    /// In which event; none for `prepare`.
    pub event: Option<EventId>,
    /// Program and arguments.
    pub argv: Vec<String>,
    /// When it ended.
    pub at: MonoTime,
    /// Its exit code; none if a signal ended it.
    pub exit_code: Option<i32>,
    /// The end of what it printed on stdout and stderr, at most 64 KiB.
    pub output: String,
}

/// Something a state check found after the last step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateCheck {
    /// Its stable name: `end.service`, `end.listener`, `latent.socket_down`.
    pub name: String,
    /// What should be.
    pub expected: String,
    /// What is.
    pub actual: String,
    /// `passed`, `failed`, or `inconclusive` where it could not be looked at.
    pub status: Verdict,
}

/// A limit on what is kept was reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cap {
    /// Of what: `observation channel`, `journal lines`.
    pub what: String,
    /// How many were left out.
    pub left_out: u64,
}

/// Something a reader of the report must know: what could not be observed, what was paced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Note {
    /// How much it weighs.
    pub kind: NoteKind,
    /// One sentence.
    pub message: String,
}

/// How much a note weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum NoteKind {
    /// Good to know.
    Info,
    /// Evidence is missing; the verdict stands.
    Unavailable,
    /// A reason to be in doubt: the verdict is at best inconclusive.
    Doubt,
}

/// The last line. A record without it is incomplete.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// How the run ended.
    pub reason: EndReason,
    /// When.
    pub at: MonoTime,
    /// Lines before this one.
    pub lines: u64,
    /// CRC-32 of all bytes before this line, as 8 hex digits.
    pub checksum: String,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// Every step was run.
    Completed,
    /// A step failed and the rest was skipped; its error is in the step.
    StepFailed,
    /// `[run] abort` or a gate ended it: one sentence.
    Stopped(String),
    /// Not healthy before the first step: one sentence.
    NotReady(String),
    /// The user interrupted it.
    Interrupted,
    /// The harness could not go on: one sentence.
    Error(String),
    /// The machine that its units are on was lost for a while, or for good: one sentence. What failed meanwhile may have
    /// been the network's doing.
    Lost(String),
    /// The twin that it took place in had no more space: one sentence. What failed meanwhile may have failed for that
    /// alone.
    Full(String),
}
