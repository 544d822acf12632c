//! `--requests` and `[[target.requests]]` from the file to the report. The truth is what the server was asked for.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;
use std::sync::{Arc, Mutex};

use gapless::model::Endpoint;

use crate::load::server::Server;
use crate::support::{GAPLESS, result_in, turn};

#[test]
fn what_each_path_lost_is_in_every_report_as_the_server_counted_it() {
    let _turn = turn();
    let asked = Arc::<Mutex<BTreeMap<String, u64>>>::default();
    let counts = Arc::clone(&asked);
    let server = Server::tcp_with(move |_, conn| {
        let text = conn.take_request()?;
        let asked_for = text.split(" HTTP/").next().unwrap_or_default().to_owned();
        let status = if asked_for.ends_with("/broken") { 500 } else { 200 };
        *counts.lock().expect("no test panicked").entry(asked_for).or_default() += 1;
        conn.write_all(format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n").as_bytes())?;
        Ok(true)
    });
    let Endpoint::Tcp(address) = &server.endpoint else { panic!("a TCP server") };
    let folder = tempfile::tempdir().expect("a folder");
    let targets = format!("# mix\n/fine\n/fine\nGET http://{address}/broken\nX-A: b\n\nPUT /put\n@body.json\n");
    fs::write(folder.path().join("targets.txt"), targets).expect("written");
    fs::write(folder.path().join("body.json"), "{}").expect("written");
    let mut command = Command::new(GAPLESS);
    command.current_dir(folder.path()).args(["watch", &format!("http://{address}/"), "--requests", "targets.txt"]);
    command.args(["--duration", "1s", "--out", "out"]);
    command.env_remove("GITHUB_STEP_SUMMARY").env_remove("GITHUB_ACTIONS").env_remove("GITHUB_OUTPUT");
    let output = command.output().expect("it is built");
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));

    let result = result_in(&folder.path().join("out")).scenarios.remove(0);
    let asked = asked.lock().expect("no test panicked").clone();
    let told = result.requests_by_path.iter().map(|path| (format!("{} {}", path.method, path.path), path.due));
    assert_eq!(told.collect::<BTreeMap<_, _>>(), asked);
    let wrong: Vec<(&str, u64)> = result.requests_by_path.iter().map(|path| (path.path.as_str(), path.wrong)).collect();
    assert_eq!(wrong, [("/fine", 0), ("/broken", asked["GET /broken"]), ("/put", 0)]);
    assert_eq!(result.wrong, asked["GET /broken"]);
    for name in ["report.md", "report.html"] {
        let text = fs::read_to_string(folder.path().join("out").join(name)).expect("it is there");
        assert!(text.contains("GET /broken"), "{text}");
    }
    assert!(String::from_utf8_lossy(&output.stdout).contains("GET /broken"));
}

#[test]
fn a_mistake_in_the_file_is_told_with_its_line_and_nothing_is_sent() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("targets.txt"), "/fine\nGET http://127.0.0.2:1/\n").expect("written");
    let mut command = Command::new(GAPLESS);
    command.current_dir(folder.path()).args(["watch", "http://127.0.0.1:1/", "--requests", "targets.txt"]);
    let output = command.args(["--duration", "1s"]).output().expect("it is built");
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("targets.txt:2: http://127.0.0.2:1/ is not the target, http://127.0.0.1:1/"), "{said}");
}
