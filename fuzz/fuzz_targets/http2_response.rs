//! Any bytes as what a server of HTTP/2 sends: SETTINGS, GOAWAY, HPACK or none of them: one outcome, whatever came.
#![no_main]

mod answered;

use gapless::scenario::plan::Protocol;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|answer: &[u8]| answered::load_answered_with(answer, Protocol::Http2));
