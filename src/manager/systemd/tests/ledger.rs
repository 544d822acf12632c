//! What is written down before units are stopped and started, and how it is undone.

use super::{done, unit};
use crate::manager::Manager as _;
use crate::manager::ledger::{Change, Ledger};
use crate::manager::recover::{needs, recover};
use crate::manager::systemd::fake::{Answer, Fake, UNIT, text, value};
use crate::model::{KillWho, Signal, UnitVerb};
use crate::record::begin::ManagerKind;

#[tokio::test]
async fn recovery_undoes_the_last_change_first_and_what_is_as_it_was_is_left_alone() {
    let fake = Fake::start().await;
    let place = tempfile::tempdir().expect("a place for files");
    let path = place.path().join("ledger");
    let manager = ManagerKind::System;
    let mut ledger = Ledger::open_in(&path).expect("opens");
    let uses = Change::Uses { unit: unit("a.service"), scenario: "demo".to_owned(), pid: 7, folder: None };
    for change in [
        uses,
        Change::Stopped { manager, unit: unit("a.service") },
        Change::Started { manager, unit: unit("b.service") },
        Change::Stopped { manager, unit: unit("came-back.service") },
        Change::Started { manager: ManagerKind::User, unit: unit("of-another-manager.service") },
    ] {
        ledger.entry(change).expect("written");
    }
    drop(ledger);
    fake.has_unit("a.service", "failed");
    fake.has_unit("b.service", "active");
    fake.has_unit("came-back.service", "active");
    fake.answers(done(1));
    fake.answers(done(2));

    let abandoned = Ledger::abandoned_in(&path).expect("readable").remove(0);
    let recovery = recover(abandoned, &fake.manager).await.expect("written");
    assert!(recovery.failed.is_empty() && recovery.not_understood.is_none(), "{recovery:?}");
    assert_eq!(recovery.done.len(), 2);
    assert_eq!(fake.calls(), ["StopUnit b.service", "ResetFailedUnit a.service", "StartUnit a.service"]);
    assert_eq!(fake.outstanding(), [], "a recovery is not itself to be undone");
    let left = Ledger::abandoned_in(&path).expect("readable").remove(0);
    assert_eq!(left.outstanding().count(), 1, "for the systemd of the user");
    assert!(needs(&left, ManagerKind::User) && !needs(&left, ManagerKind::System));
}

#[tokio::test]
async fn a_unit_that_was_active_is_in_the_ledger_until_it_is_active_again() {
    let fake = Fake::start().await;
    let app = unit("app.service");
    let stopped = Change::Stopped { manager: ManagerKind::System, unit: app.clone() };
    fake.has_unit("app.service", "active");
    fake.answers(done(1));
    fake.manager.perform(&app, UnitVerb::Restart).await.expect("queued");
    assert_eq!(fake.outstanding(), [], "it is active again");

    fake.manager.kill(&app, KillWho::All, Signal::KILL).await.expect("sent");
    assert_eq!(fake.outstanding(), std::slice::from_ref(&stopped), "whether it comes back is open");
    fake.has_unit("app.service", "failed");
    fake.answers(done(2));
    fake.manager.perform(&app, UnitVerb::Stop).await.expect("queued");
    assert_eq!(fake.outstanding(), [stopped]);
    fake.answers(done(3));
    fake.has_unit("app.service", "active");
    fake.manager.perform(&app, UnitVerb::Start).await.expect("queued");
    assert_eq!(fake.outstanding(), []);
}

#[tokio::test]
async fn what_stops_with_a_unit_is_in_the_ledger_until_it_is_active_again() {
    let fake = Fake::start().await;
    let stopped = |name| Change::Stopped { manager: ManagerKind::System, unit: unit(name) };
    let tied = |name, state, by: Vec<&'static str>| {
        fake.has(
            name,
            UNIT,
            vec![("LoadState", text("loaded")), ("ActiveState", text(state)), ("RequiredBy", value(by))],
        );
    };
    let dependents = || vec!["near.service", "down.service", "some.target", "ssh.service"];
    tied("app.socket", "active", dependents());
    tied("near.service", "active", vec!["far.service"]);
    for up in ["far.service", "some.target", "ssh.service"] {
        fake.has_unit(up, "active");
    }
    fake.has_unit("down.service", "inactive");
    fake.answers(Answer::Error("org.freedesktop.systemd1.TransactionIsDestructive", "No."));
    fake.manager.perform(&unit("app.socket"), UnitVerb::Stop).await.expect("a failed job");
    assert_eq!(fake.outstanding(), [], "nothing was stopped");

    fake.manager.kill(&unit("app.socket"), KillWho::All, Signal::KILL).await.expect("sent");
    for name in ["near.service", "far.service"] {
        fake.has_unit(name, "inactive");
    }
    tied("app.socket", "inactive", dependents());
    fake.answers(done(2));
    fake.manager.perform(&unit("app.socket"), UnitVerb::Stop).await.expect("queued");
    assert_eq!(fake.outstanding(), [stopped("far.service"), stopped("near.service"), stopped("app.socket")]);
    fake.has_unit("near.service", "active");
    fake.answers(done(3));
    fake.manager.perform(&unit("near.service"), UnitVerb::Start).await.expect("queued");
    assert_eq!(fake.outstanding(), [stopped("far.service"), stopped("app.socket")]);
}

#[tokio::test]
async fn a_unit_that_was_not_active_is_in_the_ledger_while_it_is() {
    let fake = Fake::start().await;
    let app = unit("app.service");
    fake.has_unit("app.service", "inactive");
    fake.answers(Answer::Job { number: 1, before: vec![], after: vec![(1, "failed")] });
    fake.manager.perform(&app, UnitVerb::Start).await.expect("queued");
    assert_eq!(fake.outstanding(), [], "it did not start");
}
