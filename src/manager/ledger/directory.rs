//! The directory of the ledgers: ours alone, and locked while it is searched.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{self as rfs, FileType, FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use super::LedgerError;

/// Where ledgers are kept: `/run/gapless` for root, else `$XDG_RUNTIME_DIR/gapless`, and `/tmp/gapless-UID` where
/// there is no such directory. All are gone after a reboot, and so are the changes (`/tmp` mostly).
#[must_use]
pub fn location() -> PathBuf {
    let user = rustix::process::geteuid();
    if user.is_root() {
        return PathBuf::from("/run/gapless");
    }
    match std::env::var_os("XDG_RUNTIME_DIR").filter(|directory| !directory.is_empty()) {
        Some(directory) => PathBuf::from(directory).join("gapless"),
        None => PathBuf::from(format!("/tmp/gapless-{}", user.as_raw())),
    }
}

/// A directory that is ours alone, by descriptor: what was verified is what is used.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    fd: OwnedFd,
}

const EXTENSION: &str = ".jsonl";

impl Directory {
    /// Makes it if need be, and verifies that it is a directory (no link to one) that only we may enter.
    pub(super) fn open(path: &Path) -> Result<Self, LedgerError> {
        let fd = open_own(path).map_err(|error| LedgerError::unusable_directory(path, error))?;
        Ok(Self { path: path.to_path_buf(), fd })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { path: self.path.clone(), fd: self.fd.try_clone()? })
    }

    /// Keeps other runs from creating or judging ledgers until the guard is dropped.
    pub(super) fn lock(&self) -> io::Result<OwnedFd> {
        // A descriptor of its own, because flock(2) belongs to the open file description.
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::RDONLY;
        let guard = rfs::openat(&self.fd, ".", flags, Mode::empty())?;
        rfs::flock(&guard, FlockOperation::LockExclusive)?;
        Ok(guard)
    }

    /// Makes a file with a new name.
    pub(super) fn create_ledger(&self) -> io::Result<(String, File)> {
        let pid = std::process::id();
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::APPEND | OFlags::WRONLY | OFlags::CLOEXEC;
        for nth in 0_u32.. {
            let name = format!("{pid}-{nth}{EXTENSION}");
            match rfs::openat(&self.fd, &name, flags, Mode::RUSR | Mode::WUSR) {
                Ok(fd) => return Ok((name, File::from(fd))),
                Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Errno::EXIST.into())
    }

    /// The names of all ledgers, in order.
    pub(super) fn ledgers(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in rfs::Dir::read_from(&self.fd)? {
            let entry = entry?;
            names.extend(entry.file_name().to_str().ok().filter(|name| name.ends_with(EXTENSION)).map(str::to_owned));
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Opens a file that we wrote, and nothing else: no link, no FIFO that would be waited for, no file of others.
    pub(super) fn open_ledger(&self, name: &str, access: OFlags) -> io::Result<File> {
        let flags = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let fd = match rfs::openat(&self.fd, name, flags, Mode::empty()) {
            Ok(fd) => fd,
            Err(Errno::LOOP) => return Err(io::Error::other("it is a symbolic link, not a ledger")),
            Err(error) => return Err(error.into()),
        };
        let stat = rfs::fstat(&fd)?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(io::Error::other("it is not a regular file"));
        }
        let others = Mode::from_raw_mode(stat.st_mode) & (Mode::WGRP | Mode::WOTH);
        if stat.st_uid != rustix::process::geteuid().as_raw() || !others.is_empty() || stat.st_nlink > 1 {
            return Err(io::Error::other(
                "others may have written to it: its owner, mode or number of links is not ours",
            ));
        }
        Ok(File::from(fd))
    }

    pub(super) fn remove_ledger(&self, name: &str) -> io::Result<()> {
        // Whoever lists the directory holds its lock: no name vanishes between listing and opening.
        let _guard = self.lock()?;
        rfs::unlinkat(&self.fd, name, rfs::AtFlags::empty())?;
        Ok(())
    }
}

fn open_own(path: &Path) -> io::Result<OwnedFd> {
    match rfs::mkdir(path, Mode::RWXU) {
        Ok(()) | Err(Errno::EXIST) => {}
        Err(error) => return Err(error.into()),
    }
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
    let fd = rfs::open(path, flags, Mode::empty())?;
    let stat = rfs::fstat(&fd)?;
    let is_ours = stat.st_uid == rustix::process::geteuid().as_raw();
    let permissions = Mode::from_raw_mode(stat.st_mode) & (Mode::RWXU | Mode::RWXG | Mode::RWXO);
    if is_ours && permissions == Mode::RWXU {
        return Ok(fd);
    }
    Err(io::Error::new(io::ErrorKind::PermissionDenied, "its owner or mode is not ours alone"))
}
