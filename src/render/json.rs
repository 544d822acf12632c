//! JSON: `result.json`, and what other commands print.

use serde::Serialize;

/// A result as indented JSON with a newline at its end.
///
/// # Panics
/// Never for our results: every key is a string, and every number finite.
#[must_use]
pub fn render(result: &impl Serialize) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(result).expect("a result has only string keys");
    bytes.push(b'\n');
    bytes
}
