//! What is written and is not what systemd reads.

use std::collections::BTreeSet;

use crate::check::facts::Facts;
use crate::check::finding::{Hit, Severity};
use crate::check::rule::Rule;
use crate::check::source::Source;
use crate::model::UnitKind;
use crate::unit_file::directives::is_known;
use crate::unit_file::{Entry, finding};

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
        why: "systemd logs a warning at most and ignores it",
        find: unknown,
    },
    Rule {
        id: "GL003",
        severity: Severity::Error,
        title: "comment after a value",
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
                let hit = source.entry(entry).says(format!("the comment is part of the value of {}=", entry.key), fix);
                if takes_any_words(&entry.key) { hit.weighing(Severity::Warning) } else { hit }
            })
            .collect()
    };
    facts.sources().flat_map(of).collect()
}

/// Whether a value is text for people or for the program, in which anything may stand.
pub(super) fn is_free_text(key: &str) -> bool {
    let of_programs =
        ["StandardInputText", "StandardInputData", "SetCredential", "SetCredentialEncrypted", "LogExtraFields"];
    matches!(key, "Description" | "Documentation") || of_programs.contains(&key)
}

/// Whether the words of a comment are only more words to it: systemd goes on with the others.
fn takes_any_words(key: &str) -> bool {
    let of_units =
        ["After", "Before", "Wants", "Requires", "WantedBy", "RequiredBy", "Also", "Alias", "PartOf", "BindsTo"];
    key.starts_with("Exec") || key.ends_with("Environment") || of_units.contains(&key)
}

/// Where in the value a `#` or `;` begins that stands behind whitespace and outside quotes.
fn comment_start(entry: &Entry) -> Option<usize> {
    if is_free_text(&entry.key) {
        return None;
    }
    // In a command a lone `;` separates, and `#channel` may be an argument.
    let is_command = entry.key.starts_with("Exec");
    let begins = |place: usize| !is_command || entry.value[place + 1..].starts_with([' ', '\t', '#']);
    let mut quote = None;
    let mut before = 'x';
    for (place, c) in entry.value.char_indices() {
        match (c, quote) {
            ('#', None) if before.is_whitespace() && begins(place) => return Some(place),
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

pub(super) fn entries(source: &Source) -> impl Iterator<Item = &Entry> {
    source.file.sections.iter().flat_map(|section| &section.entries)
}

pub(super) fn own_section(source: &Source) -> &'static str {
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
        in_command("GL003", "ExecStart=/bin/app # x", "ExecStart=/bin/app '# x' a#b #channel");
        in_service("GL003", "User=web # x", "StandardInputText=web # x");
        let severity = |line: &str| {
            let findings = crate::check::check(&pair(EXAMPLES.socket, &format!("{}{line}\n", EXAMPLES.service)), &[]);
            findings.into_iter().find(|finding| finding.id == "GL003").map(|finding| finding.severity)
        };
        assert_eq!(severity("Environment=A=1 # x"), Some(crate::check::Severity::Warning));
        assert_eq!(severity("Restart=always # x"), Some(crate::check::Severity::Error));
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
}
