//! Expectations: figures held against their bounds.

use super::instrument::slowed_by_generator;
use super::{Judged, passed_or};
use crate::analysis::facts::Facts;
use crate::analysis::figures::{Figures, Part};
use crate::analysis::{shards, words};
use crate::model::bound::{Comparison, Limit};
use crate::model::metric::Dimension;
use crate::model::{Bound, Metric, Verdict};
use crate::scenario::plan::Expectations;

/// What the scenario expects, then what each step expects of its own events.
pub(super) fn expectations(facts: &Facts<'_>, whole: &Figures) -> Vec<Judged> {
    let plan = facts.timeline.plan;
    let slowed = slowed_by_generator(facts, whole);
    let slowed = slowed.as_deref();
    let has_own = plan.steps.iter().any(|step| step.expect.is_some());
    let rest = if has_own { Part::Rest } else { Part::Whole };
    let mut checks = bounds("expect", &plan.expect, rest, (facts, whole), slowed);
    for (index, step) in (0_u16..).zip(&plan.steps) {
        if let Some(own) = &step.expect {
            checks.extend(bounds(
                &format!("step.{}.expect", index + 1),
                own,
                Part::Step(index),
                (facts, whole),
                slowed,
            ));
        }
    }
    checks
}

/// What `expect` asks of a part of the run; each is called `prefix` and its metric.
pub(crate) fn bounds(
    prefix: &str,
    expect: &Expectations,
    part: Part,
    (facts, whole): (&Facts<'_>, &Figures),
    slowed: Option<&str>,
) -> Vec<Judged> {
    let expect = shards::judged(expect, facts);
    let of_part = matches!(part, Part::Step(_) | Part::Rest).then(|| Figures::of(facts, None, part));
    let figures = of_part.as_ref().unwrap_or(whole);
    let place = match part {
        Part::Step(step) => format!(" in step {}", step + 1),
        Part::Whole | Part::Ended | Part::Rest => String::new(),
    };
    let mut checks: Vec<Judged> = expect
        .bounds
        .iter()
        .map(|&(metric, bound)| judge_bound(&format!("{prefix}.{metric}"), &place, metric, bound, figures, slowed))
        .collect();
    for (name, of_cohort) in &expect.cohorts {
        let index = (0_u16..).zip(&facts.timeline.plan.cohorts).find(|(_, cohort)| cohort.name == *name);
        let figures = index.map(|(index, _)| Figures::of(facts, Some(index), part)).unwrap_or_default();
        let place = format!("{place} in cohort {name}");
        checks.extend(of_cohort.iter().map(|&(metric, bound)| {
            judge_bound(&format!("{prefix}.cohort.{name}.{metric}"), &place, metric, bound, &figures, slowed)
        }));
    }
    checks
}

fn judge_bound(
    name: &str,
    place: &str,
    metric: Metric,
    bound: Bound,
    figures: &Figures,
    slowed: Option<&str>,
) -> Judged {
    let limit = match bound.limit {
        Limit::Number(number) => number,
        Limit::Time(time) => time.as_secs_f64() * 1e3,
    };
    let Some(actual) = figures.value(metric) else {
        return Judged::new(name, bound.to_string(), "not measured", Verdict::Inconclusive)
            .because(format!("{metric} was not measured{place}, so nothing can be said of {metric} {bound}."));
    };
    let holds = bound.comparison.holds(actual, limit);
    let is_time = metric.dimension() == Dimension::Time;
    // What the generator may have lost itself breaks no bound.
    let may_hold = figures.value_without_doubt(metric).is_some_and(|least| bound.comparison.holds(least, limit));
    let slowed = slowed.filter(|_| is_time);
    let is_in_doubt = slowed.is_some() || may_hold;
    let status = passed_or(holds, if is_in_doubt { Verdict::Inconclusive } else { Verdict::Failed });
    let judged = Judged::new(name, bound.to_string(), words::value(metric, actual), status);
    let broken = words::broken_bound(metric, bound, actual, place, figures);
    let judged = judged.because(format!("{broken}{}", slowed.unwrap_or_default()));
    let is_too_much =
        matches!(bound.comparison, Comparison::AtMost | Comparison::LessThan | Comparison::Exactly) && actual >= limit;
    // What was seen of either was seen, whatever else is in doubt.
    let is_decisive = metric.is_loss() || metric == Metric::Stale;
    if is_decisive && is_too_much { judged.decisive() } else { judged }
}
