//! What systemd does to a socket unit, by its settings and its limits.

use gapless::model::Cause::{
    AcceptQueueReset, AcceptedUnread, Ambiguous, KeepAliveRace, KilledInFlight, NoListener, SocketUnitDown, StartLimit,
    TriggerLimit,
};
use gapless::model::FailureClass;

use crate::systemd::diagnosis::lab::Lab;

#[test]
#[ignore = "runs in the box"]
fn a_harness_that_paces_its_restarts_hits_no_start_limit() {
    let lab =
        Lab::behind_a_socket().with_unit("StartLimitBurst=2\nStartLimitIntervalSec=2").serving("--idle-grace 300ms");
    let lab = lab.under_new_connections(50).then("restart = \"service\"\ntimes = 2");
    lab.diagnosis().loses_nothing().notes("is not tripped by the harness").has_no_failed_check();
}

#[test]
#[ignore = "runs in the box"]
fn connections_beyond_max_connections_are_closed_unread() {
    let lab = Lab::with_a_service_for_each_connection().with_socket("MaxConnections=2").serving("--service-time 300ms");
    let diagnosis = lab.under_new_connections(20).then("wait = \"1s\"").diagnosis();
    // One that was closed before its request came has seen an orderly end, which another might have made.
    diagnosis
        .counts(FailureClass::ResetBeforeResponse)
        .blames(AcceptedUnread)
        .blames_only(&[AcceptedUnread, Ambiguous]);
}

#[test]
#[ignore = "runs in the box"]
fn connections_within_max_connections_are_served() {
    let lab = Lab::with_a_service_for_each_connection().serving("--service-time 300ms");
    lab.under_new_connections(20).then("wait = \"1s\"").diagnosis().loses_nothing().has_no_failed_check();
}

#[test]
#[ignore = "runs in the box"]
fn more_connections_than_a_trigger_limit_allows_take_their_socket_down() {
    let lab = Lab::with_a_service_for_each_connection().with_socket("TriggerLimitBurst=30\nTriggerLimitIntervalSec=60");
    let diagnosis = lab.under_new_connections(20).then("wait = \"1500ms\"").diagnosis();
    diagnosis.blames(TriggerLimit).does_not_blame(StartLimit).does_not_blame(SocketUnitDown);
}

#[test]
#[ignore = "runs in the box"]
fn a_flushed_queue_survives_a_restart() {
    let lab = Lab::behind_a_socket().with_socket("FlushPending=yes").serving("--start-delay 300ms --idle-grace 300ms");
    lab.under_new_connections(50).restarted().diagnosis().loses_nothing().has_no_failed_check();
}

#[test]
#[ignore = "runs in the box"]
fn a_stop_flushes_what_is_queued() {
    let lab = Lab::behind_a_socket().with_socket("FlushPending=yes").serving("--stop-delay 300ms --idle-grace 300ms");
    let diagnosis = lab.under_new_connections(50).then("stop = \"service\"").diagnosis();
    diagnosis.blames(AcceptedUnread).blames_only(&[AcceptedUnread]);
}

#[test]
#[ignore = "runs in the box"]
fn a_kill_flushes_what_is_queued() {
    let lab = Lab::behind_a_socket().with_socket("FlushPending=yes").serving("--accept-delay 30ms");
    let lab = lab.with_service("Restart=always\nRestartSec=300ms").under_new_connections(50);
    let diagnosis = lab.then("wait = \"700ms\"").then("kill = \"service\"\nsignal = \"KILL\"").diagnosis();
    diagnosis.blames(AcceptedUnread).blames_only(&[AcceptedUnread, KilledInFlight]);
}

#[test]
#[ignore = "runs in the box"]
fn a_stop_without_flushing_keeps_what_is_queued() {
    let lab = Lab::behind_a_socket().serving("--stop-delay 300ms --idle-grace 300ms").under_new_connections(50);
    lab.then("stop = \"service\"").diagnosis().loses_nothing();
}

#[test]
#[ignore = "runs in the box"]
fn a_socket_that_is_restarted_with_its_service_loses_its_queue() {
    let lab = Lab::behind_a_socket()
        .with_unit("Requires=lab.socket")
        .serving("--accept-delay 20ms --start-delay 100ms --idle-grace 300ms");
    let diagnosis = lab.under_new_connections(100).then("restart = \"socket\"").diagnosis();
    diagnosis
        .blames(AcceptQueueReset)
        .attests_all(AcceptQueueReset)
        .blames_only(&[AcceptQueueReset, SocketUnitDown, KeepAliveRace])
        .has_no_latent_failure();
}

#[test]
#[ignore = "runs in the box"]
fn an_edited_address_is_felt_at_the_services_next_restart() {
    let edit = "exec = [\"sed\", \"-i\", \"s/:18471/:18472/\", \"/run/systemd/system/lab.socket\"]";
    let lab = Lab::behind_a_socket().serving("--idle-grace 300ms").then(edit).then("daemon_reload = true");
    let diagnosis = lab.then("restart = \"service\"\nready = false").diagnosis();
    diagnosis.counts(FailureClass::Refused).blames(NoListener).blames_only(&[
        NoListener,
        AcceptQueueReset,
        KeepAliveRace,
    ]);
}

#[test]
#[ignore = "runs in the box"]
fn an_edited_address_is_felt_at_once_while_the_service_is_idle() {
    let edit = "exec = [\"sed\", \"-i\", \"s/:18471/:18472/\", \"/run/systemd/system/lab.socket\"]";
    let lab = Lab::behind_a_socket().serving("--exit-after 1").with_unit("StartLimitIntervalSec=0");
    let lab = lab
        .under_new_connections(5)
        .then(edit)
        .then("daemon_reload = true\nready = false")
        .with_socket("TriggerLimitIntervalSec=0");
    lab.diagnosis().counts(FailureClass::Refused).blames(NoListener).blames_only(&[NoListener, AcceptQueueReset]);
}

#[test]
#[ignore = "runs in the box"]
fn a_backlog_is_what_the_kernel_grants_not_what_the_unit_asks() {
    let granted =
        std::fs::read_to_string("/proc/sys/net/core/somaxconn").expect("there").trim().parse().expect("a number");
    let lab = Lab::behind_a_socket().with_socket("Backlog=1000000").serving("--idle-grace 300ms");
    let diagnosis = lab.under_new_connections(50).restarted().diagnosis().loses_nothing();
    assert_eq!(diagnosis.event(1).backlog, Some(granted));
}

#[test]
#[ignore = "runs in the box"]
fn a_killed_service_is_started_again_by_the_next_connection() {
    let lab = Lab::behind_a_socket().under_new_connections(50).then("kill = \"service\"\nsignal = \"KILL\"");
    let diagnosis = lab.diagnosis().does_not_blame(NoListener).does_not_blame(SocketUnitDown).has_no_latent_failure();
    let event = diagnosis.event(1);
    assert!(event.main_pid_after.is_some() && event.main_pid_after != event.main_pid_before, "{event:?}");
}
