//! Another machine, reached by the user's own `ssh` program: its configuration, agent and known hosts count, and a
//! password is never asked for.
//!
//! | file | subject |
//! |---|---|
//! | `destination` | `USER@HOST`, as it is given on the command line |
//! | `master` | the one connection that everything else goes over |
//! | `folder` | the directory of its control socket, for us alone |
//! | `script` | what is run there: POSIX sh, quoted for the login shell |
//! | `about` | what that machine says of itself |
//! | `offset` | how far its clock is from ours |
//! | `error` | what can go wrong, each with its remedy |

mod about;
mod destination;
mod error;
mod folder;
mod master;
mod offset;
mod script;

use std::cell::RefCell;
use std::io;
use std::process::{Output, Stdio};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::timeout;

pub use about::About;
pub use destination::{Destination, DestinationError};
pub use error::SshError;
pub use offset::{Clock, Offset};

use self::folder::Folder;
use self::master::Master;
use crate::clock::offsets::Offsets;

/// A script that has not ended by then is given up.
const SCRIPT_MAX: Duration = Duration::from_secs(30);

/// The machine that units are on.
#[derive(Clone, Debug, Default)]
pub enum Place {
    /// This one.
    #[default]
    Here,
    /// Another one.
    There(Rc<Ssh>),
}

impl Place {
    /// The connection to another machine; none for this one.
    #[must_use]
    pub fn there(&self) -> Option<&Rc<Ssh>> {
        match self {
            Self::Here => None,
            Self::There(ssh) => Some(ssh),
        }
    }

    /// The clock there.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.there().map(|ssh| ssh.clock()).unwrap_or_default()
    }
}

/// A connection to another machine. It ends with this, and with this process, however that ends.
#[derive(Debug)]
pub struct Ssh {
    destination: Destination,
    folder: Folder,
    state: RefCell<State>,
    /// Kept by whoever compares the clocks all the time.
    offsets: RefCell<Option<Arc<Mutex<Offsets>>>>,
}

#[derive(Debug)]
struct State {
    master: Master,
    about: About,
    offset: Offset,
}

impl Ssh {
    /// Connects, asks the machine about itself and compares the clocks.
    ///
    /// # Errors
    /// When there is no connection without a question to the user, or the machine cannot be used.
    pub async fn open(destination: &Destination) -> Result<Self, SshError> {
        let folder = Folder::create().map_err(|error| SshError::no_folder(destination, &error))?;
        let state = RefCell::new(connect(destination, &folder).await?);
        Ok(Self { destination: destination.clone(), folder, state, offsets: RefCell::default() })
    }

    /// Makes sure that there is a connection: one that was lost is made anew. Gives whether it was.
    ///
    /// # Errors
    /// As [`Self::open`], and when the machine was booted since: what a run knows of it is void then.
    pub async fn ensure(&self) -> Result<bool, SshError> {
        if self.state.borrow_mut().master.is_alive() && self.run("exit 0", &[]).await.is_ok() {
            return Ok(false);
        }
        // The socket of one that hangs is in the way of the next.
        self.state.borrow_mut().master.end();
        let state = connect(&self.destination, &self.folder).await?;
        let booted = state.about.boot != self.state.borrow().about.boot;
        self.state.replace(state);
        if booted { Err(SshError::booted(&self.destination)) } else { Ok(true) }
    }

    /// Where it leads.
    #[must_use]
    pub fn destination(&self) -> &Destination {
        &self.destination
    }

    /// What the machine said of itself when it was connected to.
    #[must_use]
    pub fn about(&self) -> About {
        self.state.borrow().about.clone()
    }

    /// As measured when it was connected to.
    #[must_use]
    pub fn offset(&self) -> Offset {
        self.state.borrow().offset
    }

    /// Times of the machine are mapped by these from now on.
    pub fn keep_time_by(&self, offsets: Arc<Mutex<Offsets>>) {
        self.offsets.replace(Some(offsets));
    }

    /// The machine's clock.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.offsets
            .borrow()
            .as_ref()
            .map_or_else(|| Clock::Measured(self.offset()), |kept| Clock::Kept(Arc::clone(kept)))
    }

    /// A command that runs a script of POSIX sh there, over this connection and no other: where the connection is lost,
    /// it fails. The script must contain no single quote.
    #[must_use]
    pub fn command(&self, script: &str, arguments: &[&str]) -> std::process::Command {
        master::over(&self.folder.socket(), &self.destination, &script::line(script, arguments))
    }

    /// Runs a script of POSIX sh there and gives what it printed.
    ///
    /// # Errors
    /// When it does not end within 30 s or fails; the message is what it said last on its standard error.
    pub async fn run(&self, script: &str, arguments: &[&str]) -> io::Result<Vec<u8>> {
        let mut command = tokio::process::Command::from(self.command(script, arguments));
        command.stdin(Stdio::null()).kill_on_drop(true);
        let ended = timeout(SCRIPT_MAX, command.output()).await;
        let output: Output =
            ended.map_err(|_| io::Error::other(format!("no answer for {} s", SCRIPT_MAX.as_secs())))??;
        if output.status.success() {
            return Ok(output.stdout);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.trim().lines().next_back().unwrap_or("it failed without a word").to_owned();
        Err(io::Error::other(said))
    }

    /// The text of a file there.
    ///
    /// # Errors
    /// When it cannot be read, is no regular file of at most 1 MiB, or is not UTF-8.
    pub async fn read_text(&self, path: &std::path::Path) -> io::Result<String> {
        let path = path.to_str().ok_or_else(|| io::Error::other("its path is not UTF-8"))?;
        let bytes = self.run(include_str!("read.sh"), &[path]).await?;
        String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }
}

async fn connect(destination: &Destination, folder: &Folder) -> Result<State, SshError> {
    let (mut master, about) = Master::start(destination, &folder.socket()).await?;
    about.is_usable(destination)?;
    let offset = offset::measure(&mut master).await.map_err(|error| SshError::lost(destination, &error))?;
    Ok(State { master, about, offset })
}
