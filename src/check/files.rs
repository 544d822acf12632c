//! Facts from unit files alone: nothing is asked of this machine.

use std::io;
use std::path::{Path, PathBuf};

use super::facts::{Clients, Facts, Machine, ServiceFacts, SocketFacts};
use super::source::{Source, read_text};
use crate::model::{UnitKind, UnitName};
use crate::unit_file::specifier::Directories;

/// Why files cannot be checked.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// A file's name is no unit's.
    #[error("{path} is no unit file: {reason}")]
    Name {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A file cannot be read.
    #[error("cannot read {path}: {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
}

/// Reads `.socket` and `.service` files and pairs each socket with the service that it starts. A socket and a
/// service without another belong together whatever their names.
///
/// # Errors
/// When a file cannot be read, or is neither a socket nor a service.
pub fn read(paths: &[PathBuf], clients: &Clients) -> Result<Vec<Facts>, FilesError> {
    let (mut sockets, mut services) = (Vec::new(), Vec::new());
    for path in paths {
        let name = unit_of(path)?;
        let kind = name.kind();
        let text = read_text(path).map_err(|error| FilesError::Read { path: path.clone(), error })?;
        // Unit files of scenarios have this where they are installed from.
        let text = text.replace("{scenario_dir}", "/scenario_dir");
        let source = Source::new(name, &[(path.clone(), text)]);
        match kind {
            UnitKind::Socket => sockets.push(SocketFacts::new(source, Directories::system(), None)),
            _ => services.push(ServiceFacts::new(source, Directories::system(), None)),
        }
    }
    let facts = |socket, service| Facts { socket, service, machine: Machine::default(), clients: clients.clone() };
    if let ([socket], [service]) = (&sockets[..], &services[..]) {
        return Ok(vec![facts(Some(socket.clone()), Some(service.clone()))]);
    }
    let mut pairs = Vec::new();
    let mut alone = services.clone();
    for socket in sockets {
        let triggered = socket.unit.triggers();
        alone.retain(|service| service.source.name.as_str() != triggered);
        let service = services.iter().find(|service| service.source.name.as_str() == triggered).cloned();
        pairs.push(facts(Some(socket), service));
    }
    pairs.extend(alone.into_iter().map(|service| facts(None, Some(service))));
    Ok(pairs)
}

fn unit_of(path: &Path) -> Result<UnitName, FilesError> {
    let wrong = |reason: String| FilesError::Name { path: path.to_owned(), reason };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let unit = UnitName::new(name).map_err(|error| wrong(error.to_string()))?;
    match unit.kind() {
        UnitKind::Other => Err(wrong("only .socket and .service files are checked".to_owned())),
        _ => Ok(unit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Socket and service of each of the facts from files of these names and texts.
    fn paired(files: &[(&str, &str)]) -> Vec<(Option<String>, Option<String>)> {
        let folder = tempfile::tempdir().unwrap();
        let paths: Vec<_> = files.iter().map(|(name, _)| folder.path().join(name)).collect();
        for (path, (_, text)) in paths.iter().zip(files) {
            std::fs::write(path, text).unwrap();
        }
        let facts = read(&paths, &Clients::default()).unwrap();
        let name = |source: &Source| source.name.to_string();
        let names = |facts: Facts| (facts.socket.map(|s| name(&s.source)), facts.service.map(|s| name(&s.source)));
        facts.into_iter().map(names).collect()
    }

    fn named(socket: &str, service: &str) -> (Option<String>, Option<String>) {
        let name = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        (name(socket), name(service))
    }

    #[test]
    fn one_socket_and_one_service_are_a_pair_whatever_their_names() {
        let pairs = paired(&[("a.socket", "[Socket]\n"), ("b.service", "[Service]\n")]);
        assert_eq!(pairs, [named("a.socket", "b.service")]);
    }

    #[test]
    fn each_socket_finds_the_service_that_it_starts() {
        let two = "[Socket]\nService=both.service\n";
        let files = [("a.socket", two), ("b.socket", two), ("c.socket", ""), ("both.service", ""), ("d.service", "")];
        let expected = [
            named("a.socket", "both.service"),
            named("b.socket", "both.service"),
            named("c.socket", ""),
            named("", "d.service"),
        ];
        assert_eq!(paired(&files), expected);
    }

    #[test]
    fn a_file_of_another_kind_or_that_is_not_there_is_refused() {
        for name in ["a.timer", "a.conf", "a.socket"] {
            assert!(read(&[PathBuf::from("/nowhere").join(name)], &Clients::default()).is_err(), "{name}");
        }
    }
}
