//! FastAPI under a real systemd: the main job, and what an interrupted or killed run leaves behind.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use crate::support::{GAPLESS, assert_passed_unless_late, lines_of, result_in};
use gapless::model::FailureClass;
use gapless::record::segment::Scope;
use gapless::record::{Line, Record};
use gapless::result::RunResult;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

/// A run of one of the scenarios in `scenarios/fastapi`.
struct Run {
    folder: TempDir,
    scenario: &'static str,
}

impl Run {
    fn of(scenario: &'static str) -> Self {
        Self { folder: tempfile::tempdir().expect("a folder"), scenario }
    }

    fn command(&self, extra: &[&str]) -> Command {
        let mut command = Command::new(GAPLESS);
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/fastapi").join(self.scenario);
        command.arg("run").arg(path).arg("--out").arg(self.out()).args(extra).stdin(Stdio::null());
        command
    }

    fn out(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    #[expect(clippy::print_stdout, reason = "shown when the test fails")]
    fn finish(&self, extra: &[&str]) -> Output {
        let output = self.command(extra).output().expect("gapless runs");
        println!("{}{}", String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
        output
    }

    /// Starts it and waits until an event begins: its line is `... 2/5 restart ...`.
    fn start_until(&self, event: &str) -> Child {
        let mut child = self.command(&[]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("gapless runs");
        let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
        let begun = lines.by_ref().any(|line| line.expect("text").contains(event));
        assert!(begun, "the run ended before {event}");
        // Whatever it still says is read, so that it never waits for us.
        std::thread::spawn(move || lines.for_each(drop));
        child
    }

    fn result(&self) -> RunResult {
        result_in(&self.out())
    }

    fn record_path(&self) -> PathBuf {
        fs::read_dir(self.out().join("records")).expect("records").next().expect("one").expect("it").path()
    }

    fn record(&self) -> Record {
        Record::read(BufReader::new(fs::File::open(self.record_path()).expect("the record")))
            .expect("a readable record")
    }

    /// Requests of the warmup that were `ok`.
    fn warmup_ok(&self) -> u64 {
        let rows = lines_of(&self.record_path()).into_iter().filter_map(|line| match line {
            Line::Rows(rows) if rows.scope == Scope::Warmup => Some(rows.rows),
            _ => None,
        });
        rows.flatten().map(|row| row.ok).sum()
    }
}

/// How many requests the server itself says it answered with 200 since `since` (a journal cursor's boot has one run
/// of each unit only where tests take turns, so runs are told apart by time).
fn access_log_lines(unit: &str, since: &str) -> u64 {
    let output = Command::new("journalctl")
        .args(["--unit", unit, "--output=cat", "--no-pager", "--since", since])
        .output()
        .expect("journalctl runs");
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().filter(|line| line.ends_with("\"GET /health HTTP/1.1\" 200 OK")).count() as u64
}

/// Now, as journalctl's `--since` takes it, to the microsecond.
fn journal_time() -> String {
    let output = Command::new("date").arg("+%Y-%m-%d %H:%M:%S.%6N").output().expect("date runs");
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

fn assert_nothing_is_left() {
    let own = |folder: &str| -> Vec<String> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().into_string().expect("text")).filter(|name| name != "lock").collect()
    };
    let units: Vec<_> = own("/run/systemd/system").into_iter().filter(|name| name.starts_with("ledger-api")).collect();
    assert_eq!(units, Vec::<String>::new(), "unit files are left");
    assert_eq!(own("/run/gapless"), Vec::<String>::new(), "a ledger is left");
    let loaded = Command::new("systemctl").args(["list-units", "--all", "--no-legend", "ledger-api*"]).output();
    assert_eq!(String::from_utf8_lossy(&loaded.expect("systemctl runs").stdout), "", "units are left");
}

#[test]
#[ignore = "runs in the box"]
fn restarts_behind_a_socket_drop_nothing_and_each_is_proven() {
    let run = Run::of("restart-socket.toml");
    let since = journal_time();
    let output = run.finish(&[]);
    let result = run.result();
    assert_passed_unless_late(&output, &result);
    let scenario = &result.scenarios[0];
    assert_eq!(scenario.dropped, 0);
    assert_eq!(scenario.events.len(), 5);
    for event in &scenario.events {
        assert_eq!(event.proven, Some(true));
        assert_ne!(event.main_pid_before, event.main_pid_after);
        assert_eq!(event.incarnation_changed, Some(true));
        assert_eq!(event.listener_inode_changed, Some(false));
    }
    let requests = &scenario.requests;
    assert_eq!(requests.due, requests.ok + requests.failed + requests.unsent);
    assert_eq!(access_log_lines("ledger-api.service", &since), requests.ok + run.warmup_ok());
    assert_nothing_is_left();
}

#[test]
#[ignore = "runs in the box"]
fn a_service_that_binds_its_own_port_is_seen_to_drop_what_its_access_log_lacks() {
    let run = Run::of("restart-plain.toml");
    let since = journal_time();
    let output = run.finish(&[]);
    let result = run.result();
    assert_passed_unless_late(&output, &result); // the shipped file is a negative control
    let scenario = &result.scenarios[0];
    let requests = &scenario.requests;
    let refused = scenario.outcomes[&FailureClass::Refused];
    assert!(refused > 0);
    assert_eq!(requests.due, requests.ok + requests.failed + requests.unsent);
    // What was answered and lost on its way is in the log and no `ok`; what was refused is in neither.
    let answered = access_log_lines("ledger-api-plain.service", &since) - run.warmup_ok();
    let lost_on_the_way = scenario.dropped - refused;
    assert!(answered >= requests.ok && answered - requests.ok <= lost_on_the_way, "{answered} answered");
    assert!(requests.due - answered <= scenario.dropped && requests.due - answered >= refused);
    assert_nothing_is_left();
}

#[test]
#[ignore = "runs in the box"]
fn a_loss_where_none_is_allowed_fails() {
    let run = Run::of("restart-plain.toml");
    let output = run.finish(&["--times", "1", "--set", "expect.dropped=0"]);
    assert_eq!(output.status.code(), Some(1));
    assert_nothing_is_left();
}

#[test]
#[ignore = "runs in the box"]
fn an_interrupted_run_leaves_a_readable_record_and_none_of_its_units() {
    let run = Run::of("restart-socket.toml");
    let mut child = run.start_until("2/5 restart");
    signal(&child, Signal::INT);
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    assert_nothing_is_left();
    assert!(run.record().end.is_some());
    let report = Command::new(GAPLESS).arg("report").arg(run.out()).output().expect("it runs");
    assert_ne!(report.status.code(), Some(0), "interrupted is never passed");
    assert!(!report.stdout.is_empty());
}

#[test]
#[ignore = "runs in the box"]
fn after_a_killed_run_one_more_run_leaves_nothing_either() {
    let killed = Run::of("restart-socket.toml");
    let mut child = killed.start_until("2/5 restart");
    signal(&child, Signal::KILL);
    child.wait().expect("it ends");
    assert!(Path::new("/run/systemd/system/ledger-api.socket").exists(), "nobody could clean up");
    assert!(killed.record().end.is_none());
    let next = Run::of("restart-plain.toml");
    next.finish(&["--times", "1"]);
    assert_eq!(next.result().scenarios[0].events.len(), 1);
    assert_nothing_is_left();
}

fn signal(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).expect("a PID");
    kill_process(pid, signal).expect("it is there");
}
