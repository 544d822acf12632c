//! What neither side can be made to do by the other.

use std::io::Write as _;
use std::process::{Command, Stdio};

use gapless::host::{Host, Remote};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::{on_one_thread, saying};
use crate::support::GAPLESS;

/// The exit code and what it said on stderr.
fn fed(input: &[u8]) -> (Option<i32>, String) {
    let mut child = Command::new(GAPLESS)
        .arg("probe")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it is built");
    // It may end before it has read all.
    let _ = child.stdin.take().expect("it is piped").write_all(input);
    let output = child.wait_with_output().expect("it ends");
    (output.status.code(), String::from_utf8(output.stderr).expect("text"))
}

#[test]
fn a_line_that_is_no_request_is_one_error_line() {
    for (line, why) in [
        ("hello", "expected value"),
        ("{}", "missing field `id`"),
        (r#"{"id":1,"ask":"reboot"}"#, "unknown variant `reboot`"),
        (r#"{"id":1,"ask":"clock","more":2}"#, "unknown field `more`"),
        (r#"{"id":-1,"ask":"clock"}"#, "invalid value"),
        (r#"{"id":1,"ask":{"journal":{"scope":"system","units":["--root=/etc"]}}}"#, "line 1"),
        ("", "EOF"),
    ] {
        let (code, said) = fed(format!("{line}\n").as_bytes());
        assert_eq!((code, said.lines().count()), (Some(4), 1), "{line}: {said}");
        assert!(said.starts_with("error: line 1 of the input is not a request of gapless/probe/1: "), "{said}");
        assert!(said.contains(why), "{line}: {said}");
    }
    let (code, said) = fed(&vec![b'x'; 100_000]);
    assert_eq!(code, Some(4));
    assert!(said.contains("it has more than 64 KiB"), "{said}");
    let twice = r#"{"id":1,"ask":{"exit":{"process":{"pid":1,"start_ticks":SELF}}}}"#;
    let start = gapless::host::process::identify(1).unwrap().start_ticks.to_string();
    let twice = twice.replace("SELF", &start);
    let (code, said) = fed(format!("{twice}\n{twice}\n").as_bytes());
    assert_eq!(code, Some(4));
    assert!(said.contains("line 2 of the input") && said.contains("its number is that of a request"), "{said}");
    let many: String = (0..5_000).map(|id| twice.replacen("\"id\":1", &format!("\"id\":{id}"), 1) + "\n").collect();
    let (code, said) = fed(many.as_bytes());
    assert_eq!(code, Some(4));
    assert!(said.contains("4,096 requests wait already"), "{said}");
}

#[test]
fn random_input_ends_a_probe_with_0_or_4_and_one_line_at_most() {
    let request = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..200),
        any::<u64>().prop_map(|id| format!("{{\"id\":{id},\"ask\":\"clock\"}}\n").into_bytes()),
        "\\{\"id\":[0-9]{1,3},\"ask\":\\{\"[a-z_]{3,10}\":\\{[ -~]{0,40}\\}\\}\\}\n".prop_map(String::into_bytes),
        (any::<u32>(), any::<u64>()).prop_map(|(pid, id)| {
            format!("{{\"id\":{id},\"ask\":{{\"process\":{{\"pid\":{pid}}}}}}}\n").into_bytes()
        }),
    ];
    let input = prop::collection::vec(request, 0..6).prop_map(|parts| parts.concat());
    let mut runner = TestRunner::new(Config { cases: 40, ..Config::default() });
    let outcome = runner.run(&input, |input| {
        let (code, said) = fed(&input);
        prop_assert!(matches!(code, Some(0 | 4)), "{code:?} {said}");
        prop_assert_eq!(said.lines().count(), usize::from(code == Some(4)), "{}", said);
        Ok(())
    });
    outcome.unwrap();
}

/// A hello of our own version, from the place that `PLACE` stands for.
fn hello() -> String {
    let child = Command::new(GAPLESS).arg("probe").stdin(Stdio::null()).output().expect("it is built");
    String::from_utf8(child.stdout).expect("text").trim_end().to_owned()
}

#[test]
fn a_probe_that_answers_nonsense_is_lost_and_nobody_waits_for_ever() {
    let hello = hello();
    let answer = |id: u64, answer: &str| format!(r#"{{"answer":{{"id":{id},"got":1,"sent":2,"answer":{answer}}}}}"#);
    let far = answer(0, r#"{"exit":{"at":1,"source":"pidfd"}}"#);
    for (line, why) in [
        ("nonsense".to_owned(), "it sent what is not an answer"),
        (answer(99, "\"done\""), "it answers what was not asked"),
        ("x".repeat(5 << 20), "a line has more than 4 MiB"),
        (String::new(), "it sent what is not an answer"),
        (far, "the probe on box"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let said = folder.path().join("said");
        std::fs::write(&said, format!("{hello}\n{line}\n")).unwrap();
        let error = on_one_thread(async {
            Remote::start("box", saying(&format!("cat {}", said.display()))).await.unwrap_err().to_string()
        });
        assert!(error.contains(why), "{why}: {error}");
    }
}

#[test]
fn random_answers_never_panic_and_always_come_to_an_end() {
    let hello = hello();
    let answer = (0..14_u64, any::<u64>(), any::<u64>(), "[ -~]{0,30}").prop_map(|(id, got, sent, rest)| {
        format!("{{\"answer\":{{\"id\":{id},\"got\":{got},\"sent\":{sent},\"answer\":\"done\"}}}}{rest}\n").into_bytes()
    });
    let line = prop_oneof![
        3 => (0..14_u64, any::<u64>(), any::<u64>()).prop_map(|(id, got, sent)| {
            format!("{{\"answer\":{{\"id\":{id},\"got\":{got},\"sent\":{sent},\"answer\":\"done\"}}}}\n").into_bytes()
        }),
        1 => answer,
        1 => prop::collection::vec(any::<u8>(), 0..300),
    ];
    let output = prop::collection::vec(line, 0..20).prop_map(|parts| parts.concat());
    let mut runner = TestRunner::new(Config { cases: 40, ..Config::default() });
    let outcome = runner.run(&output, |output| {
        let folder = tempfile::tempdir().unwrap();
        let said = folder.path().join("said");
        std::fs::write(&said, [hello.as_bytes(), b"\n", &output].concat()).unwrap();
        on_one_thread(async {
            // It ends with its input: whatever is asked after that is an error.
            if let Ok(remote) = Remote::start("box", saying(&format!("cat {}", said.display()))).await {
                let _ = remote.counters().await;
                assert!(remote.exchange().await.is_err());
                assert!(remote.lost().is_some());
            }
        });
        Ok(())
    });
    outcome.unwrap();
}
