//! Queues of messages that are left as they are until the server stops, and then counted: what the kernel took is there.

use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{Mode, OFlags};
use rustix::net::{RecvFlags, SocketType};

use super::fault::FaultKind;
use super::fifo;
use super::listener::bind_path;
use crate::model::Endpoint;

/// The room of a queue that is to overflow: the kernel queues one connection more than a backlog, and makes a page of less.
const FEW_CONNECTIONS: u32 = 7;
const FEW_BYTES: usize = 8 * 4096;

/// A queue that nobody takes from.
#[derive(Debug)]
pub(super) struct Unread {
    pub(super) endpoint: Endpoint,
    queue: OwnedFd,
}

impl Unread {
    /// Listens at `endpoint`, or opens it to read.
    ///
    /// # Errors
    /// When the kernel refuses, or connections are not made there for messages.
    pub(super) fn open(kind: FaultKind, endpoint: &Endpoint, backlog: u32) -> io::Result<Self> {
        let is_small = kind == FaultKind::Overflow;
        let queue = match endpoint {
            Endpoint::UnixSeqpacket(path) => {
                let socket = bind_path(path, SocketType::SEQPACKET, if is_small { FEW_CONNECTIONS } else { backlog })?;
                rustix::io::ioctl_fionbio(&socket, true)?;
                socket
            }
            Endpoint::Fifo(path) => {
                fifo::make(path)?;
                let fifo = rustix::fs::open(path, OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())?;
                if is_small {
                    rustix::pipe::fcntl_setpipe_size(&fifo, FEW_BYTES)?;
                }
                fifo
            }
            _ => {
                return Err(io::Error::new(
                    io::ErrorKind::Unsupported,
                    format!("there is no {kind} on such an address"),
                ));
            }
        };
        Ok(Self { endpoint: endpoint.clone(), queue })
    }

    /// Takes out all that waits: the number of messages.
    pub(super) fn count(&self) -> usize {
        let mut bytes = vec![0; FEW_BYTES];
        if matches!(self.endpoint, Endpoint::Fifo(_)) {
            let read = std::iter::from_fn(|| {
                rustix::io::read(&self.queue, bytes.as_mut_slice()).ok().map(|n| fifo::lines(&bytes[..n]))
            });
            return read.sum();
        }
        let connections = std::iter::from_fn(|| rustix::net::accept(&self.queue).ok());
        let has_message = |connection: &OwnedFd| {
            let received = rustix::net::recv(connection, &mut [0_u8; 1], RecvFlags::DONTWAIT);
            matches!(received, Ok((_, 1..)))
        };
        connections.filter(has_message).count()
    }
}
