//! Limits: how often a service may start, and how often a socket may start it.

use gapless::model::{JobResult, UnitVerb};

use crate::embedded::rig::{Rig, ask, ask_at, free_port, until_refused};

#[tokio::test]
async fn the_start_past_the_limit_fails_and_takes_the_socket_down() {
    let service = "[Unit]\nStartLimitBurst=3\nStartLimitIntervalSec=1000\n[Service]\nType=exec\nExecStart={serve}\n";
    let mut rig = Rig::with(&[("a.socket", "[Socket]\nListenStream={dir}/s\n"), ("a.service", service)]).await;
    let path = rig.directory.path().join("s");
    rig.done(UnitVerb::Start, "a.socket").await;
    ask_at(&path).await.expect("answered");
    for _ in 0..2 {
        rig.done(UnitVerb::Restart, "a.service").await;
    }
    assert_eq!(rig.perform(UnitVerb::Restart, "a.service").await.result, JobResult::Failed);
    assert_eq!(rig.state("a.service").await, "failed/failed start-limit-hit");
    rig.awaits("a.socket", "failed/failed").await;
    assert_eq!(rig.state("a.socket").await, "failed/failed service-start-limit-hit");
    until_refused(&path).await;

    rig.done(UnitVerb::ResetFailed, "a.service").await;
    rig.done(UnitVerb::ResetFailed, "a.socket").await;
    rig.done(UnitVerb::Start, "a.socket").await;
    ask_at(&path).await.expect("answered");
}

#[tokio::test]
async fn a_service_that_dies_at_once_makes_its_socket_hit_the_trigger_limit() {
    let port = free_port();
    let socket =
        format!("[Socket]\nListenStream=127.0.0.1:{port}\nTriggerLimitBurst=3\nTriggerLimitIntervalSec=1000\n");
    let service = "[Unit]\nStartLimitBurst=0\n[Service]\nType=exec\nExecStart=false\n";
    let mut rig = Rig::with(&[("a.socket", &socket), ("a.service", service)]).await;
    rig.done(UnitVerb::Start, "a.socket").await;
    // What it gets is of no interest: it may be reset, when the socket goes.
    drop(tokio::spawn(ask(port)));
    let change = rig.awaits("a.socket", "failed/failed").await;
    assert_eq!(change.result, "trigger-limit-hit");
    let triggered = rig.history("a.socket").iter().filter(|state| *state == "active/running").count();
    assert_eq!(triggered, 3);
}

#[tokio::test]
async fn automatic_restarts_end_at_the_start_limit() {
    let service = "[Unit]\nStartLimitBurst=4\nStartLimitIntervalSec=1000\n[Service]\nType=exec\nExecStart=false\n\
                   Restart=always\nRestartSec=0\n";
    let mut rig = Rig::with(&[("a.service", service)]).await;
    // The program was executed, which is all that Type=exec asks for.
    rig.done(UnitVerb::Start, "a.service").await;
    rig.awaits("a.service", "failed/failed").await;
    assert_eq!(rig.state("a.service").await, "failed/failed start-limit-hit");
    let restarts = rig.history("a.service").iter().filter(|state| *state == "activating/auto-restart").count();
    assert_eq!(restarts, 4);
    assert_eq!(rig.snapshot("a.service").await.service.expect("a service").restarts, 3);
}

#[tokio::test]
async fn a_service_that_is_up_only_as_a_dependency_is_not_started_by_hand() {
    let service = "[Unit]\nRefuseManualStart=yes\n[Service]\nExecStart=sleep 1000\n";
    let rig = Rig::with(&[("a.service", service)]).await;
    let job = rig.perform(UnitVerb::Start, "a.service").await;
    assert_eq!(job.result, JobResult::Failed);
    assert!(job.reason.expect("a reason").contains("RefuseManualStart=yes"));
}
