//! A gate: what holds of a run that is still under way.

use super::checks::Judged;
use super::checks::bounds::bounds;
use super::checks::instrument::slowed_by_generator;
use super::facts::Facts;
use super::figures::{Figures, Part};
use super::step_gate;
use super::verdict;
use super::words;
use crate::model::{EventId, MonoTime, Verdict};
use crate::record::Record;
use crate::record::gate::{GateCheck, GateOutcome};
use crate::scenario::plan::Expectations;

/// Judges `expect` over all requests of the record that have ended, as the whole run will be judged; those that are
/// under way are left out. Failures in the warmup, unsent requests, unproven events and notes
/// of doubt put the gate in doubt: it is not known to hold then.
#[must_use]
pub fn judge_so_far(record: &Record, expect: &Expectations, event: EventId, at: MonoTime) -> GateOutcome {
    let facts = Facts::of(record);
    let ended = Figures::of(&facts, None, Part::Ended);
    let slowed = slowed_by_generator(&facts, &ended);
    let bounds = bounds("gate", expect, Part::Ended, (&facts, &ended), slowed.as_deref());
    let evidence = step_gate::evidence_so_far(&facts, &ended);
    let doubtful = evidence.into_iter().filter(|judged| judged.check.status != Verdict::Passed);
    let notes = verdict::doubts(&facts).into_iter().map(|note| GateCheck {
        name: "note".to_owned(),
        expected: "no doubt".to_owned(),
        actual: "doubt".to_owned(),
        status: Verdict::Inconclusive,
        reason: words::sentence(&note.message),
    });
    let checks = bounds.into_iter().chain(doubtful).map(gate_check).chain(notes).collect();
    GateOutcome { event, at, ended: ended.requests.ok + ended.requests.failed, checks }
}

fn gate_check(judged: Judged) -> GateCheck {
    let passed = judged.check.status == Verdict::Passed;
    GateCheck {
        name: judged.check.name,
        expected: judged.check.expected,
        actual: judged.check.actual,
        status: judged.check.status,
        reason: if passed { String::new() } else { judged.reason },
    }
}
