//! `{env:NAME}` in the strings of a scenario: replaced by that variable, whose value is a secret.

use super::mistake::Mistakes;
use super::tree::{Node, Table, Value};
use crate::secrets::Secrets;

const OPEN: &str = "{env:";

/// Replaces each `{env:NAME}` in `root`, and learns the values. A variable that is not set is a mistake.
pub(crate) fn replace(root: &mut Table, secrets: &Secrets, mistakes: &mut Mistakes) {
    replace_with(root, &|name| std::env::var(name).ok(), secrets, mistakes);
}

type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

fn replace_with(table: &mut Table, lookup: Lookup<'_>, secrets: &Secrets, mistakes: &mut Mistakes) {
    for entry in table.entries_mut() {
        in_node(&mut entry.node, lookup, secrets, mistakes);
    }
}

fn in_node(node: &mut Node, lookup: Lookup<'_>, secrets: &Secrets, mistakes: &mut Mistakes) {
    match &mut node.value {
        Value::String(text) if text.contains(OPEN) => match replaced(text, lookup, secrets) {
            Ok(replaced) => *text = replaced,
            Err(unset) => {
                mistakes
                    .add(node.place, format!("the environment variable {unset} is not set"))
                    .help(format!("export {unset}=... before gapless is started"));
            }
        },
        Value::Array(nodes) => nodes.iter_mut().for_each(|node| in_node(node, lookup, secrets, mistakes)),
        Value::Table(table) => replace_with(table, lookup, secrets, mistakes),
        _ => {}
    }
}

/// The text with its variables; the name of the first one that is not set.
fn replaced(text: &str, lookup: Lookup<'_>, secrets: &Secrets) -> Result<String, String> {
    let mut done = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(OPEN) {
        done.push_str(before);
        rest = after;
        if let Some((name, after)) = after.split_once('}').filter(|(name, _)| is_name(name)) {
            let value = lookup(name).ok_or_else(|| name.to_owned())?;
            secrets.keep_declared(&value);
            done.push_str(&value);
            rest = after;
        } else {
            done.push_str(OPEN);
        }
    }
    Ok(done + rest)
}

/// `environ(7)`: letters, digits and underscores, no digit first.
fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(text: &str) -> Result<String, String> {
        let lookup = |name: &str| (name == "TOKEN").then(|| "hunter2-x".to_owned());
        replaced(text, &lookup, &Secrets::default())
    }

    #[test]
    fn a_variable_is_replaced_wherever_it_stands_and_other_braces_stay() {
        assert_eq!(with("Bearer {env:TOKEN}"), Ok("Bearer hunter2-x".to_owned()));
        assert_eq!(with("{env:TOKEN}{env:TOKEN}"), Ok("hunter2-xhunter2-x".to_owned()));
        for text in ["{\"a\":1}", "{env:", "{env:}", "{env:A-B}", "{scenario_dir}"] {
            assert_eq!(with(text), Ok(text.to_owned()));
        }
    }

    #[test]
    fn a_variable_that_is_not_set_is_named() {
        assert_eq!(with("{env:TOKEN} {env:OTHER}"), Err("OTHER".to_owned()));
    }

    #[test]
    fn a_value_is_a_secret_whatever_it_looks_like_and_an_address_is_not() {
        let secrets = Secrets::default();
        let values = |name: &str| Some(if name == "HOST" { "127.0.0.1" } else { "secret" }.to_owned());
        replaced("{env:HOST} {env:WORD}", &values, &secrets).expect("set");
        assert_eq!(secrets.hide_known("got secret, secretly, from 127.0.0.1"), "got ***, secretly, from 127.0.0.1");
    }
}
