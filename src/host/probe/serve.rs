//! Answers requests from what a host sees.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::protocol::{Answered, Ask, FEEDS_MAX, FORMAT, Hello, OUTSTANDING_MAX, Request};
use super::wire::{Incoming, Outgoing};
use crate::host::machine::{self, Place};
use crate::host::{Feed, Host, Stop, trace};
use crate::model::MonoTime;
use crate::visible;

/// A peer that asks nothing for as long is gone, although the connection has not noticed: it asks for the time several times a second.
const PEER_SILENT_MAX: Duration = Duration::from_secs(60);

/// What was answered before the end of input is written within this time, or not at all.
pub(super) const LAST_WORDS: Duration = Duration::from_secs(1);

/// Why serving ended early.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A line is not a request.
    #[error("line {number} of the input is not a request of {FORMAT}: {why}; gapless starts its probe by itself")]
    NotARequest {
        /// From 1.
        number: u64,
        /// What is wrong with it.
        why: String,
    },
    /// Nobody has asked anything.
    #[error("no request came for {} s: the peer is gone", PEER_SILENT_MAX.as_secs())]
    Silent,
    /// Input cannot be read, or a thread cannot be started.
    #[error("cannot serve: {0}")]
    Io(#[from] io::Error),
}

/// Serves until `incoming` ends, nobody takes what is said, or a signal asks to end.
///
/// # Errors
/// When a line is not a request, or none comes for a minute.
pub(super) async fn serve(
    host: Rc<dyn Host>,
    mut incoming: mpsc::Receiver<Incoming>,
    out: mpsc::Sender<Outgoing>,
) -> Result<(), ServeError> {
    let hello = hello(&*host).await;
    if out.send(Outgoing::Hello(Box::new(hello))).await.is_err() {
        return Ok(());
    }
    let [mut hangup, mut terminate, mut interrupt] =
        [signal(SignalKind::hangup())?, signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?];
    let mut served = Served { host, out: out.clone(), waiting: BTreeMap::new(), feeds: Feeds::default() };
    let mut number = 0;
    loop {
        // Nothing more is read while answers find no room.
        if out.reserve().await.is_err() {
            return Ok(());
        }
        let came = tokio::select! {
            came = timeout(PEER_SILENT_MAX, incoming.recv()) => came.map_err(|_| ServeError::Silent)?,
            () = out.closed() => return Ok(()),
            _ = hangup.recv() => return Ok(()),
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
        };
        number += 1;
        let (line, got) = match came {
            None => return Ok(()),
            Some(Incoming::Line(line, got)) => (line, got),
            Some(Incoming::TooLong) => {
                return Err(ServeError::NotARequest { number, why: "it has more than 64 KiB".to_owned() });
            }
            Some(Incoming::Failed(error)) => return Err(error.into()),
        };
        let request = serde_json::from_slice(&line);
        let request: Request =
            request.map_err(|error| ServeError::NotARequest { number, why: visible::escape(&error.to_string()) })?;
        served.take(request, got).map_err(|why| ServeError::NotARequest { number, why: why.to_owned() })?;
    }
}

async fn hello(host: &dyn Host) -> Hello {
    Hello {
        format: FORMAT.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        now: host.now(),
        host: machine::describe(None),
        place: Place::own(),
        control_group: host.own_group().await,
        is_root: machine::is_root(),
        no_trace: trace::is_available().err().map(|why| why.to_string()),
    }
}

/// What is under way.
struct Served {
    host: Rc<dyn Host>,
    out: mpsc::Sender<Outgoing>,
    /// By the number of the request.
    waiting: BTreeMap<u64, JoinHandle<()>>,
    feeds: Feeds,
}

/// Traces and journals by the number of their request; none is one that is being set up.
type Feeds = Rc<RefCell<BTreeMap<u64, Option<Telling>>>>;

/// A trace or a journal that is told.
struct Telling {
    stop: Stop,
    pump: JoinHandle<()>,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.waiting.values().for_each(JoinHandle::abort);
        for telling in std::mem::take(&mut *self.feeds.borrow_mut()).into_values().flatten() {
            telling.pump.abort();
        }
    }
}

impl Served {
    /// Begins to answer.
    ///
    /// # Errors
    /// When the request cannot be one of [`Remote`](crate::host::Remote)'s.
    fn take(&mut self, Request { id, ask }: Request, got: MonoTime) -> Result<(), &'static str> {
        self.waiting.retain(|_, task| !task.is_finished());
        if self.waiting.contains_key(&id) || self.feeds.borrow().contains_key(&id) {
            return Err("its number is that of a request that waits");
        }
        if self.waiting.len() >= OUTSTANDING_MAX && !matches!(ask, Ask::Forget { .. }) {
            return Err("4,096 requests wait already");
        }
        match &ask {
            Ask::Forget { request } => {
                self.waiting.remove(request).iter().for_each(JoinHandle::abort);
                return Ok(());
            }
            Ask::Trace { .. } | Ask::Journal { .. } => {
                if self.feeds.borrow().len() >= FEEDS_MAX {
                    return Err("8 traces and journals are under way already");
                }
                self.feeds.borrow_mut().insert(id, None);
            }
            _ => {}
        }
        let (host, out, feeds) = (Rc::clone(&self.host), self.out.clone(), Rc::clone(&self.feeds));
        let task = tokio::task::spawn_local(async move {
            let answer = match ask {
                Ask::Trace { ports } => {
                    let told = move |event| Outgoing::Trace { feed: id, event };
                    let begun = host.trace(&ports).await;
                    begin(begun.map_err(|error| error.to_string()), id, &feeds, &out, told)
                }
                Ask::Journal { scope, units } => {
                    let told = move |entry| Outgoing::Journal { feed: id, entry };
                    let begun = host.journal(scope, &units).await;
                    begin(begun.map_err(|error| error.to_string()), id, &feeds, &out, told)
                }
                Ask::Stop { feed } => stop(feed, &feeds).await,
                ask => answer(&*host, ask).await.unwrap_or_else(|error| Answered::Failed(error.to_string())),
            };
            // Fails only where nobody reads any more.
            let _ = out.send(Outgoing::Answer { id, got, answer }).await;
        });
        self.waiting.insert(id, task);
        Ok(())
    }
}

/// Tells what a feed tells until it is stopped. Where nobody takes that, it waits in the feed, which counts what it drops.
fn begin<T: 'static>(
    begun: Result<Feed<T>, String>,
    id: u64,
    feeds: &Feeds,
    out: &mpsc::Sender<Outgoing>,
    told: impl Fn(T) -> Outgoing + 'static,
) -> Answered {
    let Feed { began, mut events, stop } = match begun {
        Ok(feed) => feed,
        Err(error) => {
            feeds.borrow_mut().remove(&id);
            return Answered::Failed(error);
        }
    };
    let out = out.clone();
    let pump = tokio::task::spawn_local(async move {
        while let Some(event) = events.recv().await {
            if out.send(told(event)).await.is_err() {
                return;
            }
        }
        let _ = out.send(Outgoing::Over { feed: id }).await;
    });
    feeds.borrow_mut().insert(id, Some(Telling { stop, pump }));
    Answered::Began(began)
}

/// Ends a feed, and answers after all that it had to tell.
async fn stop(feed: u64, feeds: &Feeds) -> Answered {
    let telling = feeds.borrow_mut().remove(&feed).flatten();
    let Some(Telling { stop, pump }) = telling else {
        return Answered::Failed("no trace or journal has that number".to_owned());
    };
    let left_out = stop().await;
    // It neither panics nor is aborted while it is waited for.
    let _ = pump.await;
    left_out.map_or_else(|error| Answered::Failed(error.to_string()), Answered::Stopped)
}

async fn answer(host: &dyn Host, ask: Ask) -> io::Result<Answered> {
    Ok(match ask {
        Ask::Has { at } => Answered::Is(host.has(&at).await?),
        Ask::Listeners { at } => Answered::Listeners(host.listeners(&at).await?),
        Ask::Holders { at, inode } => Answered::Holders(host.holders(&at, inode).await?),
        Ask::Held { at, systemd } => Answered::Held(host.held(&at, systemd).await?),
        Ask::Listens { pid } => Answered::Listens(host.listens(pid).await?),
        Ask::Process { pid } => Answered::Process(host.process(pid).await?.map(Box::new)),
        Ask::Processes { control_group } => Answered::Processes(host.processes(&control_group).await?),
        Ask::Memory { control_group } => Answered::Memory(host.memory(&control_group).await?),
        Ask::Exit { process } => Answered::Exit(host.exit(process).await?),
        Ask::Counters => Answered::Counters(host.counters().await?),
        Ask::HasPath { path } => Answered::Is(host.has_path(&path).await?),
        // The other three are not for the host.
        Ask::Clock | Ask::Forget { .. } | Ask::Trace { .. } | Ask::Journal { .. } | Ask::Stop { .. } => Answered::Done,
    })
}
