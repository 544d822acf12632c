//! Several generators that share a load, and what is merged of them. The truth is what the server counted.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use gapless::demo::scenarios;
use gapless::model::{ActionKind, Endpoint, Verdict};
use gapless::record::line::Line;
use gapless::result::{RunResult, ScenarioResult};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use saphyr::{LoadableYamlNode as _, Yaml};
use tempfile::TempDir;

use crate::load::server::Server;
use crate::support::{GAPLESS, assert_passed_unless_late, lines_of, result_in, turn};

/// A folder that generators leave their runs in.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(GAPLESS);
        command.current_dir(self.0.path()).args(arguments);
        for name in ["GITHUB_STEP_SUMMARY", "GITHUB_ACTIONS", "GITHUB_OUTPUT", "PARALLEL_SEQ", "SLURM_PROCID"] {
            command.env_remove(name);
        }
        command
    }

    fn gapless(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("it is built")
    }

    /// `of` generators at once, each into the folder of its number.
    fn generators(&self, of: u32, arguments: &[&str]) {
        let start_at = soon();
        let spawn = |index: u32| {
            let (shard, out) = (format!("{index}/{of}"), index.to_string());
            let own = ["--shard", &shard, "--start-at", &start_at, "--out", &out];
            // What follows -- is a command's.
            let end = arguments.iter().position(|argument| *argument == "--").unwrap_or(arguments.len());
            let (options, rest) = arguments.split_at(end);
            let mut command = self.command(&[options, &own, rest].concat());
            command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("it is built")
        };
        let generators: Vec<Child> = (1..=of).map(spawn).collect();
        for generator in generators {
            let output = generator.wait_with_output().expect("ours");
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(matches!(output.status.code(), Some(0 | 1 | 3)), "{said}");
        }
    }

    fn merge(&self, folders: &[&str]) -> Output {
        self.gapless(&[&["merge"], folders, &["--out", "merged"]].concat())
    }

    fn merged(&self) -> RunResult {
        result_in(&self.path("merged"))
    }

    fn own(&self, folder: &str) -> ScenarioResult {
        result_in(&self.path(folder)).scenarios.remove(0)
    }
}

/// When all generators have begun to wait.
fn soon() -> String {
    #[expect(clippy::disallowed_methods, reason = "generators start by the wall clock")]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
    format!("@{}", now.as_secs() + 4)
}

fn url(server: &Server) -> String {
    let Endpoint::Tcp(address) = &server.endpoint else { panic!("a TCP server") };
    format!("http://{address}/")
}

#[test]
fn three_generators_send_what_one_would_and_the_merge_counts_what_the_server_did() {
    let _turn = turn();
    let asked = Arc::<Mutex<BTreeMap<String, u64>>>::default();
    let counts = Arc::clone(&asked);
    let server = Server::tcp_with(move |_, conn| {
        let text = conn.take_request()?;
        let path = text.split(' ').nth(1).unwrap_or_default().to_owned();
        *counts.lock().expect("no test panicked").entry(path).or_default() += 1;
        conn.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")?;
        Ok(true)
    });
    let place = Place::new();
    fs::write(place.path("paths.txt"), "/light\n/heavy\n/heavy\n/heavy\n").expect("written");
    let watch =
        ["watch", &url(&server), "--requests", "paths.txt", "--rate", "200", "--duration", "2s", "--warmup", "1s"];
    place.generators(3, &watch);
    let output = place.merge(&["3", "1", "2"]);
    let result = place.merged();
    assert_passed_unless_late(&output, &result);
    let merged = &result.scenarios[0];
    let shards: Vec<u64> = merged.generators.iter().map(|it| it.requests.due + it.requests.warmup).collect();
    // 160/s and 40/s, from the start of the load to the end of its window, whoever sent them. On a busy machine the first,
    // which waits for its steps, goes on a little longer.
    let longer = shards[0] - 200;
    assert_eq!(shards, [200 + longer, 200, 200]);
    assert!(longer == 0 || merged.notes.iter().any(|note| note.message.contains("longer than the other shards")));
    assert_eq!(merged.requests.due + merged.requests.warmup, 600 + longer, "{:?}", merged.requests);
    assert_eq!((merged.requests.ok, merged.requests.failed), (merged.requests.due, 0));
    let asked = asked.lock().expect("no test panicked").clone();
    assert_eq!(asked.values().sum::<u64>(), 600 + longer);
    let by_weight = (150..=150 + longer).contains(&asked["/light"]) && (450..=450 + longer).contains(&asked["/heavy"]);
    assert!(by_weight, "each by its weight, as of one generator: {asked:?}");
    let told: u64 = merged.requests_by_path.iter().map(|path| path.due).sum();
    assert_eq!(told, merged.requests.due);

    let owns: Vec<ScenarioResult> = ["1", "2", "3"].map(|folder| place.own(folder)).into();
    assert_eq!(owns.iter().map(|own| own.requests.due).sum::<u64>(), merged.requests.due);
    for own in &owns {
        assert!(
            own.reasons.iter().any(|reason| reason.contains("it answers for its own requests alone")),
            "{:?}",
            own.reasons
        );
        let judged_by_all = own.checks.iter().any(|check| check.name.starts_with("sight."));
        assert!(!judged_by_all, "whether a gap went unseen, all attempts tell");
    }
    assert!(merged.checks.iter().any(|check| check.name == "sight.wait" && check.status == Verdict::Passed));

    let before = fs::read(place.path("merged/report.html")).expect("it is there");
    assert_eq!(place.gapless(&["report", "merged"]).status.code(), output.status.code());
    assert_eq!(fs::read(place.path("merged/report.html")).expect("it is there"), before, "report gives the same bytes");
    for name in ["report.md", "report.html"] {
        assert!(fs::read_to_string(place.path("merged").join(name)).expect("it is there").contains("Generators"));
    }
}

#[test]
fn the_first_shard_alone_restarts_and_what_the_others_lost_is_put_under_its_events() {
    let _turn = turn();
    let place = Place::new();
    let scenarios = scenarios::write_to(&place.path("demo"), Path::new(GAPLESS)).expect("written");
    let plain = scenarios.iter().find(|path| path.ends_with("plain-restart.toml")).expect("it is one of them");
    let plain = plain.to_str().expect("UTF-8");
    place.generators(3, &["run", plain, "--manager", "embedded", "--duration", "8s", "--set", "run.warmup=1s"]);
    let output = place.merge(&["1", "2", "3"]);
    let result = place.merged();
    let merged = &result.scenarios[0];
    assert_passed_unless_late(&output, &result);
    let restarts = merged.events.iter().filter(|event| event.action == ActionKind::Restart);
    assert!(
        restarts.clone().count() == 2 && restarts.clone().all(|event| event.dropped > 0 && event.proven == Some(true))
    );
    assert_eq!(merged.dropped_outside_events, 0, "nothing else took the service away");
    let owns = ["1", "2", "3"].map(|folder| place.own(folder));
    assert_eq!(owns.iter().map(|own| own.dropped).sum::<u64>(), merged.dropped);
    assert!(owns.iter().all(|own| own.dropped > 0), "each was refused");
    assert!(owns[1].events.is_empty() && owns[2].events.is_empty(), "shard 1 alone acts");
    assert!(owns[1].checks.iter().all(|check| !check.name.starts_with("step.") && !check.name.starts_with("end.")));
    assert!(owns[1].manager.is_none() && owns[0].manager.is_some());
    assert_eq!(merged.requests.due, owns.iter().map(|own| own.requests.due).sum::<u64>());
    let looks = |folder: &str| lines_of(&place.path(folder).join("records/plain-restart.jsonl"));
    let units = looks("merged").iter().filter(|line| matches!(line, Line::Unit(_))).count();
    assert_eq!(units, looks("1").iter().filter(|line| matches!(line, Line::Unit(_))).count());
}

#[test]
fn a_command_is_run_once_however_many_generators_there_are() {
    let _turn = turn();
    let server = Server::tcp_with(|_, conn| {
        conn.take_request()?;
        conn.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")?;
        Ok(true)
    });
    let place = Place::new();
    let url = url(&server);
    place.generators(2, &["watch", &url, "--duration", "2s", "--cooldown", "1s", "--", "sh", "-c", "echo ran >> ran"]);
    assert_eq!(fs::read_to_string(place.path("ran")).expect("it ran"), "ran\n");
    let output = place.merge(&["1", "2"]);
    assert_passed_unless_late(&output, &place.merged());
    assert_eq!(place.merged().scenarios[0].events.len(), 1);
}

#[test]
fn one_generator_is_merged_as_well() {
    let _turn = turn();
    let server = Server::tcp_with(|_, conn| {
        conn.take_request()?;
        conn.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")?;
        Ok(true)
    });
    let place = Place::new();
    let output = place.gapless(&["watch", &url(&server), "--duration", "1s", "--shard", "1/1", "--out", "1"]);
    assert_passed_unless_late(&output, &result_in(&place.path("1")));
    assert_passed_unless_late(&place.merge(&["1"]), &place.merged());
    let (own, merged) = (place.own("1"), place.merged().scenarios.remove(0));
    assert_eq!((own.requests, own.latency_ms, own.stall_ms), (merged.requests, merged.latency_ms, merged.stall_ms));
    assert_eq!(own.steps, merged.steps);
}

#[test]
fn what_does_not_make_sense_is_refused_before_anything_is_sent() {
    let place = Place::new();
    let mistake = |arguments: &[&str]| {
        let output = place.gapless(&[&["watch", "http://127.0.0.1:1/"], arguments].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        said
    };
    let wait = ["--duration", "1s"];
    assert!(mistake(&[&wait[..], &["--shard", "1/2"]].concat()).contains("needs --start-at"));
    assert!(mistake(&[&wait[..], &["--shard", "3/2", "--start-at", "+9s"]].concat()).contains("not I/N"));
    assert!(
        mistake(&[&wait[..], &["--shard", "1/2", "--start-at", "+9s"]].concat()).contains("another time in each shard")
    );
    assert!(mistake(&[&wait[..], &["--start-at", "@5"]].concat()).contains("give a time to come"));
    assert!(mistake(&[&wait[..], &["--start-at", "noon"]].concat()).contains("not a time"));
    assert!(mistake(&[&wait[..], &["--shard", "auto"]].concat()).contains("JOB_COMPLETION_INDEX"));
    assert!(mistake(&["--duration", "1s", "--", "true"]).contains("only with --shard"));
    assert!(mistake(&["--shard", "1/2", "--start-at", "@9999999999", "--", "true"]).contains("how long it may take"));
    let scenarios = scenarios::write_to(&place.path("demo"), Path::new(GAPLESS)).expect("written");
    let both: Vec<&str> = scenarios.iter().take(2).map(|path| path.to_str().expect("UTF-8")).collect();
    let output = place.gapless(&["run", both[0], both[1], "--shard", "1/2", "--start-at", "@9999999999"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("name one with --only"));
    assert!(!place.path("reports").exists(), "nothing was begun");
}

#[test]
fn a_folder_that_is_no_shards_or_means_harm_is_one_clear_error_and_nothing_is_left() {
    let place = Place::new();
    let forged = |name: &str, record: &[u8]| {
        fs::create_dir_all(place.path(name).join("records")).expect("made");
        fs::write(place.path(name).join("records/a.jsonl"), record).expect("written");
    };
    let refused = |folders: &[&str], code: i32, why: &str| {
        let output = place.merge(folders);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(why) && said.lines().count() == 1, "{said}");
        assert!(!place.path("merged").exists(), "nothing is left of it");
    };
    let alone = include_bytes!("../fixtures/ledger-plain.jsonl");
    forged("alone", alone);
    refused(&["alone"], 2, "generators that share a load are run with --shard I/N");
    forged("empty", b"");
    refused(&["alone", "empty"], 4, "cannot use the record of empty");
    let shard = String::from_utf8_lossy(alone).replacen(
        "\"scenario_text\":\"\"",
        "\"scenario_text\":\"\",\"shard\":{\"share\":\"1/2\",\"plan_sum\":\"0\"}",
        1,
    );
    forged("changed", shard.as_bytes());
    refused(&["changed"], 4, "checksum");
    fs::create_dir_all(place.path("pipe/records")).expect("made");
    mknodat(CWD, place.path("pipe/records/a.jsonl"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).expect("made");
    refused(&["alone", "pipe"], 4, "not a regular file");
    fs::create_dir_all(place.path("link/records")).expect("made");
    std::os::unix::fs::symlink("/etc/passwd", place.path("link/records/a.jsonl")).expect("made");
    refused(&["alone", "link"], 4, "it is a link");
    forged("two", alone);
    fs::write(place.path("two/records/b.jsonl"), alone).expect("written");
    refused(&["two"], 4, "holds 2 records, and a shard leaves one");
    refused(&["nowhere"], 4, "nowhere");
    fs::create_dir_all(place.path("full/records")).expect("made");
    assert_eq!(
        place.gapless(&["merge", "alone", "--out", "full"]).status.code(),
        Some(4),
        "a run never overwrites another"
    );
}

#[test]
#[expect(clippy::print_stderr, reason = "a test that is skipped says so")]
fn gnu_parallel_runs_the_script_of_the_library() {
    if !Command::new("parallel").arg("--version").output().is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: GNU parallel is not installed");
        return;
    }
    let _turn = turn();
    let server = Server::tcp_with(|_, conn| {
        conn.take_request()?;
        conn.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")?;
        Ok(true)
    });
    let place = Place::new();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/fleet/parallel.sh");
    let own = Path::new(GAPLESS).parent().expect("a folder").to_str().expect("UTF-8");
    let path = format!("{own}:{}", std::env::var("PATH").expect("set"));
    let mut command = Command::new(script);
    command
        .args([url(&server).as_str(), "2s"])
        .current_dir(place.0.path())
        .env("PATH", path)
        .env_remove("GITHUB_STEP_SUMMARY");
    let output = command.output().expect("it runs");
    let merged = place.merged().scenarios.remove(0);
    assert_eq!(merged.requests.due, 500, "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(merged.generators.iter().map(|it| it.shard).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(server.requests(), 500);
}

#[test]
fn the_files_for_launchers_are_what_they_say() {
    let fleet = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/fleet");
    let read = |name: &str| fs::read_to_string(fleet.join(name)).expect("it is there");
    let (job, play) = (read("kubernetes.yaml"), read("ansible.yml"));
    let job = Yaml::load_from_str(&job).expect("YAML").remove(0);
    let spec = &job["spec"];
    assert_eq!((job["kind"].as_str(), spec["completionMode"].as_str()), (Some("Job"), Some("Indexed")));
    assert_eq!(
        (spec["completions"].as_integer(), spec["parallelism"].as_integer()),
        (Some(3), Some(3)),
        "all run at once"
    );
    let args = spec["template"]["spec"]["containers"][0]["args"].as_sequence().expect("a list");
    let args: Vec<&str> = args.iter().filter_map(Yaml::as_str).collect();
    assert!(args.contains(&"--shard=auto/3") && args.contains(&"--start-at=START_AT"));
    let place = Place::new();
    // The same words, at a port that no process is listening on: they are understood, and the load begins.
    let start_at = soon();
    let args = args.iter().map(|word| word.replace("http://ledger.example/health", "http://127.0.0.1:1/"));
    let args: Vec<String> = args
        .map(|word| {
            word.replace("START_AT", &start_at).replace("/runs/$(JOB_COMPLETION_INDEX)", "out").replace("60s", "1s")
        })
        .collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let output = place.command(&words).env("JOB_COMPLETION_INDEX", "2").output().expect("it is built");
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    let Some(Line::Begin(begin)) = lines_of(&place.path("out/records/watch.jsonl")).into_iter().next() else {
        panic!("it begins")
    };
    assert_eq!(begin.shard.expect("it is one").share.to_string(), "3/3");

    let play = Yaml::load_from_str(&play).expect("YAML").remove(0);
    assert_eq!((play[0]["serial"].as_integer(), play[0]["max_fail_percentage"].as_integer()), (Some(1), Some(0)));
    let check = Command::new("bash").arg("-n").arg(fleet.join("slurm.sbatch")).status().expect("bash");
    assert!(check.success() && read("slurm.sbatch").contains("--shard auto "));
}
