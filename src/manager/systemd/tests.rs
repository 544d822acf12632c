use std::os::unix::fs::PermissionsExt as _;

use super::bus::Bus;
use super::fake::{Answer, Fake, SERVICE, SOCKET, UNIT, job_property, text, value};
use crate::host::process;
use crate::manager::{Manager as _, ManagerError};
use crate::model::{ActiveState, JobResult, KillWho, MonoTime, ProcessId, Signal, UnitName, UnitVerb};
use crate::record::begin::ManagerKind;
use crate::scenario::plan::UnitFile;

mod ledger;

fn unit(name: &str) -> UnitName {
    UnitName::new(name).expect("valid")
}

fn done(number: u32) -> Answer {
    Answer::Job { number, before: vec![], after: vec![(number, "done")] }
}

#[tokio::test]
async fn a_job_is_told_from_those_of_strangers_by_its_path() {
    let fake = Fake::start().await;
    fake.has_unit("app.service", "active");
    fake.answers(Answer::Job {
        number: 7,
        before: vec![(5, "failed"), (6, "timeout")],
        after: vec![(8, "failed"), (7, "done"), (9, "failed")],
    });
    let job = fake.manager.perform(&unit("app.service"), UnitVerb::Restart).await.expect("queued");
    assert_eq!((job.result, job.reason), (JobResult::Done, None));
    assert_eq!(fake.calls(), ["RestartUnit app.service"]);
}

#[tokio::test]
async fn a_job_that_ends_before_its_path_is_known_is_not_missed() {
    let fake = Fake::start().await;
    fake.has_unit("app.service", "active");
    fake.answers(Answer::Job { number: 7, before: vec![(7, "canceled")], after: vec![] });
    let job = fake.manager.perform(&unit("app.service"), UnitVerb::Reload).await.expect("queued");
    assert_eq!(job.result, JobResult::Canceled);
    assert_eq!(job.reason.as_deref(), Some("another job took its place, or somebody cancelled it"));
}

#[tokio::test]
async fn a_unit_with_a_strangers_job_is_left_alone() {
    let fake = Fake::start().await;
    let properties = vec![("LoadState", text("loaded")), ("ActiveState", text("active")), ("Job", job_property(41))];
    fake.has("app.service", UNIT, properties);
    let refused = fake.manager.perform(&unit("app.service"), UnitVerb::Restart).await;
    assert!(matches!(refused, Err(ManagerError::StrangersJob { job: 41, .. })), "{refused:?}");
    assert_eq!(fake.calls(), [""; 0]);
}

#[tokio::test]
async fn a_job_that_we_queued_and_did_not_wait_for_is_no_strangers() {
    let fake = Fake::start().await;
    let app = unit("app.service");
    fake.has_unit("app.service", "active");
    fake.answers(Answer::Job { number: 7, before: vec![], after: vec![] });
    let is_queued = async {
        while fake.calls().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        job = fake.manager.perform(&app, UnitVerb::Stop) => panic!("it does not end: {job:?}"),
        () = is_queued => {}
    }
    let properties = vec![("LoadState", text("loaded")), ("ActiveState", text("active")), ("Job", job_property(7))];
    fake.has("app.service", UNIT, properties);
    fake.answers(done(8));
    let job = fake.manager.perform(&app, UnitVerb::Start).await.expect("ours may be replaced");
    assert_eq!(job.result, JobResult::Done);
}

#[tokio::test]
async fn what_systemd_refuses_for_the_units_sake_is_a_failed_job() {
    for name in ["OnlyByDependency", "JobTypeNotApplicable", "TransactionIsDestructive"] {
        let fake = Fake::start().await;
        fake.has_unit("app.service", "active");
        let name: &'static str = Box::leak(format!("org.freedesktop.systemd1.{name}").into_boxed_str());
        fake.answers(Answer::Error(name, "Operation refused."));
        let job = fake.manager.perform(&unit("app.service"), UnitVerb::Restart).await.expect("no harness error");
        assert_eq!(job.result, JobResult::Failed, "{name}");
        assert!(job.reason.is_some_and(|reason| reason.starts_with("Operation refused (")), "{name}");
    }
}

#[tokio::test]
async fn each_error_says_what_to_do() {
    let cases = [
        (
            "org.freedesktop.systemd1.NoSuchUnit",
            "there is no such unit; check the name with `systemctl list-unit-files`",
        ),
        ("org.freedesktop.systemd1.UnitMasked", "it is masked; `systemctl unmask app.service` first"),
        ("org.freedesktop.systemd1.BadUnitSetting", "`systemd-analyze verify app.service` says where"),
        ("org.freedesktop.DBus.Error.AccessDenied", "access denied (said so); run as root"),
        ("org.freedesktop.DBus.Error.InteractiveAuthorizationRequired", "access denied (said so); run as root"),
        ("org.freedesktop.DBus.Error.NoReply", "lost systemd on the system bus"),
        ("org.freedesktop.DBus.Error.InvalidArgs", "cannot restart app.service: said so"),
    ];
    for (name, expected) in cases {
        let fake = Fake::start().await;
        fake.has_unit("app.service", "active");
        fake.answers(Answer::Error(name, "said so"));
        let error = fake.manager.perform(&unit("app.service"), UnitVerb::Restart).await.expect_err(name);
        assert!(error.to_string().contains(expected), "{name}: {error}");
    }
}

#[tokio::test]
async fn a_unit_that_cannot_be_used_is_told_before_anything_is_queued() {
    let mut fake = Fake::start().await;
    let load_error = || value(("org.freedesktop.systemd1.BadUnitSetting", "no ExecStart="));
    fake.has("masked.service", UNIT, vec![("LoadState", text("masked"))]);
    fake.has("bad.service", UNIT, vec![("LoadState", text("bad-setting")), ("LoadError", load_error())]);
    let missing = fake.manager.hold(&unit("missing.service")).await;
    assert!(matches!(missing, Err(ManagerError::NoSuchUnit { .. })), "{missing:?}");
    let masked = fake.manager.hold(&unit("masked.service")).await;
    assert!(matches!(masked, Err(ManagerError::Masked { .. })), "{masked:?}");
    let bad = fake.manager.perform(&unit("bad.service"), UnitVerb::Start).await;
    assert!(matches!(bad, Err(ManagerError::BadUnit { ref reason, .. }) if reason == "no ExecStart="), "{bad:?}");
    let protected = fake.manager.hold(&unit("dbus.service")).await;
    assert!(matches!(protected, Err(ManagerError::Protected { .. })), "{protected:?}");
    assert_eq!(fake.calls(), [""; 0]);
}

#[tokio::test]
async fn a_bus_that_goes_away_in_the_middle_of_a_job_is_lost() {
    let fake = Fake::start().await;
    fake.has_unit("app.service", "active");
    fake.answers(Answer::HangUp);
    let lost = fake.manager.perform(&unit("app.service"), UnitVerb::Restart).await;
    assert!(matches!(lost, Err(ManagerError::Lost { .. })), "{lost:?}");
    let lost = fake.manager.snapshot(&unit("app.service")).await;
    assert!(matches!(lost, Err(ManagerError::Lost { .. })), "{lost:?}");
}

#[tokio::test]
async fn a_lost_connection_is_made_anew_by_systemds_own_socket_and_jobs_are_heard_there() {
    let mut fake = Fake::start().await;
    let app = unit("app.service");
    fake.has_unit("app.service", "active");
    assert_eq!(fake.manager.reconnect().await.expect("it answers"), None, "nothing was lost");
    fake.answers(Answer::HangUp);
    let lost = fake.manager.perform(&app, UnitVerb::Stop).await;
    assert!(matches!(lost, Err(ManagerError::Lost { .. })), "{lost:?}");
    fake.has_unit("app.service", "inactive");

    fake.listens_at_its_own_socket();
    let told = fake.manager.reconnect().await.expect("it is reached").expect("it was lost");
    assert!(told.contains("it is reached again by its own socket"), "{told}");
    fake.has_unit("app.service", "active");
    fake.answers(done(3));
    let job = fake.manager.bring_back(&app, UnitVerb::Start).await.expect("queued");
    assert_eq!(job.result, JobResult::Done);
    assert_eq!(fake.outstanding(), [""; 0]);
}

#[tokio::test]
async fn a_job_that_is_given_up_is_cancelled_by_its_number_and_no_other() {
    let fake = Fake::start().await;
    fake.has_unit("hang.service", "inactive");
    fake.answers(Answer::Job { number: 7, before: vec![], after: vec![] });
    let waits = fake.manager.waits();
    let give_up = async {
        while waits.now().iter().all(|wait| !wait.to_string().contains("job 7")) {
            tokio::task::yield_now().await;
        }
        assert_eq!(waits.now()[0].to_string(), "start of hang.service (job 7)");
        waits.give_up("at a second signal");
    };
    let hang = unit("hang.service");
    let (job, ()) = tokio::join!(fake.manager.perform(&hang, UnitVerb::Start), give_up);
    assert_eq!(job.expect("queued").result, JobResult::Canceled);
    assert_eq!(fake.calls(), ["StartUnit hang.service", "CancelJob 7"]);
    assert_eq!(waits.now(), []);
}

#[tokio::test]
async fn an_alias_is_told_by_the_name_that_systemd_has_for_the_unit() {
    let fake = Fake::start().await;
    let of_the_unit = || vec![("LoadState", text("loaded")), ("Id", text("app.service"))];
    for name in ["app.service", "alias.service"] {
        fake.has(name, UNIT, of_the_unit());
        assert_eq!(fake.manager.primary_name(&unit(name)).await.expect("answers"), unit("app.service"));
    }
    let missing = unit("missing.service");
    assert_eq!(fake.manager.primary_name(&missing).await.expect("answers"), missing);
}

#[tokio::test]
async fn a_signal_goes_to_those_named_and_nobody_is_an_error() {
    let fake = Fake::start().await;
    fake.has_unit("app.service", "active");
    fake.manager.kill(&unit("app.service"), KillWho::Main, Signal::HUP).await.expect("sent");
    fake.answers(Answer::Error("org.freedesktop.systemd1.NoSuchProcess", "No process to kill"));
    let nobody = fake.manager.kill(&unit("app.service"), KillWho::All, Signal::KILL).await;
    assert_eq!(
        nobody.expect_err("nobody").to_string(),
        "cannot send SIGKILL to app.service: it has no such process (who = \"all\"); it has to run by then: \
         start it in a step before, or see its journal for why it ended"
    );
    assert_eq!(fake.calls(), ["KillUnit app.service main-fail 1", "KillUnit app.service all-fail 9"]);
}

#[tokio::test]
async fn a_failed_start_is_explained_from_the_unit() {
    let fake = Fake::start().await;
    fake.has_unit("app.service", "active");
    let exit = vec![("Result", text("exit-code")), ("ExecMainCode", value(1_i32)), ("ExecMainStatus", value(203_i32))];
    fake.has("app.service", SERVICE, exit);
    fake.answers(Answer::Job { number: 1, before: vec![], after: vec![(1, "failed")] });
    let job = fake.manager.perform(&unit("app.service"), UnitVerb::Restart).await.expect("queued");
    assert_eq!(job.result, JobResult::Failed);
    let reason = "the executable could not be run (203/EXEC); `journalctl -u app.service` says why";
    assert_eq!(job.reason.as_deref(), Some(reason));
}

#[tokio::test]
async fn a_service_is_read_whole() {
    let fake = Fake::start().await;
    let own = process::identify(std::process::id()).expect("we run");
    fake.has(
        "app.service",
        UNIT,
        vec![
            ("LoadState", text("loaded")),
            ("ActiveState", text("active")),
            ("SubState", text("running")),
            ("InvocationID", value((0..16).collect::<Vec<u8>>())),
            ("NeedDaemonReload", value(true)),
            ("StartLimitBurst", value(5_u32)),
            ("StartLimitIntervalUSec", value(10_000_000_u64)),
            ("RefuseManualStart", value(true)),
            ("TriggeredBy", value(vec!["app.socket"])),
        ],
    );
    fake.has(
        "app.service",
        SERVICE,
        vec![
            ("Result", text("success")),
            ("MainPID", value(own.pid)),
            ("ExecMainStartTimestampMonotonic", value(1_234_567_u64)),
            ("NRestarts", value(3_u32)),
            ("MemoryCurrent", value(4096_u64)),
            ("Restart", text("on-failure")),
            ("KillMode", text("mixed")),
            ("Type", text("notify")),
        ],
    );
    let seen = fake.manager.snapshot(&unit("app.service")).await.expect("answers");
    assert!(seen.is_active() && seen.need_daemon_reload);
    assert_eq!((seen.sub_state.as_str(), seen.result.as_str()), ("running", "success"));
    assert_eq!(seen.invocation_id.as_deref(), Some("000102030405060708090a0b0c0d0e0f"));
    assert_eq!(seen.main_process(), Some(own));
    assert_eq!(seen.socket, None);
    let service = seen.service.expect("it is one");
    assert_eq!(service.main_started_at.map(MonoTime::as_nanos), Some(1_234_567_000));
    assert_eq!((service.restarts, service.memory_bytes), (3, Some(4096)));
    assert_eq!(service.start_limit, Some((5, 10_000_000)));
    assert_eq!(
        (service.restart_policy.as_str(), service.kill_mode.as_str(), service.service_type.as_str()),
        ("on-failure", "mixed", "notify")
    );
    assert!(service.refuse_manual_start);
    assert_eq!(service.triggered_by, [unit("app.socket")]);
    assert_eq!(service.processes, Vec::<ProcessId>::new());
}

#[tokio::test]
async fn a_socket_is_read_whole() {
    let fake = Fake::start().await;
    let unit_properties = vec![("LoadState", text("loaded")), ("Triggers", value(vec!["app.service"]))];
    fake.has("app.socket", UNIT, unit_properties);
    let listen = vec![("Stream", "127.0.0.1:8008"), ("Datagram", "127.0.0.1:53"), ("Stream", "/run/app.sock")];
    fake.has(
        "app.socket",
        SOCKET,
        vec![
            ("Accept", value(true)),
            ("Backlog", value(10_u32)),
            ("Listen", value(listen)),
            ("Result", text("service-start-limit-hit")),
        ],
    );
    let seen = fake.manager.snapshot(&unit("app.socket")).await.expect("answers");
    let reads = fake.reads();
    assert_eq!(reads.len(), 1, "all of it is of one moment");
    assert!(seen.at <= reads[0], "a change after that moment is newer");
    assert_eq!(seen.result, "service-start-limit-hit");
    let socket = seen.socket.expect("it is one");
    let listen: Vec<String> = socket.listen.iter().map(ToString::to_string).collect();
    assert_eq!(listen, ["127.0.0.1:8008", "udp://127.0.0.1:53", "/run/app.sock"]);
    assert_eq!((socket.accept, socket.backlog), (true, 10));
    assert_eq!(socket.triggers, [unit("app.service")]);
}

#[tokio::test]
async fn each_state_change_of_a_held_unit_arrives_once_and_whole() {
    let mut fake = Fake::start().await;
    fake.has_unit("app.service", "active");
    fake.has("app.service", SERVICE, vec![("MainPID", value(10_u32)), ("Result", text("success"))]);
    fake.manager.hold(&unit("app.service")).await.expect("it is there");
    fake.manager.hold(&unit("app.service")).await.expect("twice is no harm");
    assert_eq!(fake.calls(), ["Ref"]);
    let mut changes = fake.manager.take_changes().expect("once");

    fake.changes("app.service", SERVICE, vec![("MainPID", value(0_u32)), ("Result", text("signal"))]).await;
    let failed = vec![("ActiveState", text("failed")), ("StateChangeTimestampMonotonic", value(5_000_000_u64))];
    fake.changes("app.service", UNIT, failed).await;
    fake.changes("app.service", UNIT, vec![("ActiveState", text("failed"))]).await;
    fake.changes("app.service", SERVICE, vec![("MainPID", value(11_u32)), ("Result", text("success"))]).await;
    fake.changes("app.service", UNIT, vec![("ActiveState", text("active"))]).await;

    let first = changes.recv().await.expect("followed");
    assert_eq!((&first.active_state, first.main_pid, first.result.as_str()), (&ActiveState::Failed, 0, "signal"));
    assert_eq!(first.changed_at.map(MonoTime::as_nanos), Some(5_000_000_000));
    let second = changes.recv().await.expect("followed");
    assert_eq!((&second.active_state, second.main_pid, second.result.as_str()), (&ActiveState::Active, 11, "success"));
    assert!(fake.manager.take_changes().is_none());
}

#[tokio::test]
async fn unit_files_come_and_go_with_their_entries() {
    let mut fake = Fake::start().await;
    let file = |name: &str| UnitFile { unit: unit(name), text: "[Unit]\n".to_owned(), is_private: false };
    fake.manager
        .install(&[UnitFile { is_private: true, ..file("app.socket") }, file("app@.service")])
        .await
        .expect("installed");
    let there = || {
        let names = std::fs::read_dir(fake.unit_directory()).expect("made").flatten();
        let mut names: Vec<_> = names.map(|entry| entry.file_name().into_string().expect("ascii")).collect();
        names.sort();
        names
    };
    assert_eq!(there(), ["app.socket", "app@.service"]);
    let mode =
        |name| std::fs::metadata(fake.unit_directory().join(name)).expect("it is there").permissions().mode() & 0o777;
    assert_eq!((mode("app.socket"), mode("app@.service")), (0o600, 0o644));
    assert_eq!(fake.outstanding().len(), 2);
    fake.manager.uninstall().await.expect("removed");
    assert_eq!(std::fs::read_dir(fake.unit_directory()).expect("stays").count(), 0);
    assert_eq!(fake.outstanding(), [""; 0]);
    assert_eq!(fake.calls(), ["Reload", "Reload"]);
}

#[tokio::test]
async fn a_unit_that_is_there_already_is_never_replaced_and_nothing_is_installed() {
    let mut fake = Fake::start().await;
    fake.has_unit("app.service", "inactive");
    let file = |name: &str| UnitFile { unit: unit(name), text: "[Unit]\n".to_owned(), is_private: false };
    let refused = fake.manager.install(&[file("new.socket"), file("app.service")]).await;
    assert!(matches!(refused, Err(ManagerError::AlreadyThere { .. })), "{refused:?}");

    std::fs::create_dir(fake.unit_directory()).expect("made");
    std::fs::write(fake.unit_directory().join("old@.service"), "theirs").expect("written");
    let refused = fake.manager.install(&[file("new.socket"), file("old@.service")]).await;
    assert!(matches!(refused, Err(ManagerError::AlreadyThere { .. })), "{refused:?}");
    assert_eq!(std::fs::read_dir(fake.unit_directory()).expect("there").count(), 1);
    assert_eq!(fake.outstanding(), [""; 0]);
}

#[tokio::test]
async fn the_version_is_that_of_systemd_without_the_distributions() {
    assert_eq!(Fake::start().await.manager.version(), "systemd 252");
}

#[tokio::test]
async fn a_bus_without_systemd_is_told_with_a_remedy() {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair().expect("a socket pair");
    let server = zbus::connection::Builder::unix_stream(theirs).server(zbus::Guid::generate()).p2p();
    let client = zbus::connection::Builder::unix_stream(ours).p2p();
    let (server, client) = tokio::join!(server.build(), client.build());
    drop(server);
    let error = Bus::on(client.expect("connected"), ManagerKind::System).await.expect_err("nobody is there");
    assert!(matches!(error, ManagerError::NoBus { .. }), "{error:?}");
    assert!(error.to_string().contains("is this machine booted with systemd"), "{error}");
}
