//! A `tcp` target: bytes out, bytes in until they match or the peer is done.

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::body::KeptBody;
use super::exchange::{Answer, Judgement, NoAnswer};
use super::target::Expectation;
use super::wire::Counted;

const CHUNK_BYTES: usize = 4096;

/// Sends `bytes`, then reads until the expectation matches or the peer closes. Without an expectation, any
/// byte before the close is an answer.
pub(super) async fn run(stream: &mut Counted, bytes: &Bytes, expect: &Expectation) -> Result<Answer, NoAnswer> {
    if stream.write_all(bytes).await.is_err() {
        return Err(NoAnswer::lost(&stream.0));
    }
    let mut kept = KeptBody::new(expect.body.as_ref());
    let mut chunk = [0; CHUNK_BYTES];
    loop {
        match stream.read(&mut chunk).await {
            Ok(0) if stream.0.bytes_in() > 0 => {
                let as_expected = expect.body.is_none();
                return Ok(answer(if as_expected { Judgement::Expected } else { Judgement::OtherBody }));
            }
            Ok(0) | Err(_) => return Err(NoAnswer::lost(&stream.0)),
            Ok(read) => kept.feed(&chunk[..read]),
        }
        if expect.body.is_some() && kept.matches() {
            return Ok(answer(Judgement::Expected));
        }
    }
}

fn answer(judgement: Judgement) -> Answer {
    Answer { status: None, judgement, reusable: false, unframed: false }
}
