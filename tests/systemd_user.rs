//! Template instances on a user's own systemd, and signals that nobody is there to get.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const GAPLESS: &str = env!("CARGO_BIN_EXE_gapless");

/// A folder with a template of a socket and a service, and a scenario on its instances.
struct Instances(tempfile::TempDir);

impl Instances {
    fn new(scenario: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let service = format!(
            "[Unit]\nRequires=app@%i.socket\nStartLimitIntervalSec=0\n\
             [Service]\nType=notify\nExecStart={GAPLESS} demo-server --idle-grace 300ms\n"
        );
        fs::write(folder.path().join("app@.socket"), "[Socket]\nListenStream=127.0.0.1:1796%i\n").expect("it is ours");
        fs::write(folder.path().join("app@.service"), service).expect("it is ours");
        let head = "name = \"instances\"\n[target]\nurl = \"http://127.0.0.1:17961/\"\n\
             [units]\nservice = \"app@1.service\"\nsocket = \"app@1.socket\"\nfiles = [\"app@.socket\", \"app@.service\"]\n\
             [run]\nwarmup = \"500ms\"\ncooldown = \"300ms\"\n";
        fs::write(folder.path().join("scenario.toml"), format!("{head}{scenario}")).expect("it is ours");
        Self(folder)
    }

    fn run(&self, manager: &str) -> Output {
        let mut command = Command::new(GAPLESS);
        command.args(["run", "scenario.toml", "--format", "json", "--out", "out", "--manager", manager]);
        command.current_dir(&self.0).env("XDG_RUNTIME_DIR", "/run/user/0").stdin(Stdio::null());
        command.output().expect("it is built")
    }
}

fn shown(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
#[ignore = "needs root and systemd: run by tests/all in the box"]
fn an_instance_is_restarted_by_the_users_own_systemd_and_nothing_is_left_there() {
    let started = Command::new("systemctl").args(["start", "user@0.service"]).status().expect("systemctl is there");
    assert!(started.success());
    let instances = Instances::new(
        "[[steps]]\nrestart = \"service\"\ntimes = 2\nevery = \"1s\"\n\
         [[steps]]\nkill = \"service\"\nsignal = \"TERM\"\nwho = \"main\"\n",
    );
    let ran = instances.run("user");
    // On a busy machine the generator is late, which leaves a doubt (3).
    assert!(matches!(ran.status.code(), Some(0 | 3)), "{}", shown(&ran));
    let result: Value = serde_json::from_slice(&ran.stdout).expect("result.json");
    let scenario = &result["scenarios"][0];
    assert_eq!((&scenario["manager"], &scenario["dropped"]), (&"user".into(), &0.into()), "{}", shown(&ran));
    let events = scenario["events"].as_array().expect("a list");
    let told: Vec<_> = events.iter().map(|event| (&event["action"], &event["proven"])).collect();
    let [restart, kill, yes] = [Value::from("restart"), Value::from("kill"), Value::from(true)];
    assert_eq!(told, [(&restart, &yes), (&restart, &yes), (&kill, &yes)], "{}", shown(&ran));
    assert!(!Path::new("/run/user/0/systemd/user/app@.service").exists());
}

#[test]
#[ignore = "needs root and systemd: run by tests/all in the box"]
fn a_signal_to_a_unit_without_a_process_is_told_as_such() {
    let instances = Instances::new("[[steps]]\nkill = \"app@3.service\"\nsignal = \"KILL\"\n");
    let ran = instances.run("system");
    assert_eq!(ran.status.code(), Some(4), "{}", shown(&ran));
    assert!(shown(&ran).contains("cannot send SIGKILL to app@3.service: it has no such process"), "{}", shown(&ran));
}
