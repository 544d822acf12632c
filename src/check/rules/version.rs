//! What a later systemd brought.

use super::syntax::own_section;
use crate::check::facts::Facts;
use crate::check::finding::{Hit, Severity};
use crate::check::rule::Rule;
use crate::check::source::Source;
use crate::unit_file::Entry;
use crate::unit_file::directives::{brought_by, value_brought_by};

/// The version that every systemd in use is taken to have.
const OLDEST: u16 = 252;

pub(super) const RULES: &[Rule] = &[Rule {
    id: "GL007",
    severity: Severity::Warning,
    title: "newer than systemd",
    why: "an older systemd logs a warning and ignores the line",
    find: newer,
}];

fn newer(facts: &Facts) -> Vec<Hit> {
    facts.sources().flat_map(|source| newer_in(source, facts.machine.systemd)).collect()
}

/// A line that not every systemd reads.
struct Newer<'a> {
    entry: &'a Entry,
    /// The key, its value or a specifier in it.
    what: String,
    version: u16,
    /// A systemd that does not know it does not load the unit.
    is_refused: bool,
}

fn newer_in(source: &Source, systemd: Option<u16>) -> Vec<Hit> {
    let own = [own_section(source), "Unit", "Install"];
    let sections = source.file.sections.iter().filter(|section| own.contains(&section.name.as_str()));
    let newer = sections.flat_map(|section| section.entries.iter().filter_map(|entry| needs(&section.name, entry)));
    let too_new = newer.filter(|newer| systemd.is_none_or(|systemd| systemd < newer.version));
    too_new.map(|newer| hit(source, &newer, systemd)).collect()
}

fn hit(source: &Source, newer: &Newer<'_>, systemd: Option<u16>) -> Hit {
    let Newer { entry, what, version, is_refused } = newer;
    let fix = format!("# update systemd to {version}, or go without the line");
    let Some(systemd) = systemd else {
        return source.entry(entry).says(format!("{what} needs systemd {version}"), fix).weighing(Severity::Info);
    };
    let message = format!("{what} is newer than systemd {systemd}: version {version} brought it");
    let hit = source.entry(entry).says(message, fix);
    if *is_refused { hit.weighing(Severity::Error) } else { hit }
}

fn needs<'a>(section: &str, entry: &'a Entry) -> Option<Newer<'a>> {
    let newer = |what: String, version: u16, is_refused: bool| Newer { entry, what, version, is_refused };
    if let Some(version) = brought_by(section, &entry.key).filter(|&version| version > OLDEST) {
        return Some(newer(format!("{}=", entry.key), version, false));
    }
    if let Some(version) = value_brought_by(section, &entry.key, &entry.value) {
        return Some(newer(format!("{}={}", entry.key, entry.value), version, false));
    }
    let has_shared_directory = entry.value.replace("%%", "").contains("%D");
    has_shared_directory.then(|| newer("the specifier %D".to_owned(), 255, entry.key.starts_with("Exec")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::testing::*;

    #[test]
    fn a_line_is_too_new_for_an_older_systemd_alone() {
        let with = |line: &str, systemd| {
            let mut facts = pair(EXAMPLES.socket, &format!("{}{line}\n", EXAMPLES.service));
            facts.machine.systemd = systemd;
            facts
        };
        tells_apart(
            "GL007",
            &with("ExecReloadPost=/bin/true", Some(258)),
            &with("ExecReloadPost=/bin/true", Some(259)),
        );
        tells_apart("GL007", &with("Type=notify-reload", Some(252)), &with("Type=notify-reload", Some(253)));
        tells_apart("GL007", &with("RestartSteps=5", None), &with("RestartSec=5", None));
        tells_apart("GL007", &with("Environment=A=%D/x", Some(252)), &with("Environment=A=%%D/x", Some(252)));
        let unknown = crate::check::check(&with("RestartSteps=5", None), &[]);
        assert_eq!(unknown[0].severity, Severity::Info);
        assert!(!ids(&with("RestartSteps=5", Some(252))).contains(&"GL002"));
    }
}
