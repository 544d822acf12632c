//! What a cohort would send, sent once outside any load.

use std::future::poll_fn;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use super::connection::Scratch;
use super::error::LoadError;
use super::guard::Interruption;
use super::instances::Instances;
use super::slot::{Due, Slot, SlotEvent, SlotPolicy};
use super::target::ReadyTarget;
use crate::clock;
use crate::model::{Endpoint, FailureKey, GrpcStatus, Instead};
use crate::scenario::plan::Cohort;
use crate::trust::Trusted;

/// Where a cohort connects to, with what trust, and what it sends there.
///
/// # Errors
/// When its host does not resolve, or its certificates cannot be read.
pub fn asks(cohort: &Cohort) -> Result<(Endpoint, Option<Trusted>, Vec<u8>), LoadError> {
    let ready = ReadyTarget::new(cohort, true)?;
    let tls = ready.tls.map(|tls| Trusted { config: Arc::clone(tls.connector.config()), server_name: tls.server_name });
    let first = ready.requests.first().map(|request| request.bytes().to_vec());
    Ok((ready.endpoint, tls, first.unwrap_or_default()))
}

/// What became of a request that was sent once.
#[derive(Clone, Copy, Debug)]
pub struct Heard {
    /// The status of the answer, where one came.
    pub status: Option<u16>,
    /// How the call ended, where it is one of gRPC.
    pub grpc: Option<GrpcStatus>,
    /// What is wrong with it; none if it is as expected.
    pub failure: Option<FailureKey>,
    /// What the server spoke, where that was not what it was asked for.
    pub instead: Option<Instead>,
}

/// Sends one request as the load sends it, and waits for the answer for as long. Not to be called within a runtime.
///
/// # Errors
/// When the host does not resolve, its certificates cannot be read, or there is no runtime to send from.
pub fn ask(cohort: &Cohort) -> Result<Heard, LoadError> {
    let policy =
        SlotPolicy { target: ReadyTarget::new(cohort, true)?, reuse: false, connect_delay: cohort.connect_delay };
    let cannot = |source: io::Error| LoadError::Io { doing: "make a runtime to ask from", source };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(cannot)?;
    let ended = runtime.block_on(async {
        let mut slot = Slot::new(Rc::new(policy), Scratch::new(), Instances::default(), Interruption::new());
        let now = clock::now();
        slot.start(Due { at: now, which: 0 }, now);
        loop {
            if let SlotEvent::Ended(ended) = poll_fn(|cx| slot.poll_event(cx)).await {
                return ended;
            }
        }
    });
    let instead = ended.trace.instead;
    Ok(match ended.result {
        Ok(accepted) => Heard { status: accepted.status, grpc: accepted.grpc, failure: None, instead },
        Err(key) => Heard { status: key.status, grpc: key.grpc, failure: Some(key), instead },
    })
}
