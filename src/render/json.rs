//! Results as JSON.

use serde::Serialize;

use crate::visible;

/// A result, a calibration or a comparison as indented JSON with a newline at its end. A time that never ended is
/// null, as one that was not measured.
///
/// # Panics
/// Never for our documents: every key is a string.
#[must_use]
#[expect(clippy::expect_used, reason = "nothing in our documents can fail to serialise")]
pub fn render(document: &impl Serialize) -> Vec<u8> {
    let text = serde_json::to_string_pretty(document).expect("reports have only string keys");
    (visible::json(&text).into_owned() + "\n").into_bytes()
}
