//! The server as a process: signals, sockets and notifications of a service manager.

use std::io::Read as _;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use command_fds::{CommandFdExt as _, FdMapping};
use gapless::demo::server::{Counts, FaultKind};
use gapless::model::Endpoint;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::demo_server::client::{Client, End};
use crate::support::GAPLESS;

/// A server process, and the socket that it notifies.
struct Process {
    child: Child,
    notifications: UnixDatagram,
    /// Of the notification socket.
    _folder: TempDir,
}

impl Process {
    fn start(arguments: &[&str]) -> Self {
        Self::start_with(arguments, Vec::new(), "")
    }

    /// Passes `sockets` as a service manager does, with `names` apart by colons.
    fn start_with(arguments: &[&str], sockets: Vec<OwnedFd>, names: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let notify_path = folder.path().join("notify.sock");
        let notifications = UnixDatagram::bind(&notify_path).unwrap();
        notifications.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut command = Command::new(GAPLESS);
        command
            .arg("demo-server")
            .args(arguments)
            .env("NOTIFY_SOCKET", &notify_path)
            .env_remove("LISTEN_PID")
            .env("LISTEN_FDS", sockets.len().to_string())
            .env("LISTEN_FDNAMES", names)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mappings = sockets.into_iter().zip(3..).map(|(parent_fd, child_fd)| FdMapping { parent_fd, child_fd });
        command.fd_mappings(mappings.collect()).unwrap();
        let child = command.spawn().unwrap();
        Self { child, notifications, _folder: folder }
    }

    fn notification(&self) -> String {
        let mut buffer = [0; 4096];
        let length = self.notifications.recv(&mut buffer).expect("a notification");
        String::from_utf8(buffer[..length].to_vec()).unwrap()
    }

    /// Waits for READY=1; the addresses and names of its status.
    fn ready(&self) -> Vec<(String, String)> {
        let notification = self.notification();
        let status = notification.strip_prefix("READY=1\nSTATUS=listening on ").expect(&notification).trim_end();
        let sockets = status.split(", ").map(|socket| socket.split_once(' ').unwrap());
        sockets.map(|(address, name)| (address.to_owned(), name.trim_matches(['(', ')']).to_owned())).collect()
    }

    /// Waits for READY=1; the TCP address it listens on.
    fn ready_tcp(&self) -> Endpoint {
        Endpoint::Tcp(self.ready()[0].0.parse().unwrap())
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn wait(&mut self) -> ExitStatus {
        self.child.wait().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only if it has ended, which is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const EPHEMERAL: [&str; 2] = ["--listen", "127.0.0.1:0"];

#[test]
fn it_says_when_it_is_ready_and_when_it_stops_and_exits_0() {
    let mut process = Process::start(&EPHEMERAL);
    let endpoint = process.ready_tcp();
    assert_eq!(Client::connect(&endpoint).unwrap().get("/pid").1, format!("{}\n", process.child.id()));
    process.signal(Signal::TERM);
    assert_eq!(process.notification().trim_end(), "STOPPING=1");
    assert!(process.wait().success());
}

#[test]
fn a_server_that_is_never_ready_serves_and_says_nothing_before_it_stops() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("server.sock");
    let listen = format!("unix:{}", path.display());
    let mut process = Process::start(&["--listen", &listen, "--never-ready"]);
    let endpoint = Endpoint::Unix(path);
    let mut client = loop {
        match Client::connect(&endpoint) {
            Ok(client) => break client,
            Err(_) => std::thread::yield_now(),
        }
    };
    assert_eq!(client.get("/").0, 200);
    process.signal(Signal::TERM);
    assert_eq!(process.notification().trim_end(), "STOPPING=1");
    assert!(process.wait().success());
}

#[test]
fn a_reload_is_told_with_its_time_and_keeps_the_process() {
    let process = Process::start(&EPHEMERAL);
    let endpoint = process.ready_tcp();
    process.signal(Signal::HUP);
    let reloading = process.notification();
    let (state, time) = reloading.trim_end().split_once('\n').unwrap();
    assert_eq!(state, "RELOADING=1");
    assert!(time.strip_prefix("MONOTONIC_USEC=").unwrap().parse::<u64>().is_ok(), "{time}");
    assert_eq!(process.notification().trim_end(), "READY=1");
    assert_eq!(Client::connect(&endpoint).unwrap().get("/pid").1, format!("{}\n", process.child.id()));
}

#[test]
fn sockets_of_a_manager_are_served_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("passed.sock");
    let (tcp, unix) = (TcpListener::bind("[::1]:0").unwrap(), UnixListener::bind(&path).unwrap());
    let address = tcp.local_addr().unwrap();
    let process = Process::start_with(&[], vec![tcp.into(), unix.into()], "web:api");
    let named = |address: String, name: &str| (address, name.to_owned());
    assert_eq!(process.ready(), [named(address.to_string(), "web"), named(path.display().to_string(), "api")]);
    assert_eq!(Client::connect(&Endpoint::Tcp(address)).unwrap().get("/socket").1, "web\n");
    assert_eq!(Client::connect(&Endpoint::Unix(path)).unwrap().get("/socket").1, "api\n");
}

#[test]
fn what_waits_in_a_held_socket_is_served_by_the_next_process() {
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = Endpoint::Tcp(held.local_addr().unwrap());
    let mut first = Process::start_with(&[], vec![held.try_clone().unwrap().into()], "web");
    first.ready();
    assert_eq!(Client::connect(&endpoint).unwrap().get("/").0, 200);
    first.signal(Signal::TERM);
    assert!(first.wait().success());

    let mut waiting = Client::connect(&endpoint).unwrap();
    waiting.send_get("/pid");
    let second = Process::start_with(&[], vec![held.into()], "web");
    let answer = waiting.receive();
    assert_eq!(answer.class(Some(&format!("{}\n", second.child.id()))), None);
}

#[test]
fn a_connection_that_a_manager_accepted_is_served_to_its_end() {
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let mut process = Process::start_with(&[], vec![theirs.into()], "connection");
    std::io::Write::write_all(&mut ours, b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    ours.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("\r\n\r\nok\n"), "{answer}");
    assert!(process.wait().success());
}

#[test]
fn a_descriptor_that_is_no_socket_is_refused() {
    let file = tempfile::tempfile().unwrap();
    assert!(!Process::start_with(&[], vec![file.into()], "file").wait().success());
}

#[test]
fn an_abrupt_stop_drops_what_is_in_flight_and_exits_0() {
    let mut process = Process::start(&["--listen", "127.0.0.1:0", "--stop", "abrupt"]);
    let endpoint = process.ready_tcp();
    let mut client = Client::connect(&endpoint).unwrap();
    client.send_get("/slow?ms=60000");
    while counts(&endpoint).requests == 0 {
        std::thread::yield_now();
    }
    process.signal(Signal::TERM);
    assert!(process.wait().success());
    assert_eq!(client.receive().end, End::Fin);
}

#[test]
fn a_server_that_ignores_sigterm_goes_on() {
    let process = Process::start(&["--listen", "127.0.0.1:0", "--stop", "ignore"]);
    let endpoint = process.ready_tcp();
    process.signal(Signal::TERM);
    // Two signals may be seen in any order; the SIGTERM was seen before a reload that was asked for after another.
    for _ in 0..2 {
        process.signal(Signal::HUP);
        assert!(process.notification().starts_with("RELOADING=1"));
        assert!(process.notification().starts_with("READY=1"));
    }
    assert_eq!(Client::connect(&endpoint).unwrap().get("/").0, 200);
}

#[test]
fn a_stop_during_the_start_delay_ends_it_unready() {
    let mut process = Process::start(&["--listen", "127.0.0.1:0", "--start-delay", "60s"]);
    // Signals are handled from the moment the kernel shows a handler for SIGTERM.
    while !catches_sigterm(process.child.id()) {
        std::thread::yield_now();
    }
    process.signal(Signal::TERM);
    assert!(process.wait().success());
    process.notifications.set_nonblocking(true).unwrap();
    assert!(process.notifications.recv(&mut [0; 16]).is_err());
}

#[test]
fn a_crash_is_no_success_and_leaves_its_counts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("counts.json");
    let file = path.to_str().unwrap();
    let mut process =
        Process::start(&["--listen", "127.0.0.1:0", "--crash-after", "1ms", "--stop", "ignore", "--counts", file]);
    assert!(!process.wait().success());
    assert_eq!(read_counts(&path), Counts::default());
}

#[test]
fn what_was_counted_is_written_at_the_stop() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("counts.json");
    let file = path.to_str().unwrap();
    let faulty = ["--listen", "127.0.0.1:0", "--fault", "stall@first=1", "--drain", "1ms", "--counts", file];
    let mut process = Process::start(&faulty);
    let endpoint = process.ready_tcp();
    let mut client = Client::connect(&endpoint).unwrap();
    client.send_get("/");
    while counts(&endpoint).requests == 0 {
        std::thread::yield_now();
    }
    process.signal(Signal::TERM);
    assert!(process.wait().success());
    let counts = read_counts(&path);
    assert_eq!((counts.connections, counts.requests, counts.answered), (1, 1, 0));
    assert_eq!(counts.injected, [(FaultKind::Stall, 1)].into());
}

#[test]
fn counts_that_cannot_be_written_are_no_success() {
    let mut process = Process::start(&["--listen", "127.0.0.1:0", "--counts", "/dev/null/nowhere"]);
    process.ready();
    process.signal(Signal::TERM);
    assert!(!process.wait().success());
}

fn counts(endpoint: &Endpoint) -> Counts {
    serde_json::from_str(&Client::connect(endpoint).unwrap().get("/-/counts").1).unwrap()
}

fn read_counts(path: &Path) -> Counts {
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Whether SigCgt of proc_pid_status(5) has SIGTERM in it.
fn catches_sigterm(pid: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap().trim();
    u64::from_str_radix(caught, 16).unwrap() & (1 << 14) != 0
}
