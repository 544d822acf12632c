//! Scenarios: from a TOML file to a [`plan::Plan`].
//!
//! The way: text -> `tree` (values with their places, overrides put in) -> `file` (each value right in itself)
//! -> `resolve` (what they mean together) -> [`plan::Plan`]. Mistakes are collected on the whole of it.
//!
//! | file | subject |
//! |---|---|
//! | `find`, `load`, `source` | from paths to texts, and all that is wrong with one at once |
//! | `tree`, `overrides`, `env` | values that know their places, with the command line's and the environment's put in |
//! | `keys`, `kind`, `reader` | each key declared once, and how values are read |
//! | `bound`, `duration`, `url`, `placeholder` | kinds of values with a notation of their own |
//! | `file`, `resolve` | what is written, and what it means together |
//! | `plan` | the outcome |
//! | `mistake`, `suggest` | what is wrong, and what may have been meant |
//! | `mask` | keeps secrets out of the plan and of what is said of it |
//! | `schema`, `describe`, `draft` | the JSON Schema, a plan in words, and scenarios that `init` writes |
//!
//! Nothing here acts: a plan is data.

mod bound;
pub(crate) mod describe;
pub(crate) mod draft;
pub(crate) mod duration;
mod env;
mod file;
mod find;
mod keys;
mod kind;
mod load;
mod mask;
mod mistake;
mod overrides;
pub mod placeholder;
pub mod plan;
mod reader;
mod resolve;
pub mod schema;
mod source;
mod suggest;
mod tree;
mod url;

pub use keys::Key;
pub use load::{Scenario, load, load_all, load_text};
pub use mask::{learn_plan, masked};
pub use mistake::{Mistake, ScenarioErrors};
pub use overrides::Overrides;
pub(crate) use url::Url;
pub use url::{sends_messages, speaks_http};
