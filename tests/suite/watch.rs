//! `gapless watch` as scripts and people see it: exit codes, streams, and what happens to the command.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Output, Stdio};
use std::sync::MutexGuard;
use std::time::{Duration, Instant};

use assert_cmd::Command;
use gapless::demo::server::{Background, ServerOptions};
use gapless::model::Endpoint;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{GAPLESS, assert_passed_unless_late, result_in, turn};

/// Long enough for whatever is awaited; never waited out where all is well.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server, and a folder to watch it from.
struct Bench {
    server: Background,
    folder: TempDir,
    _turn: MutexGuard<'static, ()>,
}

impl Bench {
    fn new() -> Self {
        Self::with(&[])
    }

    /// Its server does `faults`.
    fn with(faults: &[&str]) -> Self {
        let anywhere = Endpoint::Tcp("127.0.0.1:0".parse().expect("an address"));
        let mut options = ServerOptions::listening_on(vec![anywhere]);
        options.faults = faults.iter().map(|fault| fault.parse().expect("a fault")).collect();
        let server = Background::start(options).expect("it listens");
        Self { server, folder: tempfile::tempdir().expect("a folder"), _turn: turn() }
    }

    fn url(&self) -> String {
        let Endpoint::Tcp(address) = &self.server.endpoints()[0] else { panic!("a TCP server") };
        format!("http://{address}/health")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `gapless watch URL --out out` with those arguments.
    fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = std::process::Command::new(GAPLESS);
        command.current_dir(self.folder.path()).args(["watch", &self.url(), "--out", "out"]);
        // Most look at what happens while the command runs, and at nothing else.
        if !arguments.contains(&"--cooldown") {
            command.args(["--warmup", "0s", "--cooldown", "0s"]);
        }
        command.args(arguments);
        command.env_remove("GITHUB_STEP_SUMMARY").env_remove("GITHUB_ACTIONS").env_remove("GITHUB_OUTPUT");
        command
    }

    fn watch(&self, arguments: &[&str]) -> Command {
        Command::from_std(self.command(arguments))
    }

    fn result(&self) -> Value {
        let result = fs::read(self.path("out/result.json")).expect("it is there");
        let mut result: Value = serde_json::from_slice(&result).expect("JSON");
        result["scenarios"][0].take()
    }

    fn assert_passed_unless_late(&self, output: &Output) {
        assert_passed_unless_late(output, &result_in(&self.path("out")));
    }

    /// The lines of that type.
    fn lines(&self, kind: &str) -> Vec<Value> {
        let record = fs::read_to_string(self.path("out/records/watch.jsonl")).expect("it is there");
        let lines = record.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        lines.filter(|line| line["type"] == kind).collect()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Waits until `condition` gives something.
fn await_that<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(begun.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The number in a file, once it is there.
fn pid_in(path: &Path) -> Pid {
    await_that("the command's PID", || Pid::from_raw(fs::read_to_string(path).ok()?.trim().parse().ok()?))
}

/// Whether the process is gone, or waits only for its new parent to notice.
fn has_ended(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    stat.map_or(true, |stat| stat.rsplit(") ").next().is_some_and(|fields| fields.starts_with('Z')))
}

fn spawn(mut command: std::process::Command) -> Child {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts")
}

fn interrupt(gapless: Child) -> Output {
    let pid = Pid::from_child(&gapless);
    kill_process(pid, Signal::INT).expect("it is there");
    gapless.wait_with_output().expect("it ends")
}

#[test]
fn a_command_that_does_no_harm_exits_0_and_is_in_the_record() {
    let bench = Bench::new();
    // Some load must have run before the command ends.
    let run = bench.watch(&["--", "sh", "-c", "echo deployed; sleep 1"]).assert();
    bench.assert_passed_unless_late(run.get_output());
    let exec = &bench.lines("exec")[0];
    assert_eq!((&exec["exit_code"], &exec["output"]), (&0.into(), &"deployed\n".into()));
    assert_eq!(exec["argv"][0], "sh");
    let result = bench.result();
    assert_eq!(result["requests"]["failed"], 0);
    assert!(result["requests"]["due"].as_u64().expect("a number") >= 200, "{}", result["requests"]);
    assert_eq!(result["requests"]["due"], bench.server.counts().requests);
}

#[test]
fn a_target_that_is_not_healthy_before_the_command_is_inconclusive_and_the_command_is_not_run() {
    for (faults, code, has_run) in [(&["wrong-status"][..], 3, false), (&[], 0, true)] {
        let bench = Bench::with(faults);
        let run = bench.watch(&["--cooldown", "100ms", "--", "touch", "ran"]).assert();
        if has_run {
            bench.assert_passed_unless_late(run.get_output());
        } else {
            run.code(code);
        }
        assert_eq!(bench.path("ran").exists(), has_run, "{faults:?}");
        assert_eq!(bench.lines("exec").len(), usize::from(has_run), "{faults:?}");
    }
}

#[test]
fn what_is_lost_after_the_command_has_ended_counts_until_the_cooldown_is_over() {
    // The server is killed two seconds after the command has returned.
    let deploy = |cooldown: &str, code: i32| {
        let bench = Bench::new();
        let port =
            std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
        let address = format!("127.0.0.1:{port}");
        let mut server = std::process::Command::new(GAPLESS)
            .args(["demo-server", "--listen", &address])
            .stdin(Stdio::null())
            .spawn()
            .expect("it starts");
        await_that("the server", || std::net::TcpStream::connect(&address).ok());
        let kill = format!("(sleep 2; kill -9 {}) >/dev/null 2>&1 &", server.id());
        let mut watch = Command::new(GAPLESS);
        watch.current_dir(bench.folder.path()).args(["watch", &format!("http://{address}/"), "--out", "out"]);
        watch.args(["--warmup", "500ms", "--cooldown", cooldown, "--", "sh", "-c", &kill]).assert().code(code);
        let _ = server.wait();
        bench.result()["dropped"].as_u64().expect("a number")
    };
    assert!(deploy("4s", 1) > 0);
    assert_eq!(deploy("0s", 0), 0);
}

#[test]
fn a_server_that_ends_while_it_is_watched_is_an_event_with_its_losses_and_its_successor() {
    let bench = Bench::new();
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
    let address = format!("127.0.0.1:{port}");
    let serve = format!("{GAPLESS} demo-server --listen {address}");
    let mut server = std::process::Command::new(GAPLESS)
        .args(["demo-server", "--listen", &address])
        .stdin(Stdio::null())
        .spawn()
        .expect("it starts");
    await_that("the server", || std::net::TcpStream::connect(&address).ok());
    let deploy = format!(
        "sleep 1; kill -9 {}; sleep 1\n{serve} </dev/null >/dev/null 2>&1 &\necho $! >next; sleep 3",
        server.id()
    );
    let mut watch = Command::new(GAPLESS);
    watch.current_dir(bench.folder.path()).args(["watch", &format!("http://{address}/"), "--out", "out"]);
    watch.args(["--warmup", "500ms", "--cooldown", "500ms", "--", "sh", "-c", &deploy]).assert().code(1);
    let _ = server.wait();
    let next = pid_in(&bench.path("next"));
    let _ = kill_process(next, Signal::KILL);

    let result = bench.result();
    let events = result["events"].as_array().expect("a list");
    let actions: Vec<_> = events.iter().map(|event| event["action"].as_str().expect("a word")).collect();
    assert_eq!(actions, ["exec", "exit"]);
    let exit = &events[1];
    assert_eq!(exit["main_pid_before"], server.id());
    assert_eq!(exit["main_pid_after"], next.as_raw_nonzero().get());
    assert!(exit["process"].as_str().is_some_and(|process| process.contains(&format!("({})", server.id()))), "{exit}");
    let dropped = |event: &Value| event["dropped"].as_u64().expect("a number");
    assert!(dropped(exit) > 0);
    assert_eq!(dropped(&events[0]) + dropped(exit), result["dropped"].as_u64().expect("a number"));
    assert_eq!(result["steps"][0]["events"], 1, "the step was run once");
}

#[test]
fn a_command_that_fails_is_a_failed_verdict() {
    let bench = Bench::new();
    let run = bench.watch(&["--", "sh", "-c", "exit 7"]).assert().code(1);
    assert!(text(&run.get_output().stdout).contains("exit status: 7"));
    assert_eq!(bench.result()["verdict"], "failed");
}

#[test]
fn a_lost_request_is_a_failed_verdict_though_the_command_succeeds() {
    let bench = Bench::with(&["close-before@first=3"]);
    bench.watch(&["--rate", "100", "--", "sleep", "0.5"]).assert().code(1);
    let result = bench.result();
    assert_eq!((&result["verdict"], &result["dropped"]), (&"failed".into(), &3.into()));
    assert_eq!(result["outcomes"]["closed_before_response"], 3);
}

#[test]
fn a_command_that_is_not_there_exits_2_before_anything_is_sent() {
    let bench = Bench::new();
    fs::write(bench.path("notes.txt"), "").expect("written");
    for (program, reason) in [
        ("no-such-program", "there is no such program in PATH"),
        ("./deplyo.sh", "No such file"),
        ("./notes.txt", "chmod +x"),
    ] {
        let run = bench.watch(&["--", program]).assert().code(2);
        let stderr = text(&run.get_output().stderr);
        assert!(stderr.contains(&format!("cannot run `{program}`")) && stderr.contains(reason), "{stderr}");
    }
    assert_eq!(bench.server.counts().requests, 0);
    assert!(!bench.path("out").exists());
}

#[test]
fn the_command_gets_our_environment_and_our_input() {
    let bench = Bench::new();
    let script = "read line; echo \"$DEPLOY_TOKEN:$line\"";
    let mut watch = bench.watch(&["--", "sh", "-c", script]);
    let _ = watch.env("DEPLOY_TOKEN", "of the shell").write_stdin("yes\n").assert();
    assert_eq!(bench.lines("exec")[0]["output"], "of the shell:yes\n");
}

#[test]
fn the_user_sees_what_the_command_prints_above_the_table() {
    let bench = Bench::new();
    let run = bench.watch(&["--", "sh", "-c", "echo to stdout; echo to stderr >&2"]).assert();
    let output = run.get_output();
    assert!(text(&output.stdout).starts_with("to stdout\n"), "{}", text(&output.stdout));
    assert!(text(&output.stderr).lines().any(|line| line == "to stderr"), "{}", text(&output.stderr));
}

#[test]
fn stdout_holds_the_document_alone_where_a_program_reads_it() {
    let bench = Bench::new();
    let run = bench.watch(&["--format", "json", "--", "sh", "-c", "echo to stdout"]).assert();
    let output = run.get_output();
    assert_eq!(output.stdout, fs::read(bench.path("out/result.json")).expect("it is there"));
    assert!(text(&output.stderr).lines().any(|line| line == "to stdout"), "{}", text(&output.stderr));
}

#[test]
fn an_interrupt_ends_the_command_and_what_was_measured_is_written() {
    let bench = Bench::new();
    // What it waits for is of its group: both must be gone.
    let script = "echo $$ > parent; sh -c 'echo $$ > child; exec sleep 600'; echo unreachable";
    let gapless = spawn(bench.command(&["--", "sh", "-c", script]));
    let (parent, child) = (pid_in(&bench.path("parent")), pid_in(&bench.path("child")));
    await_that("some load", || (bench.server.counts().requests > 20).then_some(()));
    let output = interrupt(gapless);
    assert_eq!(output.status.code(), Some(130), "{}", text(&output.stderr));
    for pid in [parent, child] {
        await_that("its end", || has_ended(pid).then_some(()));
    }
    let result = bench.result();
    assert_eq!((&result["verdict"], &result["incomplete"]), (&"inconclusive".into(), &false.into()), "{result:#}");
    assert_eq!(bench.lines("end")[0]["reason"], "interrupted");
    Command::new(GAPLESS).current_dir(bench.folder.path()).args(["report", "out"]).assert().code(3);
}

#[test]
fn an_interrupt_ends_a_watch_without_a_command() {
    let bench = Bench::new();
    let gapless = spawn(bench.command(&["--duration", "10m"]));
    await_that("some load", || (bench.server.counts().requests > 20).then_some(()));
    let output = interrupt(gapless);
    assert_eq!(output.status.code(), Some(130), "{}", text(&output.stderr));
    assert_ne!(bench.result()["verdict"], "passed");
}

#[test]
fn a_duration_without_a_command_loads_for_so_long() {
    let bench = Bench::new();
    let run = bench.watch(&["--duration", "1s", "--rate", "200"]).assert();
    bench.assert_passed_unless_late(run.get_output());
    let result = bench.result();
    let due = result["requests"]["due"].as_u64().expect("a number");
    assert!(due >= 200, "{due}");
    assert_eq!(result["requests"]["ok"], due);
    if result["verdict"] == "passed" {
        assert_eq!(result["reasons"], json!([format!("None of {due} requests failed.")]));
    }
    assert_eq!(bench.server.counts().requests, due, "every request came once");
}

#[test]
fn a_target_that_nobody_listens_at_is_told_as_such_on_every_kind_of_address() {
    let bench = Bench::new();
    let missing = bench.path("missing.sock");
    let stale = bench.path("stale.sock");
    drop(std::os::unix::net::UnixListener::bind(&stale).expect("a socket"));
    let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port").port();
    let by_name = format!("http://localhost:{port}/");
    let over = |path: &Path| ["--unix".to_owned(), path.display().to_string()];
    for (url, more) in [(&by_name, None), (&bench.url(), Some(over(&missing))), (&bench.url(), Some(over(&stale)))] {
        // Enough of them that not each is kept as a sample.
        let watch = ["watch", url, "--rate", "1200", "--duration", "1s", "--out", "out"];
        let mut command = Command::new(GAPLESS);
        command.current_dir(bench.folder.path()).args(watch).args(more.into_iter().flatten());
        command.assert().code(1);
        let result = bench.result();
        assert_eq!(result["causes"], json!({ "no_listener": result["requests"]["due"] }), "{url}");
        fs::remove_dir_all(bench.path("out")).expect("it was there");
    }
}

#[test]
fn clients_keep_so_many_connections_and_connections_bound_a_rate() {
    for (options, opened) in [(["--clients", "3"], 3), (["--connections", "2"], 2)] {
        let bench = Bench::new();
        let _ = bench.watch(&[&options[..], &["--duration", "500ms"]].concat()).assert();
        let result = bench.result();
        assert_eq!(result["requests"]["failed"], 0, "{options:?}");
        let kept = result["cohorts"][0]["connections"]["opened"].as_u64().expect("a number");
        assert!((1..=opened).contains(&kept), "{options:?}: {kept}");
        assert_eq!(result["connections"]["opened"], bench.server.counts().connections, "{options:?}");
    }
}

#[test]
fn what_does_not_speak_http_is_told_what_to_expect() {
    let bench = Bench::new();
    let url = bench.url().replacen("http:", "tcp:", 1).replace("/health", "");
    let watch = |pattern: &str, out: &str| {
        let said = ["--body", "GET /health HTTP/1.0\r\n\r\n", "--expect-body", pattern];
        let mut command = Command::new(GAPLESS);
        command.current_dir(bench.folder.path()).args(["watch", &url, "--duration", "500ms", "--rate", "50"]);
        command.args(said).args(["--out", out]).assert()
    };
    bench.assert_passed_unless_late(watch("200 OK", "out").get_output());
    watch("no such answer", "other").code(1);
}

#[test]
fn fresh_opens_a_connection_for_every_request() {
    let bench = Bench::new();
    let _ = bench.watch(&["--fresh", "--rate", "50", "--duration", "500ms"]).assert();
    let (result, counts) = (bench.result(), bench.server.counts());
    assert!(counts.requests >= 25, "{counts:?}");
    assert_eq!(
        (counts.connections, counts.requests),
        (counts.requests, result["requests"]["due"].as_u64().expect("a number"))
    );
    assert_eq!(result["connections"]["reused_requests"], 0);
}

#[test]
fn a_job_of_github_gets_the_summary_and_an_annotation() {
    let bench = Bench::new();
    let (summary, outputs) = (bench.path("summary.md"), bench.path("outputs"));
    let mut watch = bench.watch(&["--", "false"]);
    watch.env("GITHUB_STEP_SUMMARY", &summary).env("GITHUB_OUTPUT", &outputs).env("GITHUB_ACTIONS", "true");
    let run = watch.assert().code(1);
    assert!(fs::read_to_string(summary).expect("it is there").contains("watch"));
    let outputs = fs::read_to_string(outputs).expect("it is there");
    assert!(outputs.starts_with("verdict=failed\ndropped=0\nhttp_000=0\np99_ms="), "{outputs}");
    assert!(outputs.lines().any(|line| line.starts_with("report=") && line.ends_with("report.html")), "{outputs}");
    let said = text(&run.get_output().stderr);
    assert!(said.contains("::error title=gapless%3A watch step.exec::"), "{said}");
}

#[test]
fn a_secret_of_the_environment_reaches_the_server_and_nothing_else() {
    let bench = Bench::new();
    let secret = "correct-horse-7";
    let options = ["-X", "PUT", "-H", "X-Note: {env:NOTE}", "-d", "note={env:NOTE}", "--rate", "50"];
    let mut watch = bench.watch(&[&options[..], &["--", "sh", "-c", "echo got $NOTE"]].concat());
    let run = watch.env("NOTE", secret).assert().code(0);
    let shown = text(&run.get_output().stdout) + &text(&run.get_output().stderr);
    assert!(!shown.replace(&format!("got {secret}"), "").contains(secret), "{shown}");
    for file in ["result.json", "report.html", "report.md", "junit.xml", "records/watch.jsonl"] {
        let recorded = fs::read_to_string(bench.path("out").join(file)).expect("a report");
        assert!(!recorded.contains(secret), "{file} tells it");
    }
    let mut unset = bench.watch(&["-H", "X-Note: {env:NO_SUCH_NOTE}", "--duration", "1s"]);
    let refused = unset.env_remove("NO_SUCH_NOTE").assert().code(2);
    let said = text(&refused.get_output().stderr);
    assert!(said.contains("NO_SUCH_NOTE is not set") && said.contains("nothing was started"), "{said}");
}

#[test]
fn a_gate_that_knows_two_answers_gets_one_for_inconclusive() {
    for (answer, code) in [("pass", 0), ("fail", 1)] {
        let bench = Bench::new();
        // A command is not run against a target that is not healthy.
        bench
            .watch(&[
                "--warmup",
                "200ms",
                "--cooldown",
                "0s",
                "--expect-status",
                "404",
                "--inconclusive-as",
                answer,
                "--",
                "true",
            ])
            .assert()
            .code(code);
        assert_eq!(bench.result()["verdict"], "inconclusive");
    }
}
