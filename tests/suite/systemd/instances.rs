//! Two releases of a service that differ in a header, on systemd: what each counted of its answers is what is told.

use std::collections::BTreeMap;

use gapless::analysis::result::ScenarioResult;
use gapless::model::Verdict;

use super::bench::Bench;

/// Each start is the next release, `v1`, `v2`, ...: it answers with its name in a header, and at SIGTERM, once all
/// that it had accepted is answered, says how many answers it gave. Takes the passed socket, or listens on its own.
///
/// With `left-over`, a child stays when the main process ends: it waits until the next release has given a hundred
/// answers, gives five itself, and goes.
const RELEASE: &str = r#"
import os, select, signal, socket, sys, time
folder, how = sys.argv[1], sys.argv[2]
starts = len([name for name in os.listdir(folder) if name.startswith("start-")]) + 1
release = "v%d" % starts
open(folder + "/start-" + release, "w").close()
if os.environ.get("LISTEN_FDS"):
    listener = socket.socket(fileno=3)
else:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", int(sys.argv[3])))
    listener.listen(512)
listener.setblocking(False)
stopping, answers, clients = [], 0, []
signal.signal(signal.SIGTERM, lambda *_: stopping.append(1))
BODY = ("HTTP/1.1 200 OK\r\nX-Release: %s\r\nContent-Length: 2\r\n%s\r\nok" )
def answer(client):
    """One request; false if the connection is to be closed."""
    global answers
    try: data = client.recv(65536)
    except OSError: return False
    if not data: return False
    closes = "Connection: close\r\n" if stopping else ""
    client.sendall((BODY % (release, closes)).encode())
    answers += 1
    if answers == 100: open(folder + "/hundred-" + release, "w").close()
    return not stopping
def accept():
    try: client, _ = listener.accept()
    except BlockingIOError: return None
    client.setblocking(True)
    return client
def serve(until):
    while not until():
        for ready in select.select([listener] + clients, [], [], 0.01)[0]:
            if ready is listener:
                client = accept()
                if client: clients.append(client)
            elif not answer(ready):
                clients.remove(ready); ready.close()
def say():
    with open(folder + "/counted-" + release, "w") as counted: counted.write("%d" % answers)
serve(lambda: stopping)
if how == "left-over" and release == "v1" and os.fork() == 0:
    for client in clients: client.close()
    while not os.path.exists(folder + "/hundred-v2"): time.sleep(0.01)
    left = 0
    while left < 5:
        select.select([listener], [], [], 1)
        client = accept()
        if client:
            left += answer(client) or 1
            client.close()
    say()
    os._exit(0)
if not (how == "left-over" and release == "v1"):
    # What was accepted is answered, and told to go; what waits in the queue is for the next release.
    end = time.time() + 1
    while clients and time.time() < end:
        for ready in select.select(clients, [], [], 0.01)[0]:
            answer(ready)
            clients.remove(ready); ready.close()
    say()
"#;

const INSTANCE: &str = "instance = \"header:X-Release\"\n";

const SOCKET: &str = "[Socket]\nListenStream=127.0.0.1:{port}\nBacklog=1024\n";

/// What each release wrote of its answers, by its name.
fn counted(bench: &Bench) -> BTreeMap<String, u64> {
    let files = std::fs::read_dir(bench.path()).expect("it is ours");
    let counts = files.filter_map(|file| {
        let file = file.expect("readable");
        let name = file.file_name().to_string_lossy().strip_prefix("counted-")?.to_owned();
        let count = std::fs::read_to_string(file.path()).expect("text");
        Some((name, count.parse().expect("a number")))
    });
    counts.collect()
}

fn told(result: &ScenarioResult) -> BTreeMap<String, u64> {
    result.instances.iter().map(|instance| (instance.name.clone(), instance.answers + instance.warmup)).collect()
}

#[test]
#[ignore = "runs in the box"]
fn each_release_behind_a_socket_unit_gave_the_answers_that_are_told_of_it_and_none_is_stale() {
    let service = "[Service]\nExecStart=/usr/bin/python3 {folder}/release.py {folder} plain\n";
    let files = [("gapless-rel.service", service), ("gapless-rel.socket", SOCKET), ("release.py", RELEASE)];
    let rest = "service = \"gapless-rel.service\"\nsocket = \"gapless-rel.socket\"\n[[load]]\nname = \"new\"\nrate = 200\n\
                reuse = false\n[[steps]]\nrestart = \"service\"\ntimes = 2\nevery = \"1s\"\n[expect]\nstale = 0\n";
    let bench = Bench::new(&files, INSTANCE, rest);
    let (result, _) = bench.run();
    assert_eq!(told(&result), counted(&bench), "{:?}", result.reasons);
    assert_eq!(result.instances.iter().map(|instance| instance.name.as_str()).collect::<Vec<_>>(), ["v1", "v2", "v3"]);
    assert_eq!((result.stale, result.dropped), (Some(0), 0), "{:?}", result.reasons);
    let [first, second] = &result.events[..] else { panic!("{:?}", result.events) };
    assert_eq!((first.stale, second.stale), (Some(0), Some(0)));
    assert!(first.instances.contains_key("v2") && !first.instances.contains_key("v3"), "{:?}", first.instances);
    assert!(second.instances.contains_key("v3") && !second.instances.contains_key("v1"), "{:?}", second.instances);
}

#[test]
#[ignore = "runs in the box"]
fn what_a_worker_that_was_left_over_answers_after_the_restart_is_stale_and_fails_the_run() {
    let service = "[Service]\nExecStart=/usr/bin/python3 {folder}/release.py {folder} left-over\nKillMode=process\n";
    let files = [("gapless-left.service", service), ("gapless-left.socket", SOCKET), ("release.py", RELEASE)];
    let rest = "service = \"gapless-left.service\"\nsocket = \"gapless-left.socket\"\n[[load]]\nname = \"new\"\nrate = 200\n\
                reuse = false\n[run]\ncooldown = \"4s\"\n[[steps]]\nrestart = \"service\"\n[expect]\nstale = 0\n\
                dropped = \">= 0\"\n";
    let bench = Bench::new(&files, INSTANCE, rest);
    let (result, _) = bench.run();
    assert_eq!(told(&result), counted(&bench), "{:?}", result.reasons);
    assert_eq!((result.stale, result.events[0].stale), (Some(5), Some(5)), "{:?}", result.instances);
    let left = result.instances.iter().find(|instance| instance.name == "v1").expect("it answered");
    assert_eq!(left.stale, 5);
    assert_eq!(result.verdict, Verdict::Failed);
    assert!(result.reasons.join(" ").contains("5 answers were stale (5 of v1)"), "{:?}", result.reasons);
}

/// Two releases on ports of their own; nginx in front of whichever `upstream.conf` names.
const NGINX: &str = r"
user root; daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log; worker_processes 1;
events { worker_connections 512; }
http {
    access_log off;
    client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
    uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
    include {folder}/upstream.conf;
    server { listen 127.0.0.1:{port}; location / { proxy_pass http://release; } }
}
";

/// Points nginx at the other release, and is done when the workers of before are gone.
const FLIP: &str = r#"
set -e
echo "upstream release { server unix:{folder}/v2.sock; }" > {folder}/upstream.conf
master=$(cat {folder}/nginx.pid)
old=$(pgrep -P "$master")
kill -HUP "$master"
while kill -0 "$old" 2>/dev/null; do sleep 0.01; done
"#;

/// Answers every request on a Unix socket with its release in a header, counted as it goes.
const BACKEND: &str = r#"
import os, signal, socket, sys
folder, release = sys.argv[1], sys.argv[2]
listener = socket.socket(socket.AF_UNIX)
listener.bind(folder + "/" + release + ".sock"); listener.listen(512)
answers = 0
def say(*_):
    with open(folder + "/counted-" + release, "w") as counted: counted.write("%d" % answers)
    os._exit(0)
signal.signal(signal.SIGTERM, say)
while True:
    client, _ = listener.accept()
    if client.recv(65536):
        answers += 1
        client.sendall(b"HTTP/1.0 200 OK\r\nX-Release: " + release.encode() + b"\r\nContent-Length: 2\r\n\r\nok")
    client.close()
"#;

#[test]
#[ignore = "runs in the box"]
fn a_flip_of_nginx_from_one_release_to_the_next_is_told_by_what_the_releases_counted() {
    let backend = |release: &str| {
        format!(
            "[Unit]\nPartOf=gapless-flip.service\n[Service]\nExecStart=/usr/bin/python3 {{folder}}/backend.py {{folder}} {release}\n"
        )
    };
    let (old, new) = (backend("v1"), backend("v2"));
    let nginx = "[Unit]\nRequires=gapless-v1.service gapless-v2.service\nAfter=gapless-v1.service gapless-v2.service\n\
                 [Service]\nUser=root\nExecStart=/usr/sbin/nginx -c {folder}/nginx.conf -e {folder}/error.log\n";
    let files = [
        ("gapless-v1.service", old.as_str()),
        ("gapless-v2.service", new.as_str()),
        ("gapless-flip.service", nginx),
        ("nginx.conf", NGINX),
        ("upstream.conf", "upstream release { server unix:{folder}/v1.sock; }"),
        ("backend.py", BACKEND),
        ("flip.sh", FLIP),
    ];
    let rest = "service = \"gapless-flip.service\"\n[[steps]]\nexec = [\"sh\", \"{folder}/flip.sh\"]\n[expect]\nstale = 0\n\
                dropped = \">= 0\"\n";
    let bench = Bench::new(&files, &format!("{INSTANCE}front = true\n"), rest);
    let (result, _) = bench.run();
    assert_eq!(told(&result), counted(&bench), "{:?}", result.reasons);
    assert_eq!((result.stale, result.events[0].stale), (Some(0), Some(0)), "{:?}", result.reasons);
    assert!(result.instances.iter().all(|instance| instance.answers > 0), "{:?}", result.instances);
}
