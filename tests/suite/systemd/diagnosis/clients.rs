//! What becomes of connections that are kept, queued, accepted or drained as a process goes.

use gapless::model::Cause::{
    AcceptQueueReset, AcceptedUnread, KeepAliveRace, KilledInFlight, NoListener, PathUnlinked,
};
use gapless::model::FailureClass;

use crate::systemd::diagnosis::lab::Lab;

#[test]
#[ignore = "runs in the box"]
fn a_unix_path_that_a_dead_server_left_refuses() {
    let lab = Lab::binding_its_path().with_service("RuntimeDirectory=gapless-lab\nRuntimeDirectoryPreserve=yes");
    let lab = lab.with_service("Restart=always\nRestartSec=300ms").under_new_connections(50);
    let diagnosis = lab.then("kill = \"service\"\nsignal = \"KILL\"").diagnosis();
    diagnosis.counts(FailureClass::Refused).blames(NoListener).does_not_blame(PathUnlinked);
}

#[test]
#[ignore = "runs in the box"]
fn a_unix_path_that_goes_with_its_server_is_missing_and_was_not_unlinked_under_it() {
    let lab = Lab::binding_its_path().with_service("RuntimeDirectory=gapless-lab").serving("--start-delay 300ms");
    let diagnosis = lab.under_new_connections(50).restarted().diagnosis();
    diagnosis.counts(FailureClass::PathMissing).blames(NoListener).does_not_blame(PathUnlinked);
}

#[test]
#[ignore = "runs in the box"]
fn a_unix_listener_that_closes_cuts_its_queue_off() {
    let lab = Lab::binding_its_path().with_service("RuntimeDirectory=gapless-lab").serving("--accept-delay 20ms");
    lab.under_new_connections(200).restarted().diagnosis().blames(AcceptQueueReset).does_not_blame(KilledInFlight);
}

#[test]
#[ignore = "runs in the box"]
fn an_idle_connection_closed_while_its_next_request_is_in_the_air_is_a_race() {
    let lab = Lab::behind_a_socket().serving("--idle-race").under_kept_connections(100).restarted();
    lab.diagnosis().blames(KeepAliveRace).blames_only(&[KeepAliveRace]).attests_all(KeepAliveRace);
}

#[test]
#[ignore = "runs in the box"]
fn an_idle_connection_that_is_seen_to_be_closed_is_replaced_and_no_race() {
    // A request may come just at one stop, and is served then; hardly at all three.
    let lab = Lab::behind_a_socket().serving("--idle-grace 1ms").under_kept_connections(5);
    let diagnosis = lab.then("restart = \"service\"\ntimes = 3\nafter = \"200ms\"").diagnosis().loses_nothing();
    assert!(diagnosis.result.connections.closed_idle > 0, "{:?}", diagnosis.result.connections);
}

#[test]
#[ignore = "runs in the box"]
fn a_stop_that_outlasts_the_managers_patience_kills_in_flight() {
    let lab = Lab::behind_a_socket().serving("--service-time 1s --drain 10s").with_service("TimeoutStopSec=300ms");
    let lab = lab.under_kept_connections(6).then("wait = \"1s\"").restarted();
    lab.diagnosis().blames(KilledInFlight).blames_only(&[KilledInFlight, KeepAliveRace]);
}

#[test]
#[ignore = "runs in the box"]
fn a_drained_listener_resets_its_share_where_the_kernel_does_not_migrate_it() {
    let diagnosis = drained(false).diagnosis();
    diagnosis.blames(AcceptQueueReset).blames_only(&[AcceptQueueReset]).attests_all(AcceptQueueReset);
}

#[test]
#[ignore = "runs in the box"]
fn a_drained_listener_loses_nothing_where_the_kernel_migrates_its_share() {
    drained(true).diagnosis().loses_nothing().rises("TCPMigrateReqSuccess");
}

/// Two listeners share the port; the one that is not accepted from is closed.
fn drained(migrates: bool) -> Lab {
    let sysctl = format!("exec = [\"sysctl\", \"net.ipv4.tcp_migrate_req={}\"]", u8::from(migrates));
    let second = "[Socket]\nListenStream=127.0.0.1:18471\nReusePort=yes\n";
    // It lets go of the listener that it is passed, so that systemd alone holds it.
    let closing = "[Service]\nExecStart=sh -c 'exec sleep infinity 3<&-'\n";
    Lab::behind_a_socket()
        .with_socket("ReusePort=yes")
        .with_unit_file("lab-second.socket", second)
        .with_unit_file("lab-second.service", closing)
        .under_new_connections(40)
        .then(&sysctl)
        .then("wait = \"500ms\"")
        .then("stop = \"lab-second.socket\"")
}

#[test]
#[ignore = "runs in the box"]
fn an_accepted_connection_is_not_taken_for_a_queued_one() {
    let lab = Lab::binding_its_path().with_service("RuntimeDirectory=gapless-lab");
    let diagnosis = lab.under_hesitant_connections(20, "200ms").then("wait = \"500ms\"").restarted().diagnosis();
    let diagnosis = diagnosis.blames(AcceptedUnread);
    // The kernel's trace tells nothing of Unix sockets, and a look at the queue may catch one just before it is accepted.
    assert!(diagnosis.count(AcceptQueueReset) < diagnosis.count(AcceptedUnread));
}
