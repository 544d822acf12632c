//! What ends a probe, or the connection to it.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Command, Stdio};

use gapless::host::{Host, Remote};
use rustix::process::{Pid, Signal, kill_process};

use super::{Sleeper, is_running, on_one_thread, remote, saying};
use crate::support::GAPLESS;

fn kill(pid: u32) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a PID");
    kill_process(pid, Signal::KILL).expect("it is ours");
}

#[test]
fn a_lost_connection_is_an_error_to_all_who_wait_and_never_an_exit() {
    on_one_thread(async {
        let remote = remote().await;
        let sleeper = Sleeper::start();
        let id = remote.process(sleeper.pid()).await.unwrap().unwrap().id;
        let exit = remote.exit(id);
        assert_eq!(remote.lost(), None);
        kill(remote.child_id().expect("it runs"));
        let error = exit.await.unwrap_err().to_string();
        assert!(error.contains("the connection to the probe on box is lost"), "{error}");
        assert!(remote.process(sleeper.pid()).await.is_err());
        assert!(remote.lost().is_some());
        assert!(is_running(sleeper.pid()), "it was never gone");
    });
}

#[test]
fn a_probe_of_another_version_or_another_program_is_refused() {
    on_one_thread(async {
        let refused = async |script: &str| Remote::start("box", saying(script)).await.expect_err("refused").to_string();
        let other = refused(r#"echo '{"format":"gapless/probe/1","version":"9.9.9","more":1}'; cat"#).await;
        assert!(other.starts_with("gapless on box is 9.9.9 (gapless/probe/1), here it is 0.1.0"), "{other}");
        let other = refused(r#"echo '{"format":"gapless/probe/2","version":"0.1.0"}'; cat"#).await;
        assert!(other.contains("(gapless/probe/2)"), "{other}");
        let motd = refused("echo 'Welcome to Debian'; cat").await;
        assert!(motd.contains(r#"its first line is not that of a probe: "Welcome to Debian""#), "{motd}");
        let missing = refused("echo 'sh: 1: gapless: not found' >&2; exit 127").await;
        assert!(missing.contains("exit status: 127: sh: 1: gapless: not found; gapless 0.1.0 must be"), "{missing}");
        let silent = refused("exit 0").await;
        assert!(silent.contains("it ended with exit status: 0"), "{silent}");
        let absent = Remote::start("box", tokio::process::Command::new("/no/such/program")).await.unwrap_err();
        assert!(absent.to_string().contains("cannot run /no/such/program: No such file"), "{absent}");
    });
}

#[test]
fn a_probe_ends_when_its_input_ends_and_says_nothing_more() {
    let mut child = Command::new(GAPLESS).arg("probe").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let hello = lines.next().unwrap().unwrap();
    assert!(hello.contains(r#""format":"gapless/probe/1""#), "{hello}");
    let mut input = child.stdin.take().unwrap();
    writeln!(input, r#"{{"id":7,"ask":"clock"}}"#).unwrap();
    assert!(lines.next().unwrap().unwrap().starts_with(r#"{"answer":{"id":7,"#));
    // Its exit never comes.
    writeln!(input, r#"{{"id":8,"ask":{{"exit":{{"process":{{"pid":{},"start_ticks":1}}}}}}}}"#, std::process::id())
        .unwrap();
    drop(input);
    assert!(child.wait().unwrap().success());
}

#[test]
fn the_probe_of_a_gapless_that_was_killed_ends() {
    // The shell stands for ssh: it holds both ends and is killed.
    let script = format!("{GAPLESS} probe");
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("{script} & echo $! >&2; wait")]);
    let mut child = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(child.stderr.take().unwrap());
    let mut pid = String::new();
    said.read_line(&mut pid).unwrap();
    let pid: u32 = pid.trim().parse().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    // Its output closes when it has ended.
    child.stdout.take().unwrap().read_to_end(&mut Vec::new()).unwrap();
    // It closes its output a moment before it is gone.
    while is_running(pid) {
        std::thread::yield_now();
    }
}

#[test]
fn more_questions_than_may_wait_are_refused_here() {
    on_one_thread(async {
        let remote = remote().await;
        let sleeper = Sleeper::start();
        let id = remote.process(sleeper.pid()).await.unwrap().unwrap().id;
        let waiting: Vec<_> = (0..4_200).map(|_| remote.exit(id)).collect();
        let last = waiting.into_iter().next_back().unwrap().await;
        assert!(last.unwrap_err().to_string().contains("4000 questions wait"));
        assert!(remote.exchange().await.is_ok(), "and those that wait go on");
    });
}

#[test]
fn a_probe_that_is_dropped_is_gone() {
    let pid = on_one_thread(async { remote().await.child_id().expect("it runs") });
    while is_running(pid) {
        std::thread::yield_now();
    }
}
