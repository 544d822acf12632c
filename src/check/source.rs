//! A unit as its files have it: the fragment and its drop-ins as one, each line still known by its own file.

use std::io;
use std::path::{Path, PathBuf};

use super::finding::Spot;
use crate::model::UnitName;
use crate::unit_file::specifier::Directories;
use crate::unit_file::{Entry, Finding as Complaint, ServiceUnit, SocketUnit, Specifiers, UnitFile};

/// The largest unit file that is read, in bytes.
const LARGEST_BYTES: u64 = 1 << 20;

/// The text of a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The unit, or the template its file defines.
    pub name: UnitName,
    /// Sections of the fragment and the drop-ins, in the order they apply. Lines count through all of them.
    pub file: UnitFile,
    /// What systemd would complain of.
    pub complaints: Vec<Complaint>,
    /// Another unit starts it by a link beside its file.
    pub is_linked: bool,
    /// Each file and the number of its first line.
    files: Vec<(PathBuf, u32)>,
}

impl Source {
    /// From texts: the fragment first, then the drop-ins in their order.
    #[must_use]
    pub fn new(name: UnitName, texts: &[(PathBuf, String)]) -> Self {
        let (mut joined, mut files, mut line) = (String::new(), Vec::new(), 1_u32);
        for (path, text) in texts {
            files.push((path.clone(), line));
            joined.push_str(text);
            // The second line break ends a line that would continue into the next file.
            joined.push_str("\n\n");
            let breaks = text.bytes().filter(|byte| *byte == b'\n').count() + 2;
            line = line.saturating_add(u32::try_from(breaks).unwrap_or(u32::MAX));
        }
        let (file, complaints) = UnitFile::parse(&joined);
        Self { name, file, complaints, is_linked: false, files }
    }

    /// Reads the files of a unit.
    ///
    /// # Errors
    /// When one cannot be read, is no regular file of at most 1 MiB, or is not UTF-8.
    pub fn read(name: UnitName, paths: &[PathBuf]) -> io::Result<Self> {
        let texts: io::Result<Vec<_>> = paths.iter().map(|path| Ok((path.clone(), read_text(path)?))).collect();
        Ok(Self::new(name, &texts?))
    }

    /// The file as a socket; what is wrong with it joins the complaints.
    #[must_use]
    pub fn socket(mut self, directories: Directories) -> (Self, SocketUnit) {
        let (unit, complaints, _) = SocketUnit::read(&self.file, &self.specifiers(directories));
        self.complaints.extend(complaints);
        (self, unit)
    }

    /// The file as a service; what is wrong with it joins the complaints.
    #[must_use]
    pub fn service(mut self, directories: Directories) -> (Self, ServiceUnit) {
        let (unit, complaints, _) = ServiceUnit::read(&self.file, &self.specifiers(directories));
        self.complaints.extend(complaints);
        (self, unit)
    }

    /// A template is read as one of its instances.
    fn specifiers(&self, directories: Directories) -> Specifiers {
        let read = if self.name.stem().ends_with('@') { Specifiers::of_template } else { Specifiers::new };
        read(self.name.clone(), directories)
    }

    /// Where `key` is assigned last; where it is not assigned, the unit as a whole.
    #[must_use]
    pub fn at(&self, section: &str, key: &str) -> Spot {
        match self.file.last(section, key) {
            Some(entry) => self.entry(entry),
            None => self.whole(format!("no {key}= in [{section}]")),
        }
    }

    /// Where an entry stands.
    #[must_use]
    pub fn entry(&self, entry: &Entry) -> Spot {
        self.line(entry.line, format!("{}={}", entry.key, entry.value))
    }

    /// A line.
    #[must_use]
    pub fn line(&self, line: u32, evidence: impl Into<String>) -> Spot {
        let at = self.files.iter().rev().find(|(_, first)| *first <= line.max(1));
        let place = at.map(|(path, first)| (path.display().to_string(), (line + 1).saturating_sub(*first)));
        Spot { unit: self.name.clone(), place, evidence: evidence.into() }
    }

    /// What a complaint is about: its line as it is written.
    #[must_use]
    pub fn of(&self, complaint: &Complaint) -> Spot {
        let mut entries = self.file.sections.iter().flat_map(|section| &section.entries);
        match entries.find(|entry| entry.line == complaint.line) {
            Some(entry) => self.entry(entry),
            None if complaint.line > 0 => self.line(complaint.line, "what stands there"),
            None => self.whole("the file as a whole"),
        }
    }

    /// The unit as a whole.
    #[must_use]
    pub fn whole(&self, evidence: impl Into<String>) -> Spot {
        let place = self.files.first().map(|(path, _)| (path.display().to_string(), 0));
        Spot { unit: self.name.clone(), place, evidence: evidence.into() }
    }
}

/// The text of a unit file.
pub(super) fn read_text(path: &Path) -> io::Result<String> {
    let metadata = std::fs::metadata(path)?;
    if !metadata.is_file() || metadata.len() > LARGEST_BYTES {
        return Err(io::Error::other("not a regular file of at most 1 MiB"));
    }
    std::fs::read_to_string(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(texts: &[(&str, &str)]) -> Source {
        let texts: Vec<_> = texts.iter().map(|(path, text)| (PathBuf::from(path), (*text).to_owned())).collect();
        Source::new(UnitName::new("a.socket").unwrap(), &texts)
    }

    #[test]
    fn a_line_is_known_by_its_own_file() {
        for fragment in ["[Socket]\nBacklog=1\n", "[Socket]\nBacklog=1", "[Socket]\nBacklog=1\\\n"] {
            let source = source(&[("a.socket", fragment), ("b.conf", "\n[Socket]\nAccept=yes\n")]);
            let place = |key| source.at("Socket", key).place.unwrap();
            assert_eq!(place("Backlog"), ("a.socket".to_owned(), 2), "{fragment:?}");
            assert_eq!(place("Accept"), ("b.conf".to_owned(), 3), "{fragment:?}");
        }
    }

    #[test]
    fn what_is_not_there_is_told_of_the_whole_unit() {
        let spot = source(&[("a.socket", "[Socket]\n")]).at("Socket", "Backlog");
        assert_eq!((spot.place, spot.evidence.as_str()), (Some(("a.socket".to_owned(), 0)), "no Backlog= in [Socket]"));
    }

    #[test]
    fn a_template_is_read_as_an_instance() {
        let name = UnitName::new("app@.service").unwrap();
        let text = "[Service]\nExecStart=/bin/app %i\n".to_owned();
        let (source, unit) =
            Source::new(name.clone(), &[(PathBuf::from("app@.service"), text)]).service(Directories::system());
        assert_eq!((source.complaints, source.name), (vec![], name));
        assert_eq!(unit.commands.start[0].argv[1], "instance");
    }
}
