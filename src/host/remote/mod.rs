//! Another machine, through `gapless probe` there.
//!
//! | file | subject |
//! |---|---|
//! | `mod.rs` | what is asked, as a [`Host`] |
//! | `start.rs` | the child process that leads there, its hello, and the first exchanges of time |
//! | `link.rs` | questions, their answers, and the end of the connection |

mod link;
mod start;

use std::io;
use std::path::Path;
use std::rc::Rc;
use std::sync::{Arc, Mutex};

use tokio::process::Child;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use self::link::{Link, Sink};
pub use self::start::RemoteError;
use super::journal::Scope;
use super::machine::Place;
use super::probe::protocol::{Answered, Ask, Hello};
use super::trace::TraceError;
use super::{Answer, Feed, Host, Look};
use crate::clock::{self, offsets::Offsets};
use crate::model::address::{Endpoint, Listener};
use crate::model::holder::Holder;
use crate::model::process::{Exit, Process};
use crate::model::{MonoTime, ProcessId, UnitName};
use crate::record::line::{HostClock, JournalEntry, TraceEvent};

/// The maximum number of events of a trace or a journal that wait to be recorded.
const EVENTS_MAX: usize = 8_192;

/// Another machine, while the child process that leads to its probe runs.
#[derive(Debug)]
pub struct Remote {
    link: Rc<Link>,
    hello: Hello,
    /// Where we are.
    own: Place,
    tasks: Vec<JoinHandle<()>>,
    child: Child,
}

impl Drop for Remote {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Remote {
    /// What the probe said of itself and its machine.
    #[must_use]
    pub fn hello(&self) -> &Hello {
        &self.hello
    }

    /// What it is called, and how its clock is to ours as far as is known now.
    #[must_use]
    pub fn host_clock(&self) -> HostClock {
        self.link.clock()
    }

    /// How its clock is to ours, kept up for as long as it answers.
    #[must_use]
    pub fn offsets(&self) -> Arc<Mutex<Offsets>> {
        self.link.kept_offsets()
    }

    /// The PID of the child process; none once it was seen to end.
    #[must_use]
    pub fn child_id(&self) -> Option<u32> {
        self.child.id()
    }

    /// Asks for the time, and waits for the answer.
    ///
    /// # Errors
    /// When the connection is lost.
    pub async fn exchange(&self) -> io::Result<()> {
        self.link.ask(Ask::Clock).await.map(drop)
    }

    fn ask<T: 'static>(&self, ask: Ask, of: fn(Answered) -> Option<T>) -> Answer<'static, io::Result<T>> {
        let asked = self.link.ask(ask);
        let link = Rc::clone(&self.link);
        Box::pin(async move {
            let answered = asked.await?;
            of(answered).ok_or_else(|| link.lose("an answer is not one to its question"))
        })
    }

    async fn feed<T: 'static>(&self, ask: Ask, sink: fn(mpsc::Sender<T>) -> Sink) -> io::Result<Feed<T>> {
        let (sender, events) = mpsc::channel(EVENTS_MAX);
        let (feed, asked) = self.link.ask_for_feed(ask, sink(sender));
        match asked.await {
            Ok(Answered::Began(began)) => {
                let link = Rc::clone(&self.link);
                Ok(Feed { began, events, stop: Box::new(move || Box::pin(async move { link.stop(feed).await })) })
            }
            Ok(_) => Err(self.link.lose("an answer is not one to its question")),
            Err(error) => {
                self.link.forget_feed(feed);
                Err(error)
            }
        }
    }

    /// Whether what we send there stays on a machine that is not that one.
    fn is_out_of_reach(&self, at: &Endpoint) -> bool {
        let there = &self.hello.place;
        match (at.ip(), at.path()) {
            (Some(address), _) => {
                let ip = address.ip().to_canonical();
                (ip.is_loopback() || ip.is_unspecified()) && !self.own.shares_network(there)
            }
            (None, Some(_)) => !self.own.shares_files(there),
            (None, None) => !self.own.shares_network(there),
        }
    }
}

impl Host for Remote {
    fn now(&self) -> MonoTime {
        clock::now()
    }

    fn clock(&self) -> Option<HostClock> {
        Some(self.host_clock())
    }

    fn lost(&self) -> Option<String> {
        self.link.lost()
    }

    fn blindness(&self) -> Option<String> {
        self.lost()
    }

    fn own_group(&self) -> Answer<'_, Option<String>> {
        Box::pin(async { self.hello.control_group.clone() })
    }

    fn has<'a>(&'a self, at: &'a Endpoint) -> Answer<'a, io::Result<bool>> {
        if self.is_out_of_reach(at) {
            return Box::pin(async { Ok(false) });
        }
        self.ask(Ask::Has { at: at.clone() }, |answered| match answered {
            Answered::Is(is) => Some(is),
            _ => None,
        })
    }

    fn listeners<'a>(&'a self, at: &'a [Endpoint]) -> Answer<'a, io::Result<Look<Vec<Listener>>>> {
        self.ask(Ask::Listeners { at: at.to_vec() }, |answered| match answered {
            Answered::Listeners(look) => Some(look),
            _ => None,
        })
    }

    fn holders<'a>(&'a self, at: &'a Endpoint, inode: u64) -> Answer<'a, io::Result<Look<Vec<Holder>>>> {
        self.ask(Ask::Holders { at: at.clone(), inode }, |answered| match answered {
            Answered::Holders(look) => Some(look),
            _ => None,
        })
    }

    fn held<'a>(&'a self, at: &'a [Endpoint], systemd: Option<u32>) -> Answer<'a, io::Result<Vec<Listener>>> {
        self.ask(Ask::Held { at: at.to_vec(), systemd }, |answered| match answered {
            Answered::Held(listeners) => Some(listeners),
            _ => None,
        })
    }

    fn listens(&self, pid: u32) -> Answer<'_, io::Result<Vec<Endpoint>>> {
        self.ask(Ask::Listens { pid }, |answered| match answered {
            Answered::Listens(endpoints) => Some(endpoints),
            _ => None,
        })
    }

    fn process(&self, pid: u32) -> Answer<'_, io::Result<Option<Process>>> {
        self.ask(Ask::Process { pid }, |answered| match answered {
            Answered::Process(process) => Some(process.map(|process| *process)),
            _ => None,
        })
    }

    fn processes<'a>(&'a self, control_group: &'a str) -> Answer<'a, io::Result<Vec<ProcessId>>> {
        self.ask(Ask::Processes { control_group: control_group.to_owned() }, |answered| match answered {
            Answered::Processes(processes) => Some(processes),
            _ => None,
        })
    }

    fn memory<'a>(&'a self, control_group: &'a str) -> Answer<'a, io::Result<Option<u64>>> {
        self.ask(Ask::Memory { control_group: control_group.to_owned() }, |answered| match answered {
            Answered::Memory(bytes) => Some(bytes),
            _ => None,
        })
    }

    fn exit(&self, process: ProcessId) -> Answer<'static, io::Result<Exit>> {
        self.ask(Ask::Exit { process }, |answered| match answered {
            Answered::Exit(exit) => Some(exit),
            _ => None,
        })
    }

    fn counters(&self) -> Answer<'_, io::Result<Vec<(String, u64)>>> {
        self.ask(Ask::Counters, |answered| match answered {
            Answered::Counters(counters) => Some(counters),
            _ => None,
        })
    }

    fn has_path<'a>(&'a self, path: &'a Path) -> Answer<'a, io::Result<bool>> {
        self.ask(Ask::HasPath { path: path.to_owned() }, |answered| match answered {
            Answered::Is(is) => Some(is),
            _ => None,
        })
    }

    fn trace<'a>(&'a self, ports: &'a [u16]) -> Answer<'a, Result<Feed<TraceEvent>, TraceError>> {
        let ask = Ask::Trace { ports: ports.to_vec() };
        Box::pin(async { self.feed(ask, Sink::trace).await.map_err(|why| TraceError::Elsewhere(why.to_string())) })
    }

    fn journal<'a>(&'a self, scope: Scope, units: &'a [UnitName]) -> Answer<'a, io::Result<Feed<JournalEntry>>> {
        let ask = Ask::Journal { scope, units: units.to_vec() };
        Box::pin(self.feed(ask, Sink::journal))
    }
}
