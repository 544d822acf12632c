//! Template instances on a user's own systemd, and signals that nobody is there to get.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::support::GAPLESS;

/// A folder with a template of a socket and a service, and a scenario on its instances.
struct Instances(tempfile::TempDir);

impl Instances {
    fn new(scenario: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let service = format!(
            "[Unit]\nRequires=app@%i.socket\nStartLimitIntervalSec=0\n\
             [Service]\nType=notify\nExecStart={GAPLESS} demo-server --idle-grace 300ms\n"
        );
        let instances = Self(folder);
        instances.write("app@.socket", "[Socket]\nListenStream=127.0.0.1:1796%i\n");
        instances.write("app@.service", &service);
        let head = "name = \"instances\"\n[target]\nurl = \"http://127.0.0.1:17961/\"\ntimeout = \"3s\"\n\
             [units]\nservice = \"app@1.service\"\nsocket = \"app@1.socket\"\nfiles = [\"app@.socket\", \"app@.service\"]\n\
             [run]\nwarmup = \"500ms\"\ncooldown = \"300ms\"\n";
        instances.write("scenario.toml", &format!("{head}{scenario}"));
        instances
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.0.path().join(file), text).expect("it is ours");
    }

    fn run(&self, manager: &str) -> Output {
        let mut command = Command::new(GAPLESS);
        command.args(["run", "scenario.toml", "--format", "json", "--manager", manager]);
        command.current_dir(&self.0).env("XDG_RUNTIME_DIR", "/run/user/0").stdin(Stdio::null());
        command.output().expect("it is built")
    }
}

fn shown(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn start_the_users_systemd() {
    let started = Command::new("systemctl").args(["start", "user@0.service"]).status().expect("systemctl is there");
    assert!(started.success());
}

#[test]
#[ignore = "runs in the box"]
fn an_instance_is_restarted_by_the_users_own_systemd_and_nothing_is_left_there() {
    start_the_users_systemd();
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

/// As of the machine's systemd: it serves, and the next restart would lose what comes meanwhile.
#[test]
#[ignore = "runs in the box"]
fn what_listens_in_place_of_a_users_socket_is_found() {
    start_the_users_systemd();
    let path = "/run/user/0/usurped.sock";
    let load = format!("[[load]]\nname = \"new\"\nrate = 50\nreuse = false\nunix = \"{path}\"\n");
    let instances = Instances::new(&format!("{load}[[steps]]\nstart = \"service\"\n[[steps]]\nwait = \"500ms\"\n"));
    instances.write("app@.socket", &format!("[Socket]\nListenStream={path}\n"));
    let listener = || {
        let ran = instances.run("user");
        let result: Value = serde_json::from_slice(&ran.stdout).unwrap_or_else(|_| panic!("{}", shown(&ran)));
        let checks = result["scenarios"][0]["checks"].as_array().expect("a list");
        let check = checks.iter().find(|check| check["name"] == "end.listener").expect("the listener is looked at");
        (check["status"].clone(), check["actual"].clone())
    };
    assert_eq!(listener(), ("passed".into(), "it is".into()));
    let usurps = format!(
        "[Service]\nType=notify\nExecStartPre=rm {path}\n\
         ExecStart=env -u LISTEN_FDS -u LISTEN_PID {GAPLESS} demo-server --listen unix:{path}\n"
    );
    instances.write("app@.service", &usurps);
    assert_eq!(listener(), ("failed".into(), "somebody else listens there".into()));
}

#[test]
#[ignore = "runs in the box"]
fn a_signal_to_a_unit_without_a_process_is_told_as_such() {
    let instances = Instances::new("[[steps]]\nkill = \"app@3.service\"\nsignal = \"KILL\"\n");
    let ran = instances.run("system");
    assert_eq!(ran.status.code(), Some(4), "{}", shown(&ran));
    assert!(shown(&ran).contains("cannot send SIGKILL to app@3.service: it has no such process"), "{}", shown(&ran));
}
