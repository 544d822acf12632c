//! What no request has felt, and the next restart would.

use crate::systemd::diagnosis::findings::Diagnosis;
use crate::systemd::diagnosis::lab::Lab;

/// The server behind a socket, asked over kept connections alone: they feel nothing of what happens to the socket.
fn at_ease(lab: Lab) -> Lab {
    lab.serving("--idle-grace 500ms").under_kept_connections(50)
}

#[track_caller]
fn fails_though_all_was_answered(diagnosis: Diagnosis, reason: &str) {
    diagnosis.loses_nothing().fails_because(reason);
}

#[test]
#[ignore = "runs in the box"]
fn a_socket_that_died_while_its_service_serves_is_found() {
    let lab =
        at_ease(Lab::behind_a_socket()).then("restart = \"socket\"\nready = false\nexpect = { job = \"failed\" }");
    fails_though_all_was_answered(lab.diagnosis(), "latent.socket_down.lab.socket");
}

#[test]
#[ignore = "runs in the box"]
fn an_address_that_was_edited_and_not_applied_is_found() {
    let edit = "exec = [\"sed\", \"-i\", \"s/:18471/:18472/\", \"/run/systemd/system/lab.socket\"]";
    let lab = at_ease(Lab::behind_a_socket()).then(edit).then("daemon_reload = true");
    fails_though_all_was_answered(lab.diagnosis(), "no process is listening on 127.0.0.1:18472");
}

#[test]
#[ignore = "runs in the box"]
fn a_path_that_was_unlinked_under_its_listener_is_found() {
    let lab = at_ease(Lab::behind_a_unix_socket()).then("exec = [\"rm\", \"/run/gapless-lab/lab.sock\"]");
    fails_though_all_was_answered(lab.diagnosis(), "latent.path_unlinked");
}

#[test]
#[ignore = "runs in the box"]
fn a_unit_that_loops_through_its_start_timeout_is_found() {
    let lab = at_ease(Lab::behind_a_socket()).serving("--never-ready");
    let lab =
        lab.with_service("TimeoutStartSec=1s\nRestart=always\nRestartSec=100ms").with_unit("StartLimitIntervalSec=0");
    fails_though_all_was_answered(lab.then("wait = \"3s\"").diagnosis(), "latent.never_ready.lab.service");
}

#[test]
#[ignore = "runs in the box"]
fn a_latent_failure_that_is_expected_is_no_failure() {
    let lab = at_ease(Lab::behind_a_unix_socket()).then("exec = [\"rm\", \"/run/gapless-lab/lab.sock\"]");
    let diagnosis = lab.expecting_at_the_end("latent = \">= 1\"").diagnosis();
    diagnosis.loses_nothing().has_no_failed_check();
}

#[test]
#[ignore = "runs in the box"]
fn a_latent_failure_that_is_expected_and_not_there_is_a_failure() {
    let lab = at_ease(Lab::behind_a_unix_socket()).restarted().expecting_at_the_end("latent = \">= 1\"");
    fails_though_all_was_answered(lab.diagnosis(), "Latent failures: 0; >= 1 was expected.");
}

#[test]
#[ignore = "runs in the box"]
fn a_service_that_is_not_asked_for_readiness_does_not_loop() {
    let lab = at_ease(Lab::behind_a_socket()).serving("--never-ready").with_service("Type=simple\nTimeoutStartSec=1s");
    lab.then("wait = \"1500ms\"").diagnosis().loses_nothing().has_no_failed_check();
}

#[test]
#[ignore = "runs in the box"]
fn a_healthy_pair_has_no_latent_failure() {
    at_ease(Lab::behind_a_socket()).restarted().diagnosis().loses_nothing().has_no_failed_check();
    at_ease(Lab::behind_a_unix_socket()).restarted().diagnosis().loses_nothing().has_no_failed_check();
}
