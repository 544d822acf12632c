//! The console of a twin: a terminal that nobody sees. systemd says there what goes wrong before it has a journal.
//!
//! Whoever wants the twin opens it, between the twin's file system is built and its systemd is started, and reads it to the
//! last: a terminal that is not read holds up those who write to it.

use std::cell::RefCell;
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use rustix::fs::OFlags;
use rustix::mount::mount_bind;
use rustix::pty::unlockpt;
use tokio::task::{JoinHandle, spawn_local};
use tokio::time::sleep;

/// What is kept of what is said there.
const KEPT_BYTES: usize = 16 << 10;

/// The first terminal of a twin, which is this one.
const TERMINAL: &str = "/dev/pts/0";

/// How often it is read.
const LOOKS: Duration = Duration::from_millis(100);

/// The reader's side.
#[derive(Debug)]
pub(super) struct Console {
    heard: Rc<Heard>,
    reader: JoinHandle<()>,
    /// Without a writer that stays, reading ends with the first that closes it.
    _terminal: File,
}

#[derive(Debug)]
struct Heard {
    master: File,
    said: RefCell<Vec<u8>>,
}

impl Console {
    /// Opens it in the twin whose first process has that PID, and reads it until this is dropped.
    pub(super) fn open(pid: i32) -> io::Result<Self> {
        let inside = |path: &str| format!("/proc/{pid}/root{path}");
        let mut options = OpenOptions::new();
        options.read(true).write(true).custom_flags((OFlags::NOCTTY | OFlags::NONBLOCK).bits().cast_signed());
        let master = options.open(inside("/dev/pts/ptmx"))?;
        unlockpt(&master)?;
        let terminal = options.open(inside(TERMINAL))?;
        let heard = Rc::new(Heard { master, said: RefCell::default() });
        let reader = spawn_local(read(Rc::clone(&heard)));
        Ok(Self { heard, reader, _terminal: terminal })
    }

    /// The last lines, at most that many.
    pub(super) fn last_lines(&self, most: usize) -> Vec<String> {
        self.heard.read();
        let said = self.heard.said.borrow();
        let text = String::from_utf8_lossy(&said);
        let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
        lines[lines.len().saturating_sub(most)..].iter().map(|&line| line.to_owned()).collect()
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

async fn read(heard: Rc<Heard>) {
    loop {
        heard.read();
        sleep(LOOKS).await;
    }
}

impl Heard {
    /// Reads what is there.
    fn read(&self) {
        let mut bytes = [0; 4096];
        while let Ok(length @ 1..) = (&self.master).read(&mut bytes) {
            let mut said = self.said.borrow_mut();
            said.extend_from_slice(&bytes[..length]);
            let surplus = said.len().saturating_sub(KEPT_BYTES);
            said.drain(..surplus);
        }
    }
}

/// Puts it where systemd looks for it, in the twin. Without one, what it would say there is lost.
pub(super) fn put() {
    let _ = mount_bind(Path::new(TERMINAL), Path::new("/dev/console"));
}
