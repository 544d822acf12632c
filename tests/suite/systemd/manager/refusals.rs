//! What cannot or may not be done says why.

use gapless::manager::{Manager, ManagerError};
use gapless::model::{ActiveState, JobResult, KillWho, Signal, UnitVerb};
use gapless::scenario::plan::UnitFile;

use crate::systemd::manager::rig::{Foreign, Rig, SLEEPER, installed_path, systemctl, unit, within};

#[tokio::test]
#[ignore = "runs in the box"]
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
#[ignore = "runs in the box"]
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
    let file = UnitFile { unit: unit(name), text: SLEEPER.to_owned(), is_private: false };
    let there = rig.manager.install(&[file]).await;
    assert!(matches!(there, Err(ManagerError::AlreadyThere { .. })), "{there:?}");
    rig.end(&[]).await;
}

#[tokio::test]
#[ignore = "runs in the box"]
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
    rig.becomes(name, ActiveState::Failed).await;
    rig.end(&[]).await;
}

#[tokio::test]
#[ignore = "runs in the box"]
async fn a_job_that_somebody_cancels_is_told_so() {
    let name = "gapless-test-cancel.service";
    let rig = Rig::with(&[(name, "[Service]\nType=notify\nExecStart=sleep infinity\n")]).await;
    let Rig { manager, mut changes, ledger, place } = rig;
    let cancel = async {
        while changes.recv().await.expect("the manager lives").active_state != ActiveState::Activating {}
        systemctl(&["stop", name]);
        changes
    };
    let name_of_unit = unit(name);
    let start = manager.perform(&name_of_unit, UnitVerb::Start);
    let (job, changes) = within(async { tokio::join!(start, cancel) }).await;
    assert_eq!(job.expect("queued").result, JobResult::Canceled);
    Rig { manager, changes, ledger, place }.end(&[name]).await;
}
