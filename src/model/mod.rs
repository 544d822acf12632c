//! The words of the project as types: no I/O, no clock, no policy.
//!
//! Everything else speaks in these terms. A type lives here when two or more of `scenario`, `run`,
//! `record` and `analysis` need it.

pub mod address;
pub mod bound;
pub mod cause;
pub mod class;
pub mod grpc;
pub mod holder;
pub mod metric;
mod number;
pub mod outcome;
pub mod process;
pub mod share;
pub mod signal;
pub(crate) mod span;
pub mod time;
pub mod tls;
pub mod unit;
pub mod verb;
pub mod verdict;

pub use address::Endpoint;
pub use bound::{Bound, Comparison};
pub use cause::Cause;
pub use class::FailureClass;
pub use grpc::GrpcStatus;
pub use metric::Metric;
pub(crate) use number::float;
pub use outcome::{Disposition, FailureKey, Instead, Outcome};
pub use process::ProcessId;
pub use share::Share;
pub use signal::Signal;
pub(crate) use span::Span;
pub use time::MonoTime;
pub use tls::TlsFault;
pub use unit::{ActiveState, ServiceState, SocketState, UnitKind, UnitName, UnitSnapshot};
pub use verb::{ActionKind, EventId, JobResult, KillWho, UnitVerb};
pub use verdict::Verdict;
