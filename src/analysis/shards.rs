//! Generators that share a load: what one of them can say by itself, and what each did in the record of all.

use super::checks::instrument::LATENESS_P99_LIMIT;
use super::checks::{Judged, Weight};
use super::facts::Facts;
use super::figures::lateness;
use super::number::ns_to_ms;
use super::statistics::is_surely_above;
use super::words;
use crate::model::bound::Comparison;
use crate::model::metric::Dimension;
use crate::model::{Bound, Metric, Share, Verdict};
use crate::record::line::Line;
use crate::record::shard::ShardUse;
use crate::result::{GeneratorResult, Requests};
use crate::scenario::plan::Expectations;

/// The part of the load that the record is about; none if that is all of it.
pub(crate) fn alone(facts: &Facts<'_>) -> Option<Share> {
    let share = facts.record.begin.shard.as_ref()?.share;
    (!share.is_whole()).then_some(share)
}

/// Whether a bound can be broken by what one shard saw: the whole lost no less.
fn can_be_broken(metric: Metric, bound: Bound) -> bool {
    let is_upper = matches!(bound.comparison, Comparison::AtMost | Comparison::LessThan);
    let is_count = metric.dimension() == Dimension::Count && (metric.is_loss() || metric == Metric::Stale);
    is_upper && is_count && !matches!(metric, Metric::Cause(_))
}

/// The bounds that a record judges.
pub(crate) fn judged(expect: &Expectations, facts: &Facts<'_>) -> Expectations {
    let mut judged = expect.clone();
    if alone(facts).is_some() {
        let of_cohorts = judged.cohorts.iter_mut().map(|(_, bounds)| bounds);
        for bounds in std::iter::once(&mut judged.bounds).chain(of_cohorts) {
            bounds.retain(|&(metric, bound)| can_be_broken(metric, bound));
        }
    }
    judged
}

/// Of the checks, those that a record can stand for. A shard has a part of the requests, and connection attempts that are
/// further apart than those of all.
pub(crate) fn can_say(check: &Judged, facts: &Facts<'_>) -> bool {
    let Some(share) = alone(facts) else { return true };
    let name = check.check.name.as_str();
    let is_of_all = ["sight.", "requests.", "instrument.cohorts"].iter().any(|of_all| name.starts_with(of_all));
    let is_of_first = ["step.", "proof.", "unframed.", "end.", "latent."].iter().any(|acts| name.starts_with(acts));
    !is_of_all && (share.is_first() || !is_of_first)
}

/// What a shard's verdict is about.
pub(crate) fn reason(facts: &Facts<'_>) -> Option<String> {
    let share = alone(facts)?;
    let expect = &facts.timeline.plan.expect;
    let left: Vec<String> = expect
        .bounds
        .iter()
        .filter(|&&(metric, bound)| !can_be_broken(metric, bound))
        .map(|(metric, bound)| format!("{metric} {bound}"))
        .collect();
    let bounds = if left.is_empty() { String::new() } else { format!(" ({} among it)", left.join(", ")) };
    let steps = if share.is_first() {
        "It carried out the steps; whether a listener gap went unseen"
    } else {
        "It did not see the steps, which are those of shard 1; what they did, the end state of units"
    };
    Some(format!(
        "This is shard {} of {}: it answers for its own requests alone. {steps} and all else{bounds} is judged by gapless \
         merge, over all shards.",
        share.index(),
        share.of()
    ))
}

fn uses<'a>(facts: &Facts<'a>) -> impl Iterator<Item = &'a ShardUse> {
    facts.record.lines.iter().filter_map(|line| match line {
        Line::Shard(shard) => Some(shard.as_ref()),
        _ => None,
    })
}

/// Each generator of a merged record.
pub(crate) fn results(facts: &Facts<'_>) -> Vec<GeneratorResult> {
    let result = |shard: &ShardUse| GeneratorResult {
        shard: shard.index,
        host: shard.host.clone(),
        requests: Requests {
            due: shard.due,
            ok: shard.ok,
            failed: shard.failed,
            unsent: shard.unsent,
            warmup: shard.warmup,
        },
        lateness_us: lateness(&shard.lateness),
        same_clock: shard.is_on_clock,
        whole: shard.is_whole,
    };
    uses(facts).map(result).collect()
}

/// Whether the counts of every generator are whole.
pub(crate) fn are_whole(facts: &Facts<'_>) -> bool {
    uses(facts).all(|shard| shard.is_whole)
}

/// One generator that is late hides among many: each is judged by itself, as one generator would be.
pub(crate) fn check(facts: &Facts<'_>) -> Option<Judged> {
    let all = uses(facts).count();
    if all == 0 {
        return None;
    }
    let is_late = |shard: &&ShardUse| {
        let limit_ns = u64::try_from(LATENESS_P99_LIMIT.as_nanos()).unwrap_or(u64::MAX);
        let late = shard.lateness.iter().filter(|(ns, _)| *ns > limit_ns).map(|(_, n)| n).sum();
        is_surely_above(0.01, late, shard.lateness.len())
    };
    let clause = |shard: &ShardUse| {
        let p99_ns = shard.lateness.at_rank(shard.lateness.len().saturating_mul(99).div_ceil(100)).unwrap_or_default();
        format!(
            "shard {} on {} fell behind: the p99 of its lateness is {}",
            shard.index,
            shard.host,
            words::ms(ns_to_ms(p99_ns))
        )
    };
    let late: Vec<String> = uses(facts).filter(is_late).map(clause).collect();
    let status = if late.is_empty() { Verdict::Passed } else { Verdict::Inconclusive };
    let expected = format!("{all} generators with lateness p99 <= {} ms", LATENESS_P99_LIMIT.as_secs_f64() * 1e3);
    let judged = Judged::new("instrument.generators", expected, format!("{} of {all}", all - late.len()), status);
    Some(Judged { weight: Weight::Ordinary, ..judged }.because(words::sentences(&late)))
}
