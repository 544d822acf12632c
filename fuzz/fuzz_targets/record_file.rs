//! Any bytes as a record: refused, or analysed and rendered in every form; without an end, never passed.
#![no_main]

use gapless::analysis;
use gapless::model::Verdict;
use gapless::record::Record;
use gapless::render;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(record) = Record::read(bytes) else { return };
    let is_complete = record.end.is_some();
    let result = analysis::combine(&[record]).expect("there is one");
    assert!(is_complete || result.verdict != Verdict::Passed);
    drop(render::terminal::render(&result, 80, true));
    drop(render::json::render(&result));
    drop(render::markdown::render(&result));
    drop(render::html::render(&result));
    render::junit::render(&result).expect("it can be rendered");
    result.scenarios.iter().flat_map(render::svg::files).for_each(drop);
});
