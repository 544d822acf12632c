//! Somebody else makes systemd read its files again, or execute itself again.

use crate::faults::rig::{Running, nothing_is_left_of};
use crate::faults::scenario::{Scenario, systemctl};

/// A stranger does that after the first of four restarts and again after the third.
fn undisturbed_by(verb: &str) {
    let scenario = Scenario::new("stranger").restarted(4);
    let mut run = Running::start(&scenario, "system");
    for event in [0, 2] {
        run.await_record(&format!("{{\"type\":\"step_end\",\"event\":{event},"));
        systemctl(&[verb]);
    }
    let run = run.end();
    let result = run.result();
    assert_eq!((result.requests.failed, result.events.len()), (0, 4), "{:#?}", result.reasons);
    assert!(result.events.iter().all(|event| event.proven == Some(true)), "{:#?}", result.events);
    assert!(matches!(run.code, Some(0 | 3)), "{:#?}", result.reasons);
    for kind in ["service", "socket"] {
        assert!(!scenario.installed(kind).exists());
    }
    nothing_is_left_of(&scenario);
}

#[test]
#[ignore = "runs in the box"]
fn a_daemon_reload_by_a_stranger_changes_nothing() {
    undisturbed_by("daemon-reload");
}

#[test]
#[ignore = "runs in the box"]
fn a_daemon_reexec_by_a_stranger_changes_nothing() {
    undisturbed_by("daemon-reexec");
}
