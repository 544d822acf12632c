//! Where what is written in a twin goes: memory, or a file in a folder that the user names, which is unlinked as soon as it
//! is in use. Either ends with the twin, and neither takes more than its size.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::{FallocateFlags, FlockOperation, fallocate, flock};
use rustix::io::Errno;
use rustix::mount::{MountFlags, mount};

use super::spec::Scratch;

/// What the names of files in a scratch folder begin with.
const PREFIX: &str = ".gapless-twin.";

/// The file behind a scratch that is not in memory.
#[derive(Debug)]
pub(super) struct Image {
    path: PathBuf,
    /// Its lock tells others that it is in use.
    _lock: File,
}

impl Image {
    /// Makes an empty file system in the scratch's folder, after those are removed whose twins were killed while they
    /// began; none for memory.
    pub(super) fn create(scratch: &Scratch) -> Result<Option<Self>, String> {
        let Some(folder) = &scratch.folder else { return Ok(None) };
        let failed = |error: io::Error| format!("cannot make the scratch in {}: {error}", folder.display());
        remove_stale(folder);
        let path = folder.join(format!("{PREFIX}{}", std::process::id()));
        let file = File::options().write(true).create_new(true).open(&path).map_err(failed)?;
        let locked = flock(&file, FlockOperation::NonBlockingLockExclusive);
        let sized = locked.map_err(Into::into).and_then(|()| reserve(&file, scratch.size_bytes));
        let image = Self { path, _lock: file };
        sized.map_err(failed)?;
        let made = Command::new("mkfs.ext4")
            .args(["-q", "-F", "-O", "^has_journal", "-m", "0", "-E", "nodiscard"])
            .arg(&image.path)
            .stdin(Stdio::null())
            .output()
            .map_err(|error| format!("cannot run mkfs.ext4 for the scratch: {error}; install e2fsprogs"))?;
        if !made.status.success() {
            let said = String::from_utf8_lossy(&made.stderr);
            return Err(format!("cannot make the scratch: mkfs.ext4 {}: {}", made.status, said.trim()));
        }
        Ok(Some(image))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// Takes its room at once, where the file system of the folder can do that: one that is found to be full later fails the
/// twin's writes with no word of why.
fn reserve(file: &File, size_bytes: u64) -> io::Result<()> {
    match fallocate(file, FallocateFlags::empty(), 0, size_bytes) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => file.set_len(size_bytes),
        Err(Errno::NOSPC) => Err(io::Error::other(format!(
            "{} MiB do not fit there; choose another folder or a smaller --scratch-size",
            size_bytes >> 20
        ))),
        reserved => Ok(reserved?),
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        // Gone already where the twin came far enough.
        let _ = fs::remove_file(&self.path);
    }
}

fn remove_stale(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let is_ours = entry.file_name().to_string_lossy().starts_with(PREFIX)
            && entry.file_type().is_ok_and(|kind| kind.is_file());
        let lock =
            || File::open(entry.path()).and_then(|file| Ok(flock(&file, FlockOperation::NonBlockingLockExclusive)?));
        if is_ours && lock().is_ok() {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// Mounts the scratch at `target`.
pub(super) fn mount_at(target: &Path, size_bytes: u64, image: Option<&Path>) -> Result<(), String> {
    let Some(image) = image else {
        let options = format!("mode=0755,size={size_bytes}");
        let options = std::ffi::CString::new(options).unwrap_or_default();
        return mount("gapless-twin", target, "tmpfs", MountFlags::empty(), options.as_c_str())
            .map_err(|error| format!("cannot mount a tmpfs for the scratch: {error}"));
    };
    let mounted = Command::new("mount")
        .args(["-t", "ext4", "-o", "loop,nodiscard"])
        .args([image, target])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("cannot run mount for the scratch: {error}"))?;
    // The mount holds it from now on: nothing of it outlives the twin.
    let _ = fs::remove_file(image);
    if mounted.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&mounted.stderr);
    Err(format!("cannot mount the scratch (is there a loop device? else leave --scratch out): {}", said.trim()))
}
