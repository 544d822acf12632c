//! The environment of a service's processes, systemd.exec(5) "ENVIRONMENT VARIABLES IN SPAWNED PROCESSES".

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::PathBuf;

use super::exec::SEARCH_PATH;
use crate::unit_file::service::ExecSettings;

/// Variables that a service gets from the user it runs as, as under a user's manager.
const OF_THE_USER: [&str; 6] = ["HOME", "LANG", "LOGNAME", "SHELL", "TZ", "USER"];

/// Names and values, ascending.
pub(super) type Environment = BTreeMap<String, String>;

/// Puts the environment of one process together: the user's, then `manager` (what the manager itself says),
/// then Environment=, EnvironmentFile=, and last UnsetEnvironment=.
///
/// # Errors
/// When a file that must be there cannot be read: its path, and why.
pub(super) fn compose(settings: &ExecSettings, manager: &Environment) -> Result<Environment, (PathBuf, io::Error)> {
    let mut environment = Environment::from([("PATH".to_owned(), SEARCH_PATH.to_owned())]);
    let of_the_user = OF_THE_USER.iter().filter_map(|&name| Some((name.to_owned(), std::env::var(name).ok()?)));
    environment.extend(of_the_user);
    environment.extend(manager.clone());
    environment.extend(settings.environment.iter().filter_map(|assignment| split(assignment)));
    for (path, may_be_missing) in &settings.environment_files {
        match fs::read_to_string(path) {
            Ok(text) => environment.extend(parse_file(&text)),
            Err(_) if *may_be_missing => {}
            Err(error) => return Err((path.clone(), error)),
        }
    }
    for unset in &settings.unset_environment {
        match split(unset) {
            Some((name, value)) if environment.get(&name) == Some(&value) => drop(environment.remove(&name)),
            Some(_) => {}
            None => drop(environment.remove(unset)),
        }
    }
    Ok(environment)
}

fn split(assignment: &str) -> Option<(String, String)> {
    let (name, value) = assignment.split_once('=')?;
    is_name(name).then(|| (name.to_owned(), value.to_owned()))
}

fn is_name(name: &str) -> bool {
    !name.is_empty()
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Reads a file of EnvironmentFile=: `NAME=value` lines, comments, quotes, and backslashes as a shell has them.
fn parse_file(text: &str) -> Vec<(String, String)> {
    let mut variables = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let line = rest.trim_start();
        let end_of_line = line.find('\n').map_or(line.len(), |end| end + 1);
        let equals = line.find('=').filter(|&place| place < end_of_line);
        match equals {
            Some(place) if !line.starts_with(['#', ';']) => {
                let (value, behind) = parse_value(&line[place + 1..]);
                let name = line[..place].trim();
                if is_name(name) {
                    variables.push((name.to_owned(), value));
                }
                rest = behind;
            }
            _ => rest = &line[end_of_line..],
        }
    }
    variables
}

/// The value at the start of `text`, and what stands behind its line.
fn parse_value(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut quote = None;
    // Where trailing whitespace may be cut: not inside quotes or behind a backslash.
    let mut solid = 0;
    let mut characters = text.trim_start_matches([' ', '\t']).chars();
    while let Some(c) = characters.next() {
        match (c, quote) {
            ('\n', None) => break,
            (c, Some(open)) if c == open => quote = None,
            ('"' | '\'', None) => quote = Some(c),
            ('\\', None | Some('"')) => match characters.next() {
                Some('\n') | None => {}
                Some(escaped) => {
                    // Inside double quotes a backslash escapes only what is special there.
                    if quote.is_some() && !"\"\\`$".contains(escaped) {
                        value.push('\\');
                    }
                    value.push(escaped);
                }
            },
            (c, _) => {
                value.push(c);
                if quote.is_none() && c.is_whitespace() {
                    continue;
                }
            }
        }
        solid = value.len();
    }
    value.truncate(solid);
    (value, characters.as_str())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_environment_file_is_read_as_the_man_page_says() {
        let text = "# comment\n; too\nA=1\n B = two words  \nC=\"quoted \\\"x\\\" \\n\"\nD='it''s $A'\nE=one\\\n two\nbad name=3\nF=\nG";
        let expected =
            [("A", "1"), ("B", "two words"), ("C", "quoted \"x\" \\n"), ("D", "its $A"), ("E", "one two"), ("F", "")];
        assert_eq!(parse_file(text), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(\\PC|[\\\\\"'=\n #])*") {
            let _ = parse_file(&text);
        }
    }
}
