//! What the packages are said to contain, in Cargo.toml. That they do is seen by `tests/packages`, which builds them.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use crate::support::GAPLESS;

/// The files that `.ci/dist` makes, below target/dist-texts.
const MADE: &str = "target/dist-texts/";

fn metadata() -> toml::Table {
    let manifest: toml::Table = include_str!("../../Cargo.toml").parse().expect("TOML");
    manifest["package"]["metadata"].as_table().expect("a table").clone()
}

/// What the packages of that kind contain: where it comes from, and where it goes.
fn assets(kind: &str) -> Vec<[String; 2]> {
    let text = |value: &toml::Value| value.as_str().expect("a text").to_owned();
    let assets = &metadata()[kind]["assets"];
    let of = |asset: &toml::Value| match asset {
        toml::Value::Array(parts) => [text(&parts[0]), text(&parts[1])],
        table => [text(&table["source"]), text(&table["dest"])],
    };
    assets.as_array().expect("a list").iter().map(of).collect()
}

#[test]
fn both_packages_put_the_same_files_in_the_same_places_but_for_what_distributions_place_apart() {
    let of_deb: BTreeSet<[String; 2]> = assets("deb").into_iter().collect();
    let as_in_a_deb = |[source, place]: [String; 2]| {
        let place = place.trim_start_matches('/').replace("zsh/site-functions", "zsh/vendor-completions");
        [source, place]
    };
    // The .deb has the licence as /usr/share/doc/gapless/copyright.
    let of_rpm = assets("generate-rpm").into_iter().filter(|[source, _]| source != "LICENSE-*");
    assert_eq!(of_rpm.map(as_in_a_deb).collect::<BTreeSet<_>>(), of_deb);
}

#[test]
fn packages_have_every_page_of_the_manual_and_files_that_exist() {
    let folder = tempfile::tempdir().expect("a folder");
    let written = Command::new(GAPLESS).args(["man", "--out"]).arg(folder.path()).status().expect("it runs");
    assert!(written.success());
    let sections: BTreeSet<String> = std::fs::read_dir(folder.path())
        .expect("it is there")
        .map(|page| page.expect("a file").path().extension().expect("a section").to_str().expect("text").to_owned())
        .collect();
    for kind in ["deb", "generate-rpm"] {
        let sources: Vec<String> = assets(kind).into_iter().map(|[source, _]| source).collect();
        for section in &sections {
            assert!(sources.contains(&format!("{MADE}man/*.{section}.gz")), "{kind} lacks section {section}");
        }
        let of_the_source = sources.iter().filter(|source| !source.starts_with("target/") && !source.ends_with('*'));
        for source in of_the_source {
            assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(source).exists(), "{kind}: {source}");
        }
    }
}
