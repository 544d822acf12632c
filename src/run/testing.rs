//! Plans and recorders for unit tests.

use std::path::Path;
use std::time::Duration;

use super::recorder::Recorder;
use super::redaction::Redaction;
use crate::record::RecordWriter;
use crate::record::line::Line;

use crate::model::{JobResult, UnitName, UnitVerb};
use crate::scenario::plan::{Action, Expectations, MaxUnseen, Plan, RunOptions, Spacing, Step, Units};

/// A plan without load whose steps do these verbs (`"start stop"`) to `a.service`.
pub(crate) fn plan(verbs: &str) -> Plan {
    let unit = UnitName::new("a.service").unwrap();
    let step = |word: &str| {
        let verb = *UnitVerb::ALL.iter().find(|verb| verb.name() == word).unwrap();
        Step {
            action: Action::Unit { verb, unit: unit.clone() },
            times: 1,
            spacing: Spacing::After(Duration::ZERO),
            wait_ready: true,
            job: JobResult::Done,
            expect: None,
        }
    };
    Plan {
        name: "test".into(),
        description: String::new(),
        directory: "/".into(),
        cohorts: Vec::new(),
        units: None,
        run: RunOptions {
            max_unseen: MaxUnseen::Off,
            warmup: Duration::ZERO,
            cooldown: Duration::ZERO,
            ready_timeout: Duration::from_secs(5),
            ..RunOptions::default()
        },
        steps: verbs.split_whitespace().map(step).collect(),
        expect: Expectations::default(),
    }
}

/// A plan in `directory` with one `prepare` command.
pub(crate) fn plan_with_prepare(directory: &Path, command: &[&str]) -> Plan {
    let prepare = vec![command.iter().map(ToString::to_string).collect()];
    let units = Units { service: None, socket: None, files: Vec::new(), prepare };
    Plan { directory: directory.to_owned(), units: Some(units), ..plan("") }
}

/// A record in a file that can be read while it is written.
pub(crate) struct Recorded {
    file: tempfile::NamedTempFile,
    recorder: Recorder,
}

impl Default for Recorded {
    fn default() -> Self {
        let file = tempfile::NamedTempFile::new().unwrap();
        let writer = RecordWriter::new(file.reopen().unwrap());
        Self { file, recorder: Recorder::new(writer, Redaction::default()) }
    }
}

impl Recorded {
    pub(crate) fn recorder(&self) -> Recorder {
        self.recorder.clone()
    }

    /// What was written until now.
    pub(crate) fn lines(&self) -> Vec<Line> {
        let text = std::fs::read_to_string(self.file.path()).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}
