//! What targets, cohorts, roles, files and secrets mean.

use std::fs;
use std::time::Duration;

use gapless::scenario::placeholder::placed;
use gapless::scenario::plan::{Action, Connections, Destination, Pace};
use gapless::scenario::{Overrides, load, masked};

use crate::scenarios::rig::{Folder, TARGET, bounds, cohort, good, messages, plan};

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
fn each_kind_of_target_leads_to_a_destination_of_its_own_and_its_requests_are_new() {
    let [host, port] = ["127.0.0.1".to_owned(), "53".to_owned()];
    let kinds = [
        ("udp://127.0.0.1:53", Destination::Udp { host, port: port.parse().unwrap() }),
        ("unix-dgram:/run/a", Destination::UnixDgram("/run/a".into())),
        ("unix-seqpacket:@a", Destination::UnixSeqpacket("@a".into())),
        ("unix:@a", Destination::Unix("@a".into())),
        ("fifo:/run/a", Destination::Fifo("/run/a".into())),
    ];
    for (url, destination) in kinds {
        let plan = plan(&format!("[target]\nurl = \"{url}\"\nbody = \"ping\"\n"));
        assert_eq!(plan.cohorts.len(), 1, "{url}");
        let cohort = &plan.cohorts[0];
        assert_eq!((&cohort.target.connect, cohort.connections), (&destination, Connections::New), "{url}");
        assert_eq!(cohort.target.url, url);
    }
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
fn no_secret_reaches_the_record() {
    let body = "name = \"s\"\n[target]\nurl = \"http://user:hunter2@127.0.0.1/\"\nheaders = { X-Api-Key = \"hunter2\", Accept = \"a\" }\n";
    let folder = Folder::new().with("s.toml", body);
    let set = ["target.headers.X-Api-Key=hunter2-other", "target.url=http://user:hunter2@127.0.0.1:81/", "run.seed=4"];
    let scenario = good(folder.load(&set));
    let recorded = serde_json::to_string(&masked(&scenario.plan, false)).expect("a plan serialises") + &scenario.text;
    assert!(!recorded.contains("hunter2"), "{recorded}");
    assert!(!recorded.contains("dXNlcjpodW50ZXIy"), "{recorded}");
    assert!(recorded.contains("http://127.0.0.1:81/"), "{recorded}");
    assert_eq!(
        scenario.text,
        "name = \"s\"\n[target]\nurl = \"http://***@127.0.0.1/\"\nheaders = { X-Api-Key = \"***\", Accept = \"a\" }\n\
         # --set target.headers.X-Api-Key=***\n# --set target.url=http://***@127.0.0.1:81/\n# --set run.seed=4\n"
    );
    let headers = &scenario.plan.cohorts[0].target.headers;
    assert!(headers.contains(&("X-Api-Key".to_owned(), "hunter2-other".to_owned())), "what runs has it: {headers:?}");
}
