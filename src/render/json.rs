//! `result.json`.

use crate::analysis::RunResult;

/// The result as indented JSON with a newline at its end.
///
/// # Panics
/// Never: every key is a string, and every number finite.
#[must_use]
pub fn render(result: &RunResult) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(result).expect("a result has only string keys");
    bytes.push(b'\n');
    bytes
}
