//! Plans for unit tests.

use std::path::Path;
use std::time::Duration;

use crate::model::{JobResult, UnitName, UnitVerb};
use crate::scenario::plan::{Abort, Action, Expectations, MaxUnseen, Plan, RunOptions, Spacing, Step, Units};

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
            pace: true,
            restore: true,
            seed: 1,
            abort: Abort::default(),
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
