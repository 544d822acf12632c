//! What is written and is not what systemd reads.

use std::collections::BTreeSet;

use crate::check::facts::Facts;
use crate::check::finding::{Hit, Severity};
use crate::check::rule::Rule;
use crate::check::server::is_shell;
use crate::check::source::Source;
use crate::model::UnitKind;
use crate::unit_file::directives::is_known;
use crate::unit_file::{Entry, finding, word};

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "GL001",
        severity: Severity::Error,
        title: "systemd does not load the unit",
        why: "the next daemon-reload or boot is without this unit",
        find: unloadable,
    },
    Rule {
        id: "GL002",
        severity: Severity::Warning,
        title: "unknown key or section",
        why: "systemd logs a line at most and goes on without it",
        find: unknown,
    },
    Rule {
        id: "GL003",
        severity: Severity::Error,
        title: "comment behind a value",
        why: "a comment needs a line of its own: here it is part of the value, which is then refused or wrong",
        find: comment_behind_value,
    },
    Rule {
        id: "GL004",
        severity: Severity::Warning,
        title: "value that systemd ignores",
        why: "the default holds instead, which nobody looks for in a file that says otherwise",
        find: ignored_value,
    },
    Rule {
        id: "GL005",
        severity: Severity::Warning,
        title: "FileDescriptorName= repeated",
        why: "the last one names all sockets of the unit: a server that tells them apart by name finds one name only",
        find: repeated_descriptor_name,
    },
    Rule {
        id: "GL006",
        severity: Severity::Error,
        title: "expansion of a shell",
        why: "systemd is no shell: in commands it replaces $NAME and ${NAME}, elsewhere nothing; the rest is taken as it is written",
        find: shell_expansion,
    },
];

fn unloadable(facts: &Facts) -> Vec<Hit> {
    let of = |source: &Source| -> Vec<Hit> {
        let errors = source.complaints.iter().filter(|complaint| complaint.severity == finding::Severity::Error);
        errors.map(|error| source.of(error).says(&error.message, verify(source))).collect()
    };
    facts.sources().flat_map(of).collect()
}

fn unknown(facts: &Facts) -> Vec<Hit> {
    facts.sources().flat_map(unknown_in).collect()
}

fn unknown_in(source: &Source) -> Vec<Hit> {
    let mut hits = Vec::new();
    for section in source.file.sections.iter().filter(|section| !section.name.starts_with("X-")) {
        let name = section.name.as_str();
        if ![own_section(source), "Unit", "Install"].contains(&name) {
            let spot = source.line(section.line, format!("[{name}]"));
            hits.push(
                spot.says(format!("systemd knows no section [{name}] here"), "# a section of your own: [X-NAME]"),
            );
            continue;
        }
        let unknown =
            section.entries.iter().filter(|entry| !entry.key.starts_with("X-") && !is_known(name, &entry.key));
        hits.extend(unknown.map(|entry| {
            let message = format!("systemd knows no {}= in [{name}]", entry.key);
            source.entry(entry).says(message, format!("# remove it, or call it X-{}=", entry.key))
        }));
    }
    hits
}

fn comment_behind_value(facts: &Facts) -> Vec<Hit> {
    let of = |source: &Source| -> Vec<Hit> {
        let commented = entries(source).filter_map(|entry| Some((entry, comment_start(entry)?)));
        commented
            .map(|(entry, start)| {
                let (value, comment) = entry.value.split_at(start);
                let fix = format!("{comment}\n{}={}", entry.key, value.trim_end());
                source.entry(entry).says(format!("the comment is part of the value of {}=", entry.key), fix)
            })
            .collect()
    };
    facts.sources().flat_map(of).collect()
}

/// Where in the value a `#` or `;` begins that stands behind whitespace and outside quotes.
fn comment_start(entry: &Entry) -> Option<usize> {
    // Free text may well hold one.
    if matches!(entry.key.as_str(), "Description" | "Documentation") {
        return None;
    }
    // In a command a lone `;` separates.
    let is_command = entry.key.starts_with("Exec");
    let mut quote = None;
    let mut before = 'x';
    for (place, c) in entry.value.char_indices() {
        match (c, quote) {
            ('#', None) if before.is_whitespace() => return Some(place),
            (';', None) if before.is_whitespace() && !is_command => return Some(place),
            ('"' | '\'', None) => quote = Some(c),
            (c, Some(open)) if c == open => quote = None,
            _ => {}
        }
        before = c;
    }
    None
}

fn ignored_value(facts: &Facts) -> Vec<Hit> {
    facts.sources().flat_map(ignored_value_in).collect()
}

/// The warnings that no rule here has better words for.
fn ignored_value_in(source: &Source) -> Vec<Hit> {
    let mut told: BTreeSet<u32> =
        entries(source).filter(|entry| comment_start(entry).is_some()).map(|entry| entry.line).collect();
    for section in &source.file.sections {
        told.insert(section.line);
        told.extend(
            section.entries.iter().filter(|entry| !is_known(&section.name, &entry.key)).map(|entry| entry.line),
        );
    }
    let warnings = source.complaints.iter().filter(|complaint| complaint.severity == finding::Severity::Warning);
    let untold = warnings.filter(|warning| !told.contains(&warning.line));
    untold.map(|warning| source.of(warning).says(&warning.message, verify(source))).collect()
}

fn repeated_descriptor_name(facts: &Facts) -> Vec<Hit> {
    let Some(socket) = &facts.socket else { return Vec::new() };
    let names: Vec<_> = socket.source.file.entries("Socket", "FileDescriptorName").collect();
    let [.., before, last] = names[..] else { return Vec::new() };
    if before.value == last.value {
        return Vec::new();
    }
    let message = format!("FileDescriptorName={} replaces FileDescriptorName={}", last.value, before.value);
    let fix = format!("# a .socket unit for each name, all with\n[Socket]\nService={}", socket.unit.triggers());
    vec![socket.source.entry(last).says(message, fix)]
}

fn shell_expansion(facts: &Facts) -> Vec<Hit> {
    let mut hits = in_commands(facts);
    hits.extend(facts.sources().flat_map(in_other_values));
    hits
}

/// Variables outside of commands: nothing is replaced there at all.
fn in_other_values(source: &Source) -> Vec<Hit> {
    let is_plain = |entry: &&Entry| {
        let free_text = ["Description", "Documentation", "Environment"].contains(&entry.key.as_str());
        !free_text && !entry.key.starts_with("Exec")
    };
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
    let shell_only = |entry: &'_ Entry| expansion(&entry.value).or_else(|| operator(&entry.value)).map(str::to_owned);
    let expanding =
        commands.filter(|entry| !runs_shell(&entry.value)).filter_map(|entry| Some((entry, shell_only(entry)?)));
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

fn runs_shell(command: &str) -> bool {
    let program = word::first(command).ok().flatten().map(|(program, _)| program).unwrap_or_default();
    is_shell(program.trim_start_matches(['-', '@', ':', '+', '!']))
}

/// The first word that only a shell acts on: a pipe, a redirection, another command.
fn operator(command: &str) -> Option<&str> {
    let is_operator = |word: &&str| {
        let behind_descriptor = word.trim_start_matches(|c: char| c.is_ascii_digit());
        matches!(*word, "|" | "||" | "&&" | "&") || behind_descriptor.starts_with('>') || *word == "<"
    };
    command.split_whitespace().find(is_operator)
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

fn entries(source: &Source) -> impl Iterator<Item = &Entry> {
    source.file.sections.iter().flat_map(|section| &section.entries)
}

fn own_section(source: &Source) -> &'static str {
    if source.name.kind() == UnitKind::Socket { "Socket" } else { "Service" }
}

fn verify(source: &Source) -> String {
    format!("# systemd-analyze verify {}", source.name)
}

#[cfg(test)]
mod tests {
    use crate::check::testing::*;

    #[test]
    fn a_unit_that_does_not_load_is_told_from_one_that_does() {
        tells_apart(
            "GL001",
            &pair("[Socket]\nBacklog=5\n", EXAMPLES.service),
            &pair(EXAMPLES.socket, EXAMPLES.service),
        );
    }

    #[test]
    fn a_key_or_section_that_systemd_does_not_know_is_found() {
        in_socket("GL002", "SocketLinger=5", "X-SocketLinger=5");
        in_service("GL002", "[Sevice]\nA=1", "[X-Mine]\nA=1");
    }

    #[test]
    fn a_comment_behind_a_value_is_found_and_a_number_sign_elsewhere_is_not() {
        in_socket("GL003", "Backlog=128  # x", "# x\nBacklog=128");
        in_socket("GL003", "Backlog=128 ; x", "; x\nBacklog=128");
        in_command("GL003", "ExecStart=/bin/app # x", "Type=oneshot\nExecStart=/bin/app ; /bin/app");
        in_command("GL003", "ExecStart=/bin/app # x", "ExecStart=/bin/app '# x' a#b");
    }

    #[test]
    fn a_value_that_is_ignored_is_found_but_not_twice() {
        in_socket("GL004", "Backlog=many", "Backlog=128");
        assert!(!found("[Socket]\nListenStream=1\nBacklog=1 # x\nNope=1\n", EXAMPLES.service).contains(&"GL004"));
    }

    #[test]
    fn two_names_for_descriptors_of_one_unit_are_found() {
        in_socket("GL005", "FileDescriptorName=a\nFileDescriptorName=b", "FileDescriptorName=a");
    }

    #[test]
    fn what_only_a_shell_expands_is_found() {
        in_command("GL006", "ExecStart=/bin/app ${PORT:-80}", "ExecStart=/bin/app ${PORT}");
        in_command("GL006", "ExecStart=/bin/app > /var/log/app", "ExecStart=/bin/sh -c 'exec /bin/app > /var/log/app'");
        in_command("GL006", "ExecStart=/bin/app 2>&1", "ExecStart=/bin/app a=b&c");
        in_service("GL006", "WorkingDirectory=$HOME/app", "WorkingDirectory=/srv/app");
        in_socket("GL006", "ListenStream=127.0.0.1:${PORT}", "ListenStream=127.0.0.1:80");
        in_command("GL006", "ExecStart=/bin/app $(nproc)", "ExecStart=/bin/sh -c 'exec /bin/app $(nproc)'");
    }
}
