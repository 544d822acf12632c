//! `--instance`: who answered, and what an old release answers after the command that was to replace it. The truth is
//! what the server counted of each.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use gapless::analysis::result::ScenarioResult;
use gapless::model::{Endpoint, Verdict};
use tempfile::TempDir;

use crate::load::server::Server;
use crate::support::{GAPLESS, result_in, turn};

/// Requests from the flip on until an old release answers again: more than come in a second.
const MARGIN: u64 = 300;

/// A server of two releases, the new one from when `flip` is there, and a folder to watch it from.
struct Releases {
    server: Server,
    counted: Arc<Mutex<BTreeMap<String, u64>>>,
    folder: TempDir,
    _turn: MutexGuard<'static, ()>,
}

impl Releases {
    /// `[old, new]` are the names that answers give; so many answers of the old one come late.
    fn new([old, new]: [&'static str; 2], left_over: u64) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let counted = Arc::<Mutex<BTreeMap<String, u64>>>::default();
        let (counts, flip, since) = (Arc::clone(&counted), folder.path().join("flip"), AtomicU64::new(0));
        let server = Server::tcp_with(move |_, conn| {
            let place = if flip.exists() { since.fetch_add(1, Ordering::SeqCst) + 1 } else { 0 };
            let is_old = place == 0 || (MARGIN..MARGIN + left_over).contains(&place);
            let name = if is_old { old } else { new };
            conn.take_request()?;
            conn.write_all(
                format!("HTTP/1.1 200 OK\r\nX-Release: {name}\r\ncontent-length: 5\r\n\r\nhello").as_bytes(),
            )?;
            *counts.lock().expect("no test panicked").entry(name.to_owned()).or_default() += 1;
            Ok(true)
        });
        Self { server, counted, folder, _turn: turn() }
    }

    /// Watches a command that flips, and goes on for long enough.
    fn watch(&self, options: &[&str]) -> (ScenarioResult, Output) {
        let Endpoint::Tcp(address) = &self.server.endpoint else { panic!("a TCP server") };
        let mut command = Command::new(GAPLESS);
        command.current_dir(self.folder.path()).args(["watch", &format!("http://{address}/"), "--out", "out"]);
        command.args(["--warmup", "500ms", "--cooldown", "3s"]).args(options);
        command.args(["--", "touch", "flip"]).env("RELEASE_TOKEN", "s3cr3t-release-7");
        command.env_remove("GITHUB_STEP_SUMMARY").env_remove("GITHUB_ACTIONS").env_remove("GITHUB_OUTPUT");
        let output = command.output().expect("it is built");
        let result = result_in(&self.path("out")).scenarios.remove(0);
        (result, output)
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }

    /// The server's own count, less what the warmup was answered.
    fn counted(&self) -> BTreeMap<String, u64> {
        self.counted.lock().expect("no test panicked").clone()
    }
}

fn told(result: &ScenarioResult) -> BTreeMap<String, u64> {
    result.instances.iter().map(|instance| (instance.name.clone(), instance.answers + instance.warmup)).collect()
}

fn shown_in(folder: &Path) -> Vec<String> {
    ["report.md", "report.html", "result.json", "records/watch.jsonl"]
        .map(|name| fs::read_to_string(folder.join(name)).expect("it is there"))
        .into()
}

#[test]
fn the_answers_of_two_releases_are_those_that_the_server_counted_and_none_is_stale() {
    let releases = Releases::new(["v1", "v2"], 0);
    let (result, output) = releases.watch(&["--instance", "header:X-Release"]);
    assert_eq!(told(&result), releases.counted());
    assert_eq!((result.stale, result.events[0].stale), (Some(0), Some(0)));
    assert!(result.checks.iter().any(|check| check.name == "expect.stale" && check.status == Verdict::Passed));
    let [old, new] = &result.instances[..] else { panic!("{:?}", result.instances) };
    assert!(old.first_ms < 0.0 && old.last_ms <= new.last_ms && new.warmup == 0, "{old:?} {new:?}");
    let mut shown = shown_in(&releases.path("out"));
    shown.push(String::from_utf8_lossy(&output.stdout).into_owned());
    shown.iter().for_each(|text| assert!(text.contains("v1") && text.contains("v2"), "{text}"));
    let metrics = fs::read_to_string(releases.path("out/metrics.prom")).expect("it is there");
    assert!(metrics.contains("gapless_stale{scenario=\"watch\"} 0"), "{metrics}");
}

#[test]
fn what_the_old_release_answers_after_the_command_fails_the_run_unless_it_is_expected() {
    for (options, code) in [(&[][..], 1), (&["--expect", "stale=== 7"], 0)] {
        let releases = Releases::new(["v1", "v2"], 7);
        let (result, output) = releases.watch(&[&["--instance", "header:X-Release"], options].concat());
        assert_eq!(told(&result), releases.counted());
        assert_eq!((result.stale, result.events[0].stale), (Some(7), Some(7)), "{:?}", result.instances);
        let of_release = |name: &str| result.instances.iter().find(|it| it.name == name).map(|it| it.stale);
        assert_eq!((of_release("v1"), of_release("v2")), (Some(7), Some(0)));
        let failed = Some(result.verdict == Verdict::Failed);
        assert_eq!(failed, Some(code == 1), "{:?}", result.reasons);
        let reasons = result.reasons.join(" ");
        assert_eq!(reasons.contains("7 answers were stale (7 of v1)"), code == 1, "{reasons}");
        assert!(output.status.code() == Some(code) || output.status.code() == Some(3), "{:?}", output.status);
    }
}

#[test]
fn answers_that_name_no_instance_leave_it_open_whether_they_are_stale() {
    let releases = Releases::new(["v1", "v2"], 0);
    let (result, output) = releases.watch(&["--instance", "header:X-Pod"]);
    assert_eq!(output.status.code(), Some(3), "{:?}", result.reasons);
    assert!(result.instances.is_empty());
    assert_eq!(result.instances_unknown.map(|unknown| unknown.unnamed), Some(result.requests.ok));
    assert!(result.reasons.join(" ").contains("named no instance in the header X-Pod"), "{:?}", result.reasons);
}

#[test]
fn an_instance_that_is_a_secret_is_masked_wherever_it_is_told() {
    let releases = Releases::new(["s3cr3t-release-7", "v2"], 0);
    let (result, output) = releases.watch(&["--instance", "header:X-Release", "-H", "X-Token: {env:RELEASE_TOKEN}"]);
    let counted = releases.counted();
    assert_eq!(
        told(&result),
        [("***".to_owned(), counted["s3cr3t-release-7"]), ("v2".to_owned(), counted["v2"])].into()
    );
    let mut shown = shown_in(&releases.path("out"));
    shown.extend([&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()));
    shown.iter().for_each(|text| assert!(!text.contains("s3cr3t-release-7"), "{text}"));
}
