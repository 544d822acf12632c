//! When a service counts as started, and what its processes find.

use gapless::manager::{Manager as _, ManagerError};
use gapless::model::{ActiveState, JobResult, UnitVerb};

use crate::embedded::rig::{Rig, unit};

#[tokio::test]
async fn a_simple_service_runs_and_stops() {
    let mut rig = Rig::with(&[("a.service", "[Service]\nExecStart=sleep 1000\n")]).await;
    rig.done(UnitVerb::Start, "a.service").await;
    let before = rig.snapshot("a.service").await;
    assert_eq!((&before.active_state, before.sub_state.as_str()), (&ActiveState::Active, "running"));
    assert!(before.main_process().is_some());
    rig.done(UnitVerb::Stop, "a.service").await;
    assert_eq!(rig.state("a.service").await, "inactive/dead success");
    assert_eq!(rig.history("a.service"), ["active/running", "deactivating/stop-sigterm", "inactive/dead"]);
    assert_eq!(rig.snapshot("a.service").await.service.expect("a service").main_exit.as_deref(), Some("killed 15"));
}

#[tokio::test]
async fn a_restart_is_a_new_incarnation() {
    let rig = Rig::with(&[("a.service", "[Service]\nType=exec\nExecStart=sleep 1000\n")]).await;
    rig.done(UnitVerb::Start, "a.service").await;
    let before = rig.snapshot("a.service").await;
    rig.done(UnitVerb::Restart, "a.service").await;
    let after = rig.snapshot("a.service").await;
    assert_ne!(before.invocation_id, after.invocation_id);
    assert_ne!(before.main_process(), after.main_process());
    assert!(after.service.expect("a service").main_started_at > before.service.expect("a service").main_started_at);
}

#[tokio::test]
async fn a_notify_service_is_activating_until_it_says_ready() {
    let units = [
        ("a.service", "[Service]\nType=notify\nNotifyAccess=all\nExecStart={serve}\n"),
        ("a.socket", "[Socket]\nListenStream={dir}/s\nFileDescriptorName=web\n"),
    ];
    let mut rig = Rig::with(&units).await;
    rig.done(UnitVerb::Start, "a.socket").await;
    rig.done(UnitVerb::Start, "a.service").await;
    assert_eq!(rig.history("a.service"), ["activating/start", "active/running"]);
}

#[tokio::test]
async fn a_notify_service_that_never_says_ready_times_out() {
    let text = "[Service]\nType=notify\nTimeoutStartSec=200ms\nExecStart=sleep 1000\n";
    let mut rig = Rig::with(&[("a.service", text)]).await;
    assert_eq!(rig.perform(UnitVerb::Start, "a.service").await.result, JobResult::Failed);
    assert_eq!(rig.state("a.service").await, "failed/failed timeout");
    assert_eq!(rig.history("a.service"), ["activating/start", "deactivating/stop-sigterm", "failed/failed"]);
}

#[tokio::test]
async fn a_notify_service_that_ends_before_it_is_ready_broke_the_protocol() {
    let rig = Rig::with(&[("a.service", "[Service]\nType=notify\nExecStart=true\n")]).await;
    assert_eq!(rig.perform(UnitVerb::Start, "a.service").await.result, JobResult::Failed);
    assert_eq!(rig.state("a.service").await, "failed/failed protocol");
}

#[tokio::test]
async fn an_executable_that_is_missing_is_told_as_203() {
    for service_type in ["exec", "notify"] {
        let text = format!("[Service]\nType={service_type}\nExecStart=/nowhere/at-all\n");
        let rig = Rig::with(&[("a.service", &text)]).await;
        let job = rig.perform(UnitVerb::Start, "a.service").await;
        let reason = job.reason.expect("a reason");
        assert_eq!(job.result, JobResult::Failed);
        assert!(reason.contains("203/EXEC") && reason.contains("cannot execute /nowhere/at-all"), "{reason}");
        assert_eq!(rig.state("a.service").await, "failed/failed exit-code");
    }
}

#[tokio::test]
async fn a_oneshot_runs_its_commands_in_order_and_may_remain() {
    let text = "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStartPre=sh -c 'echo pre >> {dir}/log'\n\
                ExecStart=sh -c 'echo one >> {dir}/log'\nExecStart=-false\nExecStart=sh -c 'echo two >> {dir}/log'\n\
                ExecStartPost=sh -c 'echo post >> {dir}/log'\nExecStop=sh -c 'echo stop >> {dir}/log'\n\
                ExecStopPost=sh -c 'echo $$SERVICE_RESULT >> {dir}/log'\n";
    let rig = Rig::with(&[("a.service", text)]).await;
    rig.done(UnitVerb::Start, "a.service").await;
    assert_eq!(rig.state("a.service").await, "active/exited success");
    rig.done(UnitVerb::Stop, "a.service").await;
    let log = std::fs::read_to_string(rig.directory.path().join("log")).expect("written");
    assert_eq!(log, "pre\none\ntwo\npost\nstop\nsuccess\n");
}

#[tokio::test]
async fn processes_find_what_the_unit_promises() {
    let text = "[Service]\nType=oneshot\nRemainAfterExit=yes\nEnvironment=A=1 'B=two words' C=gone\nUnsetEnvironment=C\n\
                EnvironmentFile=-/nowhere\nEnvironmentFile={dir}/env\nRuntimeDirectory=box\nWorkingDirectory={dir}\n\
                UMask=0077\nStandardOutput=append:{dir}/out\nStandardError=journal\n\
                ExecStart=sh -c 'echo \"$$A|$$B|$$C|$$D|$${RUNTIME_DIRECTORY##*/}|$$(umask)|$$(pwd)|$$0 $$1\"; echo oops >&2; test -d $$RUNTIME_DIRECTORY' %p $D\n";
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().to_str().expect("ASCII");
    std::fs::write(directory.path().join("env"), "A=from file\nD=x y\n").expect("written");
    let rig = Rig::with(&[("a.service", &text.replace("{dir}", path))]).await;
    rig.done(UnitVerb::Start, "a.service").await;
    let out = std::fs::read_to_string(directory.path().join("out")).expect("written");
    assert_eq!(out, format!("from file|two words||x y|box|0077|{path}|a x\n"));
    let service = unit("a.service");
    while rig.manager.output(&service).await.expect("asked").expect("there").is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(rig.manager.output(&service).await.expect("asked").as_deref(), Some("oops\n"));
}

#[tokio::test]
async fn credentials_lie_where_their_specifier_and_variable_point_while_the_service_runs_and_no_longer() {
    let text = "[Service]\nType=oneshot\nRemainAfterExit=yes\nLoadCredential=key:{dir}/key\nSetCredential=set:as written\n\
                Environment=KEY=%d/key\n\
                ExecStart=sh -c 'cat $$KEY $$CREDENTIALS_DIRECTORY/set %d/key > {dir}/found; \
                stat -c %%a $$KEY >> {dir}/found; echo %d > {dir}/place'\n";
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("key"), "secret\n").expect("written");
    let rig = Rig::with(&[("a.service", &text.replace("{dir}", directory.path().to_str().expect("ASCII")))]).await;
    rig.done(UnitVerb::Start, "a.service").await;
    let read = |name: &str| std::fs::read_to_string(directory.path().join(name)).expect("written");
    assert_eq!(read("found"), "secret\nas writtensecret\n400\n");
    let place = std::path::PathBuf::from(read("place").trim());
    assert!(place.exists());
    rig.done(UnitVerb::Stop, "a.service").await;
    assert!(!place.exists(), "{}", place.display());
}

#[tokio::test]
async fn a_credential_that_cannot_be_loaded_fails_the_start_and_names_it() {
    let text = "[Service]\nType=exec\nLoadCredential=key:/nowhere/at-all\nExecStart=sleep 1000\n";
    let rig = Rig::with(&[("a.service", text)]).await;
    let job = rig.perform(UnitVerb::Start, "a.service").await;
    assert_eq!(job.result, JobResult::Failed);
    let reason = job.reason.expect("a reason");
    assert!(reason.contains("cannot load the credential key from /nowhere/at-all"), "{reason}");
}

#[tokio::test]
async fn a_reload_keeps_the_process_and_tells_it() {
    let text = "[Service]\nType=exec\nExecReload=sh -c 'echo $$MAINPID > {dir}/reloaded'\nExecStart=sleep 1000\n";
    let rig = Rig::with(&[("a.service", text)]).await;
    rig.done(UnitVerb::Start, "a.service").await;
    let before = rig.snapshot("a.service").await;
    rig.done(UnitVerb::Reload, "a.service").await;
    let after = rig.snapshot("a.service").await;
    assert_eq!(
        (before.invocation_id, before.service.as_ref().and_then(|s| s.main_process)),
        (after.invocation_id.clone(), after.main_process())
    );
    let told = std::fs::read_to_string(rig.directory.path().join("reloaded")).expect("written");
    assert_eq!(told.trim(), after.main_process().expect("runs").pid.to_string());
}

#[tokio::test]
async fn a_failed_reload_is_a_failed_job_and_the_service_goes_on() {
    let text = "[Service]\nType=exec\nExecReload=false\nExecStart=sleep 1000\n";
    let rig = Rig::with(&[("a.service", text)]).await;
    rig.done(UnitVerb::Start, "a.service").await;
    assert_eq!(rig.perform(UnitVerb::Reload, "a.service").await.result, JobResult::Failed);
    assert_eq!(rig.state("a.service").await, "active/running success");
}

#[tokio::test]
async fn a_unit_file_with_an_error_is_refused_with_its_line() {
    let refused = Rig::try_with(&[("a.service", "[Service]\nExecStart=/bin/true\nExecStart=/bin/false\n")]).await;
    let Err(error) = refused else { panic!("it was installed") };
    assert!(error.to_string().contains("a.service:3: only Type=oneshot may have more than one"), "{error}");
    let refused = Rig::try_with(&[("a.service", "[Service]\nType=forking\nExecStart=/bin/true\n")]).await;
    let Err(error) = refused else { panic!("it was installed") };
    assert!(error.to_string().contains("a.service:2: the embedded manager does not support Type=forking"), "{error}");
}

#[tokio::test]
async fn what_is_not_acted_on_is_listed_and_what_is_not_known_is_told() {
    let text = "[Unit]\nDescription=x\n[Service]\nExecStart=sleep 1\nMemoryMax=1G\nNope=1\n";
    let rig = Rig::with(&[("a.service", text)]).await;
    let ignored = rig.manager.ignored_directives().await.expect("asked");
    assert_eq!(ignored.iter().map(|one| (one.directive.as_str(), one.line)).collect::<Vec<_>>(), [("MemoryMax", 5)]);
    let findings = rig.manager.findings().await.expect("asked");
    assert_eq!(findings.iter().map(|(_, finding)| finding.line).collect::<Vec<_>>(), [6]);
}

#[tokio::test]
async fn an_empty_file_is_a_masked_unit_and_an_unknown_one_is_none() {
    let refused = Rig::try_with(&[("a.service", "")]).await;
    assert!(matches!(refused, Err(ManagerError::Masked { .. })));
    let rig = Rig::with(&[]).await;
    let unknown = rig.manager.perform(&unit("x.service"), UnitVerb::Start).await;
    assert!(matches!(unknown, Err(ManagerError::NoSuchUnit { .. })));
}

#[tokio::test]
async fn a_requirement_that_fails_is_a_failed_dependency() {
    let units = [
        ("a.service", "[Unit]\nRequires=b.service\nAfter=b.service\n[Service]\nExecStart=sleep 1000\n"),
        ("b.service", "[Service]\nType=oneshot\nExecStart=false\n"),
    ];
    let rig = Rig::with(&units).await;
    let job = rig.perform(UnitVerb::Start, "a.service").await;
    assert_eq!(job.result, JobResult::Dependency);
    assert!(job.reason.expect("a reason").starts_with("b.service: "));
    assert_eq!(rig.state("a.service").await, "inactive/dead success");
}

#[tokio::test]
async fn an_instance_is_made_from_its_template() {
    let text = "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=sh -c 'echo %i > {dir}/%i'\n";
    let rig = Rig::with(&[("a@.service", text)]).await;
    rig.done(UnitVerb::Start, "a@one.service").await;
    assert_eq!(std::fs::read_to_string(rig.directory.path().join("one")).expect("written"), "one\n");
    assert_eq!(rig.state("a@one.service").await, "active/exited success");
}
