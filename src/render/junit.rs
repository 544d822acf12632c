//! `junit.xml`: a suite for each scenario, a test case for each check.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, SerializeError, TestCase, TestCaseStatus, TestSuite, XmlString};

use super::text::escape;
use crate::model::Verdict;
use crate::result::CheckResult;
use crate::result::{RunResult, ScenarioResult};

/// The result for CI. What failed is a `failure`, what is inconclusive an `error`: readers count both as not passed.
///
/// # Errors
/// When the XML cannot be written, which memory does not cause.
pub fn render(result: &RunResult) -> Result<Vec<u8>, SerializeError> {
    let mut report = Report::new(escape(&format!("gapless{}", result.host.rehearsed())));
    report.add_test_suites(result.scenarios.iter().map(suite));
    let mut bytes = Vec::new();
    report.serialize(&mut bytes)?;
    Ok(bytes)
}

fn suite(scenario: &ScenarioResult) -> TestSuite {
    let mut suite = TestSuite::new(escape(&scenario.name));
    suite.set_time(Duration::try_from_secs_f64(scenario.duration_ms / 1e3).unwrap_or_default());
    // ISO 8601 as JUnit's readers know it: RFC 3339 is that.
    suite.extra.insert(XmlString::new("timestamp"), XmlString::new(escape(&scenario.started_at)));
    suite.add_test_cases(scenario.checks.iter().map(|check| case(scenario, check)));
    if scenario.checks.iter().all(|check| check.status == Verdict::Passed) {
        // A doubt that no check stands for must not look like a pass.
        suite.add_test_cases((scenario.verdict != Verdict::Passed).then(|| verdict(scenario)));
    }
    let reasons: Vec<String> = scenario.reasons.iter().map(|reason| escape(reason)).collect();
    suite.set_system_out(reasons.join("\n"));
    suite
}

fn case(scenario: &ScenarioResult, check: &CheckResult) -> TestCase {
    let message = format!("{}: expected {}, actual {}", check.name, check.expected, check.actual);
    named(scenario, &check.name, status(check.status, &message, &scenario.reasons))
}

fn verdict(scenario: &ScenarioResult) -> TestCase {
    named(scenario, "verdict", status(scenario.verdict, &scenario.reasons.join(" "), &scenario.reasons))
}

fn named(scenario: &ScenarioResult, name: &str, status: TestCaseStatus) -> TestCase {
    let mut case = TestCase::new(escape(name), status);
    case.set_classname(format!("gapless.{}", escape(&scenario.name)));
    case
}

/// Jenkins shows the message and the text of a failure, GitLab the text alone: both say the cause.
fn status(verdict: Verdict, message: &str, reasons: &[String]) -> TestCaseStatus {
    let kind = match verdict {
        Verdict::Passed => return TestCaseStatus::success(),
        Verdict::Inconclusive => NonSuccessKind::Error,
        Verdict::Failed => NonSuccessKind::Failure,
    };
    let mut status = TestCaseStatus::non_success(kind);
    let text: Vec<String> = std::iter::once(message).chain(reasons.iter().map(String::as_str)).map(escape).collect();
    status.set_message(escape(message)).set_type(verdict.name()).set_description(text.join("\n"));
    status
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::{combine, simulator::stories};

    #[test]
    fn a_failure_says_its_cause_in_its_text() {
        let result = combine(&[stories::plain_restart().record()]).expect("there is a record");
        let xml = String::from_utf8(render(&result).expect("XML")).expect("UTF-8");
        let failure = xml.split("<failure").nth(1).and_then(|rest| rest.split_once('>')).expect("a failure").1;
        let text = failure.split("</failure>").next().expect("its end");
        assert!(text.contains("expected") && text.contains(&result.scenarios[0].reasons[1]), "{text}");
    }

    #[test]
    fn a_doubt_without_a_check_is_a_test_case_of_its_own() {
        let mut result = combine(&[stories::socket_restart().record()]).expect("there is a record");
        assert!(!String::from_utf8(render(&result).expect("XML")).expect("UTF-8").contains("name=\"verdict\""));
        result.scenarios[0].verdict = Verdict::Inconclusive;
        let xml = String::from_utf8(render(&result).expect("XML")).expect("UTF-8");
        assert!(xml.contains("errors=\"1\"") && xml.contains("name=\"verdict\""), "{xml}");
    }
}
