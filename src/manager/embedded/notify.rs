//! The notification socket of a service, sd_notify(3).

use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, recvmsg, sockopt::set_socket_passcred};

/// The longest message that is read, in bytes (`NOTIFY_BUFFER_MAX`).
const MESSAGE_MAX_BYTES: usize = 4096;

/// Room for the sender's credentials and as many descriptors as one message can carry (`SCM_MAX_FD`, 253).
const ANCILLARY_BYTES: usize = rustix::cmsg_space!(ScmCredentials(1), ScmRights(253));

/// A bound notification socket. Its file goes with it.
#[derive(Debug)]
pub(super) struct NotifySocket {
    socket: UnixDatagram,
    path: PathBuf,
}

/// A message from a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Notification {
    /// Who sent it, by the kernel's word.
    pub sender_pid: u32,
    /// Its lines.
    pub text: String,
}

impl Notification {
    /// Whether it says that the service is ready.
    pub(super) fn is_ready(&self) -> bool {
        self.text.lines().any(|line| line == "READY=1")
    }
}

impl NotifySocket {
    /// Binds a new socket at `path`.
    pub(super) fn bind(path: PathBuf) -> io::Result<Self> {
        let socket = UnixDatagram::bind(&path)?;
        socket.set_nonblocking(true)?;
        set_socket_passcred(&socket, true)?;
        Ok(Self { socket, path })
    }

    /// What NOTIFY_SOCKET is set to.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// A duplicate, to watch for messages.
    pub(super) fn descriptor(&self) -> io::Result<OwnedFd> {
        self.socket.as_fd().try_clone_to_owned()
    }

    /// The next message that waits; none when none does. Descriptors that came along are closed.
    pub(super) fn receive(&self) -> Option<Notification> {
        let mut bytes = [0; MESSAGE_MAX_BYTES];
        let mut space = [MaybeUninit::uninit(); ANCILLARY_BYTES];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let received =
            recvmsg(&self.socket, &mut [IoSliceMut::new(&mut bytes)], &mut ancillary, RecvFlags::CMSG_CLOEXEC).ok()?;
        let sender = ancillary.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmCredentials(credentials) => Some(credentials.pid),
            _ => None,
        });
        Some(Notification {
            sender_pid: sender.map_or(0, |pid| pid.as_raw_nonzero().get().unsigned_abs()),
            text: String::from_utf8_lossy(&bytes[..received.bytes]).into_owned(),
        })
    }
}

impl Drop for NotifySocket {
    fn drop(&mut self) {
        // The private directory is removed as a whole in the end: a file that stays is no loss.
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_comes_with_its_sender() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let socket = NotifySocket::bind(directory.path().join("n")).expect("bound");
        assert_eq!(socket.receive(), None);
        let sender = UnixDatagram::unbound().expect("socket");
        sender.send_to(b"STATUS=up\nREADY=1", socket.path()).expect("sent");
        let message = socket.receive().expect("there");
        assert_eq!(message.sender_pid, std::process::id());
        assert!(message.is_ready());
    }
}
