//! Whether the generator itself kept a request from its answer: only what it did not is the target's doing.

use std::collections::BTreeMap;
use std::time::Duration;

use super::shortage::Shortage;
use super::timeline::Timeline;
use crate::model::Span;
use crate::model::time::nanos;
use crate::model::{FailureClass, FailureKey};
use crate::record::fold::counts::Counts;
use crate::record::fold::tally::Tally;
use crate::record::generator::GeneratorUse;
use crate::record::line::Line;
use crate::record::segment::Scope;
use crate::scenario::plan::Target;

/// After a pause of this length, what fell due in it is sent at once: what the target cannot take of that, in the pause
/// and this long after it, is the pause's doing. Shorter pauses make no pile-up to speak of.
const PILE_UP_MIN: Duration = Duration::from_millis(100);
const PILE_UP_LASTS: Duration = Duration::from_secs(1);

/// A request that ran out of time is the target's doing if the generator took less than this fraction of that time: one
/// part in N.
const OWN_PART: u64 = 10;

/// ENOMEM and ENOBUFS: the kernel had no memory for our side of the connection.
const NO_MEMORY: [i32; 2] = [12, 105];

/// What each load thread had of the machine, by shard and in order of time. Empty in records from before this was recorded.
#[derive(Debug, Default)]
pub(crate) struct Generator<'a>(BTreeMap<u32, Vec<&'a GeneratorUse>>);

/// Failures that may be the generator's own doing, of the counted part of a run.
#[derive(Debug, Default)]
pub(crate) struct InDoubt {
    by_window: BTreeMap<(u16, Scope), Counts<FailureKey>>,
    /// From the first due time to the last end.
    pub(crate) span: Option<Span>,
}

impl InDoubt {
    pub(crate) fn of(tally: &Tally, timeline: &Timeline<'_>) -> Self {
        let mut in_doubt = Self::default();
        for (cohort, scope, window) in tally.windows().filter(|&(_, scope, _)| scope != Scope::Warmup) {
            let Some(of_plan) = timeline.plan.cohorts.get(usize::from(cohort)) else { continue };
            for (row, rows, cell) in window.spans() {
                let due = timeline.rows_span(row, rows);
                for (key, n) in cell.failures.iter() {
                    if timeline.generator.may_have_caused(key, &of_plan.target, due) {
                        in_doubt.by_window.entry((cohort, scope)).or_default().add_all([(key, n)].into_iter());
                        in_doubt.see(Span::new(due.from, due.to + of_plan.target.timeout));
                    }
                }
            }
        }
        in_doubt
    }

    fn see(&mut self, span: Span) {
        self.span = Some(self.span.map_or(span, |seen| Span::new(seen.from.min(span.from), seen.to.max(span.to))));
    }

    /// Those of one window.
    pub(crate) fn of_window(&self, cohort: u16, scope: Scope) -> impl Iterator<Item = (FailureKey, u64)> {
        self.by_window.get(&(cohort, scope)).into_iter().flat_map(Counts::iter)
    }

    pub(crate) fn total(&self) -> u64 {
        self.by_window.values().map(Counts::total).sum()
    }
}

impl<'a> Generator<'a> {
    pub(crate) fn of(lines: &'a [Line]) -> Self {
        let uses = lines.iter().filter_map(|line| match line {
            Line::Generator(generator) => Some(generator),
            _ => None,
        });
        let mut by_shard: BTreeMap<u32, Vec<&GeneratorUse>> = BTreeMap::new();
        uses.for_each(|generator| by_shard.entry(generator.shard).or_default().push(generator));
        by_shard.values_mut().for_each(|uses| uses.sort_by_key(|generator| generator.from));
        Self(by_shard)
    }

    /// Whether failures of `key` that were due in `due` may be the generator's own doing.
    pub(crate) fn may_have_caused(&self, key: FailureKey, target: &Target, due: Span) -> bool {
        if key.errno.is_some_and(|errno| NO_MEMORY.contains(&errno)) {
            return true;
        }
        if [FailureClass::QueueFull, FailureClass::ConnectTimeout].contains(&key.class) && self.is_in_pile_up(due) {
            return true;
        }
        let Some(limit) = time_limit(key.class, target) else { return false };
        self.taken_ns(Span::new(due.from, due.to + limit)) >= nanos(limit) / OWN_PART
    }

    /// Whether what was due in `due` was sent together with all that a pause had held back.
    fn is_in_pile_up(&self, due: Span) -> bool {
        let around = Span::new(due.from - PILE_UP_LASTS, due.to);
        let pauses = self.during(around).flat_map(|generator| &generator.pauses);
        pauses
            .filter(|pause| u128::from(pause.length_ns()) >= PILE_UP_MIN.as_nanos())
            .any(|pause| overlap_ns(due, Span::new(pause.from, pause.to + PILE_UP_LASTS)) > 0)
    }

    /// How much of `span` a load thread did not give to the target: of several, whose requests are not told apart, the one
    /// that gave least.
    fn taken_ns(&self, span: Span) -> u64 {
        self.0.values().map(|uses| taken_ns(uses, span)).max().unwrap_or_default()
    }

    /// Whether it was short of memory for so long that the p99 of a latency may be its own: a hundredth of the time.
    pub(crate) fn is_short_of_memory(&self) -> bool {
        self.0.values().any(|uses| {
            let spans_ns = |is_counted: fn(&GeneratorUse) -> bool| -> u64 {
                uses.iter().filter(|generator| is_counted(generator)).map(|generator| generator.span_ns()).sum()
            };
            let (short_ns, all_ns) = (spans_ns(GeneratorUse::is_short_of_memory), spans_ns(|_| true));
            short_ns > 0 && short_ns >= all_ns / 100
        })
    }

    fn during(&self, span: Span) -> impl Iterator<Item = &'a GeneratorUse> {
        self.0.values().flat_map(move |uses| during(uses, span))
    }

    /// What it lacked in `span`.
    pub(crate) fn shortage(&self, span: Span) -> Shortage {
        let mut shortage = Shortage::default();
        self.during(span).for_each(|generator| shortage.add(generator));
        shortage
    }
}

fn taken_ns(uses: &[&GeneratorUse], span: Span) -> u64 {
    let of = |generator: &GeneratorUse| {
        if generator.is_saturated() || generator.is_short_of_memory() {
            return overlap_ns(span, Span::new(generator.from, generator.to));
        }
        generator.pauses.iter().map(|pause| overlap_ns(span, Span::new(pause.from, pause.to))).sum()
    };
    during(uses, span).map(of).sum()
}

/// The uses of one thread that touch a span.
fn during<'a>(uses: &[&'a GeneratorUse], span: Span) -> impl Iterator<Item = &'a GeneratorUse> {
    let first = uses.partition_point(|generator| generator.to < span.from);
    uses[first..].iter().copied().take_while(move |generator| generator.from <= span.to)
}

/// How long a request had whose class says that it ran out of time; none for what ended in another way.
fn time_limit(class: FailureClass, target: &Target) -> Option<Duration> {
    match class {
        FailureClass::ResponseTimeout | FailureClass::NoConnection => Some(target.timeout),
        FailureClass::ConnectTimeout => Some(target.connect_timeout.min(target.timeout)),
        _ => None,
    }
}

fn overlap_ns(a: Span, b: Span) -> u64 {
    let (from, to) = (a.from.max(b.from), a.to.min(b.to));
    if from < to { to.nanos_since(from) } else { 0 }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::model::{Disposition, MonoTime};
    use crate::record::generator::Taken;
    use crate::record::line::Pause;

    pub(in crate::analysis) const MS: u64 = 1_000_000;

    pub(in crate::analysis) fn at(ms: u64) -> MonoTime {
        MonoTime::from_nanos(ms * MS)
    }

    /// A second of a load thread, in milliseconds.
    pub(in crate::analysis) fn second(number: u64, cpu: u64, run_delay: u64, parked: u64) -> GeneratorUse {
        GeneratorUse {
            shard: 0,
            from: at(number * 1_000),
            to: at(number * 1_000 + 1_000),
            cpu_ns: cpu * MS,
            run_delay_ns: Some(run_delay * MS),
            parked_ns: parked * MS,
            due: 0,
            begun: 0,
            waiting: 0,
            pauses: Vec::new(),
            pauses_left_out: 0,
            taken: Taken::default(),
        }
    }

    fn target() -> Target {
        let record = include_str!("../../tests/fixtures/ledger-socket.jsonl");
        let line = record.lines().next().expect("it has one");
        let begin: crate::record::begin::Begin = serde_json::from_str(line).expect("it is the first");
        let second = Duration::from_secs(1);
        Target { timeout: second, connect_timeout: second, ..begin.plan.cohorts[0].target.clone() }
    }

    fn failed(class: FailureClass, errno: Option<i32>) -> FailureKey {
        FailureKey { errno, ..FailureKey::new(class, Disposition::Unsent) }
    }

    fn is_own(uses: &[GeneratorUse], class: FailureClass, due_ms: u64) -> bool {
        let due = Span::new(at(due_ms), at(due_ms + 100));
        Generator(BTreeMap::from([(0, uses.iter().collect())])).may_have_caused(failed(class, None), &target(), due)
    }

    #[test]
    fn a_request_that_ran_out_of_time_is_the_targets_doing_only_while_the_load_thread_was_idle() {
        let idle = [second(0, 100, 20, 880), second(1, 100, 20, 880)];
        let busy = [second(0, 985, 5, 100), second(1, 985, 5, 100)];
        let starved = [second(0, 100, 880, 890), second(1, 100, 880, 890)];
        let stalled = [second(0, 50, 5, 10), second(1, 50, 5, 10)];
        for class in [FailureClass::NoConnection, FailureClass::ResponseTimeout, FailureClass::ConnectTimeout] {
            assert!(!is_own(&idle, class, 200));
            assert!(is_own(&busy, class, 200) && is_own(&starved, class, 200) && is_own(&stalled, class, 200));
            assert!(!is_own(&[], class, 200), "nothing is known");
        }
    }

    #[test]
    fn what_ended_before_its_time_is_the_targets_doing_however_busy_the_load_thread_was() {
        let busy = [second(0, 985, 5, 100), second(1, 985, 5, 100)];
        for class in [FailureClass::Refused, FailureClass::ResetBeforeResponse, FailureClass::ClosedMidResponse] {
            assert!(!is_own(&busy, class, 200), "{class}");
        }
    }

    #[test]
    fn a_second_at_the_limit_excuses_only_the_requests_that_lived_in_it() {
        let uses = [second(0, 990, 5, 100), second(1, 100, 0, 890), second(2, 100, 0, 890), second(3, 100, 0, 890)];
        assert!(is_own(&uses, FailureClass::NoConnection, 800));
        assert!(!is_own(&uses, FailureClass::NoConnection, 1_000));
    }

    #[test]
    fn a_load_thread_that_is_asked_for_more_than_it_can_send_is_at_its_limit_though_it_waits_for_answers() {
        let asked = |due, begun, cpu| {
            let second = |number| GeneratorUse { due, begun, waiting: 50_000, ..second(number, cpu, 0, 1_000 - cpu) };
            is_own(&[second(0), second(1)], FailureClass::NoConnection, 200)
        };
        assert!(asked(100_000, 25_000, 600), "with 24 us each it needs 2.4 cores");
        assert!(!asked(30_000, 25_000, 600), "it would have kept up with a target that answers at once");
        assert!(!asked(100_000, 12, 300), "the target hangs: the time went into what waits");
        assert!(!asked(100_000, 3_000, 60), "the target is slow");
    }

    #[test]
    fn what_a_pause_piled_up_is_not_the_targets_doing() {
        let paused = |from_ms, to_ms| {
            let pauses = vec![Pause { from: at(from_ms), to: at(to_ms) }];
            [GeneratorUse { pauses, ..second(0, 100, 0, 890) }, second(1, 100, 0, 890), second(2, 100, 0, 890)]
        };
        let is_own = |uses: &[GeneratorUse], due_ms| is_own(uses, FailureClass::QueueFull, due_ms);
        assert!(is_own(&paused(400, 600), 500) && is_own(&paused(400, 600), 1_500));
        assert!(!is_own(&paused(400, 600), 100), "it was due before");
        assert!(!is_own(&paused(400, 600), 1_700), "the pile was gone");
        assert!(!is_own(&paused(400, 450), 440), "hardly anything was held back");
    }

    #[test]
    fn a_pause_counts_by_the_share_of_the_time_that_the_request_had() {
        let paused = |to_ms| {
            let pauses = vec![Pause { from: at(500), to: at(to_ms) }];
            [GeneratorUse { pauses, ..second(0, 100, 0, 890) }, second(1, 100, 0, 890)]
        };
        assert!(!is_own(&paused(590), FailureClass::ResponseTimeout, 200));
        assert!(is_own(&paused(600), FailureClass::ResponseTimeout, 200));
        assert!(!is_own(&paused(600), FailureClass::ResponseTimeout, 700), "it was due after the pause");
    }

    #[test]
    fn a_request_that_ran_out_of_time_while_memory_was_refused_may_have_lacked_it() {
        let with = |memory_wait_ns, socket_memory_denied| {
            let taken = Taken { memory_wait_ns, socket_memory_denied, ..Taken::default() };
            let uses = [GeneratorUse { taken, ..second(0, 100, 20, 880) }, second(1, 100, 20, 880)];
            is_own(&uses, FailureClass::ResponseTimeout, 200)
        };
        assert!(with(None, Some(1)) && with(Some(200 * MS), Some(0)));
        assert!(!with(None, None) && !with(None, Some(0)) && !with(Some(50 * MS), None));
    }

    #[test]
    fn what_our_own_memory_failed_is_not_the_targets_doing() {
        let due = Span::new(at(0), at(100));
        let is_own = |errno| {
            let key = failed(FailureClass::ConnectOther, Some(errno));
            Generator::default().may_have_caused(key, &target(), due)
        };
        assert!(is_own(12) && is_own(105) && !is_own(113));
    }
}
