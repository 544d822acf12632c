//! Why a load cannot be started.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why a load cannot be started, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// There is nothing to send.
    #[error("the load has no cohort; give at least one a rate or clients")]
    NoCohort,
    /// The resolver knows no address of the host.
    #[error("cannot resolve host {host:?} of cohort {cohort:?}: {reason}; check the URL, or give the address itself")]
    Unresolvable {
        /// Whose target.
        cohort: String,
        /// What was to be resolved.
        host: String,
        /// What the resolver says.
        reason: String,
    },
    /// The rate is 0, negative, not finite, or too large to schedule.
    #[error("cohort {cohort:?} has a rate of {rate}; give a rate from 0.000001 to 10000000 requests per second")]
    Rate {
        /// Whose.
        cohort: String,
        /// The rate, requests per second.
        rate: f64,
    },
    /// No clients, no connections, or no interval.
    #[error("cohort {cohort:?} has {what} of 0 and would never send; give at least 1")]
    Never {
        /// Whose.
        cohort: String,
        /// `clients`, `connections` or `interval`.
        what: &'static str,
    },
    /// The process may not open that number of connections.
    #[error(
        "the load needs up to {needed} file descriptors, the limit is {limit}; lower rate x timeout or connections, \
         or raise the limit (ulimit -n {needed})"
    )]
    DescriptorLimit {
        /// What the bounds of all cohorts add up to, with a margin for the harness.
        needed: u64,
        /// RLIMIT_NOFILE, the hard limit.
        limit: u64,
    },
    /// Method, path or a header cannot be part of a request.
    #[error("cohort {cohort:?} has a {part} that HTTP does not allow: {reason}")]
    Request {
        /// Whose.
        cohort: String,
        /// `method`, `path` or `header NAME`.
        part: String,
        /// What is wrong with it.
        reason: String,
    },
    /// `expect_body` is not a regular expression.
    #[error("expect_body of cohort {cohort:?} is not a regular expression: {reason}")]
    Pattern {
        /// Whose.
        cohort: String,
        /// What the compiler says.
        reason: String,
    },
    /// The file with the CAs cannot be read.
    #[error("cannot read the certificates in {path}: {reason}; give a PEM file with the CAs to trust as ca_file")]
    CaFile {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// https without ca_file, on a machine without a bundle.
    #[error("cannot verify https: the system's certificates are at none of {places}; set ca_file, or insecure = true")]
    NoSystemCas {
        /// Where they were looked for.
        places: String,
    },
    /// TLS cannot be set up for this name.
    #[error("cannot set up TLS for {authority:?} of cohort {cohort:?}: {reason}")]
    Tls {
        /// Whose.
        cohort: String,
        /// Host of the target.
        authority: String,
        /// What is wrong.
        reason: String,
    },
    /// Everything took longer than there was time before the start.
    #[error(
        "the time to start at passed {:.1} s before the load could start; give a later --start-at: units are set up before it",
        late.as_secs_f64()
    )]
    TooLate {
        /// By how much.
        late: Duration,
    },
    /// The thread, its runtime or its timer could not be made.
    #[error("cannot {doing}: {source}")]
    Io {
        /// What was being done.
        doing: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// The load thread panicked: nothing after that was counted.
    #[error("the load thread panicked: {0}; what it counted until then is in the record, this is a bug")]
    Panicked(String),
}

impl LoadError {
    /// By that much.
    #[must_use]
    pub fn too_late(late: Duration) -> Self {
        Self::TooLate { late }
    }
}
