//! The systemd manager against a real systemd, as root.
//!
//! Every test brings its own units and takes them away again.

use std::cell::RefCell;
use std::future::Future;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::Duration;

use gapless::manager::ledger::{Change, Ledger};
use gapless::manager::recover::recover;
use gapless::manager::systemd::{Options, SystemdManager};
use gapless::manager::{Job, Manager, ManagerError};
use gapless::model::{JobResult, KillWho, Signal, UnitName, UnitSnapshot, UnitVerb};
use gapless::probe::process;
use gapless::record::line::{ManagerKind, UnitChange};
use gapless::scenario::plan::UnitFile;
use tokio::sync::mpsc::UnboundedReceiver;

const SLEEPER: &str = "[Service]\nExecStart=sleep infinity\n";

/// Far beyond what anything here takes: a test that waits for what never comes fails rather than hangs.
const LIMIT: Duration = Duration::from_secs(60);

/// The manager, with the units of a test.
struct Rig {
    manager: SystemdManager,
    changes: UnboundedReceiver<UnitChange>,
    ledger: Rc<RefCell<Ledger>>,
    place: PathBuf,
}

impl Rig {
    async fn with(files: &[(&str, &str)]) -> Self {
        let place = tempfile::tempdir().expect("a place for files").keep();
        Self::with_ledger_in(place, files).await
    }

    async fn with_ledger_in(place: PathBuf, files: &[(&str, &str)]) -> Self {
        let ledger = Rc::new(RefCell::new(Ledger::open_in(&place.join("ledger")).expect("opens")));
        let options = Options { ledger: Rc::clone(&ledger), find_listeners: |_| Ok(Vec::new()), force: false };
        let mut manager = SystemdManager::system(options).await.expect("systemd is there");
        let files: Vec<UnitFile> =
            files.iter().map(|(name, text)| UnitFile { unit: unit(name), text: (*text).to_owned() }).collect();
        manager.install(&files).await.expect("installed");
        for file in files.iter().filter(|file| !file.unit.as_str().contains('@')) {
            manager.hold(&file.unit).await.expect("held");
        }
        let changes = manager.take_changes().expect("once");
        Self { manager, changes, ledger, place }
    }

    async fn perform(&self, name: &str, verb: UnitVerb) -> Job {
        within(self.manager.perform(&unit(name), verb)).await.expect("the harness can do its job")
    }

    async fn done(&self, name: &str, verb: UnitVerb) {
        let job = self.perform(name, verb).await;
        assert_eq!(job.result, JobResult::Done, "{verb} {name}: {:?}", job.reason);
    }

    async fn look(&self, name: &str) -> UnitSnapshot {
        self.manager.snapshot(&unit(name)).await.expect("answers")
    }

    /// Waits for a change of the unit to that state.
    async fn becomes(&mut self, name: &str, active_state: &str) -> UnitChange {
        let awaited = async {
            loop {
                let change = self.changes.recv().await.expect("the manager lives");
                if change.unit.as_str() == name && change.active_state == active_state {
                    return change;
                }
            }
        };
        within(awaited).await
    }

    /// Takes everything away and sees that nothing is left.
    async fn end(mut self, names: &[&str]) {
        self.manager.uninstall().await.expect("removed");
        for name in names {
            assert_eq!(self.look(name).await.active_state, "inactive", "{name}");
            assert!(!installed_path(name).exists(), "{name}");
        }
        assert_eq!(self.ledger.borrow().outstanding().count(), 0);
        drop(self.manager);
        std::fs::remove_dir_all(self.place).expect("ours");
    }
}

async fn within<T>(awaited: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, awaited).await.expect("comes in time")
}

fn unit(name: &str) -> UnitName {
    UnitName::new(name).expect("valid")
}

fn installed_path(name: &str) -> PathBuf {
    Path::new("/run/systemd/system").join(name)
}

/// A unit that is there independently of the harness.
struct Foreign(&'static str);

impl Foreign {
    fn new(name: &'static str, text: &str) -> Self {
        std::fs::write(installed_path(name), text).expect("we are root");
        systemctl(&["daemon-reload"]);
        Self(name)
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        let _ = Command::new("systemctl").args(["kill", "--signal=KILL", self.0]).stderr(Stdio::null()).status();
        let _ = Command::new("systemctl").args(["stop", self.0]).stderr(Stdio::null()).status();
        let _ = std::fs::remove_file(installed_path(self.0));
        let _ = Command::new("systemctl").arg("daemon-reload").status();
    }
}

fn systemctl(arguments: &[&str]) {
    let status = Command::new("systemctl").args(arguments).status().expect("systemctl is there");
    assert!(status.success(), "systemctl {arguments:?}");
}

fn is_active(name: &str) -> bool {
    Command::new("systemctl").args(["is-active", "--quiet", name]).status().expect("systemctl is there").success()
}

#[tokio::test]
#[ignore = "needs a real systemd: run by tests/all in the box"]
async fn a_restart_brings_a_new_incarnation_and_a_stop_leaves_what_was_known() {
    let name = "gapless-test-restart.service";
    let mut rig = Rig::with(&[(name, SLEEPER)]).await;
    rig.done(name, UnitVerb::Start).await;
    let first = rig.look(name).await;
    assert_eq!((first.active_state.as_str(), first.sub_state.as_str()), ("active", "running"));
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
    rig.becomes(name, "deactivating").await;
    let active = rig.becomes(name, "active").await;
    assert!(active.changed_at.is_some_and(|changed_at| changed_at <= active.at));

    rig.done(name, UnitVerb::Stop).await;
    let stopped = rig.look(name).await;
    assert_eq!(stopped.active_state, "inactive");
    assert_eq!(stopped.invocation_id, second.invocation_id, "it is held");
    assert_eq!(stopped.main_process(), None);
    rig.end(&[name]).await;
}

#[tokio::test]
#[ignore = "needs a real systemd: run by tests/all in the box"]
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
    rig.becomes(service, "active").await;
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
#[ignore = "needs a real systemd: run by tests/all in the box"]
async fn a_killed_service_is_failed_until_that_is_forgotten() {
    let name = "gapless-test-kill.service";
    let mut rig = Rig::with(&[(name, SLEEPER)]).await;
    rig.done(name, UnitVerb::Start).await;
    let main = rig.look(name).await.main_process().expect("it runs");
    rig.manager.kill(&unit(name), KillWho::All, Signal::KILL).await.expect("sent");
    within(process::exited(main)).await;
    let failed = rig.becomes(name, "failed").await;
    assert_eq!((failed.main_pid, failed.result.as_str()), (0, "signal"));
    assert_eq!(rig.look(name).await.service.expect("it is one").main_exit.as_deref(), Some("killed 9"));
    for who in [KillWho::All, KillWho::Main] {
        let nobody = rig.manager.kill(&unit(name), who, Signal::KILL).await;
        assert!(matches!(nobody, Err(ManagerError::NoProcess { .. })), "{nobody:?}");
    }
    rig.done(name, UnitVerb::ResetFailed).await;
    assert_eq!(rig.look(name).await.active_state, "inactive");
    rig.end(&[name]).await;
}

#[tokio::test]
#[ignore = "needs a real systemd: run by tests/all in the box"]
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
#[ignore = "needs a real systemd: run by tests/all in the box"]
async fn what_does_not_start_says_why() {
    let cases = [
        (
            "gapless-test-exec.service",
            "[Service]\nType=exec\nExecStart=/no/such/program\n",
            "could not be run (203/EXEC)",
        ),
        ("gapless-test-exit.service", "[Service]\nType=oneshot\nExecStart=sh -c 'exit 7'\n", "exited with 7"),
        ("gapless-test-user.service", "[Service]\nType=exec\nUser=nobody-here\nExecStart=true\n", "(217/USER)"),
        (
            "gapless-test-late.service",
            "[Service]\nType=notify\nTimeoutStartSec=1s\nExecStart=sleep infinity\n",
            "not up or down within its TimeoutStartSec=",
        ),
    ];
    for (name, text, expected) in cases {
        let rig = Rig::with(&[(name, text)]).await;
        let job = rig.perform(name, UnitVerb::Start).await;
        assert_ne!(job.result, JobResult::Done, "{name}");
        let reason = job.reason.expect("the unit says why");
        assert!(reason.contains(expected), "{name}: {reason}");
        rig.end(&[name]).await;
    }
}

#[tokio::test]
#[ignore = "needs a real systemd: run by tests/all in the box"]
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
    assert_eq!(rig.look("gapless-test-unable.service").await.active_state, "inactive");
    rig.end(&[name, "gapless-test-unable.service"]).await;
}

#[tokio::test]
#[ignore = "needs a real systemd: run by tests/all in the box"]
async fn a_unit_that_is_not_there_masked_or_broken_is_told_before_anything_is_done() {
    let mut rig = Rig::with(&[]).await;
    let missing = rig.manager.hold(&unit("gapless-test-missing.service")).await;
    assert!(matches!(missing, Err(ManagerError::NoSuchUnit { .. })), "{missing:?}");
    for verb in UnitVerb::ALL {
        let missing = rig.manager.perform(&unit("gapless-test-missing.service"), *verb).await;
        assert!(matches!(missing, Err(ManagerError::NoSuchUnit { .. })), "{verb}: {missing:?}");
    }

    let _broken = Foreign::new("gapless-test-broken.service", "[Service]\nRestart=no\n");
    let broken = rig.manager.hold(&unit("gapless-test-broken.service")).await;
    assert!(matches!(broken, Err(ManagerError::BadUnit { .. })), "{broken:?}");

    let name = "gapless-test-masked.service";
    std::os::unix::fs::symlink("/dev/null", installed_path(name)).expect("we are root");
    let _masked = Foreign(name);
    rig.manager.daemon_reload().await.expect("reloaded");
    let masked = rig.manager.hold(&unit(name)).await;
    assert!(matches!(masked, Err(ManagerError::Masked { .. })), "{masked:?}");
    let masked = rig.manager.perform(&unit(name), UnitVerb::Restart).await;
    assert!(matches!(masked, Err(ManagerError::Masked { .. })), "{masked:?}");
    let file = UnitFile { unit: unit(name), text: SLEEPER.to_owned() };
    let there = rig.manager.install(&[file]).await;
    assert!(matches!(there, Err(ManagerError::AlreadyThere { .. })), "{there:?}");
    rig.end(&[]).await;
}

#[tokio::test]
#[ignore = "needs a real systemd: run by tests/all in the box"]
async fn a_strangers_job_is_left_alone() {
    let name = "gapless-test-stranger.service";
    let _foreign = Foreign::new(name, &format!("{SLEEPER}ExecStop=sleep infinity\n"));
    let mut rig = Rig::with(&[]).await;
    rig.manager.hold(&unit(name)).await.expect("it is there");
    systemctl(&["start", name]);
    systemctl(&["stop", "--no-block", name]);
    let refused = rig.manager.perform(&unit(name), UnitVerb::Restart).await;
    assert!(matches!(refused, Err(ManagerError::StrangersJob { .. })), "{refused:?}");
    rig.manager.kill(&unit(name), KillWho::Control, Signal::KILL).await.expect("sent");
    rig.becomes(name, "failed").await;
    rig.end(&[]).await;
}

#[tokio::test]
#[ignore = "needs a real systemd: run by tests/all in the box"]
async fn a_job_that_somebody_cancels_is_told_so() {
    let name = "gapless-test-cancel.service";
    let rig = Rig::with(&[(name, "[Service]\nType=notify\nExecStart=sleep infinity\n")]).await;
    let Rig { manager, mut changes, ledger, place } = rig;
    let cancel = async {
        while changes.recv().await.expect("the manager lives").active_state != "activating" {}
        systemctl(&["stop", name]);
        changes
    };
    let name_of_unit = unit(name);
    let start = manager.perform(&name_of_unit, UnitVerb::Start);
    let (job, changes) = within(async { tokio::join!(start, cancel) }).await;
    assert_eq!(job.expect("queued").result, JobResult::Canceled);
    Rig { manager, changes, ledger, place }.end(&[name]).await;
}

#[tokio::test]
#[ignore = "needs a real systemd: run by tests/all in the box"]
async fn the_instances_of_a_template_go_with_it() {
    let mut rig = Rig::with(&[("gapless-test-many@.service", SLEEPER)]).await;
    for instance in ["gapless-test-many@1.service", "gapless-test-many@2.service"] {
        rig.manager.hold(&unit(instance)).await.expect("its template is there");
        rig.done(instance, UnitVerb::Start).await;
    }
    rig.end(&["gapless-test-many@1.service", "gapless-test-many@2.service"]).await;
}

#[tokio::test]
#[ignore = "needs a real systemd: run by tests/all in the box"]
async fn a_unit_is_followed_across_a_reload_of_all_unit_files() {
    let name = "gapless-test-follow.service";
    let mut rig = Rig::with(&[(name, SLEEPER)]).await;
    rig.done(name, UnitVerb::Start).await;
    rig.becomes(name, "active").await;
    std::fs::write(installed_path(name), format!("{SLEEPER}Restart=no\n")).expect("we are root");
    assert!(rig.look(name).await.need_daemon_reload);
    rig.manager.daemon_reload().await.expect("reloaded");
    assert!(!rig.look(name).await.need_daemon_reload);
    rig.done(name, UnitVerb::Stop).await;
    rig.becomes(name, "inactive").await;
    assert!(rig.look(name).await.invocation_id.is_some(), "it is still held");
    rig.end(&[name]).await;
}

#[tokio::test]
#[ignore = "needs a real systemd: run by tests/all in the box"]
async fn the_systemd_of_a_user_does_the_same() {
    systemctl(&["start", "user@0.service"]);
    let bus = zbus::connection::Builder::address("unix:path=/run/user/0/bus").build().await.expect("a user bus");
    let place = tempfile::tempdir().expect("a place for files");
    let ledger = Rc::new(RefCell::new(Ledger::open_in(&place.path().join("ledger")).expect("opens")));
    let options = Options { ledger, find_listeners: |_| Ok(Vec::new()), force: false };
    let units = PathBuf::from("/run/user/0/systemd/user");
    let mut manager = SystemdManager::on(bus, ManagerKind::User, units.clone(), options).await.expect("it answers");
    let name = unit("gapless-test-user-manager.service");
    let file = UnitFile { unit: name.clone(), text: format!("{SLEEPER}ExecReload=false\n") };
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

const UNPRIVILEGED: &str = "GAPLESS_TEST_UNPRIVILEGED";

/// Plays both parts: as a process of its own it is the user who may not.
#[tokio::test]
#[ignore = "needs a real systemd: run by tests/all in the box"]
async fn a_user_who_may_not_is_told_what_to_allow() {
    let name = "gapless-test-denied.service";
    if let Some(place) = std::env::var_os(UNPRIVILEGED) {
        return be_denied(PathBuf::from(place), &unit(name)).await;
    }
    let _foreign = Foreign::new(name, SLEEPER);
    systemctl(&["start", name]);
    let place = tempfile::tempdir().expect("a place for files");
    std::os::unix::fs::chown(place.path(), Some(65534), Some(65534)).expect("we are root");
    let program = place.path().join("test");
    std::fs::copy(std::env::current_exe().expect("we run"), &program).expect("readable");
    let output = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(program)
        .args(["--ignored", "--exact", "a_user_who_may_not_is_told_what_to_allow"])
        .env(UNPRIVILEGED, place.path())
        .output()
        .expect("setpriv is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    assert!(is_active(name));
}

async fn be_denied(place: PathBuf, name: &UnitName) {
    let ledger = Rc::new(RefCell::new(Ledger::open_in(&place.join("ledger")).expect("opens")));
    let options = Options { ledger, find_listeners: |_| Ok(Vec::new()), force: false };
    let manager = SystemdManager::system(options).await.expect("everybody may ask");
    assert_eq!(manager.snapshot(name).await.expect("everybody may look").active_state, "active");
    let denied = manager.perform(name, UnitVerb::Restart).await.expect_err("not everybody may act");
    assert!(matches!(denied, ManagerError::AccessDenied { .. }), "{denied:?}");
    assert!(denied.to_string().contains("org.freedesktop.systemd1.manage-units"), "{denied}");
    let denied = manager.kill(name, KillWho::All, Signal::KILL).await.expect_err("nor kill");
    assert!(matches!(denied, ManagerError::AccessDenied { .. }), "{denied:?}");
}

const VICTIM_PLACE: &str = "GAPLESS_TEST_VICTIM_PLACE";

/// Plays both parts: as a process of its own it is the run that is killed.
#[tokio::test]
#[ignore = "needs a real systemd: run by tests/all in the box"]
async fn what_a_killed_run_left_is_undone_by_the_next() {
    if let Some(place) = std::env::var_os(VICTIM_PLACE) {
        return be_killed(place.into()).await;
    }
    let _ran = Foreign::new("gapless-test-ran.service", SLEEPER);
    let _rested = Foreign::new("gapless-test-rested.service", SLEEPER);
    systemctl(&["start", "gapless-test-ran.service"]);
    let place = tempfile::tempdir().expect("a place for files");
    let mut victim = Command::new(std::env::current_exe().expect("we run"))
        .args(["--ignored", "--exact", "what_a_killed_run_left_is_undone_by_the_next"])
        .env(VICTIM_PLACE, place.path())
        .stdout(Stdio::null())
        .spawn()
        .expect("it is ourselves");
    within(async {
        while !place.path().join("ready").exists() {
            assert_eq!(victim.try_wait().expect("ours"), None, "it waits to be killed");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    })
    .await;
    victim.kill().expect("ours");
    victim.wait().expect("ours");
    assert!(is_active("gapless-test-left.socket") && is_active("gapless-test-left.service"));
    assert!(!is_active("gapless-test-ran.service") && is_active("gapless-test-rested.service"));

    let mut abandoned = Ledger::abandoned_in(&place.path().join("ledger")).expect("readable");
    let rig = Rig::with(&[]).await;
    let recovery = within(recover(abandoned.remove(0), &rig.manager)).await.expect("written");
    assert!(recovery.failed.is_empty(), "{:?}", recovery.failed);
    assert_eq!(
        recovery.done,
        [
            "removed gapless-test-left.socket (/run/systemd/system/gapless-test-left.socket), which a run that was killed had installed",
            "removed gapless-test-left.service (/run/systemd/system/gapless-test-left.service), which a run that was killed had installed",
            "stopped gapless-test-rested.service, which a run that was killed had started",
            "started gapless-test-ran.service, which a run that was killed had stopped",
        ]
    );
    assert!(is_active("gapless-test-ran.service") && !is_active("gapless-test-rested.service"));
    assert_eq!(std::fs::read_dir(place.path().join("ledger")).expect("there").count(), 0, "the ledger is gone");
    rig.end(&["gapless-test-left.socket", "gapless-test-left.service"]).await;
}

async fn be_killed(place: PathBuf) {
    let (socket, service) = ("gapless-test-left.socket", "gapless-test-left.service");
    let mut rig =
        Rig::with_ledger_in(place.clone(), &[(socket, "[Socket]\nListenStream=127.0.0.1:17802\n"), (service, SLEEPER)])
            .await;
    rig.done(socket, UnitVerb::Start).await;
    let _connection = TcpStream::connect("127.0.0.1:17802").expect("it listens");
    rig.becomes(service, "active").await;
    rig.done("gapless-test-ran.service", UnitVerb::Stop).await;
    rig.done("gapless-test-rested.service", UnitVerb::Start).await;
    let kind = ManagerKind::System;
    let expected = [
        Change::Installed { manager: kind, unit: unit(socket), path: installed_path(socket) },
        Change::Installed { manager: kind, unit: unit(service), path: installed_path(service) },
        Change::Stopped { manager: kind, unit: unit("gapless-test-ran.service") },
        Change::Started { manager: kind, unit: unit("gapless-test-rested.service") },
    ];
    let outstanding: Vec<Change> = rig.ledger.borrow().outstanding().map(|(_, change)| change.clone()).collect();
    assert_eq!(outstanding, expected);
    std::fs::write(place.join("ready"), "").expect("ours");
    std::future::pending::<()>().await;
}
