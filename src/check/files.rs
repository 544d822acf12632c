//! Facts from unit files alone: of this machine only its version of systemd counts.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::facts::{Clients, Facts, Machine, ServiceFacts, SocketFacts};
use super::source::{Source, read_text};
use crate::model::unit::UnitNameError;
use crate::model::{UnitKind, UnitName};
use crate::unit_file::specifier::Directories;

/// Why files cannot be checked.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// systemd reads no unit from a file of this name.
    #[error("cannot check {path}: {reason}")]
    Name {
        /// The file.
        path: PathBuf,
        /// Why not, and what to do instead.
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

/// Reads `.socket` and `.service` files with their drop-ins and pairs each socket with the service that it starts. A
/// socket and a service without another belong together whatever their names.
///
/// # Errors
/// When a file cannot be read, or is neither a socket, a service nor a drop-in of one.
pub fn read(paths: &[PathBuf], clients: &Clients, machine: Machine) -> Result<Vec<Facts>, FilesError> {
    let (mut sockets, mut services) = (Vec::new(), Vec::new());
    for (fragment, drop_ins) in with_drop_ins(paths)? {
        let name = unit_of(&fragment)?;
        let kind = name.kind();
        let mut texts = Vec::new();
        for path in [fragment.clone()].into_iter().chain(drop_ins) {
            let text = read_text(&path).map_err(|error| FilesError::Read { path: path.clone(), error })?;
            // Unit files of scenarios have this where they are installed from.
            texts.push((path, text.replace("{scenario_dir}", "/scenario_dir")));
        }
        let mut source = Source::new(name, &texts);
        source.is_linked = is_linked(&fragment);
        let directories = if machine.is_users || is_users(&fragment) { of_a_user() } else { Directories::system() };
        match kind {
            UnitKind::Socket => sockets.push((SocketFacts::new(source, directories, None), is_users(&fragment))),
            _ => services.push((ServiceFacts::new(source, directories, None), is_users(&fragment))),
        }
    }
    Ok(paired(sockets, &services, clients, machine))
}

fn paired(
    sockets: Vec<(SocketFacts, bool)>,
    services: &[(ServiceFacts, bool)],
    clients: &Clients,
    machine: Machine,
) -> Vec<Facts> {
    let facts = |socket: Option<(SocketFacts, bool)>, service: Option<(ServiceFacts, bool)>| {
        let is_users = [socket.as_ref().map(|unit| unit.1), service.as_ref().map(|unit| unit.1)].contains(&Some(true));
        let machine = Machine { is_users: machine.is_users || is_users, ..machine };
        let (socket, service) = (socket.map(|unit| unit.0), service.map(|unit| unit.0));
        Facts { socket, service, machine, clients: clients.clone() }
    };
    if let ([socket], [service]) = (&sockets[..], services) {
        return vec![facts(Some(socket.clone()), Some(service.clone()))];
    }
    let mut pairs = Vec::new();
    let mut alone = services.to_vec();
    for socket in sockets {
        let triggered = socket.0.unit.triggers();
        alone.retain(|service| service.0.unit.name.as_str() != triggered);
        let service = services.iter().find(|service| service.0.unit.name.as_str() == triggered).cloned();
        pairs.push(facts(Some(socket), service));
    }
    pairs.extend(alone.into_iter().map(|service| facts(None, Some(service))));
    pairs
}

/// The fragments, each with the drop-ins beside it and those that were given, in the order they apply.
fn with_drop_ins(paths: &[PathBuf]) -> Result<Vec<(PathBuf, Vec<PathBuf>)>, FilesError> {
    let mut fragments: Vec<(PathBuf, BTreeMap<PathBuf, PathBuf>)> = Vec::new();
    let mut given = Vec::new();
    for path in paths {
        match drop_in_of(path) {
            Some((unit, beside)) => given.push((path, unit, beside)),
            None => fragments.push((path.clone(), beside(path))),
        }
    }
    for (path, unit, beside_it) in given {
        let is_fragment = |known: &PathBuf| known.file_name().is_some_and(|name| name.to_string_lossy() == unit);
        let place = fragments.iter().position(|(known, _)| is_fragment(known));
        let place = match place {
            Some(place) => place,
            None if beside_it.is_file() => {
                fragments.push((beside_it.clone(), beside(&beside_it)));
                fragments.len() - 1
            }
            None => {
                let reason = format!(
                    "it is a drop-in, and {unit} is not beside its folder; \
                     give the unit's file as well (gapless check /PATH/OF/{unit} {}), or check the installed unit (gapless check {unit})",
                    path.display()
                );
                return Err(FilesError::Name { path: path.clone(), reason });
            }
        };
        fragments[place].1.insert(PathBuf::from(path.file_name().unwrap_or_default()), path.clone());
    }
    Ok(fragments.into_iter().map(|(fragment, drop_ins)| (fragment, drop_ins.into_values().collect())).collect())
}

/// The drop-ins in the folder beside a fragment, by name.
fn beside(fragment: &Path) -> BTreeMap<PathBuf, PathBuf> {
    let mut folder = fragment.as_os_str().to_owned();
    folder.push(".d");
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
    let drop_ins = entries.filter(|path| path.extension().is_some_and(|kind| kind == "conf"));
    drop_ins.filter_map(|path| Some((PathBuf::from(path.file_name()?), path))).collect()
}

/// The unit of a drop-in, `web.service` for `web.service.d/override.conf`, and where its own file may be.
fn drop_in_of(path: &Path) -> Option<(String, PathBuf)> {
    let folder = path.parent()?;
    let unit = folder.file_name()?.to_str()?.strip_suffix(".d")?;
    let is_one = path.extension().is_some_and(|kind| kind == "conf") && UnitName::new(unit).is_ok();
    is_one.then(|| (unit.to_owned(), folder.with_file_name(unit)))
}

/// Files that hold the text of a unit and that systemd does not read: their last extension, what they are, and what to do.
const NOT_READ: &[(&[&str], &str)] = &[
    (
        &["container", "volume", "network", "kube", "pod", "image", "build"],
        "it is a Quadlet file, of which Podman's generator makes a service; check that one: gapless check {stem}.service, or \
         /usr/lib/systemd/system-generators/podman-system-generator --dryrun",
    ),
    (
        &["in", "j2", "tmpl", "tpl", "erb", "template"],
        "it is a template that a build or a deploy fills in; check the file made of it",
    ),
    (
        &[
            "bak",
            "old",
            "orig",
            "save",
            "rej",
            "swp",
            "disabled",
            "dpkg-old",
            "dpkg-dist",
            "dpkg-new",
            "rpmsave",
            "rpmnew",
        ],
        "it is a copy that systemd does not read; check {stem}, or a copy of this file under that name",
    ),
    (&["conf"], "it is a drop-in only in a folder such as NAME.service.d/"),
];

fn unit_of(path: &Path) -> Result<UnitName, FilesError> {
    let wrong = |reason: String| FilesError::Name { path: path.to_owned(), reason };
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let (stem, extension) = name.trim_end_matches('~').rsplit_once('.').unwrap_or((&name, ""));
    let is_copy = name.ends_with('~');
    let extension = if is_copy { "bak" } else { extension };
    if let Some((_, advice)) = NOT_READ.iter().find(|(extensions, _)| extensions.contains(&extension)) {
        let stem = if is_copy { name.trim_end_matches('~') } else { stem };
        return Err(wrong(advice.replace("{stem}", stem)));
    }
    let only = "only .socket and .service files are checked";
    match UnitName::new(name.clone()) {
        Ok(unit) if unit.kind() != UnitKind::Other => Ok(unit),
        Ok(_) | Err(UnitNameError::Suffix(_)) => Err(wrong(only.to_owned())),
        Err(error) => Err(wrong(error.to_string())),
    }
}

/// Whether a file is where units of users are: `/etc/systemd/user`, `~/.config/systemd/user` and the like.
fn is_users(path: &Path) -> bool {
    path.parent().and_then(Path::file_name).is_some_and(|folder| folder == "user")
}

/// The directories of a user's systemd, for any user.
fn of_a_user() -> Directories {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map_or_else(|| PathBuf::from("/run/user/1000"), PathBuf::from);
    Directories { runtime, ..Directories::system() }
}

/// Whether another unit starts it by a link beside its file: `sockets.target.wants/NAME` and the like.
fn is_linked(fragment: &Path) -> bool {
    let folder = fragment.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Some(name) = fragment.file_name() else { return false };
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
    let kinds = ["wants", "requires", "upholds"];
    let mut folders =
        entries.filter(|path| path.extension().is_some_and(|kind| kinds.iter().any(|known| kind == *known)));
    folders.any(|links| links.join(name).is_symlink())
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
        let facts = read(&paths, &Clients::default(), Machine::default()).unwrap();
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
            let path = PathBuf::from("/nowhere").join(name);
            assert!(read(&[path], &Clients::default(), Machine::default()).is_err(), "{name}");
        }
    }

    fn refused(name: &str) -> String {
        let path = PathBuf::from("/nowhere").join(name);
        read(&[path], &Clients::default(), Machine::default()).unwrap_err().to_string()
    }

    #[test]
    fn a_file_that_systemd_does_not_read_is_refused_with_what_to_check_instead() {
        for (name, advice) in [
            ("web.container", "gapless check web.service"),
            ("web.service.in", "check the file made of it"),
            ("web.service.bak", "check web.service, or a copy"),
            ("web.service~", "check web.service, or a copy"),
            ("web.socket.dpkg-dist", "check web.socket, or a copy"),
            ("web.service.d/override.conf", "gapless check /PATH/OF/web.service /nowhere/web.service.d/override.conf"),
            ("nginx.conf", "only in a folder such as NAME.service.d/"),
            ("web.timer", "only .socket and .service files"),
        ] {
            assert!(refused(name).contains(advice), "{name}: {}", refused(name));
        }
    }

    #[test]
    fn a_drop_in_is_read_after_the_file_it_changes() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::create_dir(at("web.service.d")).unwrap();
        std::fs::write(at("web.service"), "[Service]\nExecStart=/bin/app\nUMask=0022\n").unwrap();
        std::fs::write(at("web.service.d/override.conf"), "[Service]\nUMask=0077\n").unwrap();
        for given in [
            vec!["web.service"],
            vec!["web.service.d/override.conf"],
            vec!["web.service.d/override.conf", "web.service"],
        ] {
            let paths: Vec<_> = given.iter().map(|name| at(name)).collect();
            let facts = read(&paths, &Clients::default(), Machine::default()).unwrap();
            assert_eq!(facts.len(), 1, "{given:?}");
            assert_eq!(facts[0].service.as_ref().unwrap().unit.exec.umask, 0o077, "{given:?}");
        }
    }

    #[test]
    fn a_unit_of_a_users_folder_is_a_users() {
        let folder = tempfile::tempdir().unwrap();
        let socket = |parent: &str| {
            std::fs::create_dir(folder.path().join(parent)).unwrap();
            let path = folder.path().join(parent).join("a.socket");
            std::fs::write(&path, "[Socket]\nListenStream=%t/a.sock\n").unwrap();
            read(&[path], &Clients::default(), Machine::default()).unwrap()[0].machine.is_users
        };
        assert_eq!((socket("user"), socket("system")), (true, false));
    }

    #[test]
    fn a_link_beside_its_file_starts_a_unit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.socket");
        std::fs::write(&path, "[Socket]\nListenStream=1\n").unwrap();
        assert!(!is_linked(&path));
        std::fs::create_dir(folder.path().join("sockets.target.wants")).unwrap();
        std::os::unix::fs::symlink("../a.socket", folder.path().join("sockets.target.wants/a.socket")).unwrap();
        assert!(is_linked(&path));
    }
}
