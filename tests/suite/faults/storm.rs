//! Signals of all kinds, at any moment of a run with every kind of step: the machine is afterwards as it was before. A
//! script that is not the program says how the machine is.

use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use crate::faults::rig::{LIMIT, Running, until};
use crate::faults::scenario::{Scenario, show, systemctl};
use crate::support::GAPLESS;
use crate::systemd::manager::rig::{Foreign, SLEEPER};

/// How many signals are sent; `GAPLESS_TEST_SIGNALS` says otherwise.
const SIGNALS: u64 = 12;

/// The kinds: what ends a run, twice or once, what kills it, and what only stops it for a moment.
const KINDS: &[&[Signal]] = &[
    &[Signal::INT],
    &[Signal::KILL],
    &[Signal::TERM],
    &[Signal::INT, Signal::INT],
    &[Signal::HUP],
    &[Signal::KILL],
    &[Signal::QUIT],
    &[Signal::STOP, Signal::CONT],
    &[Signal::USR1],
    &[Signal::SEGV],
    &[Signal::USR2, Signal::TERM],
    &[Signal::KILL],
    &[Signal::ALARM],
    &[Signal::TERM, Signal::KILL],
    &[Signal::PIPE],
    &[Signal::ABORT],
    &[Signal::BUS],
    &[Signal::XCPU, Signal::INT, Signal::HUP],
];

/// Every kind of step; verdicts do not matter here.
const STEPS: &[&str] = &[
    "restart = \"service\"",
    "try_restart = \"service\"",
    "reload = \"service\"",
    "reload_or_restart = \"service\"",
    "kill = \"service\"\nsignal = \"KILL\"",
    "stop = \"service\"\nready = false",
    "wait = \"100ms\"\nready = false",
    "start = \"service\"",
    "reset_failed = \"service\"",
    "daemon_reload = true",
    "exec = [\"sh\", \"-c\", \"sleep 0.2\"]",
    "request = { path = \"/\", times = 3 }",
    "gate = { dropped = 100000 }",
    "stop = \"gapless-test-tied.service\"\nready = false",
    "start = \"gapless-test-rests.service\"\nready = false",
    "stop = \"socket\"\nready = false",
    "stop = \"service\"\nready = false",
    "wait = \"200ms\"\nready = false",
    "start = \"socket\"",
    "restart = \"gapless-test-tied.service\"\nready = false",
];

/// From the first counted request to the end, if nothing comes in between.
const LENGTH_MS: u64 = 5_000;

fn scenario(name: &str) -> Scenario {
    let service = format!(
        "[Unit]\nStartLimitIntervalSec=0\n[Service]\nType=notify\nRestart=on-failure\nRestartSec=50ms\n\
         ExecReload=true\nExecStart={GAPLESS} demo-server --idle-grace 100ms\n"
    );
    let scenario = Scenario::new(name).served_by(&service);
    STEPS.iter().fold(scenario, |scenario, step| scenario.then(step))
}

/// How the machine is, by a script of its own.
fn machine_state(untouched: &[&str]) -> Vec<String> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/machine_state");
    let output = Command::new(script).args(untouched).output().expect("it is there");
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}

/// Sends the signals after that time; what is still alive after a while is told to end again.
fn struck(scenario: &Scenario, after: Duration, signals: &[Signal]) {
    let mut run = Running::start(scenario, "system");
    until("requests are counted, or it has ended", || {
        run.written().contains("\"phase\":\"counting\"") || run.child().try_wait().expect("ours").is_some()
    });
    std::thread::sleep(after);
    for &signal in signals {
        if run.child().try_wait().expect("ours").is_none() {
            run.signal(signal);
            std::thread::sleep(Duration::from_millis(20));
        }
    }
    run.end();
}

/// What changed between two states: `- gone`, `+ new`.
fn difference(before: &[String], after: &[String]) -> Vec<String> {
    let gone = before.iter().filter(|line| !after.contains(line)).map(|line| format!("- {line}"));
    let new = after.iter().filter(|line| !before.contains(line)).map(|line| format!("+ {line}"));
    gone.chain(new).collect()
}

#[test]
#[ignore = "runs in the box"]
fn whatever_signal_comes_whenever_the_machine_is_as_it_was_once_the_next_run_has_started() {
    let signals = std::env::var("GAPLESS_TEST_SIGNALS").map_or(SIGNALS, |number| number.parse().expect("a number"));
    let _tied = Foreign::new("gapless-test-tied.service", SLEEPER);
    let _rests = Foreign::new("gapless-test-rests.service", SLEEPER);
    let witness = Foreign::new("gapless-test-witness.service", SLEEPER);
    systemctl(&["start", "gapless-test-tied.service", witness.0]);
    let (found, brought) = (scenario("storm-found").found(), scenario("storm-brought"));
    let next = Scenario::new("storm-next").then("wait = \"100ms\"");
    // Once undisturbed: what a first run makes for good (folders of the scenario's own) is there from then on.
    for scenario in [&found, &brought, &next] {
        Running::start(scenario, "system").end();
    }
    let socket = || show(&found.unit("socket"), "ActiveState");
    assert_eq!(socket(), "active", "{}", found.said());
    let before = machine_state(&[witness.0]);
    assert!(before.len() > 100, "the script sees the machine");
    for number in 1..=signals {
        // A Weyl sequence: however many are taken, they lie evenly.
        let share = (number * 0x9E37_79B9) % (1 << 32);
        let after = Duration::from_millis((share * LENGTH_MS) >> 32);
        let kind = KINDS[usize::try_from(number).expect("small") % KINDS.len()];
        let scenario = if number % 3 == 0 { &brought } else { &found };
        let _ = std::fs::remove_dir_all(scenario.folder().join("out"));
        let _ = std::fs::remove_dir_all(next.folder().join("out"));
        struck(scenario, after, kind);
        let struck_said = scenario.said();
        Running::start(&next, "system").end();
        let mut changed = Vec::new();
        let begin = std::time::Instant::now();
        // Processes and cgroups go a moment after what was asked to end them has said that it has.
        while begin.elapsed() < LIMIT / 10 {
            changed = difference(&before, &machine_state(&[witness.0]))
                .into_iter()
                .filter(|line| !is_the_listener_that_a_step_made_anew(line, &found))
                .collect();
            if changed.is_empty() {
                break;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        assert!(
            changed.is_empty(),
            "signal {number}: {kind:?} after {after:?} to {}:\n{changed:#?}\nit said: {struck_said}\nthe next: {}",
            scenario.name(),
            next.said()
        );
        assert_eq!(socket(), "active");
    }
}

/// The scenario stops and starts its socket: that it listens again the state of the unit tells, the inode is another.
fn is_the_listener_that_a_step_made_anew(line: &str, scenario: &Scenario) -> bool {
    line[2..].starts_with("listener ") && line.contains(&*scenario.socket_path().to_string_lossy())
}
