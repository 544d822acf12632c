//! Scenarios: from a TOML file to a [`plan::Plan`].

pub mod plan;
