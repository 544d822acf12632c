//! What good scenarios mean: defaults, roles, files, overrides, secrets, and runs of several.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gapless::model::{Bound, JobResult, KillWho, Metric, Signal, UnitVerb};
use gapless::scenario::placeholder::placed;
use gapless::scenario::plan::{Action, Cohort, Connections, Destination, Pace, Plan, Scheme, Spacing, StatusPattern};
use gapless::scenario::{Overrides, Scenario, ScenarioErrors, load, load_all, masked};
use tempfile::TempDir;

const TARGET: &str = "[target]\nurl = \"http://127.0.0.1:8008/health\"\n";
const UNITS: &str = "[units]\nservice = \"app.service\"\nsocket = \"app.socket\"\n";

/// A folder with scenarios in it.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(TempDir::new().expect("a temporary folder"))
    }

    fn with(self, name: &str, text: impl AsRef<[u8]>) -> Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("it lies in the folder")).expect("created");
        fs::write(path, text).expect("written");
        self
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn load(&self, set: &[&str]) -> Result<Scenario, ScenarioErrors> {
        load(&self.path("s.toml"), &Overrides { times: None, set: set.iter().map(ToString::to_string).collect() })
    }

    fn load_all(&self, paths: &[&str], only: &[&str]) -> Result<Vec<Scenario>, ScenarioErrors> {
        let paths: Vec<_> = paths.iter().map(|path| self.path(path)).collect();
        let only: Vec<_> = only.iter().map(ToString::to_string).collect();
        load_all(&paths, &only, &Overrides::default())
    }
}

fn scenario(body: &str) -> Result<Scenario, ScenarioErrors> {
    Folder::new().with("s.toml", format!("name = \"s\"\n{body}")).load(&[])
}

#[track_caller]
fn good(result: Result<Scenario, ScenarioErrors>) -> Scenario {
    result.unwrap_or_else(|errors| panic!("{}", errors.render(false, 100)))
}

#[track_caller]
fn plan(body: &str) -> Plan {
    good(scenario(body)).plan
}

#[track_caller]
fn messages<T>(result: Result<T, ScenarioErrors>) -> Vec<String> {
    let errors = result.err().expect("there is a mistake");
    errors.mistakes().iter().map(|mistake| mistake.message().to_owned()).collect()
}

fn cohort<'a>(plan: &'a Plan, name: &str) -> &'a Cohort {
    plan.cohorts.iter().find(|cohort| cohort.name == name).expect("there is such a cohort")
}

fn bounds(expectations: &[(Metric, Bound)]) -> Vec<String> {
    expectations.iter().map(|(metric, bound)| format!("{metric} {bound}")).collect()
}

#[track_caller]
fn snapshot(path: &str) {
    let scenario = good(load(Path::new(path), &Overrides::default()));
    let json = serde_json::to_string_pretty(&masked(&scenario.plan)).expect("a plan serialises");
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!(scenario.plan.name.clone(), json);
    });
}

#[test]
fn the_example_of_the_documentation_means_what_it_says() {
    snapshot("tests/good_scenarios/fastapi_restart.toml");
}

#[test]
fn every_key_finds_its_place_in_the_plan() {
    snapshot("tests/good_scenarios/everything.toml");
}

#[test]
fn a_recorded_plan_comes_back_as_it_was() {
    let path = Path::new("tests/good_scenarios/everything.toml");
    let plan = good(load(path, &Overrides::default())).plan;
    let json = serde_json::to_string(&plan).expect("a plan serialises");
    let back: Plan = serde_json::from_str(&json).expect("and comes back");
    assert_eq!(Plan { directory: plan.directory.clone(), ..back }, plan);
}

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

#[test]
fn a_cohorts_url_leaves_the_unix_socket_of_the_target_and_its_unix_leaves_the_host() {
    let unix = "unix = \"/run/app.sock\"\n";
    let load = "[[load]]\nname = \"straight\"\n[[load]]\nname = \"proxied\"\nurl = \"http://127.0.0.1/\"\n";
    let plan = plan(&format!("{TARGET}{unix}{load}"));
    assert_eq!(cohort(&plan, "straight").target.connect, Destination::Unix("/run/app.sock".into()));
    assert_eq!(cohort(&plan, "straight").target.authority, "127.0.0.1:8008");
    let proxied = &cohort(&plan, "proxied").target;
    assert_eq!(proxied.connect, Destination::Host { host: "127.0.0.1".to_owned(), port: 80 });
    assert_eq!(proxied.authority, "127.0.0.1");
}

#[test]
fn a_host_header_is_the_authority() {
    let target =
        plan(&format!("{TARGET}headers = {{ B = \"2\", host = \"app.test\", A = \"1\" }}\n")).cohorts[0].target.clone();
    assert_eq!(target.authority, "app.test");
    assert_eq!(target.headers, [("B".to_owned(), "2".to_owned()), ("A".to_owned(), "1".to_owned())]);
}

#[test]
fn a_given_authorization_wins_over_the_urls_credentials() {
    let url = "[target]\nurl = \"http://u:p@127.0.0.1/\"\n";
    let basic = plan(url).cohorts[0].target.headers.clone();
    assert_eq!(basic, [("Authorization".to_owned(), "Basic dTpw".to_owned())]);
    let given = plan(&format!("{url}headers = {{ authorization = \"Bearer x\" }}\n")).cohorts[0].target.headers.clone();
    assert_eq!(given, [("authorization".to_owned(), "Bearer x".to_owned())]);
}

#[test]
fn a_tcp_target_knows_no_http_and_reuses_nothing() {
    let plan = plan("[target]\nurl = \"tcp://127.0.0.1:6379\"\nbody = \"PING\"\n");
    let [new] = &plan.cohorts[..] else { panic!("{:?}", plan.cohorts) };
    assert_eq!((new.name.as_str(), new.pace, new.connections), ("new", Pace::Rate(50.0), Connections::New));
    assert_eq!(new.target.expect_status, []);
    assert_eq!(new.target.body, b"PING");
}

#[test]
fn each_request_step_has_a_cohort_of_its_own_behind_the_load() {
    let steps = "[[steps]]\nrequest = { path = \"/a?b=1\", times = 30, every = \"200ms\" }\n[[steps]]\nwait = \"1s\"\n\
                 [[steps]]\nrequest = { path = \"/\" }\nexpect = { dropped = 1 }\n[[steps]]\ngate = { p99 = \"300ms\" }\n";
    let plan = plan(&format!("{TARGET}{steps}[expect.cohort.request-3]\nmax = \"1s\"\n"));
    let names: Vec<_> = plan.cohorts.iter().map(|cohort| cohort.name.as_str()).collect();
    assert_eq!(names, ["keep-alive", "new", "request-1", "request-3"]);
    let own = cohort(&plan, "request-1");
    assert_eq!((own.pace, own.connections), (Pace::OnDemand, Connections::New));
    assert_eq!((own.target.path.as_str(), own.target.url.as_str()), ("/a?b=1", "http://127.0.0.1:8008/a?b=1"));
    let request = |path: &str, cohort, times, every| Action::Request { path: path.to_owned(), cohort, times, every };
    assert_eq!(plan.steps[0].action, request("/a?b=1", 2, 30, Duration::from_millis(200)));
    assert_eq!(plan.steps[2].action, request("/", 3, 1, Duration::ZERO));
    let Action::Gate { expect } = &plan.steps[3].action else { panic!("{:?}", plan.steps[3]) };
    assert_eq!(bounds(&expect.bounds), ["p99 <= 300ms"]);
    assert!(plan.steps[3].wait_ready && !plan.steps[2].wait_ready);
}

#[test]
fn a_body_file_is_read_from_the_scenarios_folder() {
    let folder = Folder::new()
        .with("data/body.bin", [0, 159, 146, 150])
        .with("s.toml", format!("name = \"s\"\n{TARGET}body_file = \"data/body.bin\"\n"));
    assert_eq!(good(folder.load(&[])).plan.cohorts[0].target.body, [0, 159, 146, 150]);
}

#[test]
fn roles_are_read_off_the_unit_files_where_there_is_no_doubt() {
    let files = |files: &str| {
        let folder = ["a.service", "b.service", "t@.service", "a.socket"]
            .iter()
            .fold(Folder::new(), |folder, name| folder.with(name, "[Unit]\n"))
            .with("s.toml", format!("name = \"s\"\n{TARGET}[units]\nfiles = {files}\n"));
        let units = good(folder.load(&[])).plan.units.expect("given");
        (units.service.map(|unit| unit.to_string()), units.socket.map(|unit| unit.to_string()))
    };
    let some = |name: &str| Some(name.to_owned());
    assert_eq!(files(r#"["a.service", "a.socket"]"#), (some("a.service"), some("a.socket")));
    assert_eq!(files(r#"["a.service", "b.service", "a.socket"]"#), (None, some("a.socket")));
    assert_eq!(files(r#"["t@.service", "a.socket"]"#), (None, some("a.socket")));
}

#[test]
fn unit_files_name_the_scenarios_folder() {
    let unit = |folder: &str| {
        let files = Folder::new()
            .with(&format!("{folder}/app.service"), "[Service]\nExecStart={scenario_dir}/run\n")
            .with(&format!("{folder}/s.toml"), format!("name = \"s\"\n{TARGET}[units]\nfiles = [\"app.service\"]\n"));
        let loaded = load(&files.path(&format!("{folder}/s.toml")), &Overrides::default());
        let directory = fs::canonicalize(files.path(folder)).expect("it is there");
        (loaded, directory.to_str().expect("UTF-8").to_owned())
    };
    for folder in ["plain", "100%"] {
        let (loaded, directory) = unit(folder);
        let plan = good(loaded).plan;
        let file = &plan.units.as_ref().expect("given").files[0];
        assert_eq!(file.text, "[Service]\nExecStart={scenario_dir}/run\n", "the record tells no folder");
        let installed = placed(file, &plan.directory).text;
        assert_eq!(installed, format!("[Service]\nExecStart={}/run\n", directory.replace('%', "%%")));
    }
    assert_eq!(messages(unit("my folder").0).len(), 1);
}

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

#[test]
fn no_secret_reaches_the_record() {
    let body = "name = \"s\"\n[target]\nurl = \"http://user:hunter2@127.0.0.1/\"\nheaders = { X-Api-Key = \"hunter2\", Accept = \"a\" }\n";
    let folder = Folder::new().with("s.toml", body);
    let set = ["target.headers.X-Api-Key=hunter2-other", "target.url=http://user:hunter2@127.0.0.1:81/", "run.seed=4"];
    let scenario = good(folder.load(&set));
    let recorded = serde_json::to_string(&masked(&scenario.plan)).expect("a plan serialises") + &scenario.text;
    assert!(!recorded.contains("hunter2"), "{recorded}");
    assert!(!recorded.contains("dXNlcjpodW50ZXIy"), "{recorded}");
    assert!(recorded.contains("http://127.0.0.1:81/"), "{recorded}");
    assert_eq!(
        scenario.text,
        "name = \"s\"\n[target]\nurl = \"http://***@127.0.0.1/\"\nheaders = { X-Api-Key = \"***\", Accept = \"a\" }\n\
         # --set target.headers.X-Api-Key=\"***\"\n# --set target.url=http://***@127.0.0.1:81/\n# --set run.seed=4\n"
    );
    let headers = &scenario.plan.cohorts[0].target.headers;
    assert!(headers.contains(&("X-Api-Key".to_owned(), "hunter2-other".to_owned())), "what runs has it: {headers:?}");
}

/// Three scenarios in two folders, and a file that is none.
fn library() -> Folder {
    let text = |name: &str| format!("name = \"{name}\"\n{TARGET}");
    Folder::new()
        .with("one/b.toml", text("b"))
        .with("one/a.toml", text("a"))
        .with("one/notes.txt", "no scenario")
        .with("one/deeper/x.toml", text("x"))
        .with("two/c.toml", text("c"))
}

fn names(scenarios: &[Scenario]) -> Vec<&str> {
    scenarios.iter().map(|scenario| scenario.plan.name.as_str()).collect()
}

#[test]
fn a_folder_is_its_own_scenarios_or_else_those_of_its_subfolders() {
    let library = library();
    let load = |paths: &[&str]| library.load_all(paths, &[]).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(names(&load(&["one"])), ["a", "b"]);
    assert_eq!(names(&load(&["."])), ["a", "b", "c"]);
    assert_eq!(names(&load(&["two", "one/a.toml"])), ["c", "a"]);
    assert_eq!(names(&load(&["one/b.toml", "one"])), ["b", "a"], "each file once");
}

#[test]
fn only_takes_the_scenarios_of_these_names() {
    let library = library();
    let scenarios = library.load_all(&["."], &["c", "a"]).expect("both are there");
    assert_eq!(names(&scenarios), ["a", "c"]);
    let none = library.load_all(&["."], &["aa"]).expect_err("no such name");
    assert_eq!(none.mistakes()[0].message(), "no scenario is called \"aa\" (--only)");
    assert_eq!(none.mistakes()[0].advice(), Some("did you mean `a`?"));
    let none = library.load_all(&["."], &["something-else"]).expect_err("no such name");
    assert_eq!(none.mistakes()[0].advice(), Some("there are: a, b, c"));
}

#[test]
fn a_broken_scenario_that_is_not_asked_for_is_in_nobodys_way() {
    let library = library().with("one/broken.toml", "name = \"broken\"\n");
    assert_eq!(names(&library.load_all(&["one"], &["a"]).expect("a is well")), ["a"]);
    assert_eq!(messages(library.load_all(&["one"], &["broken"])), ["there is no URL to send requests to"]);
    assert_eq!(messages(library.load_all(&["one"], &[])), ["there is no URL to send requests to"]);
}

#[test]
fn two_scenarios_of_one_name_are_refused() {
    let library = library().with("two/d.toml", format!("name = \"a\"\n{TARGET}"));
    let messages = messages(library.load_all(&["."], &[]));
    assert!(messages[0].starts_with("two scenarios are called \"a\": "), "{messages:?}");
}

#[test]
fn what_cannot_be_read_is_said_by_its_name() {
    let library = library()
        .with("empty/notes.txt", "")
        .with("latin1.toml", b"name = \"caf\xe9\"")
        .with("big.toml", vec![b'#'; 2 << 20]);
    for (path, what) in [
        ("nowhere", "No such file"),
        ("empty", "there is no scenario in"),
        ("latin1.toml", "this is not UTF-8"),
        ("big.toml", "at most 1 MiB"),
    ] {
        let messages = messages(library.load_all(&[path], &[]));
        assert!(messages[0].contains(what) && messages[0].contains(path), "{messages:?}");
    }
}

#[test]
fn a_mistake_in_a_shared_override_is_said_once() {
    let library = library();
    let overrides = Overrides { times: None, set: vec!["run.seed=x".to_owned()] };
    let result = load_all(&[library.path("one")], &[], &overrides);
    assert_eq!(messages(result), ["expected an integer, found a string"]);
}

#[test]
fn of_very_many_mistakes_the_first_are_shown_and_all_are_counted() {
    let keys = (0..70).map(|number| format!("key{number} = 1\n")).collect::<Vec<_>>().concat();
    let errors = scenario(&format!("{keys}{TARGET}")).expect_err("none of the keys is known");
    assert_eq!(errors.mistakes().len(), 50);
    assert_eq!(errors.mistakes()[0].message(), "unknown key `key0` at the top of a scenario");
    assert_eq!(errors.to_string(), "50 mistakes and 20 more; nothing was started");
}

#[test]
fn colours_are_there_only_if_asked_for() {
    let errors = scenario("").expect_err("no target");
    assert!(errors.render(true, 80).contains('\u{1b}'));
    assert!(!errors.render(false, 80).contains('\u{1b}'));
}
