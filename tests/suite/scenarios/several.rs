//! Folders of scenarios, and mistakes in several.

use gapless::scenario::{Overrides, Scenario, load_all};

use crate::scenarios::rig::{Folder, TARGET, messages, scenario};

/// Three scenarios in two folders, and a file that is none.
fn library() -> Folder {
    let text = |name: &str| format!("name = \"{name}\"\n{TARGET}");
    Folder::new()
        .with("one/b.toml", text("b"))
        .with("one/a.toml", text("a"))
        .with("one/notes.txt", "no scenario")
        .with("one/deeper/x.toml", text("x"))
        .with("two/c.toml", text("c"))
}

fn names(scenarios: &[Scenario]) -> Vec<&str> {
    scenarios.iter().map(|scenario| scenario.plan.name.as_str()).collect()
}

#[test]
fn a_folder_is_its_own_scenarios_or_else_those_of_its_subfolders() {
    let library = library();
    let load = |paths: &[&str]| library.load_all(paths, &[]).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(names(&load(&["one"])), ["a", "b"]);
    assert_eq!(names(&load(&["."])), ["a", "b", "c"]);
    assert_eq!(names(&load(&["two", "one/a.toml"])), ["c", "a"]);
    assert_eq!(names(&load(&["one/b.toml", "one"])), ["b", "a"], "each file once");
}

#[test]
fn only_takes_the_scenarios_of_these_names() {
    let library = library();
    let scenarios = library.load_all(&["."], &["c", "a"]).expect("both are there");
    assert_eq!(names(&scenarios), ["a", "c"]);
    let none = library.load_all(&["."], &["aa"]).expect_err("no such name");
    assert_eq!(none.mistakes()[0].message(), "no scenario is called \"aa\" (--only)");
    assert_eq!(none.mistakes()[0].advice(), Some("did you mean `a`?"));
    let none = library.load_all(&["."], &["something-else"]).expect_err("no such name");
    assert_eq!(none.mistakes()[0].advice(), Some("there are: a, b, c"));
}

#[test]
fn a_broken_scenario_that_is_not_asked_for_is_in_nobodys_way() {
    let library = library().with("one/broken.toml", "name = \"broken\"\n");
    assert_eq!(names(&library.load_all(&["one"], &["a"]).expect("a is well")), ["a"]);
    assert_eq!(messages(library.load_all(&["one"], &["broken"])), ["there is no URL to send requests to"]);
    assert_eq!(messages(library.load_all(&["one"], &[])), ["there is no URL to send requests to"]);
}

#[test]
fn two_scenarios_of_one_name_are_refused() {
    let library = library().with("two/d.toml", format!("name = \"a\"\n{TARGET}"));
    let messages = messages(library.load_all(&["."], &[]));
    assert!(messages[0].starts_with("two scenarios are called \"a\": "), "{messages:?}");
}

#[test]
fn what_cannot_be_read_is_said_by_its_name() {
    let library = library()
        .with("empty/notes.txt", "")
        .with("latin1.toml", b"name = \"caf\xe9\"")
        .with("big.toml", vec![b'#'; 2 << 20]);
    for (path, what) in [
        ("nowhere", "No such file"),
        ("empty", "there is no scenario in"),
        ("latin1.toml", "this is not UTF-8"),
        ("big.toml", "at most 1 MiB"),
    ] {
        let messages = messages(library.load_all(&[path], &[]));
        assert!(messages[0].contains(what) && messages[0].contains(path), "{messages:?}");
    }
}

#[test]
fn a_mistake_in_a_shared_override_is_said_once() {
    let library = library();
    let overrides = Overrides { times: None, set: vec!["run.seed=x".to_owned()] };
    let result = load_all(&[library.path("one")], &[], &overrides);
    assert_eq!(messages(result), ["expected an integer, found a string"]);
}

#[test]
fn of_very_many_mistakes_the_first_are_shown_and_all_are_counted() {
    let keys = (0..70).map(|number| format!("key{number} = 1\n")).collect::<Vec<_>>().concat();
    let errors = scenario(&format!("{keys}{TARGET}")).expect_err("none of the keys is known");
    assert_eq!(errors.mistakes().len(), 50);
    assert_eq!(errors.mistakes()[0].message(), "unknown key `key0` at the top of a scenario");
    assert_eq!(errors.to_string(), "50 mistakes and 20 more; nothing was started");
}

#[test]
fn colours_are_there_only_if_asked_for() {
    let errors = scenario("").expect_err("no target");
    assert!(errors.render(true, 80).contains('\u{1b}'));
    assert!(!errors.render(false, 80).contains('\u{1b}'));
}
