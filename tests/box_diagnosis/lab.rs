//! A lab: the demo server under the real systemd, a scenario around it, and what gapless made of it.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use gapless::analysis::result::{CheckResult, EventResult};
use gapless::analysis::{RunResult, ScenarioResult};
use gapless::model::{Cause, FailureClass, Verdict};
use gapless::record::Record;

pub(crate) const GAPLESS: &str = env!("CARGO_BIN_EXE_gapless");

/// Where the service of a lab listens: nothing else uses this port, in this box or (the kernel's trace knows no
/// network namespaces) in another.
const TCP: &str = "127.0.0.1:18471";

const UNIX: &str = "/run/gapless-lab/lab.sock";

/// A scenario in the making. Begins as the demo server that binds a TCP port itself, with the default load.
pub(crate) struct Lab {
    address: &'static str,
    server: String,
    service_lines: String,
    unit_lines: String,
    /// None: the service binds the address itself.
    socket_lines: Option<String>,
    target: String,
    loads: String,
    run: String,
    steps: String,
}

impl Lab {
    /// The service binds its own port.
    pub(crate) fn binding_its_port() -> Self {
        Self {
            address: TCP,
            server: String::new(),
            service_lines: String::new(),
            unit_lines: String::new(),
            socket_lines: None,
            target: String::new(),
            loads: String::new(),
            run: "warmup = \"300ms\"\ncooldown = \"500ms\"\nready_timeout = \"10s\"\n".to_owned(),
            steps: String::new(),
        }
    }

    /// The service gets its port from a socket unit.
    pub(crate) fn behind_a_socket() -> Self {
        Self { socket_lines: Some(String::new()), ..Self::binding_its_port() }
    }

    /// The service gets a Unix socket from a socket unit.
    pub(crate) fn behind_a_unix_socket() -> Self {
        Self { address: UNIX, ..Self::behind_a_socket() }
    }

    /// Options of the demo server.
    pub(crate) fn serving(mut self, options: &str) -> Self {
        write!(self.server, " {options}").expect("memory");
        self
    }

    /// A line of the service's `[Service]` section.
    pub(crate) fn with_service(mut self, line: &str) -> Self {
        writeln!(self.service_lines, "{line}").expect("memory");
        self
    }

    /// A line of the service's `[Unit]` section.
    pub(crate) fn with_unit(mut self, line: &str) -> Self {
        writeln!(self.unit_lines, "{line}").expect("memory");
        self
    }

    /// A line of the socket's `[Socket]` section.
    pub(crate) fn with_socket(mut self, line: &str) -> Self {
        let lines = self.socket_lines.as_mut().expect("a lab with a socket");
        writeln!(lines, "{line}").expect("memory");
        self
    }

    /// A line of `[target]`.
    pub(crate) fn with_target(mut self, line: &str) -> Self {
        writeln!(self.target, "{line}").expect("memory");
        self
    }

    /// A line of `[run]`.
    pub(crate) fn with_run(mut self, line: &str) -> Self {
        writeln!(self.run, "{line}").expect("memory");
        self
    }

    /// One cohort that keeps its connections, in place of the default load.
    pub(crate) fn under_kept_connections(self, rate: u32) -> Self {
        self.under(&format!("name = \"kept\"\nrate = {rate}\nconnections = 8\n"))
    }

    /// One cohort that connects anew for every request, in place of the default load.
    pub(crate) fn under_new_connections(self, rate: u32) -> Self {
        self.under(&format!("name = \"new\"\nrate = {rate}\nreuse = false\n"))
    }

    /// A cohort that connects, and sends its request so much later.
    pub(crate) fn under_hesitant_connections(self, rate: u32, delay: &str) -> Self {
        self.under(&format!("name = \"hesitant\"\nrate = {rate}\nreuse = false\nconnect_delay = \"{delay}\"\n"))
    }

    fn under(mut self, cohort: &str) -> Self {
        write!(self.loads, "[[load]]\n{cohort}\n").expect("memory");
        self
    }

    /// A step: its lines.
    pub(crate) fn then(mut self, lines: &str) -> Self {
        write!(self.steps, "[[steps]]\n{lines}\n\n").expect("memory");
        self
    }

    /// Restarts the service once.
    pub(crate) fn restarted(self) -> Self {
        self.then("restart = \"service\"")
    }

    /// Runs it through systemd.
    pub(crate) fn diagnosis(self) -> Diagnosis {
        let place = tempfile::tempdir_in("/var/tmp").expect("a place for files");
        let scenario = self.write_to(place.path());
        let out = place.path().join("out");
        let output = Command::new(GAPLESS)
            .args(["run", "--manager", "system", "--out"])
            .args([&out, &scenario])
            .output()
            .expect("gapless runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Diagnosis::read(&out, said)
    }

    fn write_to(&self, place: &Path) -> PathBuf {
        let mut files = vec!["lab.service"];
        let mut listen = format!(" --listen {}", self.address);
        let mut roles = "service = \"lab.service\"\n".to_owned();
        if let Some(lines) = &self.socket_lines {
            let address = self.address;
            let text = format!("[Socket]\nListenStream={address}\nRemoveOnStop=yes\n{lines}");
            fs::write(place.join("lab.socket"), text).expect("written");
            files.push("lab.socket");
            roles.push_str("socket = \"lab.socket\"\n");
            listen.clear();
        }
        let service = format!(
            "[Unit]\nDescription=A server to be diagnosed\n{}\n[Service]\nType=notify\nExecStart={GAPLESS} demo-server{listen}{}\n{}",
            self.unit_lines, self.server, self.service_lines,
        );
        fs::write(place.join("lab.service"), service).expect("written");
        let target = match self.address {
            UNIX => format!("url = \"http://lab/\"\nunix = \"{UNIX}\"\n"),
            tcp => format!("url = \"http://{tcp}/\"\n"),
        };
        let text = format!(
            "name = \"lab\"\n\n[target]\n{target}{}\n{}[units]\n{roles}files = {files:?}\n\n[run]\n{}\n{}",
            self.target, self.loads, self.run, self.steps,
        );
        let path = place.join("lab.toml");
        fs::write(&path, text).expect("written");
        path
    }
}

/// What gapless made of a lab.
#[derive(Debug)]
pub(crate) struct Diagnosis {
    pub(crate) result: ScenarioResult,
    pub(crate) record: Record,
    said: String,
}

impl Diagnosis {
    /// Reads what a run left in its folder.
    pub(crate) fn read(out: &Path, said: String) -> Self {
        let text = fs::read(out.join("result.json")).unwrap_or_else(|error| panic!("no result ({error}): {said}"));
        let result: RunResult = serde_json::from_slice(&text).expect("a result");
        let record = fs::File::open(out.join("records/lab.jsonl")).expect("a record");
        let record = Record::read(std::io::BufReader::new(record)).expect("a whole record");
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

    #[track_caller]
    pub(crate) fn event(&self, number: usize) -> &EventResult {
        self.result.events.get(number - 1).unwrap_or_else(|| panic!("no event {number}{}", self.story()))
    }
}
