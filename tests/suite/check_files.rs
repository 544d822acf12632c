//! `gapless check` on files, as scripts and people call it.

use std::path::{Path, PathBuf};

use assert_cmd::Command;
use serde_json::Value;

const SOUND_SOCKET: &str = "[Socket]\nListenStream=127.0.0.1:8008\n[Install]\nWantedBy=sockets.target\n";
const SOUND_SERVICE: &str =
    "[Unit]\nRequires=a.socket\nStartLimitIntervalSec=0\n[Service]\nExecStart=/bin/app --serve\n";

/// A folder with a socket and a service.
struct Units(tempfile::TempDir);

impl Units {
    fn new(socket: &str, service: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("a.socket"), socket).expect("it is ours");
        std::fs::write(folder.path().join("a.service"), service).expect("it is ours");
        Self(folder)
    }

    /// Exit code and stdout of a check of both files.
    fn check(&self, options: &[&str]) -> (i32, String) {
        let mut command = gapless();
        command.current_dir(&self.0).args(["check", "./a.socket", "./a.service"]).args(options);
        let output = command.output().expect("it is built");
        (output.status.code().expect("it was not killed"), String::from_utf8(output.stdout).expect("text"))
    }

    fn findings(&self, options: &[&str]) -> Vec<Value> {
        let (_, text) = self.check(&[&["--format", "json"], options].concat());
        let document: Value = serde_json::from_str(&text).expect("JSON");
        document["findings"].as_array().expect("a list").clone()
    }

    /// The first one of that rule.
    #[track_caller]
    fn finding(&self, id: &str, options: &[&str]) -> Value {
        let found = self.findings(options);
        found.iter().find(|finding| finding["id"] == id).unwrap_or_else(|| panic!("{id}: {found:?}")).clone()
    }
}

fn gapless() -> Command {
    Command::new(assert_cmd::cargo::cargo_bin!("gapless"))
}

fn with_a_warning() -> Units {
    Units::new(&SOUND_SOCKET.replace("[Socket]\n", "[Socket]\nFlushPending=yes\n"), SOUND_SERVICE)
}

#[test]
fn sound_units_pass_even_strictly() {
    assert_eq!(Units::new(SOUND_SOCKET, SOUND_SERVICE).check(&["--strict"]), (0, "nothing found\n".to_owned()));
}

#[test]
fn an_error_fails_and_a_warning_only_if_strict() {
    let error = Units::new(SOUND_SOCKET, &SOUND_SERVICE.replace("/bin/app --serve", "/bin/uvicorn a:b"));
    assert_eq!(error.check(&[]).0, 1);
    assert_eq!(with_a_warning().check(&[]).0, 0);
    assert_eq!(with_a_warning().check(&["--strict"]).0, 1);
    assert_eq!(with_a_warning().check(&["--strict", "--ignore", "GL024"]).0, 0);
}

#[test]
fn json_names_rule_file_and_line() {
    let (_, text) = with_a_warning().check(&["--format", "json"]);
    let document: Value = serde_json::from_str(&text).unwrap();
    let finding = &document["findings"][0];
    assert_eq!(
        (&finding["id"], &finding["severity"], &finding["line"]),
        (&"GL024".into(), &"warning".into(), &2.into())
    );
    assert_eq!((&finding["file"], &finding["unit"]), (&"./a.socket".into(), &"a.socket".into()));
    assert_eq!(document["findings"].as_array().unwrap().len(), 1);
    assert!(document.get("sockets").is_none());
}

/// What is replaced by what.
type Change = (&'static str, &'static str);

/// A change of the sound pair, and the rule that finds it. In the socket, then in the service: what is replaced by what.
const FAULTS: &[(&str, Change, Change)] = &[
    ("GL010", ("[Socket]\n", "[Socket]\nService=b.service\n"), ("", "")),
    ("GL011", ("", ""), ("Requires=a.socket\n", "")),
    ("GL012", ("[Socket]\n", "[Unit]\nAfter=a.service\n[Socket]\n"), ("", "")),
    ("GL013", ("[Socket]\n", "[Socket]\nAccept=yes\n"), ("", "")),
    ("GL014", ("[Install]\nWantedBy=sockets.target\n", ""), ("", "")),
    ("GL015", ("", ""), ("[Unit]\n", "[Unit]\nRefuseManualStart=yes\n")),
    ("GL016", ("[Socket]\n", "[Unit]\nPartOf=a.service\n[Socket]\n"), ("", "")),
    ("GL020", ("127.0.0.1:", ""), ("", "")),
    ("GL021", ("127.0.0.1:8008", "/run/app/a.sock"), ("--serve\n", "--serve\nRuntimeDirectory=app\n")),
    ("GL023", ("127.0.0.1:8008", "/run/a.sock\nSocketMode=0600"), ("--serve\n", "--serve\nUser=app\n")),
    ("GL022", ("[Socket]\n", "[Socket]\nReusePort=yes\n"), ("", "")),
    ("GL024", ("[Socket]\n", "[Socket]\nFlushPending=yes\n"), ("", "")),
    ("GL025", ("127.0.0.1:8008", "/run/a.sock\nRemoveOnStop=yes"), ("", "")),
    ("GL033", ("[Socket]\n", "[Socket]\nTriggerLimitBurst=1\n"), ("", "")),
    ("GL034", ("", ""), ("StartLimitIntervalSec=0\n[Service]\n", "[Service]\nRestart=on-failure\n")),
    (
        "GL042",
        ("", ""),
        ("[Service]\nExecStart=/bin/app --serve", "[Service]\nType=notify\nExecStart=/bin/uvicorn a:b --fd 3"),
    ),
    (
        "GL050",
        ("", ""),
        ("/bin/app --serve", "/bin/uvicorn a:b --fd 3 --timeout-graceful-shutdown 30\nTimeoutStopSec=30"),
    ),
    ("GL051", ("", ""), ("[Service]\n", "[Service]\nKillMode=process\n")),
    ("GL052", ("", ""), ("[Service]\n", "[Service]\nKillSignal=SIGKILL\n")),
    ("GL053", ("", ""), ("/bin/app --serve", "/bin/gunicorn a:b")),
];

/// The same where the advice is words: a fault, and what a reader does then. In the socket, then in the service.
const FAULTS_MENDED_BY_HAND: &[(&str, Change, Change, Change)] = &[
    (
        "GL001",
        ("ListenStream=127.0.0.1:8008\n", ""),
        ("", ""),
        ("[Socket]\n", "[Socket]\nListenStream=127.0.0.1:8008\n"),
    ),
    ("GL002", ("[Socket]\n", "[Socket]\nListenStreams=1\n"), ("", ""), ("ListenStreams=1\n", "X-ListenStreams=1\n")),
    ("GL002", ("", ""), ("[Service]\n", "[Own]\nKey=1\n[Service]\n"), ("[Own]", "[X-Own]")),
    (
        "GL003",
        ("[Socket]\n", "[Socket]\nBacklog=128 # enough\n"),
        ("", ""),
        ("Backlog=128 # enough\n", "# enough\nBacklog=128\n"),
    ),
    (
        "GL006",
        ("", ""),
        ("/bin/app --serve", "/bin/app --serve ${LEVEL:-info}"),
        ("ExecStart=/bin/app --serve ${LEVEL:-info}", "Environment=LEVEL=info\nExecStart=/bin/app --serve ${LEVEL}"),
    ),
    (
        "GL006",
        ("", ""),
        ("/bin/app --serve", "/bin/app --serve > /dev/null"),
        ("/bin/app --serve > /dev/null", "/bin/sh -c 'exec /bin/app --serve > /dev/null'"),
    ),
    ("GL006", ("8008", "$PORT"), ("", ""), ("$PORT", "8008")),
    ("GL004", ("[Socket]\n", "[Socket]\nBacklog=many\n"), ("", ""), ("Backlog=many\n", "Backlog=128\n")),
    ("GL007", ("", ""), ("--serve\n", "--serve\nExecReloadPost=/bin/true\n"), ("ExecReloadPost=/bin/true\n", "")),
    (
        "GL005",
        ("[Socket]\n", "[Socket]\nFileDescriptorName=a\nFileDescriptorName=b\n"),
        ("", ""),
        ("FileDescriptorName=a\n", ""),
    ),
    (
        "GL032",
        ("[Socket]\n", "[Socket]\nBacklog=100\n"),
        ("/bin/app --serve", "/bin/uvicorn a:b --fd 3"),
        ("Backlog=100\n", "Backlog=2048\n"),
    ),
    ("GL040", ("", ""), ("/bin/app --serve", "/bin/uvicorn a:b"), ("uvicorn a:b", "uvicorn a:b --fd 3")),
    (
        "GL041",
        ("", ""),
        ("/bin/app --serve", "/bin/gunicorn --bind fd://3 a:b\nKillMode=mixed"),
        (" --bind fd://3", ""),
    ),
    (
        "GL043",
        ("127.0.0.1:8008", "/run/a.sock"),
        ("/bin/app --serve", "/bin/uvicorn a:b --uds /run/a.sock"),
        ("--uds /run/a.sock", "--fd 3"),
    ),
    (
        "GL043",
        ("127.0.0.1:8008", "/run/a.sock"),
        ("/bin/app --serve", "/bin/gunicorn --bind fd://3 a:b\nUnsetEnvironment=LISTEN_FDS\nKillMode=mixed"),
        ("--bind fd://3 a:b\nUnsetEnvironment=LISTEN_FDS", "a:b"),
    ),
    (
        "GL044",
        ("", ""),
        ("/bin/app --serve", "/bin/gunicorn a:b\nKillMode=mixed\nType=notify"),
        ("gunicorn a:b", "gunicorn --preload a:b"),
    ),
];

/// Does to the text of a unit file what the advice says: lines to add, or a word to take out of a key.
fn mended(text: &str, fix: &str) -> String {
    if fix.starts_with('[') {
        return format!("{text}\n{fix}\n");
    }
    let (unit, rest) = fix.strip_prefix("# remove ").and_then(|fix| fix.split_once(" from ")).expect("another advice");
    let key = rest.split('=').next().expect("a key");
    text.replace(&format!("{key}={unit}\n"), "")
}

fn changed(text: &str, (from, to): Change) -> String {
    assert!(text.contains(from), "{from}");
    if from.is_empty() { text.to_owned() } else { text.replacen(from, to, 1) }
}

/// The sound pair with these changes.
fn with_fault(in_socket: Change, in_service: Change) -> Units {
    Units::new(&changed(SOUND_SOCKET, in_socket), &changed(SOUND_SERVICE, in_service))
}

#[test]
fn what_is_advised_for_a_file_mends_it_and_breaks_nothing_else() {
    for &(id, in_socket, in_service) in FAULTS {
        let units = with_fault(in_socket, in_service);
        let finding = units.finding(id, &[]);
        let file = units.0.path().join(finding["file"].as_str().expect("a path"));
        let text = std::fs::read_to_string(&file).expect("it is ours");
        std::fs::write(&file, mended(&text, finding["fix"].as_str().expect("advice"))).expect("it is ours");
        assert_eq!(units.findings(&[]), [Value::Null; 0], "{id}: {}", finding["fix"]);
    }
}

#[test]
fn what_is_advised_in_words_mends_the_file_and_breaks_nothing_else() {
    for &(id, in_socket, in_service, by_hand) in FAULTS_MENDED_BY_HAND {
        let units = with_fault(in_socket, in_service);
        let finding = units.finding(id, &[]);
        let file = units.0.path().join(finding["file"].as_str().expect("a path"));
        let text = std::fs::read_to_string(&file).expect("it is ours");
        std::fs::write(&file, changed(&text, by_hand)).expect("it is ours");
        assert_eq!(units.findings(&[]), [Value::Null; 0], "{id}: {}", finding["fix"]);
    }
}

#[test]
fn the_backlog_that_is_advised_for_a_load_suffices_for_it() {
    let load = ["--rate", "500", "--gap", "2s"];
    let units = with_fault(("[Socket]\n", "[Socket]\nBacklog=100\n"), ("", ""));
    let advice = units.finding("GL031", &load)["fix"].as_str().expect("advice").to_owned();
    let file = units.0.path().join("a.socket");
    let text = std::fs::read_to_string(&file).expect("it is ours");
    std::fs::write(&file, mended(&text, &advice)).expect("it is ours");
    assert_eq!(units.findings(&load), [Value::Null; 0], "{advice}");
}

#[test]
fn a_queue_is_judged_by_the_load_that_is_given() {
    let units = Units::new(&SOUND_SOCKET.replace("[Socket]\n", "[Socket]\nBacklog=100\n"), SOUND_SERVICE);
    assert_eq!(units.check(&["--rate", "50", "--gap", "2s"]).0, 0);
    assert_eq!(units.check(&["--rate", "51", "--gap", "2s"]).0, 1);
}

#[test]
fn what_cannot_be_meant_is_wrong_usage() {
    for arguments in [
        &["check"][..],
        &["check", "/nowhere/a.socket"],
        &["check", "a.socket", "--ignore", "GL999"],
        &["check", "no unit"],
        &["check", "a.socket", "--client", "nobody-of-that-name"],
        &["check", "a.socket", "--rate", "0"],
        &["check", "a.socket", "--gap", "1s"],
        &["check", "a.socket", "--all"],
    ] {
        assert_eq!(gapless().args(arguments).output().unwrap().status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn every_rule_is_listed_with_its_id_and_its_reason() {
    let output = gapless().args(["check", "--rules"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    for rule in gapless::check::rules() {
        assert!(text.contains(&format!("{} {:<7} {}", rule.id, rule.severity.name(), rule.title)), "{}", rule.id);
    }
}

#[test]
fn every_shell_gets_completions() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = gapless().args(["completions", shell]).output().unwrap();
        assert!(
            output.status.success() && String::from_utf8(output.stdout).unwrap().contains("demo-server"),
            "{shell}"
        );
    }
}

/// Other scenarios may well have units with faults: that is what they show.
#[test]
fn of_the_units_of_the_first_scenarios_only_those_printed_in_the_guide_have_an_error() {
    let mut sockets = Vec::new();
    find_sockets(&PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("scenarios/fastapi"), &mut sockets);
    assert!(!sockets.is_empty());
    for socket in sockets {
        let output = gapless().arg("check").args([&socket, &socket.with_extension("service")]).output().unwrap();
        let is_printed = socket.ends_with("ledger-api-printed.socket");
        assert_eq!(output.status.success(), !is_printed, "{}", String::from_utf8_lossy(&output.stdout));
    }
}

fn find_sockets(folder: &Path, sockets: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("it is there").flatten() {
        let path = entry.path();
        if path.is_dir() {
            find_sockets(&path, sockets);
        } else if path.extension().is_some_and(|extension| extension == "socket") {
            sockets.push(path);
        }
    }
}
