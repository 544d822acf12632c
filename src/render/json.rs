//! Results as JSON.

use serde::Serialize;

/// A result, a calibration or a comparison as indented JSON with a newline at its end. A time that never ended is
/// null, as one that was not measured.
///
/// # Panics
/// Never for our documents: every key is a string.
#[must_use]
#[expect(clippy::expect_used, reason = "nothing in our documents can fail to serialise")]
pub fn render(document: &impl Serialize) -> Vec<u8> {
    let mut bytes = serde_json::to_vec_pretty(document).expect("reports have only string keys");
    bytes.push(b'\n');
    bytes
}
