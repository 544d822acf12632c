//! For GitHub Actions: annotations, which the runner reads from a job's output as workflow commands, and outputs.

use std::path::Path;

use super::text::escape;
use crate::model::Verdict;
use crate::result::{RunResult, ScenarioResult};

/// One line for each check that did not pass, and for each scenario that did not pass though all of its checks did:
/// `::error title=...::message`.
#[must_use]
pub fn annotations(result: &RunResult) -> String {
    result.scenarios.iter().flat_map(of_scenario).collect()
}

fn of_scenario(scenario: &ScenarioResult) -> Vec<String> {
    let checks = scenario.checks.iter().filter_map(|check| {
        let message = format!("{}: expected {}, actual {}", check.name, check.expected, check.actual);
        annotation(check.status, &format!("gapless: {} {}", scenario.name, check.name), &message)
    });
    let mut annotations: Vec<String> = checks.collect();
    let title = format!("gapless: {} {}", scenario.name, scenario.verdict);
    annotations.extend(annotation(scenario.verdict, &title, &scenario.reasons.join("\n")));
    annotations
}

fn annotation(verdict: Verdict, title: &str, message: &str) -> Option<String> {
    let command = match verdict {
        Verdict::Passed => return None,
        Verdict::Inconclusive => "warning",
        Verdict::Failed => "error",
    };
    let lines: Vec<String> = message.lines().map(escape).collect();
    Some(format!("::{command} title={}::{}\n", property(title), data(&lines.join("\n"))))
}

/// The outputs of a step, one `name=value` each: `verdict`, `dropped`, `http_000`, `p99_ms` (the worst scenario's; empty
/// where it is never) and `report`, the path of the HTML report.
#[must_use]
pub fn outputs(result: &RunResult, report: &Path) -> String {
    let sum = |of: fn(&ScenarioResult) -> u64| result.scenarios.iter().map(of).sum::<u64>();
    let p99s: Option<Vec<f64>> = result.scenarios.iter().map(|scenario| scenario.latency_ms.all.p99).collect();
    let p99 = p99s.and_then(|p99s| p99s.into_iter().reduce(f64::max)).map(|p99| format!("{p99}"));
    // A line break in a path would begin another output.
    let report = escape(&report.display().to_string());
    format!(
        "verdict={}\ndropped={}\nhttp_000={}\np99_ms={}\nreport={report}\n",
        result.verdict,
        sum(|scenario| scenario.dropped),
        sum(|scenario| scenario.http_000),
        p99.unwrap_or_default(),
    )
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
        let is_verdict = |head: &&&str| head.ends_with("failed") || head.ends_with("inconclusive");
        assert_eq!(
            heads.iter().filter(is_verdict).copied().collect::<Vec<_>>(),
            ["error title=gapless%3A ledger-plain failed", "warning title=gapless%3A ledger-interrupted inconclusive"]
        );
        assert!(heads.contains(&"error title=gapless%3A ledger-plain expect.dropped"), "{heads:?}");
        assert!(!annotations.contains("ledger-socket"), "it passed");
        assert!(annotations.contains("72 of 688 requests were dropped; expected: at most 0.%0A72 requests failed"));
    }

    #[test]
    fn a_message_cannot_become_a_command_of_its_own() {
        let mut result = combine(&[stories::plain_restart().record()]).expect("there is a record");
        result.scenarios[0].name = "a,b::c\n::set-env name=X::1".to_owned();
        result.scenarios[0].reasons = vec!["100%\r\n::stop-commands::x".to_owned()];
        result.scenarios[0].checks.clear();
        let annotations = annotations(&result);
        assert_eq!(
            annotations,
            "::error title=gapless%3A a%2Cb%3A%3Ac\\n%3A%3Aset-env name=X%3A%3A1 failed::100%25%0A::stop-commands::x\n"
        );
        assert_eq!(annotations.lines().count(), 1);
    }

    #[test]
    fn the_outputs_are_the_figures_of_the_whole_run() {
        let records = [stories::socket_restart(), stories::plain_restart()].map(|run| run.record());
        let result = combine(&records).expect("there are records");
        let outputs = outputs(&result, Path::new("reports/a\nb/report.html"));
        let lines: Vec<&str> = outputs.lines().collect();
        assert_eq!(lines[0], "verdict=failed");
        assert_eq!(lines[1..3], ["dropped=72".to_owned(), format!("http_000={}", result.scenarios[1].http_000)]);
        assert_eq!(lines[3], "p99_ms=", "more than one in a hundred of the plain restart's were never answered");
        assert_eq!(lines[4..], ["report=reports/a\\nb/report.html"]);
    }
}
