//! How services end: asked, killed, by themselves, and with the manager.

use gapless::manager::{Manager as _, ManagerError};
use gapless::model::{JobResult, KillWho, ProcessId, Signal, UnitVerb};

use crate::embedded::rig::{Rig, runs, unit, until};
use crate::faults::rig::{Running, nothing_is_left_of, processes_of};
use crate::faults::scenario::Scenario;

/// A shell with a worker, both of which ignore SIGTERM where `trap` says so.
fn with_worker(trap: &str) -> String {
    format!(
        "[Service]\nType=notify\nNotifyAccess=all\nTimeoutStopSec=200ms\nExecStart=sh -c \"{trap} sleep 1000 & \
         touch {{dir}}/up; while :; do sleep 0.05; done\"\n"
    )
    .replace("Type=notify\nNotifyAccess=all\n", "Type=exec\n")
}

async fn started_with_worker(trap: &str, more: &str) -> (Rig, Vec<ProcessId>) {
    let rig = Rig::with(&[("a.service", &(with_worker(trap) + more))]).await;
    rig.done(UnitVerb::Start, "a.service").await;
    let up = rig.directory.path().join("up");
    until("the service is up", || up.exists()).await;
    let processes = rig.snapshot("a.service").await.service.expect("a service").processes;
    assert!(processes.len() >= 2, "{processes:?}");
    (rig, processes)
}

#[tokio::test]
async fn a_stop_ends_every_process() {
    let (rig, processes) = started_with_worker("", "").await;
    rig.done(UnitVerb::Stop, "a.service").await;
    assert_eq!(processes.into_iter().filter(|process| runs(*process)).count(), 0);
    assert_eq!(rig.snapshot("a.service").await.service.expect("a service").processes, []);
}

#[tokio::test]
async fn a_process_that_left_the_session_is_ended_as_well() {
    let text = "[Service]\nType=exec\n\
                ExecStart=sh -c 'setsid sh -c \"echo $$$$ > {dir}/pid; exec sleep 1000\" & exec sleep 1000'\n";
    let rig = Rig::with(&[("a.service", text)]).await;
    rig.done(UnitVerb::Start, "a.service").await;
    let pid = rig.directory.path().join("pid");
    until("the other session is there", || std::fs::read_to_string(&pid).is_ok_and(|text| text.ends_with('\n'))).await;
    let pid: u32 = std::fs::read_to_string(&pid).expect("written").trim().parse().expect("a PID");
    let processes = rig.snapshot("a.service").await.service.expect("a service").processes;
    let other = processes.into_iter().find(|process| process.pid == pid).expect("it belongs to the unit");
    rig.done(UnitVerb::Stop, "a.service").await;
    assert!(!runs(other));
}

#[tokio::test]
async fn a_service_that_ignores_sigterm_is_killed_when_the_timeout_is_over() {
    let (mut rig, processes) = started_with_worker("trap '' TERM;", "").await;
    rig.done(UnitVerb::Stop, "a.service").await;
    assert_eq!(rig.state("a.service").await, "failed/failed timeout");
    let history = rig.history("a.service");
    assert!(history.contains(&"deactivating/stop-sigkill".to_owned()), "{history:?}");
    assert_eq!(processes.into_iter().filter(|process| runs(*process)).count(), 0);
}

#[tokio::test]
async fn kill_mode_process_leaves_the_worker() {
    let (rig, processes) = started_with_worker("", "KillMode=process\n").await;
    let main = rig.main_process("a.service").await;
    rig.done(UnitVerb::Stop, "a.service").await;
    assert!(!runs(main));
    let left: Vec<_> = processes.into_iter().filter(|process| runs(*process)).collect();
    assert!(!left.is_empty());
    drop(rig);
    assert_eq!(left.into_iter().filter(|process| runs(*process)).count(), 0);
}

#[tokio::test]
async fn kill_signals_whom_it_is_told() {
    // Not SIGHUP, which is ignored where nohup(1) started the tests. And it waits for a child that is there already:
    // dash loses a signal that comes while it starts one by vfork(2).
    let text = "[Service]\nType=exec\nExecStart=sh -c \"trap 'echo usr1 >> {dir}/log' USR1; sleep 1000 & \
                touch {dir}/up; while :; do wait; done\"\n";
    let rig = Rig::with(&[("a.service", text)]).await;
    let nobody = rig.manager.kill(&unit("a.service"), KillWho::All, Signal::KILL).await;
    assert!(matches!(nobody, Err(ManagerError::NoProcess { .. })));
    rig.done(UnitVerb::Start, "a.service").await;
    let (up, log) = (rig.directory.path().join("up"), rig.directory.path().join("log"));
    until("the trap is set", || up.exists()).await;
    let usr1 = Signal::from_name("USR1").expect("it is one");
    rig.manager.kill(&unit("a.service"), KillWho::Main, usr1).await.expect("sent");
    until("the signal arrived", || log.exists()).await;
    let nobody = rig.manager.kill(&unit("a.service"), KillWho::Control, usr1).await;
    assert!(matches!(nobody, Err(ManagerError::NoProcess { .. })));
    assert_eq!(rig.state("a.service").await, "active/running success");
}

#[tokio::test]
async fn a_killed_service_stays_down_or_comes_back_as_restart_says() {
    let text = "[Service]\nType=exec\nExecStart=sleep 1000\nRestartSec=10ms\n";
    let mut rig = Rig::with(&[("a.service", text)]).await;
    rig.done(UnitVerb::Start, "a.service").await;
    rig.manager.kill(&unit("a.service"), KillWho::All, Signal::KILL).await.expect("sent");
    let change = rig.awaits("a.service", "failed/failed").await;
    assert_eq!(change.result, "signal");

    let mut rig = Rig::with(&[("a.service", &(text.to_owned() + "Restart=on-failure\n"))]).await;
    rig.done(UnitVerb::Start, "a.service").await;
    let before = rig.snapshot("a.service").await;
    rig.manager.kill(&unit("a.service"), KillWho::All, Signal::KILL).await.expect("sent");
    rig.awaits("a.service", "activating/auto-restart").await;
    rig.awaits("a.service", "active/running").await;
    let after = rig.snapshot("a.service").await;
    assert_ne!(before.invocation_id, after.invocation_id);
    assert_eq!(after.service.expect("a service").restarts, 1);
    // An asked-for stop is not made undone.
    rig.done(UnitVerb::Stop, "a.service").await;
    assert_eq!(rig.state("a.service").await, "inactive/dead success");
}

#[tokio::test]
async fn a_stop_during_auto_restart_gives_the_restart_up() {
    let text = "[Service]\nType=exec\nExecStart=false\nRestart=always\nRestartSec=1000\n";
    let mut rig = Rig::with(&[("a.service", text)]).await;
    let _ = rig.perform(UnitVerb::Start, "a.service").await;
    rig.awaits("a.service", "activating/auto-restart").await;
    rig.done(UnitVerb::Stop, "a.service").await;
    assert_eq!(rig.snapshot("a.service").await.sub_state, "dead");
}

#[tokio::test]
async fn dropping_the_manager_ends_every_process() {
    let (rig, processes) = started_with_worker("trap '' TERM;", "").await;
    drop(rig);
    assert_eq!(processes.into_iter().filter(|process| runs(*process)).count(), 0);
}

#[tokio::test]
async fn uninstall_stops_everything_and_forgets_the_units() {
    let (mut rig, processes) = started_with_worker("", "").await;
    rig.manager.uninstall().await.expect("done");
    assert_eq!(processes.into_iter().filter(|process| runs(*process)).count(), 0);
    assert_eq!(rig.snapshot("a.service").await.load_state, "not-found");
}

#[tokio::test]
async fn a_second_job_takes_the_place_of_the_first() {
    let text = "[Service]\nType=notify\nExecStart=sleep 1000\n";
    let mut rig = Rig::with(&[("a.service", text)]).await;
    let service = unit("a.service");
    let manager = &rig.manager;
    let (start, stop) =
        tokio::join!(biased; manager.perform(&service, UnitVerb::Start), manager.perform(&service, UnitVerb::Stop));
    assert_eq!(start.expect("asked").result, JobResult::Canceled);
    assert_eq!(stop.expect("asked").result, JobResult::Done);
    assert_eq!(rig.history("a.service").last().map(String::as_str), Some("inactive/dead"));
}

#[test]
fn nothing_outlives_a_killed_manager() {
    let scenario = Scenario::new("killed-manager");
    let up = scenario.folder().join("up");
    let service = with_worker("trap '' TERM HUP;") + "Environment=OF={dir}\n";
    // The first request starts it, and it never answers.
    let folder = scenario.folder().display().to_string();
    let scenario = scenario.with_service(&service.replace("{dir}", &folder));
    let run = Running::start(&scenario, "embedded");
    crate::faults::rig::until("the service and its worker run", || up.exists() && processes_of(&scenario).len() > 2);
    run.signal(rustix::process::Signal::KILL);
    run.end();
    nothing_is_left_of(&scenario);
}

#[tokio::test]
async fn kill_mode_mixed_asks_the_main_process_and_kills_the_rest() {
    let text = "[Service]\nType=exec\nKillMode=mixed\nTimeoutStopSec=1000\n\
                ExecStart=sh -c \"(trap '' TERM; touch {dir}/up; while :; do sleep 0.05; done) & exec sleep 1000\"\n";
    let mut rig = Rig::with(&[("a.service", text)]).await;
    rig.done(UnitVerb::Start, "a.service").await;
    let up = rig.directory.path().join("up");
    until("the worker is up", || up.exists()).await;
    let processes = rig.snapshot("a.service").await.service.expect("a service").processes;
    rig.done(UnitVerb::Stop, "a.service").await;
    assert_eq!(rig.state("a.service").await, "inactive/dead success");
    let history = rig.history("a.service");
    assert_eq!(history[2..], ["deactivating/stop-sigterm", "deactivating/final-sigkill", "inactive/dead"]);
    assert_eq!(processes.into_iter().filter(|process| runs(*process)).count(), 0);
}

#[tokio::test]
async fn a_unit_bound_to_another_stops_with_it() {
    let service = "[Service]\nType=exec\nExecStart=sleep 1000\n";
    let bound = format!("[Unit]\nBindsTo=b.service\nAfter=b.service\n{service}");
    let mut rig = Rig::with(&[("a.service", &bound), ("b.service", service)]).await;
    rig.done(UnitVerb::Start, "a.service").await;
    assert_eq!(rig.state("b.service").await, "active/running success");
    rig.manager.kill(&unit("b.service"), KillWho::Main, Signal::KILL).await.expect("sent");
    rig.awaits("a.service", "inactive/dead").await;
}
