//! What a client can run out of, and the holding of all there is of it.

use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};

/// What the generator needs for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resource {
    /// File descriptors of the process.
    Descriptors,
    /// Local TCP ports of the network namespace.
    Ports,
}

/// All that there was of a resource, until it is dropped.
#[derive(Debug)]
pub(super) struct Exhausted {
    #[expect(dead_code, reason = "held for what the kernel makes of it, never used")]
    held: Vec<OwnedFd>,
}

impl Exhausted {
    /// Takes what is left of the resource in this process, or in its network: both should be its own, and little.
    pub(super) fn all_of(resource: Resource) -> io::Result<Self> {
        let mut held = vec![OwnedFd::from(File::open("/dev/null")?)];
        loop {
            let one_more = match resource {
                Resource::Descriptors => rustix::io::fcntl_dupfd_cloexec(&held[0], 0),
                Resource::Ports => some_port(),
            };
            match (resource, one_more) {
                (_, Ok(one_more)) => held.push(one_more),
                (Resource::Descriptors, Err(Errno::MFILE)) | (Resource::Ports, Err(Errno::ADDRINUSE)) => {
                    return Ok(Self { held });
                }
                (_, Err(error)) => return Err(error.into()),
            }
        }
    }
}

/// A socket on a port of the kernel's choice. connect(2) chooses none that somebody is bound to.
fn some_port() -> Result<OwnedFd, Errno> {
    let socket = rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    rustix::net::bind(&socket, &SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0))?;
    Ok(socket)
}
