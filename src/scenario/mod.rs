//! Scenarios: from a TOML file to a [`plan::Plan`].
//!
//! The way: text -> `tree` (values with their places, overrides put in) -> `file` (each value right in itself)
//! -> `resolve` (what they mean together) -> [`plan::Plan`]. Mistakes are collected on the whole of it.

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
