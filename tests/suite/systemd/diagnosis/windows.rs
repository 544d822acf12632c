//! What a restart costs in time, and what the time went into.

use gapless::model::Verdict;

use crate::systemd::diagnosis::lab::Lab;

/// How long the server sleeps before it accepts.
const BOOT_MS: f64 = 300.0;

#[test]
#[ignore = "runs in the box"]
fn the_slowest_request_of_a_restart_waited_for_the_boot() {
    let lab = Lab::behind_a_socket().serving("--start-delay 300ms --idle-grace 300ms").under_new_connections(50);
    let diagnosis = lab.restarted().diagnosis().loses_nothing();
    let event = diagnosis.event(1);
    let slowest = event.slowest.expect("a restart brings a process");
    let sum_ms = slowest.drain_ms + slowest.queue_ms + slowest.boot_ms + slowest.rest_ms;
    assert!((sum_ms - slowest.latency_ms).abs() < 0.01, "{slowest:?}");
    assert!(slowest.boot_ms >= BOOT_MS / 2.0 && slowest.boot_ms > slowest.drain_ms, "{slowest:?}");
    // 50/s through the stall.
    let needed = event.backlog_needed.expect("it acts");
    assert!(needed >= 15 && event.queue_peak.is_some_and(|peak| u64::from(peak) <= 2 * needed), "{event:?}");
}

#[test]
#[ignore = "runs in the box"]
fn a_cold_start_is_what_the_first_request_waited_for() {
    let lab = Lab::behind_a_socket().serving("--start-delay 300ms").under_new_connections(50).without_warmup();
    let lab = lab.expecting("cold_start = \">= 300ms\"\nqueue_peak = \">= 1\"").then("wait = \"500ms\"");
    let diagnosis = lab.diagnosis().loses_nothing().has_no_failed_check();
    for name in ["expect.cold_start", "expect.queue_peak"] {
        let check = diagnosis.result.checks.iter().find(|check| check.name == name).expect("it was judged");
        assert_eq!(check.status, Verdict::Passed, "{check:?}");
    }
}
