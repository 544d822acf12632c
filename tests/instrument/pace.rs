//! Lateness is the instrument's own error: a bad target leaves it where it was, and what the instrument itself lacks
//! leaves the verdict open.

use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use serde_json::Value;

use crate::watch::{Watched, check};

/// How long a request waits in vain.
const TIMEOUT: Duration = Duration::from_millis(400);

/// All requests to `url` failed, which is the target's doing alone.
fn assert_blames_the_target(url: &str, arguments: &[&str], classes: &[&str]) {
    let timeout = format!("{}ms", TIMEOUT.as_millis());
    let fixed = [url, "--rate", "200", "--duration", "2s", "--timeout", &timeout];
    let watched = Watched::run(&[&fixed, arguments].concat());
    let scenario = watched.scenario();
    assert_eq!((watched.exit_code(), &scenario["verdict"]), (Some(1), &Value::from("failed")), "{scenario}");
    assert_eq!(scenario["requests"]["failed"], scenario["requests"]["due"]);
    for class in scenario["outcomes"].as_object().unwrap().keys().filter(|class| *class != "ok") {
        assert!(classes.contains(&class.as_str()), "{class}: {scenario}");
    }
    assert_eq!(check(&scenario, "instrument.unsent"), "passed: 0");
    // Had the wait for a connection, or for an answer, been taken for lateness, it would be as long as the timeout.
    // How late a thread gets its turn on a busy machine is another matter, and far less.
    let lateness_us = scenario["lateness_us"]["max"].as_u64().unwrap();
    assert!(u128::from(lateness_us) < TIMEOUT.as_micros() / 2, "{}", scenario["lateness_us"]);
}

/// Accepts all that comes, and never says a word.
fn frozen() -> TcpListener {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let accepting = listener.try_clone().unwrap();
    std::thread::spawn(move || accepting.incoming().collect::<Vec<_>>());
    listener
}

fn url(listener: &TcpListener) -> String {
    format!("http://{}/", listener.local_addr().unwrap())
}

#[test]
fn a_frozen_target_is_not_the_instruments_lateness() {
    // One that waited for a connection until its timeout was nearly over may have no time left to connect.
    let classes = ["response_timeout", "no_connection", "connect_timeout"];
    assert_blames_the_target(&url(&frozen()), &["--connections", "4"], &classes);
}

#[test]
fn a_refusing_target_is_not_the_instruments_lateness() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let gone = url(&listener);
    drop(listener);
    assert_blames_the_target(&gone, &["--connections", "4"], &["refused"]);
}

#[test]
fn a_queueing_target_is_not_the_instruments_lateness() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    rustix::net::listen(&listener, 0).unwrap();
    let _first_in_queue = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    assert_blames_the_target(&url(&listener), &["--fresh"], &["connect_timeout"]);
}

/// Requests that the instrument could not send leave the verdict open, and the report says how many they were.
fn assert_inconclusive(watched: &Watched, class: &str) {
    let scenario = watched.scenario();
    let unsent = scenario["requests"]["unsent"].as_u64().unwrap();
    assert!(unsent > 0, "{scenario}");
    assert_eq!(scenario["outcomes"][class], unsent, "{scenario}");
    assert_eq!((watched.exit_code(), &scenario["verdict"]), (Some(3), &Value::from("inconclusive")), "{scenario}");
    assert_eq!(check(&scenario, "instrument.unsent"), format!("inconclusive: {unsent}"));
    let reasons = scenario["reasons"].as_array().unwrap();
    assert!(reasons.iter().any(|reason| reason.as_str().unwrap().contains(&unsent.to_string())), "{reasons:?}");
}

#[test]
fn a_generator_without_descriptors_is_inconclusive() {
    // Within the limit of what it may open, as far as it can know; but others have been handed down to it.
    let prepare = "for fd in $(seq 10 199); do eval \"exec $fd</dev/null\"; done; ulimit -n 250";
    let listener = frozen();
    let watched = Watched::run_after(
        prepare,
        &[
            &url(&listener),
            "--rate",
            "100",
            "--connections",
            "100",
            "--duration",
            "1s",
            "--timeout",
            "1s",
            "--expect",
            "dropped=1000",
        ],
    );
    assert_inconclusive(&watched, "local_fd");
}
