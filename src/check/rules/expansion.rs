//! Commands that need a shell to expand them, and that systemd runs without one.

use std::collections::BTreeSet;

use super::syntax::{is_free_text, own_section};
use crate::check::facts::Facts;
use crate::check::finding::{Hit, Severity};
use crate::check::rule::Rule;
use crate::check::shell::{joins_words_for_shell, script_of};
use crate::check::source::Source;
use crate::unit_file::{Entry, word};

pub(super) const RULES: &[Rule] = &[Rule {
    id: "GL006",
    severity: Severity::Error,
    title: "expansion of a shell",
    why: "systemd does not run commands in a shell: it replaces $NAME and ${NAME} in them, and nothing elsewhere; the rest is taken as it is written",
    find: shell_expansion,
}];

fn shell_expansion(facts: &Facts) -> Vec<Hit> {
    let mut hits = in_commands(facts);
    hits.extend(facts.sources().flat_map(in_other_values));
    hits
}

/// Variables outside of commands: nothing is replaced there at all.
fn in_other_values(source: &Source) -> Vec<Hit> {
    let is_plain =
        |entry: &&Entry| !is_free_text(&entry.key) && entry.key != "Environment" && !entry.key.starts_with("Exec");
    let section = source.file.section(own_section(source));
    let expanding = section.filter(is_plain).filter_map(|entry| Some((entry, variable(&entry.value)?)));
    expanding
        .map(|(entry, variable)| {
            let message = format!("systemd does not replace {variable} in {}=", entry.key);
            source.entry(entry).says(message, format!("{}=THE-VALUE-ITSELF", entry.key))
        })
        .collect()
}

fn in_commands(facts: &Facts) -> Vec<Hit> {
    let Some(service) = &facts.service else { return Vec::new() };
    let commands = service.source.file.section("Service").filter(|entry| entry.key.starts_with("Exec"));
    let expanding = commands.filter_map(|entry| Some((entry, shell_only(&entry.value)?)));
    expanding
        .map(|(entry, expansion)| {
            let verb = if expansion.starts_with('$') { "replace" } else { "act on" };
            let message = format!("systemd does not {verb} {expansion}");
            let default = expansion
                .strip_prefix("${")
                .and_then(|inner| inner.strip_suffix('}'))
                .and_then(|inner| inner.split_once(":-"));
            let fix = match default {
                Some((name, value)) => {
                    format!("[Service]\nEnvironment={name}={value}\n# and in {}= just ${{{name}}}", entry.key)
                }
                None => format!("{}=/bin/sh -c 'exec ...'", entry.key),
            };
            service.source.entry(entry).says(message, fix)
        })
        .collect()
}

/// What of a command line only a shell would act on, where no shell gets to see it.
fn shell_only(commands: &str) -> Option<String> {
    let raw = raw_words(commands);
    raw.split(|word| *word == ";").find_map(|command| {
        let unseen = unseen_by_shells(command);
        let text = unseen.iter().map(|word| without_single_quoted(word)).collect::<Vec<_>>().join(" ");
        let operator = || unseen.iter().find(|word| is_operator(word)).map(ToString::to_string);
        expansion(&text).map(str::to_owned).or_else(operator)
    })
}

/// The words of a command that no shell is handed as a script: quoted as they are written.
fn unseen_by_shells<'a>(command: &[&'a str]) -> Vec<&'a str> {
    let plain: Vec<String> = command.iter().map(|word| word::split(word).unwrap_or_default().concat()).collect();
    let mut seen = BTreeSet::new();
    for (place, word) in plain.iter().enumerate() {
        seen.extend(script_of(&plain[place..]).map(|script| place + script));
        if joins_words_for_shell(word) {
            seen.extend(place..plain.len());
        }
    }
    command.iter().enumerate().filter(|(place, _)| !seen.contains(place)).map(|(_, word)| *word).collect()
}

/// The words of a value with their quotes.
fn raw_words(value: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = value;
    while let Ok(Some((_, behind))) = word::first(rest) {
        words.push(rest[..rest.len() - behind.len()].trim());
        rest = behind;
    }
    words
}

fn without_single_quoted(word: &str) -> String {
    let mut quote = None;
    let mut kept = String::new();
    for c in word.chars() {
        match (c, quote) {
            (c, Some(open)) if c == open => quote = None,
            ('"' | '\'', None) => quote = Some(c),
            _ if quote == Some('\'') => {}
            _ => kept.push(c),
        }
    }
    kept
}

/// A word that only a shell acts on: a pipe, a redirection, another command.
fn is_operator(word: &str) -> bool {
    let behind_descriptor = word.trim_start_matches(|c: char| c.is_ascii_digit());
    matches!(word, "|" | "||" | "&&" | "&" | "|&" | "<") || behind_descriptor.starts_with('>')
}

/// The first `$NAME` or `${NAME}` of a value that no variable is replaced in.
fn variable(value: &str) -> Option<&str> {
    let (start, _) = value.match_indices('$').next()?;
    let name = value[start + 1..].trim_start_matches('{');
    let length = name.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(name.len());
    let is_name = length > 0 && !name.starts_with(|c: char| c.is_ascii_digit());
    let braced = value[start + 1..].starts_with('{');
    let end = start + 1 + length + if braced { 2 } else { 0 };
    is_name.then(|| value.get(start..end).unwrap_or(&value[start..]))
}

/// The first `$(...)` or `${NAME...}` that is more than a name.
fn expansion(command: &str) -> Option<&str> {
    for (start, _) in command.match_indices('$') {
        let rest = &command[start..];
        if rest.starts_with("$$") || (start > 0 && command.as_bytes()[start - 1] == b'$') {
            continue;
        }
        let close = if rest.starts_with("$(") { ')' } else { '}' };
        let end = rest.find(close).map(|end| &rest[..=end]);
        match end {
            Some(whole) if rest.starts_with("$(") => return Some(whole),
            Some(whole) if rest.starts_with("${") => {
                let name = &whole[2..whole.len() - 1];
                if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
                    return Some(whole);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use crate::check::testing::*;

    #[test]
    fn what_only_a_shell_expands_is_found() {
        in_command("GL006", "ExecStart=/bin/app ${PORT:-80}", "ExecStart=/bin/app ${PORT}");
        let scripts = [
            "/usr/bin/env bash -c 'exec /bin/app </dev/null | tee /tmp/x && echo \"$(date)\"'",
            "/bin/su -s /bin/sh -c \"cd /srv && exec ./run > /dev/null\" www",
            "/usr/sbin/runuser -u www -- bash -lc 'test -e /srv || mkdir /srv'",
            "/usr/bin/docker exec web sh -c 'a | b'",
            "/usr/bin/flock -n /run/l bash -c \"kill -HUP $(cat /run/x.pid)\"",
            "/usr/bin/ssh host a | b",
            "/usr/bin/jq -e '.a | length > 0' /etc/x.json",
            "/usr/bin/awk '$1 > 5 { print $(NF) }' /x",
        ];
        for script in scripts {
            in_command("GL006", "ExecStart=/bin/app && /bin/b", &format!("ExecStart={script}"));
        }
        in_command("GL006", "ExecStart=/bin/sh /srv/run.sh > /x", "ExecStart=/bin/sh -c 'exec /srv/run.sh > /x'");
        in_command("GL006", "ExecStart=/bin/sh -c 'exec app' && b", "ExecStart=/bin/sh -c 'exec app && b'");
        in_command("GL006", "ExecStart=/bin/app \"$(date)\"", "ExecStart=/bin/app '$(date)'");
        in_command("GL006", "ExecStart=/bin/app > /var/log/app", "ExecStart=/bin/sh -c 'exec /bin/app > /var/log/app'");
        in_command("GL006", "ExecStart=/bin/app 2>&1", "ExecStart=/bin/app a=b&c");
        in_service("GL006", "WorkingDirectory=$HOME/app", "WorkingDirectory=/srv/app");
        in_socket("GL006", "ListenStream=127.0.0.1:${PORT}", "ListenStream=127.0.0.1:80");
        in_command("GL006", "ExecStart=/bin/app $(nproc)", "ExecStart=/bin/sh -c 'exec /bin/app $(nproc)'");
    }
}
