//! A `tcp` target: bytes out, bytes in until they match or the peer is done.

use std::future::poll_fn;

use super::body::KeptBody;
use super::exchange::{Answer, Judgement, NoAnswer};
use super::target::Expectation;
use super::wire::Wire;

/// Sends `bytes`, then reads until the expectation matches or the peer closes. Without an expectation, any
/// byte before the close is an answer.
pub(super) async fn run(wire: &mut Wire, bytes: &[u8], expect: &Expectation) -> Result<Answer, NoAnswer> {
    if wire.write_all(bytes).await.is_err() {
        return Err(NoAnswer::lost(wire));
    }
    let mut kept = KeptBody::default();
    kept.begin(expect.body.is_some());
    loop {
        match poll_fn(|cx| wire.poll_read(cx, |bytes| kept.feed(bytes))).await {
            Ok(Some(())) => {}
            Ok(None) if wire.bytes_in() > 0 => {
                let as_expected = expect.body.is_none();
                let judgement = if as_expected { Judgement::Expected } else { Judgement::OtherBody };
                return Ok(Answer { unframed: true, ..answer(judgement) });
            }
            Ok(None) | Err(_) => return Err(NoAnswer::lost(wire)),
        }
        if expect.body.as_ref().is_some_and(|pattern| kept.matches(pattern)) {
            return Ok(answer(Judgement::Expected));
        }
    }
}

fn answer(judgement: Judgement) -> Answer {
    Answer { status: None, judgement, reusable: false, has_surplus: false, unframed: false }
}
