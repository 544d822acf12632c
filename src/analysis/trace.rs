//! What the kernel's own trace says: who reset which connection and why, and when a listener came and went.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use crate::model::Span;
use crate::model::address::{Listener, takes};
use crate::model::{Endpoint, MonoTime};
use crate::record::line::{Line, Queue, TraceEvent, Traced};
use crate::record::segment::FailureSample;
use crate::scenario::plan::Destination;

/// A listener that closes resets its queue one by one, and the kernel lets others run in between (cond_resched in
/// inet_csk_listen_stop, net/ipv4/inet_connection_sock.c): on a busy machine the last goes this much later. A reset that
/// is further away, and of which the kernel does not tell the reason, has another one.
const WITH_ITS_LISTENER: Duration = Duration::from_millis(20);

/// The trace counts in microseconds, and a client notices a reset a little after it was sent.
const JOIN_SLACK_NS: u64 = 1_000_000;

/// Why the kernel reset a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResetWord {
    /// There was no socket to connect to, or none any more.
    NoSocket,
    /// Its listener closed while the connection waited in the accept queue.
    QueueClosed,
    /// The server closed it with bytes unread.
    ClosedUnread,
    /// The client wrote after the server's orderly close.
    WroteAfterClose,
    /// The server threw it away, its listener stayed.
    Aborted,
}

/// The trace of one run.
#[derive(Debug, Default)]
pub(crate) struct Trace<'a> {
    /// By the client's address, in order of time.
    resets: BTreeMap<SocketAddr, Vec<Reset<'a>>>,
    /// Comings and goings of listeners, in order of time, without those of other sockets than the target's.
    listeners: Vec<Move>,
    began: Option<(MonoTime, &'a [SocketAddr])>,
    /// Until when nothing is missing.
    ended: Option<MonoTime>,
}

/// A listener came or went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Move {
    at: MonoTime,
    local: SocketAddr,
    is_up: bool,
    /// Of the socket that was destroyed.
    cookie: Option<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Reset<'a> {
    at: MonoTime,
    from: SocketAddr,
    state: &'a str,
    reason: Option<&'a str>,
}

impl<'a> Trace<'a> {
    pub(crate) fn of(lines: &'a [Line]) -> Self {
        let mut trace = Self::default();
        let mut looks = Vec::new();
        for line in lines {
            match line {
                Line::Trace(event) => trace.note(event),
                Line::Queue(look) => looks.push(look),
                _ => {}
            }
        }
        trace.resets.values_mut().for_each(|resets| resets.sort_by_key(|reset| reset.at));
        looks.sort_by_key(|look| look.at);
        trace.listeners.sort_unstable();
        trace.listeners = without_others(&trace.listeners, &looks);
        trace
    }

    fn note(&mut self, event: &'a TraceEvent) {
        let at = event.at;
        match &event.traced {
            Traced::Began { targets } => self.began = Some((at, targets)),
            Traced::Ended { left_out } => self.ended = (*left_out == 0).then_some(at),
            Traced::ListenerUp { local } => {
                self.listeners.push(Move { at, local: *local, is_up: true, cookie: None });
            }
            Traced::ListenerDown { local, cookie } => {
                self.listeners.push(Move { at, local: *local, is_up: false, cookie: *cookie });
            }
            Traced::ResetSent { from, to, state, reason } => {
                let reset = Reset { at, from: *from, state, reason: reason.as_deref() };
                self.resets.entry(*to).or_default().push(reset);
            }
            Traced::ResetReceived { .. } => {}
        }
    }

    /// Why the connection of a failed request was reset; none if the trace does not tell. A request may see
    /// several resets, after the one that ended it: the first counts. The trace is known to `slack_ns` of our clock: a
    /// reset that may as well be of a connection that had the same port before tells nothing if another follows that says
    /// otherwise. With a negative slack, a listener counts as lost if that is certain.
    pub(crate) fn reset_of(
        &self,
        sample: &FailureSample,
        destination: &Destination,
        slack_ns: i64,
    ) -> Option<ResetWord> {
        let local: SocketAddr = sample.local.as_deref()?.parse().ok()?;
        let lifetime = Span::new(sample.connected.unwrap_or(sample.due), sample.end).widened(JOIN_SLACK_NS);
        let resets = self.resets.get(&SocketAddr::new(local.ip().to_canonical(), local.port()))?;
        let [certain, possible] = [-slack_ns.abs(), slack_ns.abs()].map(|slack_ns| lifetime.stretched(slack_ns));
        let since = lifetime.stretched(slack_ns).from;
        let mut own = resets.iter().filter(|reset| {
            possible.overlaps(Span::new(reset.at, reset.at)) && destination.reaches(&Endpoint::Tcp(reset.from))
        });
        let first = own.next()?;
        let word = self.word(first, since)?;
        let is_doubtful = first.at < certain.from && own.any(|other| self.word(other, since) != Some(word));
        (!is_doubtful).then_some(word)
    }

    /// What the reset of a connection says that began at `connected`. Kernels before 6.10 give no reason; the socket's
    /// state stands in where it is as clear.
    fn word(&self, reset: &Reset<'_>, connected: MonoTime) -> Option<ResetWord> {
        let just_before = reset.at - WITH_ITS_LISTENER;
        match (reset.reason, reset.state) {
            (Some("NO_SOCKET"), _) | (None, "UNKNOWN") => Some(ResetWord::NoSocket),
            (Some("TCP_ABORT_ON_CLOSE"), _) => Some(ResetWord::ClosedUnread),
            (Some("TCP_TIMEWAIT_SOCKET"), _) | (None, "TCP_TIME_WAIT") => Some(ResetWord::WroteAfterClose),
            (Some("TCP_STATE"), "TCP_CLOSE") if self.lost_its_listener(reset, connected) => {
                Some(ResetWord::QueueClosed)
            }
            (None, "TCP_CLOSE") if self.lost_its_listener(reset, just_before) => Some(ResetWord::QueueClosed),
            (Some("TCP_STATE" | "TCP_ABORT_ON_DATA"), "TCP_FIN_WAIT1" | "TCP_FIN_WAIT2") => {
                Some(ResetWord::WroteAfterClose)
            }
            (Some("TCP_STATE"), _) => Some(ResetWord::Aborted),
            _ => None,
        }
    }

    /// The listener that it had connected to went between `since` and the reset.
    fn lost_its_listener(&self, reset: &Reset<'_>, since: MonoTime) -> bool {
        self.listeners.iter().any(|it| !it.is_up && takes(it.local, reset.from) && (since..=reset.at).contains(&it.at))
    }

    /// The trace was on all through `span`, was about `destination`, and lost nothing.
    pub(crate) fn covers(&self, destination: &Destination, span: Span) -> bool {
        let Some((began, targets)) = self.began else { return false };
        let is_traced = targets.iter().any(|target| is_same(*target, destination));
        is_traced && began <= span.from && self.ended.is_some_and(|ended| span.to <= ended)
    }

    /// The listener at `destination` stayed in TCP_LISTEN all through `span`: the trace was there, lost nothing,
    /// and saw none go.
    pub(crate) fn never_left_listen(&self, destination: &Destination, span: Span) -> bool {
        let is_gone = |it: &Move| !it.is_up && destination.reaches(&Endpoint::Tcp(it.local)) && span.holds(it.at);
        self.covers(destination, span) && !self.listeners.iter().any(is_gone)
    }

    /// The spans around and in `within` in which no listener was at `destination`, to the microsecond: each from the
    /// last going to the next coming. Several where one came and went again, as a server's that tests its
    /// configuration before it starts.
    pub(crate) fn gaps(&self, destination: &Destination, within: Span, load_end: MonoTime) -> Vec<Span> {
        let mut gaps = Vec::new();
        let mut gone = None;
        for it in self.listeners.iter().filter(|it| destination.reaches(&Endpoint::Tcp(it.local))) {
            if it.is_up {
                gaps.extend(gone.take().map(|gone| Span::new(gone, it.at)));
            } else {
                gone = Some(it.at);
            }
        }
        gaps.extend(gone.map(|gone| Span::new(gone, load_end)));
        gaps.retain(|gap| gap.overlaps(within));
        gaps
    }
}

/// Without the moves of sockets that are proven to be others than those that a look showed: of another network
/// namespace (a container's, on the same port), or opened beside them. The trace is one for all namespaces, the looks
/// are at ours only. A socket that was destroyed is known by its cookie. One that was shut down lives on and may listen
/// again, nobody knows whose it is: it is taken for ours.
fn without_others(moves: &[Move], looks: &[&Queue]) -> Vec<Move> {
    let mut kept: Vec<Move> = Vec::new();
    for (place, it) in moves.iter().enumerate() {
        let is_anothers = match it.cookie {
            Some(cookie) => cookies_before(it, &moves[..place], looks).is_some_and(|known| !known.contains(&cookie)),
            None if it.is_up => {
                let has_gone = kept.iter().rev().find(|last| last.local == it.local).is_some_and(|last| !last.is_up);
                !has_gone && stayed_the_same(it.at, it.local.port(), looks)
            }
            None => false,
        };
        if !is_anothers {
            kept.push(*it);
        }
    }
    kept
}

/// The cookies of the listeners at its port that the last look before `it` showed and that have not gone since; none
/// where it showed none.
fn cookies_before(it: &Move, earlier: &[Move], looks: &[&Queue]) -> Option<BTreeSet<u64>> {
    let look = look_before(it.at, looks)?;
    let at_port = look.listeners.iter().filter(|listener| is_at(listener, it.local.port()));
    let mut cookies: BTreeSet<u64> = at_port.filter_map(|listener| listener.cookie).collect();
    let since = earlier.iter().filter(|other| other.at >= look.at);
    since.filter_map(|other| other.cookie).for_each(|gone| {
        cookies.remove(&gone);
    });
    (!cookies.is_empty()).then_some(cookies)
}

fn look_before<'a>(at: MonoTime, looks: &[&'a Queue]) -> Option<&'a Queue> {
    let slack = Duration::from_nanos(JOIN_SLACK_NS);
    let seen = looks.partition_point(|look| look.at + slack < at);
    looks.get(seen.checked_sub(1)?).copied()
}

/// Whether the last look before `at` and the first after it show the same sockets.
fn stayed_the_same(at: MonoTime, port: u16, looks: &[&Queue]) -> bool {
    let slack = Duration::from_nanos(JOIN_SLACK_NS);
    let after = looks.get(looks.partition_point(|look| look.at <= at + slack));
    let (Some(before), Some(after)) = (look_before(at, looks), after) else { return false };
    let ours = sockets(before, port);
    !ours.is_empty() && ours == sockets(after, port)
}

/// The inodes of the listeners at that port.
fn sockets(look: &Queue, port: u16) -> BTreeSet<u64> {
    look.listeners.iter().filter(|listener| is_at(listener, port)).map(|listener| listener.inode).collect()
}

fn is_at(listener: &Listener, port: u16) -> bool {
    matches!(&listener.endpoint, Endpoint::Tcp(address) if address.port() == port)
}

/// Whether `destination` is that very address.
fn is_same(target: SocketAddr, destination: &Destination) -> bool {
    destination.endpoint() == Some(Endpoint::Tcp(target))
}
