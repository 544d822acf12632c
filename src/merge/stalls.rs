//! The longest times without an `ok` while requests were due, over all shards: an answer to one generator ends what is a gap
//! to another.
//!
//! A gap of all is a gap of each shard that had a request due then, so it lies in one that a shard tells: these are cut where
//! another had an answer. Of each tenth of a second the first and the last answer are known.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::marks::Marks;
use crate::model::MonoTime;
use crate::record::segment::{Gap, Scope};

/// Answers are known for this long.
const KNOWN_FOR: Duration = Duration::from_secs(600);

/// Of each span of this length, the first and the last answer of all shards are kept: shorter gaps are of no account.
const KEPT_NS: u64 = 25_000_000;

/// The answers and the gaps of one cohort, over all shards.
#[derive(Debug, Default)]
pub(super) struct Stalls {
    answers: BTreeSet<MonoTime>,
    /// Told by a shard, and whether in its warmup.
    gaps: Vec<(Gap, bool)>,
}

impl Stalls {
    /// Requests ended `ok` at these times.
    pub(super) fn answered(&mut self, (first, last): (MonoTime, MonoTime)) {
        for at in [first, last] {
            let from = MonoTime::from_nanos(at.as_nanos() / KEPT_NS * KEPT_NS);
            let mut near = self.answers.range(from..MonoTime::from_nanos(from.as_nanos().saturating_add(KEPT_NS)));
            let is_between =
                near.next().is_some_and(|first| *first <= at) && near.next_back().is_some_and(|last| at <= *last);
            if !is_between {
                self.answers.insert(at);
            }
        }
    }

    /// A shard had a gap.
    pub(super) fn gap(&mut self, gap: Gap, is_warmup: bool) {
        self.gaps.push((gap, is_warmup));
    }

    /// All answers of before `until` are known: what is left of the gaps that end before, the longest of each and of each scope.
    pub(super) fn settle(&mut self, until: MonoTime, marks: &Marks) -> Vec<(Scope, Gap)> {
        let done = self.gaps.extract_if(.., |(gap, _)| gap.to < until);
        let mut left = Vec::new();
        for (gap, is_warmup) in done {
            let mut longest = BTreeMap::<Scope, Gap>::new();
            for piece in pieces(&self.answers, gap) {
                let scope = if is_warmup { Scope::Warmup } else { marks.scope_of(piece.from, piece.to) };
                let known = longest.entry(scope).or_insert(piece);
                if length_ns(piece) > length_ns(*known) {
                    *known = piece;
                }
            }
            left.extend(longest);
        }
        let needed = self.gaps.iter().map(|(gap, _)| gap.from).min().unwrap_or(until).min(until - KNOWN_FOR);
        self.answers = self.answers.split_off(&needed.max(until - 2 * KNOWN_FOR));
        left
    }
}

fn pieces(answers: &BTreeSet<MonoTime>, gap: Gap) -> Vec<Gap> {
    let mut pieces = Vec::new();
    let mut from = gap.from;
    if gap.from < gap.to {
        for &at in answers.range(gap.from..gap.to) {
            pieces.push(Gap { from, to: at });
            from = at;
        }
    }
    pieces.push(Gap { from, to: gap.to });
    pieces
}

fn length_ns(gap: Gap) -> u64 {
    gap.to.nanos_since(gap.from)
}
