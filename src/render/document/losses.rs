//! What was lost, and why.

use std::collections::BTreeMap;

use super::table::Column;
use super::{Block, Cause, Cell, Level, Table};
use crate::model::{self, FailureClass};
use crate::result::{Evidence, ScenarioResult};

const OUTCOMES: [Column<(FailureClass, u64)>; 3] = [
    Column::words("outcome", Level::Brief, |(class, _)| Cell::code(class)),
    Column::number("requests", Level::Brief, |(class, n)| Cell::judged(n, !class.is_unsent())),
    Column::words("meaning", Level::Brief, |(class, _)| Cell::plain(class.meaning())),
];

/// The outcomes that are not `ok`; nothing where all are.
pub(super) fn outcomes(scenario: &ScenarioResult, level: Level) -> Vec<Block<'static>> {
    if scenario.outcomes.is_empty() {
        return Vec::new();
    }
    let outcomes: Vec<(FailureClass, u64)> = scenario.outcomes.iter().map(|(&class, &n)| (class, n)).collect();
    vec![Block::Heading("What was not ok".to_owned()), Block::Table(Table::of(&OUTCOMES, level, &outcomes))]
}

/// The causes with their evidence and their remedies; nothing without evidence.
pub(super) fn causes(scenario: &ScenarioResult, level: Level) -> Vec<Block<'static>> {
    if scenario.evidence.is_empty() {
        return Vec::new();
    }
    let mut by_cause = BTreeMap::<model::Cause, Vec<&Evidence>>::new();
    scenario.evidence.iter().for_each(|evidence| by_cause.entry(evidence.cause).or_default().push(evidence));
    let cause = |(cause, evidence): (model::Cause, Vec<&Evidence>)| {
        let attested = scenario.attested.get(&cause).copied().filter(|&attested| attested > 0 && level >= Level::Full);
        let attested = attested.map(|attested| format!(" {attested} attested by the kernel's trace."));
        let more = evidence.len().saturating_sub(level.sentences_max());
        Cause {
            name: cause.name(),
            count: evidence.iter().map(|evidence| evidence.count).sum(),
            meaning: format!("{}{}", cause.meaning(), attested.unwrap_or_default()),
            sentences: evidence.iter().take(level.sentences_max()).map(|evidence| evidence.sentence.clone()).collect(),
            more: (more > 0).then(|| format!("And in {more} more events, in result.json.")),
            remedy: Evidence::remedy(cause, &evidence),
        }
    };
    vec![Block::Heading("Causes".to_owned()), Block::Causes(by_cause.into_iter().map(cause).collect())]
}
