//! What became of each of several requests.

use super::facts::Facts;
use crate::record::segment::RequestCount;
use crate::result::PathResult;

/// Each request of the target, over all cohorts that send it.
pub(crate) fn results(facts: &Facts<'_>) -> Vec<PathResult> {
    let cohorts = (0_u16..).zip(&facts.timeline.plan.cohorts).filter(|(_, cohort)| !cohort.target.requests.is_empty());
    let cohorts: Vec<_> = cohorts.collect();
    let Some((_, first)) = cohorts.first() else { return Vec::new() };
    let result = |(place, request): (u16, &crate::scenario::plan::WeightedRequest)| {
        let mut sum = RequestCount::default();
        let counts = cohorts.iter().filter_map(|(cohort, _)| facts.tally.requests.get(&(*cohort, place)));
        counts.for_each(|count| sum.add(count));
        PathResult {
            method: request.method.clone(),
            path: request.path.clone(),
            due: sum.ended(),
            ok: sum.ok,
            dropped: sum.dropped,
            wrong: sum.wrong,
            unsent: sum.unsent,
        }
    };
    (0..).zip(&first.target.requests).map(result).collect()
}
