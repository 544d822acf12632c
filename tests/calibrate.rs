//! `gapless calibrate`: what was injected is what is counted.

use std::collections::BTreeSet;
use std::process::Output;

use assert_cmd::Command;
use gapless::model::FailureClass;
use serde_json::Value;

fn rows(output: &Output) -> Vec<Value> {
    let mut calibration: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    serde_json::from_value(calibration["rows"].take()).expect("rows")
}

#[test]
fn every_fault_is_counted_as_often_as_it_was_injected() {
    let run = Command::new(env!("CARGO_BIN_EXE_gapless")).args(["calibrate", "--format", "json"]).assert();
    let output = run.get_output();
    let rows = rows(output);
    for row in &rows {
        let is_left_out = row.get("left_out").is_some();
        assert!(is_left_out || row["injected"].as_u64() > Some(0), "{row}");
        assert_eq!((&row["counted"], &row["strays"]), (&row["injected"], &serde_json::json!({})), "{row}");
    }
    assert_eq!(output.status.code(), Some(0));

    let ways: BTreeSet<(&str, &str)> =
        rows.iter().filter_map(|row| Some((row["transport"].as_str()?, row["connections"].as_str()?))).collect();
    assert_eq!(ways, [("tcp", "new"), ("tcp", "reused"), ("unix", "new"), ("unix", "reused")].into());
    let calibrated: BTreeSet<_> =
        rows.iter().filter_map(|row| FailureClass::from_name(row["class"].as_str()?)).collect();
    let calibration: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let elsewhere = calibration["not_injected"].as_object().expect("classes");
    let elsewhere = elsewhere.keys().map(|name| FailureClass::from_name(name).expect("a class"));
    let all: BTreeSet<_> = calibrated.into_iter().chain(elsewhere).collect();
    assert_eq!(all, FailureClass::ALL.iter().copied().collect(), "each class is injected, or said not to be");
}
