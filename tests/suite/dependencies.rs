//! What the binary is built from: licences and sources, by cargo's own word, without the network.

use std::process::Command;

use serde_json::Value;

/// The licences that deny.toml allows.
fn allowed() -> Vec<String> {
    let text = include_str!("../../deny.toml");
    let deny: toml::Table = text.parse().expect("TOML");
    let allow = deny["licenses"]["allow"].as_array().expect("a list");
    allow.iter().map(|licence| licence.as_str().expect("a text").to_owned()).collect()
}

fn packages() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo is there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let document: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    document["packages"].as_array().expect("a list").clone()
}

/// Whether an SPDX expression can be met with what is allowed. `/` is the OR of old manifests.
fn is_met(expression: &str, allowed: &[String]) -> bool {
    let expression = expression.replace('/', " OR ").replace(['(', ')'], " ");
    // Each part of an AND must hold, and of the choices in it one: parentheses stand around ORs only.
    expression
        .split(" AND ")
        .all(|part| part.split(" OR ").any(|choice| allowed.iter().any(|licence| licence == choice.trim())))
}

#[test]
fn every_dependency_has_a_licence_that_is_allowed_and_comes_from_the_registry() {
    let allowed = allowed();
    for package in packages() {
        let (name, licence) = (&package["name"], package["license"].as_str().unwrap_or_default());
        assert!(is_met(licence, &allowed), "{name} has the licence {licence:?}, which deny.toml does not allow");
        let source = package["source"].as_str();
        let is_ours = name == "gapless" && source.is_none();
        let registry = "registry+https://github.com/rust-lang/crates.io-index";
        assert!(is_ours || source == Some(registry), "{name} comes from {source:?}");
    }
}

#[test]
fn an_expression_is_met_by_one_choice_of_each_of_its_parts() {
    let allowed = ["MIT".to_owned(), "Unicode-3.0".to_owned()];
    for good in ["MIT", "GPL-3.0 OR MIT", "Apache-2.0/MIT", "(MIT OR Apache-2.0) AND Unicode-3.0"] {
        assert!(is_met(good, &allowed), "{good}");
    }
    for bad in ["", "GPL-3.0", "MIT AND GPL-3.0", "(GPL-2.0 OR GPL-3.0) AND MIT"] {
        assert!(!is_met(bad, &allowed), "{bad}");
    }
}
