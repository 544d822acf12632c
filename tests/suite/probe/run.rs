//! A whole run whose evidence comes through a probe.

use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::rc::Rc;

use gapless::analysis::{analyse, judge_so_far};
use gapless::clock;
use gapless::host::{Host, Remote, machine};
use gapless::manager::systemd::SystemdManager;
use gapless::model::Cause;
use gapless::record::begin::{Begin, Tool};
use gapless::record::line::Line;
use gapless::record::{RecordWriter, SCHEMA};
use gapless::result::ScenarioResult;
use gapless::run::{Interrupt, Recorder, Redaction, Setup, Sharing, Surroundings, drive, progress};
use gapless::scenario;

use super::trace::elsewhen;
use super::{Sleeper, on_one_thread};
use crate::support::{GAPLESS, turn};

/// Requests take as long, and come as often: 20 are in hand at any time.
const SERVICE_TIME: &str = "200ms";
const RATE: u32 = 100;

/// What a run comes to that kills its server, as `watch` runs it, seen by that host.
async fn watched(host: Rc<dyn Host>) -> ScenarioResult {
    let address = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port");
    let mut command = Command::new(GAPLESS);
    command.args(["demo-server", "--listen", &address.to_string(), "--service-time", SERVICE_TIME]);
    let server = Sleeper(command.stdin(Stdio::null()).spawn().expect("it is built"));
    let text = format!(
        "name = \"watch\"\n[target]\nurl = \"http://{address}/\"\n[[load]]\nname = \"kept\"\nrate = {RATE}\n\
         connections = 60\n[run]\nwarmup = \"1s\"\ncooldown = \"1s\"\n[[steps]]\nexec = [\"kill\", \"-9\", \"{}\"]\n\
         ready = false\n",
        server.pid()
    );
    let scenario = scenario::load_text("watch", &text, "/".as_ref()).expect("a scenario");
    let folder = tempfile::tempdir().expect("a folder");
    let writer = RecordWriter::create(&folder.path().join("record.jsonl")).expect("a record");
    let recorder = Recorder::new(writer, Redaction::default());
    recorder.write(&Line::Begin(Box::new(Begin {
        shard: None,
        merged: None,
        schema: SCHEMA.to_owned(),
        tool: Tool { name: "gapless".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() },
        host: machine::describe(None),
        started_at: "2026-01-01T00:00:00Z".to_owned(),
        anchor: clock::now(),
        manager: None,
        plan: scenario.plan.clone(),
        scenario_text: text,
    })));
    let (_source, interrupt) = Interrupt::pair();
    let ended = drive(Setup::<SystemdManager> {
        sharing: Sharing::default(),
        plan: &scenario.plan,
        manager: None,
        ledger: None,
        recorder: &recorder,
        interrupt: &interrupt,
        progress: &progress::Silent,
        host,
        surroundings: Surroundings::Stated,
        is_patient: true,
        judge: judge_so_far,
        marks: None,
    })
    .await;
    analyse(&recorder.finish(ended.reason, clock::now()).expect("a record"))
}

#[test]
#[ignore = "runs in the box"]
fn a_server_that_is_killed_is_seen_to_be_through_a_probe_with_another_clock() {
    let _turn = turn();
    on_one_thread(async {
        let remote = Rc::new(Remote::start("box", elsewhen(86_400)).await.expect("a probe"));
        let result = watched(Rc::clone(&remote) as Rc<dyn Host>).await;
        let told: Vec<&str> = result.evidence.iter().map(|evidence| evidence.sentence.as_str()).collect();
        let in_flight = result.causes.get(&Cause::KilledInFlight).copied().unwrap_or_default();
        assert!((15..=25).contains(&in_flight), "{in_flight} of the 20 that were in hand: {told:#?}");
        assert!(result.causes.contains_key(&Cause::NoListener), "{told:#?}");
        assert!(!result.causes.contains_key(&Cause::Ambiguous), "{told:#?}");
        assert!(result.attested.contains_key(&Cause::NoListener), "the trace is mapped as well: {:?}", result.attested);
        let notes: Vec<&str> = result.notes.iter().map(|note| note.message.as_str()).collect();
        let is_clock = |note: &&&str| {
            note.starts_with("clock of box: ") && note.contains(", known to \u{b1}0.") && note.ends_with(" ms")
        };
        assert_eq!(notes.iter().filter(is_clock).count(), 1, "{notes:#?}");
    });
}

#[test]
#[ignore = "runs in the box"]
fn a_host_that_is_lost_in_the_middle_leaves_a_doubt_and_no_exit_that_nobody_saw() {
    let _turn = turn();
    on_one_thread(async {
        let remote = Rc::new(Remote::start("box", elsewhen(3)).await.expect("a probe"));
        let pid = remote.child_id().and_then(|pid| i32::try_from(pid).ok()).and_then(rustix::process::Pid::from_raw);
        let losing = async {
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
            rustix::process::kill_process(pid.expect("it runs"), rustix::process::Signal::KILL).expect("it is ours");
        };
        let (result, ()) = tokio::join!(watched(Rc::clone(&remote) as Rc<dyn Host>), losing);
        let notes: Vec<&str> = result.notes.iter().map(|note| note.message.as_str()).collect();
        let is_doubt = |note: &&&str| note.contains("was not seen: the connection to the probe on box is lost");
        assert_eq!(notes.iter().filter(is_doubt).count(), 1, "{notes:#?}");
        assert!(notes.iter().any(|note| note.starts_with("the kernel's trace was not read to its end")), "{notes:#?}");
        assert!(result.attested.is_empty(), "{:?}", result.attested);
        let told: Vec<&str> = result.evidence.iter().map(|evidence| evidence.sentence.as_str()).collect();
        assert!(!told.iter().any(|sentence| sentence.contains("was gone at")), "{told:#?}");
    });
}
