//! The lines between `gapless probe` and [`Remote`](crate::host::Remote), format `gapless/probe/1`: one JSON object a line.
//!
//! The probe says [`Hello`], then answers each [`Request`]; what it goes on telling comes as lines of its own. Its end of
//! input is its end. Either side refuses a line that is longer than its bound.

use serde::{Deserialize, Serialize};

use crate::host::Look;
use crate::host::journal::Scope;
use crate::host::machine::Place;
use crate::model::address::{Endpoint, Listener};
use crate::model::holder::Holder;
use crate::model::process::{Exit, Process};
use crate::model::{MonoTime, ProcessId, UnitName};
use crate::record::begin;
use crate::record::line::{JournalEntry, TraceEvent};

/// The format's name and version.
pub const FORMAT: &str = "gapless/probe/1";

/// The longest request.
pub const REQUEST_BYTES_MAX: usize = 64 * 1024;

/// The longest answer: the PIDs of a control group with 50,000 processes.
pub const ANSWER_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The maximum number of requests that wait for their answer: one for each process that is watched, and a few more.
pub const OUTSTANDING_MAX: usize = 4_096;

/// Of these, the maximum number that waits for the end of a process: the others are soon answered.
pub const EXITS_MAX: usize = 4_000;

/// The maximum number of traces and journals at once.
pub const FEEDS_MAX: usize = 8;

/// The first line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hello {
    /// [`FORMAT`].
    pub format: String,
    /// The version of gapless.
    pub version: String,
    /// Its CLOCK_MONOTONIC.
    pub now: MonoTime,
    /// The machine.
    pub host: begin::Host,
    /// Whose sockets it sees.
    pub place: Place,
    /// Its own control group.
    pub control_group: Option<String>,
    /// It sees the processes of every user.
    pub is_root: bool,
    /// Why the kernel's trace is unavailable; none where it is not.
    pub no_trace: Option<String>,
}

/// What every version's first line has.
#[derive(Debug, Deserialize)]
pub struct Header {
    /// The format.
    pub format: String,
    /// The version of gapless.
    pub version: String,
}

/// A question. Each but [`Ask::Forget`] has an answer of the same number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// Any number that no waiting request has.
    pub id: u64,
    /// What is asked.
    pub ask: Ask,
}

/// What can be asked: the methods of [`Host`](crate::host::Host).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Ask {
    /// For the times of the answer alone.
    Clock,
    /// Whether that is an address of the host.
    Has {
        /// Which.
        at: Endpoint,
    },
    /// The listeners there.
    Listeners {
        /// Where.
        at: Vec<Endpoint>,
    },
    /// Who holds a listener.
    Holders {
        /// Where.
        at: Endpoint,
        /// The listener's.
        inode: u64,
    },
    /// The listeners there that a systemd holds.
    Held {
        /// Where.
        at: Vec<Endpoint>,
        /// Its PID; none where that is not known.
        systemd: Option<u32>,
    },
    /// Where a process listens.
    Listens {
        /// Which.
        pid: u32,
    },
    /// What is known of a process.
    Process {
        /// Which.
        pid: u32,
    },
    /// The processes of a control group.
    Processes {
        /// Which.
        control_group: String,
    },
    /// The memory of the processes of a control group.
    Memory {
        /// Which.
        control_group: String,
    },
    /// When a process has ended: answered then.
    Exit {
        /// Which.
        process: ProcessId,
    },
    /// Counters of the kernel.
    Counters,
    /// Whether a file is there.
    HasPath {
        /// Which.
        path: std::path::PathBuf,
    },
    /// The kernel's trace, from now on.
    Trace {
        /// Of these ports.
        ports: Vec<u16>,
    },
    /// The journal, from now on.
    Journal {
        /// Whose.
        scope: Scope,
        /// Of these units.
        units: Vec<UnitName>,
    },
    /// The end of a trace or a journal.
    Stop {
        /// The number of the request that began it.
        feed: u64,
    },
    /// A request needs no answer any more. This has none either.
    Forget {
        /// Its number.
        request: u64,
    },
}

/// A line of the probe behind the first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Told {
    /// The answer to a request.
    Answer {
        /// The request's number.
        id: u64,
        /// When the request came, on its clock.
        got: MonoTime,
        /// When this was sent, on its clock.
        sent: MonoTime,
        /// What it is.
        answer: Answered,
    },
    /// An event of a trace.
    Trace {
        /// The number of the request that began it.
        feed: u64,
        /// What.
        event: TraceEvent,
    },
    /// A line of a journal.
    Journal {
        /// The number of the request that began it.
        feed: u64,
        /// What.
        entry: JournalEntry,
    },
    /// A trace or a journal has ended by itself.
    Over {
        /// The number of the request that began it.
        feed: u64,
    },
}

/// An answer, by what was asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Answered {
    /// [`Ask::Clock`].
    Done,
    /// [`Ask::Has`], [`Ask::HasPath`].
    Is(bool),
    /// [`Ask::Listeners`].
    Listeners(Look<Vec<Listener>>),
    /// [`Ask::Holders`].
    Holders(Look<Vec<Holder>>),
    /// [`Ask::Held`].
    Held(Vec<Listener>),
    /// [`Ask::Listens`].
    Listens(Vec<Endpoint>),
    /// [`Ask::Process`].
    Process(Option<Box<Process>>),
    /// [`Ask::Processes`].
    Processes(Vec<ProcessId>),
    /// [`Ask::Memory`], in bytes.
    Memory(Option<u64>),
    /// [`Ask::Exit`].
    Exit(Exit),
    /// [`Ask::Counters`].
    Counters(Vec<(String, u64)>),
    /// [`Ask::Trace`], [`Ask::Journal`]: from when on nothing is missed.
    Began(MonoTime),
    /// [`Ask::Stop`]: the number of events that were left out.
    Stopped(u64),
    /// Why there is no answer.
    Failed(String),
}

impl Answered {
    /// The times in it.
    pub fn times(&mut self) -> impl Iterator<Item = &mut MonoTime> {
        match self {
            Self::Listeners(look) => Some(&mut look.at),
            Self::Holders(look) => Some(&mut look.at),
            Self::Exit(exit) => Some(&mut exit.at),
            Self::Began(at) => Some(at),
            Self::Done
            | Self::Is(_)
            | Self::Held(_)
            | Self::Listens(_)
            | Self::Process(_)
            | Self::Processes(_)
            | Self::Memory(_)
            | Self::Counters(_)
            | Self::Stopped(_)
            | Self::Failed(_) => None,
        }
        .into_iter()
    }
}
