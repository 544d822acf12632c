//! Any text as a scenario file: read, or refused with every mistake at a place.
#![no_main]

use std::path::Path;

use gapless::scenario::plan::Plan;
use gapless::scenario::{load_text, masked};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    // A folder without anything: files that are named are missing.
    match load_text("scenario.toml", text, Path::new("/nonexistent")) {
        Ok(scenario) => {
            let json = serde_json::to_string(&masked(&scenario.plan, false)).expect("a plan serialises");
            serde_json::from_str::<Plan>(&json).expect("and comes back");
        }
        Err(errors) => {
            assert!(!errors.mistakes().is_empty());
            drop(errors.render(false, 80));
        }
    }
});
