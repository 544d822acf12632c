//! `[run]`.

use std::time::Duration;

use crate::scenario::mistake::Mistakes;
use crate::scenario::plan::MaxUnseen;
use crate::scenario::reader::{Field, Reader};
use crate::scenario::tree::{Node, Value};
use crate::scenario::value;

const DAY: Duration = Duration::from_secs(86_400);
const MILLISECOND: Duration = Duration::from_millis(1);

/// `[run]`.
#[derive(Debug, Default)]
pub(crate) struct Run {
    pub warmup: Field<Duration>,
    pub cooldown: Field<Duration>,
    pub ready_timeout: Field<Duration>,
    pub pace: Field<bool>,
    pub restore: Field<bool>,
    pub seed: Field<u64>,
    pub abort: Field<Abort>,
    pub max_unseen: Field<MaxUnseen>,
}

/// `abort = { .. }`.
#[derive(Clone, Debug)]
pub(crate) struct Abort {
    pub outage: Field<Duration>,
    pub dropped: Field<u64>,
}

impl Run {
    pub(crate) fn read(node: &Node, mistakes: &mut Mistakes) -> Option<Self> {
        let mut reader = Reader::of("run", node, mistakes)?;
        let pause = Duration::ZERO..=DAY;
        let limit = MILLISECOND..=DAY;
        let run = Self {
            warmup: reader.field("warmup", |node, mistakes| value::span(node, mistakes, &pause)),
            cooldown: reader.field("cooldown", |node, mistakes| value::span(node, mistakes, &pause)),
            ready_timeout: reader.field("ready_timeout", |node, mistakes| value::span(node, mistakes, &limit)),
            pace: reader.field("pace", value::boolean),
            restore: reader.field("restore", value::boolean),
            seed: reader.field("seed", |node, mistakes| value::whole(node, mistakes, &(0..=u64::MAX))),
            abort: reader.field("abort", Abort::read),
            max_unseen: reader.field("max_unseen", max_unseen),
        };
        reader.finish();
        Some(run)
    }
}

/// A duration, or `none`.
fn max_unseen(node: &Node, mistakes: &mut Mistakes) -> Option<MaxUnseen> {
    match &node.value {
        Value::String(text) if text == "none" => Some(MaxUnseen::Off),
        _ => value::span(node, mistakes, &(MILLISECOND..=DAY)).map(MaxUnseen::AtMost),
    }
}

impl Abort {
    fn read(node: &Node, mistakes: &mut Mistakes) -> Option<Self> {
        let mut reader = Reader::of("abort", node, mistakes)?;
        let limit = MILLISECOND..=DAY;
        let abort = Self {
            outage: reader.field("outage", |node, mistakes| value::span(node, mistakes, &limit)),
            dropped: reader.field("dropped", |node, mistakes| value::whole(node, mistakes, &(1..=u64::MAX))),
        };
        reader.finish();
        Some(abort)
    }
}
