//! The exit codes that the table of failure classes has for curl, beside those of curl itself.

use std::fs::File;
use std::process::Command;

use gapless::demo::server::{FaultKind, Injector, Transport};
use gapless::model::{Endpoint, FailureClass};

use crate::demo_server::server::TestServer;

/// More than the buffers of both sides hold.
const LARGE_BODY_BYTES: u64 = 64 << 20;
/// Where there is an end to wait for, it comes long before.
const PATIENT_S: &str = "60";
/// Where there is none.
const IMPATIENT_S: &str = "1";

/// The classes that no server brings about, and so no single curl can meet.
const OF_THE_GENERATOR: &[(FailureClass, &str)] = &[
    (FailureClass::NoConnection, "one curl has its connection to itself: the 28 is that of waiting in vain"),
    (FailureClass::StreamRefused, "not in HTTP/1.1: see demo_server/http2.rs"),
    (FailureClass::StreamReset, "not in HTTP/1.1: see demo_server/http2.rs"),
    (FailureClass::UnexpectedGrpcStatus, "curl speaks no gRPC"),
    (FailureClass::LocalPort, "the table has no exit code: it is no answer of the target"),
    (FailureClass::LocalFd, "the table has no exit code: it is no answer of the target"),
    (FailureClass::Interrupted, "the table has no exit code: curl dies of the signal"),
];

/// Where curl sees something else than the class says; the README tells of each.
fn otherwise(kind: FaultKind, transport: Transport) -> Option<&'static [i32]> {
    match (kind, transport) {
        // What is no whole line is nothing to it: an empty reply.
        (FaultKind::CloseStatusLine, _) | (FaultKind::ResetStatusLine, Transport::Unix) => Some(&[52]),
        // It takes the lines that came for the head.
        (FaultKind::CloseHead, _) | (FaultKind::ResetHead, Transport::Unix) => Some(&[0]),
        // It gives up on them, but as on an error of receiving.
        (FaultKind::EndlessHeaders, _) => Some(&[56]),
        // It reads before it writes: which of the two meets the reset depends on when that comes.
        (FaultKind::ResetWhileSending, _) => Some(&[55, 56]),
        _ => None,
    }
}

/// The faults that bring the class about.
fn faults(class: FailureClass) -> Vec<(FaultKind, Transport)> {
    let fault = |injector| match injector {
        Injector::Fault(kind, transport) => Some((kind, transport)),
        Injector::OfStreams(..) | Injector::Client(_) => None,
    };
    Injector::of(class).into_iter().filter_map(fault).collect()
}

/// Runs curl once against a server with the fault. The exit code.
fn curl(kind: FaultKind, transport: Transport, class: FailureClass) -> Option<i32> {
    let server = TestServer::with_fault(transport, kind.name());
    let body = server.file("body");
    // Root may connect to any socket, but not from a user namespace that does not know him.
    let mut curl = if kind == FaultKind::NoPermission { Command::new("unshare") } else { Command::new("curl") };
    if kind == FaultKind::NoPermission {
        curl.args(["--user", "curl"]);
    }
    let patience_s = if class.curl_exit() == Some(28) { IMPATIENT_S } else { PATIENT_S };
    curl.args(["--disable", "--silent", "--noproxy", "*", "--insecure", "--output", "/dev/null"]);
    curl.args(["--max-time", patience_s]);
    if matches!(kind, FaultKind::ResetWhileSending | FaultKind::CloseWhileSending) {
        File::create(&body).unwrap().set_len(LARGE_BODY_BYTES).unwrap();
        curl.arg("--data-binary").arg(format!("@{}", body.display()));
        // Else it would wait for leave to send the body.
        curl.args(["--header", "Expect:"]);
    }
    let authority = match &server.endpoint {
        Endpoint::Tcp(address) => address.to_string(),
        Endpoint::Unix(path) => {
            curl.arg("--unix-socket").arg(path);
            "localhost".to_owned()
        }
        other => panic!("curl does not speak to {other}"),
    };
    let scheme = if class == FailureClass::Tls { "https" } else { "http" };
    curl.arg(format!("{scheme}://{authority}/")).output().unwrap().status.code()
}

#[test]
fn each_class_is_one_that_curl_meets_or_one_of_the_generator() {
    for &class in FailureClass::ALL {
        let is_named = OF_THE_GENERATOR.iter().any(|(named, _)| *named == class);
        assert_eq!(faults(class).is_empty(), is_named, "{class}");
        let as_documented = faults(class).into_iter().filter(|&(kind, transport)| otherwise(kind, transport).is_none());
        assert!(is_named || as_documented.count() > 0, "nothing shows that curl exits as the table says: {class}");
    }
}

#[test]
#[ignore = "runs in the box"]
fn curl_exits_with_the_code_of_the_class_that_it_meets() {
    let mut different = Vec::new();
    for &class in FailureClass::ALL {
        let documented = class.curl_exit().map(i32::from);
        for (kind, transport) in faults(class) {
            let expected = otherwise(kind, transport).unwrap_or(documented.as_slice());
            let exit = curl(kind, transport, class);
            if !exit.is_some_and(|exit| expected.contains(&exit)) {
                different.push(format!("{class} by {kind} over {}: {exit:?}, not {expected:?}", transport.name()));
            }
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}
