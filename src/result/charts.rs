//! What charts draw and `result.json` is too small for.

use std::collections::BTreeMap;

use crate::model::{ActiveState, FailureClass, UnitName};

/// A scenario over time and by percentile. All times are in milliseconds from the first counted due time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Charts {
    /// Nothing was due from here on.
    pub end_ms: f64,
    /// The width of a column.
    pub column_ms: u64,
    /// By due time, ascending; spans in which nothing ended have none.
    pub columns: Vec<Column>,
    /// Single failures, by due time.
    pub failures: Vec<FailurePoint>,
    /// Failures that are not among `failures`: the record has no sample of them, or there were too many to draw.
    pub failures_left_out: u64,
    /// When each event began, and when it was over.
    pub events: Vec<EventSpan>,
    /// What each unit was, over time.
    pub units: Vec<UnitBand>,
    /// Spans in which no process was listening at any target's address.
    pub unheard: Vec<(f64, f64)>,
    /// Deepest accept queue of each step in which the kernel showed one.
    pub queue: Vec<QueueStep>,
    /// The effective backlog; none if no listener was seen.
    pub backlog: Option<u32>,
    /// Percentile curves.
    pub curves: Vec<Curve>,
}

/// The requests that fell due in one column.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Column {
    /// Its start.
    pub at_ms: f64,
    /// `ok` requests by [`crate::record::segment::density_bucket`] of their latency.
    pub density: BTreeMap<u16, u64>,
    /// What was not `ok`, by class.
    pub losses: BTreeMap<FailureClass, u64>,
    /// The slowest `ok`.
    pub max_ms: Option<f64>,
}

/// One failure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FailurePoint {
    /// Its due time.
    pub at_ms: f64,
    /// From the due time until it was known to have failed.
    pub after_ms: f64,
    /// Its class.
    pub class: FailureClass,
}

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub struct EventSpan {
    /// Its number, from 1.
    pub event: u32,
    /// When it began.
    pub from_ms: f64,
    /// When it was over: ready again, or the record ended.
    pub to_ms: f64,
}

/// The states of one unit.
#[derive(Clone, Debug, PartialEq)]
pub struct UnitBand {
    /// Which.
    pub unit: UnitName,
    /// In order, without gaps.
    pub states: Vec<StateSpan>,
}

/// A unit's state for a while.
#[derive(Clone, Debug, PartialEq)]
pub struct StateSpan {
    /// From when.
    pub from_ms: f64,
    /// Until when.
    pub to_ms: f64,
    /// ActiveState.
    pub active_state: ActiveState,
    /// SubState.
    pub sub_state: String,
}

/// The accept queue during one step of time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QueueStep {
    /// From when.
    pub from_ms: f64,
    /// Until when.
    pub to_ms: f64,
    /// The deepest it was.
    pub queued: u32,
}

/// Latency by percentile.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// `all`, `answered` or `service`, as in `latency_ms`.
    pub name: &'static str,
    /// Share of the requests, 0 to below 1, and the latency in milliseconds that this share kept; ascending.
    pub points: Vec<(f64, f64)>,
    /// The share from which on requests were never answered; none if all were.
    pub never_from: Option<f64>,
}
