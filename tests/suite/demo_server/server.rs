//! A server in this process, on an address that nobody else has.

use std::path::PathBuf;

use gapless::demo::server::{Background, Counts, ServerOptions, Transport};
use gapless::model::Endpoint;
use tempfile::TempDir;

use crate::demo_server::client::Client;

pub(crate) struct TestServer {
    pub(crate) background: Background,
    pub(crate) endpoint: Endpoint,
    folder: TempDir,
}

impl TestServer {
    pub(crate) fn start(transport: Transport, adjust: impl FnOnce(&mut ServerOptions)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let endpoint = match transport {
            Transport::Tcp => Endpoint::Tcp(([127, 0, 0, 1], 0).into()),
            Transport::Unix => Endpoint::Unix(folder.path().join("server.sock")),
            Transport::Udp => Endpoint::Udp(([127, 0, 0, 1], 0).into()),
            Transport::UnixDgram => Endpoint::UnixDgram(folder.path().join("server.sock")),
            Transport::UnixSeqpacket => Endpoint::UnixSeqpacket(folder.path().join("server.sock")),
            Transport::Fifo => Endpoint::Fifo(folder.path().join("server.fifo")),
        };
        let mut options = ServerOptions::listening_on(vec![endpoint]);
        adjust(&mut options);
        let background = Background::start(options).unwrap();
        let endpoint = background.endpoints()[0].clone();
        Self { background, endpoint, folder }
    }

    pub(crate) fn with_fault(transport: Transport, fault: &str) -> Self {
        Self::start(transport, |options| options.faults.push(fault.parse().unwrap()))
    }

    pub(crate) fn connect(&self) -> Client {
        Client::connect(&self.endpoint).unwrap()
    }

    /// A file in the server's own folder, which goes with it.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn counts(&self) -> Counts {
        self.background.counts()
    }

    pub(crate) fn stop(self) -> Counts {
        self.background.stop().unwrap()
    }
}
