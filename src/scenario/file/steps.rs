//! `[[steps]]`.

use std::time::Duration;

use super::load::path;
use super::{Bounds, expect};
use crate::model::{ActionKind, JobResult, KillWho, Signal, UnitVerb};
use crate::scenario::keys::{Declared, Key, Keys, keys};
use crate::scenario::kind::{self, Kind};
use crate::scenario::reader::{Field, Reader};
use crate::scenario::source::Place;

const DAY: Duration = Duration::from_secs(86_400);
/// Runs of one step, the most.
pub(crate) const MOST_TIMES: u32 = 100_000;

keys! {
    /// One action, and when it is done.
    #[derive(Debug)]
    pub(crate) struct Step = "steps" after actions: Actions {
        /// With kill: TERM, KILL, HUP, ..., as in signal(7).
        signal: Field<Signal> = signal(), default "TERM";
        /// With kill: to whom.
        who: Field<KillWho> = kind::one_of(KillWho::ALL.iter().copied()), default "all";
        /// With exec: the command is to bring a new incarnation of this: a unit, or its role (`service`, `socket`).
        replaces: Field<UnitRef> = unit();
        /// How often.
        times: Field<u32> = kind::whole(1..=MOST_TIMES), default 1;
        /// Start to start, but never before the last one is over. Does not delay the first.
        every: Field<Duration> = kind::span(Duration::ZERO..=DAY);
        /// A pause before each.
        after: Field<Duration> = kind::span(Duration::ZERO..=DAY), default "0s";
        /// Wait for the target to answer again before the step is over; true unless given, but for stop, reset_failed,
        /// wait and request.
        ready: Field<bool> = kind::boolean();
        /// What this step's events must hold to, instead of `[expect]`.
        expect: Field<StepExpect> = kind::table::<StepExpect>();
    }
}

keys! {
    /// The `expect` of a step.
    #[derive(Clone, Debug)]
    pub(crate) struct StepExpect = "expect" before bounds: Bounds {
        /// The job result that is expected.
        job: Field<JobResult> = kind::one_of(JobResult::ALL.iter().copied()), default "done";
    }
}

keys! {
    /// Requests one after the other, beside the load.
    #[derive(Clone, Debug)]
    pub(crate) struct Request = "request" {
        /// Path and query.
        path: Field<String> = path(), required "this request has no path", "write request = { path = \"/\" }";
        /// How many.
        times: u32 = kind::whole(1..=MOST_TIMES), default 1;
        /// From the end of one to the start of the next.
        every: Duration = kind::span(Duration::ZERO..=DAY), default "0s";
    }
}

/// Every action key that a step has: there should be exactly one.
#[derive(Debug)]
pub(crate) struct Actions(pub Vec<(ActionKind, Field<Action>)>);

/// The value of an action key.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    Unit(UnitVerb, UnitRef),
    Kill(UnitRef),
    DaemonReload,
    Exec(Vec<String>),
    Wait(Duration),
    Request(Request),
    Gate(Bounds),
}

/// A unit as a step names it: a role, or a full name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UnitRef {
    /// The word as written.
    pub word: String,
    pub place: Place,
}

impl Keys for Actions {
    const NAME: &'static str = "steps";
    const DOC: &'static str = "";

    fn keys() -> Vec<Key> {
        ActionKind::ALL.iter().map(|kind| declared(*kind).key()).collect()
    }

    fn read(reader: &mut Reader<'_>) -> Self {
        let actions = ActionKind::ALL.iter().map(|kind| (*kind, reader.field(&declared(*kind))));
        Self(actions.filter(|(_, action)| !action.is_absent()).collect())
    }
}

/// The key of an action, and what it takes.
fn declared(action: ActionKind) -> Declared<Action> {
    let on_unit = |verb| unit().map(move |unit| Action::Unit(verb, unit));
    let kind = match action {
        ActionKind::Restart => on_unit(UnitVerb::Restart),
        ActionKind::TryRestart => on_unit(UnitVerb::TryRestart),
        ActionKind::Reload => on_unit(UnitVerb::Reload),
        ActionKind::ReloadOrRestart => on_unit(UnitVerb::ReloadOrRestart),
        ActionKind::Stop => on_unit(UnitVerb::Stop),
        ActionKind::Start => on_unit(UnitVerb::Start),
        ActionKind::ResetFailed => on_unit(UnitVerb::ResetFailed),
        ActionKind::Kill => unit().map(Action::Kill),
        ActionKind::DaemonReload => daemon_reload(),
        ActionKind::Exec => kind::command().map(Action::Exec),
        ActionKind::Wait => kind::span(Duration::from_millis(1)..=DAY).map(Action::Wait),
        ActionKind::Request => kind::table().map(Action::Request),
        ActionKind::Gate | ActionKind::Exit => expect::gate().map(Action::Gate),
    };
    Declared { name: action.name(), doc: action.meaning(), kind, default: None, missing: None }
}

fn unit() -> Kind<UnitRef> {
    kind::word().then(|word, node, _| Some(UnitRef { word, place: node.place }))
}

fn daemon_reload() -> Kind<Action> {
    let daemon_reload = kind::boolean().then(|given, node, mistakes| {
        if !given {
            mistakes
                .add(node.place, "a step cannot do nothing")
                .help("write daemon_reload = true, or leave the step out");
        }
        given.then_some(Action::DaemonReload)
    });
    daemon_reload.described(|| serde_json::json!({ "const": true }))
}

fn signal() -> Kind<Signal> {
    let signal = kind::text().then(|text, node, mistakes| {
        let signal = Signal::from_name(&text);
        if signal.is_none() {
            mistakes
                .add(node.place, format!("no signal is called {text:?}"))
                .help("such as \"TERM\", \"KILL\", \"HUP\", \"USR1\"; signal(7) has them all");
        }
        signal
    });
    signal.with("minLength", 1)
}
