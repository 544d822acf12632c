//! What gapless made of a lab, and what can be said of it.

use std::fs;
use std::path::Path;

use crate::support::lines_of;
use gapless::model::{Cause, FailureClass, Verdict};
use gapless::record::line::Line;
use gapless::result::{CheckResult, EventResult};
use gapless::result::{RunResult, ScenarioResult};

/// What gapless made of a lab.
#[derive(Debug)]
pub(crate) struct Diagnosis {
    pub(crate) result: ScenarioResult,
    /// The lines of the record.
    pub(crate) record: Vec<Line>,
    said: String,
}

impl Diagnosis {
    /// Reads what a run left in its folder.
    pub(crate) fn read(out: &Path, said: String) -> Self {
        let text = fs::read(out.join("result.json")).unwrap_or_else(|error| panic!("no result ({error}): {said}"));
        let result: RunResult = serde_json::from_slice(&text).expect("a result");
        let record = lines_of(&out.join("records/lab.jsonl"));
        let result = result.scenarios.into_iter().next().expect("one scenario");
        Self { result, record, said }
    }

    /// What a failed assertion has to say.
    fn story(&self) -> String {
        let result = &self.result;
        let sentences: Vec<&str> = result.evidence.iter().map(|evidence| evidence.sentence.as_str()).collect();
        format!(
            "\noutcomes {:?}\ncauses {:?}\nattested {:?}\nreasons {:#?}\nevidence {sentences:#?}\nnotes {:?}\n{}",
            result.outcomes, result.causes, result.attested, result.reasons, result.notes, self.said
        )
    }

    pub(crate) fn count(&self, cause: Cause) -> u64 {
        self.result.causes.get(&cause).copied().unwrap_or_default()
    }

    /// At least one request was lost to that cause.
    #[track_caller]
    pub(crate) fn blames(self, cause: Cause) -> Self {
        assert!(self.count(cause) > 0, "{cause} is not among the causes{}", self.story());
        self
    }

    /// No request was lost to anything else than these causes.
    #[track_caller]
    pub(crate) fn blames_only(self, causes: &[Cause]) -> Self {
        let others: Vec<&Cause> = self.result.causes.keys().filter(|cause| !causes.contains(cause)).collect();
        assert!(others.is_empty(), "{others:?} are among the causes{}", self.story());
        self
    }

    /// No request was given that cause.
    #[track_caller]
    pub(crate) fn does_not_blame(self, cause: Cause) -> Self {
        assert_eq!(self.count(cause), 0, "{cause} is among the causes{}", self.story());
        self
    }

    /// The kernel's trace confirms every request of that cause, and the evidence says so.
    #[track_caller]
    pub(crate) fn attests_all(self, cause: Cause) -> Self {
        let attested = self.result.attested.get(&cause).copied().unwrap_or_default();
        assert_eq!(attested, self.count(cause), "{cause} is not attested{}", self.story());
        let says_so = |sentence: &str| sentence.ends_with("(attested by the kernel's trace)");
        let of_cause = self.result.evidence.iter().filter(|evidence| evidence.cause == cause);
        assert!(
            of_cause.clone().all(|evidence| says_so(&evidence.sentence)),
            "the evidence does not say so{}",
            self.story()
        );
        self
    }

    /// At least one request ended so.
    #[track_caller]
    pub(crate) fn counts(self, class: FailureClass) -> Self {
        assert!(self.result.outcomes.contains_key(&class), "no {class}{}", self.story());
        self
    }

    #[track_caller]
    pub(crate) fn loses_nothing(self) -> Self {
        assert_eq!(self.result.requests.failed, 0, "requests failed{}", self.story());
        self
    }

    /// Nothing that was judged failed. The verdict may still be inconclusive, on a machine too busy to keep the pace.
    #[track_caller]
    pub(crate) fn has_no_failed_check(self) -> Self {
        let failed: Vec<&CheckResult> =
            self.result.checks.iter().filter(|check| check.status == Verdict::Failed).collect();
        assert!(failed.is_empty(), "{failed:#?}{}", self.story());
        self
    }

    /// The next restart would survive.
    #[track_caller]
    pub(crate) fn has_no_latent_failure(self) -> Self {
        let latent = |check: &&CheckResult| check.name.starts_with("latent.") && check.status != Verdict::Passed;
        let found: Vec<&CheckResult> = self.result.checks.iter().filter(latent).collect();
        assert!(found.is_empty(), "{found:#?}{}", self.story());
        self
    }

    /// A counter of the kernel rose during the run.
    #[track_caller]
    pub(crate) fn rises(self, counter: &str) -> Self {
        let values = self.record.iter().filter_map(|line| match line {
            Line::Counters(counters) => counters.values.iter().find(|(name, _)| name == counter).map(|(_, n)| *n),
            _ => None,
        });
        let values: Vec<u64> = values.collect();
        assert!(values.last() > values.first(), "{counter}: {values:?}{}", self.story());
        self
    }

    /// The verdict is failed, and one of its reasons says this.
    #[track_caller]
    pub(crate) fn fails_because(self, words: &str) -> Self {
        assert_eq!(self.result.verdict, Verdict::Failed, "{}", self.story());
        self.says(words)
    }

    /// A reason of the verdict says this.
    #[track_caller]
    pub(crate) fn says(self, words: &str) -> Self {
        assert!(
            self.result.reasons.iter().any(|reason| reason.contains(words)),
            "nothing says {words:?}{}",
            self.story()
        );
        self
    }

    /// A note says this.
    #[track_caller]
    pub(crate) fn notes(self, words: &str) -> Self {
        assert!(
            self.result.notes.iter().any(|note| note.message.contains(words)),
            "no note says {words:?}{}",
            self.story()
        );
        self
    }

    /// The number of notes that say this.
    #[track_caller]
    pub(crate) fn notes_times(self, words: &str, times: usize) -> Self {
        let count = self.result.notes.iter().filter(|note| note.message.contains(words)).count();
        assert_eq!(count, times, "notes that say {words:?}{}", self.story());
        self
    }

    #[track_caller]
    pub(crate) fn event(&self, number: usize) -> &EventResult {
        self.result.events.get(number - 1).unwrap_or_else(|| panic!("no event {number}{}", self.story()))
    }
}
