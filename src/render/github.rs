//! Annotations for GitHub Actions: workflow commands, which the runner reads from a job's output.

use crate::model::Verdict;
use crate::render::text::escape;
use crate::result::{RunResult, ScenarioResult};

/// One line for each scenario that did not pass: `::error title=...::reasons`.
#[must_use]
pub fn annotations(result: &RunResult) -> String {
    result.scenarios.iter().filter_map(annotation).collect()
}

fn annotation(scenario: &ScenarioResult) -> Option<String> {
    let command = match scenario.verdict {
        Verdict::Passed => return None,
        Verdict::Inconclusive => "warning",
        Verdict::Failed => "error",
    };
    let title = property(&format!("gapless: {} {}", scenario.name, scenario.verdict));
    let reasons: Vec<String> = scenario.reasons.iter().map(|reason| escape(reason)).collect();
    Some(format!("::{command} title={title}::{}\n", data(&reasons.join("\n"))))
}

/// The message of a command, as <https://github.com/actions/toolkit> escapes it.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A property of a command.
fn property(text: &str) -> String {
    data(&escape(text)).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::{combine, simulator::stories};

    #[test]
    fn only_what_did_not_pass_is_annotated() {
        let records =
            [stories::socket_restart(), stories::plain_restart(), stories::interrupted()].map(|run| run.record());
        let annotations = annotations(&combine(&records).expect("there are records"));
        let heads: Vec<&str> = annotations.lines().map(|line| line.split("::").nth(1).expect("a command")).collect();
        assert_eq!(
            heads,
            ["error title=gapless%3A ledger-plain failed", "warning title=gapless%3A ledger-interrupted inconclusive"]
        );
        assert!(annotations.contains("72 of 688 requests were dropped; expected: at most 0.%0A72 requests failed"));
    }

    #[test]
    fn a_message_cannot_become_a_command_of_its_own() {
        let mut result = combine(&[stories::plain_restart().record()]).expect("there is a record");
        result.scenarios[0].name = "a,b::c\n::set-env name=X::1".to_owned();
        result.scenarios[0].reasons = vec!["100%\r\n::stop-commands::x".to_owned()];
        let annotations = annotations(&result);
        assert_eq!(
            annotations,
            "::error title=gapless%3A a%2Cb%3A%3Ac\\n%3A%3Aset-env name=X%3A%3A1 failed::100%25\\r\\n::stop-commands::x\n"
        );
        assert_eq!(annotations.lines().count(), 1);
    }
}
