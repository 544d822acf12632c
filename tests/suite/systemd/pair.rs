//! A socket and its service in a real systemd, and what `gapless` finds of them, as root.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::support::GAPLESS;

/// A socket and its service below /run/systemd/system, the socket started.
pub(super) struct Pair {
    pub(super) name: &'static str,
    pub(super) folder: tempfile::TempDir,
}

impl Pair {
    pub(super) fn new(name: &'static str, listen: &str, server_options: &str) -> Self {
        let pair = Self { name, folder: tempfile::tempdir().expect("a folder") };
        pair.write_socket(listen);
        // Without a grace, a request that is in the air at the stop is lost now and then: a true race.
        let service = format!(
            "[Unit]\nRequires={}.socket\nStartLimitIntervalSec=0\n\
             [Service]\nType=notify\nExecStart={GAPLESS} demo-server --idle-grace 300ms {server_options}\n",
            if name.ends_with('@') { format!("{name}%i") } else { name.to_owned() }
        );
        std::fs::write(installed(&pair.service()), service).expect("we are root");
        systemctl(&["daemon-reload"]);
        // A template has instances to start.
        if !name.ends_with('@') {
            systemctl(&["start", &pair.socket()]);
        }
        pair
    }

    pub(super) fn write_socket(&self, listen: &str) {
        let socket = format!("[Socket]\nBacklog=77\nListenStream={listen}\n[Install]\nWantedBy=sockets.target\n");
        std::fs::write(installed(&self.socket()), socket).expect("we are root");
    }

    pub(super) fn socket(&self) -> String {
        format!("{}.socket", self.name)
    }

    pub(super) fn service(&self) -> String {
        format!("{}.service", self.name)
    }

    pub(super) fn systemctl_show(&self, property: &str) -> Output {
        let mut command = Command::new("systemctl");
        command.args(["show", "--property", property, &self.service()]).output().expect("systemctl is there")
    }

    /// The ids of what a check of the unit finds.
    pub(super) fn found(&self, unit: &str) -> Vec<String> {
        let output = self.run(&["check", unit, "--format", "json"]);
        let document = document(&output);
        let findings = document["findings"].as_array().expect("a list");
        findings.iter().map(|finding| finding["id"].as_str().expect("a text").to_owned()).collect()
    }

    /// What the finding `id` of the unit advises.
    #[track_caller]
    pub(super) fn advice(&self, id: &str, unit: &str) -> String {
        let document = document(&self.run(&["check", unit, "--format", "json"]));
        let mut findings = document["findings"].as_array().expect("a list").iter();
        let finding = findings.find(|finding| finding["id"] == id).unwrap_or_else(|| panic!("{id}: {document}"));
        finding["fix"].as_str().expect("advice").to_owned()
    }

    /// Does what the finding `id` of the unit advises, as a shell does it, after which it is not found any more.
    #[track_caller]
    pub(super) fn carry_out(&self, id: &str, unit: &str) {
        let advice = self.advice(id, unit);
        let status = Command::new("sh").args(["-ec", &advice]).stdout(Stdio::null()).status().expect("a shell");
        assert!(status.success(), "{advice}");
        assert!(!self.found(unit).contains(&id.to_owned()), "{id} after: {advice}");
    }

    /// Runs gapless in a folder of its own.
    pub(super) fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(GAPLESS);
        command.args(arguments).current_dir(self.folder.path()).stdin(Stdio::null());
        command.output().expect("it is built")
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        for unit in [self.socket(), self.service()] {
            let _ = Command::new("systemctl").args(["stop", &unit]).stderr(Stdio::null()).status();
            let _ = Command::new("systemctl").args(["reset-failed", &unit]).stderr(Stdio::null()).status();
            let _ = std::fs::remove_file(installed(&unit));
        }
        let _ = Command::new("systemctl").arg("daemon-reload").status();
    }
}

pub(super) fn installed(unit: &str) -> PathBuf {
    Path::new("/run/systemd/system").join(unit)
}

pub(super) fn systemctl(arguments: &[&str]) {
    let status = Command::new("systemctl").args(arguments).status().expect("systemctl is there");
    assert!(status.success(), "systemctl {arguments:?}");
}

pub(super) fn document(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {}", shown(output)))
}

pub(super) fn shown(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// That number of restarts was proven and nothing was lost. On a busy machine the generator is late, which leaves a doubt
/// (3), but no loss.
pub(super) fn lost_nothing(ran: &Output, restarts: usize) {
    assert!(matches!(ran.status.code(), Some(0 | 3)), "{}", shown(ran));
    let scenario = &document(ran)["scenarios"][0];
    assert_eq!((&scenario["dropped"], &scenario["wrong"]), (&0.into(), &0.into()), "{}", shown(ran));
    let events = scenario["events"].as_array().expect("a list");
    assert_eq!(events.iter().filter(|event| event["proven"] == true).count(), restarts, "{}", shown(ran));
}

/// The service is started by a request that is answered.
pub(super) fn request(address: &str) {
    let mut stream = TcpStream::connect(address).expect("systemd listens");
    stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}
