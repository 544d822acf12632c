//! `[[load]]`: a cohort.

use std::time::Duration;

use super::Request;
use crate::scenario::mistake::Mistakes;
use crate::scenario::reader::{Field, Reader};
use crate::scenario::source::Place;
use crate::scenario::tree::Node;
use crate::scenario::{url, value};

/// Requests a second, the most; some five times what one thread can send.
const FASTEST: f64 = 1_000_000.0;
/// Connections of one cohort, the most: there are no more ports.
const MOST_CONNECTIONS: u32 = 65_535;
const LONGEST: Duration = Duration::from_secs(3_600);

/// `[[load]]`.
#[derive(Debug)]
pub(crate) struct Load {
    /// Its header.
    pub place: Place,
    pub name: Field<String>,
    pub rate: Field<f64>,
    pub clients: Field<u32>,
    pub health: Field<Health>,
    pub reuse: Field<bool>,
    pub connections: Field<u32>,
    pub connect_delay: Field<Duration>,
    pub path: Field<String>,
    pub request: Request,
}

/// `health = { .. }`.
#[derive(Clone, Debug)]
pub(crate) struct Health {
    pub interval: Field<Duration>,
    pub rise: Field<u32>,
    pub fall: Field<u32>,
}

impl Load {
    pub(crate) fn read(place: Place, mut reader: Reader<'_>) -> Self {
        let count = |node: &Node, mistakes: &mut Mistakes| value::whole(node, mistakes, &(1..=MOST_CONNECTIONS));
        let delay = Duration::ZERO..=LONGEST;
        let load = Self {
            place,
            name: reader.field("name", value::name),
            rate: reader.field("rate", |node, mistakes| value::positive(node, mistakes, FASTEST)),
            clients: reader.field("clients", count),
            health: reader.field("health", Health::read),
            reuse: reader.field("reuse", value::boolean),
            connections: reader.field("connections", count),
            connect_delay: reader.field("connect_delay", |node, mistakes| value::span(node, mistakes, &delay)),
            path: reader.field("path", path),
            request: Request::read(&mut reader),
        };
        reader.finish();
        load
    }
}

impl Health {
    fn read(node: &Node, mistakes: &mut Mistakes) -> Option<Self> {
        let mut reader = Reader::of("health", node, mistakes)?;
        let interval = Duration::from_millis(1)..=LONGEST;
        let health = Self {
            interval: reader.field("interval", |node, mistakes| value::span(node, mistakes, &interval)),
            rise: reader.field("rise", |node, mistakes| value::whole(node, mistakes, &(1..=1_000))),
            fall: reader.field("fall", |node, mistakes| value::whole(node, mistakes, &(1..=1_000))),
        };
        reader.finish();
        Some(health)
    }
}

/// The path and query of a request.
pub(crate) fn path(node: &Node, mistakes: &mut Mistakes) -> Option<String> {
    let text = value::word(node, mistakes)?;
    url::checked_path(text)
        .map_err(|(why, help)| {
            mistakes.add(node.place, why).help(help);
        })
        .ok()
}
