//! What may pass on a real systemd: the truth is told by systemd, the kernel or the server, never by gapless.
//!
//! As root. Every test brings its own units and takes them away again.

use std::path::Path;
use std::process::Command;

use gapless::model::Verdict;

use super::bench::Bench;
use crate::support::GAPLESS;

/// A main process with one worker that accepts on the passed socket. The main process ends at SIGTERM and leaves its
/// worker alone.
const FORKING: &str = r#"
import os, signal, socket, time
listener = socket.socket(fileno=3)
if os.fork() == 0:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    while True:
        client, _ = listener.accept()
        client.recv(65536)
        client.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
        client.close()
signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
while True: time.sleep(60)
"#;

/// It hands its listener over to a new main process at SIGHUP, tells systemd by MAINPID=, and ends; with an argument the
/// new one binds a listener of its own.
const HANDING_OVER: &str = r#"
import os, signal, socket, subprocess, sys, threading
port, own = int(sys.argv[1]), len(sys.argv) > 2
def notify(text):
    address = os.environ["NOTIFY_SOCKET"]
    socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM).sendto(text.encode(), address.replace("@", "\0", 1))
if "LISTENER" in os.environ and not own:
    listener = socket.socket(fileno=int(os.environ["LISTENER"]))
else:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    listener.bind(("127.0.0.1", port)); listener.listen(128)
def hand_over(*_):
    os.set_inheritable(listener.fileno(), True)
    os.environ["LISTENER"] = str(listener.fileno())
    child = subprocess.Popen([sys.executable] + sys.argv, close_fds=False)
    threading.Timer(0.5, lambda: os._exit(0)).start()
signal.signal(signal.SIGHUP, hand_over)
notify("READY=1\nMAINPID=%d" % os.getpid())
while True:
    client, _ = listener.accept()
    client.recv(65536)
    client.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
    client.close()
"#;

const NEW_ONLY: &str = "[[load]]\nname = \"new\"\nreuse = false\n";

#[test]
#[ignore = "runs in the box"]
fn a_restart_whose_gap_no_request_met_is_inconclusive_and_one_whose_gap_was_met_fails() {
    let at = |rate: &str| {
        let rest = format!(
            "service = \"gapless-sight.service\"\n{NEW_ONLY}rate = {rate}\n[run]\nwarmup = \"3s\"\n[[steps]]\n\
             restart = \"service\"\n"
        );
        let unit = "[Service]\nExecStart={serve} --listen 127.0.0.1:{port} --start-delay 500ms\n";
        Bench::new(&[("gapless-sight.service", unit)], "", &rest).came_to()
    };
    let (verdict, reasons) = at("0.5");
    assert!(verdict == Verdict::Failed || reasons.contains("no request met this gap"), "{verdict:?}: {reasons}");
    assert_ne!(verdict, Verdict::Passed, "{reasons}");
    assert_eq!(at("50").0, Verdict::Failed);
}

#[test]
#[ignore = "runs in the box"]
fn a_unit_that_only_launches_what_answers_is_not_proven_unless_a_front_is_declared() {
    let real = "[Service]\nExecStart={serve} --listen 127.0.0.1:{port}\n";
    let wrap = "[Service]\nExecStart=/bin/sh -c 'systemctl start gapless-real.service; exec sleep infinity'\n";
    let files = [("gapless-wrap.service", wrap), ("gapless-real.service", real)];
    let rest = "service = \"gapless-wrap.service\"\n[[steps]]\nrestart = \"service\"\n";
    let (verdict, reasons) = Bench::new(&files, "", rest).came_to();
    assert_eq!(verdict, Verdict::Inconclusive, "{reasons}");
    assert!(reasons.contains("of gapless-real.service listens there"), "{reasons}");
    let (verdict, reasons) = Bench::new(&files, "front = true", rest).came_to();
    assert_eq!(verdict, Verdict::Passed, "{reasons}");
}

#[test]
#[ignore = "runs in the box"]
fn a_worker_that_outlives_its_restart_fails_the_end_state() {
    let with = |kill_mode: &str, end: &str| {
        let service = format!("[Service]\nExecStart=/usr/bin/python3 {{folder}}/forking.py\nKillMode={kill_mode}\n");
        let socket = "[Socket]\nListenStream=127.0.0.1:{port}\n";
        let files =
            [("gapless-old.service", service.as_str()), ("gapless-old.socket", socket), ("forking.py", FORKING)];
        let rest = format!(
            "service = \"gapless-old.service\"\nsocket = \"gapless-old.socket\"\n{NEW_ONLY}rate = 50\n[[steps]]\n\
             restart = \"service\"\n[expect]\ndropped = \"<= 5\"\n{end}"
        );
        let bench = Bench::new(&files, "", &rest);
        let (scenario, _) = bench.run();
        let left = scenario.checks.into_iter().find(|check| check.name == "end.old_processes").expect("it is checked");
        (left.status, left.actual)
    };
    let (status, actual) = with("process", "");
    assert_eq!(status, Verdict::Failed, "{actual}");
    assert!(actual.contains("left in gapless-old.service and holding the listener on"), "{actual}");
    assert_eq!(with("control-group", "").0, Verdict::Passed);
    assert_eq!(with("process", "end.old_processes = \"<= 1\"\n").0, Verdict::Passed);
}

#[test]
#[ignore = "runs in the box"]
fn a_reload_that_hands_over_to_a_new_main_process_is_proven_where_the_listener_went_along() {
    let with = |more: &str| {
        let service = format!(
            "[Service]\nType=notify\nNotifyAccess=all\nExecStart=/usr/bin/python3 {{folder}}/handing_over.py {{port}} \
             {more}\nExecReload=/bin/kill -HUP $MAINPID\n"
        );
        let files = [("gapless-flip.service", service.as_str()), ("handing_over.py", HANDING_OVER)];
        let rest = format!(
            "service = \"gapless-flip.service\"\n{NEW_ONLY}rate = 20\n[[steps]]\nreload = \"service\"\n[[steps]]\n\
             wait = \"1s\"\n[[steps]]\nreload = \"service\"\n[expect]\ndropped = \"<= 50\"\n"
        );
        let (scenario, _) = Bench::new(&files, "", &rest).run();
        let reload = scenario.events.into_iter().next().expect("it was reloaded");
        (reload.main_pid_before, reload.proven, scenario.reasons)
    };
    let (_, proven, reasons) = with("");
    assert_eq!(proven, Some(true), "{reasons:?}");
}

#[test]
#[ignore = "runs in the box"]
fn a_stop_that_its_socket_undoes_is_told_with_one_verdict_every_time() {
    let service = "[Service]\nType=notify\nExecStart={serve}\n";
    let socket = "[Socket]\nListenStream=127.0.0.1:{port}\n";
    let files = [("gapless-undone.service", service), ("gapless-undone.socket", socket)];
    let rest = "service = \"gapless-undone.service\"\nsocket = \"gapless-undone.socket\"\n[[steps]]\nstop = \"service\"\n\
                [[steps]]\nwait = \"1s\"\n";
    let bench = Bench::new(&files, "", rest);
    for _ in 0..3 {
        let (verdict, reasons) = bench.came_to();
        assert_eq!(verdict, Verdict::Passed, "{reasons}");
        assert!(reasons.contains("was undone: gapless-undone.socket started the service again"), "{reasons}");
    }
}

#[test]
#[ignore = "runs in the box"]
fn try_restart_of_what_does_not_run_is_skipped_and_says_so() {
    let service = "[Service]\nType=notify\nExecStart={serve}\n";
    let other = "[Service]\nExecStart={serve} --listen 127.0.0.1:{port}\n";
    let files = [("gapless-idle.service", service), ("gapless-other.service", other)];
    let rest = "service = \"gapless-other.service\"\n[[steps]]\nstop = \"gapless-idle.service\"\n[[steps]]\n\
                try_restart = \"gapless-idle.service\"\n";
    let (_, reasons) = Bench::new(&files, "", rest).came_to();
    assert!(reasons.contains("Try restart 1 of gapless-idle.service was skipped"), "{reasons}");
    assert!(!reasons.contains("1 try restart dropped anything"), "{reasons}");
}

#[test]
#[ignore = "runs in the box"]
fn an_answer_that_a_restart_cuts_short_does_not_pass_because_nothing_but_a_close_delimits_it() {
    let service = "[Service]\nExecStart=/usr/bin/python3 {folder}/unframed.py\n";
    let socket = "[Socket]\nListenStream=127.0.0.1:{port}\n";
    let server = r#"
import socket, threading, time
listener = socket.socket(fileno=3)
def serve(client):
    client.recv(65536)
    client.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
    for line in range(15):
        client.sendall(b"line %02d of 15\n" % (line + 1)); time.sleep(0.02)
    client.close()
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"#;
    let files = [("gapless-cut.service", service), ("gapless-cut.socket", socket), ("unframed.py", server)];
    let rest = format!(
        "service = \"gapless-cut.service\"\nsocket = \"gapless-cut.socket\"\n{NEW_ONLY}rate = 50\n[[steps]]\n\
         restart = \"service\"\n"
    );
    let (scenario, _) = Bench::new(&files, "", &rest).run();
    assert_eq!(scenario.verdict, Verdict::Failed, "{:?}", scenario.reasons);
    let (told, _) = Bench::new(&files, "expect_body = \"line 15 of 15\"", &rest).run();
    assert_eq!(told.verdict, Verdict::Failed, "{:?}", told.reasons);
    assert!(told.dropped + told.wrong > 0 && scenario.dropped > 0);
}

/// Answers every request with one status.
const ALWAYS: &str = "
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    def do_GET(self):
        self.send_response(int(sys.argv[2]))
        self.send_header('Content-Length', '0')
        self.end_headers()
    def log_message(self, *_):
        pass
ThreadingHTTPServer(('127.0.0.1', int(sys.argv[1])), Handler).serve_forever()
";

#[test]
#[ignore = "runs in the box"]
fn try_takes_nothing_but_a_good_answer_for_a_healthy_service() {
    for (status, code) in [(500, 2), (404, 2), (401, 2), (302, 0), (204, 0)] {
        let server = "[Service]\nExecStart=/usr/bin/python3 {folder}/always.py {port} {status}\n\
                      ExecReload=/bin/true\n";
        let server = server.replace("{status}", &status.to_string());
        let bench = Bench::new(&[("always.py", ALWAYS), ("gapless-tried.service", server.as_str())], "", "");
        let unit = Path::new("/run/systemd/system/gapless-tried.service");
        std::fs::write(unit, bench.filled(&server)).expect("we are root");
        let systemctl = |arguments: &[&str]| Command::new("systemctl").args(arguments).status().expect("it runs");
        systemctl(&["daemon-reload"]);
        systemctl(&["start", "gapless-tried.service"]);
        while std::net::TcpStream::connect(bench.filled("127.0.0.1:{port}")).is_err() {
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        let tried = Command::new(GAPLESS)
            .args(["try", "gapless-tried.service", "--action", "reload", "--times", "1", "-y", "--out", "out"])
            .current_dir(bench.path())
            .output()
            .expect("it is built");
        systemctl(&["stop", "gapless-tried.service"]);
        std::fs::remove_file(unit).expect("it is ours");
        let said = format!("{}{}", String::from_utf8_lossy(&tried.stdout), String::from_utf8_lossy(&tried.stderr));
        assert!(tried.status.code() == Some(code) || code == 0 && tried.status.code() == Some(3), "{status}: {said}");
        let told = if code == 2 { format!("/health {status}") } else { format!("answered {status} over http") };
        assert!(said.contains(&told), "{status}: {said}");
    }
}
