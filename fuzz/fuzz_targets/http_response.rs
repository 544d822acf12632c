//! Any bytes as the answer to a request of HTTP/1.1: one outcome, whatever came.
#![no_main]

mod answered;

use gapless::scenario::plan::Protocol;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|answer: &[u8]| answered::load_answered_with(answer, Protocol::Http1));
