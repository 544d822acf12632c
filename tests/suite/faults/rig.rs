//! A run under way, and what it leaves.

use std::fs::{self, File};
use std::io::{BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use gapless::model::Verdict;
use gapless::record::Record;
use gapless::result::{RunResult, ScenarioResult};
use rustix::process::{Pid, Signal, kill_process};

use crate::faults::scenario::Scenario;
use crate::support::GAPLESS;

/// Far beyond what anything here takes: a test that waits for what never comes fails rather than hangs.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// Waits until `condition` holds.
#[track_caller]
pub(crate) fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < LIMIT, "still not: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// `gapless run` under way.
pub(crate) struct Running {
    child: Child,
    out: PathBuf,
    name: String,
}

impl Running {
    /// Starts `scenario` with that manager; what it leaves goes below the scenario's folder, or to `out`.
    pub(crate) fn start(scenario: &Scenario, manager: &str) -> Self {
        Self::start_with(scenario, manager, &scenario.folder().join("out"), |_| {})
    }

    /// As [`Self::start`], as nohup(1) starts a command.
    pub(crate) fn start_without_hangup(scenario: &Scenario, manager: &str) -> Self {
        Self::spawn("--ignore-signal=HUP", scenario, manager, &scenario.folder().join("out"), |_| {})
    }

    /// As [`Self::start`], with a command that `change` changed.
    pub(crate) fn start_with(
        scenario: &Scenario,
        manager: &str,
        out: &Path,
        change: impl FnOnce(&mut Command),
    ) -> Self {
        // The tests themselves may have been started by nohup(1).
        Self::spawn("--default-signal=HUP", scenario, manager, out, change)
    }

    fn spawn(hangup: &str, scenario: &Scenario, manager: &str, out: &Path, change: impl FnOnce(&mut Command)) -> Self {
        let said = File::create(scenario.folder().join("stderr")).expect("made");
        let mut command = Command::new("env");
        command.args([hangup, GAPLESS, "run", "--manager", manager, "--out"]).arg(out).arg(scenario.write());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(said);
        change(&mut command);
        let child = command.spawn().expect("it is built");
        Self { child, out: out.to_owned(), name: scenario.name().to_owned() }
    }

    /// The record as far as it is written.
    pub(crate) fn written(&self) -> String {
        fs::read_to_string(self.out.join(format!("records/{}.jsonl", self.name))).unwrap_or_default()
    }

    /// Waits until a line of the record says this.
    #[track_caller]
    pub(crate) fn await_record(&mut self, words: &str) {
        until(words, || {
            assert!(self.child.try_wait().expect("ours").is_none(), "it ended before {words}");
            self.written().contains(words)
        });
    }

    /// Waits until requests are counted.
    #[track_caller]
    pub(crate) fn await_counting(&mut self) {
        self.await_record("\"phase\":\"counting\"");
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("it lives");
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn end(mut self) -> Ended {
        let mut code = None;
        until("the end of the run", || {
            code = self.child.try_wait().expect("ours").map(|status| status.code());
            code.is_some()
        });
        Ended { code: code.flatten(), out: self.out, name: self.name }
    }
}

/// A run that is over.
pub(crate) struct Ended {
    /// None if a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) out: PathBuf,
    name: String,
}

impl Ended {
    /// Its result, as the run wrote it.
    #[track_caller]
    pub(crate) fn result(&self) -> ScenarioResult {
        let bytes = fs::read(self.out.join("result.json")).expect("it wrote a result");
        only(&bytes)
    }

    /// Its record.
    #[track_caller]
    pub(crate) fn record(&self) -> Record {
        let file = File::open(self.out.join(format!("records/{}.jsonl", self.name))).expect("it wrote a record");
        Record::read(BufReader::new(file)).expect("readable")
    }

    /// What `gapless report` makes of it: its exit code and result.
    #[track_caller]
    pub(crate) fn reported(&self) -> (Option<i32>, ScenarioResult) {
        let output = Command::new(GAPLESS).args(["report", "--format", "json"]).arg(&self.out).output().expect("built");
        assert!(!output.stdout.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
        (output.status.code(), only(&output.stdout))
    }

    /// It ended like this, and its record and reports say so.
    #[track_caller]
    pub(crate) fn is_inconclusive(&self, code: i32, because: &str) -> ScenarioResult {
        let result = self.result();
        let reasons = &result.reasons;
        assert_eq!((self.code, result.verdict), (Some(code), Verdict::Inconclusive), "{reasons:#?}");
        assert!(reasons.iter().any(|reason| reason.contains(because)), "nothing says {because:?}: {reasons:#?}");
        let requests = &result.requests;
        assert_eq!(requests.due, requests.ok + requests.failed + requests.unsent);
        result
    }
}

fn only(bytes: &[u8]) -> ScenarioResult {
    let result: RunResult = serde_json::from_slice(bytes).expect("a result");
    let mut scenarios = result.scenarios.into_iter();
    let only = scenarios.next().expect("one scenario");
    assert!(scenarios.next().is_none());
    only
}

/// Nothing is left of the units: no process that was started with a file of the scenario's folder in its command line
/// or environment, and no socket.
#[track_caller]
pub(crate) fn nothing_is_left_of(scenario: &Scenario) {
    until("every process of the units is gone", || processes_of(scenario).is_empty());
    until("the socket's path is gone", || !scenario.socket_path().exists());
}

/// The processes that work in or for the scenario's folder.
pub(crate) fn processes_of(scenario: &Scenario) -> Vec<u32> {
    let folder = scenario.folder().as_os_str().as_encoded_bytes();
    let entries = fs::read_dir("/proc").expect("it is there").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let belongs = |pid: &u32| {
        ["cmdline", "environ"].iter().any(|file| {
            let mut bytes = Vec::new();
            let read = File::open(format!("/proc/{pid}/{file}")).and_then(|mut file| file.read_to_end(&mut bytes));
            read.is_ok() && bytes.windows(folder.len()).any(|window| window == folder)
        })
    };
    pids.filter(belongs).collect()
}
