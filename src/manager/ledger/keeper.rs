//! A ledger on another machine: a shell there keeps it for us ([`keeper.sh`]), in the place and the form of a gapless of
//! that machine.
//!
//! That shell holds the flock(2) that shows that the run lives. It ends with its input, so the lock goes when we are
//! killed, when `ssh` is, and 60 s after we were last heard of where the network is lost without a word.
//!
//! [`keeper.sh`]: the script next to this file

use std::io::{self, Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout};
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::ssh::Ssh;

/// It is heard of at least this often.
const BEAT_EVERY: Duration = Duration::from_secs(15);

/// A lost network ends `ssh` within 15 s; the shell may wait 20 s for a lock.
const ANSWER_MAX: Duration = Duration::from_secs(40);

/// A listing of more is not one of ledgers.
const ANSWER_BYTES_MAX: usize = 64 * 1024 * 1024;

/// A ledger that is listed.
#[derive(Debug, Default)]
pub(super) struct Listed {
    pub(super) name: String,
    pub(super) is_live: bool,
    pub(super) text: Vec<u8>,
}

/// The shell that keeps one ledger.
#[derive(Debug)]
pub(super) struct Keeper {
    ssh: Rc<Ssh>,
    /// Its file there.
    name: String,
    directory: PathBuf,
    shell: Shell,
}

impl Keeper {
    /// The ledgers there. Blocks for a round trip.
    pub(super) fn list(ssh: &Ssh) -> io::Result<Vec<Listed>> {
        let mut wire = Wire::start(ssh, &["list"])?;
        wire.answer().map(|answer| answer.files)
    }

    /// Makes a new one.
    pub(super) fn create(ssh: &Rc<Ssh>) -> io::Result<Self> {
        Self::start(ssh, &["new"]).map(|(keeper, _)| keeper)
    }

    /// Takes one whose owner is dead, with what is in it.
    pub(super) fn hold(ssh: &Rc<Ssh>, name: &str) -> io::Result<(Self, Vec<u8>)> {
        Self::start(ssh, &["hold", name])
    }

    fn start(ssh: &Rc<Ssh>, arguments: &[&str]) -> io::Result<(Self, Vec<u8>)> {
        let mut wire = Wire::start(ssh, arguments)?;
        let answer = wire.answer()?;
        let mut words = answer.words.splitn(3, ' ').map(str::to_owned);
        let (pid, directory, name) = (words.next(), words.next(), words.next());
        let (Some(pid), Some(directory), Some(name)) = (pid, directory, name) else {
            return Err(io::Error::other("its keeper gives an unexpected answer"));
        };
        let keeper = Self { ssh: Rc::clone(ssh), name, directory: directory.into(), shell: Shell::new(wire, pid) };
        Ok((keeper, answer.text))
    }

    /// Takes the same ledger again where its shell was lost with the connection. Nothing where it was not.
    pub(super) fn again(&mut self) -> io::Result<()> {
        if self.ask("b").is_ok() {
            return Ok(());
        }
        let arguments = ["hold", &self.name, &self.shell.pid];
        let mut wire = Wire::start(&self.ssh, &arguments)?;
        let answer = wire.answer()?;
        let pid = answer.words.split(' ').next().unwrap_or_default().to_owned();
        self.shell = Shell::new(wire, pid);
        Ok(())
    }

    pub(super) fn ssh(&self) -> &Rc<Ssh> {
        &self.ssh
    }

    /// Its file there.
    pub(super) fn path(&self) -> PathBuf {
        self.directory.join(&self.name)
    }

    /// Adds a line, on disk there when this returns.
    pub(super) fn append(&mut self, line: &str) -> io::Result<()> {
        self.ask(&format!("a {line}")).map(drop)
    }

    /// The other ledgers there. No other run may make or judge one until [`Self::unlock`].
    pub(super) fn lock(&mut self) -> io::Result<Vec<Listed>> {
        self.ask("c").map(|answer| answer.files)
    }

    pub(super) fn unlock(&mut self) -> io::Result<()> {
        self.ask("u").map(drop)
    }

    pub(super) fn remove(&mut self) -> io::Result<()> {
        self.ask("r").map(drop)
    }

    fn ask(&mut self, question: &str) -> io::Result<Answer> {
        self.shell.wire.lock().unwrap_or_else(PoisonError::into_inner).ask(question)
    }
}

/// A keeper's shell that is spoken to now and then, so that it knows of us while nothing is to be written.
#[derive(Debug)]
struct Shell {
    wire: Arc<Mutex<Wire>>,
    pid: String,
    /// Ends the beat when it is dropped.
    _beat: mpsc::Sender<()>,
}

impl Shell {
    fn new(wire: Wire, pid: String) -> Self {
        let wire = Arc::new(Mutex::new(wire));
        let (sender, ended) = mpsc::channel();
        let beaten = Arc::downgrade(&wire);
        std::thread::spawn(move || {
            while ended.recv_timeout(BEAT_EVERY) == Err(mpsc::RecvTimeoutError::Timeout) {
                let Some(wire) = beaten.upgrade() else { return };
                // Whoever writes next hears of what is wrong.
                let _ = wire.lock().unwrap_or_else(PoisonError::into_inner).ask("b");
            }
        });
        Self { wire, pid, _beat: sender }
    }
}

/// What comes back for one question.
#[derive(Debug, Default)]
struct Answer {
    files: Vec<Listed>,
    /// The lines before the first file.
    text: Vec<u8>,
    /// After `ok`.
    words: String,
}

/// Question and answer, one at a time.
#[derive(Debug)]
struct Wire {
    child: Child,
    input: ChildStdin,
    output: ChildStdout,
    received: Vec<u8>,
    /// An answer that did not come could be taken for that to another question.
    is_broken: bool,
}

impl Wire {
    fn start(ssh: &Ssh, arguments: &[&str]) -> io::Result<Self> {
        let mut child = ssh.command(include_str!("keeper.sh"), arguments).spawn()?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let (Some(input), Some(output)) = (input, output) else { return Err(io::ErrorKind::BrokenPipe.into()) };
        Ok(Self { child, input, output, received: Vec::new(), is_broken: false })
    }

    fn ask(&mut self, question: &str) -> io::Result<Answer> {
        if self.is_broken {
            return Err(io::Error::new(io::ErrorKind::NotConnected, "the connection to its machine was lost"));
        }
        let asked = self.input.write_all(format!("{question}\n").as_bytes());
        let asked = asked.inspect_err(|_| self.is_broken = true);
        asked?;
        self.answer()
    }

    fn answer(&mut self) -> io::Result<Answer> {
        let mut answer = Answer::default();
        loop {
            let line = self.line().inspect_err(|_| self.is_broken = true)?;
            if let Some(text) = line.strip_prefix("= ") {
                let place = answer.files.last_mut().map_or(&mut answer.text, |file| &mut file.text);
                place.extend_from_slice(text.as_bytes());
                place.push(b'\n');
            } else if let Some((state, name)) = line.strip_prefix("f ").and_then(|file| file.split_once(' ')) {
                answer.files.push(Listed { name: name.to_owned(), is_live: state == "live", text: Vec::new() });
            } else if let Some(reason) = line.strip_prefix("no ") {
                return Err(io::Error::other(reason.to_owned()));
            } else if let Some(words) = line.strip_prefix("ok") {
                words.trim().clone_into(&mut answer.words);
                return Ok(answer);
            }
        }
    }

    fn line(&mut self) -> io::Result<String> {
        let mut searched = 0;
        loop {
            if let Some(end) = self.received[searched..].iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.received.drain(..=searched + end).collect();
                return Ok(String::from_utf8_lossy(&line[..line.len() - 1]).into_owned());
            }
            searched = self.received.len();
            if searched > ANSWER_BYTES_MAX {
                return Err(io::Error::other("its keeper goes on and on"));
            }
            self.wait_for_output()?;
            let mut part = [0; 16 * 1024];
            match self.output.read(&mut part)? {
                0 => return Err(io::Error::new(io::ErrorKind::UnexpectedEof, self.last_words())),
                length => self.received.extend_from_slice(&part[..length]),
            }
        }
    }

    fn wait_for_output(&self) -> io::Result<()> {
        let limit = Timespec { tv_sec: i64::try_from(ANSWER_MAX.as_secs()).unwrap_or(i64::MAX), tv_nsec: 0 };
        loop {
            return match poll(&mut [PollFd::new(&self.output, PollFlags::IN)], Some(&limit)) {
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => Err(error.into()),
                Ok(0) => {
                    Err(io::Error::new(io::ErrorKind::TimedOut, format!("no answer for {} s", ANSWER_MAX.as_secs())))
                }
                Ok(_) => Ok(()),
            };
        }
    }

    /// What `ssh` or the shell says of its end.
    fn last_words(&mut self) -> String {
        let mut said = String::new();
        // Its own output has ended, so it has.
        let _ = self.child.kill();
        if let Some(stderr) = self.child.stderr.take() {
            let _ = stderr.take(4096).read_to_string(&mut said);
        }
        let last = said.trim().lines().next_back().unwrap_or_default();
        if last.is_empty() { "the connection to its machine was lost".to_owned() } else { last.to_owned() }
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        // Its shell ends with its input; that one must not be waited for where the network is lost.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
