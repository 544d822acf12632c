//! Findings as bytes: for people, for scripts, for GitHub.

use std::fmt::Write as _;

use serde::Serialize;

use super::finding::{Finding, Severity};
use super::rule::Rule;
use crate::render::text::{escape, wrap};
use crate::visible;

/// What `--format json` prints.
#[derive(Serialize)]
struct Document<'a, S> {
    findings: &'a [Finding],
    #[serde(skip_serializing_if = "Option::is_none")]
    sockets: Option<&'a [S]>,
}

/// For people: one paragraph for each finding, and how many there are.
#[must_use]
pub fn table(findings: &[Finding], width: usize, color: bool) -> String {
    let mut text = String::new();
    for finding in findings {
        paragraph(&mut text, finding, width.max(40), color);
    }
    let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    let sentence = match findings.len() {
        0 => "nothing found".to_owned(),
        _ => [Severity::Error, Severity::Warning, Severity::Info]
            .into_iter()
            .filter(|severity| count(*severity) > 0)
            .map(|severity| {
                let (count, name) = (count(severity), severity.name());
                let plural = if count == 1 || severity == Severity::Info { "" } else { "s" };
                format!("{count} {name}{plural}")
            })
            .collect::<Vec<_>>()
            .join(", "),
    };
    text + &sentence + "\n"
}

/// Every rule: its id, how much it weighs, what it finds and what comes of that.
#[must_use]
pub fn rule_list<'r>(rules: impl Iterator<Item = &'r Rule>, width: usize) -> String {
    let mut text = String::new();
    for rule in rules {
        let _ = writeln!(text, "{} {:<7} {}", rule.id, rule.severity.name(), rule.title);
        labelled(&mut text, "", rule.why, width.max(40));
    }
    text
}

fn paragraph(text: &mut String, finding: &Finding, width: usize, color: bool) {
    let severity = finding.severity.name();
    let severity =
        if color { format!("\u{1b}[1;{}m{severity}\u{1b}[0m", ansi(finding.severity)) } else { severity.to_owned() };
    let line = finding.line.map(|line| format!(":{line}")).unwrap_or_default();
    let place = finding.file.as_deref().unwrap_or(finding.unit.as_str());
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{severity} {} {}", finding.id, escape(&format!("{place}{line}")));
    labelled(text, "", &capital(&finding.message), width);
    labelled(text, "seen: ", &finding.evidence, width);
    labelled(text, "why:  ", finding.why, width);
    for (place, line) in finding.fix.lines().enumerate() {
        let label = if place == 0 { "fix:  " } else { "      " };
        let _ = writeln!(text, "  {label}{}", escape(line));
    }
    text.push('\n');
}

/// A label, and behind it text wrapped to the width.
fn labelled(text: &mut String, label: &str, words: &str, width: usize) {
    for (place, line) in wrap(&escape(words), width - label.len() - 2).iter().enumerate() {
        let lead = if place == 0 { label } else { "" };
        let _ = writeln!(text, "  {lead:indent$}{line}", indent = label.len());
    }
}

fn capital(sentence: &str) -> String {
    // A sentence that begins with a name keeps it as it is written.
    let first_word = sentence.split(' ').next().unwrap_or_default();
    if first_word.chars().all(|c| c.is_ascii_lowercase()) {
        let mut rest = sentence.chars();
        rest.next().map(|first| first.to_uppercase().chain(rest).collect()).unwrap_or_default()
    } else {
        sentence.to_owned()
    }
}

const fn ansi(severity: Severity) -> u8 {
    match severity {
        Severity::Error => 31,
        Severity::Warning => 33,
        Severity::Info => 36,
    }
}

/// For scripts. `sockets` is there only where all sockets of the machine were asked for.
///
/// # Panics
/// Never: strings and numbers always serialise.
#[must_use]
#[expect(clippy::expect_used, reason = "nothing in it can fail to serialise")]
pub fn json<S: Serialize>(findings: &[Finding], sockets: Option<&[S]>) -> String {
    let document = Document { findings, sockets };
    visible::json(&serde_json::to_string_pretty(&document).expect("strings and numbers always serialise")).into_owned()
        + "\n"
}

/// Workflow commands of GitHub Actions, one for each finding.
#[must_use]
pub fn github(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let command = if finding.severity == Severity::Info { "notice" } else { finding.severity.name() };
        let mut properties = Vec::new();
        properties.extend(finding.file.as_deref().map(|file| format!("file={}", property(file))));
        properties.extend(finding.line.map(|line| format!("line={line}")));
        properties.push(format!("title={}", property(&format!("{} {}", finding.id, finding.title))));
        let message =
            format!("{}\nSeen: {}\nWhy: {}\nFix:\n{}", finding.message, finding.evidence, finding.why, finding.fix);
        let _ = writeln!(text, "::{command} {}::{}", properties.join(","), data(&visible::escape_lines(&message)));
    }
    text
}

/// Escapes as actions/toolkit does (`command.ts`).
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(&escape(text)).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::check;
    use crate::check::testing::{EXAMPLES, pair};

    fn findings() -> Vec<Finding> {
        let socket = "[Socket]\nListenStream=127.0.0.1:8008\nBacklog=1024 # 5%\n[Install]\nWantedBy=sockets.target\n";
        check(&pair(socket, &EXAMPLES.service.replace("Requires=a.socket\n", "")), &[])
    }

    #[test]
    fn people_read_finding_place_evidence_reason_and_fix() {
        insta::assert_snapshot!(table(&findings(), 80, false));
        assert_eq!(table(&[], 80, false), "nothing found\n");
    }

    #[test]
    fn scripts_get_the_fields_that_are_promised() {
        insta::assert_snapshot!(json::<()>(&findings(), None));
    }

    #[test]
    fn github_gets_one_line_for_each_finding() {
        insta::assert_snapshot!(github(&findings()));
    }
}
