//! Each mechanism with its cause, and beside it a condition that is like it and must not be given that cause.

use gapless::model::Cause::{
    AcceptQueueReset, AcceptedUnread, Ambiguous, KeepAliveRace, KilledInFlight, NoListener, PathUnlinked,
    QueueOverflow, SlowStart, SocketUnitDown, StartLimit, TriggerLimit,
};
use gapless::model::FailureClass;

use crate::systemd::diagnosis::lab::Lab;

/// What a plain stop may cost beside what a test is about: connections that were queued or idle at that moment.
const OF_A_PLAIN_STOP: [gapless::model::Cause; 3] = [AcceptQueueReset, KeepAliveRace, AcceptedUnread];

#[test]
#[ignore = "runs in the box"]
fn a_service_that_binds_its_port_is_away_while_it_restarts() {
    let diagnosis = Lab::binding_its_port().serving("--start-delay 200ms").restarted().diagnosis();
    let causes = [&OF_A_PLAIN_STOP[..], &[NoListener]].concat();
    diagnosis.counts(FailureClass::Refused).blames(NoListener).blames_only(&causes).attests_all(NoListener);
}

#[test]
#[ignore = "runs in the box"]
fn a_service_behind_a_socket_loses_nothing_by_the_same_restart_and_the_kernel_attests_it() {
    let diagnosis = Lab::behind_a_socket().serving("--start-delay 200ms --idle-grace 300ms").restarted().diagnosis();
    diagnosis
        .loses_nothing()
        .has_no_failed_check()
        .says("the listener never left TCP_LISTEN, attested by the kernel's trace");
}

#[test]
#[ignore = "runs in the box"]
fn a_kill_takes_the_requests_in_flight() {
    let lab = Lab::behind_a_socket().serving("--service-time 200ms").under_kept_connections(30);
    lab.then("kill = \"service\"\nsignal = \"KILL\"")
        .diagnosis()
        .blames(KilledInFlight)
        .blames_only(&[KilledInFlight, KeepAliveRace]);
}

#[test]
#[ignore = "runs in the box"]
fn a_kill_that_takes_the_listener_along_is_told_apart_from_what_comes_after() {
    let lab = Lab::binding_its_port().serving("--service-time 100ms").with_service("Restart=always\nRestartSec=300ms");
    let diagnosis = lab.then("kill = \"service\"\nsignal = \"KILL\"").diagnosis();
    diagnosis.blames(KilledInFlight).blames(NoListener).attests_all(NoListener).does_not_blame(Ambiguous);
}

#[test]
#[ignore = "runs in the box"]
fn a_graceful_stop_lets_the_requests_in_flight_finish() {
    let lab = Lab::behind_a_socket().serving("--service-time 200ms --idle-grace 300ms").under_kept_connections(30);
    lab.restarted().diagnosis().loses_nothing();
}

#[test]
#[ignore = "runs in the box"]
fn a_listener_that_closes_resets_its_queue() {
    let lab = Lab::binding_its_port().serving("--accept-delay 20ms").under_new_connections(200);
    let diagnosis = lab.restarted().diagnosis();
    diagnosis.blames(AcceptQueueReset).attests_all(AcceptQueueReset);
}

#[test]
#[ignore = "runs in the box"]
fn a_socket_unit_keeps_the_queue_that_its_service_leaves() {
    let lab = Lab::behind_a_socket().serving("--accept-delay 20ms --idle-grace 300ms").under_new_connections(40);
    lab.restarted().diagnosis().does_not_blame(AcceptQueueReset).loses_nothing();
}

#[test]
#[ignore = "runs in the box"]
fn a_client_that_hesitates_is_accepted_and_never_read() {
    let lab = Lab::behind_a_socket().under_hesitant_connections(100, "50ms").restarted();
    lab.diagnosis().blames(AcceptedUnread).blames_only(&[AcceptedUnread]);
}

#[test]
#[ignore = "runs in the box"]
fn a_client_that_hesitates_less_than_the_server_waits_is_read() {
    let lab = Lab::behind_a_socket().serving("--idle-grace 500ms").under_hesitant_connections(100, "50ms");
    lab.restarted().diagnosis().loses_nothing();
}

#[test]
#[ignore = "runs in the box"]
fn a_backlog_too_small_for_the_boot_overflows() {
    let lab = Lab::behind_a_socket().with_socket("Backlog=5").serving("--start-delay 2s").under_new_connections(100);
    let diagnosis = lab.with_target("connect_timeout = \"500ms\"").restarted().diagnosis();
    let diagnosis = diagnosis.counts(FailureClass::ConnectTimeout).blames(QueueOverflow).notes("backlog of at least");
    let event = diagnosis.event(1);
    assert!(event.queue_peak > Some(5), "{event:?}");
    assert_eq!(event.backlog, Some(5));
}

#[test]
#[ignore = "runs in the box"]
fn a_backlog_too_small_for_the_boot_costs_a_patient_client_time_alone() {
    let lab = Lab::behind_a_socket()
        .with_socket("Backlog=5")
        .serving("--start-delay 600ms --idle-grace 300ms")
        .under_new_connections(100);
    let diagnosis = lab.restarted().diagnosis().loses_nothing().notes("backlog of at least");
    let slowest = diagnosis.result.latency_ms.all.max.expect("all were answered");
    assert!(slowest >= 1_000.0, "a dropped SYN is sent again after a second: {slowest}");
}

#[test]
#[ignore = "runs in the box"]
fn a_boot_slower_than_the_client_waits_is_a_slow_start() {
    let lab = Lab::behind_a_socket().serving("--start-delay 2s --idle-grace 300ms").under_new_connections(50);
    let diagnosis = lab.with_target("timeout = \"500ms\"").restarted().diagnosis();
    diagnosis.blames(SlowStart).blames_only(&[SlowStart]);
}

#[test]
#[ignore = "runs in the box"]
fn a_full_unix_queue_turns_clients_away_at_once() {
    let lab = Lab::behind_a_unix_socket().with_socket("Backlog=5").serving("--start-delay 500ms --idle-grace 300ms");
    let diagnosis = lab.under_new_connections(100).restarted().diagnosis();
    diagnosis.counts(FailureClass::QueueFull).blames(QueueOverflow).blames_only(&[QueueOverflow]);
}

#[test]
#[ignore = "runs in the box"]
fn a_start_limit_takes_the_socket_down() {
    let lab = Lab::behind_a_socket().with_unit("StartLimitBurst=2\nStartLimitIntervalSec=60").with_run("pace = false");
    let diagnosis = lab.then("kill = \"service\"\ntimes = 2\nready = false\nevery = \"1s\"").diagnosis();
    diagnosis.blames(StartLimit).does_not_blame(SocketUnitDown).does_not_blame(NoListener);
}

#[test]
#[ignore = "runs in the box"]
fn a_trigger_limit_takes_the_socket_down() {
    let lab = Lab::behind_a_socket()
        .with_unit("StartLimitIntervalSec=0")
        .with_socket("TriggerLimitBurst=2\nTriggerLimitIntervalSec=60");
    let diagnosis = lab.then("kill = \"service\"\ntimes = 2\nready = false\nevery = \"1s\"").diagnosis();
    diagnosis.blames(TriggerLimit).does_not_blame(StartLimit).does_not_blame(SocketUnitDown);
}

#[test]
#[ignore = "runs in the box"]
fn a_socket_that_is_restarted_alone_is_down_from_the_services_next_restart() {
    let lab = Lab::behind_a_socket().then("restart = \"socket\"\nready = false\nexpect = { job = \"failed\" }");
    let diagnosis = lab.then("restart = \"service\"\nready = false").diagnosis();
    diagnosis.blames(SocketUnitDown).does_not_blame(StartLimit).does_not_blame(TriggerLimit);
}

#[test]
#[ignore = "runs in the box"]
fn a_server_that_removes_its_path_locks_every_client_out() {
    let lab = Lab::behind_a_unix_socket().serving("--unlink-own-path --idle-grace 300ms").under_new_connections(50);
    let diagnosis = lab.then("restart = \"service\"\nready = false").diagnosis();
    diagnosis.counts(FailureClass::PathMissing).blames(PathUnlinked).blames_only(&[PathUnlinked]);
}

#[test]
#[ignore = "runs in the box"]
fn a_path_in_the_services_own_runtime_directory_goes_with_a_restart() {
    let lab = Lab::behind_a_unix_socket().with_service("RuntimeDirectory=gapless-lab").serving("--idle-grace 300ms");
    let diagnosis = lab.under_new_connections(50).then("restart = \"service\"\nready = false").diagnosis();
    diagnosis.blames(PathUnlinked).blames_only(&[PathUnlinked]).fails_because("latent.path_unlinked");
}

#[test]
#[ignore = "runs in the box"]
fn a_path_that_goes_with_its_stopped_socket_is_not_unlinked() {
    let lab = Lab::behind_a_unix_socket().serving("--idle-grace 300ms").under_new_connections(50);
    let diagnosis = lab.then("stop = \"socket\"").diagnosis();
    diagnosis.counts(FailureClass::PathMissing).blames(SocketUnitDown).does_not_blame(PathUnlinked);
}
