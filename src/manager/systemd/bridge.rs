//! D-Bus of another machine: `systemd-stdio-bridge` there speaks it on its standard input and output, over `ssh`.

use std::io;
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::failure::bus_name;
use crate::manager::ManagerError;
use crate::record::begin::ManagerKind;
use crate::ssh::Ssh;

/// The user's own bus is where a login session has it, also where sshd makes no such session. The path is given because
/// systemd 252 goes to the machine's bus for `--user` alike.
const OF_USER: &str = "r=${XDG_RUNTIME_DIR:-/run/user/$(id -u)}
[ -S \"$r/bus\" ] || { echo \"$r/bus is not there: the user has no systemd of its own (loginctl enable-linger)\" >&2; exit 1; }
exec systemd-stdio-bridge --bus-path=\"unix:path=$r/bus\"";

const OF_MACHINE: &str = "exec systemd-stdio-bridge";

/// The process that carries the connection. It is ended with this.
#[derive(Debug)]
pub(super) struct Bridge {
    child: Child,
    kind: ManagerKind,
    destination: String,
}

impl Bridge {
    /// Starts it, and gives the end to speak D-Bus on.
    pub(super) fn start(ssh: &Rc<Ssh>, kind: ManagerKind) -> io::Result<(Self, UnixStream)> {
        let (ours, theirs) = UnixStream::pair()?;
        let script = if kind == ManagerKind::User { OF_USER } else { OF_MACHINE };
        let mut command = Command::from(ssh.command(script, &[]));
        let (input, output) = (
            Stdio::from(std::os::fd::OwnedFd::from(theirs.try_clone()?)),
            Stdio::from(std::os::fd::OwnedFd::from(theirs)),
        );
        let child =
            command.stdin(input).stdout(output).stderr(Stdio::piped()).kill_on_drop(true).process_group(0).spawn()?;
        Ok((Self { child, kind, destination: ssh.destination().to_string() }, ours))
    }

    /// Why there is no bus: what the bridge says of itself, or else `reason`.
    pub(super) async fn no_bus(mut self, reason: String) -> ManagerError {
        let mut said = String::new();
        // It ends with its input.
        let _ = self.child.start_kill();
        if let Some(stderr) = self.child.stderr.take() {
            let _ = timeout(Duration::from_secs(2), stderr.take(4096).read_to_string(&mut said)).await;
        }
        let last = said.trim().lines().next_back().map(str::to_owned);
        ManagerError::NoBusThere {
            bus: bus_name(self.kind),
            destination: self.destination,
            reason: last.unwrap_or(reason),
        }
    }
}
