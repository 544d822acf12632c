//! `result.json`.

use crate::analysis::RunResult;
use crate::analysis::compare::Comparison;

/// The result as indented JSON with a newline at its end.
///
/// # Panics
/// Never: every key is a string, and every number finite.
#[must_use]
pub fn render(result: &RunResult) -> Vec<u8> {
    indented(result)
}

/// Two runs side by side, as indented JSON. A time that never ended is null, as one that was not measured.
///
/// # Panics
/// Never: every key is a string.
#[must_use]
pub fn render_comparison(comparison: &Comparison) -> Vec<u8> {
    indented(comparison)
}

fn indented(document: &impl serde::Serialize) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(document).expect("reports have only string keys");
    bytes.push(b'\n');
    bytes
}
