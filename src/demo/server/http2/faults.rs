//! What goes wrong, with one stream or with all of a connection.
//!
//! An end of the connection costs every request that is open. So that each of them is counted, and none is in the air
//! that nobody reads, the client first has to say that it sends no more: it acknowledges that it may open no streams
//! (SETTINGS), or that it has read a GOAWAY (a PING behind it).

use std::io;

use super::connection::Http2;
use super::exchange::{Exchange, Reply};
use super::frame::{self, STREAM_MAX, code};
use crate::demo::server::answer::{Answer, Body};
use crate::demo::server::fault::FaultKind;
use crate::demo::server::script::Ending;

/// The length of a body of which half is sent, and the half.
const BODY_BYTES: u64 = 64;
const HALF_BODY_BYTES: i64 = 32;

impl Http2 {
    /// Does what goes wrong with a request whose answer is due; an ending, if that is one of the connection.
    pub(super) async fn perform(&mut self, id: u32, kind: FaultKind) -> io::Result<Option<Ending>> {
        match kind {
            FaultKind::RstRefused => self.reset(id, kind, code::REFUSED_STREAM),
            FaultKind::RstCancel => self.reset(id, kind, code::CANCEL),
            FaultKind::RstInternal => self.reset(id, kind, code::INTERNAL_ERROR),
            FaultKind::RstMidBody => {
                self.begin(id);
                self.reset(id, kind, code::INTERNAL_ERROR);
            }
            FaultKind::Stall => {
                self.service.counters.injection(kind);
                self.exchanges.entry(id).and_modify(|exchange| exchange.has_stalled = true);
            }
            FaultKind::WrongStatus => {
                self.reply_wrong(id, kind, Reply::http(Answer::text(500, "wrong status\n"), true));
            }
            FaultKind::WrongBody => {
                let is_grpc = self.exchanges.get(&id).is_some_and(|exchange| exchange.is_grpc);
                let http = || Reply::http(Answer::text(200, "wrong\n"), true);
                self.reply_wrong(id, kind, if is_grpc { Reply::message("wrong") } else { http() });
            }
            FaultKind::WrongGrpcStatus => self.reply_wrong(id, kind, Reply::grpc("", Some("13"))),
            FaultKind::TrailersMissing => self.reply_wrong(id, kind, Reply::grpc("", None)),
            _ => return self.spoil(id, kind).await,
        }
        Ok(None)
    }

    /// Ends the connection in the way of `kind`, with all streams that are open.
    async fn spoil(&mut self, id: u32, kind: FaultKind) -> io::Result<Option<Ending>> {
        self.is_spoiled = true;
        match kind {
            FaultKind::GoawayTwoPhase => {
                self.say_goodbye_twice().await?;
                self.answer_all(id, kind);
            }
            FaultKind::GoawaySingle => {
                self.allow_no_streams();
                self.until_read().await?;
                frame::put_goaway(&mut self.out, self.highest, code::NO_ERROR);
                self.is_last = true;
                self.answer_all(id, kind);
            }
            FaultKind::GoawayRefused | FaultKind::GoawayZero => {
                // All that the client has sent by now is open when it reads the GOAWAY.
                self.until_read().await?;
                let processed = if kind == FaultKind::GoawayZero { 0 } else { self.exchanges.len() / 2 };
                self.refuse_beyond(id, kind, processed);
            }
            FaultKind::GoawayThenClose => {
                frame::put_goaway(&mut self.out, STREAM_MAX, code::NO_ERROR);
                self.until_read().await?;
                self.lose_all(kind);
                self.end().await?;
                return Ok(Some(Ending::Wait));
            }
            // Those that end it without a word.
            _ => {
                self.allow_no_streams();
                self.until_read().await?;
                self.lose_all(kind);
                if kind == FaultKind::ResetBefore {
                    return Ok(Some(Ending::Reset));
                }
                self.end().await?;
                return Ok(Some(Ending::Wait));
            }
        }
        Ok(None)
    }

    fn reset(&mut self, id: u32, kind: FaultKind, code: u32) {
        self.service.counters.injection(kind);
        frame::put_rst_stream(&mut self.out, id, code);
        self.exchanges.remove(&id);
    }

    /// Sends the head and half of the body of an answer.
    fn begin(&mut self, id: u32) {
        let answer = Answer { body: Body::Fill(BODY_BYTES), ..Answer::text(200, "") };
        let mut room = HALF_BODY_BYTES;
        Reply::http(answer, true).put(&mut self.out, id, &mut room, &mut self.window);
    }

    fn reply_wrong(&mut self, id: u32, kind: FaultKind, reply: Reply) {
        self.service.counters.injection(kind);
        self.reply(id, reply);
    }

    /// All that are open are answered after all, and meet no fault of their own.
    fn answer_all(&mut self, due: u32, kind: FaultKind) {
        for exchange in self.exchanges.values_mut().filter(|exchange| !exchange.has_stalled) {
            exchange.fault = None;
            self.service.counters.injection(kind);
        }
        self.due.push(Box::pin(std::future::ready(due)));
    }

    /// Answers the first `processed` of those that are open, and refuses the others and what comes after them.
    fn refuse_beyond(&mut self, due: u32, kind: FaultKind, processed: usize) {
        let open: Vec<u32> = self.exchanges.keys().copied().collect();
        let before = if kind == FaultKind::GoawayZero { 0 } else { open[0].saturating_sub(2) };
        let last = open[..processed].last().copied().unwrap_or(before);
        frame::put_goaway(&mut self.out, last, code::NO_ERROR);
        let refused = self.exchanges.split_off(&(last + 1));
        self.count_lost(kind, refused.values());
        self.exchanges.values_mut().for_each(|exchange| exchange.fault = None);
        (self.refused_above, self.is_last) = (Some((last, kind)), true);
        self.due.push(Box::pin(std::future::ready(due)));
    }

    /// All that are open meet the fault.
    fn lose_all(&mut self, kind: FaultKind) {
        let lost = std::mem::take(&mut self.exchanges);
        self.count_lost(kind, lost.values());
    }

    /// A request has one fault.
    fn count_lost<'a>(&self, kind: FaultKind, lost: impl Iterator<Item = &'a Exchange>) {
        lost.filter(|exchange| !exchange.has_stalled).for_each(|_| self.service.counters.injection(kind));
    }
}
