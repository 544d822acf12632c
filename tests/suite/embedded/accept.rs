//! Accept=yes: a service for each connection.

use std::io::Write as _;
use std::net::{Shutdown, TcpStream};

use gapless::model::UnitVerb;

use crate::embedded::rig::{Rig, ask, free_port, until};

fn socket(port: u16, more: &str) -> String {
    format!("[Socket]\nListenStream=127.0.0.1:{port}\nAccept=yes\n{more}")
}

#[tokio::test]
async fn each_connection_gets_a_service_with_the_connection_as_stdin_and_stdout() {
    let port = free_port();
    let service = "[Service]\nStandardInput=socket\nExecStart=-sh -c 'read line; echo \"$$line $$REMOTE_ADDR %I\"'\n";
    let rig = Rig::with(&[("a.socket", &socket(port, "")), ("a@.service", service)]).await;
    rig.done(UnitVerb::Start, "a.socket").await;
    for number in 0..3 {
        let talk = move || {
            let mut connection = TcpStream::connect(("127.0.0.1", port)).expect("connected");
            connection.write_all(b"hi\n").expect("written");
            connection.shutdown(Shutdown::Write).expect("shut");
            std::io::read_to_string(connection).expect("read")
        };
        let answer = tokio::task::spawn_blocking(talk).await.expect("talked");
        assert!(answer.starts_with(&format!("hi 127.0.0.1 {number}/127.0.0.1:{port}/127.0.0.1:")), "{answer}");
    }
    assert_eq!(rig.state("a.socket").await, "active/listening success");
}

#[tokio::test]
async fn past_the_maximum_connections_are_closed() {
    let port = free_port();
    let service = "[Service]\nStandardInput=socket\nExecStart=sh -c 'echo served; exec sleep 1000'\n";
    let rig = Rig::with(&[("a.socket", &socket(port, "MaxConnections=2\n")), ("a@.service", service)]).await;
    rig.done(UnitVerb::Start, "a.socket").await;
    let open = || TcpStream::connect(("127.0.0.1", port)).expect("connected");
    let (first, second) = (open(), open());
    let has_bytes = |connection: &TcpStream| {
        connection.set_nonblocking(true).expect("set");
        connection.peek(&mut [0; 8]).is_ok_and(|n| n > 0)
    };
    until("two are served", || has_bytes(&first) && has_bytes(&second)).await;
    assert_eq!(ask(port).await.unwrap_or_default(), "");
    assert_eq!(rig.state("a.socket").await, "active/listening success");
}

#[tokio::test]
async fn too_many_connections_in_too_short_a_time_end_the_socket() {
    let port = free_port();
    let more = "TriggerLimitBurst=2\nTriggerLimitIntervalSec=1000\n";
    let service = "[Service]\nStandardInput=socket\nExecStart=-true\n";
    let mut rig = Rig::with(&[("a.socket", &socket(port, more)), ("a@.service", service)]).await;
    rig.done(UnitVerb::Start, "a.socket").await;
    for _ in 0..2 {
        assert_eq!(ask(port).await.unwrap_or_default(), "");
    }
    let _ = ask(port).await;
    assert_eq!(rig.awaits("a.socket", "failed/failed").await.result, "trigger-limit-hit");
}
