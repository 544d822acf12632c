//! What a run tells whoever watches it. Nothing of this reaches a report.

use crate::model::ActionKind;
use crate::model::UnitName;

/// Where a run stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Units are installed and started.
    SettingUp,
    /// The time to start at is awaited.
    AwaitingStart,
    /// The load runs; nothing counts yet.
    WarmingUp,
    /// A step runs.
    Step {
        /// What it does.
        action: ActionKind,
        /// To which unit.
        unit: Option<UnitName>,
        /// Which event of how many, from 1.
        event: u32,
        /// Events of the whole scenario.
        events: u32,
    },
    /// The last step is over.
    CoolingDown,
    /// Units are put back.
    Restoring,
}

/// Figures of the load so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures {
    /// Requests that ended `ok`.
    pub ok: u64,
    /// Dropped and wrong.
    pub failed: u64,
    /// The 99th percentile so far, in milliseconds and to 9 %: infinite if it falls on a failed request, none before
    /// the first second is over.
    pub p99_ms: Option<f64>,
    /// The last half minute of due times, the warmup's too, up to a second ago; ascending.
    pub recent: Vec<Tenth>,
    /// What was seen of the target's listeners since the last figures; none if they cannot be seen from here.
    pub accepting: Option<Accepting>,
}

/// A tenth of a second of due times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tenth {
    /// Which one, counted from the start of the load.
    pub index: u64,
    /// Requests that fell due.
    pub due: u64,
    /// Requests that failed.
    pub failed: u64,
    /// The slowest `ok` request, in microseconds; none if none ended `ok`.
    pub slowest_us: Option<u64>,
}

/// Who takes what is sent to the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepting {
    /// Nobody.
    Nobody,
    /// The deepest queue; see [`Listener`](crate::model::address::Listener) for what is counted.
    Queue {
        /// What waits in it, at most.
        queued: u32,
        /// How much may wait; 0 where it is not known.
        backlog: u32,
    },
}

/// Is told how a run goes. Must not block.
pub trait Progress {
    /// The run entered a stage.
    fn stage(&self, stage: &Stage);
    /// The load has counted so far; several times a second.
    fn figures(&self, figures: Figures);
    /// Something that the user must know while the run goes on: one sentence.
    fn say(&self, sentence: &str);
}

/// Tells nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Silent;

impl Progress for Silent {
    fn stage(&self, _: &Stage) {}
    fn figures(&self, _: Figures) {}
    fn say(&self, _: &str) {}
}
