//! Who answered: each instance with its first and its last answer.

use super::blocks::text;
use super::table::Column;
use super::{Block, Cell, Level, Table};
use crate::result::{EventResult, InstanceResult, ScenarioResult};

const COLUMNS: &[Column<InstanceResult>] = &[
    Column::words("instance", Level::Brief, |instance| Cell::plain(&instance.name)),
    Column::number("answers", Level::Brief, |instance| Cell::plain(instance.answers)),
    Column::number("first answer s", Level::Brief, |instance| Cell::plain(seconds(instance.first_ms))),
    Column::number("last answer s", Level::Brief, |instance| Cell::plain(seconds(instance.last_ms))),
    Column::number("stale", Level::Brief, |instance| Cell::loss(instance.stale)),
];

/// In the table of events, where answers are asked for their instance.
pub(super) const OF_EVENTS: &[Column<EventResult>] = &[
    Column::number("stale", Level::Brief, |event| match event.stale {
        Some(stale) => Cell::loss(stale),
        None => Cell::plain("-"),
    }),
    Column::prose("answered by", Level::Full, |event| Cell::plain(answered_by(event))),
];

/// Rows of more instances say no more.
const fn rows_max(level: Level) -> usize {
    match level {
        Level::Brief => 10,
        Level::Normal | Level::Full => 256,
    }
}

/// The section; nothing where no answer is asked for its instance.
pub(super) fn section(scenario: &ScenarioResult, level: Level) -> Vec<Block<'static>> {
    let (all, most) = (scenario.instances.len(), rows_max(level));
    let unknown = scenario.instances_unknown.map(|unknown| {
        let left_out = match unknown.left_out {
            0 => String::new(),
            left_out => format!(" {left_out} named one beyond the 256 that are kept."),
        };
        format!("{} answers named no instance.{left_out}", unknown.unnamed)
    });
    if all == 0 && unknown.is_none() {
        return Vec::new();
    }
    let mut blocks = vec![Block::Heading("Instances".to_owned())];
    if all > 0 {
        blocks.push(Block::Table(Table::of(COLUMNS, level, worst(&scenario.instances, most))));
    }
    if all > most {
        blocks.push(Block::Aside(format!(
            "{most} of {all} instances: those with the most stale answers, then the first."
        )));
    }
    blocks.extend(unknown.map(text));
    blocks
}

/// The instances worth a row, by their first answer.
fn worst(instances: &[InstanceResult], most: usize) -> Vec<&InstanceResult> {
    let mut places: Vec<usize> = (0..instances.len()).collect();
    places.sort_by_key(|&place| (std::cmp::Reverse(instances[place].stale), place));
    places.truncate(most);
    places.sort_unstable();
    places.into_iter().map(|place| &instances[place]).collect()
}

/// Such as `v1 812, v2 3`.
fn answered_by(event: &EventResult) -> String {
    let mut all: Vec<_> = event.instances.iter().collect();
    all.sort_by_key(|&(name, answers)| (std::cmp::Reverse(*answers), name));
    all.iter().map(|(name, answers)| format!("{name} {answers}")).collect::<Vec<_>>().join(", ")
}

fn seconds(at_ms: f64) -> String {
    format!("{:.3}", at_ms / 1e3)
}
