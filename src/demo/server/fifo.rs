//! A FIFO that the server reads: each line is a request, and nothing is answered.

use std::fs;
use std::io;
use std::os::unix::fs::FileTypeExt as _;
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{CWD, Mode};
use rustix::io::Errno;
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe::{OpenOptions, Receiver};

use super::pause::pause;
use super::service::Service;
use crate::model::Endpoint;

const READ_BYTES: usize = 64 * 1024;

/// Reads one FIFO.
#[derive(Debug)]
pub(super) struct Fifo {
    pub(super) endpoint: Endpoint,
    /// Open to write as well, so that it does not end with its last writer.
    receiver: Receiver,
}

impl Fifo {
    /// Makes it where it is missing, and opens it. Within a runtime only.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        make(path)?;
        let receiver = OpenOptions::new().read_write(true).open_receiver(path)?;
        Ok(Self { endpoint: Endpoint::Fifo(path.to_owned()), receiver })
    }

    /// Counts each line until the server stops.
    pub(super) async fn serve(mut self, service: Arc<Service>) {
        let mut bytes = vec![0; READ_BYTES];
        let mut stopping = service.stopping.subscribe();
        loop {
            let read = tokio::select! {
                read = self.receiver.read(&mut bytes) => read,
                _ = stopping.wait_for(|stopping| *stopping) => return,
            };
            let Ok(length) = read else { return };
            for _ in 0..lines(&bytes[..length]) {
                service.counters.request();
                pause(service.options.service_time).await;
            }
        }
    }
}

/// The messages that end in these bytes.
pub(super) fn lines(bytes: &[u8]) -> usize {
    bytes.split(|byte| *byte == b'\n').skip(1).count()
}

/// Makes a FIFO, unless there is one.
pub(super) fn make(path: &Path) -> io::Result<()> {
    match rustix::fs::mkfifoat(CWD, path, Mode::from_raw_mode(0o666)) {
        Err(Errno::EXIST) if fs::metadata(path)?.file_type().is_fifo() => Ok(()),
        made => Ok(made?),
    }
}
