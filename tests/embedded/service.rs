//! The service: what the unit files of the other tests start.

use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::thread;

use listenfd::ListenFd;

/// Serves each connection with its PID, the names of its sockets, and the value of `WORD`.
#[test]
#[ignore = "is the service that the other tests start: does nothing by itself"]
fn serve() {
    let mut passed = ListenFd::from_env();
    if passed.len() == 0 {
        return;
    }
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let word = std::env::var("WORD").unwrap_or_default();
    let answer = format!("{} {names} {word}\n", std::process::id());
    let mut servers = Vec::new();
    for index in 0..passed.len() {
        let answer = answer.clone();
        if let Ok(Some(listener)) = passed.take_tcp_listener(index) {
            servers.push(thread::spawn(move || serve_tcp(&listener, &answer)));
        } else if let Ok(Some(listener)) = passed.take_unix_listener(index) {
            servers.push(thread::spawn(move || serve_unix(&listener, &answer)));
        }
    }
    if std::env::var_os("NOTIFY_SOCKET").is_some() {
        sd_notify::notify(&[sd_notify::NotifyState::Ready]).expect("notified");
    }
    for server in servers {
        server.join().expect("served");
    }
}

fn serve_tcp(listener: &TcpListener, answer: &str) {
    for connection in listener.incoming() {
        let mut connection = connection.expect("accepted");
        connection.write_all(answer.as_bytes()).expect("written");
    }
}

fn serve_unix(listener: &UnixListener, answer: &str) {
    for connection in listener.incoming() {
        let mut connection = connection.expect("accepted");
        connection.write_all(answer.as_bytes()).expect("written");
    }
}

/// Leaves its session, writes its PID to the file `PID_FILE`, and goes on for as long as it is let.
#[test]
#[ignore = "is the worker that another test starts: does nothing by itself"]
fn leave_the_session() {
    let Some(file) = std::env::var_os("PID_FILE") else { return };
    rustix::process::setsid().expect("left");
    std::fs::write(file, format!("{}\n", std::process::id())).expect("written");
    loop {
        thread::park();
    }
}

/// Reads a stream to its end.
pub(crate) fn read_all(stream: impl std::io::Read) -> std::io::Result<String> {
    std::io::read_to_string(stream)
}
