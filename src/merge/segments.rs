//! Distributions of all shards, added up until they are written.

use std::collections::BTreeMap;

use crate::model::{FailureClass, MonoTime};
use crate::record::LatencyHistogram;
use crate::record::instances::{InstanceCount, Instances};
use crate::record::line::Line;
use crate::record::segment::{
    ConnectionCounts, FIRST_SAMPLES, FailureSample, Gap, GoAways, LAST_SAMPLES, RequestCount, Scope, Segment,
    UnframedSample,
};

/// The number of gaps that a segment is written with.
const GAPS_KEPT: usize = 8;

/// What is not written yet, by cohort and scope.
#[derive(Debug, Default)]
pub(super) struct SegmentSums(BTreeMap<(u16, Scope), Segment>);

impl SegmentSums {
    /// The sum that a cohort's counts under a scope go to.
    pub(super) fn of(&mut self, cohort: u16, scope: Scope, at: MonoTime) -> &mut Segment {
        self.0.entry((cohort, scope)).or_insert_with(|| empty(cohort, scope, at))
    }

    /// All of them, which are then done with.
    pub(super) fn take(&mut self) -> impl Iterator<Item = Line> {
        std::mem::take(&mut self.0).into_values().map(|mut segment| {
            limit(&mut segment);
            Line::Segment(Box::new(segment))
        })
    }
}

/// One that has counted nothing, and has no room before it is needed.
fn empty(cohort: u16, scope: Scope, at: MonoTime) -> Segment {
    let none = LatencyHistogram::default;
    Segment { ok: none(), wrong: none(), service: none(), lateness: none(), ..Segment::empty(cohort, scope, at) }
}

/// Adds the distributions and counts of a part; what is told one by one goes where its time belongs.
pub(super) fn add_counts(sum: &mut Segment, part: &Segment) {
    sum.from = sum.from.min(part.from);
    sum.to = sum.to.max(part.to);
    let ours = [&mut sum.ok, &mut sum.wrong, &mut sum.service, &mut sum.lateness];
    let theirs = [&part.ok, &part.wrong, &part.service, &part.lateness];
    ours.into_iter().zip(theirs).for_each(|(sum, part)| add_times(sum, part));
    sum.connections = add_connections(sum.connections, part.connections);
    sum.flaps = sum.flaps.saturating_add(part.flaps);
    sum.samples_left_out = sum.samples_left_out.saturating_add(part.samples_left_out);
    sum.unframed_left_out = sum.unframed_left_out.saturating_add(part.unframed_left_out);
    for count in &part.requests {
        match sum.requests.iter_mut().find(|known| known.request == count.request) {
            Some(known) => RequestCount::add(known, count),
            None => sum.requests.push(*count),
        }
    }
}

/// Adds a histogram: an addition to an empty one is a copy, and most are empty or the first of their kind.
pub(super) fn add_times(sum: &mut LatencyHistogram, part: &LatencyHistogram) {
    if sum.is_empty() {
        *sum = part.clone();
    } else if !part.is_empty() {
        sum.add(part);
    }
}

fn add_connections(a: ConnectionCounts, b: ConnectionCounts) -> ConnectionCounts {
    ConnectionCounts {
        opened: a.opened.saturating_add(b.opened),
        reused_requests: a.reused_requests.saturating_add(b.reused_requests),
        closed_idle: a.closed_idle.saturating_add(b.closed_idle),
        unframed: a.unframed.saturating_add(b.unframed),
        unasked: a.unasked.saturating_add(b.unasked),
    }
}

pub(super) fn add_goaways(sum: &mut Segment, goaways: GoAways) {
    sum.goaways = sum.goaways.into_iter().chain([goaways]).reduce(GoAways::and);
}

/// Adds the answers of an instance.
pub(super) fn add_instance(sum: &mut Segment, part: InstanceCount) {
    let instances = sum.instances.get_or_insert_with(Instances::default);
    let Some(known) = instances.named.iter_mut().find(|known| known.name == part.name) else {
        instances.named.push(InstanceCount { sent: None, ..part });
        return;
    };
    known.answers = known.answers.saturating_add(part.answers);
    known.first = known.first.min(part.first);
    known.last = known.last.max(part.last);
    for stale in part.stale {
        match known.stale.iter_mut().find(|known| known.event == stale.event) {
            Some(known) => known.n = known.n.saturating_add(stale.n),
            None => known.stale.push(stale),
        }
    }
}

/// Adds the answers that no instance is known of.
pub(super) fn add_unknown(sum: &mut Segment, part: &Instances) {
    let instances = sum.instances.get_or_insert_with(Instances::default);
    instances.unnamed = instances.unnamed.saturating_add(part.unnamed);
    instances.unnamed_ok = instances.unnamed_ok.saturating_add(part.unnamed_ok);
    instances.left_out = instances.left_out.saturating_add(part.left_out);
}

/// As many of what is told one by one as a generator tells.
fn limit(segment: &mut Segment) {
    segment.gaps.sort_by_key(|gap| std::cmp::Reverse(gap.to.nanos_since(gap.from)));
    segment.gaps.dedup();
    segment.gaps.truncate(GAPS_KEPT);
    segment.requests.sort_by_key(|count| count.request);
    let mut by_class = BTreeMap::<FailureClass, Vec<FailureSample>>::new();
    for sample in std::mem::take(&mut segment.samples) {
        by_class.entry(sample.key.class).or_default().push(sample);
    }
    for mut samples in by_class.into_values() {
        samples.sort_by_key(|sample| (sample.end, sample.due));
        segment.samples_left_out += first_and_last(&mut samples);
        segment.samples.append(&mut samples);
    }
    segment.unframed.sort_by_key(|sample: &UnframedSample| (sample.end, sample.due));
    segment.unframed_left_out += first_and_last(&mut segment.unframed);
}

/// Keeps the first and the last: how many between are left out.
fn first_and_last<T>(samples: &mut Vec<T>) -> u64 {
    let left_out = samples.len().saturating_sub(FIRST_SAMPLES + LAST_SAMPLES);
    samples.drain(FIRST_SAMPLES.min(samples.len())..(FIRST_SAMPLES + left_out).min(samples.len())).count() as u64
}

/// Adds a gap; those beyond what is written go when there are many.
pub(super) fn add_gap(sum: &mut Segment, gap: Gap) {
    sum.gaps.push(gap);
    if sum.gaps.len() > 16 * GAPS_KEPT {
        sum.gaps.sort_by_key(|gap| std::cmp::Reverse(gap.to.nanos_since(gap.from)));
        sum.gaps.truncate(GAPS_KEPT);
    }
}
