//! `[expect]`, the `expect` of a step, and the bounds of a gate.

use crate::model::bound::Dimension;
use crate::model::{Bound, Cause, FailureClass, JobResult, Metric};
use crate::scenario::mistake::Mistakes;
use crate::scenario::reader::{Field, Given, Reader};
use crate::scenario::source::Place;
use crate::scenario::tree::{Entry, Node, Value};
use crate::scenario::{bound, suggest, value};

/// `[expect]`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Expect {
    pub bounds: Vec<Key>,
    /// `[expect.cohort.NAME]`.
    pub cohorts: Vec<(Place, String, Vec<Key>)>,
    /// `[expect.end]`.
    pub end: Field<End>,
    /// Of a step only.
    pub job: Field<JobResult>,
}

/// One bound.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub metric: Metric,
    pub bound: Field<Bound>,
}

/// `[expect.end]`.
#[derive(Clone, Debug)]
pub(crate) struct End {
    pub service: Field<String>,
    pub socket: Field<String>,
    pub latent: Field<Bound>,
    pub old_processes: Field<Bound>,
}

/// ActiveState of a unit, `org.freedesktop.systemd1(5)`.
pub(crate) const ACTIVE_STATES: &[&str] =
    &["active", "reloading", "inactive", "failed", "activating", "deactivating", "maintenance", "refreshing"];

impl Expect {
    pub(crate) fn read(node: &Node, mistakes: &mut Mistakes) -> Option<Self> {
        let mut reader = Reader::of("expect", node, mistakes)?;
        let mut cohorts = Vec::new();
        reader.field("cohort", |node, mistakes| {
            cohorts = of_cohorts(node, mistakes)?;
            Some(())
        });
        let end = reader.field("end", End::read);
        let bounds = bounds(&mut reader, &["cohort", "end"]);
        Some(Self { bounds, cohorts, end, job: Field::Absent })
    }
}

/// The `expect` of a step.
pub(crate) fn of_step(node: &Node, mistakes: &mut Mistakes) -> Option<Expect> {
    let mut reader = Reader::of("expect", node, mistakes)?;
    let words: Vec<_> = JobResult::ALL.iter().map(|result| (result.name(), *result)).collect();
    let job = reader.field("job", |node, mistakes| value::one_of(node, mistakes, &words));
    let bounds = bounds(&mut reader, &["job"]);
    Some(Expect { bounds, job, ..Expect::default() })
}

/// The bounds of a gate.
pub(crate) fn of_gate(node: &Node, mistakes: &mut Mistakes) -> Option<Expect> {
    let mut reader = Reader::of("gate", node, mistakes)?;
    let bounds = bounds(&mut reader, &[]);
    if bounds.is_empty() {
        mistakes.add(node.place, "this gate asks for nothing").help("write gate = { dropped = 0 }");
    }
    Some(Expect { bounds, ..Expect::default() })
}

fn of_cohorts(node: &Node, mistakes: &mut Mistakes) -> Option<Vec<(Place, String, Vec<Key>)>> {
    let Value::Table(table) = &node.value else {
        value::wrong_type(node, "a table", mistakes, "write [expect.cohort.NAME], with the name of a [[load]]");
        return None;
    };
    let mut cohorts = Vec::new();
    for entry in table.entries() {
        let Some(mut reader) = Reader::of("expect.cohort", &entry.node, mistakes) else { continue };
        cohorts.push((entry.key_place, entry.key.clone(), bounds(&mut reader, &[])));
    }
    Some(cohorts)
}

/// Every other entry of a table as a bound. `beside` are the keys that are no metrics, for the help line.
fn bounds(reader: &mut Reader<'_>, beside: &[&'static str]) -> Vec<Key> {
    let mut bounds = Vec::new();
    let others = reader.others();
    let mistakes = reader.mistakes();
    for entry in others {
        match entry.key.as_str() {
            "outcome" => bounds.extend(nested(entry, mistakes, FailureClass::ALL, FailureClass::name, Metric::Outcome)),
            "cause" => bounds.extend(nested(entry, mistakes, Cause::ALL, Cause::name, Metric::Cause)),
            key => match Metric::from_key(key) {
                Some(metric) => bounds.push(one(entry, mistakes, metric)),
                None => unknown(entry, mistakes, beside),
            },
        }
    }
    bounds
}

/// `outcome.NAME` or `cause.NAME`, which TOML makes a table of.
fn nested<T: Copy>(
    entry: &Entry,
    mistakes: &mut Mistakes,
    all: &[T],
    name: fn(T) -> &'static str,
    metric: fn(T) -> Metric,
) -> Vec<Key> {
    let Value::Table(table) = &entry.node.value else {
        let example = all.first().map_or("", |first| name(*first));
        let help = format!("say of which: {}.{example} = 0", entry.key);
        value::wrong_type(&entry.node, "a table", mistakes, &help);
        return Vec::new();
    };
    let mut bounds = Vec::new();
    for inner in table.entries() {
        if let Some(each) = all.iter().find(|each| name(**each) == inner.key) {
            bounds.push(one(inner, mistakes, metric(*each)));
            continue;
        }
        let names: Vec<_> = all.iter().map(|each| name(*each)).collect();
        mistakes
            .add(inner.key_place, format!("unknown {} `{}`", entry.key, inner.key))
            .help(suggest::did_you_mean(&inner.key, &names));
    }
    bounds
}

fn one(entry: &Entry, mistakes: &mut Mistakes, metric: Metric) -> Key {
    let bound = match bound::read(&entry.node, mistakes, metric) {
        Some(value) => Field::Given(Given { key: entry.key_place, place: entry.node.place, value }),
        None => Field::Wrong(entry.key_place),
    };
    Key { metric, bound }
}

fn unknown(entry: &Entry, mistakes: &mut Mistakes, beside: &[&'static str]) {
    let known: Vec<_> =
        Metric::plain_names().chain(["outcome.NAME", "cause.NAME"]).chain(beside.iter().copied()).collect();
    let help = match entry.key.as_str() {
        "cohort" | "end" => "it stands in the scenario's own [expect] only".to_owned(),
        "job" => "it stands in the `expect` of a step: expect = { job = \"failed\" }".to_owned(),
        key => suggest::did_you_mean(key, &known),
    };
    mistakes.add(entry.key_place, format!("unknown expectation `{}`", entry.key)).help(help);
}

impl End {
    fn read(node: &Node, mistakes: &mut Mistakes) -> Option<Self> {
        let mut reader = Reader::of("expect.end", node, mistakes)?;
        let end = Self {
            service: reader.field("service", active_state),
            socket: reader.field("socket", active_state),
            latent: reader.field("latent", |node, mistakes| bound::read_as(node, mistakes, Dimension::Count)),
            old_processes: reader
                .field("old_processes", |node, mistakes| bound::read_as(node, mistakes, Dimension::Count)),
        };
        reader.finish();
        Some(end)
    }
}

fn active_state(node: &Node, mistakes: &mut Mistakes) -> Option<String> {
    let words: Vec<_> = ACTIVE_STATES.iter().map(|word| (*word, *word)).collect();
    value::one_of(node, mistakes, &words).map(str::to_owned)
}
