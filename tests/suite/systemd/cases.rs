//! Set-ups from the wild, each with the value that its server, systemd or the kernel tells.
//!
//! As root. Every test brings its own units and takes them away again.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use gapless::model::{Cause, Verdict};

use super::bench::Bench;
use crate::support::{GAPLESS, not_as_said, turn};

const NEW_ONLY: &str = "[[load]]\nname = \"new\"\nreuse = false\n";

/// Handlers of 30 ms. At SIGTERM it ends at once, and says first how many requests it had read and not answered.
const YOUNG: &str = r#"
import asyncio, os, signal, sys
in_hand = 0
class Server(asyncio.Protocol):
    def connection_made(self, transport): self.transport = transport
    def data_received(self, data):
        global in_hand
        in_hand += 1
        asyncio.get_running_loop().call_later(0.03, self.answer)
    def answer(self):
        global in_hand
        in_hand -= 1
        self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
def stop(*_):
    with open(sys.argv[2], "a") as counted: counted.write("%d\n" % in_hand)
    os._exit(0)
async def main():
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", int(sys.argv[1]))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop)
    await server.serve_forever()
asyncio.run(main())
"#;

#[test]
#[ignore = "runs in the box"]
fn what_a_server_without_a_graceful_stop_had_in_hand_is_killed_in_flight_and_nothing_else_is() {
    let service = "[Service]\nExecStart=/usr/bin/python3 {folder}/young.py {port} {folder}/counted\n";
    let rest = "service = \"gapless-young.service\"\n[[load]]\nname = \"keep-alive\"\nrate = 150\nconnections = 16\n\
                [[load]]\nname = \"new\"\nrate = 100\nreuse = false\n[[steps]]\nrestart = \"service\"\ntimes = 3\n\
                every = \"2s\"\n[expect]\ndropped = \"> 0\"\n";
    let bench = Bench::new(&[("gapless-young.service", service), ("young.py", YOUNG)], "", rest);
    let (scenario, _) = bench.run();
    let counted = std::fs::read_to_string(bench.path().join("counted")).expect("it was stopped");
    // The last one is its end when the run puts everything back, without load.
    let counted: Vec<u64> = counted.lines().map(|count| count.parse().expect("a number")).take(3).collect();
    let killed = |event: &gapless::analysis::result::EventResult| {
        event.causes.get(&Cause::KilledInFlight).copied().unwrap_or_default()
    };
    let told: Vec<u64> = scenario.events.iter().map(killed).collect();
    assert_eq!(told, counted, "{:?}", scenario.evidence);
    assert!(counted.iter().sum::<u64>() > 0, "too few requests to show anything");
}

/// At SIGTERM it closes its listener and waits for its connections to end, which they do not.
const HANGING: &str = r#"
import signal, socket, sys, threading, time
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("127.0.0.1", int(sys.argv[1]))); listener.listen(128)
stopping = threading.Event()
signal.signal(signal.SIGTERM, lambda *_: (stopping.set(), listener.shutdown(socket.SHUT_RDWR), listener.close()))
def serve(client):
    while client.recv(65536):
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
while not stopping.is_set():
    try: client, _ = listener.accept()
    except OSError: break
    threading.Thread(target=serve, args=(client,), daemon=True).start()
while True: time.sleep(1)
"#;

#[test]
#[ignore = "runs in the box"]
fn a_gap_that_begins_long_before_the_process_ends_is_not_dated_by_its_exit() {
    let service = "[Service]\nExecStart=/usr/bin/python3 {folder}/hanging.py {port}\nTimeoutStopSec=3\n";
    let rest = format!(
        "service = \"gapless-hang.service\"\n{NEW_ONLY}rate = 50\n[[steps]]\nrestart = \"service\"\n[expect]\n\
         dropped = \"> 0\"\n"
    );
    let files = [("gapless-hang.service", service), ("hanging.py", HANGING)];
    let (scenario, _) = Bench::new(&files, "timeout = \"3s\"", &rest).run();
    let no_listener = scenario.evidence.iter().find(|evidence| evidence.cause == Cause::NoListener).expect("a gap");
    assert!(no_listener.sentence.contains("had stopped listening before it was gone at"), "{}", no_listener.sentence);
    assert!(!no_listener.sentence.contains("between the exit of"), "{}", no_listener.sentence);
    let stop_ms = scenario.events[0].stop_ms.expect("it was stopped");
    assert!(stop_ms >= 3_000.0, "TimeoutStopSec= bounds it: {stop_ms}");
}

/// Takes the passed socket; at SIGTERM it stops accepting at once and needs three seconds to end.
const CLOSING_ITS_BOOKS: &str = r#"
import os, select, signal, socket, time
listener = socket.socket(fileno=3)
listener.setblocking(False)
stopping = []
signal.signal(signal.SIGTERM, lambda *_: stopping.append(1))
while not stopping:
    if not select.select([listener], [], [], 0.01)[0]: continue
    try: client, _ = listener.accept()
    except BlockingIOError: continue
    client.setblocking(True)
    client.recv(65536)
    client.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok")
    client.close()
time.sleep(3)
"#;

#[test]
#[ignore = "runs in the box"]
fn an_old_process_that_no_longer_accepts_and_takes_long_to_end_is_a_slow_stop() {
    let service = "[Service]\nExecStart=/usr/bin/python3 {folder}/books.py\n";
    let socket = "[Socket]\nListenStream=127.0.0.1:{port}\n";
    let files = [("gapless-books.service", service), ("gapless-books.socket", socket), ("books.py", CLOSING_ITS_BOOKS)];
    let rest = format!(
        "service = \"gapless-books.service\"\nsocket = \"gapless-books.socket\"\n{NEW_ONLY}rate = 50\n[[steps]]\n\
         restart = \"service\"\n[expect]\ndropped = \"> 0\"\n"
    );
    let (scenario, _) = Bench::new(&files, "timeout = \"1s\"", &rest).run();
    assert_eq!(scenario.causes.keys().collect::<Vec<_>>(), [&Cause::SlowStop], "{:?}", scenario.evidence);
    assert!(scenario.evidence[0].sentence.contains("the drain took 3."), "{}", scenario.evidence[0].sentence);
}

#[test]
#[ignore = "runs in the box"]
fn the_limit_that_really_bounds_is_named_and_what_systemd_forks_is_no_holder() {
    let one = "import sys, time\nsys.stdin.readline()\ntime.sleep(0.5)\n\
               sys.stdout.write('HTTP/1.0 200 OK\\r\\nContent-Length: 2\\r\\n\\r\\nok'); sys.stdout.flush()\n";
    let socket = "[Socket]\nListenStream=127.0.0.1:{port}\nAccept=yes\nMaxConnectionsPerSource=4\n";
    let service = "[Service]\nExecStart=-/usr/bin/python3 {folder}/one.py\nStandardInput=socket\n";
    let files = [("gapless-echo.socket", socket), ("gapless-echo@.service", service), ("one.py", one)];
    let rest = format!(
        "socket = \"gapless-echo.socket\"\n{NEW_ONLY}rate = 20\n[run]\nwarmup = \"0s\"\n[[steps]]\nwait = \"3s\"\n\
         [expect]\ndropped = \"> 0\"\n"
    );
    let bench = Bench::new(&files, "", &rest);
    let (scenario, _) = bench.run();
    assert_eq!(scenario.causes.keys().collect::<Vec<_>>(), [&Cause::AcceptedUnread], "{:?}", scenario.evidence);
    let evidence = &scenario.evidence[0];
    assert!(evidence.sentence.contains("MaxConnectionsPerSource=4"), "{}", evidence.sentence);
    assert!(evidence.remedy.as_ref().is_some_and(|remedy| remedy.contains("MaxConnectionsPerSource=")));
    let notes: Vec<_> = scenario.notes.iter().filter(|note| note.message.contains("which listened on")).collect();
    assert!(notes.iter().all(|note| !note.message.contains("(sd-")), "{notes:?}");
}

#[test]
#[ignore = "runs in the box"]
fn a_socket_that_goes_with_its_service_is_found_by_its_losses_and_the_advice_fits() {
    let service = "[Unit]\nRequires=gapless-forge.socket\nAfter=gapless-forge.socket\n\
                   [Service]\nType=notify\nExecStart={serve} --start-delay 500ms\n";
    let socket = |part_of| format!("[Unit]\n{part_of}\n[Socket]\nListenStream=127.0.0.1:{{port}}\n");
    let rest = format!(
        "service = \"gapless-forge.service\"\nsocket = \"gapless-forge.socket\"\n{NEW_ONLY}rate = 300\n[[steps]]\n\
         restart = \"service\"\ntimes = 2\nevery = \"3s\"\n"
    );
    let with = |part_of| {
        let socket = socket(part_of);
        let files = [("gapless-forge.service", service), ("gapless-forge.socket", socket.as_str())];
        Bench::new(&files, "", &rest).run().0
    };
    let lost = with("PartOf=gapless-forge.service");
    assert_eq!(lost.verdict, Verdict::Failed);
    assert!(lost.causes.contains_key(&Cause::SocketUnitDown), "{:?}", lost.causes);
    for evidence in &lost.evidence {
        let told = evidence.remedy.clone().unwrap_or_else(|| evidence.cause.remedy().to_owned());
        assert!(!told.contains("Let a socket unit hold"), "{}: {told}", evidence.cause);
    }
    let held = with("");
    assert_eq!((held.verdict, held.dropped), (Verdict::Passed, 0), "what the advice says: {:?}", held.reasons);
}

#[test]
#[ignore = "runs in the box"]
fn a_service_that_listens_beside_its_socket_takes_nothing_from_it() {
    let server =
        "import http.server\nhttp.server.test(http.server.SimpleHTTPRequestHandler, port=0, bind='127.0.0.1')\n";
    let service = "[Service]\nExecStart=/usr/bin/python3 {folder}/elsewhere.py\n";
    let socket = "[Socket]\nListenStream=127.0.0.1:{port}\n";
    let files = [("gapless-apart.service", service), ("gapless-apart.socket", socket), ("elsewhere.py", server)];
    let rest = format!(
        "service = \"gapless-apart.service\"\nsocket = \"gapless-apart.socket\"\n{NEW_ONLY}rate = 20\n[run]\n\
         ready_timeout = \"4s\"\nwarmup = \"0s\"\n[[steps]]\nrestart = \"service\"\n"
    );
    let (scenario, _) = Bench::new(&files, "timeout = \"1s\"", &rest).run();
    assert_eq!(scenario.verdict, Verdict::Failed);
    assert_eq!(scenario.causes.keys().collect::<Vec<_>>(), [&Cause::NotAccepted], "{:?}", scenario.evidence);
    assert!(scenario.evidence[0].sentence.contains("it listens on 127.0.0.1:"), "{}", scenario.evidence[0].sentence);
}

#[test]
#[ignore = "runs in the box"]
fn a_forwarder_in_front_of_the_same_port_of_another_address_loses_nothing() {
    let backend = "[Service]\nType=exec\nExecStart={serve} --listen 127.0.0.2:{port}\n";
    let forward = "[Unit]\nRequires=gapless-forward.socket gapless-backend.service\n\
                   After=gapless-forward.socket gapless-backend.service\n\
                   [Service]\nType=exec\nExecStart=/lib/systemd/systemd-socket-proxyd 127.0.0.2:{port}\n";
    let socket = "[Socket]\nListenStream=127.0.0.1:{port}\n";
    let files = [
        ("gapless-forward.service", forward),
        ("gapless-forward.socket", socket),
        ("gapless-backend.service", backend),
    ];
    let rest = format!(
        "service = \"gapless-forward.service\"\nsocket = \"gapless-forward.socket\"\n{NEW_ONLY}rate = 20\n[[steps]]\n\
         restart = \"service\"\ntimes = 2\nevery = \"2s\"\n[expect]\noutcome.refused = 0\ndropped = \"<= 10\"\n"
    );
    let (verdict, reasons) = Bench::new(&files, "", &rest).came_to();
    assert_eq!(verdict, Verdict::Passed, "{reasons}");
}

/// Runs in PID namespaces of their own share one kernel and its trace, and have the same PIDs.
#[test]
#[ignore = "runs in the box"]
fn runs_in_different_pid_namespaces_do_not_take_each_others_trace() {
    let _turn = turn();
    let folder = tempfile::tempdir().expect("a folder");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound").to_string();
    drop(listener);
    let mut server = Command::new(GAPLESS).args(["demo-server", "--listen", &address]).spawn().expect("it is built");
    let watch = |out: &str, duration: &str| {
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "--mount-proc", GAPLESS, "watch"]).arg(format!("http://{address}/"));
        command.args(["--duration", duration, "--rate", "20", "--out", out]).current_dir(folder.path());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("unshare is there")
    };
    let mut long = watch("long", "6s");
    let rounds: Vec<String> = (0..6).map(|round| format!("short{round}")).collect();
    for pair in rounds.chunks(2) {
        let mut short: Vec<_> = pair.iter().map(|out| watch(out, "200ms")).collect();
        short.iter_mut().for_each(|run| assert!(run.wait().expect("it ends").code().is_some()));
    }
    assert!(long.wait().expect("it ends").code().is_some());
    server.kill().expect("ours");
    let _ = server.wait();
    for out in rounds.iter().map(String::as_str).chain(["long"]) {
        let record = std::fs::read_to_string(folder.path().join(out).join("records/watch.jsonl")).expect("recorded");
        let mut traced = BTreeMap::<&str, u32>::new();
        for event in ["began", "ended"] {
            let line = format!("\"event\":\"{event}\"");
            traced.insert(event, u32::try_from(record.matches(&line).count()).expect("few"));
        }
        assert_eq!(traced, BTreeMap::from([("began", 1), ("ended", 1)]), "{out}");
        assert!(!record.contains("the kernel's trace cannot be set up"), "{out}");
    }
}

/// A Rack application, and Puma, which takes the passed socket whose address is that of its own option.
const RACK: &str = "run lambda { |env| [200, {\"Content-Type\" => \"text/plain\"}, [\"hi #{Process.pid}\\n\"]] }\n";

/// Puma at `bound`, behind a socket at the port of the bench. Without connections that are kept: Puma 5.6 may go on answering
/// those after SIGTERM, taking no other, for as long as their clients ask.
fn puma_at(bound: &str, warmup: &str, rest: &str) -> Bench {
    let socket = "[Socket]\nListenStream=127.0.0.1:{port}\nBacklog=1024\n[Install]\nWantedBy=sockets.target\n";
    let service = format!(
        "[Unit]\nRequires=gapless-puma.socket\nStartLimitIntervalSec=0\n[Service]\nWorkingDirectory={{folder}}\n\
         ExecStart=/usr/bin/puma -b tcp://127.0.0.1:{bound} hello.ru\n"
    );
    let rest = format!(
        "service = \"gapless-puma.service\"\nsocket = \"gapless-puma.socket\"\n[run]\nready_timeout = \"6s\"\nwarmup = \"{warmup}\"\n\
         {NEW_ONLY}rate = 30\n{rest}"
    );
    Bench::new(&[("gapless-puma.socket", socket), ("gapless-puma.service", &service), ("hello.ru", RACK)], "", &rest)
}

/// The errors of `check` on its files.
fn errors_of_check(bench: &Bench) -> Vec<String> {
    let mut command = Command::new(GAPLESS);
    command.args(["check", "./gapless-puma.socket", "./gapless-puma.service", "--format", "json"]);
    let output = command.current_dir(bench.path()).output().expect("it is built");
    let document: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let findings = document["findings"].as_array().expect("a list").iter();
    let errors = findings.filter(|finding| finding["severity"] == "error");
    errors.map(|finding| finding["id"].as_str().expect("an id").to_owned()).collect()
}

#[test]
#[ignore = "runs in the box"]
fn puma_at_the_address_of_its_socket_takes_it_and_loses_nothing() {
    let bench =
        puma_at("{port}", "1s", "[[steps]]\nrestart = \"service\"\ntimes = 2\nevery = \"4s\"\n[expect]\ndropped = 0\n");
    assert_eq!(errors_of_check(&bench), [""; 0]);
    let (scenario, _) = bench.run();
    assert_eq!(not_as_said(&scenario), None);
}

#[test]
#[ignore = "runs in the box"]
fn puma_at_another_address_than_its_socket_takes_nothing_from_it_and_check_says_so_before() {
    let elsewhere = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = elsewhere.local_addr().expect("bound").port().to_string();
    drop(elsewhere);
    let bench = puma_at(&port, "0s", "[[steps]]\nrestart = \"service\"\n");
    assert_eq!(errors_of_check(&bench), ["GL040"]);
    let (scenario, _) = bench.run();
    assert_eq!(scenario.verdict, Verdict::Failed, "{:?}", scenario.reasons);
    // On a busy machine Ruby may take longer to start than a client waits.
    let is_told = |cause: &Cause| [Cause::NotAccepted, Cause::SlowStart].contains(cause);
    assert!(scenario.causes.keys().all(is_told), "{:?}", scenario.evidence);
    assert!(scenario.causes.contains_key(&Cause::NotAccepted), "{:?}", scenario.evidence);
}

const FPM: &str = "[global]\nerror_log = {folder}/fpm.log\ndaemonize = no\n[shop]\nuser = root\ngroup = root\n\
    listen = {folder}/shop.sock\npm = static\npm.max_children = 8\n";

/// In front of PHP: it writes down each answer that it could not get.
const FPM_FRONT: &str =
    "user root; daemon off; pid {folder}/nginx.pid; error_log {folder}/front.log error; worker_processes 1;
events { worker_connections 1024; }
http { access_log off;
  server { listen 127.0.0.1:{port}; root {folder};
    location / { include /etc/nginx/fastcgi_params; fastcgi_param SCRIPT_FILENAME {folder}/index.php;
      fastcgi_pass unix:{folder}/shop.sock; } } }
";

#[test]
#[ignore = "runs in the box"]
fn what_a_reload_of_php_fpm_cuts_off_is_the_proxys_answer_for_its_server_as_often_as_the_proxy_wrote_down() {
    let fpm = std::fs::read_dir("/usr/sbin").expect("it is there").flatten().map(|entry| entry.path());
    let fpm = fpm.filter(|path| path.display().to_string().starts_with("/usr/sbin/php-fpm")).max();
    let service = format!(
        "[Service]\nType=notify\nExecStart={} --allow-to-run-as-root --nodaemonize --fpm-config {{folder}}/fpm.conf\n\
         ExecReload=/bin/kill -USR2 $MAINPID\n",
        fpm.expect("PHP is installed").display()
    );
    let front = "[Unit]\nAfter=gapless-fpm.service\n[Service]\nExecStart=/usr/sbin/nginx -c {folder}/nginx.conf\n";
    let files = [
        ("gapless-fpm.service", service.as_str()),
        ("gapless-fpm-front.service", front),
        ("fpm.conf", FPM),
        ("nginx.conf", FPM_FRONT),
        ("index.php", "<?php usleep(100000); echo \"ok\\n\";"),
    ];
    let rest = "service = \"gapless-fpm.service\"\n[[load]]\nname = \"users\"\nrate = 40\nconnections = 16\n\
                [[steps]]\nreload = \"service\"\ntimes = 3\nevery = \"3s\"\n[expect]\nfailed = 0\n";
    let bench = Bench::new(&files, "front = true", rest);
    let (scenario, _) = bench.run();
    let log = std::fs::read_to_string(bench.path().join("front.log")).expect("nginx wrote it");
    let cut_off = log.lines().filter(|line| line.contains("while reading response header from upstream")).count();
    assert!(cut_off > 0, "{log}");
    assert_eq!(scenario.causes, [(Cause::ProxyUpstream, cut_off as u64)].into(), "{:?}", scenario.evidence);
    assert_eq!(scenario.dropped, 0);
    assert!(!scenario.reasons.iter().any(|reason| reason.contains("clean")), "{:?}", scenario.reasons);
}

/// A server that upgrades itself at SIGHUP: the new process gets the listener, and the old one ends its requests. Each
/// process writes its PID down.
const FLIP: &str = r#"
package main

import (
    "context"
    "fmt"
    "net/http"
    "os"
    "os/signal"
    "syscall"

    "github.com/cloudflare/tableflip"
)

func main() {
    upgrader, err := tableflip.New(tableflip.Options{PIDFile: os.Args[1]})
    if err != nil {
        panic(err)
    }
    go func() {
        signals := make(chan os.Signal, 1)
        signal.Notify(signals, syscall.SIGHUP)
        for range signals {
            upgrader.Upgrade()
        }
    }()
    listener, err := upgrader.Fds.Listen("tcp", os.Args[2])
    if err != nil {
        panic(err)
    }
    answer := func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, os.Getpid()) }
    server := &http.Server{Handler: http.HandlerFunc(answer)}
    go server.Serve(listener)
    pids, err := os.OpenFile(os.Args[3], os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
    if err != nil {
        panic(err)
    }
    fmt.Fprintln(pids, os.Getpid())
    if err := upgrader.Ready(); err != nil {
        panic(err)
    }
    <-upgrader.Exit()
    server.Shutdown(context.Background())
}
"#;

#[test]
#[ignore = "runs in the box"]
fn a_reload_by_which_a_service_replaces_its_own_process_is_proven_by_what_happened() {
    let service = "[Service]\nExecStart={folder}/flip {folder}/flip.pid 127.0.0.1:{port} {folder}/pids\nPIDFile={folder}/flip.pid\n\
                   ExecReload=/bin/kill -HUP $MAINPID\n";
    let rest = "service = \"gapless-flip.service\"\n[[load]]\nname = \"new\"\nrate = 50\nreuse = false\n\
                [[steps]]\nreload = \"service\"\ntimes = 3\nevery = \"3s\"\n[expect]\ndropped = 0\n";
    let bench = Bench::new(&[("gapless-flip.service", service), ("main.go", FLIP)], "", rest);
    let mut go = Command::new("go");
    go.args(["build", "-o", "flip", "main.go"]).current_dir(bench.path());
    go.env("GO111MODULE", "off").env("GOPATH", "/usr/share/gocode").env("GOCACHE", bench.path().join("cache"));
    assert!(go.status().expect("Go is installed").success());
    let (scenario, _) = bench.run();
    assert_eq!(not_as_said(&scenario), None);
    assert!(scenario.events.iter().all(|event| event.proven == Some(true)), "{:?}", scenario.events);
    // The last is that of the third reload's process.
    let pids = std::fs::read_to_string(bench.path().join("pids")).expect("each process wrote there");
    let pids: Vec<u32> = pids.lines().map(|pid| pid.parse().expect("a number")).collect();
    let before: Vec<Option<u32>> = scenario.events.iter().map(|event| event.main_pid_before).collect();
    assert_eq!(before, pids[..3].iter().copied().map(Some).collect::<Vec<_>>(), "{:?}", scenario.events);
    assert_eq!(pids.len(), 4);
    assert!(scenario.events.iter().all(|event| event.listener_inode_changed == Some(false)));
}
