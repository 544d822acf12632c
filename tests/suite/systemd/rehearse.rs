//! `gapless rehearse` on a machine that was booted with systemd: in the box, whose systemd is the machine's here.
//!
//! What became of the real units is asked of systemd, of the kernel and of `tests/machine_state`, never of the program.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use gapless::model::Verdict;

use crate::support::{GAPLESS, assert_passed_unless_late, result_in};

mod ends;

const UNITS: &str = "/run/systemd/system";

/// Units of the machine, for as long as this lives.
struct Installed {
    names: Vec<&'static str>,
}

impl Installed {
    fn new(units: &[(&'static str, String)]) -> Self {
        for (name, text) in units {
            fs::write(Path::new(UNITS).join(name), text).expect("written");
        }
        systemctl(&["daemon-reload"]);
        Self { names: units.iter().map(|(name, _)| *name).collect() }
    }
}

impl Drop for Installed {
    fn drop(&mut self) {
        let _ = Command::new("systemctl").arg("stop").args(&self.names).stderr(Stdio::null()).status();
        self.names.iter().for_each(|name| drop(fs::remove_file(Path::new(UNITS).join(name))));
        let _ = Command::new("systemctl").arg("daemon-reload").status();
    }
}

fn systemctl(arguments: &[&str]) -> String {
    let output = Command::new("systemctl").args(arguments).output().expect("systemctl");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A socket and its service, which is as good as any: nothing is lost when it restarts.
fn pair(name: &'static str, socket: &'static str, port: u16, more: &str) -> [(&'static str, String); 2] {
    let serve = format!("[Unit]\n{more}\n[Service]\nExecStart={GAPLESS} demo-server --idle-grace 300ms\n");
    [(socket, format!("[Socket]\nListenStream=127.0.0.1:{port}\n")), (name, serve)]
}

fn await_listener(port: u16) {
    let begin = Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(begin.elapsed() < Duration::from_secs(30), "nothing listens at port {port}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn rehearse(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(GAPLESS).arg("rehearse").args(arguments).current_dir(folder).output().expect("it is built")
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// What the machine is like, by a script that is not the program.
fn machine(units: &[&str]) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/machine_state");
    let output = Command::new(script).args(units).output().expect("a script");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn differences(before: &str, after: &str) -> Vec<String> {
    let lost = before.lines().filter(|line| !after.contains(line)).map(|line| format!("gone: {line}"));
    let new = after.lines().filter(|line| !before.contains(line)).map(|line| format!("new: {line}"));
    lost.chain(new).collect()
}

#[test]
#[ignore = "runs in the box"]
fn a_unit_is_rehearsed_with_its_socket_and_the_real_one_is_as_it_was() {
    let _units = Installed::new(&pair("rehearsed.service", "rehearsed.socket", 18_311, ""));
    systemctl(&["start", "rehearsed.socket", "rehearsed.service"]);
    let folder = tempfile::tempdir().expect("a folder");
    let before = machine(&["rehearsed.service", "rehearsed.socket"]);
    let output = rehearse(folder.path(), &["rehearsed.service", "--times", "2", "--every", "1s", "--out", "out"]);
    let after = machine(&["rehearsed.service", "rehearsed.socket"]);
    let text = said(&output);
    let out = folder.path().join("out");
    let result = result_in(&out);
    assert_passed_unless_late(&output, &result);
    assert!(result.host.twin && result.scenarios[0].events.len() == 2, "{text}");
    let marked = format!("rehearsed on a twin of {}", result.host.name);
    for report in ["report.md", "report.html", "junit.xml"] {
        assert!(fs::read_to_string(out.join(report)).expect("a report").contains(&marked), "{report}");
    }
    assert!(text.contains(&marked) && text.contains("the real rehearsed.service is as it was: active"), "{text}");
    assert_eq!(differences(&before, &after), Vec::<String>::new());
}

#[test]
#[ignore = "runs in the box"]
fn what_a_unit_requires_or_wants_and_listens_is_started_and_what_else_it_wants_is_left_out_and_named() {
    let idle = "[Service]\nExecStart=sleep infinity\n".to_owned();
    let cache = format!("[Service]\nExecStart={GAPLESS} demo-server --listen 127.0.0.1:18323\n");
    let more = "Requires=vital.service\nWants=chatty.service cache.service\nOnFailure=mailer.service";
    let mut units = pair("choosy.service", "choosy.socket", 18_312, more).to_vec();
    units.extend([
        ("vital.service", idle.clone()),
        ("chatty.service", idle.clone()),
        ("mailer.service", idle),
        ("cache.service", cache),
    ]);
    let _units = Installed::new(&units);
    systemctl(&["start", "choosy.socket", "chatty.service", "cache.service"]);
    await_listener(18_323);
    let folder = tempfile::tempdir().expect("a folder");
    let output = rehearse(folder.path(), &["choosy.service", "--times", "1", "--out", "out"]);
    let text = said(&output).split_whitespace().collect::<Vec<_>>().join(" ");
    let told = "It starts cache.service, choosy.service, choosy.socket, vital.service; left out: chatty.service (Wants= of \
                choosy.service), mailer.service (OnFailure= of choosy.service)";
    assert!(text.contains(told), "{text}");
}

#[test]
#[ignore = "runs in the box"]
fn a_unit_that_needs_a_device_is_refused_before_anything_is_loaded() {
    let _units = Installed::new(&pair("diskful.service", "diskful.socket", 18_313, "BindsTo=dev-nonesuch.device"));
    let folder = tempfile::tempdir().expect("a folder");
    let output = rehearse(folder.path(), &["diskful.service", "--out", "out"]);
    let text = said(&output);
    assert_eq!(output.status.code(), Some(4), "{text}");
    assert!(text.contains("dev-nonesuch.device cannot be started in a twin: a device: a twin has none"), "{text}");
    assert!(!folder.path().join("out").exists(), "a run that never began leaves no folder");
}

/// A scenario that brings its units, as a user would write it.
fn scenario(folder: &Path) -> PathBuf {
    fs::write(folder.join("brought.socket"), "[Socket]\nListenStream=127.0.0.1:18314\n").expect("written");
    let service = format!("[Service]\nExecStart={GAPLESS} demo-server --idle-grace 300ms\n");
    fs::write(folder.join("brought.service"), service).expect("written");
    let text = "name = \"brought\"\n[target]\nurl = \"http://127.0.0.1:18314/health\"\n[units]\n\
                files = [\"brought.socket\", \"brought.service\"]\nprepare = [[\"touch\", \"prepared\"]]\n[[load]]\nname = \"all\"\nrate = 100\n\
                [[steps]]\nrestart = \"service\"\n";
    let file = folder.join("brought.toml");
    fs::write(&file, text).expect("written");
    file
}

#[test]
#[ignore = "runs in the box"]
fn a_scenario_is_rehearsed_and_only_its_preparation_happens_here() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = scenario(folder.path());
    let before = machine(&[]);
    let output = rehearse(folder.path(), &[&file.to_string_lossy(), "--out", "out"]);
    let after = machine(&[]);
    let result = result_in(&folder.path().join("out"));
    assert_passed_unless_late(&output, &result);
    assert_ne!(result.verdict, Verdict::Failed);
    assert!(folder.path().join("prepared").exists(), "a twin has no network to prepare from");
    let of_folder = folder.path().to_string_lossy().into_owned();
    let differences = differences(&before, &after);
    let others: Vec<_> = differences.iter().filter(|line| !line.contains(&of_folder)).collect();
    assert!(others.is_empty(), "{others:#?}");
}

/// A service that ends at once after a line of shell, without a socket.
fn failing(script: &str) -> String {
    format!("[Service]\nType=oneshot\nExecStart=/bin/bash -c '{script}; exit 1'\n")
}

#[test]
#[ignore = "runs in the box"]
fn a_unit_that_fails_for_want_of_another_host_is_said_to_and_one_that_fails_otherwise_is_not() {
    let _units = Installed::new(&[
        ("lonely.service", failing("echo > /dev/tcp/10.1.2.3/5432")),
        ("broken.service", failing("echo it is broken")),
    ]);
    let folder = tempfile::tempdir().expect("a folder");
    let of = |unit: &str| {
        let output = rehearse(folder.path(), &[unit, "--out", "out"]);
        assert_eq!(output.status.code(), Some(4), "{}", said(&output));
        said(&output)
    };
    let lonely = of("lonely.service");
    assert!(lonely.contains("tried to reach 10.1.2.3:5432 (TCP), which is outside"), "{lonely}");
    let broken = of("broken.service");
    assert!(!broken.contains("tried to reach") && broken.contains("it is broken"), "{broken}");
}

#[test]
#[ignore = "runs in the box"]
fn what_a_socket_unit_would_save_is_seen_with_it_in_the_twin_alone() {
    let serve = format!(
        "[Service]\nExecStart={GAPLESS} demo-server --listen 127.0.0.1:18316 --idle-grace 300ms --start-delay 300ms\n"
    );
    let _units = Installed::new(&[("plain.service", serve.clone())]);
    systemctl(&["start", "plain.service"]);
    let begin = Instant::now();
    while std::net::TcpStream::connect("127.0.0.1:18316").is_err() && begin.elapsed() < Duration::from_secs(15) {
        std::thread::sleep(Duration::from_millis(20));
    }
    let folder = tempfile::tempdir().expect("a folder");
    let run = |name: &str, more: &[&str]| {
        let arguments = ["plain.service", "--times", "1", "--url", "http://127.0.0.1:18316/health", "--out", name];
        let output = rehearse(folder.path(), &[&arguments, more].concat());
        let text = said(&output);
        assert!(folder.path().join(name).join("result.json").exists(), "{text}");
        assert!(text.contains("the real plain.service is as it was") && !text.contains("tried"), "{text}");
        result_in(&folder.path().join(name)).scenarios[0].dropped
    };
    fs::write(folder.path().join("plain.socket"), "[Socket]\nListenStream=127.0.0.1:18316\n").expect("written");
    fs::create_dir(folder.path().join("plain.service.d")).expect("made");
    let held =
        format!("[Service]\nExecStart=\nExecStart={GAPLESS} demo-server --idle-grace 300ms --start-delay 300ms\n");
    fs::write(folder.path().join("plain.service.d/held.conf"), held).expect("written");
    assert!(run("without", &[]) > 0);
    assert_eq!(run("with", &["--with", "plain.socket", "--with", "plain.service.d/held.conf"]), 0);
    assert!(!Path::new("/etc/systemd/system/plain.socket").exists());
    assert!(systemctl(&["show", "--value", "--property=DropInPaths", "plain.service"]).is_empty());
}

#[test]
#[ignore = "runs in the box"]
fn a_deploy_is_rehearsed_under_load_and_what_root_in_the_twin_writes_is_not_written_here() {
    let _units = Installed::new(&pair("deployed.service", "deployed.socket", 18_317, ""));
    systemctl(&["start", "deployed.socket", "deployed.service"]);
    let folder = tempfile::tempdir().expect("a folder");
    // Each line is tried, and says whether it could be done.
    let probe = "#!/bin/bash
try() { if \"${@:2}\" 2>/dev/null; then echo \"$1: done\"; else echo \"$1: refused\"; fi; }
put() { echo \"$1\" >\"$2\"; }
try file put x /etc/gapless-probe
try temporary put x /var/tmp/gapless-probe
try sysctl put probe /proc/sys/kernel/domainname
try sysrq put x /proc/sysrq-trigger
try port_range put '30000 60000' /proc/sys/net/ipv4/ip_local_port_range
try clock date --set '+1 hour'
try node mknod /var/tmp/gapless-probe-disk b 7 0
try sys put x /sys/power/state
try machine test -e /proc/sys/kernel/random/uuid -a -d /run/systemd/system
ls /sys/class/net
systemctl restart deployed.service
";
    fs::write(folder.path().join("deploy.sh"), probe).expect("written");
    let before = machine(&["deployed.service", "deployed.socket"]);
    let ports = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").expect("a setting");
    let output = rehearse(folder.path(), &["deployed.service", "--out", "out", "--", "bash", "deploy.sh"]);
    let text = said(&output);
    assert_passed_unless_late(&output, &result_in(&folder.path().join("out")));
    for line in [
        "file: done",
        "temporary: done",
        "sysctl: refused",
        "port_range: done",
        "clock: refused",
        "node: refused",
        "sys: refused",
    ] {
        assert!(text.lines().any(|said| said == line), "{line}: {text}");
    }
    assert!(text.lines().any(|line| line == "lo") && !text.contains("eth0"), "{text}");
    assert!(!Path::new("/etc/gapless-probe").exists() && !Path::new("/var/tmp/gapless-probe").exists());
    assert_eq!(fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").expect("a setting"), ports);
    let of_folder = folder.path().to_string_lossy().into_owned();
    let after = machine(&["deployed.service", "deployed.socket"]);
    let others: Vec<_> = differences(&before, &after).into_iter().filter(|line| !line.contains(&of_folder)).collect();
    assert!(others.is_empty(), "{others:#?}");
}

/// As good as uvicorn, as far as its command line goes.
const LIKE_UVICORN: &str = "#!/usr/bin/python3
import socket, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header('Content-Length', '2')
        self.end_headers()
        self.wfile.write(b'ok')
    def log_message(self, *_):
        pass
class Server(ThreadingHTTPServer):
    request_queue_size = 1024
words = sys.argv[1:]
value = lambda option: words[words.index(option) + 1]
if '--fd' in words:
    server = Server(('127.0.0.1', 0), Handler, bind_and_activate=False)
    server.socket = socket.socket(fileno=int(value('--fd')))
    server.server_name, server.server_port = 'localhost', 0
else:
    server = Server((value('--host'), int(value('--port'))), Handler)
server.serve_forever()
";

#[test]
#[ignore = "runs in the box"]
fn what_is_suggested_is_rehearsed_next_to_the_unit_as_it_is() {
    let place = Path::new("/var/lib/gapless-suggested");
    fs::create_dir_all(place).expect("made");
    let server = place.join("uvicorn");
    fs::write(&server, LIKE_UVICORN).expect("written");
    fs::set_permissions(&server, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("ours");
    let command = format!("{} app:app --host 127.0.0.1 --port 18319", server.display());
    let _units = Installed::new(&[("bare.service", format!("[Service]\nExecStart={command}\n"))]);
    systemctl(&["start", "bare.service"]);
    let folder = tempfile::tempdir().expect("a folder");
    let fixed = ["--times", "2", "--fresh", "--rate", "100", "--expect", "wrong=0"];
    let output = rehearse(folder.path(), &[&["bare.service", "--suggest", "--out", "out"], &fixed[..]].concat());
    let (text, out) = (said(&output), folder.path().join("out"));
    let read = |name: &str| fs::read_to_string(out.join("suggested").join(name)).unwrap_or_else(|_| panic!("{text}"));
    assert!(read("bare.socket").contains("ListenStream=127.0.0.1:18319\n"));
    let told = format!("ExecStart=\nExecStart={} app:app --fd 3\n", server.display());
    assert!(read("bare.service.d/10-socket.conf").contains(&told));
    assert!(
        result_in(&out.join("as-it-is")).scenarios[0].causes.contains_key(&gapless::model::Cause::NoListener),
        "{text}"
    );
    let with_socket = result_in(&out.join("with-socket"));
    assert!(!with_socket.scenarios[0].causes.contains_key(&gapless::model::Cause::NoListener), "{text}");
    let result = fs::read_to_string(out.join("with-socket/report.md")).expect("a report");
    assert!(result.contains("bare.socket"), "{result}");
    fs::remove_dir_all(place).expect("ours");
}
