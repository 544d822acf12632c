//! `--suggest`: a socket unit for a service that has none, and what the service needs to take it. Next to the service as it
//! is, a rehearsal shows what that saves.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::check::Facts;
use crate::check::server::{Launch, Taking};
use crate::model::Endpoint;

/// The options of uvicorn that bind what it is to be passed.
const BINDING: [&str; 3] = ["--host", "--port", "--uds"];

/// The files, by their names below a folder of units; or why there are none.
///
/// # Errors
/// When the service has a socket already, or its server cannot take one without more than can be said here.
pub(super) fn suggest(facts: &Facts) -> Result<BTreeMap<String, String>, String> {
    let service = facts.service.as_ref().ok_or("there is no service to hold a socket for")?;
    let name = &service.source.name;
    if let Some(socket) = &facts.socket {
        return Err(format!(
            "{name} has a socket unit already, {}: gapless check {name} audits it",
            socket.source.name
        ));
    }
    let listens_at = service.live.as_ref().map(|live| live.listens_at.as_slice()).unwrap_or_default();
    // A socket unit of streams: what takes messages has its own keys, and is not what a restart drops connections of.
    let of_streams = |endpoint: &&Endpoint| matches!(endpoint, Endpoint::Tcp(_) | Endpoint::Unix(_));
    let listens_at: Vec<Endpoint> = listens_at.iter().filter(of_streams).cloned().collect();
    if listens_at.is_empty() {
        return Err(format!("{name} listens for no connections in the twin"));
    }
    let mut socket = format!("[Unit]\nDescription=Holds the listeners of {name} while it restarts\n\n[Socket]\n");
    for endpoint in &listens_at {
        let _ = writeln!(socket, "ListenStream={endpoint}"); // writing to a String cannot fail
    }
    socket.push_str("\n[Install]\nWantedBy=sockets.target\n");
    let mut files = BTreeMap::from([(format!("{}.socket", name.stem()), socket)]);
    let launch = service.launch();
    let takes = |launch: &Launch| launch.takes(&listens_at, &service.unit.exec.environment, &service.configuration);
    if let Some((launch, Taking::No(advice))) = launch.as_ref().map(|launch| (launch, takes(launch))) {
        let command = service.source.file.last("Service", "ExecStart").map(|entry| entry.value.as_str());
        let told = command.filter(|_| launch.is("uvicorn")).and_then(told_to_take);
        let told = told.ok_or_else(|| cannot(&launch.program, advice))?;
        files.insert(format!("{name}.d/10-socket.conf"), format!("[Service]\nExecStart=\nExecStart={told}\n"));
    }
    Ok(files)
}

fn cannot(program: &str, advice: Option<&str>) -> String {
    match advice {
        None => format!("{program} takes no passed socket: put systemd-socket-proxyd(8) in front of it"),
        Some(advice) => format!(
            "{program} has to be told to take a passed socket: write that into a drop-in, add a socket unit, and pass both \
             with --with: {advice}"
        ),
    }
}

/// uvicorn's command, told to take the first passed socket; none where quoting makes it unclear what its words are.
fn told_to_take(command: &str) -> Option<String> {
    if command.contains(['"', '\'', '\\']) {
        return None;
    }
    let mut words = command.split_whitespace();
    let mut told: Vec<&str> = Vec::new();
    while let Some(word) = words.next() {
        if BINDING.contains(&word) {
            words.next();
        } else if !BINDING.iter().any(|option| word.strip_prefix(option).is_some_and(|rest| rest.starts_with('='))) {
            told.push(word);
        }
    }
    told.extend(["--fd", "3"]);
    Some(told.join(" "))
}

/// Writes them into `folder`, for their owner alone: they may hold what the unit keeps secret.
pub(super) fn write(folder: &Path, files: &BTreeMap<String, String>) -> io::Result<()> {
    let make = |folder: &Path| std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder);
    make(folder)?;
    for (name, text) in files {
        let path = folder.join(name);
        path.parent().map_or(Ok(()), make)?;
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(text.as_bytes())?;
    }
    Ok(())
}

/// The files that were written into `folder`.
pub(super) fn written(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            files.extend(written(&path)?);
        } else {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uvicorn_is_told_to_take_the_socket_in_the_place_of_its_own() {
        let told = told_to_take("/usr/bin/uvicorn app:app --host 127.0.0.1 --port=8008 --workers 2");
        assert_eq!(told.as_deref(), Some("/usr/bin/uvicorn app:app --workers 2 --fd 3"));
        assert_eq!(told_to_take("sh -c 'uvicorn app:app'"), None);
    }

    #[test]
    fn what_is_written_is_found_again_and_is_its_owners_alone() {
        use std::os::unix::fs::MetadataExt as _;
        let place = tempfile::tempdir().expect("a place");
        let folder = place.path().join("suggested");
        let files =
            BTreeMap::from(["a.socket", "a.service.d/10-socket.conf"].map(|name| (name.to_owned(), String::new())));
        write(&folder, &files).expect("written");
        let found = written(&folder).expect("readable");
        assert_eq!(found, [folder.join("a.service.d/10-socket.conf"), folder.join("a.socket")]);
        assert!(found.iter().all(|file| file.metadata().expect("it is there").mode() & 0o777 == 0o600));
    }
}
