//! Sockets that are held while their service comes and goes.

use std::os::unix::fs::PermissionsExt as _;

use gapless::manager::Manager as _;
use gapless::model::{ActiveState, Endpoint, JobResult, KillWho, ProcessId, Signal, UnitVerb};

use crate::embedded::rig::{Rig, ask, ask_abstract, ask_at, free_port, say, unit, until_refused};

const SERVICE: &str = "[Service]\nType=exec\nExecStart={serve}\nEnvironment=WORD=hello\n";

/// What the process was started with: `NAME=VALUE` and a zero byte, each.
fn environment_of(process: ProcessId) -> String {
    std::fs::read_to_string(format!("/proc/{}/environ", process.pid)).expect("it runs")
}

fn socket(port: u16) -> String {
    format!("[Socket]\nListenStream=127.0.0.1:{port}\n")
}

#[tokio::test]
async fn the_first_connection_starts_the_service() {
    let port = free_port();
    let mut rig = Rig::with(&[("a.socket", &socket(port)), ("a.service", SERVICE)]).await;
    rig.done(UnitVerb::Start, "a.socket").await;
    assert_eq!(rig.state("a.service").await, "inactive/dead success");
    assert_eq!(rig.state("a.socket").await, "active/listening success");
    let answer = ask(port).await.expect("answered");
    let main = rig.main_process("a.service").await;
    assert_eq!(answer, format!("{}\n", main.pid));
    let environment = environment_of(main);
    assert!(environment.contains("WORD=hello\0") && environment.contains("LISTEN_FDNAMES=a.socket\0"), "{environment}");
    assert_eq!(rig.history("a.socket"), ["active/listening", "active/running"]);
}

#[tokio::test]
async fn a_socket_in_the_abstract_name_space_is_held_as_any_other() {
    let name = format!("gapless-embedded-{}", std::process::id());
    let socket = format!("[Socket]\nListenStream=@{name}\n");
    let rig = Rig::with(&[("a.socket", &socket), ("a.service", SERVICE)]).await;
    rig.done(UnitVerb::Start, "a.socket").await;
    let first = ask_abstract(&name).await.expect("answered");
    let held = rig.snapshot("a.socket").await.socket.expect("a socket");
    assert_eq!(held.listen, [Endpoint::Unix(format!("@{name}").into())]);
    rig.done(UnitVerb::Restart, "a.service").await;
    assert_ne!(ask_abstract(&name).await.expect("answered"), first, "another process answers");
    let after = rig.snapshot("a.socket").await.socket.expect("a socket");
    assert_eq!(after.listeners[0].inode, held.listeners[0].inode);
}

#[tokio::test]
async fn a_datagram_starts_its_service_and_waits_through_a_restart() {
    let port = free_port();
    for address in [format!("127.0.0.1:{port}"), format!("@gapless-datagrams-{}", std::process::id())] {
        let socket = format!("[Socket]\nListenDatagram={address}\nReceiveBuffer=64K\n");
        let mut rig = Rig::with(&[("a.socket", &socket), ("a.service", SERVICE)]).await;
        rig.done(UnitVerb::Start, "a.socket").await;
        let held = rig.snapshot("a.socket").await.socket.expect("a socket");
        let endpoint = held.listen[0].clone();
        assert!(endpoint.takes_datagrams(), "{endpoint}");
        let first = say(&endpoint, "ping").await.expect("answered");
        assert_eq!(first, format!("ok {}\n", rig.main_process("a.service").await.pid));
        assert_eq!(rig.history("a.socket"), ["active/listening", "active/running"]);
        rig.done(UnitVerb::Restart, "a.service").await;
        assert_ne!(say(&endpoint, "ping").await.expect("answered"), first, "another process answers");
        let after = rig.snapshot("a.socket").await.socket.expect("a socket");
        assert_eq!(after.listeners[0].inode, held.listeners[0].inode);
    }
}

#[tokio::test]
async fn a_fifo_and_a_socket_for_messages_on_connections_are_made_and_held() {
    let units = "[Socket]\nListenSequentialPacket={dir}/s\nListenFIFO={dir}/f\nSocketMode=0600\nRemoveOnStop=yes\n";
    let mut rig = Rig::with(&[("a.socket", units), ("a.service", "[Service]\nExecStart=/bin/sleep 1000\n")]).await;
    rig.done(UnitVerb::Start, "a.socket").await;
    let [packets, fifo] = ["s", "f"].map(|name| rig.directory.path().join(name));
    let listen = rig.snapshot("a.socket").await.socket.expect("a socket").listen;
    assert_eq!(listen, [Endpoint::UnixSeqpacket(packets.clone()), Endpoint::Fifo(fifo.clone())]);
    let mode = |path: &std::path::Path| std::fs::metadata(path).expect("made").permissions().mode() & 0o777;
    assert_eq!((mode(&packets), mode(&fifo)), (0o600, 0o600));
    assert_eq!(gapless::host::listener::at(&Endpoint::UnixSeqpacket(packets.clone())).expect("asked").len(), 1);
    assert_eq!(rig.state("a.service").await, "inactive/dead success");
    std::fs::write(&fifo, "wakes").expect("the manager has it open to read");
    rig.awaits("a.service", "active/running").await;
    rig.done(UnitVerb::Stop, "a.socket").await;
    assert!(!packets.exists() && !fifo.exists());
}

#[tokio::test]
async fn a_restart_under_a_held_socket_drops_no_connection() {
    let port = free_port();
    let rig = Rig::with(&[("a.socket", &socket(port)), ("a.service", SERVICE)]).await;
    rig.done(UnitVerb::Start, "a.socket").await;
    ask(port).await.expect("answered");
    let inode = rig.snapshot("a.socket").await.socket.expect("a socket").listeners[0].inode;
    let load = tokio::spawn(async move {
        for _ in 0..200 {
            ask(port).await.expect("answered");
        }
    });
    for _ in 0..3 {
        rig.done(UnitVerb::Restart, "a.service").await;
    }
    load.await.expect("no connection was lost");
    assert_eq!(rig.snapshot("a.socket").await.socket.expect("a socket").listeners[0].inode, inode);
}

#[tokio::test]
async fn the_next_connection_brings_a_killed_service_back() {
    let port = free_port();
    let mut rig = Rig::with(&[("a.socket", &socket(port)), ("a.service", SERVICE)]).await;
    rig.done(UnitVerb::Start, "a.socket").await;
    ask(port).await.expect("answered");
    let before = rig.main_process("a.service").await;
    rig.manager.kill(&unit("a.service"), KillWho::All, Signal::KILL).await.expect("sent");
    rig.awaits("a.service", "failed/failed").await;
    rig.awaits("a.socket", "active/listening").await;
    ask(port).await.expect("answered");
    assert_ne!(rig.main_process("a.service").await, before);
}

#[tokio::test]
async fn a_socket_is_not_restarted_under_a_service_that_does_not_require_it() {
    let rig = Rig::with(&[("a.socket", "[Socket]\nListenStream={dir}/s\n"), ("a.service", SERVICE)]).await;
    let path = rig.directory.path().join("s");
    rig.done(UnitVerb::Start, "a.socket").await;
    ask_at(&path).await.expect("answered");
    let job = rig.perform(UnitVerb::Restart, "a.socket").await;
    assert_eq!(job.result, JobResult::Failed);
    assert!(job.reason.expect("a reason").contains("already active"));
    assert_eq!(rig.snapshot("a.socket").await.active_state, ActiveState::Inactive);
    // The service holds the listener: it still serves, until its next restart.
    ask_at(&path).await.expect("answered");
    rig.done(UnitVerb::Restart, "a.service").await;
    until_refused(&path).await;
}

#[tokio::test]
async fn a_socket_takes_a_service_that_requires_it_along() {
    let service = format!("[Unit]\nRequires=a.socket\n{SERVICE}");
    let rig = Rig::with(&[("a.socket", "[Socket]\nListenStream={dir}/s\n"), ("a.service", &service)]).await;
    let path = rig.directory.path().join("s");
    rig.done(UnitVerb::Start, "a.socket").await;
    ask_at(&path).await.expect("answered");
    let before = rig.snapshot("a.socket").await;
    let main = rig.main_process("a.service").await;
    rig.done(UnitVerb::Restart, "a.socket").await;
    let after = rig.snapshot("a.socket").await;
    assert_ne!(before.invocation_id, after.invocation_id);
    assert_ne!(before.socket.expect("a socket").listeners[0].inode, after.socket.expect("a socket").listeners[0].inode);
    assert_ne!(rig.main_process("a.service").await, main);
    ask_at(&path).await.expect("answered");
}

#[tokio::test]
async fn a_socket_that_stopped_is_held_by_nobody() {
    let port = free_port();
    let rig = Rig::with(&[("a.socket", &socket(port)), ("a.service", SERVICE)]).await;
    rig.done(UnitVerb::Start, "a.socket").await;
    let link = format!("socket:[{}]", rig.snapshot("a.socket").await.socket.expect("a socket").listeners[0].inode);
    let descriptors = || {
        let all = std::fs::read_dir("/proc/self/fd").expect("proc").filter_map(Result::ok);
        all.filter(|entry| std::fs::read_link(entry.path()).is_ok_and(|to| to.as_os_str() == link.as_str())).count()
    };
    assert!(descriptors() > 0);
    rig.done(UnitVerb::Stop, "a.socket").await;
    assert_eq!(descriptors(), 0);
}

#[tokio::test]
async fn several_sockets_are_passed_by_name_and_modes_are_set() {
    let port = free_port();
    let first = format!(
        "[Socket]\nListenStream=127.0.0.1:{port}\nListenStream={{dir}}/deep/er/s\nSocketMode=0600\n\
         DirectoryMode=0700\nFileDescriptorName=web\nRemoveOnStop=yes\nBacklog=7\n"
    );
    let units = [
        ("a.socket", first.as_str()),
        ("b.socket", "[Socket]\nListenStream={dir}/admin\nService=a.service\nFileDescriptorName=admin\n"),
        ("a.service", SERVICE),
    ];
    let rig = Rig::with(&units).await;
    rig.done(UnitVerb::Start, "a.socket").await;
    rig.done(UnitVerb::Start, "b.socket").await;
    ask(port).await.expect("answered");
    let environment = environment_of(rig.main_process("a.service").await);
    assert!(environment.contains("LISTEN_FDNAMES=web:web:admin\0"), "{environment}");
    let path = rig.directory.path().join("deep/er/s");
    let mode = |path: &std::path::Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().expect("a parent"))), (0o600, 0o700));
    for socket in ["deep/er/s", "admin"] {
        ask_at(&rig.directory.path().join(socket)).await.expect("answered");
    }
    assert_eq!(rig.snapshot("a.socket").await.socket.expect("a socket").listeners[0].backlog, 7);
    rig.done(UnitVerb::Stop, "a.socket").await;
    assert!(!path.exists());
}

#[tokio::test]
async fn an_address_in_use_fails_the_socket_with_its_line() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("bound");
    let port = taken.local_addr().expect("bound").port();
    let rig = Rig::with(&[("a.socket", &socket(port)), ("a.service", SERVICE)]).await;
    let job = rig.perform(UnitVerb::Start, "a.socket").await;
    assert_eq!(job.result, JobResult::Failed);
    assert!(job.reason.expect("a reason").contains("a.socket:2"));
    assert_eq!(rig.state("a.socket").await, "failed/failed resources");
}

#[tokio::test]
async fn a_runtime_directory_goes_with_the_service_and_the_path_in_it() {
    let units = [
        ("a.socket", "[Socket]\nListenStream=%t/a/s\n"),
        ("a.service", "[Service]\nType=exec\nExecStart={serve}\nRuntimeDirectory=a\n"),
    ];
    let rig = Rig::with(&units).await;
    rig.done(UnitVerb::Start, "a.socket").await;
    let listen = rig.snapshot("a.socket").await.socket.expect("a socket").listen;
    let gapless::model::Endpoint::Unix(path) = &listen[0] else { panic!("a path") };
    ask_at(path).await.expect("answered");
    rig.done(UnitVerb::Restart, "a.service").await;
    assert!(!path.exists());
    assert_eq!(rig.state("a.socket").await, "active/running success");
}

#[tokio::test]
async fn uninstall_leaves_no_path_and_a_file_in_the_way_stays() {
    let units = [("a.socket", "[Socket]\nListenStream={dir}/s\n"), ("a.service", SERVICE)];
    let mut rig = Rig::with(&units).await;
    let path = rig.directory.path().join("s");
    std::fs::write(&path, "precious").expect("written");
    assert_eq!(rig.perform(UnitVerb::Start, "a.socket").await.result, JobResult::Failed);
    rig.manager.uninstall().await.expect("done");
    assert_eq!(std::fs::read_to_string(&path).expect("still there"), "precious");

    let mut rig = Rig::with(&units).await;
    let path = rig.directory.path().join("s");
    rig.done(UnitVerb::Start, "a.socket").await;
    assert!(path.exists());
    rig.manager.uninstall().await.expect("done");
    assert!(!path.exists());
}

#[tokio::test]
async fn what_waits_is_flushed_when_the_service_is_down() {
    let port = free_port();
    let text = socket(port) + "FlushPending=yes\n";
    let service = "[Service]\nType=exec\nExecStart=sleep 1000\n";
    let mut rig = Rig::with(&[("a.socket", &text), ("a.service", service)]).await;
    rig.done(UnitVerb::Start, "a.socket").await;
    let waiting = tokio::spawn(ask(port));
    rig.awaits("a.service", "active/running").await;
    rig.done(UnitVerb::Stop, "a.service").await;
    assert_eq!(waiting.await.expect("no panic").unwrap_or_default(), "");
    rig.awaits("a.socket", "active/listening").await;
    assert_eq!(rig.state("a.service").await, "inactive/dead success");
}
