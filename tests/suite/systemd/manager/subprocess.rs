//! Two processes: a user who may not, and a run that is killed.

use std::cell::RefCell;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::Duration;

use gapless::host::Local;
use gapless::manager::ledger::{Change, Ledger};
use gapless::manager::recover::recover;
use gapless::manager::systemd::{Options, SystemdManager};
use gapless::manager::{Manager, ManagerError};
use gapless::model::{ActiveState, KillWho, Signal, UnitName, UnitVerb};

use crate::systemd::manager::rig::{Foreign, Rig, SLEEPER, installed_path, is_active, owner, systemctl, unit, within};

const UNPRIVILEGED: &str = "GAPLESS_TEST_UNPRIVILEGED";

/// Plays both parts: as a process of its own it is the user who may not.
#[tokio::test]
#[ignore = "runs in the box"]
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
        .args(["--ignored", "--exact", "systemd::manager::subprocess::a_user_who_may_not_is_told_what_to_allow"])
        .env(UNPRIVILEGED, place.path())
        .output()
        .expect("setpriv is there");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    assert!(is_active(name));
}

async fn be_denied(place: PathBuf, name: &UnitName) {
    let ledger = Rc::new(RefCell::new(Ledger::open_in(&place.join("ledger"), owner()).expect("opens")));
    let options = Options { ledger, host: Some(Rc::new(Local)), force: false, restores: true };
    let manager = SystemdManager::system(options).await.expect("everybody may ask");
    assert_eq!(manager.snapshot(name).await.expect("everybody may look").active_state, ActiveState::Active);
    let denied = manager.perform(name, UnitVerb::Restart).await.expect_err("not everybody may act");
    assert!(matches!(denied, ManagerError::AccessDenied { .. }), "{denied:?}");
    assert!(denied.to_string().contains("org.freedesktop.systemd1.manage-units"), "{denied}");
    let denied = manager.kill(name, KillWho::All, Signal::KILL).await.expect_err("nor kill");
    assert!(matches!(denied, ManagerError::AccessDenied { .. }), "{denied:?}");
}

const VICTIM_PLACE: &str = "GAPLESS_TEST_VICTIM_PLACE";

/// Requires gapless-test-ran.service: systemd stops it along with that one.
const NEEDS: &str = "gapless-test-needs.service";

/// Plays both parts: as a process of its own it is the run that is killed.
#[tokio::test]
#[ignore = "runs in the box"]
async fn what_a_killed_run_left_is_undone_by_the_next() {
    if let Some(place) = std::env::var_os(VICTIM_PLACE) {
        return be_killed(place.into()).await;
    }
    let _ran = Foreign::new("gapless-test-ran.service", SLEEPER);
    let _rested = Foreign::new("gapless-test-rested.service", SLEEPER);
    let _needs = Foreign::new(
        NEEDS,
        &format!("[Unit]\nRequires=gapless-test-ran.service\nAfter=gapless-test-ran.service\n{SLEEPER}"),
    );
    systemctl(&["start", "gapless-test-ran.service", NEEDS]);
    let place = tempfile::tempdir().expect("a place for files");
    let mut victim = Command::new(std::env::current_exe().expect("we run"))
        .args(["--ignored", "--exact", "systemd::manager::subprocess::what_a_killed_run_left_is_undone_by_the_next"])
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
    assert!(!is_active(NEEDS), "it went down with the one that it requires");

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
            "started gapless-test-needs.service, which a run that was killed had stopped",
        ]
    );
    assert!(is_active("gapless-test-ran.service") && !is_active("gapless-test-rested.service"));
    assert!(is_active(NEEDS));
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
    rig.becomes(service, ActiveState::Active).await;
    rig.done("gapless-test-ran.service", UnitVerb::Stop).await;
    rig.done("gapless-test-rested.service", UnitVerb::Start).await;
    let words = |change: &Change| match change {
        Change::Installed { unit, path, .. } => format!("installed {unit} at {}", path.display()),
        Change::Stopped(acted) => format!("stopped {}", acted.unit),
        Change::Started(acted) => format!("started {}", acted.unit),
        Change::Uses { unit, .. } => format!("uses {unit}"),
    };
    let outstanding: Vec<String> = rig.ledger.borrow().outstanding().map(|(_, entry)| words(&entry.change)).collect();
    let expected = [
        format!("installed {socket} at {}", installed_path(socket).display()),
        format!("installed {service} at {}", installed_path(service).display()),
        format!("stopped {NEEDS}"),
        "stopped gapless-test-ran.service".to_owned(),
        "started gapless-test-rested.service".to_owned(),
    ];
    assert_eq!(outstanding, expected);
    std::fs::write(place.join("ready"), "").expect("ours");
    std::future::pending::<()>().await;
}
