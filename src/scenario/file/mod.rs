//! A scenario file as it is written: every key, each value right in itself.
//!
//! What the values mean together, and what holds where a key is absent only under some condition, is the subject of
//! `resolve`.

pub(crate) mod expect;
pub(crate) mod load;
pub(crate) mod steps;
pub(crate) mod target;
pub(crate) mod units;

use super::keys::keys;
use super::kind;
use super::plan::RunOptions;
use super::reader::Field;
use super::source::Spanned;

pub(crate) use expect::{Bounds, Expect};
pub(crate) use load::Load;
pub(crate) use steps::Step;
pub(crate) use target::{Request, Target};
pub(crate) use units::Units;

keys! {
    /// A scenario of gapless: what is loaded, what is done to its service under load, and what must hold.
    #[derive(Debug)]
    pub(crate) struct File = "" {
        /// Unique in a run; the name of its record.
        name: Field<String> = kind::name(), required "this scenario has no name", "start it with name = \"my-restart\"";
        /// What the scenario shows.
        description: Field<String> = kind::text();
        target: Field<Target> = kind::table::<Target>();
        /// Cohorts: clients with one rate and one connection policy. Without any: keep-alive at 200/s and new at 50/s.
        load: Field<Vec<Spanned<Load>>> = kind::tables::<Load>();
        units: Field<Units> = kind::table::<Units>();
        run: RunOptions = kind::table::<RunOptions>();
        /// What is done, in order.
        steps: Field<Vec<Spanned<Step>>> = kind::tables::<Step>();
        expect: Field<Expect> = kind::table::<Expect>();
    }
}
