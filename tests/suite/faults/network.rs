//! The target's host disappears, and this machine runs out of ports.

use std::fs;
use std::process::{Child, Command, Stdio};

use gapless::demo::server::{Background, ServerOptions};
use gapless::model::{Endpoint, FailureClass, Verdict};

use crate::faults::rig::{Running, until};
use crate::faults::scenario::{Scenario, run};
use crate::support::GAPLESS;

const HOST: &str = "gapless-host";
const ADDRESS: &str = "10.77.0.2:18480";

/// A host of its own in a network namespace, with a server.
struct Host(Child);

impl Host {
    fn start() -> Self {
        let ip = |line: &str| run("ip", &line.split(' ').collect::<Vec<_>>());
        ip(&format!("netns add {HOST}"));
        ip(&format!("link add gapless0 type veth peer name gapless1 netns {HOST}"));
        ip("addr add 10.77.0.1/24 dev gapless0");
        ip("link set gapless0 up");
        ip(&format!("-n {HOST} addr add 10.77.0.2/24 dev gapless1"));
        ip(&format!("-n {HOST} link set gapless1 up"));
        let mut server = Command::new("ip");
        server.args(["netns", "exec", HOST, GAPLESS, "demo-server", "--listen", ADDRESS]).stderr(Stdio::null());
        let host = Self(server.spawn().expect("ip is there"));
        until("the server answers", || std::net::TcpStream::connect(ADDRESS).is_ok());
        host
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
        // The namespace lives on for as long as the kernel has connections of it to end; its link would, too.
        let _ = Command::new("ip").args(["link", "delete", "gapless0"]).status();
        let _ = Command::new("ip").args(["netns", "delete", HOST]).status();
    }
}

#[test]
#[ignore = "runs in the box"]
fn a_host_that_disappears_is_a_loss_and_every_request_is_accounted_for() {
    let host = Host::start();
    let scenario = Scenario::without_units("host-gone", &format!("http://{ADDRESS}/"))
        .with_target("timeout = \"500ms\"")
        .then("wait = \"2s\"");
    let mut loading = Running::start(&scenario, "auto");
    loading.await_counting();
    run("ip", &["link", "set", "gapless0", "down"]);
    let ended = loading.end();
    let result = ended.result();
    assert_eq!((ended.code, result.verdict), (Some(1), Verdict::Failed), "{:#?}", result.reasons);
    let requests = &result.requests;
    assert_eq!((requests.due, requests.unsent), (requests.ok + requests.failed, 0), "{:?}", result.outcomes);
    assert!(result.dropped > 100 && result.dropped == requests.failed, "{:?}", result.outcomes);
    drop(host);
}

/// The ports that connections may have, as they were when this is dropped.
struct Ports(String);

const PORTS: &str = "/proc/sys/net/ipv4/ip_local_port_range";

impl Drop for Ports {
    fn drop(&mut self) {
        let _ = fs::write(PORTS, &self.0);
    }
}

#[test]
#[ignore = "runs in the box"]
fn requests_for_which_this_machine_has_no_port_are_unsent() {
    let anywhere = Endpoint::Tcp("127.0.0.1:0".parse().expect("an address"));
    let mut options = ServerOptions::listening_on(vec![anywhere]);
    options.service_time = std::time::Duration::from_millis(200);
    let server = Background::start(options).expect("it listens");
    let Endpoint::Tcp(address) = &server.endpoints()[0] else { panic!("a TCP server") };
    let scenario = Scenario::without_units("no-ports", &format!("http://{address}/")).then("wait = \"1s\"");
    let _before = Ports(fs::read_to_string(PORTS).expect("it is there"));
    fs::write(PORTS, "20000 20003").expect("we are root");
    let result = Running::start(&scenario, "auto").end().is_inconclusive(3, "could not be sent");
    assert_eq!(result.requests.failed, 0, "{:?}", result.outcomes);
    assert_eq!(result.outcomes.get(&FailureClass::LocalPort), Some(&result.requests.unsent), "{:?}", result.outcomes);
}
