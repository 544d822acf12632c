//! What the kernel's own trace says: who reset which connection and why, and when a listener came and went.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use super::timeline::Span;
use crate::model::address::takes;
use crate::model::{Endpoint, MonoTime};
use crate::record::line::{Line, Queue, TraceEvent, Traced};
use crate::record::segment::FailureSample;
use crate::scenario::plan::Destination;

/// A listener that closes resets its queue one by one, and the kernel lets others run in between (cond_resched in
/// inet_csk_listen_stop, net/ipv4/inet_connection_sock.c): on a busy machine the last goes so much later. A reset that
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
    /// Comings (true) and goings of listeners, in order of time.
    listeners: Vec<(MonoTime, SocketAddr, bool)>,
    began: Option<(MonoTime, &'a [SocketAddr])>,
    /// Until when nothing is missing.
    ended: Option<MonoTime>,
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
        trace.listeners.retain(|&(at, local, _)| !is_a_strangers(at, local.port(), &looks));
        trace.listeners.sort_unstable();
        trace
    }

    fn note(&mut self, event: &'a TraceEvent) {
        let at = event.at;
        match &event.traced {
            Traced::Began { targets } => self.began = Some((at, targets)),
            Traced::Ended { left_out } => self.ended = (*left_out == 0).then_some(at),
            Traced::ListenerUp { local } => self.listeners.push((at, *local, true)),
            Traced::ListenerDown { local, .. } => self.listeners.push((at, *local, false)),
            Traced::ResetSent { from, to, state, reason } => {
                let reset = Reset { at, from: *from, state, reason: reason.as_deref() };
                self.resets.entry(*to).or_default().push(reset);
            }
            Traced::ResetReceived { .. } => {}
        }
    }

    /// Why the connection of a failed request was reset; none if the trace does not tell. A request may see
    /// several resets, after the one that ended it: the first counts.
    pub(crate) fn reset_of(&self, sample: &FailureSample, destination: &Destination) -> Option<ResetWord> {
        let local: SocketAddr = sample.local.as_deref()?.parse().ok()?;
        let lifetime = Span::new(sample.connected.unwrap_or(sample.due), sample.end).widened(JOIN_SLACK_NS);
        let resets = self.resets.get(&SocketAddr::new(local.ip().to_canonical(), local.port()))?;
        let mut own = resets.iter().filter(|reset| lifetime.overlaps(Span::new(reset.at, reset.at)));
        own.find(|reset| destination.reaches(&Endpoint::Tcp(reset.from)))
            .and_then(|reset| self.word(reset, lifetime.from))
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
        self.listeners
            .iter()
            .any(|&(at, local, up)| !up && takes(local, reset.from) && (since..=reset.at).contains(&at))
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
        let mut gone = self.listeners.iter().filter(|&&(at, local, up)| {
            !up && destination.reaches(&Endpoint::Tcp(local)) && span.overlaps(Span::new(at, at))
        });
        self.covers(destination, span) && gone.next().is_none()
    }

    /// The spans around and in `within` in which no listener was at `destination`, to the microsecond: each from the
    /// last going to the next coming. Several where one came and went again, as a server's that tests its
    /// configuration before it starts.
    pub(crate) fn gaps(&self, destination: &Destination, within: Span, load_end: MonoTime) -> Vec<Span> {
        let mut gaps = Vec::new();
        let mut gone = None;
        for &(at, _, up) in self.listeners.iter().filter(|&&(_, local, _)| destination.reaches(&Endpoint::Tcp(local))) {
            if up {
                gaps.extend(gone.take().map(|gone| Span::new(gone, at)));
            } else {
                gone = Some(at);
            }
        }
        gaps.extend(gone.map(|gone| Span::new(gone, load_end)));
        gaps.retain(|gap| gap.overlaps(within));
        gaps
    }
}

/// Whether a listener that came or went at `at` was one of another network namespace: a container's, on the same port.
/// The trace is one for all of them, the looks at the listeners are at ours only, and the last before and the first
/// after it show the same sockets. Without one of the two it is taken for ours.
fn is_a_strangers(at: MonoTime, port: u16, looks: &[&Queue]) -> bool {
    let slack = Duration::from_nanos(JOIN_SLACK_NS);
    let before = looks.partition_point(|look| look.at + slack < at).checked_sub(1).and_then(|last| looks.get(last));
    let after = looks.get(looks.partition_point(|look| look.at <= at + slack));
    let (Some(before), Some(after)) = (before, after) else { return false };
    let ours = sockets(before, port);
    !ours.is_empty() && ours == sockets(after, port)
}

/// The inodes of the listeners at that port.
fn sockets(look: &Queue, port: u16) -> BTreeSet<u64> {
    let at_port = look.listeners.iter().filter(|listener| match &listener.endpoint {
        Endpoint::Tcp(address) => address.port() == port,
        Endpoint::Unix(_) => false,
    });
    at_port.map(|listener| listener.inode).collect()
}

/// Whether `destination` is that very address.
fn is_same(target: SocketAddr, destination: &Destination) -> bool {
    destination.endpoint() == Some(Endpoint::Tcp(target))
}
