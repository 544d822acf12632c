//! A client that may not connect. Root may always, so gapless runs as nobody here, and acts on no unit.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command};

use gapless::model::{Cause, FailureClass};

use crate::support::GAPLESS;
use crate::systemd::diagnosis::findings::Diagnosis;

const SCENARIO: &str = "name = \"lab\"\n\n[target]\nurl = \"http://lab/\"\nunix = \"PATH\"\n\n[run]\nwarmup = \"0s\"\n\
    cooldown = \"100ms\"\n\n[[steps]]\nwait = \"300ms\"\n";

/// A server on a Unix socket of that mode; killed when dropped.
struct Server(Child);

impl Server {
    fn on(path: &Path, mode: u32) -> Self {
        let listen = format!("unix:{}", path.display());
        let server = Self(Command::new(GAPLESS).args(["demo-server", "--listen", &listen]).spawn().expect("it starts"));
        while std::os::unix::net::UnixStream::connect(path).is_err() {
            std::thread::yield_now();
        }
        fs::set_permissions(path, Permissions::from_mode(mode)).expect("it is ours");
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.0.kill().expect("it runs");
        self.0.wait().expect("it is ours");
    }
}

fn diagnosis_of_a_socket_with_mode(mode: u32) -> Diagnosis {
    let place = tempfile::tempdir_in("/var/tmp").expect("a place for files");
    fs::set_permissions(place.path(), Permissions::from_mode(0o777)).expect("it is ours");
    let (socket, scenario, out) = (place.path().join("s"), place.path().join("lab.toml"), place.path().join("out"));
    fs::write(&scenario, SCENARIO.replace("PATH", socket.to_str().expect("text"))).expect("written");
    let _server = Server::on(&socket, mode);
    let output = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups", GAPLESS, "run", "--out"])
        .args([&out, &scenario])
        .output()
        .expect("setpriv runs");
    Diagnosis::read(&out, String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
#[ignore = "runs in the box"]
fn a_client_that_may_not_connect_has_no_permission() {
    let diagnosis = diagnosis_of_a_socket_with_mode(0o600);
    diagnosis.counts(FailureClass::Permission).blames(Cause::Permission).blames_only(&[Cause::Permission]);
}

#[test]
#[ignore = "runs in the box"]
fn a_client_that_may_connect_has() {
    diagnosis_of_a_socket_with_mode(0o666).loses_nothing();
}
