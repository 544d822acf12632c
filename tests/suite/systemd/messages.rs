//! `init`, `try` and `check` of services that take messages at sockets of their own, found by what their processes hold.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use gapless::model::{Cause, FailureClass};
use gapless::record::line::Line;
use gapless::result::ScenarioResult;

use crate::support::{GAPLESS, lines_of, result_in};

/// Binds what its arguments say, answers each message with `ok`, and writes a line for each into the file `taken`.
const SERVER: &str = "
import os, socket, sys, threading
os.chdir(os.path.dirname(sys.argv[0]))
def bound(family, kind, address):
    one = socket.socket(family, kind)
    one.bind(address)
    return one
def take(name, message):
    with open('taken', 'a') as file:
        file.write(name + '\\n')
def serve(argument):
    kind, _, where = argument.partition('=')
    if kind == 'udp':
        host, port = where.rsplit(':', 1)
        one = bound(socket.AF_INET, socket.SOCK_DGRAM, (host, int(port)))
    elif kind == 'dgram':
        one = bound(socket.AF_UNIX, socket.SOCK_DGRAM, where.replace('@', '\\0'))
    elif kind == 'client':
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        one.connect(('127.0.0.1', int(where)))
    elif kind == 'seqpacket':
        one = bound(socket.AF_UNIX, socket.SOCK_SEQPACKET, where)
        one.listen(64)
    elif kind == 'fifo':
        os.mkfifo(where)
        one = os.open(where, os.O_RDWR)
    def run():
        while True:
            if kind == 'fifo':
                take(argument, os.read(one, 65536))
            elif kind == 'seqpacket':
                connection, _ = one.accept()
                with connection:
                    take(argument, connection.recv(65536))
                    connection.send(b'ok')
            else:
                message, client = one.recvfrom(65536)
                take(argument, message)
                one.sendto(b'ok', client)
    threading.Thread(target=run).start()
for argument in sys.argv[1:]:
    serve(argument)
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
    notify.sendto(b'READY=1', os.environ['NOTIFY_SOCKET'].replace('@', '\\0', 1))
";

/// A started service without a socket unit, and a folder of its own.
struct Own {
    unit: &'static str,
    folder: tempfile::TempDir,
}

impl Own {
    /// `{folder}` in the text is replaced.
    fn start(unit: &'static str, service: &str) -> Self {
        let own = Self { unit, folder: tempfile::tempdir().expect("a folder") };
        std::fs::write(own.path().join("server.py"), SERVER).expect("written");
        let text = format!("[Unit]\nStartLimitIntervalSec=0\n[Service]\n{service}\n");
        let text = text.replace("{folder}", &own.path().display().to_string());
        std::fs::write(own.installed(), text).expect("we are root");
        systemctl(&["daemon-reload"]);
        systemctl(&["start", unit]);
        own
    }

    fn serving(unit: &'static str, sockets: &str) -> Self {
        Self::start(unit, &format!("Type=notify\nExecStart=/usr/bin/python3 {{folder}}/server.py {sockets}"))
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    fn installed(&self) -> PathBuf {
        Path::new("/run/systemd/system").join(self.unit)
    }

    /// The messages that it has taken.
    fn taken(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.path().join("taken")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(GAPLESS);
        command.args(arguments).current_dir(self.path()).stdin(Stdio::null()).output().expect("it is built")
    }

    /// What `init` comes to with a body, in the folder of the service.
    fn init(&self, options: &[&str]) -> (Option<i32>, String) {
        let output = self.run(&[&["init", self.unit], options].concat());
        (output.status.code(), shown(&output))
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        let _ = Command::new("systemctl").args(["stop", self.unit]).status();
        let _ = std::fs::remove_file(self.installed());
        let _ = Command::new("systemctl").arg("daemon-reload").status();
    }
}

fn systemctl(arguments: &[&str]) {
    let status = Command::new("systemctl").args(arguments).status().expect("systemctl is there");
    assert!(status.success(), "systemctl {arguments:?}");
}

fn shown(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

const ANSWERED: [&str; 4] = ["--body", "x", "--expect-body", "^ok$"];

#[test]
#[ignore = "runs in the box"]
fn a_service_is_found_by_the_one_receiver_that_its_processes_hold_whatever_its_kind() {
    let unit = "gapless-own-receiver.service";
    for (socket, url, options) in [
        ("udp=127.0.0.1:17931", "udp://127.0.0.1:17931", &ANSWERED[..]),
        ("udp=0.0.0.0:17931", "udp://127.0.0.1:17931", &ANSWERED[..]),
        ("dgram={folder}/s", "unix-dgram:{folder}/s", &ANSWERED[..]),
        ("dgram=@gapless-own-receiver", "unix-dgram:@gapless-own-receiver", &ANSWERED[..]),
        ("seqpacket={folder}/s", "unix-seqpacket:{folder}/s", &ANSWERED[..]),
        ("fifo={folder}/f", "fifo:{folder}/f", &ANSWERED[..2]),
    ] {
        let own = Own::serving(unit, socket);
        let url = url.replace("{folder}", &own.path().display().to_string());
        let (code, said) = own.init(&[]);
        assert!(code == Some(2) && said.contains(&format!("{url}: it takes messages: pass --body")), "{said}");
        assert_eq!(own.taken(), [""; 0], "{socket}: no message is made up");
        let (code, said) = own.init(options);
        assert!(code == Some(0) && said.contains(&format!("url = \"{url}\"")), "{said}");
        let audit = shown(&own.run(&["check", unit, "--format", "json"]));
        assert!(audit.contains("GL067"), "{audit}");
    }
}

#[test]
#[ignore = "runs in the box"]
fn of_several_receivers_none_is_taken_and_each_is_named() {
    let own = Own::serving("gapless-own-several.service", "udp=127.0.0.1:17932 udp=127.0.0.1:17933 dgram={folder}/s");
    let (code, said) = own.init(&ANSWERED);
    assert_eq!(code, Some(2), "{said}");
    for url in ["udp://127.0.0.1:17932: ", "udp://127.0.0.1:17933: ", "unix-dgram:"] {
        assert!(said.contains(url), "{url}: {said}");
    }
    assert!(said.contains("pass --url to choose one of them"), "{said}");
    assert_eq!(own.taken(), [""; 0]);
    let (code, said) = own.init(&[&["--url", "udp://127.0.0.1:17933"], &ANSWERED[..]].concat());
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(own.taken(), ["udp=127.0.0.1:17933"]);
}

#[test]
#[ignore = "runs in the box"]
fn a_port_that_the_kernel_chose_is_named_and_taken_only_where_there_is_no_other() {
    let own = Own::serving("gapless-own-chosen.service", "udp=127.0.0.1:17934 udp=127.0.0.1:0");
    let (code, said) = own.init(&ANSWERED);
    assert!(code == Some(0) && said.contains("url = \"udp://127.0.0.1:17934\""), "{said}");
    assert!(said.contains("whose port the kernel may have chosen, as for a client"), "{said}");
    assert_eq!(own.taken(), ["udp=127.0.0.1:17934"]);
    drop(own);
    let own = Own::serving("gapless-own-chosen.service", "udp=127.0.0.1:0");
    let (code, said) = own.init(&ANSWERED);
    assert!(code == Some(0) && !said.contains("whose port the kernel may have chosen"), "{said}");
    assert_eq!(own.taken(), ["udp=127.0.0.1:0"]);
}

#[test]
#[ignore = "runs in the box"]
fn what_is_connected_or_somebody_elses_is_not_the_services() {
    let other = Own::serving("gapless-own-other.service", "udp=127.0.0.1:17935");
    let own = Own::serving("gapless-own-client.service", "client=17935");
    let (code, said) = own.init(&ANSWERED);
    assert!(code == Some(2) && said.contains("no process listens for gapless-own-client.service"), "{said}");
    assert_eq!(other.taken(), [""; 0]);
}

/// Waits until the kernel shows a socket at this UDP port (proc_pid_net(5)).
fn until_bound(port: u16) {
    let shown = format!(":{port:04X} ");
    while !std::fs::read_to_string("/proc/net/udp").is_ok_and(|sockets| sockets.contains(&shown)) {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

/// It cannot be passed a socket, and half a second passes between its stop and its start.
const DNSMASQ: &str = "ExecStartPre=/bin/sleep 0.5\n\
    ExecStart=/usr/sbin/dnsmasq --keep-in-foreground --conf-file=/dev/null --port=17936 --listen-address=127.0.0.1 \
    --bind-interfaces --no-resolv --no-hosts --user=root --pid-file= --address=/gapless.test/127.0.0.1 --log-queries \
    --log-facility={folder}/log";

/// A query for the A record of gapless.test (RFC 1035, section 4.1).
const QUERY: &[u8] = b"\x12\x34\x01\0\0\x01\0\0\0\0\0\0\x07gapless\x04test\0\0\x01\0\x01";

#[test]
#[ignore = "runs in the box"]
fn dnsmasq_is_tried_at_its_own_udp_port_and_counts_the_queries_that_were_not_lost() {
    let own = Own::start("gapless-own-dns.service", DNSMASQ);
    until_bound(17936);
    std::fs::File::create(own.path().join("query")).and_then(|mut file| file.write_all(QUERY)).expect("written");
    let mut arguments = vec!["try", own.unit, "--body-file", "query", "--expect-body", "gapless"];
    arguments.extend(["--times", "2", "--rate", "50", "--format", "json", "--out", "out"]);
    let tried = own.run(&arguments);
    assert_eq!(tried.status.code(), Some(1), "{}", shown(&tried));
    let result = result_in(&own.path().join("out"));
    let [scenario] = result.scenarios.as_slice() else { panic!("{result:?}") };
    let refused = scenario.outcomes.get(&FailureClass::Refused).copied().unwrap_or(0);
    assert!(refused > 0, "the kernel refuses what is sent to no socket: {:?}", scenario.outcomes);
    let log = std::fs::read_to_string(own.path().join("log")).expect("its log");
    let queries = log.lines().filter(|line| line.contains("query[A] gapless.test")).count() as u64;
    // One was asked before the load, and all of the warmup reached it.
    let before = 1 + scenario.requests.warmup;
    let (fewest, most) = (before + scenario.requests.ok, before + scenario.requests.due - refused);
    assert!((fewest..=most).contains(&queries), "{fewest} to {most}, not {queries}");
    assert!(shown(&tried).contains("udp://127.0.0.1:17936"), "{}", shown(&tried));
}

#[test]
#[ignore = "runs in the box"]
fn what_no_load_can_be_put_on_is_named_with_its_line() {
    for listen in
        ["ListenNetlink=kobject-uevent 1", "ListenMessageQueue=/gapless-own", "ListenSpecial=/proc/1/mountinfo"]
    {
        let own = Own::start("gapless-own-special.service", "ExecStart=/bin/sleep infinity");
        let socket = own.installed().with_extension("socket");
        std::fs::write(&socket, format!("[Socket]\n{listen}\n")).expect("we are root");
        systemctl(&["daemon-reload"]);
        systemctl(&["stop", own.unit]);
        systemctl(&["start", "gapless-own-special.socket"]);
        let named = format!("listens with {listen} (line 2), which gapless has no target for");
        let tried = own.run(&["try", own.unit, "--yes", "--times", "1"]);
        for (code, said) in [own.init(&[]), own.init(&ANSWERED), (tried.status.code(), shown(&tried))] {
            assert!(code == Some(2) && said.contains(&named), "{said}");
        }
        let audit = shown(&own.run(&["check", "gapless-own-special.socket"]));
        assert!(audit.contains("GL027") && audit.contains(&format!("Gapless cannot load {listen}")), "{audit}");
        systemctl(&["stop", "gapless-own-special.socket"]);
        std::fs::remove_file(socket).expect("ours");
    }
}

/// The folder of the library, in a place where it may be changed.
fn library() -> tempfile::TempDir {
    let place = tempfile::tempdir().expect("a folder");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/messages");
    let status = Command::new("cp").arg("-r").arg(folder).arg(place.path()).status().expect("cp is there");
    assert!(status.success());
    place
}

fn journalctl(arguments: &[&str]) -> String {
    let output = Command::new("journalctl").arg("--quiet").args(arguments).output().expect("it is there");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs a scenario whose receiver never answers: what the report says, the datagrams that the kernel dropped at its socket,
/// and those that the receiver says at its ends that it took.
fn sent_dropped_and_taken(place: &Path) -> (ScenarioResult, u64, u64) {
    let _ = std::fs::remove_dir_all(place.join("out"));
    let begin = journalctl(&["--lines=0", "--show-cursor"]);
    let cursor = begin.trim().strip_prefix("-- cursor: ").expect("a cursor");
    let mut run = Command::new(GAPLESS);
    run.args(["run", "--manager", "system", "messages/statsd.toml", "--out", "out"]).current_dir(place);
    let output = run.stdin(Stdio::null()).output().expect("it is built");
    assert!(matches!(output.status.code(), Some(0 | 3)), "{}", shown(&output));
    let mut result = result_in(&place.join("out"));
    let drops = lines_of(&place.join("out/records/messages-statsd.jsonl")).into_iter().filter_map(|line| match line {
        Line::Queue(queue) => queue.listeners.iter().filter_map(|listener| listener.drops).max(),
        _ => None,
    });
    journalctl(&["--sync"]);
    let after = format!("--after-cursor={cursor}");
    let journal = journalctl(&["--unit=messages-statsd.service", "--output=cat", &after]);
    let counts = journal.lines().filter_map(|line| line.strip_prefix("took ")?.split(' ').next()?.parse::<u64>().ok());
    (result.scenarios.swap_remove(0), drops.max().map_or(0, u64::from), counts.sum())
}

#[test]
#[ignore = "runs in the box"]
fn a_receiver_that_never_answers_took_what_was_sent_and_neither_refused_nor_dropped() {
    let place = library();
    let (scenario, dropped, taken) = sent_dropped_and_taken(place.path());
    assert_eq!((scenario.requests.ok, dropped), (0, 0), "nobody confirmed any");
    assert_eq!(scenario.outcomes, [(FailureClass::ResponseTimeout, taken)].into());

    let units = place.path().join("messages/units");
    let append = |name: &str, from: &str, to: &str| {
        let path = units.join(name);
        let text = std::fs::read_to_string(&path).expect("a unit");
        std::fs::write(path, text.replace(from, to)).expect("ours");
    };
    append("messages-statsd.socket", "[Socket]", "[Socket]\nReceiveBuffer=4K");
    append("messages-statsd.service", "--protocol none", "--protocol none --start-delay 1");
    let (scenario, dropped, taken) = sent_dropped_and_taken(place.path());
    assert!(dropped > 0, "the buffer was too small");
    assert_eq!(scenario.outcomes, [(FailureClass::ResponseTimeout, taken + dropped)].into());
    assert_eq!(scenario.causes.keys().collect::<Vec<_>>(), [&Cause::Ambiguous]);
}
