//! gRPC against grpcio, of which nothing is ours: the calls that it counts are those that are counted.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{GAPLESS, result_in};

#[test]
#[ignore = "runs in the box"]
fn the_calls_that_grpcio_counts_are_those_that_are_counted() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/http2");
    let place = tempfile::tempdir().expect("a folder");
    let count = place.path().join("count");
    let mut server = Command::new(folder.join("venv/bin/python"))
        .arg(folder.join("grpc_server.py"))
        .args(["--listen", "127.0.0.1:0", "--count"])
        .arg(&count)
        .stdout(Stdio::piped())
        .spawn()
        .expect("gapless run --prepare-only scenarios/http2 has made the venv");
    let mut port = String::new();
    BufReader::new(server.stdout.take().expect("it is piped")).read_line(&mut port).expect("it tells its port");
    let out = place.path().join("out");
    let watched = Command::new(GAPLESS)
        .args(["watch", &format!("http://127.0.0.1:{}", port.trim()), "--protocol", "grpc"])
        .args(["--duration", "2s", "--clients", "8", "--out"])
        .arg(&out)
        .output()
        .expect("gapless runs");
    let pid = Pid::from_child(&server);
    kill_process(pid, Signal::TERM).expect("it is ours");
    assert!(server.wait().expect("it is ours").success());
    let counted: u64 = fs::read_to_string(&count).expect("it writes its count").parse().expect("a number");
    let scenario = &result_in(&out).scenarios[0];
    assert!(counted > 100, "{}", String::from_utf8_lossy(&watched.stderr));
    assert_eq!((scenario.requests.ok, scenario.requests.failed), (counted, 0));
    assert_eq!(scenario.grpc_statuses.values().sum::<u64>(), counted);
}
