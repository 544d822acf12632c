//! Record -> result.
//!
//! A pure function: no clock, no file, no network. It goes in one direction:
//!
//! ```text
//! record (its tally has the counts) -> timeline (moments) -> attribution -> facts -> figures, events, checks -> verdict
//! ```
//!
//! | file | subject |
//! |---|---|
//! | `timeline`, `event`, `processes`, `trace` | what happened when: from the lines of a record to moments |
//! | `attribution` | why each request failed |
//! | `holders` | what became of those who listened, where no step acted on them |
//! | `generator`, `shortage` | whether the generator itself kept a request from its answer, and what it lacked |
//! | `facts` | everything that is known before anything is judged |
//! | `figures`, `window`, `number` | figures over cohorts and events, and the times of one window |
//! | `events`, `paths`, `instances`, `shards`, `slowest`, `backlog` | parts of the result |
//! | `series`, `charts` | the run over time |
//! | `sight`, `unframed` | what cannot have been seen, or is in doubt |
//! | `checks`, `step_gate`, `verdict`, `words` | what is judged, what it comes to, and the sentences of reasons |
//! | `statistics` | how sure a count makes us |
//! | `so_far`, `gate`, `compare` | a run under way, `--fail-on`, and two results side by side |
//! | `simulator`, `fixtures` | made-up runs for tests |
//!
//! Nothing here reads a file, asks a clock or lays anything out: the record is all there is.

mod attribution;
mod backlog;
mod charts;
mod checks;
pub mod compare;
mod event;
mod events;
mod facts;
mod figures;
#[cfg(test)]
mod fixtures;
pub mod gate;
mod generator;
mod holders;
mod instances;
mod number;
mod paths;
mod processes;
mod series;
mod shards;
mod shortage;
mod sight;
#[cfg(test)]
pub(crate) mod simulator;
mod slowest;
mod so_far;
pub mod statistics;
mod step_gate;
#[cfg(test)]
mod tests;
mod timeline;
mod trace;
mod unframed;
mod verdict;
mod window;
mod words;

pub use self::checks::instrument::LATENESS_P99_LIMIT;
pub use self::so_far::judge_so_far;
pub use crate::result::{self, RunResult, ScenarioResult};

use self::facts::Facts;
use self::figures::{Figures, Part};
use self::number::{finite_ms, round3, span_ms};
use crate::model::Verdict;
use crate::record::Record;
use crate::record::begin::Begin;
use crate::record::line::{Line, Note, NoteKind};
use crate::record::segment::Scope;
use crate::result::{CohortResult, SCHEMA};
use crate::scenario::describe;
use crate::scenario::plan::Cohort;

/// What several scenarios came to, in their order; none without records.
#[must_use]
pub fn combine(records: &[Record]) -> Option<RunResult> {
    let first = &records.first()?.begin;
    let mut result = RunResult::new(first);
    records.iter().for_each(|record| result.push(analyse(record)));
    Some(result)
}

impl RunResult {
    /// The result of a run that began like this and of which no scenario has ended.
    #[must_use]
    pub fn new(begin: &Begin) -> Self {
        let (tool, host) = (begin.tool.clone(), begin.host.clone());
        Self { schema: SCHEMA.to_owned(), tool, host, verdict: Verdict::Passed, scenarios: Vec::new() }
    }

    /// Adds the scenario that was run next.
    pub fn push(&mut self, scenario: ScenarioResult) {
        self.verdict = self.verdict.max(scenario.verdict);
        self.scenarios.push(scenario);
    }
}

/// What one scenario came to.
#[must_use]
pub fn analyse(record: &Record) -> ScenarioResult {
    let facts = Facts::of(record);
    let whole = Figures::of(&facts, None, Part::Whole);
    let events = events::events(&facts);
    let steps = events::steps(&events, &facts);
    let judged = checks::checks(&facts, &whole);
    let doubts = verdict::doubts(&facts);
    let mut notes = notes(&facts);
    notes.extend(backlog::note(&facts, &events));
    notes.extend(holders::notes(&facts));
    notes.extend(instances::note(&facts));
    let in_events: u64 = events.iter().map(|event| event.dropped).sum();
    let begin = &record.begin;
    let charts = charts::charts(&facts, &whole);
    ScenarioResult {
        name: begin.plan.name.clone(),
        description: begin.plan.description.clone(),
        manager: begin.manager.as_ref().map(|choice| choice.kind),
        manager_reason: begin.manager.as_ref().map(|choice| choice.reason.clone()),
        verdict: verdict::verdict(&facts, &judged, &doubts),
        reasons: verdict::reasons(&facts, &whole, &steps, &judged, &doubts),
        started_at: begin.started_at.clone(),
        duration_ms: round3(span_ms(begin.anchor, facts.timeline.last)),
        incomplete: record.end.is_none(),
        requests: whole.requests,
        dropped: whole.dropped(),
        wrong: whole.wrong(),
        http_000: whole.http_000,
        dropped_outside_events: whole.dropped().saturating_sub(in_events),
        attested: facts.attribution.attested(),
        latency_ms: whole.latencies(),
        lateness_us: whole.lateness(),
        connections: whole.connections(),
        stall_ms: finite_ms(whole.stall_ms),
        outage_ms: finite_ms(whole.outage_ms),
        recovery_ms: finite_ms(whole.recovery_ms),
        queue_peak: whole.queue_peak,
        requests_by_path: paths::results(&facts),
        stale: whole.stale.as_ref().map(|stale| stale.values().sum()),
        instances: instances::results(&facts),
        instances_unknown: instances::unknown(&facts),
        outcomes: whole.outcomes,
        causes: whole.causes,
        status_codes: whole.statuses,
        grpc_statuses: whole.grpc_statuses,
        cohorts: (0_u16..)
            .zip(&begin.plan.cohorts)
            .map(|(index, cohort)| cohort_result(index, cohort, &facts))
            .collect(),
        events,
        steps,
        checks: judged.into_iter().map(|judged| judged.check).collect(),
        evidence: facts.attribution.evidence(&facts.timeline),
        notes,
        generators: shards::results(&facts),
        series: series::series(&facts),
        charts,
        scenario_text: begin.scenario_text.clone(),
    }
}

fn cohort_result(index: u16, cohort: &Cohort, facts: &Facts<'_>) -> CohortResult {
    let figures = Figures::of(facts, Some(index), Part::Whole);
    CohortResult {
        name: cohort.name.clone(),
        load: describe::load(cohort),
        target: describe::target(cohort),
        requests: figures.requests,
        dropped: figures.dropped(),
        wrong: figures.wrong(),
        http_000: figures.http_000,
        latency_ms: figures.latencies(),
        lateness_us: figures.lateness(),
        connections: figures.connections(),
        stall_ms: finite_ms(figures.stall_ms),
        outage_ms: finite_ms(figures.outage_ms),
        recovery_ms: finite_ms(figures.recovery_ms),
        flaps: figures.flaps,
        outcomes: figures.outcomes,
        causes: figures.causes,
        status_codes: figures.statuses,
        grpc_statuses: figures.grpc_statuses,
    }
}

/// The record's notes, and one for every limit that was reached.
fn notes(facts: &Facts<'_>) -> Vec<Note> {
    let info = |message| Note { kind: NoteKind::Info, message };
    let mut notes: Vec<Note> = facts
        .record
        .lines
        .iter()
        .filter_map(|line| match line {
            Line::Note(note) => Some(note.clone()),
            Line::Cap(cap) => Some(info(format!("{} more {} were left out of the record.", cap.left_out, cap.what))),
            _ => None,
        })
        .collect();
    let counted = facts.tally.windows().filter(|&(_, scope, _)| scope != Scope::Warmup);
    let left_out: u64 = counted.map(|(.., window)| window.samples_left_out).sum();
    if left_out > 0 {
        notes.push(info(format!("{left_out} failures were counted but not kept one by one.")));
    }
    let coarse = facts.tally.coarse_rows();
    if coarse > 0 {
        notes.push(info(format!(
            "{coarse} tenths of a second with losses or slow answers were added up to longer ones: their causes are told less exactly."
        )));
    }
    if let Some(clock) = facts.timeline.clock() {
        notes.push(info(format!("clock of {}: {}", clock.host, clock.in_words())));
    }
    if facts.record.left_out > 0 {
        notes.push(info(format!("{} more observations were left out of the report.", facts.record.left_out)));
    }
    notes
}
