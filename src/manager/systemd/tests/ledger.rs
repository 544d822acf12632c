//! What is written down before units are stopped and started, and how it is undone.

use std::path::Path;

use super::{done, unit};
use crate::manager::Manager as _;
use crate::manager::ledger::{ActedUnit, Change, Ledger, Owner, UnitMark};
use crate::manager::recover::{needs, recover};
use crate::manager::systemd::fake::{Answer, Fake, UNIT, text, value};
use crate::model::{ActiveState, KillWho, Signal, UnitVerb};
use crate::record::begin::ManagerKind;

/// The ledger of a dead run in `path`.
fn dead_run(path: &Path, changes: Vec<Change>) {
    let mut ledger = Ledger::open_in(path, Owner::this_process("demo", String::new())).expect("opens");
    for change in changes {
        ledger.entry(change).expect("written");
    }
}

fn acted(manager: ManagerKind, name: &str, active_state: &str) -> ActedUnit {
    let found = UnitMark { active_state: active_state.into(), ..UnitMark::default() };
    ActedUnit { manager, unit: unit(name), action: "restart".to_owned(), starts: true, found }
}

#[tokio::test]
async fn recovery_brings_units_back_in_their_order_and_what_is_as_it_was_is_left_alone() {
    let fake = Fake::start().await;
    let place = tempfile::tempdir().expect("a place for files");
    let path = place.path().join("ledger");
    let manager = ManagerKind::System;
    let now = crate::clock::now().as_nanos() / 1_000;
    dead_run(
        &path,
        vec![
            Change::Uses { manager, unit: unit("a.service"), scenario: "demo".to_owned(), pid: 7, folder: None },
            Change::Stopped(acted(manager, "a.service", "active")),
            Change::Stopped(acted(manager, "a.socket", "active")),
            Change::Started(acted(manager, "b.service", "inactive")),
            Change::Stopped(acted(manager, "came-back.service", "active")),
            Change::Started(acted(ManagerKind::User, "of-another-manager.service", "inactive")),
        ],
    );
    fake.has_unit("a.service", "failed");
    fake.has(
        "a.socket",
        UNIT,
        vec![("LoadState", text("loaded")), ("ActiveState", text("failed")), ("Triggers", value(vec!["a.service"]))],
    );
    fake.has(
        "b.service",
        UNIT,
        vec![
            ("LoadState", text("loaded")),
            ("ActiveState", text("active")),
            ("InactiveExitTimestampMonotonic", value(now + 1_000_000)),
        ],
    );
    fake.has_unit("came-back.service", "active");
    (1..=3).for_each(|number| fake.answers(done(number)));

    let abandoned = Ledger::abandoned_in(&path).expect("readable").remove(0);
    recover(abandoned, &fake.manager).await.expect("written");
    let calls = fake.calls();
    let expected = [
        "StopUnit b.service",
        "ResetFailedUnit a.socket",
        "ResetFailedUnit a.service",
        "StartUnit a.socket",
        "StartUnit a.service",
    ];
    assert_eq!(calls, expected);
    assert_eq!(fake.outstanding(), [""; 0], "a recovery is not itself to be undone");
}

#[tokio::test]
async fn what_is_brought_back_is_told_and_the_rest_stays_for_its_manager() {
    let fake = Fake::start().await;
    let place = tempfile::tempdir().expect("a place for files");
    let path = place.path().join("ledger");
    dead_run(
        &path,
        vec![
            Change::Stopped(acted(ManagerKind::System, "gone-for-good.service", "active")),
            Change::Stopped(acted(ManagerKind::System, "stays-down.service", "active")),
            Change::Started(acted(ManagerKind::User, "of-another-manager.service", "inactive")),
        ],
    );
    fake.has_unit("stays-down.service", "failed");
    fake.answers(Answer::Job { number: 1, before: vec![], after: vec![(1, "failed")] });
    let abandoned = Ledger::abandoned_in(&path).expect("readable").remove(0);
    let recovery = recover(abandoned, &fake.manager).await.expect("written");
    assert_eq!((recovery.done.len(), recovery.left_alone.len(), recovery.failed.len()), (0, 0, 1), "{recovery:?}");
    let left = Ledger::abandoned_in(&path).expect("readable").remove(0);
    assert_eq!(left.outstanding().count(), 2, "one for the next run, one for the systemd of the user");
    assert!(needs(&left, ManagerKind::User) && needs(&left, ManagerKind::System));
}

#[tokio::test]
async fn what_an_earlier_boot_changed_is_nobodys_to_undo() {
    let fake = Fake::start().await;
    let place = tempfile::tempdir().expect("a place for files");
    let path = place.path().join("ledger");
    let owner = Owner { boot: "another".to_owned(), ..Owner::this_process("demo", String::new()) };
    let mut ledger = Ledger::open_in(&path, owner).expect("opens");
    ledger.entry(Change::Stopped(acted(ManagerKind::System, "a.service", "active"))).expect("written");
    drop(ledger);
    fake.has_unit("a.service", "inactive");
    let abandoned = Ledger::abandoned_in(&path).expect("readable").remove(0);
    recover(abandoned, &fake.manager).await.expect("written");
    assert_eq!(fake.calls(), [""; 0]);
    assert_eq!(std::fs::read_dir(&path).expect("it is there").count(), 0);
}

#[tokio::test]
async fn a_unit_is_written_down_as_it_was_found_and_as_it_was_left() {
    let fake = Fake::start().await;
    let app = unit("app.service");
    let incarnation = |state, byte: u8| {
        vec![
            ("LoadState", text("loaded")),
            ("ActiveState", text(state)),
            ("InvocationID", value(vec![byte; 16])),
            ("StateChangeTimestampMonotonic", value(u64::from(byte) * 1_000_000)),
        ]
    };
    fake.has("app.service", UNIT, incarnation("active", 1));
    fake.answers(Answer::Job { number: 1, before: vec![], after: vec![(1, "failed")] });
    fake.has("app.service", UNIT, incarnation("active", 1));
    let perform = fake.manager.perform(&app, UnitVerb::Restart);
    fake.has("app.service", UNIT, incarnation("active", 1));
    perform.await.expect("queued");
    assert_eq!(fake.outstanding(), [""; 0], "it is active still");

    fake.manager.kill(&app, KillWho::All, Signal::KILL).await.expect("sent");
    assert_eq!(fake.left(), [None], "nobody has looked since");
    fake.has("app.service", UNIT, incarnation("failed", 2));
    fake.manager.snapshot(&app).await.expect("answers");
    let left = fake.left().remove(0).expect("it was looked at");
    assert_eq!((left.active_state, left.invocation_id), (ActiveState::Failed, Some("02".repeat(16))));
    assert_eq!(left.changed_at.map(crate::model::MonoTime::as_nanos), Some(2_000_000_000));
}

#[tokio::test]
async fn what_the_user_wants_to_stay_is_not_written_down() {
    let mut fake = Fake::start().await;
    fake.manager.restores = false;
    fake.has_unit("app.service", "active");
    fake.answers(done(1));
    fake.manager.perform(&unit("app.service"), UnitVerb::Stop).await.expect("queued");
    assert_eq!(fake.outstanding(), [""; 0]);
}

#[tokio::test]
async fn a_unit_that_was_active_is_in_the_ledger_until_it_is_active_again() {
    let fake = Fake::start().await;
    let app = unit("app.service");
    fake.has_unit("app.service", "active");
    fake.answers(done(1));
    fake.manager.perform(&app, UnitVerb::Restart).await.expect("queued");
    assert_eq!(fake.outstanding(), [""; 0], "it is active again");

    fake.manager.kill(&app, KillWho::All, Signal::KILL).await.expect("sent");
    assert_eq!(fake.outstanding(), ["stopped app.service"], "whether it comes back is open");
    fake.has_unit("app.service", "failed");
    fake.answers(done(2));
    fake.manager.perform(&app, UnitVerb::Stop).await.expect("queued");
    assert_eq!(fake.outstanding(), ["stopped app.service"]);
    fake.answers(done(3));
    fake.has_unit("app.service", "active");
    fake.manager.perform(&app, UnitVerb::Start).await.expect("queued");
    assert_eq!(fake.outstanding(), [""; 0]);
}

#[tokio::test]
async fn what_stops_with_a_unit_is_in_the_ledger_until_it_is_active_again() {
    let fake = Fake::start().await;
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
    assert_eq!(fake.outstanding(), [""; 0], "nothing was stopped");

    fake.manager.kill(&unit("app.socket"), KillWho::All, Signal::KILL).await.expect("sent");
    for name in ["near.service", "far.service"] {
        fake.has_unit(name, "inactive");
    }
    tied("app.socket", "inactive", dependents());
    fake.answers(done(2));
    fake.manager.perform(&unit("app.socket"), UnitVerb::Stop).await.expect("queued");
    assert_eq!(fake.outstanding(), ["stopped far.service", "stopped near.service", "stopped app.socket"]);
    fake.has_unit("near.service", "active");
    fake.answers(done(3));
    fake.manager.perform(&unit("near.service"), UnitVerb::Start).await.expect("queued");
    assert_eq!(fake.outstanding(), ["stopped far.service", "stopped app.socket"]);
}

#[tokio::test]
async fn a_unit_that_was_not_active_is_in_the_ledger_while_it_is() {
    let fake = Fake::start().await;
    let app = unit("app.service");
    fake.has_unit("app.service", "inactive");
    fake.answers(Answer::Job { number: 1, before: vec![], after: vec![(1, "failed")] });
    fake.manager.perform(&app, UnitVerb::Start).await.expect("queued");
    assert_eq!(fake.outstanding(), [""; 0], "it did not start");
}
