//! Sockets of requests that were given up, kept open for their late answers.

use std::collections::VecDeque;
use std::time::Duration;

use super::stream::Stream;
use crate::model::MonoTime;

/// At most this many are kept. The answers that come late are those to the requests that waited longest, so where there is
/// no more room it is the newest that are closed. A receive buffer of the kernel's default size holds fewer datagrams.
pub(in crate::load) const LATE_SOCKETS_MAX: usize = 1024;

/// An answer that comes later than this after its request was given up is not kept from anybody.
const KEPT_FOR: Duration = Duration::from_secs(120);

/// Oldest first, with when their requests were given up. The kernel gives the address of an open socket to no other one: an
/// answer that arrives late arrives here, where nobody reads it.
#[derive(Debug, Default)]
pub(super) struct LateSockets(VecDeque<(MonoTime, Stream)>);

impl LateSockets {
    pub(super) fn add(&mut self, stream: Stream, now: MonoTime) {
        while self.0.front().is_some_and(|(since, _)| now.since(*since) > KEPT_FOR) {
            self.0.pop_front();
        }
        if self.0.len() < LATE_SOCKETS_MAX {
            self.0.push_back((now, stream));
        }
    }
}
