//! What is asked for is done, and told.

use std::cell::RefCell;
use std::net::TcpStream;
use std::path::PathBuf;
use std::rc::Rc;

use gapless::host::{Local, process};
use gapless::manager::ledger::Ledger;
use gapless::manager::systemd::{Options, SystemdManager};
use gapless::manager::{Manager, ManagerError};
use gapless::model::{ActiveState, JobResult, KillWho, Signal, UnitVerb};
use gapless::record::begin::ManagerKind;
use gapless::scenario::plan::UnitFile;

use crate::systemd::manager::rig::{Rig, SLEEPER, installed_path, owner, systemctl, unit, within};

#[tokio::test]
#[ignore = "runs in the box"]
async fn a_restart_brings_a_new_incarnation_and_a_stop_leaves_what_was_known() {
    let name = "gapless-test-restart.service";
    let mut rig = Rig::with(&[(name, SLEEPER)]).await;
    rig.done(name, UnitVerb::Start).await;
    let first = rig.look(name).await;
    assert_eq!((&first.active_state, first.sub_state.as_str()), (&ActiveState::Active, "running"));
    let main = first.main_process().expect("it runs");
    let service = first.service.as_ref().expect("it is one");
    assert_eq!(service.processes, [main]);
    assert!(service.memory_bytes.is_some_and(|bytes| bytes > 0));
    assert_eq!(service.start_limit, Some((5, 10_000_000)));

    rig.done(name, UnitVerb::Restart).await;
    process::exited(main).await;
    let second = rig.look(name).await;
    assert_ne!(second.invocation_id, first.invocation_id);
    assert_ne!(second.main_process(), Some(main));
    assert!(second.service.expect("it is one").main_started_at > service.main_started_at);
    rig.becomes(name, ActiveState::Deactivating).await;
    let active = rig.becomes(name, ActiveState::Active).await;
    assert!(active.changed_at.is_some_and(|changed_at| changed_at <= active.at));

    rig.done(name, UnitVerb::Stop).await;
    let stopped = rig.look(name).await;
    assert_eq!(stopped.active_state, ActiveState::Inactive);
    assert_eq!(stopped.invocation_id, second.invocation_id, "it is held");
    assert_eq!(stopped.main_process(), None);
    rig.end(&[name]).await;
}

#[tokio::test]
#[ignore = "runs in the box"]
async fn a_socket_starts_its_service_and_only_the_socket_may() {
    let (socket, service) = ("gapless-test-socket.socket", "gapless-test-socket.service");
    let sockets = "[Socket]\nListenStream=127.0.0.1:17801\nListenStream=/run/gapless-test.sock\nBacklog=9\n";
    let text = format!("[Unit]\nRefuseManualStart=yes\n{SLEEPER}");
    let mut rig = Rig::with(&[(socket, sockets), (service, &text)]).await;
    rig.done(socket, UnitVerb::Start).await;
    let seen = rig.look(socket).await;
    assert_eq!(seen.sub_state, "listening");
    let state = seen.socket.expect("it is one");
    let listen: Vec<String> = state.listen.iter().map(ToString::to_string).collect();
    assert_eq!(listen, ["127.0.0.1:17801", "/run/gapless-test.sock"]);
    assert_eq!((state.accept, state.backlog), (false, 9));
    assert_eq!(state.triggers, [unit(service)]);

    let refused = rig.perform(service, UnitVerb::Start).await;
    assert_eq!(refused.result, JobResult::Failed);
    let reason = refused.reason.expect("systemd gives one");
    assert!(reason.contains("RefuseManualStart=yes: act on the unit that brings it"), "{reason}");

    let _connection = TcpStream::connect("127.0.0.1:17801").expect("it listens");
    rig.becomes(service, ActiveState::Active).await;
    let service_state = rig.look(service).await.service.expect("it is one");
    assert!(service_state.refuse_manual_start);
    assert_eq!(service_state.triggered_by, [unit(socket)]);

    // The service does not require its socket and keeps running: the socket may not come back meanwhile.
    let job = rig.perform(socket, UnitVerb::Restart).await;
    assert_eq!(job.result, JobResult::Failed);
    let reason = job.reason.expect("there is one");
    assert!(reason.contains("does not start a socket while its service runs"), "{reason}");
    assert_eq!(rig.look(socket).await.sub_state, "dead");
    rig.end(&[socket, service]).await;
}

#[tokio::test]
#[ignore = "runs in the box"]
async fn a_killed_service_is_failed_until_that_is_forgotten() {
    let name = "gapless-test-kill.service";
    let mut rig = Rig::with(&[(name, SLEEPER)]).await;
    rig.done(name, UnitVerb::Start).await;
    let main = rig.look(name).await.main_process().expect("it runs");
    rig.manager.kill(&unit(name), KillWho::All, Signal::KILL).await.expect("sent");
    within(process::exited(main)).await;
    let failed = rig.becomes(name, ActiveState::Failed).await;
    assert_eq!((failed.main_pid, failed.result.as_str()), (0, "signal"));
    assert_eq!(rig.look(name).await.service.expect("it is one").main_exit.as_deref(), Some("killed 9"));
    for who in [KillWho::All, KillWho::Main] {
        let nobody = rig.manager.kill(&unit(name), who, Signal::KILL).await;
        assert!(matches!(nobody, Err(ManagerError::NoProcess { .. })), "{nobody:?}");
    }
    rig.done(name, UnitVerb::ResetFailed).await;
    assert_eq!(rig.look(name).await.active_state, ActiveState::Inactive);
    rig.end(&[name]).await;
}

#[tokio::test]
#[ignore = "runs in the box"]
async fn a_start_limit_is_told_and_can_be_lifted() {
    let name = "gapless-test-limit.service";
    let text = format!("[Unit]\nStartLimitBurst=2\nStartLimitIntervalSec=1h\n{SLEEPER}");
    let rig = Rig::with(&[(name, &text)]).await;
    rig.done(name, UnitVerb::Start).await;
    rig.done(name, UnitVerb::Restart).await;
    let third = rig.perform(name, UnitVerb::Restart).await;
    assert_eq!(third.result, JobResult::Failed);
    let reason = third.reason.expect("the unit says why");
    assert!(reason.contains("it was started too often (2 starts in 3600s)"), "{reason}");
    assert!(reason.contains(&format!("`systemctl reset-failed {name}`")), "{reason}");
    rig.done(name, UnitVerb::ResetFailed).await;
    rig.done(name, UnitVerb::Start).await;
    rig.end(&[name]).await;
}

#[tokio::test]
#[ignore = "runs in the box"]
async fn a_reload_keeps_the_process_and_fails_as_its_command_does() {
    let name = "gapless-test-reload.service";
    let text = format!("{SLEEPER}ExecReload=test -e /run/gapless-test-reload\n");
    let rig = Rig::with(&[(name, &text), ("gapless-test-unable.service", SLEEPER)]).await;
    rig.done(name, UnitVerb::Start).await;
    let before = rig.look(name).await;
    let failed = rig.perform(name, UnitVerb::Reload).await;
    assert_eq!(failed.result, JobResult::Failed);
    assert!(failed.reason.is_some_and(|reason| reason.starts_with("its ExecReload= failed")));
    std::fs::write("/run/gapless-test-reload", "").expect("we are root");
    rig.done(name, UnitVerb::Reload).await;
    let after = rig.look(name).await;
    assert_eq!((after.main_process(), after.invocation_id), (before.main_process(), before.invocation_id));

    rig.done("gapless-test-unable.service", UnitVerb::Start).await;
    let unable = rig.perform("gapless-test-unable.service", UnitVerb::Reload).await;
    assert_eq!(unable.result, JobResult::Failed);
    assert!(unable.reason.is_some_and(|reason| reason.contains("ExecReload=")));
    rig.done("gapless-test-unable.service", UnitVerb::ReloadOrRestart).await;
    rig.done("gapless-test-unable.service", UnitVerb::Stop).await;
    rig.done("gapless-test-unable.service", UnitVerb::TryRestart).await;
    assert_eq!(rig.look("gapless-test-unable.service").await.active_state, ActiveState::Inactive);
    rig.end(&[name, "gapless-test-unable.service"]).await;
}

#[tokio::test]
#[ignore = "runs in the box"]
async fn the_instances_of_a_template_go_with_it() {
    let mut rig = Rig::with(&[("gapless-test-many@.service", SLEEPER)]).await;
    for instance in ["gapless-test-many@1.service", "gapless-test-many@2.service"] {
        rig.manager.hold(&unit(instance)).await.expect("its template is there");
        rig.done(instance, UnitVerb::Start).await;
    }
    rig.end(&["gapless-test-many@1.service", "gapless-test-many@2.service"]).await;
}

#[tokio::test]
#[ignore = "runs in the box"]
async fn a_unit_is_followed_across_a_reload_of_all_unit_files() {
    let name = "gapless-test-follow.service";
    let mut rig = Rig::with(&[(name, SLEEPER)]).await;
    rig.done(name, UnitVerb::Start).await;
    rig.becomes(name, ActiveState::Active).await;
    std::fs::write(installed_path(name), format!("{SLEEPER}Restart=no\n")).expect("we are root");
    assert!(rig.look(name).await.need_daemon_reload);
    rig.manager.daemon_reload().await.expect("reloaded");
    assert!(!rig.look(name).await.need_daemon_reload);
    rig.done(name, UnitVerb::Stop).await;
    rig.becomes(name, ActiveState::Inactive).await;
    assert!(rig.look(name).await.invocation_id.is_some(), "it is still held");
    rig.end(&[name]).await;
}

#[tokio::test]
#[ignore = "runs in the box"]
async fn the_systemd_of_a_user_does_the_same() {
    systemctl(&["start", "user@0.service"]);
    let bus = zbus::connection::Builder::address("unix:path=/run/user/0/bus").build().await.expect("a user bus");
    let place = tempfile::tempdir().expect("a place for files");
    let ledger = Rc::new(RefCell::new(Ledger::open_in(&place.path().join("ledger"), owner()).expect("opens")));
    let options = Options { ledger, host: Some(Rc::new(Local)), force: false, restores: true };
    let units = PathBuf::from("/run/user/0/systemd/user");
    let mut manager = SystemdManager::on(bus, ManagerKind::User, units.clone(), options).await.expect("it answers");
    let name = unit("gapless-test-user-manager.service");
    let file = UnitFile { unit: name.clone(), text: format!("{SLEEPER}ExecReload=false\n"), is_private: false };
    manager.install(&[file]).await.expect("installed");
    manager.hold(&name).await.expect("held");
    for verb in [UnitVerb::Start, UnitVerb::Restart] {
        assert_eq!(manager.perform(&name, verb).await.expect("queued").result, JobResult::Done, "{verb}");
    }
    let failed = manager.perform(&name, UnitVerb::Reload).await.expect("queued");
    assert!(
        failed.reason.is_some_and(|reason| reason.contains("`journalctl --user -u gapless-test-user-manager.service`"))
    );
    let seen = manager.snapshot(&name).await.expect("answers");
    assert_eq!(seen.service.expect("it is one").processes.len(), 1);
    manager.uninstall().await.expect("removed");
    assert!(!units.join(name.as_str()).exists());
    systemctl(&["stop", "user@0.service"]);
}
