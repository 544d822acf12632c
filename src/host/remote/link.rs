//! Questions on their way, and their answers.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::sync::{mpsc, oneshot};

use crate::clock::{
    self,
    offsets::{Exchange, Offsets},
};
use crate::host::probe::protocol::{ANSWER_BYTES_MAX, Answered, Ask, EXITS_MAX, OUTSTANDING_MAX, Request, Told};
use crate::model::MonoTime;
use crate::record::line::{HostClock, JournalEntry, TraceEvent};
use crate::visible;

/// From one exchange of time to the next where nothing else is asked.
const EXCHANGE_EVERY: Duration = Duration::from_millis(200);

/// An answer to a question of time comes within this, or the host is lost.
const ANSWER_MAX: Duration = Duration::from_secs(20);

/// An exchange that takes longer tells less of the offset than those before it.
const EXCHANGE_MAX: Duration = Duration::from_secs(1);

/// Nothing that a host tells happened longer before the first exchange.
const BEFORE_MAX: Duration = Duration::from_secs(3_600);

/// What passes between a host and us.
#[derive(Debug)]
pub(super) struct Link {
    /// What the host is called.
    name: String,
    out: mpsc::UnboundedSender<Request>,
    next: Cell<u64>,
    /// By the number of the request.
    waiting: RefCell<BTreeMap<u64, Waiting>>,
    feeds: RefCell<BTreeMap<u64, Sink>>,
    /// Times that the machine's systemd tells are mapped by the same.
    offsets: Arc<Mutex<Offsets>>,
    /// When it began.
    began: MonoTime,
    lost: RefCell<Option<String>>,
}

/// A question without an answer.
#[derive(Debug)]
struct Waiting {
    asked: MonoTime,
    answer: oneshot::Sender<Answered>,
}

/// Where a feed's events go, and how many found no room there.
#[derive(Debug)]
pub(super) struct Sink {
    to: To,
    left_out: u64,
}

#[derive(Debug)]
enum To {
    Trace(mpsc::Sender<TraceEvent>),
    Journal(mpsc::Sender<JournalEntry>),
    /// The feed has ended by itself.
    Nobody,
}

impl Sink {
    pub(super) fn trace(events: mpsc::Sender<TraceEvent>) -> Self {
        Self { to: To::Trace(events), left_out: 0 }
    }

    pub(super) fn journal(entries: mpsc::Sender<JournalEntry>) -> Self {
        Self { to: To::Journal(entries), left_out: 0 }
    }
}

/// A question that is withdrawn if nobody waits for its answer any more.
struct Asked {
    link: Rc<Link>,
    id: u64,
}

impl Drop for Asked {
    fn drop(&mut self) {
        if self.link.waiting.borrow_mut().remove(&self.id).is_some() {
            // If it is answered nevertheless, that is passed over.
            let (link, request) = (&self.link, self.id);
            let _ = link.out.send(Request { id: link.number(), ask: Ask::Forget { request } });
        }
    }
}

impl Link {
    pub(super) fn new(name: String) -> (Rc<Self>, mpsc::UnboundedReceiver<Request>) {
        let (out, requests) = mpsc::unbounded_channel();
        let link = Self {
            name,
            out,
            next: Cell::new(0),
            waiting: RefCell::default(),
            feeds: RefCell::default(),
            offsets: Arc::default(),
            began: clock::now(),
            lost: RefCell::default(),
        };
        (Rc::new(link), requests)
    }

    fn number(&self) -> u64 {
        self.next.replace(self.next.get() + 1)
    }

    /// Asks at once; the answer is waited for by whoever polls. Its times are on our clock.
    pub(super) fn ask(self: &Rc<Self>, ask: Ask) -> impl Future<Output = io::Result<Answered>> + use<> {
        self.ask_as(self.number(), ask)
    }

    fn ask_as(self: &Rc<Self>, id: u64, ask: Ask) -> impl Future<Output = io::Result<Answered>> + use<> {
        let (answer, answered) = oneshot::channel();
        let sent = self.send(id, ask, answer);
        let asked = Asked { link: Rc::clone(self), id };
        async move {
            sent?;
            match answered.await {
                Ok(Answered::Failed(why)) => Err(io::Error::other(why)),
                Ok(answered) => Ok(answered),
                Err(_) => Err(asked.link.error()),
            }
        }
    }

    fn send(&self, id: u64, ask: Ask, answer: oneshot::Sender<Answered>) -> io::Result<()> {
        let mut waiting = self.waiting.borrow_mut();
        if self.lost.borrow().is_some() || self.out.is_closed() {
            return Err(self.error());
        }
        let most = if matches!(ask, Ask::Exit { .. }) { EXITS_MAX } else { OUTSTANDING_MAX };
        if waiting.len() >= most {
            return Err(io::Error::other(format!("{most} questions wait for an answer of {}", self.name)));
        }
        waiting.insert(id, Waiting { asked: clock::now(), answer });
        // Closed only after it is lost.
        let _ = self.out.send(Request { id, ask });
        Ok(())
    }

    /// Asks for a feed: its number, and its beginning.
    pub(super) fn ask_for_feed(
        self: &Rc<Self>,
        ask: Ask,
        sink: Sink,
    ) -> (u64, impl Future<Output = io::Result<Answered>> + use<>) {
        let feed = self.number();
        self.feeds.borrow_mut().insert(feed, sink);
        (feed, self.ask_as(feed, ask))
    }

    pub(super) fn forget_feed(&self, feed: u64) {
        self.feeds.borrow_mut().remove(&feed);
    }

    /// Ends a feed, after all that it had to tell: the number of events that were left out on the whole way.
    pub(super) async fn stop(self: Rc<Self>, feed: u64) -> io::Result<u64> {
        let stopped = self.ask(Ask::Stop { feed }).await;
        let sink = self.feeds.borrow_mut().remove(&feed);
        match stopped? {
            Answered::Stopped(left_out) => Ok(left_out + sink.map_or(0, |sink| sink.left_out)),
            _ => Err(self.lose("an answer is not one to its question")),
        }
    }

    /// Why it answers no more; none while it does.
    pub(super) fn lost(&self) -> Option<String> {
        self.lost.borrow().clone()
    }

    /// It answers no more: all who wait are told. The first reason counts.
    pub(super) fn lose(&self, why: &str) -> io::Error {
        self.lost
            .borrow_mut()
            .get_or_insert_with(|| format!("the connection to the probe on {} is lost: {why}", self.name));
        self.waiting.borrow_mut().clear();
        self.feeds.borrow_mut().clear();
        self.error()
    }

    fn error(&self) -> io::Error {
        let why = self.lost().unwrap_or_else(|| format!("the connection to the probe on {} is closed", self.name));
        io::Error::new(io::ErrorKind::ConnectionAborted, why)
    }

    fn offsets(&self) -> MutexGuard<'_, Offsets> {
        self.offsets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn kept_offsets(&self) -> Arc<Mutex<Offsets>> {
        Arc::clone(&self.offsets)
    }

    pub(super) fn clock(&self) -> HostClock {
        let offsets = self.offsets();
        HostClock {
            at: clock::now(),
            host: self.name.clone(),
            offset_ns: offsets.offset_ns(),
            half_width_ns: offsets.half_width_ns(),
        }
    }

    /// Takes a line of the probe.
    ///
    /// # Errors
    /// When it is not one.
    fn take(&self, line: &[u8], at: MonoTime) -> Result<(), String> {
        let told = serde_json::from_slice(line);
        match told.map_err(|error| format!("it sent what is not an answer: {}", visible::escape(&error.to_string())))? {
            Told::Answer { id, got, sent, answer } => self.take_answer(id, (got, sent, at), answer),
            Told::Trace { feed, mut event } => {
                event.at = self.mapped(event.at, at)?;
                self.deliver(feed, |to| match to {
                    To::Trace(events) => events.try_send(event).is_err(),
                    To::Journal(_) | To::Nobody => true,
                });
                Ok(())
            }
            Told::Journal { feed, mut entry } => {
                entry.at = self.mapped(entry.at, at)?;
                self.deliver(feed, |to| match to {
                    To::Journal(entries) => entries.try_send(entry).is_err(),
                    To::Trace(_) | To::Nobody => true,
                });
                Ok(())
            }
            Told::Over { feed } => {
                self.feeds.borrow_mut().get_mut(&feed).into_iter().for_each(|sink| sink.to = To::Nobody);
                Ok(())
            }
        }
    }

    fn take_answer(&self, id: u64, times: (MonoTime, MonoTime, MonoTime), mut answer: Answered) -> Result<(), String> {
        let (got, sent, answered) = times;
        if id >= self.next.get() {
            return Err("it answers what was not asked".to_owned());
        }
        // Nobody waits for what was withdrawn.
        let Some(Waiting { asked, answer: waiting }) = self.waiting.borrow_mut().remove(&id) else { return Ok(()) };
        if answered.since(asked) <= EXCHANGE_MAX {
            self.offsets().add(&Exchange { asked, got, sent, answered });
        }
        for time in answer.times() {
            *time = self.mapped(*time, answered)?;
        }
        // Whoever asked may have gone just now.
        let _ = waiting.send(answer);
        Ok(())
    }

    /// One of their times, told at `at`, on our clock.
    fn mapped(&self, theirs: MonoTime, at: MonoTime) -> Result<MonoTime, String> {
        let ours = self.offsets().ours(theirs, at);
        if ours + BEFORE_MAX < self.began {
            return Err("it tells of what happened more than an hour before it was asked".to_owned());
        }
        Ok(ours)
    }

    fn deliver(&self, feed: u64, is_left_out: impl FnOnce(&To) -> bool) {
        // What comes after the end of a feed nobody waits for.
        if let Some(sink) = self.feeds.borrow_mut().get_mut(&feed) {
            sink.left_out += u64::from(is_left_out(&sink.to));
        }
    }
}

/// Sends what is asked, until the probe takes no more.
pub(super) async fn write(link: Rc<Link>, mut input: ChildStdin, mut requests: mpsc::UnboundedReceiver<Request>) {
    while let Some(request) = requests.recv().await {
        let line = match serde_json::to_vec(&request) {
            Ok(mut line) => {
                line.push(b'\n');
                line
            }
            Err(error) => {
                let waiting = link.waiting.borrow_mut().remove(&request.id);
                let why = format!("it cannot be asked for: {error}");
                waiting.into_iter().for_each(|waiting| drop(waiting.answer.send(Answered::Failed(why.clone()))));
                continue;
            }
        };
        if let Some(waiting) = link.waiting.borrow_mut().get_mut(&request.id) {
            waiting.asked = clock::now();
        }
        if input.write_all(&line).await.is_err() {
            // Who reads finds out why.
            return;
        }
    }
}

/// Takes what is answered, until there is no more: why.
pub(super) async fn read(link: &Link, lines: &mut Lines) -> String {
    loop {
        match lines.next().await {
            Ok(Some((line, at))) => {
                if let Err(why) = link.take(&line, at) {
                    return why;
                }
            }
            Ok(None) => return "it ended".to_owned(),
            Err(error) => return format!("it cannot be read from: {error}"),
        }
    }
}

/// Asks for the time again and again, and gives up on a host that does not answer.
pub(super) async fn keep_time(link: Rc<Link>) {
    loop {
        tokio::time::sleep(EXCHANGE_EVERY).await;
        match tokio::time::timeout(ANSWER_MAX, link.ask(Ask::Clock)).await {
            Ok(Err(_)) if link.lost().is_some() => return,
            Ok(_) => {}
            Err(_) => {
                link.lose(&format!("no answer came for {} s", ANSWER_MAX.as_secs()));
                return;
            }
        }
    }
}

/// Lines of a probe, none longer than it may be.
#[derive(Debug)]
pub(super) struct Lines(BufReader<ChildStdout>);

impl Lines {
    pub(super) fn new(output: ChildStdout) -> Self {
        Self(BufReader::with_capacity(64 * 1024, output))
    }

    /// The next line, and when it was there; none at the end. A last line without an end is none.
    pub(super) async fn next(&mut self) -> io::Result<Option<(Vec<u8>, MonoTime)>> {
        let mut line = Vec::new();
        loop {
            let part = self.0.fill_buf().await?;
            let at = clock::now();
            if part.is_empty() {
                return Ok(None);
            }
            let end = part.iter().position(|&byte| byte == b'\n');
            let taken = end.map_or(part.len(), |end| end + 1);
            line.extend_from_slice(&part[..taken]);
            self.0.consume(taken);
            if line.len() > ANSWER_BYTES_MAX {
                return Err(io::Error::other("a line has more than 4 MiB"));
            }
            if end.is_some() {
                return Ok(Some((line, at)));
            }
        }
    }
}
