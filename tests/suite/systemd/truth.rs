//! What `check` says, held against systemd: its own reading of unit files, and runs of the same units in the box.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::support::GAPLESS;

/// Unit files below a folder of their own.
struct Files(tempfile::TempDir);

impl Files {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, text) in files {
            fs::write(folder.path().join(name), text).expect("it is ours");
        }
        Self(folder)
    }
}

/// The rules that say what systemd reads of a file.
const OF_SYNTAX: [&str; 5] = ["GL001", "GL002", "GL003", "GL004", "GL007"];

/// The lines of each file that `check` finds a fault of syntax in.
fn faulted_by_check(paths: &[PathBuf]) -> BTreeMap<PathBuf, BTreeSet<u64>> {
    let mut faulted = BTreeMap::<PathBuf, BTreeSet<u64>>::new();
    for path in paths {
        let output =
            Command::new(GAPLESS).arg("check").arg(path).args(["--format", "json"]).output().expect("it is built");
        let document: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", shown(&output)));
        for finding in document["findings"].as_array().expect("a list") {
            let is_of_syntax = OF_SYNTAX.iter().any(|id| finding["id"] == *id);
            if is_of_syntax && finding["severity"] != "info" {
                faulted.entry(path.clone()).or_default().insert(finding["line"].as_u64().unwrap_or(0));
            }
        }
    }
    faulted
}

/// What `systemd-analyze verify` says of a file, with the lines it names; what it says of the whole unit is line 0.
fn faulted_by_systemd(path: &Path) -> (BTreeSet<u64>, String) {
    let output =
        Command::new("systemd-analyze").arg("verify").arg(path).env("LC_ALL", "C").output().expect("it is there");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let own = format!("{}:", path.display());
    let mut lines: BTreeSet<u64> =
        said.lines().filter_map(|line| line.strip_prefix(&own)?.split(':').next()?.parse().ok()).collect();
    if said
        .lines()
        .any(|line| line.contains("Refusing") || line.contains("bad unit file setting") || line.contains("bad-setting"))
    {
        lines.insert(0);
    }
    (lines, said)
}

fn shown(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Every fault of syntax that `check` finds is one that systemd complains of, at the same line or of the whole unit.
fn contradictions(paths: &[PathBuf]) -> Vec<String> {
    let faulted = faulted_by_check(paths);
    let mut contradictions = Vec::new();
    for (path, lines) in faulted {
        let (by_systemd, said) = faulted_by_systemd(&path);
        let is_refused = by_systemd.contains(&0);
        let unconfirmed: Vec<_> =
            lines.iter().filter(|line| !(by_systemd.contains(line) || is_refused && **line == 0)).collect();
        if !unconfirmed.is_empty() {
            contradictions.push(format!("{} lines {unconfirmed:?}; systemd: {said}", path.display()));
        }
    }
    contradictions
}

/// One value of one key each: `(section, key, value)`. What systemd makes of it is asked, not written down here.
const VALUES: &[(&str, &str, &[&str])] = &[
    (
        "Socket",
        "ListenStream",
        &[
            "80",
            "0",
            "127.0.0.1:80",
            "[::1]:80",
            "[fe80::1%lo]:80",
            "/run/x",
            "/var/run/x",
            "@x",
            "vsock::22",
            "vsock:2:1234",
            "vsock:x:1",
            "localhost:80",
            "run/x",
            "70000",
            "%t/x",
            "%D/x",
        ],
    ),
    ("Socket", "ListenMessageQueue", &["/foo"]),
    ("Socket", "ListenNetlink", &["route 1361", "kobject-uevent 1"]),
    ("Socket", "ListenFIFO", &["/run/f"]),
    ("Socket", "ListenSpecial", &["/dev/null"]),
    ("Socket", "ListenUSBFunction", &["/run/ffs"]),
    ("Socket", "BindIPv6Only", &["yes", "no", "on", "both", "default", "ipv6-only", "maybe"]),
    ("Socket", "FileDescriptorName", &["web", "http:https", "a b"]),
    ("Socket", "Backlog", &["128", "0x80", "128 # x", "many", "-1"]),
    ("Socket", "SocketMode", &["0660", "660", "9", "77777"]),
    ("Socket", "Accept", &["1", "y", "t", "ON", "0", "n", "f", "off", "perhaps"]),
    ("Socket", "TriggerLimitIntervalSec", &["2s", "2 s", "infinity", "5 parsecs"]),
    (
        "Service",
        "StandardInput",
        &["null", "tty", "tty-force", "tty-fail", "data", "socket", "fd", "fd:web", "file:/x", "pipe"],
    ),
    ("Service", "StandardOutput", &["tty", "inherit", "journal+console", "fd:web", "append:/x", "truncate:/x", "pipe"]),
    ("Service", "Type", &["simple", "notify-reload", "forking", "nonsense"]),
    ("Service", "RuntimeDirectory", &["a/", "a/b", "foo:bar", "/abs", "../x", "a b"]),
    ("Service", "SuccessExitStatus", &["TEMPFAIL 250 SIGKILL", "NOTRUNNING", "300", "NOSUCH"]),
    ("Service", "KillSignal", &["SIGTERM", "TERM", "15", "RTMIN+3", "SIGRTMIN+1", "NOSUCH"]),
    ("Service", "Environment", &["A=1", "A=%d/x", "A=%q", "A=%Q", "A=%1"]),
    ("Service", "WorkingDirectory", &["~", "-/x", "/x", "x", "%h"]),
    ("Service", "UMask", &["0022", "22", "8"]),
    ("Service", "TimeoutStopSec", &["5", "1min 30s", "infinity", "x"]),
    ("Service", "RestartSec", &["100ms", "1.5", "infinity"]),
    ("Service", "RestartSteps", &["3"]),
    ("Service", "ExecReloadPost", &["/bin/true"]),
    ("Service", "NoSuchKey", &["1"]),
    ("Unit", "ConditionKernelModuleLoaded", &["loop"]),
    ("Unit", "After", &["a.service b.target", "no-type", "network.target  # x"]),
    ("Unit", "StartLimitIntervalSec", &["0", "10s"]),
    (
        "Service",
        "ExecReload",
        &[
            "/bin/kill -HUP $MAINPID",
            "-/bin/x 'y",
            "bin/x",
            "/bin/x %y %Y %a %A %b %B %C %E %g %G %h %H %i %j %J %l %L",
            "/bin/x %m %M %n %N %o %p %P %q %s %S %t %T %u %U %v %V %w %W",
            "/bin/x %Q",
            "/bin/x 5%1",
            "/bin/x 100%%",
        ],
    ),
];

#[test]
#[ignore = "runs in the box"]
fn what_check_says_of_a_value_is_what_systemd_says_of_it() {
    let mut wrong = Vec::new();
    for (section, key, values) in VALUES {
        for value in *values {
            let is_socket = *section == "Socket";
            let (name, rest) = if is_socket {
                ("x.socket", if key.starts_with("Listen") { "[Socket]\n" } else { "[Socket]\nListenStream=/run/y\n" })
            } else {
                ("x.service", "[Service]\nExecStart=/bin/true\n")
            };
            let text = format!("{rest}[{section}]\n{key}={value}\n");
            let files = Files::new(&[
                (name, &text),
                ("x@.service", "[Service]\nExecStart=/bin/true\n"),
                ("x.service", if is_socket { "[Service]\nExecStart=/bin/true\n" } else { &text }),
            ]);
            let path = files.0.path().join(name);
            let line = text.lines().count() as u64;
            let by_check = faulted_by_check(std::slice::from_ref(&path)).remove(&path).unwrap_or_default();
            let (by_systemd, said) = faulted_by_systemd(&path);
            // What both read is told by where it is replaced, not by a complaint.
            let is_told = said.contains("legacy directory") || said.contains("deprecated");
            let complains = by_systemd.contains(&line) && !is_told;
            if by_check.contains(&line) != complains {
                wrong.push(format!("{key}={value}: check {by_check:?}, systemd {by_systemd:?}: {said}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
#[ignore = "runs in the box"]
fn no_unit_file_of_debians_packages_is_faulted_where_systemd_does_not() {
    let units: Vec<PathBuf> = super::unit_files::of_packages().into_iter().map(|(_, path)| path).collect();
    let wrong = contradictions(&units);
    assert!(wrong.is_empty(), "{} unit files:\n{}", units.len(), wrong.join("\n"));
}

#[test]
#[ignore = "runs in the box"]
fn nothing_of_a_stock_system_is_an_error() {
    let output = Command::new(GAPLESS).args(["check", "--all", "--format", "json"]).output().expect("it is built");
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    for row in document["sockets"].as_array().expect("a list") {
        let unit = row["unit"].as_str().expect("a name");
        let state = show(unit, "ActiveState");
        assert!(row["state"].as_str().expect("a state").starts_with(&format!("{state} (")), "{row}");
        let findings = row["findings"].as_array().expect("a list");
        let is_inactive = findings.iter().any(|id| id == "GL060");
        assert_eq!(is_inactive, state != "active", "{row}");
    }
}

fn show(unit: &str, property: &str) -> String {
    let output = Command::new("systemctl").args(["show", "--value", "--property", property, unit]).output();
    String::from_utf8_lossy(&output.expect("systemctl is there").stdout).trim().to_owned()
}
