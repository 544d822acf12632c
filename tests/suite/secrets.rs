//! Sixty kinds of secrets, planted wherever one can stand, and looked for in every file and on every stream.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use assert_cmd::Command;
use serde_json::Value;
use tempfile::TempDir;

use crate::support::{GAPLESS, turn};

/// What every planted secret contains, before its number.
const MARK: &str = "SECRET";

/// The scenario; its socket is put in.
const SCENARIO: &str = r#"name = "kinds"
description = "was: token=c-SECRET01"
# Authorization: Bearer c-SECRET02
[target]
url = "http://user:u-SECRET03@app/?token=q-SECRET04&pw=q-SECRET05&passphrase=q-SECRET06&access=q-SECRET07&X-Amz-Signature=q-SECRET08&sig=q-SECRET09&code=q-SECRET10&key=q-SECRET11&jwt=q-SECRET12&session=q-SECRET13"
unix = "{socket}"
method = "POST"
body = '{"password":"b-SECRET14","nested":[{"api_key":"b-SECRET15"}],"note":"b-SECRET16"}'
[target.headers]
X-Session = "h-SECRET17"
X-Auth = "h-SECRET18"
Api-Key = "h-SECRET19"
Cookie = "theme=dark; sid=h-SECRET20"
X-Custom = "Bearer h-SECRET21"
X-Made = "ghp_SECRET22aaaaaaaaaaaaaaaaaaaaaaaaaaaa"
X-Random = "SECRET23wJalrXUtnFEMIK7MDENGbPxRfiCY"
X-Hub-Signature-256 = "h-SECRET24"
[units]
service = "kinds.service"
socket = "kinds.socket"
files = ["kinds.socket", "kinds.service"]
prepare = [["true", "--token", "p-SECRET25", "PASSWORD=p-SECRET26"]]
[[steps]]
exec = ["./app.sh", "-u", "admin:e-SECRET27", "-pe-SECRET28", "--header=Authorization: Bearer e-SECRET29", "-HAuthorization: Bearer e-SECRET30", "-H", "X-Api-Key: e-SECRET31", "--pass", "e-SECRET32", "--auth-key=e-SECRET33", "http://127.0.0.1/?pw=e-SECRET34", "--token", "-e-SECRET35", "-uadmin:e-SECRET36", "--user=admin:e-SECRET37", "-b", "sid=e-SECRET38", "-d", "user=a&passwd=e-SECRET39", "redis://:e-SECRET40@h/0"]
[[steps]]
exec = ["sh", "-c", "true -H 'Authorization: Bearer s-SECRET41'; TOKEN=s-SECRET42 true; mysql -u root -ps-SECRET43 2>/dev/null; sh -c \"true --password 's-SECRET44' -u 'a:s-SECRET45'\"; true"]
[[steps]]
restart = "service"
[run]
warmup = "100ms"
cooldown = "0s"
"#;

const SERVICE: &str = r#"[Unit]
StartLimitIntervalSec=0
# Environment=OLD_TOKEN=c-SECRET46
# the old one was password=c-SECRET47
[Service]
Type=notify
Environment=PLAIN=v-SECRET48 "DB_PASSWORD=v-SECRET49"
Environment='DSN=postgres://u:v-SECRET50@db/x'
EnvironmentFile={folder}/kinds.env
SetCredential=c1:v-SECRET51
X-Foo=token=v-SECRET52
X-Api-Token=v-SECRET53
ExecStartPre=/bin/sh -c "true curl -H 'Authorization: Bearer x-SECRET54' http://127.0.0.1:1/ ; true"
ExecStartPre=/bin/sh -c "echo started with v-SECRET48 v-SECRET49 v-SECRET50 f-SECRET55 and u-SECRET03"
ExecStartPre=-/bin/true -u admin:x-SECRET56 -px-SECRET57 --header=Authorization:\x20x-SECRET58
ExecStart={gapless} demo-server --idle-grace 300ms
"#;

/// What the scenario's command prints: tokens that are known, in forms they have elsewhere, and what stands for itself.
const COMMAND: &str = "#!/bin/sh
echo \"known: h-SECRET17 e-SECRET27, as basic $(printf user:u-SECRET03 | base64)\"
echo 'unknown: Authorization: Bearer o-SECRET59'
echo '{\"client_secret\":\"o-SECRET60\"}' >&2
echo \"$*\"
exit 0
";

struct Plot {
    folder: TempDir,
}

impl Plot {
    fn new() -> Self {
        let folder = tempfile::tempdir_in("/var/tmp").expect("a folder");
        let plot = Self { folder };
        let socket = plot.path().join("kinds.sock").display().to_string();
        plot.write("kinds.socket", &format!("[Socket]\nListenStream={socket}\nRemoveOnStop=yes\n"));
        let service = SERVICE.replace("{gapless}", GAPLESS).replace("{folder}", &plot.path().display().to_string());
        plot.write("kinds.service", &service);
        plot.write("kinds.env", "FILE_VALUE=f-SECRET55\nMODE=production\n");
        plot.write("app.sh", COMMAND);
        let script = plot.path().join("app.sh");
        fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("ours");
        plot.write("s.toml", &SCENARIO.replace("{socket}", &socket));
        plot
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join(name), text).expect("written");
    }

    /// Both streams of a command, and its exit code.
    fn gapless(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let mut command = Command::new(GAPLESS);
        let output =
            command.current_dir(self.path()).args(arguments).env_remove("XDG_RUNTIME_DIR").output().expect("built");
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&said).into_owned())
    }
}

/// Every planted secret that is still in a text, with what stands before it.
fn left_in(text: &str) -> BTreeSet<String> {
    let found =
        text.match_indices(MARK).filter(|(at, _)| text[at + MARK.len()..].starts_with(|c: char| c.is_ascii_digit()));
    found
        .map(|(at, _)| text[text[..at].len().saturating_sub(2)..(at + MARK.len() + 2).min(text.len())].to_owned())
        .collect()
}

/// Every planted secret in a file below a folder, with the file.
fn left_below(folder: &Path) -> Vec<String> {
    let mut left = Vec::new();
    for entry in fs::read_dir(folder).expect("readable").flatten() {
        if entry.path().is_dir() {
            left.extend(left_below(&entry.path()));
        } else {
            let text = String::from_utf8_lossy(&fs::read(entry.path()).expect("readable")).into_owned();
            left.extend(left_in(&text).into_iter().map(|secret| format!("{}: {secret}", entry.path().display())));
        }
    }
    left
}

#[test]
fn no_secret_is_left_in_any_file_of_a_run_or_on_its_streams() {
    let _turn = turn();
    let plot = Plot::new();
    let planted = left_in(&[SCENARIO, SERVICE, COMMAND, "f-SECRET55"].concat());
    assert_eq!(planted.iter().filter_map(|secret| secret.get(secret.len() - 2..)).collect::<BTreeSet<_>>().len(), 60);
    let (code, said) = plot.gapless(&["run", "s.toml", "--manager", "embedded", "--out", "out"]);
    assert!(matches!(code, Some(0 | 3)), "{said}");
    assert_eq!(left_in(&said), BTreeSet::new(), "{said}");
    let out = plot.path().join("out");
    assert_eq!(left_below(&out), Vec::<String>::new());
    let record = fs::read_to_string(out.join("records/kinds.jsonl")).expect("it wrote one");
    // What is not secret stays.
    for word in
        ["admin:***", "started with *** *** *** ***", "known: ***", "http://***@app/", "X-Custom", "DB_PASSWORD"]
    {
        assert!(record.contains(word), "{word} is gone");
    }
    assert!(!record.contains("dXNlcjp1LVNFQ1JFVDAz"), "what Basic makes of it is left");
    for format in ["json", "markdown", "junit"] {
        let (_, said) = plot.gapless(&["report", "out", "--format", format]);
        assert_eq!(left_in(&said), BTreeSet::new(), "{format}");
    }
}

#[test]
fn no_secret_is_left_in_a_plan_an_audit_or_an_error() {
    let plot = Plot::new();
    let none = BTreeSet::new();
    let (_, said) = plot.gapless(&["run", "s.toml", "--manager", "embedded", "--plan"]);
    assert_eq!(left_in(&said), none, "{said}");
    let (_, said) = plot.gapless(&["check", "kinds.service", "kinds.socket"]);
    assert_eq!(left_in(&said), none, "{said}");
    let scenario = fs::read_to_string(plot.path().join("s.toml")).expect("it is there");
    for (what, mistaken) in [
        ("an unknown key", scenario.replace("method = ", "methd = ")),
        (
            "a wrong type beside a secret",
            scenario.replace("[target.headers]\n", "[target.headers]\nX-Token = \"m-SECRET70\"\nBad = 1\n"),
        ),
        ("a bad URL", scenario.replace("@app/?", "@app /?")),
        ("a line that is not TOML", scenario.replace("X-Auth = \"h-SECRET18\"", "X-Auth = \"h-SECRET18")),
        ("a value in the wrong place", scenario.replace("warmup = \"100ms\"", "warmup = \"100\" # token=m-SECRET71")),
        (
            "a command that is a string",
            scenario.replace("exec = [\"sh\"", "exec = \"curl -u a:m-SECRET72\"\nexecs = [\"sh\""),
        ),
    ] {
        plot.write("m.toml", &mistaken);
        let (code, said) = plot.gapless(&["run", "m.toml"]);
        assert_eq!(code, Some(2), "{what}: {said}");
        assert_eq!(left_in(&said), none, "{what}: {said}");
    }
    let failing =
        scenario.replace("[[\"true\",", "[[\"sh\", \"-c\", \"echo got p-SECRET25 and password=m-SECRET73; exit 1\", ");
    plot.write("f.toml", &failing);
    let (code, said) = plot.gapless(&["run", "f.toml", "--manager", "embedded", "--out", "f"]);
    assert_eq!((code, left_in(&said)), (Some(4), none.clone()), "{said}");
    for arguments in [
        &["run", "s.toml", "--password=m-SECRET74"][..],
        &["run", "s.toml", "--set", "target.url=http://u:m-SECRET75@h /"],
        &["run", "http://u:m-SECRET76@h/?token=m-SECRET77"],
        &["watch", "http://u:m-SECRET78@h x/", "--duration", "1s"],
    ] {
        let (code, said) = plot.gapless(arguments);
        assert_eq!((code, left_in(&said)), (Some(2), none.clone()), "{said}");
    }
}

#[test]
fn the_command_of_a_watch_keeps_its_secrets() {
    let _turn = turn();
    let plot = Plot::new();
    let url = "http://u:w-SECRET80@127.0.0.1:9/?pw=w-SECRET81";
    let command = ["--", "sh", "-c", "echo token=w-SECRET82 >/dev/null; exit 3", "--secret", "w-SECRET83"];
    let mut arguments = vec!["watch", url, "--warmup", "100ms", "--cooldown", "100ms", "--out", "out"];
    arguments.extend(command);
    let (_, said) = plot.gapless(&arguments);
    assert_eq!(left_in(&said), BTreeSet::new(), "{said}");
    assert_eq!(left_below(&plot.path().join("out")), Vec::<String>::new());
}

#[test]
fn bodies_are_recorded_only_if_they_are_to_be_shown_and_then_for_their_owner_alone() {
    let _turn = turn();
    let plot = Plot::new();
    let (code, said) = plot.gapless(&["run", "s.toml", "--manager", "embedded", "--out", "out", "--show-bodies"]);
    assert!(matches!(code, Some(0 | 3)), "{said}");
    let out = plot.path().join("out");
    let record = fs::read_to_string(out.join("records/kinds.jsonl")).expect("it wrote one");
    let begin: Value = serde_json::from_str(record.lines().next().expect("it has lines")).expect("JSON");
    let text = begin["scenario_text"].as_str().expect("a text");
    assert_eq!(left_in(text), ["b-SECRET14", "b-SECRET15", "b-SECRET16"].map(str::to_owned).into());
    let mode = |name: &str| fs::metadata(out.join(name)).expect("it is there").mode() & 0o777;
    assert_eq!(["", "records", "result.json", "records/kinds.jsonl"].map(mode), [0o700, 0o700, 0o600, 0o600]);
}
