//! What holds where a scenario says nothing.

use std::time::Duration;

use gapless::model::{JobResult, KillWho, Signal, UnitVerb};
use gapless::scenario::plan::{Action, Connections, Destination, Pace, Scheme, Spacing, StatusPattern};

use crate::scenarios::rig::{TARGET, UNITS, bounds, cohort, plan};

#[test]
fn the_defaults_of_a_run_hold() {
    let plan = plan(TARGET);
    assert_eq!(plan.description, "");
    assert_eq!(plan.run.warmup, Duration::from_secs(1));
    assert_eq!(plan.run.cooldown, Duration::from_secs(2));
    assert_eq!(plan.run.ready_timeout, Duration::from_secs(30));
    assert!(plan.run.pace);
    assert!(plan.run.restore);
    assert_eq!(plan.run.seed, 1);
    assert_eq!((plan.run.abort.outage, plan.run.abort.dropped), (None, None));
    assert_eq!(plan.units, None);
    assert_eq!(plan.steps, []);
    assert_eq!(bounds(&plan.expect.bounds), ["dropped <= 0", "wrong <= 0"]);
    assert_eq!(plan.expect.end, None);
}

#[test]
fn the_defaults_of_a_target_hold() {
    let target = plan(TARGET).cohorts[0].target.clone();
    assert_eq!(target.scheme, Scheme::Http);
    assert_eq!(target.url, "http://127.0.0.1:8008/health");
    assert_eq!(target.connect, Destination::Host { host: "127.0.0.1".to_owned(), port: 8008 });
    assert_eq!(target.authority, "127.0.0.1:8008");
    assert_eq!((target.method.as_str(), target.path.as_str()), ("GET", "/health"));
    assert_eq!((target.headers.len(), target.body.len()), (0, 0));
    assert_eq!(target.expect_status, [StatusPattern::Class(2)]);
    assert_eq!(target.expect_body, None);
    assert_eq!((target.timeout, target.connect_timeout), (Duration::from_secs(10), Duration::from_secs(10)));
    assert_eq!((target.ca_file, target.insecure), (None, false));
}

#[test]
fn without_load_there_are_kept_and_new_connections() {
    let plan = plan(TARGET);
    let [kept, new] = &plan.cohorts[..] else { panic!("{:?}", plan.cohorts) };
    assert_eq!(
        (kept.name.as_str(), kept.pace, kept.connections),
        ("keep-alive", Pace::Rate(200.0), Connections::Reused(16))
    );
    assert_eq!((new.name.as_str(), new.pace, new.connections), ("new", Pace::Rate(50.0), Connections::New));
}

#[test]
fn the_defaults_of_a_cohort_hold() {
    let plan = plan(&format!("{TARGET}[[load]]\nname = \"a\"\n"));
    let [cohort] = &plan.cohorts[..] else { panic!("{:?}", plan.cohorts) };
    assert_eq!((cohort.pace, cohort.connections), (Pace::Rate(200.0), Connections::Reused(16)));
    assert_eq!(cohort.connect_delay, Duration::ZERO);
}

#[test]
fn a_closed_loop_has_a_connection_for_each_client() {
    let plan = plan(&format!("{TARGET}[[load]]\nname = \"a\"\nclients = 32\n[[load]]\nname = \"b\"\nclients = 4\n"));
    assert_eq!(cohort(&plan, "a").connections, Connections::Reused(32));
    assert_eq!(cohort(&plan, "b").connections, Connections::Reused(16));
}

#[test]
fn the_defaults_of_a_step_hold() {
    let plan = plan(&format!("{TARGET}{UNITS}[[steps]]\nkill = \"service\"\n"));
    let [step] = &plan.steps[..] else { panic!("{:?}", plan.steps) };
    let unit = plan.units.as_ref().and_then(|units| units.service.clone()).expect("given");
    assert_eq!(step.action, Action::Kill { unit, signal: Signal::TERM, who: KillWho::All });
    assert_eq!((step.times, step.spacing), (1, Spacing::After(Duration::ZERO)));
    assert!(step.wait_ready);
    assert_eq!((step.job, &step.expect), (JobResult::Done, &None));
}

#[test]
fn steps_wait_for_readiness_unless_they_end_it_or_act_on_nothing() {
    let waits = |step: &str| plan(&format!("{TARGET}{UNITS}[[steps]]\n{step}\n")).steps[0].wait_ready;
    for &verb in UnitVerb::ALL {
        let expected = !matches!(verb, UnitVerb::Stop | UnitVerb::ResetFailed);
        assert_eq!(waits(&format!("{verb} = \"service\"")), expected, "{verb}");
    }
    assert!(waits("kill = \"service\""));
    assert!(waits("daemon_reload = true"));
    assert!(!waits("wait = \"1s\""));
    assert!(!waits("restart = \"service\"\nready = false"));
    assert!(waits("stop = \"service\"\nready = true"));
}

#[test]
fn an_expectation_replaces_only_its_own_default() {
    let expect = |keys: &str| bounds(&plan(&format!("{TARGET}[expect]\n{keys}\n")).expect.bounds);
    assert_eq!(expect("p99 = \"500ms\""), ["dropped <= 0", "wrong <= 0", "p99 <= 500ms"]);
    assert_eq!(expect("dropped = \"> 0\""), ["wrong <= 0", "dropped > 0"]);
    assert_eq!(expect("wrong = 3"), ["dropped <= 0", "wrong <= 3"]);
    assert_eq!(expect("failed = 3"), ["failed <= 3"]);
    assert_eq!(expect("error_rate = 0.01"), ["error_rate <= 0.01"]);
    assert_eq!(expect("failed = 3\nwrong = 0"), ["failed <= 3", "wrong <= 0"]);
    assert_eq!(expect("outcome.refused = 3"), ["dropped <= 0", "wrong <= 0", "outcome.refused <= 3"]);
}

#[test]
fn a_steps_expectations_have_the_same_defaults_and_a_cohorts_have_none() {
    let step = "[[steps]]\nrestart = \"service\"\nexpect = { job = \"failed\", wrong = 2 }\n";
    let plan = plan(&format!("{TARGET}{UNITS}{step}[expect.cohort.new]\nmax = \"1s\"\n"));
    let expect = plan.steps[0].expect.as_ref().expect("given");
    assert_eq!(bounds(&expect.bounds), ["dropped <= 0", "wrong <= 2"]);
    assert_eq!(plan.steps[0].job, JobResult::Failed);
    let [(name, keys)] = &plan.expect.cohorts[..] else { panic!("{:?}", plan.expect.cohorts) };
    assert_eq!((name.as_str(), bounds(keys)), ("new", vec!["max <= 1s".to_owned()]));
}
