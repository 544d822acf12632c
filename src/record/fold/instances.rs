//! The instances of a record: who answered, from when to when, and which answers were stale.

use std::collections::BTreeMap;

use crate::model::{EventId, MonoTime};
use crate::record::instances::{self, INSTANCES_MAX, InstanceCount};
use crate::record::segment::Scope;

/// More entries than any run of the harness has: an entry is an instance that answered in an event.
const ENTRIES_MAX: usize = 100_000;

/// Everything counted by instance.
#[derive(Clone, Debug, Default)]
pub(crate) struct Instances {
    pub(crate) all: BTreeMap<String, Answers>,
    /// What each gave in the window of an event.
    pub(crate) events: BTreeMap<EventId, BTreeMap<String, u64>>,
    /// By cohort and event, what is stale of each.
    pub(crate) stale: BTreeMap<(u16, EventId), BTreeMap<String, u64>>,
    /// Counted answers that named no instance.
    pub(crate) unnamed: u64,
    /// Of these, the expected ones.
    pub(crate) unnamed_ok: u64,
    /// Counted answers whose instance is not kept.
    pub(crate) left_out: u64,
    entries: usize,
}

/// The answers of one instance.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answers {
    /// To counted requests.
    pub(crate) counted: u64,
    /// In the warmup.
    pub(crate) warmup: u64,
    pub(crate) first: MonoTime,
    pub(crate) last: MonoTime,
}

impl Instances {
    /// Adds what a cohort counted under a scope.
    pub(super) fn add(&mut self, cohort: u16, scope: Scope, counted: &instances::Instances) {
        let is_warmup = scope == Scope::Warmup;
        if !is_warmup {
            self.unnamed += counted.unnamed;
            self.unnamed_ok += counted.unnamed_ok;
            self.left_out += counted.left_out;
        }
        for count in &counted.named {
            if self.all.len() >= INSTANCES_MAX && !self.all.contains_key(&count.name) {
                self.left_out += count.answers;
                continue;
            }
            self.add_to_all(is_warmup, count);
            if let Scope::Event(event) = scope {
                self.entries += add_to(self.events.entry(event).or_default(), count, count.answers, self.entries);
            }
            for stale in &count.stale {
                let of_event = self.stale.entry((cohort, stale.event)).or_default();
                self.entries += add_to(of_event, count, stale.n, self.entries);
            }
        }
    }

    fn add_to_all(&mut self, is_warmup: bool, count: &InstanceCount) {
        let empty = Answers { counted: 0, warmup: 0, first: count.first, last: count.last };
        let answers = self.all.entry(count.name.clone()).or_insert(empty);
        *(if is_warmup { &mut answers.warmup } else { &mut answers.counted }) += count.answers;
        answers.first = answers.first.min(count.first);
        answers.last = answers.last.max(count.last);
    }

    /// The stale answers of those cohorts under those events, by instance.
    pub(crate) fn stale_of(&self, is_meant: impl Fn(u16, EventId) -> bool) -> BTreeMap<&str, u64> {
        let mut sum = BTreeMap::new();
        for (_, of_event) in self.stale.iter().filter(|&(&(cohort, event), _)| is_meant(cohort, event)) {
            for (name, n) in of_event {
                *sum.entry(name.as_str()).or_default() += n;
            }
        }
        sum
    }
}

/// Adds to what an instance has there: how many entries are new. Where there is no room for one, the others have it.
fn add_to(of_event: &mut BTreeMap<String, u64>, count: &InstanceCount, n: u64, entries: usize) -> usize {
    if let Some(sum) = of_event.get_mut(&count.name) {
        *sum += n;
        return 0;
    }
    let name = if entries < ENTRIES_MAX { count.name.clone() } else { String::new() };
    *of_event.entry(name).or_default() += n;
    1
}
