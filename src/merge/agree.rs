//! Which records are of one load: each shard once, with one plan, by one version.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::MergeError;
use crate::record::begin::Begin;
use crate::record::shard::Shard;
use crate::scenario::plan::Plan;

/// The records that are merged.
#[derive(Debug)]
pub(super) struct Agreed {
    /// How many shards there are to be.
    pub(super) of: u32,
    /// By shard; the first is the one whose lines stand as they are.
    pub(super) members: Vec<Member>,
    /// What is missing or does not fit: a clause each.
    pub(super) doubts: Vec<String>,
}

/// One that is merged.
#[derive(Clone, Debug)]
pub(super) struct Member {
    /// Its place among the inputs.
    pub(super) place: usize,
    pub(super) shard: Shard,
}

/// Sorts records out. What the first shard has, or the one closest to it, the others are to have.
pub(super) fn agree(heads: &[(String, Begin)]) -> Result<Agreed, MergeError> {
    let mut doubts = Vec::new();
    let mut shards: Vec<(usize, &str, &Begin, &Shard)> = Vec::new();
    for (place, (name, begin)) in heads.iter().enumerate() {
        match &begin.shard {
            Some(shard) if begin.merged.is_none() => shards.push((place, name, begin, shard)),
            _ => doubts.push(format!("{name} is not the record of a shard (--shard I/N), and is left out")),
        }
    }
    shards.sort_by_key(|&(place, _, _, shard)| (shard.share.index(), place));
    let &(_, _, base, first) = shards.first().ok_or(MergeError::NoShard)?;
    let mut members = BTreeMap::<u32, (Member, &str)>::new();
    for (place, name, begin, shard) in shards {
        let share = shard.share;
        if let Some(difference) = difference((base, first), (begin, shard)) {
            doubts.push(format!("shard {share} in {name} is left out: {difference}"));
        } else if let Some((_, earlier)) = members.get(&share.index()) {
            doubts.push(format!("shard {share} occurs twice: {name} is left out, and {earlier} is counted"));
        } else {
            members.insert(share.index(), (Member { place, shard: shard.clone() }, name));
        }
    }
    let of = first.share.of();
    let missing: Vec<String> =
        (1..=of).filter(|index| !members.contains_key(index)).map(|index| format!("{index}/{of}")).collect();
    if let Some(named) = some_of(&missing) {
        let verb = if missing.len() == 1 { "shard" } else { "shards" };
        doubts.push(format!("{verb} {named} missing: what was sent there is not counted"));
    }
    if !members.contains_key(&1) {
        doubts.push("without shard 1, what was done to the service is unknown".to_owned());
    }
    Ok(Agreed { of, members: members.into_values().map(|(member, _)| member).collect(), doubts })
}

/// The most that are named one by one.
const NAMED_MAX: usize = 8;

fn some_of(missing: &[String]) -> Option<String> {
    let verb = if missing.len() == 1 { "is" } else { "are" };
    match missing.len() {
        0 => None,
        1..=NAMED_MAX => Some(format!("{} {verb}", missing.join(", "))),
        n => Some(format!("{} and {} more {verb}", missing[..NAMED_MAX].join(", "), n - NAMED_MAX)),
    }
}

/// How a record is not of the same load; none if it is.
fn difference((base, first): (&Begin, &Shard), (other, shard): (&Begin, &Shard)) -> Option<String> {
    let whose = format!("shard {}", first.share.index());
    if other.tool != base.tool {
        return Some(format!(
            "it is of {} {}, and {whose} of {}",
            other.tool.name, other.tool.version, base.tool.version
        ));
    }
    if shard.share.of() != first.share.of() {
        return Some(format!("it is one of {} shards, and {whose} one of {}", shard.share.of(), first.share.of()));
    }
    if shard.plan_sum != first.plan_sum {
        return Some(format!("its plan is not that of {whose}: {}", differs(&base.plan, &other.plan)));
    }
    if shard.start_at_ns != first.start_at_ns {
        let (own, others) = (time(shard.start_at_ns), time(first.start_at_ns));
        return Some(format!("it was to start at {own}, and {whose} at {others}"));
    }
    if shard.window_ns != first.window_ns {
        let span = |ns: Option<u64>| {
            ns.map_or_else(|| "no fixed time".to_owned(), |ns| format!("{:?}", Duration::from_nanos(ns)))
        };
        return Some(format!(
            "it was to load for {}, and {whose} for {}",
            span(shard.window_ns),
            span(first.window_ns)
        ));
    }
    None
}

/// What differs, by the tables of a scenario.
fn differs(base: &Plan, other: &Plan) -> String {
    // Each machine resolves a host, and names units, for itself.
    let load = |plan: &Plan| {
        let mut cohorts = plan.cohorts.clone();
        cohorts.iter_mut().for_each(|cohort| cohort.target.connect = base.cohorts[0].target.connect.clone());
        cohorts
    };
    if base.name != other.name {
        return format!("it is of scenario {:?}, not {:?}", other.name, base.name);
    }
    let tables = [
        ("target and load", base.cohorts.is_empty() || load(base) != load(other)),
        ("run", base.run != other.run),
        ("steps", base.steps != other.steps),
        ("expect", base.expect != other.expect),
        ("units", base.units != other.units),
    ];
    let named: Vec<&str> = tables.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect();
    if named.is_empty() { "bodies or descriptions differ".to_owned() } else { format!("{} differ", named.join(", ")) }
}

fn time(ns: Option<u64>) -> String {
    let timestamp = ns.and_then(|ns| Timestamp::from_nanosecond(i128::from(ns)).ok());
    timestamp.map_or_else(|| "no fixed time".to_owned(), |timestamp| timestamp.to_string())
}
