//! `[[steps]]`.

use std::time::Duration;

use super::load::path;
use super::{Expect, expect};
use crate::model::{ActionKind, KillWho, Signal, UnitVerb};
use crate::scenario::mistake::Mistakes;
use crate::scenario::reader::{Field, Reader};
use crate::scenario::source::Place;
use crate::scenario::tree::Node;
use crate::scenario::value;

const DAY: Duration = Duration::from_secs(86_400);
/// Runs of one step, the most.
pub(crate) const MOST_TIMES: u32 = 100_000;

/// `[[steps]]`.
#[derive(Debug)]
pub(crate) struct Step {
    /// Its header.
    pub place: Place,
    /// Every action key that it has: there should be exactly one.
    pub actions: Vec<(ActionKind, Field<Action>)>,
    pub signal: Field<Signal>,
    pub who: Field<KillWho>,
    pub replaces: Field<UnitRef>,
    pub times: Field<u32>,
    pub every: Field<Duration>,
    pub after: Field<Duration>,
    pub ready: Field<bool>,
    pub expect: Field<Expect>,
}

/// The value of an action key.
#[derive(Clone, Debug)]
pub(crate) enum Action {
    Unit(UnitVerb, UnitRef),
    Kill(UnitRef),
    DaemonReload,
    Exec(Vec<String>),
    Wait(Duration),
    Request(Request),
    Gate(Expect),
}

/// `request = { .. }`.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub path: Field<String>,
    pub times: Field<u32>,
    pub every: Field<Duration>,
}

/// A unit as a step names it: a role, or a full name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UnitRef {
    /// The word as written.
    pub word: String,
    /// Where.
    pub place: Place,
}

impl UnitRef {
    fn read(node: &Node, mistakes: &mut Mistakes) -> Option<Self> {
        value::word(node, mistakes).map(|word| Self { word, place: node.place })
    }
}

impl Step {
    pub(crate) fn read(place: Place, mut reader: Reader<'_>) -> Self {
        let pause = Duration::ZERO..=DAY;
        let step = Self {
            place,
            actions: actions(&mut reader),
            signal: reader.field("signal", signal),
            who: reader.field("who", who),
            replaces: reader.field("replaces", UnitRef::read),
            times: reader.field("times", times),
            every: reader.field("every", |node, mistakes| value::span(node, mistakes, &pause)),
            after: reader.field("after", |node, mistakes| value::span(node, mistakes, &pause)),
            ready: reader.field("ready", value::boolean),
            expect: reader.field("expect", expect::of_step),
        };
        reader.finish();
        step
    }
}

/// Reads the value of an action key.
type ReadAction = fn(&Node, &mut Mistakes) -> Option<Action>;

fn actions(reader: &mut Reader<'_>) -> Vec<(ActionKind, Field<Action>)> {
    let mut actions = Vec::new();
    for &verb in UnitVerb::ALL {
        let on_unit =
            |node: &Node, mistakes: &mut Mistakes| UnitRef::read(node, mistakes).map(|unit| Action::Unit(verb, unit));
        actions.push((verb.into(), reader.field(verb.name(), on_unit)));
    }
    let others: [(ActionKind, ReadAction); 6] = [
        (ActionKind::Kill, |node, mistakes| UnitRef::read(node, mistakes).map(Action::Kill)),
        (ActionKind::DaemonReload, daemon_reload),
        (ActionKind::Exec, |node, mistakes| value::command(node, mistakes).map(Action::Exec)),
        (ActionKind::Wait, wait),
        (ActionKind::Request, |node, mistakes| Request::read(node, mistakes).map(Action::Request)),
        (ActionKind::Gate, |node, mistakes| expect::of_gate(node, mistakes).map(Action::Gate)),
    ];
    for (kind, read) in others {
        actions.push((kind, reader.field(kind.name(), read)));
    }
    actions.retain(|(_, field)| !field.is_absent());
    actions
}

impl Request {
    fn read(node: &Node, mistakes: &mut Mistakes) -> Option<Self> {
        let mut reader = Reader::of("request", node, mistakes)?;
        let pause = Duration::ZERO..=DAY;
        let request = Self {
            path: reader.field("path", path),
            times: reader.field("times", times),
            every: reader.field("every", |node, mistakes| value::span(node, mistakes, &pause)),
        };
        reader.finish();
        if request.path.is_absent() {
            mistakes.add(node.place, "this request has no path").help("write request = { path = \"/\" }");
        }
        Some(request)
    }
}

fn daemon_reload(node: &Node, mistakes: &mut Mistakes) -> Option<Action> {
    if value::boolean(node, mistakes)? {
        return Some(Action::DaemonReload);
    }
    mistakes.add(node.place, "a step cannot do nothing").help("write daemon_reload = true, or leave the step out");
    None
}

fn wait(node: &Node, mistakes: &mut Mistakes) -> Option<Action> {
    value::span(node, mistakes, &(Duration::from_millis(1)..=DAY)).map(Action::Wait)
}

fn times(node: &Node, mistakes: &mut Mistakes) -> Option<u32> {
    value::whole(node, mistakes, &(1..=MOST_TIMES))
}

fn signal(node: &Node, mistakes: &mut Mistakes) -> Option<Signal> {
    let text = value::string(node, mistakes)?;
    let signal = Signal::from_name(&text);
    if signal.is_none() {
        mistakes
            .add(node.place, format!("no signal is called {text:?}"))
            .help("such as \"TERM\", \"KILL\", \"HUP\", \"USR1\"; signal(7) has them all");
    }
    signal
}

fn who(node: &Node, mistakes: &mut Mistakes) -> Option<KillWho> {
    let words = [KillWho::All, KillWho::Main, KillWho::Control].map(|who| (who.name(), who));
    value::one_of(node, mistakes, &words)
}
