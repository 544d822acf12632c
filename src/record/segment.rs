//! What the load thread hands over: rows every second, segments at every event and every ten seconds.
//!
//! A request is counted under one [`Scope`], settled when it ends. Rows hold the exact counts by due time;
//! segments hold the distributions. Any number of either may share a scope and a time: readers add them up.

use serde::{Deserialize, Serialize};

use super::histogram::LatencyHistogram;
use super::instances::Instances;
use crate::model::{EventId, FailureClass, FailureKey, GrpcStatus, Instead, MonoTime};

/// The length of a row, in nanoseconds: 100 ms.
pub const ROW_NS: u64 = 100_000_000;

/// The number of failure samples that are kept of each class and segment, from its beginning,
pub const FIRST_SAMPLES: usize = 500;

/// and from its end.
pub const LAST_SAMPLES: usize = 100;

/// What a request is counted under.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Due before counting began: health and the baseline of `recovery`, nothing else.
    Warmup,
    /// No event had begun when it ended.
    Before,
    /// The first event begun between its due and end time, else the last one begun before it was due.
    Event(EventId),
}

/// Counts of one scope of one cohort, by due time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rows {
    /// The cohort, by its place in the plan.
    pub cohort: u16,
    /// What the requests are counted under.
    pub scope: Scope,
    /// Ascending by `index`; only those with something to tell.
    pub rows: Vec<Row>,
}

/// A tenth of a second of due times. `due` is counted when a request falls due, all else when it ends, so a
/// row may come in several parts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Due times from `index` x 100 ms to the next, counted from the start of the load.
    #[serde(rename = "i")]
    pub index: u64,
    /// Requests that fell due. Counted under the scope that was current then.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub due: u64,
    /// Requests that ended `ok`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub ok: u64,
    /// Requests that ended `ok`, by the status of their answer; empty for `tcp` targets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub statuses: Vec<(u16, u64)>,
    /// Calls of gRPC that ended `ok`, by their status; empty for other targets.
    #[serde(default, rename = "grpc", skip_serializing_if = "Vec::is_empty")]
    pub grpc_statuses: Vec<(GrpcStatus, u64)>,
    /// Requests that ended otherwise, by kind.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<FailureCount>,
    /// Sum of the latencies of `ok` requests, in microseconds.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub sum_us: u64,
    /// The slowest `ok` request, in microseconds.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub max_us: u64,
    /// Due and end of the slowest `ok` request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slowest: Option<(MonoTime, MonoTime)>,
    /// Requests that ended `ok` though only the end of their connection delimited the answer, and no `expect_body` says
    /// that it was whole.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unframed: u64,
    /// When the connections of the first and the last of them ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unframed_ends: Option<(MonoTime, MonoTime)>,
    /// How many `ok` requests fell into which [`density_bucket`], ascending.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub density: Vec<(u16, u32)>,
    /// When the first and the last `ok` request ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ok_ends: Option<(MonoTime, MonoTime)>,
    /// Due times of the first and the last failed (dropped or wrong) request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed_due: Option<(MonoTime, MonoTime)>,
    /// When the first and the last connect call were made in this tenth of a second; known of loads that are shared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempts: Option<(MonoTime, MonoTime)>,
    /// Due and end of the earliest-due `ok` request due after the last failed one of this row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lasting_ok: Option<(MonoTime, MonoTime)>,
}

/// Failures of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureCount {
    /// The kind.
    #[serde(flatten)]
    pub key: FailureKey,
    /// How many.
    pub n: u64,
    /// When the first and the last of them ended; known of loads that are shared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends: Option<(MonoTime, MonoTime)>,
}

/// Distributions and connection counts of one scope of one cohort, over a span of time.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Segment {
    /// The cohort, by its place in the plan.
    pub cohort: u16,
    /// What the requests are counted under.
    pub scope: Scope,
    /// The requests ended from here.
    pub from: MonoTime,
    /// To here.
    pub to: MonoTime,
    /// Latency of `ok` requests, from the due time.
    pub ok: LatencyHistogram,
    /// Latency of wrong answers, from the due time.
    #[serde(default, skip_serializing_if = "LatencyHistogram::is_empty")]
    pub wrong: LatencyHistogram,
    /// Latency of all answered requests, from the first byte sent.
    pub service: LatencyHistogram,
    /// From the later of (due, a connection was free) to the first write or connect call.
    pub lateness: LatencyHistogram,
    /// Connection counts.
    pub connections: ConnectionCounts,
    /// How servers announced the end of connections; none if none did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goaways: Option<GoAways>,
    /// Which instances answered; none where no answer is asked for its instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instances: Option<Instances>,
    /// What became of each request, where the cohort sends several.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requests: Vec<RequestCount>,
    /// The longest spans without an `ok` while requests were due, longest first; at most eight.
    pub gaps: Vec<Gap>,
    /// Longest time without a connection attempt, in nanoseconds, from the scope's beginning to its end: its edges
    /// count. None where no attempt was made and the scope has not ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_gap_ns: Option<u64>,
    /// The first `ok` request that was sent after the scope's event began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_ok: Option<SentOk>,
    /// How often a load balancer's check changed its state, there and back counted apart.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub flaps: u64,
    /// The first failures of each class, up to [`FIRST_SAMPLES`], and the last, up to [`LAST_SAMPLES`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub samples: Vec<FailureSample>,
    /// How many failures in between have no sample because of these limits.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub samples_left_out: u64,
    /// The answers of [`Row::unframed`], each with the end of its connection: the first, up to [`FIRST_SAMPLES`], and the
    /// last, up to [`LAST_SAMPLES`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unframed: Vec<UnframedSample>,
    /// How many of them in between have no sample because of these limits.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unframed_left_out: u64,
}

impl Segment {
    /// One that has counted nothing yet, from `from` on, with room for whatever it will count.
    #[must_use]
    pub fn empty(cohort: u16, scope: Scope, from: MonoTime) -> Self {
        Self {
            cohort,
            scope,
            from,
            to: from,
            ok: LatencyHistogram::with_room(),
            wrong: LatencyHistogram::with_room(),
            service: LatencyHistogram::with_room(),
            lateness: LatencyHistogram::with_room(),
            connections: ConnectionCounts::default(),
            goaways: None,
            instances: None,
            requests: Vec::new(),
            gaps: Vec::new(),
            connect_gap_ns: None,
            first_ok: None,
            flaps: 0,
            samples: Vec::new(),
            samples_left_out: 0,
            unframed: Vec::new(),
            unframed_left_out: 0,
        }
    }
}

/// What a cohort did with connections.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectionCounts {
    /// Connections established.
    pub opened: u64,
    /// Requests sent on a connection that an earlier request had used.
    pub reused_requests: u64,
    /// Idle connections that the server closed and the client replaced before it wrote.
    pub closed_idle: u64,
    /// Answers that only the end of the connection delimited: if one was cut short, nobody could tell.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unframed: u64,
    /// Connections that brought bytes that no request had asked for: behind an answer, or between two requests. They
    /// were replaced.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unasked: u64,
}

/// Connections whose end a server of HTTP/2 announced with GOAWAY, under the scope of the first of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GoAways {
    /// How many connections.
    pub connections: u64,
    /// Of these, those that got more than one GOAWAY.
    pub two_phase: u64,
    /// When the first was read, and the last.
    pub first: MonoTime,
    /// See `first`.
    pub last: MonoTime,
    /// Streams that were in flight when the first of their connection was read.
    pub streams_open: u64,
    /// Of these, those whose answer was whole after it.
    pub answered_after: u64,
}

impl GoAways {
    /// Both together.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            connections: self.connections + other.connections,
            two_phase: self.two_phase + other.two_phase,
            first: self.first.min(other.first),
            last: self.last.max(other.last),
            streams_open: self.streams_open + other.streams_open,
            answered_after: self.answered_after + other.answered_after,
        }
    }
}

/// What became of one of several requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequestCount {
    /// Which, by its place in the plan.
    pub request: u16,
    /// How many of it ended `ok`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub ok: u64,
    /// Dropped.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub dropped: u64,
    /// Wrong.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub wrong: u64,
    /// Not sent.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unsent: u64,
}

impl RequestCount {
    /// Counts one that ended like this.
    pub fn count(&mut self, failure: Option<FailureClass>) {
        let of = match failure {
            None => &mut self.ok,
            Some(class) if class.is_unsent() => &mut self.unsent,
            Some(class) if class.is_wrong() => &mut self.wrong,
            Some(_) => &mut self.dropped,
        };
        *of += 1;
    }

    /// Adds what another part counted of the same request.
    pub fn add(&mut self, other: &Self) {
        self.ok += other.ok;
        self.dropped += other.dropped;
        self.wrong += other.wrong;
        self.unsent += other.unsent;
    }

    /// How many have ended.
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.ok + self.dropped + self.wrong + self.unsent
    }
}

/// A span without an `ok` while requests were due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// The last `ok` before, or the first due time without one.
    pub from: MonoTime,
    /// The `ok` that ended it, or the end of the load.
    pub to: MonoTime,
}

/// When an `ok` request was sent and ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentOk {
    /// Its first byte left.
    pub sent: MonoTime,
    /// Its answer was whole.
    pub end: MonoTime,
}

/// One failed request in full.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailureSample {
    /// Its kind.
    #[serde(flatten)]
    pub key: FailureKey,
    /// When it was to be sent.
    pub due: MonoTime,
    /// The first write that the kernel took; none if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent: Option<MonoTime>,
    /// When it was known to have failed.
    pub end: MonoTime,
    /// Our address: `127.0.0.1:54321`. None for Unix sockets and where no connection was tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local: Option<String>,
    /// When its connection was established; none if it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connected: Option<MonoTime>,
    /// Which request of its connection it was, from 1.
    pub nth: u64,
    /// Bytes of the request that the kernel took.
    pub bytes_out: u64,
    /// Bytes of the answer that came.
    pub bytes_in: u64,
    /// What the server spoke, where that was not the HTTP/2, or the gRPC, that it was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instead: Option<Instead>,
    /// By how much its times may be wrong, in nanoseconds: where they were mapped by the clocks of two machines.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub off_ns: u64,
}

/// One answer that only the end of its connection delimited.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnframedSample {
    /// When its request was to be sent.
    pub due: MonoTime,
    /// The first write that the kernel took; none if there was nothing to write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent: Option<MonoTime>,
    /// When the end of its connection was read.
    pub end: MonoTime,
    /// Our address: `127.0.0.1:54321`. None for Unix sockets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local: Option<String>,
    /// Bytes of the answer that came.
    pub bytes_in: u64,
}

/// The density bucket of a latency: eight to an octave of microseconds, so each is 9 % wide.
///
/// Bucket 0 holds everything up to 1 us, bucket `8 k` starts at `2^k` us.
#[must_use]
pub fn density_bucket(latency_us: u64) -> u16 {
    if latency_us <= 1 {
        return 0;
    }
    let octave = latency_us.ilog2();
    // The three bits below the leading one split the octave into eight equal steps.
    let step = if octave >= 3 { (latency_us >> (octave - 3)) & 7 } else { (latency_us << (3 - octave)) & 7 };
    // At most 63 * 8 + 7.
    u16::try_from(u64::from(octave) * 8 + step).unwrap_or(u16::MAX)
}

/// The lower edge of a density bucket, in microseconds.
#[must_use]
pub fn density_floor_us(bucket: u16) -> u64 {
    let (octave, step) = (u32::from(bucket / 8), u64::from(bucket % 8));
    if octave >= 3 { (8 + step) << (octave - 3) } else { (8 + step) >> (3 - octave) }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature serde calls")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_density_bucket_starts_at_its_floor() {
        for us in (1..5_000).chain([1 << 20, u64::MAX / 2, u64::MAX]) {
            let bucket = density_bucket(us);
            assert!(density_floor_us(bucket) <= us, "{us}");
            assert!(bucket == 511 || density_floor_us(bucket + 1) > us || us <= 8, "{us}");
        }
    }
}
