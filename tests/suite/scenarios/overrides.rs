//! What the command line changes.

use std::time::Duration;

use gapless::scenario::plan::Pace;
use gapless::scenario::{Overrides, load};

use crate::scenarios::rig::{Folder, TARGET, UNITS, bounds, cohort, good, messages};

#[test]
fn an_override_is_a_path_into_the_file() {
    let body = format!(
        "name = \"s\"\n{TARGET}[[load]]\nname = \"keep-alive\"\n[[load]]\nname = \"x\"\n{UNITS}[[steps]]\nrestart = \"service\"\n"
    );
    let set = [
        "run.warmup=0s",
        "load.keep-alive.rate=500",
        "load.1.clients = 3",
        "expect.dropped=<= 5",
        "expect.p99=\"1s\"",
        "expect.cohort.\"x\".max=2s",
        "steps.0.times=7",
        "target.headers.Accept=text/html",
        "description=a=b",
    ];
    let plan = good(Folder::new().with("s.toml", body).load(&set)).plan;
    assert_eq!(plan.run.warmup, Duration::ZERO);
    assert_eq!(cohort(&plan, "keep-alive").pace, Pace::Rate(500.0));
    assert_eq!(cohort(&plan, "x").pace, Pace::Clients(3));
    assert_eq!(bounds(&plan.expect.bounds), ["wrong <= 0", "dropped <= 5", "p99 <= 1s"]);
    assert_eq!(plan.expect.cohorts[0].0, "x");
    assert_eq!(plan.steps[0].times, 7);
    assert_eq!(plan.cohorts[0].target.headers, [("Accept".to_owned(), "text/html".to_owned())]);
    assert_eq!(plan.description, "a=b");
}

#[test]
fn the_last_override_of_a_key_holds() {
    let folder = Folder::new().with("s.toml", format!("name = \"s\"\n{TARGET}[run]\nseed = 1\n"));
    assert_eq!(good(folder.load(&["run.seed=2", "run.seed=3"])).plan.run.seed, 3);
}

#[test]
fn a_mistake_in_an_override_is_underlined_in_the_override() {
    let folder = Folder::new().with("s.toml", format!("name = \"s\"\n{TARGET}[[load]]\nname = \"a\"\n"));
    let set = [
        "run.warmup=soon",
        "run.warmpu=1s",
        "load.b.rate=1",
        "load.7.rate=1",
        "load.rate=1",
        "name.x=1",
        "nothing",
        "=1",
        "a b=1",
        "load.a.rate=-1",
    ];
    let rendered = folder.load(&set).expect_err("nothing of it is right").render(false, 100);
    let rendered = rendered.replace(&folder.path("s.toml").display().to_string(), "s.toml");
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("overrides", rendered);
    });
}

#[test]
fn times_holds_for_every_step() {
    let steps = "[[steps]]\nrestart = \"service\"\ntimes = 5\n[[steps]]\nkill = \"service\"\n";
    let folder = Folder::new().with("s.toml", format!("name = \"s\"\n{TARGET}{UNITS}{steps}"));
    let load = |times| load(&folder.path("s.toml"), &Overrides { times: Some(times), set: Vec::new() });
    assert_eq!(good(load(3)).plan.steps.iter().map(|step| step.times).collect::<Vec<_>>(), [3, 3]);
    assert_eq!(messages(load(0)), ["0 is out of range"]);
}
