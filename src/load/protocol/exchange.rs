//! The protocols behind one interface: start an exchange, poll, hear what became of it.

use std::task::{Context, Poll, ready};

use super::answer::{Answer, Exchanged, NoAnswer, Over};
use super::bytes::BytesExchange;
use super::http::HttpExchange;
use super::http2::Http2;
use super::message::MessageExchange;
use super::request::{Expectation, RequestTemplate};
use crate::load::classify::Failure;
use crate::load::connection::Wire;
use crate::load::instances::Instances;
use crate::record::segment::GoAways;

/// What speaks on one connection. An exchange is known by its number on the connection, from 1.
pub(in crate::load) enum Protocol {
    /// HTTP/1.1.
    Http(OneAtATime<Box<HttpExchange>>),
    /// HTTP/2.
    Http2(Box<Http2>),
    /// Bytes.
    Bytes(OneAtATime<BytesExchange>),
    /// Messages.
    Message(OneAtATime<MessageExchange>),
}

/// What a protocol tells of itself.
#[derive(Clone, Copy, Debug)]
pub(in crate::load) enum ProtocolEvent {
    /// That exchange has ended.
    Ended(u64, Exchanged),
    /// Not a byte of that exchange was sent: it has still to be made, on another connection.
    NotSent(u64, Over),
    /// The connection is of no further use. No exchange is in flight.
    Over(Over),
}

/// Whether an exchange can be started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::load) enum Room {
    Now,
    /// Once another has ended.
    Later,
    /// Not on this connection: it serves those in flight.
    Never,
}

/// A protocol that makes one exchange after the other.
pub(in crate::load) struct OneAtATime<E> {
    exchange: E,
    in_flight: Option<InFlight>,
}

/// An exchange that has not ended.
#[derive(Clone, Copy, Debug)]
pub(in crate::load) struct InFlight {
    /// Its number on the connection, from 1.
    nth: u64,
    /// Which request it makes.
    which: u16,
}

impl Protocol {
    /// For a connection that no request has used.
    pub(in crate::load) fn new(requests: &[RequestTemplate], expect: &Expectation, instances: Instances) -> Self {
        match requests.first() {
            Some(RequestTemplate::Http(_)) => {
                Self::Http(OneAtATime { exchange: Box::new(HttpExchange::new(expect, instances)), in_flight: None })
            }
            Some(RequestTemplate::Http2(_)) => Self::Http2(Box::new(Http2::new(expect, instances))),
            Some(RequestTemplate::Tcp(_)) | None => {
                Self::Bytes(OneAtATime { exchange: BytesExchange::new(expect, instances), in_flight: None })
            }
            Some(RequestTemplate::Message(_)) => {
                Self::Message(OneAtATime { exchange: MessageExchange::new(expect, instances), in_flight: None })
            }
        }
    }

    /// Whether it can start another exchange.
    pub(in crate::load) fn room(&self) -> Room {
        let is_busy = match self {
            Self::Http(http) => http.in_flight.is_some(),
            Self::Http2(http2) => return http2.room(),
            Self::Bytes(bytes) => bytes.in_flight.is_some(),
            Self::Message(message) => message.in_flight.is_some(),
        };
        if is_busy { Room::Later } else { Room::Now }
    }

    /// Starts the exchange with that number, of that request; there must be room for it.
    pub(in crate::load) fn start(&mut self, nth: u64, which: u16, expect: &Expectation, wire: &mut Wire) {
        match self {
            Self::Http(http) => {
                wire.begin();
                http.in_flight = Some(InFlight { nth, which });
                http.exchange.start(expect, nth);
            }
            Self::Http2(http2) => http2.start(nth, which),
            Self::Bytes(bytes) => {
                wire.begin();
                bytes.in_flight = Some(InFlight { nth, which });
                bytes.exchange.start(expect);
            }
            Self::Message(message) => {
                wire.begin();
                message.in_flight = Some(InFlight { nth, which });
                message.exchange.start(expect);
            }
        }
    }

    /// Sends and reads; without an exchange in flight, watches the connection.
    pub(in crate::load) fn poll(
        &mut self,
        requests: &[RequestTemplate],
        expect: &Expectation,
        wire: &mut Wire,
        cx: &mut Context<'_>,
    ) -> Poll<ProtocolEvent> {
        let request = |in_flight: InFlight| requests.get(usize::from(in_flight.which));
        // A protocol is made for the requests of its target: there are no others.
        let (in_flight, answered) = match self {
            Self::Http(http) => {
                let Some(in_flight) = http.in_flight else {
                    return HttpExchange::poll_over(wire, cx).map(ProtocolEvent::Over);
                };
                let Some(RequestTemplate::Http(request)) = request(in_flight) else { return Poll::Pending };
                (in_flight.nth, ready!(http.exchange.poll(request, expect, wire, cx)))
            }
            Self::Bytes(bytes) => {
                let Some(in_flight) = bytes.in_flight else { return Poll::Pending };
                let Some(RequestTemplate::Tcp(request)) = request(in_flight) else { return Poll::Pending };
                (in_flight.nth, ready!(bytes.exchange.poll(request, expect, wire, cx)))
            }
            Self::Message(message) => {
                let Some(in_flight) = message.in_flight else { return Poll::Pending };
                let Some(RequestTemplate::Message(request)) = request(in_flight) else { return Poll::Pending };
                (in_flight.nth, ready!(message.exchange.poll(request, expect, wire, cx)))
            }
            Self::Http2(http2) => return http2.poll(requests, expect, wire, cx),
        };
        Poll::Ready(match answered {
            Err(NoAnswer::NotSent(over)) => ProtocolEvent::NotSent(in_flight, over),
            Err(NoAnswer::Failed(failure)) => ProtocolEvent::Ended(in_flight, self.end(Err(failure), wire)),
            Ok(answer) => {
                let keeps_connection = answer.reusable && !answer.has_surplus;
                let ended = Exchanged { keeps_connection, ..self.end(Ok(answer), wire) };
                ProtocolEvent::Ended(in_flight, ended)
            }
        })
    }

    /// What there is to add to how the server announced the end of the connection; none if nothing.
    pub(in crate::load) fn take_goaways(&mut self) -> Option<GoAways> {
        match self {
            Self::Http2(http2) => http2.take_goaways(),
            Self::Http(_) | Self::Bytes(_) | Self::Message(_) => None,
        }
    }

    /// Gives up that exchange.
    pub(in crate::load) fn abandon(&mut self, nth: u64, why: Failure, wire: &Wire) -> Exchanged {
        match self {
            Self::Http2(http2) => http2.abandon(nth, why),
            Self::Http(_) | Self::Bytes(_) | Self::Message(_) => self.end(Err(why), wire),
        }
    }

    /// Of a protocol that makes one exchange at a time: that one has ended.
    fn end(&mut self, result: Result<Answer, Failure>, wire: &Wire) -> Exchanged {
        let status = match self {
            Self::Http(http) => {
                http.in_flight = None;
                http.exchange.status()
            }
            Self::Bytes(bytes) => {
                bytes.in_flight = None;
                None
            }
            Self::Message(message) => {
                message.in_flight = None;
                None
            }
            Self::Http2(_) => None,
        };
        Exchanged { result, status, passed: wire.passed(), keeps_connection: false, instead: None }
    }
}
