//! What is said over a connection: a request and its answer are one exchange.
//!
//! A protocol starts exchanges and tells what became of each; how many it may have in flight is its own affair. It is
//! given the wire and never opens or replaces it.
//!
//! | file | subject |
//! |---|---|
//! | `answer` | what becomes of an exchange |
//! | `exchange` | the protocols, and what they have in common |
//! | `request` | what is sent, and what must come back |
//! | `http`, `http2`, `bytes`, `message` | the protocols |
//! | `body` | the part of an answer that is looked at |
//! | `naming` | which instance gave an answer |

mod answer;
mod body;
mod bytes;
mod exchange;
pub(super) mod http;
mod http2;
mod message;
mod naming;
mod request;

pub(super) use answer::{Answer, Exchanged, Judgement, Over};
pub(super) use exchange::{Protocol, ProtocolEvent, Room};
pub(super) use request::{Expectation, RequestTemplate};
