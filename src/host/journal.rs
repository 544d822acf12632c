//! The journal's lines of some units, as they come, from `journalctl --follow`.
//!
//! Its JSON is described in `systemd.journal-fields(7)` and at <https://systemd.io/JOURNAL_EXPORT_FORMATS>;
//! `__MONOTONIC_TIMESTAMP` is CLOCK_MONOTONIC in microseconds, the requests' clock.

use std::collections::BTreeMap;
use std::io;
use std::process::Stdio;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::clock;
use crate::model::{MonoTime, UnitName};
use crate::record::line::JournalEntry;

/// The maximum number of lines kept of each unit.
pub const LINES_PER_UNIT: u64 = 1_000;

/// What is kept of one line, so that a program that dumps its memory does not fill the record.
const MESSAGE_LIMIT_BYTES: usize = 4 * 1024;

/// Which journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Of the system's units.
    System,
    /// Of the units of our own user's manager.
    User,
}

/// Follows the journal of some units until it is dropped.
#[derive(Debug)]
pub struct Journal {
    /// Ended when this is dropped.
    _follower: Child,
    lines: Lines<BufReader<ChildStdout>>,
    from: MonoTime,
    units: Vec<UnitName>,
    kept: BTreeMap<UnitName, u64>,
    left_out: u64,
}

impl Journal {
    /// Begins to follow. Lines from before are not delivered.
    ///
    /// # Errors
    /// When there is no journalctl.
    pub fn follow(scope: Scope, units: &[UnitName]) -> io::Result<Self> {
        let mut command = Command::new("journalctl");
        // From a little before: where it begins at the end of a journal that has no line of these units, it passes over
        // the first ones that come.
        command.args(["--follow", "--boot", "--since=-2s", "--lines=all", "--quiet", "--output=json"]);
        command.arg("--output-fields=MESSAGE,PRIORITY,_SYSTEMD_UNIT,UNIT,_SYSTEMD_USER_UNIT,USER_UNIT");
        for unit in units {
            match scope {
                Scope::System => command.arg(format!("--unit={unit}")),
                Scope::User => command.arg(format!("--user-unit={unit}")),
            };
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        // Not in our process group: a Ctrl-C is for us, and what units say while they are put back is not asked for.
        command.process_group(0).kill_on_drop(true);
        let from = clock::now();
        let mut follower = command.spawn()?;
        let stdout = follower.stdout.take().ok_or_else(|| io::Error::other("it has no output"))?;
        let (units, lines) = (units.to_vec(), BufReader::new(stdout).lines());
        Ok(Self { _follower: follower, lines, from, units, kept: BTreeMap::new(), left_out: 0 })
    }

    /// The next line; none once journalctl has ended, which it does only when it cannot read the journal. What is
    /// beyond [`LINES_PER_UNIT`] is passed over and counted. Cancel safe.
    pub async fn next(&mut self) -> Option<JournalEntry> {
        while let Ok(Some(line)) = self.lines.next_line().await {
            let Some(entry) = parse(&line, &self.units).filter(|entry| entry.at >= self.from) else { continue };
            let kept = self.kept.entry(entry.unit.clone()).or_default();
            if *kept < LINES_PER_UNIT {
                *kept += 1;
                return Some(entry);
            }
            self.left_out += 1;
        }
        None
    }

    /// Lines that came and were not delivered, because their unit had had enough.
    #[must_use]
    pub fn left_out(&self) -> u64 {
        self.left_out
    }
}

/// The fields of a line. All values are text, but for a message that is not UTF-8: that is an array of bytes.
#[derive(Deserialize)]
struct Fields {
    #[serde(rename = "__MONOTONIC_TIMESTAMP")]
    monotonic_us: String,
    #[serde(rename = "MESSAGE")]
    message: Message,
    #[serde(rename = "PRIORITY")]
    priority: Option<String>,
    /// The unit that said it.
    #[serde(rename = "_SYSTEMD_UNIT")]
    of_unit: Option<String>,
    #[serde(rename = "_SYSTEMD_USER_UNIT")]
    of_user_unit: Option<String>,
    /// The unit that the manager says it about.
    #[serde(rename = "UNIT")]
    about_unit: Option<String>,
    #[serde(rename = "USER_UNIT")]
    about_user_unit: Option<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Message {
    Text(String),
    Bytes(Vec<u8>),
}

fn parse(line: &str, units: &[UnitName]) -> Option<JournalEntry> {
    let fields: Fields = serde_json::from_str(line).ok()?;
    let mut named =
        [fields.about_unit, fields.about_user_unit, fields.of_unit, fields.of_user_unit].into_iter().flatten();
    let unit = named.find_map(|name| units.iter().find(|unit| unit.as_str() == name))?;
    let message = match fields.message {
        Message::Text(text) => text,
        Message::Bytes(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
    };
    Some(JournalEntry {
        at: clock::of_manager(MonoTime::from_micros(fields.monotonic_us.parse().ok()?)),
        unit: unit.clone(),
        // Informational, syslog(3), is what stdout of a service is logged with.
        priority: fields.priority.and_then(|priority| priority.parse().ok()).unwrap_or(6),
        message: shortened(message),
    })
}

fn shortened(mut message: String) -> String {
    if message.len() > MESSAGE_LIMIT_BYTES {
        let end = (0..=MESSAGE_LIMIT_BYTES).rev().find(|&end| message.is_char_boundary(end)).unwrap_or_default();
        message.truncate(end);
        message.push_str("...");
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    fn units() -> [UnitName; 2] {
        ["a.service", "a.socket"].map(|name| UnitName::new(name).unwrap())
    }

    fn line(fields: &str) -> String {
        format!(r#"{{"__MONOTONIC_TIMESTAMP":"2500000","__REALTIME_TIMESTAMP":"1",{fields}}}"#)
    }

    #[test]
    fn a_line_of_a_unit_has_its_time_its_unit_and_its_priority() {
        let said = parse(&line(r#""MESSAGE":"hello","PRIORITY":"3","_SYSTEMD_UNIT":"a.service""#), &units()).unwrap();
        let expected = JournalEntry {
            at: MonoTime::from_micros(2_500_000),
            unit: units()[0].clone(),
            priority: 3,
            message: "hello".to_owned(),
        };
        assert_eq!(said, expected);
    }

    #[test]
    fn what_the_manager_says_of_a_unit_is_that_units() {
        let fields = r#""MESSAGE":"Started","UNIT":"a.socket","_SYSTEMD_UNIT":"init.scope""#;
        assert_eq!(parse(&line(fields), &units()).unwrap().unit, units()[1]);
    }

    #[test]
    fn a_message_that_is_not_text_is_still_a_message() {
        let fields = r#""MESSAGE":[104,105,255],"_SYSTEMD_UNIT":"a.service""#;
        assert_eq!(parse(&line(fields), &units()).unwrap().message, "hi\u{fffd}");
    }

    #[test]
    fn a_long_message_is_cut() {
        let fields = format!(r#""MESSAGE":"{}","_SYSTEMD_UNIT":"a.service""#, "ä".repeat(5_000));
        let message = parse(&line(&fields), &units()).unwrap().message;
        assert!(message.len() <= MESSAGE_LIMIT_BYTES + 3 && message.ends_with("ä..."), "{} bytes", message.len());
    }

    #[test]
    fn what_is_no_line_of_these_units_is_passed_over() {
        for text in ["", "{}", "-- No entries --", &line(r#""MESSAGE":"x","_SYSTEMD_UNIT":"b.service""#)] {
            assert_eq!(parse(text, &units()), None, "{text}");
        }
    }
}
