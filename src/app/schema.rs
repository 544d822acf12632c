//! `gapless schema`: the JSON Schema of a format.

use anyhow::Context as _;

use super::exit::Exit;
use super::output;
use crate::analysis::RunResult;
use crate::cli::{SchemaArgs, SchemaOf};

/// Runs the command.
///
/// # Errors
/// When stdout cannot be written to.
pub fn main(args: &SchemaArgs) -> anyhow::Result<Exit> {
    let schema = match args.of {
        SchemaOf::Result => schemars::schema_for!(RunResult),
    };
    let mut bytes = serde_json::to_vec_pretty(&schema).context("cannot write the schema as JSON")?;
    bytes.push(b'\n');
    output::write(&bytes)?;
    Ok(Exit::Passed)
}
