//! The directory of the control socket: fresh, for us alone, and gone afterwards.
//!
//! We hold an exclusive flock(2) on it while we live. One whose lock can be taken was left by a process that was killed:
//! the next start removes it. Its `ssh` has ended by then, or ends when it reads the end of its input.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags, flock, fstat, mkdir, open};

const PREFIX: &str = "gapless-ssh-";

/// The path of a Unix socket has at most 107 bytes, and `ssh` adds 17 while it makes one.
const PATH_BYTES_MAX: usize = 107 - 17;

/// A directory that is removed when this is dropped.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    _lock: OwnedFd,
}

impl Folder {
    /// Makes one, below `$XDG_RUNTIME_DIR` or the directory for temporary files, and removes those of the dead.
    pub(super) fn create() -> io::Result<Self> {
        let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_dir());
        let candidates = runtime.into_iter().chain([std::env::temp_dir(), PathBuf::from("/tmp")]);
        let longest = Path::new(PREFIX).as_os_str().len() + "/4294967295-9999/socket".len();
        let base = candidates.into_iter().find(|base| base.as_os_str().as_bytes().len() + longest <= PATH_BYTES_MAX);
        let base = base.unwrap_or_else(|| PathBuf::from("/tmp"));
        sweep(&base);
        for nth in 0..10_000_u32 {
            let path = base.join(format!("{PREFIX}{}-{nth}", std::process::id()));
            match mkdir(&path, Mode::RWXU) {
                Ok(()) => {
                    let lock = lock(&path)?.ok_or_else(|| io::Error::other("somebody else has locked it"))?;
                    return Ok(Self { path, _lock: lock });
                }
                Err(rustix::io::Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    pub(super) fn socket(&self) -> PathBuf {
        self.path.join("socket")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed now, the next start removes.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Locks a directory that is ours alone; none where its owner lives, or it is not ours.
fn lock(path: &Path) -> io::Result<Option<OwnedFd>> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::RDONLY;
    let fd = open(path, flags, Mode::empty())?;
    let stat = fstat(&fd)?;
    if stat.st_uid != rustix::process::geteuid().as_raw() || stat.st_mode & 0o777 != 0o700 {
        return Ok(None);
    }
    Ok(flock(&fd, FlockOperation::NonBlockingLockExclusive).is_ok().then_some(fd))
}

fn sweep(base: &Path) {
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        let is_one = entry.file_name().as_bytes().starts_with(PREFIX.as_bytes());
        // One that was just made and is not locked yet has no socket, and is younger than a second.
        let is_new = || {
            entry
                .metadata()
                .and_then(|it| it.modified())
                .is_ok_and(|at| at.elapsed().is_ok_and(|age| age.as_secs() < 1))
        };
        if is_one
            && !is_new()
            && let Ok(Some(_lock)) = lock(&entry.path())
        {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_directory_is_for_us_alone_and_goes_with_its_owner() {
        let folder = Folder::create().expect("made");
        let path = folder.path.clone();
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o700);
        assert!(folder.socket().as_os_str().len() <= PATH_BYTES_MAX);
        sweep(path.parent().expect("it has one"));
        assert!(path.exists(), "its owner lives");
        drop(folder);
        assert!(!path.exists());
    }
}
