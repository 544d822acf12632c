//! Starting the processes of a service.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use super::super::environment::Environment;
use super::super::host::{Host, make_directory};
use super::super::launch::{Launch, Launched, launch};
use super::{Running, Service};
use crate::unit_file::service_choices::{NotifyAccess, Preserve};
use crate::unit_file::{CommandLine, Specifiers, TimeSpan};

/// A socket that a service is passed, and its name.
#[derive(Clone, Debug)]
pub(in super::super) struct PassedSocket {
    /// The socket.
    pub descriptor: Arc<OwnedFd>,
    /// FileDescriptorName=.
    pub name: String,
}

impl Service {
    /// Starts the next main process: it gets the sockets.
    pub(super) fn spawn_main(&mut self, command: &CommandLine, host: &mut Host) -> io::Result<()> {
        let sockets = if let Some((connection, _)) = &self.connection {
            vec![(connection.try_clone()?, "connection".to_owned())]
        } else {
            let duplicate = |socket: &PassedSocket| Ok((socket.descriptor.try_clone()?, socket.name.clone()));
            self.passed.iter().map(duplicate).collect::<io::Result<_>>()?
        };
        let launched = self.spawn(command, sockets, host)?;
        self.main = Some(Running { id: launched.id, ignore_failure: command.ignore_failure });
        self.main_started_at = Some(launched.at);
        self.main_end = None;
        Ok(())
    }

    /// Starts the next command that runs beside the main process. False when none is left.
    pub(super) fn spawn_next_control(&mut self, timeout: TimeSpan, host: &mut Host) -> io::Result<bool> {
        let Some(command) = self.commands.pop_front() else { return Ok(false) };
        let launched = self.spawn(&command, Vec::new(), host)?;
        self.control = Some(Running { id: launched.id, ignore_failure: command.ignore_failure });
        self.arm(timeout);
        Ok(true)
    }

    fn spawn(
        &mut self,
        command: &CommandLine,
        sockets: Vec<(OwnedFd, String)>,
        host: &mut Host,
    ) -> io::Result<Launched> {
        let launched = launch(
            Launch {
                unit: &self.definition.name,
                command,
                settings: &self.definition.exec,
                environment: self.manager_environment(host),
                sockets,
                output: self.output.clone(),
            },
            host,
        )?;
        self.family.add_session(launched.id.pid);
        Ok(launched)
    }

    /// What the manager itself says to the processes.
    fn manager_environment(&self, host: &Host) -> Environment {
        let mut environment = Environment::new();
        let mut set = |name: &str, value: String| drop(environment.insert(name.to_owned(), value));
        if let Some(id) = &self.invocation_id {
            set("INVOCATION_ID", id.clone());
        }
        if let Some((socket, _)) = &self.notify {
            set("NOTIFY_SOCKET", socket.path().display().to_string());
        }
        if let Some(main) = self.main {
            set("MAINPID", main.id.pid.to_string());
        }
        let directories: Vec<_> = self.runtime_directories(host).map(|path| path.display().to_string()).collect();
        if !directories.is_empty() {
            set("RUNTIME_DIRECTORY", directories.join(":"));
        }
        if self.has_credentials() {
            set("CREDENTIALS_DIRECTORY", self.credentials_directory(host).display().to_string());
        }
        if let Some((_, peer)) = &self.connection
            && let Some(remote) = peer.remote
        {
            set("REMOTE_ADDR", remote.ip().to_canonical().to_string());
            set("REMOTE_PORT", remote.port().to_string());
        }
        if self.state.is_stopping() {
            set("SERVICE_RESULT", self.result.name().to_owned());
            if let Some(end) = self.main_end {
                let words = end.to_string();
                let (code, status) = words.split_once(' ').unwrap_or((&words, ""));
                set("EXIT_CODE", code.to_owned());
                set("EXIT_STATUS", status.to_owned());
            }
        }
        environment
    }

    fn runtime_directories(&self, host: &Host) -> impl Iterator<Item = PathBuf> {
        let runtime = host.directories.runtime.clone();
        self.definition.exec.runtime_directories.iter().map(move |name| runtime.join(name))
    }

    fn has_credentials(&self) -> bool {
        let exec = &self.definition.exec;
        !exec.set_credentials.is_empty() || !exec.load_credentials.is_empty()
    }

    fn credentials_directory(&self, host: &Host) -> PathBuf {
        Specifiers::new(self.definition.name.clone(), host.directories.clone()).credentials()
    }

    /// Puts the credentials into a directory of the service's own. What is set stands in for what cannot be loaded.
    fn make_credentials(&self, host: &Host) -> io::Result<()> {
        let directory = self.credentials_directory(host);
        // Those of an earlier start may be read-only.
        let _ = fs::remove_dir_all(&directory);
        make_directory(&directory, 0o700)?;
        let exec = &self.definition.exec;
        let mut credentials: BTreeMap<&str, Vec<u8>> =
            exec.set_credentials.iter().map(|(name, text)| (name.as_str(), text.clone().into_bytes())).collect();
        for (name, path) in &exec.load_credentials {
            match fs::read(path) {
                Ok(content) => drop(credentials.insert(name, content)),
                Err(_) if credentials.contains_key(name.as_str()) => {}
                Err(error) => {
                    let message = format!("cannot load the credential {name} from {}: {error}", path.display());
                    return Err(io::Error::new(error.kind(), message));
                }
            }
        }
        for (name, content) in credentials {
            let mut options = OpenOptions::new();
            options.write(true).create_new(true).mode(0o400).open(directory.join(name))?.write_all(&content)?;
        }
        Ok(())
    }

    /// Makes what processes expect to find: directories, credentials and the notification socket.
    pub(super) fn make_surroundings(&mut self, host: &Host) -> io::Result<()> {
        for path in self.runtime_directories(host) {
            make_directory(&path, self.definition.exec.runtime_directory_mode)?;
        }
        if self.has_credentials() {
            self.make_credentials(host)?;
        }
        self.notify = match self.definition.notify_access {
            NotifyAccess::None => None,
            NotifyAccess::Main | NotifyAccess::Exec | NotifyAccess::All => Some(self.open_notify_socket(host)?),
        };
        Ok(())
    }

    fn open_notify_socket(&self, host: &Host) -> io::Result<(super::NotifySocket, super::Watch)> {
        // By the incarnation: what an old process sends late finds nobody.
        let id = self.invocation_id.as_deref().unwrap_or_default();
        let socket = super::NotifySocket::bind(host.directory.join(&id[..id.len().min(16)]))?;
        let watch = super::Watch::new(socket.descriptor()?)?;
        Ok((socket, watch))
    }

    /// Removes what [`Self::make_surroundings`] made.
    pub(super) fn remove_surroundings(&mut self, restarts: bool, host: &Host) {
        self.notify = None;
        if self.has_credentials() {
            let _ = fs::remove_dir_all(self.credentials_directory(host));
        }
        let keep = match self.definition.exec.runtime_directory_preserve {
            Preserve::No => false,
            Preserve::Yes => true,
            Preserve::Restart => restarts,
        };
        if !keep {
            for path in self.runtime_directories(host) {
                // It may hold what somebody else owns; then it stays, as it does with systemd.
                let _ = std::fs::remove_dir_all(path);
            }
        }
    }

    /// Sets the deadline of the present state.
    pub(super) fn arm(&mut self, timeout: TimeSpan) {
        self.timers.state = timeout.limit().and_then(|span| Instant::now().checked_add(span));
    }
}
