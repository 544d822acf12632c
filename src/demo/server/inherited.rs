//! The sockets that a service manager passed: sd_listen_fds(3).

use std::os::fd::OwnedFd;

use listenfd::ListenFd;
use rustix::net::{AddressFamily, SocketType};

use super::error::ServerError;

/// The first descriptor that a manager passes (SD_LISTEN_FDS_START).
const FIRST_DESCRIPTOR: usize = 3;

/// A socket that a manager passed.
#[derive(Debug)]
pub(super) struct Inherited {
    /// Its number when it was passed.
    pub(super) descriptor: usize,
    /// FileDescriptorName=; `unknown` without one, as systemd says.
    pub(super) name: String,
    pub(super) socket: OwnedFd,
    /// AF_UNIX, or AF_INET for both versions of IP.
    pub(super) family: AddressFamily,
    /// What it carries: a stream, datagrams, or messages on a connection.
    pub(super) kind: SocketType,
}

/// Takes what LISTEN_FDS, LISTEN_PID and LISTEN_FDNAMES say is ours, and takes the first two out of the environment.
pub(super) fn from_manager() -> Result<Vec<Inherited>, ServerError> {
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    let mut names = names.split(':');
    let mut passed = ListenFd::from_env();
    (0..passed.len())
        .map(|index| {
            let name = names.next().filter(|name| !name.is_empty()).unwrap_or("unknown").to_owned();
            let descriptor = FIRST_DESCRIPTOR + index;
            let (socket, family, kind) =
                take(&mut passed, index).map_err(|reason| ServerError::Inherited { descriptor, reason })?;
            Ok(Inherited { descriptor, name, socket, family, kind })
        })
        .collect()
}

/// listenfd takes IPv6 for a kind of AF_INET, and puts back what is not of the family asked for.
fn take(passed: &mut ListenFd, index: usize) -> Result<(OwnedFd, AddressFamily, SocketType), String> {
    let mut reason = String::from("it was taken before");
    for kind in [SocketType::STREAM, SocketType::DGRAM, SocketType::SEQPACKET] {
        let raw = i32::try_from(kind.as_raw()).map_err(|error| error.to_string())?;
        for family in [AddressFamily::INET, AddressFamily::UNIX] {
            match passed.take_custom(index, i32::from(family.as_raw()), raw, "socket") {
                Ok(Some(socket)) => return Ok((socket, family, kind)),
                Ok(None) => {}
                Err(error) => reason = error.to_string(),
            }
        }
    }
    Err(reason)
}
