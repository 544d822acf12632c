//! The rules, grouped by what they look at.

mod address;
mod expansion;
mod limits;
mod pairing;
mod server;
mod state;
mod stop;
mod syntax;
mod version;

use super::rule::Rule;

/// Every group, in the order of the ids.
pub(super) const GROUPS: &[&[Rule]] = &[
    syntax::RULES,
    expansion::RULES,
    version::RULES,
    pairing::RULES,
    address::RULES,
    limits::RULES,
    server::RULES,
    stop::RULES,
    state::RULES,
];
