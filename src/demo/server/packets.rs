//! A connection that carries messages: each is a request, and its answer one message.

use std::io;
use std::sync::Arc;

use bytes::BytesMut;

use super::connection::end;
use super::fault::{Effect, FaultKind, Scope, Transport};
use super::pause::pause;
use super::script::Ending;
use super::selection::choose;
use super::service::Service;
use super::stream::Stream;

/// The longest message that is taken.
const MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// Answers each message with `ok PID`, until the client ends the connection or the server stops.
pub(super) async fn serve(mut stream: Stream, service: Arc<Service>) {
    let ending = exchange(&mut stream, &service).await;
    end(stream, ending).await;
}

async fn exchange(stream: &mut Stream, service: &Service) -> io::Result<Ending> {
    if let Some(kind) = fault(service, Scope::Connection, service.counters.connection()) {
        if stream.await_first_byte().await? {
            service.counters.injection(kind);
        }
        if kind == FaultKind::AcceptCloseUnread {
            stream.end().await?;
            return Ok(Ending::Wait);
        }
        // The kernel makes a reset of the close, because there is a message unread.
        return Ok(Ending::Close);
    }
    let mut stopping = service.stopping.subscribe();
    loop {
        let mut message = BytesMut::with_capacity(MESSAGE_BYTES_MAX);
        let length_bytes = tokio::select! {
            biased;
            read = stream.read(&mut message) => read?,
            _ = stopping.wait_for(|stopping| *stopping) => return Ok(Ending::Close),
        };
        if length_bytes == 0 {
            return Ok(Ending::Close);
        }
        let fault = fault(service, Scope::Request, service.counters.request());
        fault.into_iter().for_each(|kind| service.counters.injection(kind));
        pause(service.options.service_time).await;
        service.thaw().await;
        let answer = match fault {
            Some(FaultKind::Stall) => return Ok(Ending::Wait),
            Some(FaultKind::CloseBefore) => return Ok(Ending::Close),
            Some(FaultKind::WrongBody) => "wrong\n".to_owned(),
            _ => format!("ok {}\n", std::process::id()),
        };
        stream.write(answer.as_bytes()).await?;
        service.count_answer();
    }
}

/// The fault that is meant for this one, if messages have it.
fn fault(service: &Service, scope: Scope, ordinal: u64) -> Option<FaultKind> {
    let is_of_messages = |kind: &FaultKind| kind.effect(Transport::UnixSeqpacket) != Effect::Unavailable;
    choose(&service.options.faults, scope, ordinal).filter(is_of_messages)
}
