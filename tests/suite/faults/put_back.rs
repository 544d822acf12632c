//! What a run leaves: units as they were found, and nothing for the next run to undo. systemctl is asked, not the run.

use std::fs;

use rustix::process::Signal;

use crate::faults::rig::{Ended, Running};
use crate::faults::scenario::{Scenario, ledgers, show, systemctl};
use crate::systemd::manager::rig::{Foreign, SLEEPER};

/// The run after it, of another scenario on another unit: what it said.
fn next_run() -> String {
    let next = Scenario::new("the-next").then("wait = \"100ms\"");
    let run = Running::start(&next, "system").end();
    assert!(matches!(run.code, Some(0 | 3)), "{}", next.said());
    next.said()
}

/// Both units are active, nothing is in a ledger, and a further run leaves it so.
#[track_caller]
fn stays_up(scenario: &Scenario) {
    let incarnations = || ["socket", "service"].map(|kind| show(&scenario.unit(kind), "InvocationID"));
    let states = || ["socket", "service"].map(|kind| show(&scenario.unit(kind), "ActiveState"));
    assert_eq!(states(), ["active", "active"], "{}", scenario.said());
    assert_eq!(ledgers(), [""; 0]);
    let before = incarnations();
    let said = next_run();
    assert_eq!((states(), incarnations()), (["active", "active"].map(str::to_owned), before), "{said}");
    assert!(!said.contains("cleaned up"), "{said}");
}

fn run(scenario: &Scenario) -> Ended {
    Running::start(scenario, "system").end()
}

#[test]
#[ignore = "runs in the box"]
fn what_a_command_stopped_or_killed_is_up_again_and_stays_so() {
    for (name, command) in [
        ("exec-stops", "systemctl stop exec-stops.socket exec-stops.service"),
        ("exec-kills", "systemctl kill --signal=KILL exec-kills.service"),
        ("exec-stops-the-socket", "systemctl stop exec-stops-the-socket.socket"),
    ] {
        let step = format!("exec = [\"sh\", \"-c\", \"{command}\"]\nready = false");
        let scenario = Scenario::new(name).found().then(&step).then("wait = \"300ms\"\nready = false");
        run(&scenario);
        stays_up(&scenario);
    }
}

/// A service that cannot start while a file is there; with a start limit.
fn breakable(name: &str) -> Scenario {
    let scenario = Scenario::new(name);
    let broken = scenario.folder().join("broken");
    let service = format!(
        "[Service]\nExecStart=/bin/sh -c '[ -e {} ] && exit 1; exec {} demo-server'\nRestart=on-failure\nRestartSec=50ms\n",
        broken.display(),
        crate::support::GAPLESS,
    );
    let step = |command: &str| format!("exec = [\"{command}\", \"{}\"]\nready = false", broken.display());
    scenario
        .served_by(&service)
        .with_target("timeout = \"2s\"")
        .found()
        .then(&step("touch"))
        .then("restart = \"service\"\nready = false\n[steps.expect]\ndropped = 100000")
        .then("wait = \"2s\"\nready = false")
}

#[test]
#[ignore = "runs in the box"]
fn after_a_start_limit_the_socket_and_the_service_are_up_again_once_the_cause_is_gone() {
    let scenario = breakable("limit-hit");
    let broken = scenario.folder().join("broken").display().to_string();
    let scenario = scenario.then(&format!("exec = [\"rm\", \"{broken}\"]\nready = false"));
    run(&scenario);
    stays_up(&scenario);
}

#[test]
#[ignore = "runs in the box"]
fn a_service_that_fails_again_right_after_its_start_is_an_error_with_the_commands_that_mend_it() {
    let scenario = breakable("stays-broken");
    let service = scenario.unit("service");
    let ended = run(&scenario);
    let said = scenario.said();
    assert!(matches!(ended.code, Some(1 | 4)), "{said}");
    assert_ne!(show(&service, "ActiveState"), "active");
    let sentence = format!("{service} is not as it was found: it was active and is failed");
    let complaint = said.lines().find(|line| line.contains(&sentence)).unwrap_or_else(|| panic!("{said}"));
    let (_, commands) = complaint.split_once("mend it with: ").expect("it says how");
    assert!(ended.result().notes.iter().any(|note| note.message.contains(&sentence)), "the report says so too");
    assert_eq!(ledgers(), [""; 0], "it was told, so it is nobody's to undo");

    fs::remove_file(scenario.folder().join("broken")).expect("it is there");
    for command in commands.split("; ") {
        systemctl(&command.split_whitespace().skip(1).collect::<Vec<_>>());
    }
    stays_up(&scenario);
}

/// A run does `verb` to the unit and is killed after that; `meanwhile` happens; then comes the next run: what it said.
fn killed_after(verb: &str, unit: &str, run_option: &str, meanwhile: impl FnOnce()) -> String {
    let step = format!("{verb} = \"{unit}\"\nready = false");
    let scenario = Scenario::new("killed-later").with_run(run_option).then(&step).then("wait = \"20s\"\nready = false");
    let mut run = Running::start(&scenario, "system");
    run.await_record("{\"type\":\"step_end\",\"event\":0,");
    run.signal(Signal::KILL);
    run.end();
    meanwhile();
    next_run()
}

#[test]
#[ignore = "runs in the box"]
fn what_a_killed_run_left_is_undone() {
    let victim = Foreign::new("gapless-test-left-alone.service", SLEEPER);
    systemctl(&["start", victim.0]);
    let said = killed_after("stop", victim.0, "", || {});
    assert_eq!(show(victim.0, "ActiveState"), "active", "{said}");
    assert!(said.contains(&format!("cleaned up after a run that was killed: started {}", victim.0)), "{said}");

    systemctl(&["stop", victim.0]);
    let said = killed_after("start", victim.0, "", || {});
    assert_eq!(show(victim.0, "ActiveState"), "inactive", "{said}");
    assert!(said.contains(&format!("cleaned up after a run that was killed: stopped {}", victim.0)), "{said}");
    assert_eq!(ledgers(), [""; 0]);
}

#[test]
#[ignore = "runs in the box"]
fn what_somebody_has_changed_since_a_run_was_killed_is_left_as_it_is() {
    let victim = Foreign::new("gapless-test-changed-since.service", SLEEPER);
    systemctl(&["start", victim.0]);
    let said = killed_after("stop", victim.0, "", || {
        systemctl(&["start", victim.0]);
        systemctl(&["stop", victim.0]);
    });
    assert_eq!(show(victim.0, "ActiveState"), "inactive", "who stopped it wants it down: {said}");
    assert!(said.contains(&format!("{} is left as it is", victim.0)), "{said}");

    let mut incarnation = String::new();
    let said = killed_after("start", victim.0, "", || {
        systemctl(&["restart", victim.0]);
        incarnation = show(victim.0, "InvocationID");
    });
    assert_eq!(show(victim.0, "InvocationID"), incarnation, "who restarted it uses it: {said}");
    assert_eq!(show(victim.0, "ActiveState"), "active", "{said}");
    assert!(said.contains(&format!("{} is left as it is", victim.0)), "{said}");
    assert_eq!(ledgers(), [""; 0]);
}

#[test]
#[ignore = "runs in the box"]
fn without_restore_nothing_is_undone_not_even_of_a_run_that_was_killed() {
    let victim = Foreign::new("gapless-test-kept.service", SLEEPER);
    systemctl(&["start", victim.0]);
    let said = killed_after("stop", victim.0, "restore = false", || {});
    assert_eq!(show(victim.0, "ActiveState"), "inactive", "{said}");

    let start = format!("start = \"{}\"\nready = false", victim.0);
    let scenario = Scenario::new("without-restore").with_run("restore = false").then(&start);
    run(&scenario);
    let said = next_run();
    assert_eq!(show(victim.0, "ActiveState"), "active", "{said}");
    assert_eq!(ledgers(), [""; 0]);
    for kind in ["service", "socket"] {
        assert!(!scenario.installed(kind).exists(), "what was installed goes in any case");
    }
}
