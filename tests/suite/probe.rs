//! `gapless probe` and what asks it: the whole protocol, against what this machine says itself.

mod asks;
mod bounds;
mod hostile;
mod run;
mod trace;

use std::path::Path;
use std::process::Stdio;

use gapless::host::{Local, Remote};
use tokio::process::Command;
use tokio::task::LocalSet;

use crate::support::GAPLESS;

/// Runs `test` as commands run: on one thread.
fn on_one_thread<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    LocalSet::new().block_on(&runtime, test)
}

fn probe() -> Command {
    let mut command = Command::new(GAPLESS);
    command.arg("probe");
    command
}

/// A probe of this machine.
async fn remote() -> Remote {
    Remote::start("box", probe()).await.expect("a probe")
}

/// What says these lines as if it were a probe.
fn saying(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

/// Whether a process of that PID is there, a zombie left out.
fn is_running(pid: u32) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, fields)| !fields.starts_with('Z'))
}

/// A process that does nothing, and ends with its test.
struct Sleeper(std::process::Child);

impl Sleeper {
    fn start() -> Self {
        Self(std::process::Command::new("sleep").arg("60").stdin(Stdio::null()).spawn().expect("sleep(1)"))
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        // It may have been killed already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Both hosts that are compared.
async fn both() -> (Remote, Local) {
    (remote().await, Local)
}
