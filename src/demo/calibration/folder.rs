//! The folder of a calibration's Unix sockets: nobody else's, and gone with the calibration or at the start of the next.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags, flock, fstat, open, stat};
use rustix::io::Errno;

use super::measure::CalibrationError;

const PREFIX: &str = "gapless-calibrate.";

/// Locked while its calibration lives; removed with all that is in it.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    _lock: OwnedFd,
}

impl Folder {
    /// Makes one in the folder for temporary files, and removes those that killed calibrations have left there.
    pub(super) fn create() -> Result<Self, CalibrationError> {
        Self::create_in(&std::env::temp_dir())
    }

    fn create_in(place: &Path) -> Result<Self, CalibrationError> {
        remove_abandoned(place);
        let path = place.join(format!("{PREFIX}{}", std::process::id()));
        loop {
            let made = fs::DirBuilder::new().mode(0o700).create(&path).and_then(|()| lock(&path));
            match made {
                Ok(Some(lock)) => return Ok(Self { path, _lock: lock }),
                // Another calibration took it for abandoned before it was locked.
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound && place.is_dir() => {}
                Err(error) => return Err(CalibrationError::Folder { folder: path, error }),
            }
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // The next calibration tries again.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// None if somebody else has locked it, or it is another by now.
fn lock(path: &Path) -> io::Result<Option<OwnedFd>> {
    let folder = open(path, OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
    match flock(&folder, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => return Ok(None),
        locked => locked?,
    }
    let (locked, there) = (fstat(&folder)?, stat(path)?);
    let is_ours = locked.st_uid == rustix::process::geteuid().as_raw();
    Ok((is_ours && (locked.st_dev, locked.st_ino) == (there.st_dev, there.st_ino)).then_some(folder))
}

/// What cannot be removed does no harm here; the next calibration tries again.
fn remove_abandoned(place: &Path) {
    for entry in fs::read_dir(place).into_iter().flatten().flatten() {
        let is_one = entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX));
        if is_one && let Ok(Some(_lock)) = lock(&entry.path()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_dead_calibration_left_is_removed_and_what_a_living_one_uses_is_not() {
        let place = tempfile::tempdir().expect("a place");
        let of = |number: u32| place.path().join(format!("{PREFIX}{number}"));
        for number in [1, 2] {
            fs::create_dir(of(number)).expect("made");
            fs::write(of(number).join("0.sock"), "").expect("written");
        }
        let living = lock(&of(1)).expect("it is there").expect("free");
        let folder = Folder::create_in(place.path()).expect("made");
        assert!(of(1).exists() && !of(2).exists() && folder.path().exists());
        drop((living, folder));
        assert_eq!(fs::read_dir(place.path()).expect("it is there").count(), 1);
    }

    #[test]
    fn no_link_that_is_called_like_one_is_followed() {
        let place = tempfile::tempdir().expect("a place");
        let elsewhere = place.path().join("elsewhere");
        fs::create_dir(&elsewhere).expect("made");
        fs::write(elsewhere.join("work"), "somebody's").expect("written");
        std::os::unix::fs::symlink(&elsewhere, place.path().join(format!("{PREFIX}1"))).expect("made");
        remove_abandoned(place.path());
        assert!(elsewhere.join("work").exists());
    }
}
