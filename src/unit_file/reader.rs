//! Reads directives out of a unit file, and keeps account: what was wrong, and what nobody asked for.

use std::collections::BTreeSet;

use super::command::CommandLine;
use super::directives::{is_inert, is_known};
use super::finding::{Finding, IgnoredDirective, ValueError};
use super::specifier::Specifiers;
use super::syntax::{Entry, UnitFile};
use super::{value, word};
use crate::model::UnitName;

/// A unit file being read into a typed view. Asking for a directive is what makes it one that is acted on.
#[derive(Debug)]
pub struct Reader<'a> {
    file: &'a UnitFile,
    specifiers: &'a Specifiers,
    asked: BTreeSet<(&'static str, &'static str)>,
    findings: Vec<Finding>,
}

impl<'a> Reader<'a> {
    /// Reads `file` as the unit of `specifiers`.
    #[must_use]
    pub fn new(file: &'a UnitFile, specifiers: &'a Specifiers) -> Self {
        Self { file, specifiers, asked: BTreeSet::new(), findings: Vec::new() }
    }

    /// What specifiers stand for.
    #[must_use]
    pub fn specifiers(&self) -> &'a Specifiers {
        self.specifiers
    }

    /// The last assignment of any of `keys` that `parse` accepts; none where there is no such assignment or an
    /// empty one came last. What it does not accept is a finding.
    pub fn value<T>(
        &mut self,
        section: &'static str,
        keys: &[&'static str],
        parse: impl Fn(&str) -> Result<T, ValueError>,
    ) -> Option<T> {
        let mut last = None;
        for entry in self.ask(section, keys) {
            if entry.value.is_empty() {
                last = None;
            } else if let Some(value) = self.accept(entry, parse(&entry.value)) {
                last = Some(value);
            }
        }
        last
    }

    /// A text with its specifiers replaced.
    pub fn text(&mut self, section: &'static str, key: &'static str) -> Option<String> {
        let specifiers = self.specifiers;
        self.value(section, &[key], |text| specifiers.replace(text))
    }

    /// A switch.
    pub fn switch(&mut self, section: &'static str, key: &'static str, default: bool) -> bool {
        self.value(section, &[key], value::boolean).unwrap_or(default)
    }

    /// Every assignment of `key` that `parse` accepts, with its line; an empty one empties the list.
    pub fn list<T>(
        &mut self,
        section: &'static str,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, ValueError>,
    ) -> Vec<(T, u32)> {
        let mut values = Vec::new();
        for entry in self.ask(section, &[key]) {
            if entry.value.is_empty() {
                values.clear();
            } else if let Some(value) = self.accept(entry, parse(&entry.value)) {
                values.push((value, entry.line));
            }
        }
        values
    }

    /// The quoted words of every assignment, specifiers replaced.
    pub fn words(&mut self, section: &'static str, key: &'static str) -> Vec<String> {
        let specifiers = self.specifiers;
        let parse = |text: &str| word::split(text)?.iter().map(|word| specifiers.replace(word)).collect();
        let lists: Vec<(Vec<String>, u32)> = self.list(section, key, parse);
        lists.into_iter().flat_map(|(words, _)| words).collect()
    }

    /// Units of a dependency; what is no unit name is a finding.
    pub fn units(&mut self, section: &'static str, key: &'static str) -> Vec<UnitName> {
        let mut units = Vec::new();
        for entry in self.ask(section, &[key]) {
            for name in entry.value.split_whitespace() {
                let unit = self.specifiers.replace(name).map(UnitName::new);
                if let Some(Ok(unit)) = self.accept(entry, unit.clone()) {
                    units.push(unit);
                } else if let Ok(Err(error)) = unit {
                    self.findings.push(Finding::warning(entry.line, format!("{}=: {error}", entry.key)));
                }
            }
        }
        units
    }

    /// The last value of a directive that is looked at and not acted on, as it is written.
    #[must_use]
    pub fn watched_text(&self, section: &'static str, key: &'static str) -> Option<String> {
        self.file.last(section, key).map(|entry| entry.value.clone()).filter(|value| !value.is_empty())
    }

    /// As [`units`](Self::units), of a dependency that is looked at and not acted on.
    pub fn watched_units(&mut self, section: &'static str, key: &'static str) -> Vec<UnitName> {
        let units = self.units(section, key);
        self.asked.remove(&(section, key));
        units
    }

    /// The commands of `[Service]` `key`. One that cannot be read keeps the unit from loading, except behind `-`.
    pub fn commands(&mut self, key: &'static str) -> Vec<CommandLine> {
        let mut commands = Vec::new();
        for entry in self.ask("Service", &[key]) {
            if entry.value.is_empty() {
                commands.clear();
                continue;
            }
            match CommandLine::parse(&entry.value, entry.line, self.specifiers) {
                Ok(parsed) => commands.extend(parsed),
                Err(error) => {
                    let message = format!("{key}=: {error}");
                    let finding = if entry.value.starts_with('-') { Finding::warning } else { Finding::error };
                    self.findings.push(finding(entry.line, message));
                }
            }
        }
        commands
    }

    /// Adds a finding.
    pub fn report(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// The line of the last assignment of `key`; 0 if there is none.
    #[must_use]
    pub fn line_of(&self, section: &str, key: &str) -> u32 {
        self.file.last(section, key).map_or(0, |entry| entry.line)
    }

    /// All findings, and the directives that nobody asked for. `own` is the section of the unit's type.
    #[must_use]
    pub fn finish(mut self, own: &str) -> (Vec<Finding>, Vec<IgnoredDirective>) {
        let mut ignored = Vec::new();
        for section in &self.file.sections {
            let name = section.name.as_str();
            if name.starts_with("X-") {
                continue;
            }
            if ![own, "Unit", "Install"].contains(&name) {
                self.findings.push(Finding::warning(section.line, format!("unknown section [{name}] is ignored")));
                continue;
            }
            for entry in section.entries.iter().filter(|entry| !entry.key.starts_with("X-")) {
                let key = entry.key.as_str();
                if !is_known(name, key) {
                    let message = format!("unknown key {key}= in section [{name}] is ignored");
                    self.findings.push(Finding::warning(entry.line, message));
                } else if !is_inert(name, key) && !self.asked.contains(&(name, key)) {
                    let unit = self.specifiers.unit().clone();
                    ignored.push(IgnoredDirective { unit, directive: key.to_owned(), line: entry.line });
                }
            }
        }
        self.findings.sort_by_key(|finding| finding.line);
        (self.findings, ignored)
    }

    fn ask(&mut self, section: &'static str, keys: &[&'static str]) -> Vec<&'a Entry> {
        self.asked.extend(keys.iter().map(|&key| (section, key)));
        self.file.section(section).filter(|entry| keys.contains(&entry.key.as_str())).collect()
    }

    fn accept<T>(&mut self, entry: &Entry, value: Result<T, ValueError>) -> Option<T> {
        value
            .map_err(|error| {
                let message = format!("{}=: {error}; the line is ignored", entry.key);
                self.findings.push(Finding::warning(entry.line, message));
            })
            .ok()
    }
}

#[cfg(test)]
mod tests {
    use super::super::specifier::Directories;
    use super::*;

    fn read<T>(text: &str, ask: impl FnOnce(&mut Reader<'_>) -> T) -> (T, Vec<Finding>, Vec<IgnoredDirective>) {
        let specifiers = Specifiers::new(UnitName::new("a.socket").expect("valid"), Directories::system());
        let (file, _) = UnitFile::parse(text);
        let mut reader = Reader::new(&file, &specifiers);
        let answer = ask(&mut reader);
        let (findings, ignored) = reader.finish("Socket");
        (answer, findings, ignored)
    }

    #[test]
    fn the_last_valid_assignment_counts_and_a_bad_one_is_told() {
        let text = "[Socket]\nBacklog=5\nBacklog=128 # x\n";
        let (value, findings, _) = read(text, |reader| reader.value("Socket", &["Backlog"], value::number));
        assert_eq!(value, Some(5));
        assert_eq!(findings.iter().map(|finding| finding.line).collect::<Vec<_>>(), [3]);
    }

    #[test]
    fn an_empty_assignment_empties_a_list() {
        let text = "[Socket]\nListenStream=1\nListenStream=\nListenStream=2\n";
        let (values, ..) = read(text, |reader| reader.list("Socket", "ListenStream", value::number));
        assert_eq!(values, [(2, 4)]);
    }

    #[test]
    fn what_nobody_asked_for_is_ignored_and_what_nobody_knows_is_told() {
        let text = "[Unit]\nDescription=x\n[Socket]\nMark=1\nSocketLinger=2\nX-Mine=3\n[Nope]\nA=1\n[X-Own]\nB=1\n";
        let ((), findings, ignored) = read(text, |_| ());
        assert_eq!(ignored.iter().map(|one| (one.directive.as_str(), one.line)).collect::<Vec<_>>(), [("Mark", 4)]);
        assert_eq!(findings.iter().map(|finding| finding.line).collect::<Vec<_>>(), [5, 7]);
    }
}
