//! `[expect]`, and the bounds that it shares with the `expect` of a step and with a gate.

use serde_json::{Map, Value as Json, json};

use crate::model::metric::Dimension;
use crate::model::{ActiveState, Bound, Cause, FailureClass, Metric};
use crate::scenario::keys::{Declared, Key, Keys, keys, schema_of};
use crate::scenario::kind::{self, Kind};
use crate::scenario::mistake::Mistakes;
use crate::scenario::reader::{Field, Reader};
use crate::scenario::source::Place;
use crate::scenario::tree::{Entry, Value};
use crate::scenario::{bound, suggest};

keys! {
    /// What must hold over the whole run; dropped = 0 and wrong = 0 unless given.
    #[derive(Clone, Debug)]
    pub(crate) struct Expect = "expect" before bounds: Bounds {
        /// By the name of a `[[load]]`: bounds on this cohort.
        cohort: Cohorts = of_cohorts();
        /// How the units must end; what the plan leads to unless given.
        end: Field<End> = kind::table::<End>();
    }
}

keys! {
    /// How the units must end.
    #[derive(Clone, Debug)]
    pub(crate) struct End = "expect.end" {
        /// ActiveState of the service.
        service: Field<ActiveState> = kind::one_of(ActiveState::KNOWN);
        /// ActiveState of the socket.
        socket: Field<ActiveState> = kind::one_of(ActiveState::KNOWN);
        /// Latent failures: what the next restart would not survive.
        latent: Field<Bound> = bound::kind(Dimension::Count);
        /// Processes of replaced incarnations that still run in the unit or hold a listener; 0 unless given.
        old_processes: Field<Bound> = bound::kind(Dimension::Count);
    }
}

/// `[expect.cohort.NAME]`, and where the name stands.
type Cohorts = Vec<(Place, String, Bounds)>;

/// Bounds on metrics, each right in itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bounds {
    pub all: Vec<(Metric, Bound)>,
    /// Where `stale` is, which needs an `instance`.
    pub stale: Option<Place>,
}

impl Bounds {
    pub(crate) fn has(&self, metric: Metric) -> bool {
        self.all.iter().any(|(bounded, _)| *bounded == metric)
    }
}

/// The bounds of a gate.
pub(crate) fn gate() -> Kind<Bounds> {
    Kind::new(schema_of::<Bounds>, |node, mistakes| {
        let bounds: Bounds = Reader::of("gate", node, mistakes)?.all();
        if bounds.all.is_empty() {
            mistakes.add(node.place, "this gate asks for nothing").help("write gate = { dropped = 0 }");
        }
        Some(bounds)
    })
}

fn of_cohorts() -> Kind<Cohorts> {
    let schema = || json!({ "type": "object", "additionalProperties": schema_of::<Bounds>() });
    Kind::new(schema, |node, mistakes| {
        let Value::Table(table) = &node.value else {
            kind::wrong_type(node, "a table", mistakes, "write [expect.cohort.NAME], with the name of a [[load]]");
            return None;
        };
        let mut cohorts = Vec::new();
        for entry in table.entries() {
            let Some(reader) = Reader::of("expect.cohort", &entry.node, mistakes) else { continue };
            cohorts.push((entry.key_place, entry.key.clone(), reader.all()));
        }
        Some(cohorts)
    })
}

impl Keys for Bounds {
    const NAME: &'static str = "expect";
    const DOC: &'static str = "";

    fn keys() -> Vec<Key> {
        let of_metric = |metric: Metric| {
            let ((name, doc), kind) = (metric.declaration()?, bound::kind(metric.dimension()));
            Some(Declared { name, doc, kind, default: None, missing: None }.key())
        };
        let counts = |name, doc, names: Vec<&'static str>| {
            let bound = bound::kind(Dimension::Count).schema();
            let properties: Map<String, Json> =
                names.into_iter().map(|name| (name.to_owned(), bound.clone())).collect();
            let schema = json!({ "type": "object", "description": doc, "properties": properties, "additionalProperties": false });
            Key { name, doc, default: None, required: false, schema, keys: Vec::new() }
        };
        let classes = FailureClass::ALL.iter().map(|class| class.name()).collect();
        let causes = Cause::ALL.iter().map(|cause| cause.name()).collect();
        let nested = [
            counts("outcome", "By failure class: requests that ended so.", classes),
            counts("cause", "By cause: requests lost to it.", causes),
        ];
        Metric::plain().filter_map(of_metric).chain(nested).collect()
    }

    /// Takes every entry that is not another key of the same table.
    fn read(reader: &mut Reader<'_>) -> Self {
        let beside = reader.known();
        let others = reader.take_others();
        let mistakes = reader.mistakes();
        let (mut bounds, mut stale) = (Vec::new(), None);
        for entry in others {
            match entry.key.as_str() {
                "outcome" => bounds.extend(nested(entry, mistakes, FailureClass::ALL, Metric::Outcome)),
                "cause" => bounds.extend(nested(entry, mistakes, Cause::ALL, Metric::Cause)),
                key => match Metric::from_key(key) {
                    Some(metric) => {
                        stale = stale.or((metric == Metric::Stale).then_some(entry.key_place));
                        bounds.extend(one(entry, mistakes, metric));
                    }
                    None => unknown(entry, mistakes, &beside),
                },
            }
        }
        Self { all: bounds, stale }
    }
}

/// `outcome.NAME` or `cause.NAME`, which TOML makes a table of.
fn nested<T: Copy + Into<&'static str>>(
    entry: &Entry,
    mistakes: &mut Mistakes,
    all: &[T],
    metric: fn(T) -> Metric,
) -> Vec<(Metric, Bound)> {
    let names: Vec<&str> = all.iter().map(|each| (*each).into()).collect();
    let Value::Table(table) = &entry.node.value else {
        let help = format!("say of which: {}.{} = 0", entry.key, names[0]);
        kind::wrong_type(&entry.node, "a table", mistakes, &help);
        return Vec::new();
    };
    let mut bounds = Vec::new();
    for inner in table.entries() {
        if let Some(position) = names.iter().position(|name| *name == inner.key) {
            bounds.extend(one(inner, mistakes, metric(all[position])));
            continue;
        }
        mistakes
            .add(inner.key_place, format!("unknown {} `{}`", entry.key, inner.key))
            .help(suggest::did_you_mean(&inner.key, &names));
    }
    bounds
}

fn one(entry: &Entry, mistakes: &mut Mistakes, metric: Metric) -> Option<(Metric, Bound)> {
    Some((metric, bound::read(&entry.node, mistakes, metric.dimension())?))
}

fn unknown(entry: &Entry, mistakes: &mut Mistakes, beside: &[&str]) {
    let mut known: Vec<&str> = Metric::plain_names().collect();
    known.extend(["outcome.NAME", "cause.NAME"]);
    known.extend(beside);
    let help = match entry.key.as_str() {
        "cohort" | "end" => "it stands in the scenario's own [expect] only".to_owned(),
        "job" => "it stands in the `expect` of a step: expect = { job = \"failed\" }".to_owned(),
        key => suggest::did_you_mean(key, &known),
    };
    mistakes.add(entry.key_place, format!("unknown expectation `{}`", entry.key)).help(help);
}
