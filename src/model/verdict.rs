//! What a run comes to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a scenario, a check or a whole run comes to.
///
/// Ordered by precedence: the verdict of several is their maximum.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
    strum::IntoStaticStr,
    strum::Display,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Verdict {
    /// Every expectation held, and the evidence is good enough to say so.
    Passed,
    /// There is a doubt that forbids either word.
    Inconclusive,
    /// An expectation did not hold.
    Failed,
}

impl Verdict {
    /// The word used in reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }
}
