//! What a rule is.

use super::facts::Facts;
use super::finding::{Finding, Hit, Severity};

/// One kind of fault.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Stable, such as `GL020`.
    pub id: &'static str,
    /// How much it weighs.
    pub severity: Severity,
    /// The fault in a few words.
    pub title: &'static str,
    /// What comes of it.
    pub why: &'static str,
    /// Finds it.
    pub(super) find: fn(&Facts) -> Vec<Hit>,
}

impl Rule {
    /// What it finds.
    pub(super) fn findings(&self, facts: &Facts) -> Vec<Finding> {
        (self.find)(facts).into_iter().map(|hit| self.finding(hit)).collect()
    }

    fn finding(&self, hit: Hit) -> Finding {
        let (file, line) = hit.spot.place.unzip();
        Finding {
            id: self.id,
            severity: hit.severity.unwrap_or(self.severity),
            unit: hit.spot.unit,
            file,
            line: line.filter(|&line| line > 0),
            message: hit.message,
            evidence: hit.spot.evidence,
            fix: hit.fix,
            title: self.title,
            why: self.why,
        }
    }
}
