//! What backlog an event would have needed.

use super::event::Event;
use super::facts::Facts;
use super::number::float;
use super::words;
use crate::model::Cause;
use crate::record::line::{Note, NoteKind};
use crate::result::EventResult;
use crate::scenario::describe;
use crate::scenario::plan::{Cohort, Connections, Destination, Pace};

/// A queue is near its end from this share of its backlog.
const NEAR: f64 = 0.8;

/// One sentence on the event whose queue came closest to its end, or went past it; none if none came near.
pub(crate) fn note(facts: &Facts<'_>, results: &[EventResult]) -> Option<Note> {
    let timeline = &facts.timeline;
    // The size of a FIFO is not known.
    if timeline.plan.cohorts.iter().any(|cohort| matches!(cohort.target.connect, Destination::Fifo(_))) {
        return None;
    }
    let pairs = timeline.events.iter().zip(results).filter(|(_, result)| is_near(result));
    let needed = pairs.filter_map(|(event, result)| Some((event, result, result.backlog_needed?)));
    let (event, result, need) = needed.max_by_key(|&(.., need)| need)?;
    let (queued, backlog) = (result.queue_peak?, result.backlog?);
    let stall_s = result.stall_ms? / 1e3;
    if let Some(message) = of_messages(facts, event, (queued, backlog), (need, stall_s)) {
        return Some(Note { kind: NoteKind::Info, message });
    }
    let message = format!(
        "{}: up to {queued} connections waited in an accept queue with a backlog of {backlog}{}; {} through a stall of {stall_s:.1} s need a backlog of at least {need}.",
        words::event(event),
        refused_syns(facts, event),
        arrivals(&facts.timeline.plan.cohorts),
    );
    Some(Note { kind: NoteKind::Info, message })
}

/// The same where requests are datagrams; none where connections are made.
fn of_messages(
    facts: &Facts<'_>,
    event: &Event<'_>,
    (queued, backlog): (u32, u32),
    (need, stall_s): (u64, f64),
) -> Option<String> {
    let cohorts = &facts.timeline.plan.cohorts;
    let destination = cohorts.iter().map(|cohort| &cohort.target.connect).find(|connect| connect.takes_datagrams())?;
    let (event_name, arrivals) = (words::event(event), arrivals(cohorts));
    Some(match destination {
        Destination::Udp { .. } => {
            let dropped = facts.timeline.drops(destination, event.span()).unwrap_or(0);
            let dropped =
                if dropped > 0 { format!(", and the kernel dropped {dropped} datagrams") } else { String::new() };
            let asked = need.div_ceil(2);
            format!(
                "{event_name}: up to {queued} bytes waited in a receive buffer of {backlog}{dropped}; {arrivals} through a \
                 stall of {stall_s:.1} s need a receive buffer of about {need} bytes: ReceiveBuffer={asked}, which the \
                 kernel doubles."
            )
        }
        _ => format!(
            "{event_name}: {} datagrams fit into the queue of a Unix socket (net.unix.max_dgram_qlen); {arrivals} through a \
             stall of {stall_s:.1} s need room for {need}.",
            u64::from(backlog) + 1
        ),
    })
}

/// What the kernel accounts for one UDP datagram in a receive buffer: the descriptor and the block that its data came in.
/// Measured on Linux 6.18 over loopback, IPv4: 832 bytes up to a body of 190, 1280 up to 640, 2304 up to 1660, and so on.
fn datagram_bytes(body: usize) -> u64 {
    const DESCRIPTOR_BYTES: usize = 256;
    const SMALL_HEAD_BYTES: usize = 576;
    // Headers, their alignment, and struct skb_shared_info behind the data.
    let head = body + 379;
    let block = if head <= SMALL_HEAD_BYTES { SMALL_HEAD_BYTES } else { head.next_power_of_two() };
    (DESCRIPTOR_BYTES + block) as u64
}

fn is_near(result: &EventResult) -> bool {
    let near = |(queued, backlog): (u32, u32)| backlog > 0 && f64::from(queued) >= NEAR * f64::from(backlog);
    result.queue_peak.zip(result.backlog).is_some_and(near) || result.causes.contains_key(&Cause::QueueOverflow)
}

/// What one request takes of the queue that it waits in: one place, or of UDP these bytes.
fn room(cohort: &Cohort) -> f64 {
    match cohort.target.connect {
        Destination::Udp { .. } => float(datagram_bytes(cohort.target.body.len())),
        _ => 1.0,
    }
}

/// The connections that arrive in `stall_ms` at the address that gets the most of them; of UDP, the bytes of its receive
/// buffer that the datagrams take.
pub(crate) fn need(facts: &Facts<'_>, stall_ms: f64) -> Option<u64> {
    let cohorts = &facts.timeline.plan.cohorts;
    let at = |address: &String| -> f64 {
        let same = cohorts.iter().filter(|cohort| describe::destination(&cohort.target.connect) == *address);
        same.map(|cohort| arriving(cohort, stall_ms) * room(cohort)).sum()
    };
    let addresses = cohorts.iter().map(|cohort| describe::destination(&cohort.target.connect));
    let most = addresses.map(|address| at(&address)).fold(0.0, f64::max).ceil();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number of connections")]
    (most > 0.0).then_some(most as u64)
}

/// A cohort that keeps its connections can want no more of them than it may have, a client never more than one.
fn arriving(cohort: &Cohort, stall_ms: f64) -> f64 {
    match (cohort.connections, cohort.pace) {
        (Connections::Reused(count), _) => float(u64::from(count)),
        (Connections::New, Pace::Rate(rate)) => rate * stall_ms / 1e3,
        (Connections::New, Pace::Clients(clients)) => float(u64::from(clients)),
        (Connections::New, Pace::Health { .. } | Pace::OnDemand) => 1.0,
    }
}

/// `50 new connections/s and 16 kept ones`.
fn arrivals(cohorts: &[Cohort]) -> String {
    let (mut rate, mut kept) = (0.0, 0.0);
    for cohort in cohorts {
        match (cohort.connections, cohort.pace) {
            (Connections::New, Pace::Rate(own)) => rate += own,
            _ => kept += arriving(cohort, 0.0),
        }
    }
    if cohorts.iter().all(|cohort| cohort.target.scheme.sends_messages()) && rate > 0.0 {
        return format!("{rate} messages/s");
    }
    match (rate > 0.0, kept > 0.0) {
        (true, true) => format!("{rate} new connections/s and {kept} kept ones"),
        (true, false) => format!("{rate} new connections/s"),
        _ => format!("{kept} connections"),
    }
}

fn refused_syns(facts: &Facts<'_>, event: &Event<'_>) -> String {
    match facts.timeline.rise("ListenDrops", event.span()) {
        Some(drops @ 1..) => format!(", and the kernel dropped {drops} more attempts"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datagram_takes_what_the_kernel_accounts_for_it() {
        for (body, bytes) in [(1, 832), (150, 832), (200, 1280), (600, 1280), (700, 2304), (1400, 2304), (9000, 16_640)]
        {
            assert_eq!(datagram_bytes(body), bytes, "{body}");
        }
    }
}
