//! A folder with scenarios, and what they come to.

use std::fs;
use std::path::PathBuf;

use gapless::model::{Bound, Metric};
use gapless::scenario::plan::{Cohort, Plan};
use gapless::scenario::{Overrides, Scenario, ScenarioErrors, load, load_all};
use tempfile::TempDir;

pub(crate) const TARGET: &str = "[target]\nurl = \"http://127.0.0.1:8008/health\"\n";
pub(crate) const UNITS: &str = "[units]\nservice = \"app.service\"\nsocket = \"app.socket\"\n";

/// A folder with scenarios in it.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(TempDir::new().expect("a temporary folder"))
    }

    pub(crate) fn with(self, name: &str, text: impl AsRef<[u8]>) -> Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("it lies in the folder")).expect("created");
        fs::write(path, text).expect("written");
        self
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn load(&self, set: &[&str]) -> Result<Scenario, ScenarioErrors> {
        load(&self.path("s.toml"), &Overrides { times: None, set: set.iter().map(ToString::to_string).collect() })
    }

    pub(crate) fn load_all(&self, paths: &[&str], only: &[&str]) -> Result<Vec<Scenario>, ScenarioErrors> {
        let paths: Vec<_> = paths.iter().map(|path| self.path(path)).collect();
        let only: Vec<_> = only.iter().map(ToString::to_string).collect();
        load_all(&paths, &only, &Overrides::default())
    }
}

pub(crate) fn scenario(body: &str) -> Result<Scenario, ScenarioErrors> {
    Folder::new().with("s.toml", format!("name = \"s\"\n{body}")).load(&[])
}

#[track_caller]
pub(crate) fn good(result: Result<Scenario, ScenarioErrors>) -> Scenario {
    result.unwrap_or_else(|errors| panic!("{}", errors.render(false, 100)))
}

#[track_caller]
pub(crate) fn plan(body: &str) -> Plan {
    good(scenario(body)).plan
}

#[track_caller]
pub(crate) fn messages<T>(result: Result<T, ScenarioErrors>) -> Vec<String> {
    let errors = result.err().expect("there is a mistake");
    errors.mistakes().iter().map(|mistake| mistake.message().to_owned()).collect()
}

pub(crate) fn cohort<'a>(plan: &'a Plan, name: &str) -> &'a Cohort {
    plan.cohorts.iter().find(|cohort| cohort.name == name).expect("there is such a cohort")
}

pub(crate) fn bounds(expectations: &[(Metric, Bound)]) -> Vec<String> {
    expectations.iter().map(|(metric, bound)| format!("{metric} {bound}")).collect()
}
