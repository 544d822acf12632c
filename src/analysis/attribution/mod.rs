//! Why each request failed.
//!
//! Attribution works on the exact counts: all failures of one kind in one tenth of a second are one case. Of
//! these, the ones with a sample are judged by their exact times, each for itself, and held against the kernel's
//! trace.

mod attest;
mod case;
mod datagram;
mod rules;
mod sentence;
mod starts;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use self::attest::Judged;
use self::case::{Case, PhaseSpan, phases};
use super::timeline::Timeline;
use super::window::first_ok_end;
use crate::model::{Cause, FailureClass, FailureKey, GrpcStatus, Instead, MonoTime, Span, TlsFault};
use crate::record::fold::tally::Tally;
use crate::record::fold::window::Window;
use crate::record::segment::{FailureSample, Scope};
use crate::result::{EventPhase, Evidence};
use crate::scenario::plan::Cohort;

/// What every failure was put down to.
#[derive(Debug, Default)]
pub(crate) struct Attribution {
    counts: BTreeMap<(u16, Scope, Cause), u64>,
    /// Of these, confirmed by the kernel's trace.
    attested: BTreeMap<Cause, u64>,
    findings: BTreeMap<(Scope, Cause), Finding>,
}

/// All failures of one cause in one scope.
#[derive(Debug, Default)]
pub(crate) struct Finding {
    pub(crate) count: u64,
    /// Of these, confirmed by the kernel's trace.
    pub(crate) attested: u64,
    pub(crate) classes: BTreeMap<FailureClass, u64>,
    /// The phases of the event that they failed in.
    pub(crate) phases: BTreeMap<EventPhase, u64>,
    /// The cohorts that lost them, by their place in the plan.
    pub(crate) cohorts: BTreeSet<u16>,
    /// The statuses of wrong answers.
    pub(crate) statuses: BTreeMap<u16, u64>,
    /// And those of gRPC.
    pub(crate) grpc_statuses: BTreeMap<GrpcStatus, u64>,
    /// What was spoken instead of HTTP/2 or gRPC.
    pub(crate) instead: BTreeSet<Instead>,
    /// What TLS did not take.
    pub(crate) tls: BTreeMap<TlsFault, u64>,
    /// When those failed of which a sample tells it.
    failed: Option<Span>,
    /// When the others can have failed.
    may_have_failed: Option<Span>,
    /// Of these, what may be the generator's own doing.
    pub(crate) own: u64,
    /// Of these, datagrams to a receiver that never answered.
    pub(crate) unconfirmed: u64,
}

impl Finding {
    fn add(&mut self, cohort: u16, failed: &Case<'_>, n: u64) {
        self.count += n;
        *self.classes.entry(failed.key.class).or_default() += n;
        match failed.key {
            // The status of HTTP beside it says nothing.
            FailureKey { grpc: Some(status), class, .. } if class.is_wrong() => {
                *self.grpc_statuses.entry(status).or_default() += n;
            }
            FailureKey { status: Some(status), class, .. } if class.is_wrong() => {
                *self.statuses.entry(status).or_default() += n;
            }
            _ => {}
        }
        if let Some(fault) = failed.key.tls {
            *self.tls.entry(fault).or_default() += n;
        }
        self.cohorts.insert(cohort);
        self.instead.extend(failed.instead);
        let known = if failed.sample.is_some() { &mut self.failed } else { &mut self.may_have_failed };
        *known = Some(known.map_or(failed.moment, |span| span.hull(failed.moment)));
    }

    /// When they failed: samples are of the first and the last of each class.
    pub(crate) fn span(&self) -> Option<Span> {
        self.failed.or(self.may_have_failed)
    }
}

impl Attribution {
    /// Puts every counted failure down to a cause.
    pub(crate) fn of(tally: &Tally, timeline: &Timeline<'_>) -> Self {
        let mut attribution = Self::default();
        for (index, cohort) in (0_u16..).zip(&timeline.plan.cohorts) {
            let phases = phases_seen_by(index, tally, timeline);
            let answers = starts::answers(index, tally);
            let starts = starts::unasked(&answers, timeline, &phases);
            for (_, scope, window) in tally.windows().filter(|&(of, scope, _)| of == index && scope != Scope::Warmup) {
                attribution.add_window((index, cohort), scope, window, (&phases, &starts, &answers), timeline);
            }
        }
        attribution
    }

    fn add_window(
        &mut self,
        (index, cohort): (u16, &Cohort),
        scope: Scope,
        window: &Window,
        (phases, unasked_starts, answers): (&[PhaseSpan], &[Span], &[MonoTime]),
        timeline: &Timeline<'_>,
    ) {
        let mut samples = samples_by_row(window, timeline);
        for (row, rows, counts) in window.spans() {
            for (key, count) in counts.failures.iter().filter(|(key, _)| !key.class.is_unsent()) {
                let due = timeline.rows_span(row, rows).widened(timeline.off_ns);
                let by_row = Case {
                    key,
                    cohort,
                    due,
                    moment: Case::moment_of(key, cohort, due, timeline.last),
                    sample: None,
                    slack_ns: 0,
                    word: None,
                    connected: None,
                    instead: None,
                    phases,
                    unasked_starts,
                    answers,
                    timeline,
                };
                if timeline.generator.may_have_caused(key, &cohort.target, due) {
                    self.add_own((index, scope), &by_row, count);
                    continue;
                }
                let known = samples.remove(&(row, key)).unwrap_or_default();
                let mut rest = count;
                for sample in known.into_iter().take(usize::try_from(count).unwrap_or(usize::MAX)) {
                    self.add((index, scope), &by_row.sharpened(sample), 1);
                    rest -= 1;
                }
                if rest > 0 {
                    self.add((index, scope), &by_row, rest);
                }
            }
        }
    }

    /// What may be the generator's own doing is put down to nobody else.
    fn add_own(&mut self, (cohort, scope): (u16, Scope), failed: &Case<'_>, n: u64) {
        *self.counts.entry((cohort, scope, Cause::Ambiguous)).or_default() += n;
        let finding = self.findings.entry((scope, Cause::Ambiguous)).or_default();
        finding.add(cohort, failed, n);
        finding.own += n;
    }

    fn add(&mut self, (cohort, scope): (u16, Scope), failed: &Case<'_>, n: u64) {
        let Judged { cause, is_attested } = attest::judge_on_any_clock(failed);
        *self.counts.entry((cohort, scope, cause)).or_default() += n;
        let finding = self.findings.entry((scope, cause)).or_default();
        finding.add(cohort, failed, n);
        *finding.phases.entry(failed.phase(scope)).or_default() += n;
        if datagram::is_unconfirmed(failed) {
            finding.unconfirmed += n;
        }
        if is_attested {
            finding.attested += n;
            *self.attested.entry(cause).or_default() += n;
        }
    }

    /// Failures that the kernel's trace confirms, by cause.
    pub(crate) fn attested(&self) -> BTreeMap<Cause, u64> {
        self.attested.clone()
    }

    /// Failures by cause, over the cohorts and scopes meant.
    pub(crate) fn causes(&self, meant: impl Fn(u16, Scope) -> bool) -> BTreeMap<Cause, u64> {
        let mut causes = BTreeMap::new();
        for (&(cohort, scope, cause), n) in &self.counts {
            if meant(cohort, scope) {
                *causes.entry(cause).or_default() += n;
            }
        }
        causes
    }

    /// A sentence for every cause in every scope, in order of time.
    pub(crate) fn evidence(&self, timeline: &Timeline<'_>) -> Vec<Evidence> {
        let evidence = self.findings.iter().map(|(&(scope, cause), finding)| {
            let event = match scope {
                Scope::Event(id) => Some(id),
                Scope::Warmup | Scope::Before => None,
            };
            let seen = sentence::of(cause, finding, event.and_then(|id| timeline.event(id)), timeline);
            Evidence {
                cause,
                event: event.map(|id| id.0.saturating_add(1)),
                count: finding.count,
                phases: finding.phases.clone(),
                sentence: seen.sentence,
                remedy: seen.remedy,
            }
        });
        evidence.collect()
    }
}

fn phases_seen_by(cohort: u16, tally: &Tally, timeline: &Timeline<'_>) -> Vec<PhaseSpan> {
    let of_event = |event: &super::event::Event<'_>| {
        let window = tally.window(cohort, Scope::Event(event.begin.event));
        let started = event.started_at();
        phases(
            event,
            timeline.is_killing(event),
            window.zip(started).and_then(|(window, started)| first_ok_end(window, started)),
        )
    };
    timeline.events.iter().flat_map(of_event).collect()
}

/// The samples of a window by row and kind, in order of their end.
fn samples_by_row<'w>(
    window: &'w Window,
    timeline: &Timeline<'_>,
) -> BTreeMap<(u64, FailureKey), Vec<&'w FailureSample>> {
    let mut samples: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for sample in &window.samples {
        samples.entry((timeline.row_index(sample.due), sample.key)).or_default().push(sample);
    }
    for of_row in samples.values_mut() {
        of_row.sort_by_key(|sample| (sample.end, sample.due, sample.sent));
    }
    samples
}
