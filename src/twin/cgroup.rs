//! The cgroup of a twin, cgroups(7). It lies at the root, because only there can controllers always be delegated.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};
use rustix::mount::{MountFlags, mount, mount_bind, mount_remount};

/// What the names of twins' cgroups begin with.
const PREFIX: &str = "gapless-twin.";

/// Where cgroup2 is mounted if the machine has not done so.
const DEFAULT_MOUNT: &str = "/sys/fs/cgroup";

/// The kernel takes the last of the dead processes out of their cgroups a moment after they were waited for.
const LONGEST_REMOVAL: Duration = Duration::from_secs(10);

/// The cgroup of one twin.
#[derive(Debug)]
pub(super) struct Cgroup {
    path: PathBuf,
    /// Its lock tells others that it is in use.
    _lock: OwnedFd,
}

impl Cgroup {
    /// Makes it, after those are removed whose twins were killed. Call in a mount namespace of one's own.
    pub(super) fn create() -> io::Result<Self> {
        let root = writable_root()?;
        remove_stale(&root);
        delegate(&root);
        for number in 0.. {
            let path = root.join(format!("{PREFIX}{}.{number}", std::process::id()));
            match fs::create_dir(&path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                made => made?,
            }
            // Another twin may take it for stale until it is locked.
            if let Some(lock) = lock(&path).filter(|_| path.exists()) {
                return Ok(Self { path, _lock: lock });
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    /// Moves a process into it.
    pub(super) fn take(&self, pid: i32) -> io::Result<()> {
        fs::write(self.path.join("cgroup.procs"), pid.to_string())
    }

    /// Kills whatever is in it, and removes it.
    pub(super) fn remove(&self) -> io::Result<()> {
        // Absent before Linux 5.14; there the first process has taken all others with it.
        let _ = fs::write(self.path.join("cgroup.kill"), "1");
        let begin = Instant::now();
        loop {
            match remove(&self.path) {
                Err(error) if begin.elapsed() > LONGEST_REMOVAL => return Err(error),
                Err(_) => sleep(Duration::from_millis(5)),
                Ok(()) => return Ok(()),
            }
        }
    }
}

/// Removes the cgroups of twins that were killed together with their keepers. Call in a mount namespace of one's own.
pub(super) fn sweep() -> io::Result<()> {
    remove_stale(&writable_root()?);
    Ok(())
}

/// Where cgroup2 is mounted and may be written to. A mount of the machine's is bound, not mounted again: that would reset
/// its options for the whole machine.
fn writable_root() -> io::Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let fields = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let found = fields.into_iter().find_map(|fields| match fields[..] {
        [_, target, "cgroup2", options, ..] => Some((PathBuf::from(target), options.split(',').any(|it| it == "rw"))),
        _ => None,
    });
    match found {
        Some((root, true)) => Ok(root),
        Some((root, false)) => {
            mount_bind(&root, &root)?;
            mount_remount(&root, MountFlags::BIND, "")?;
            Ok(root)
        }
        None => {
            mount("cgroup2", DEFAULT_MOUNT, "cgroup2", MountFlags::empty(), None)?;
            Ok(PathBuf::from(DEFAULT_MOUNT))
        }
    }
}

/// Hands all controllers on. Refused where the root has processes, inside a container: then memory is not accounted for.
fn delegate(root: &Path) {
    let controllers = fs::read_to_string(root.join("cgroup.controllers")).unwrap_or_default();
    for controller in controllers.split_whitespace() {
        let _ = fs::write(root.join("cgroup.subtree_control"), format!("+{controller}"));
    }
}

fn remove_stale(root: &Path) {
    for entry in fs::read_dir(root).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(PREFIX) && lock(&entry.path()).is_some() {
            let _ = remove(&entry.path());
        }
    }
}

/// The lock of a cgroup that nobody uses.
fn lock(path: &Path) -> Option<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = open(path, flags, Mode::empty()).ok()?;
    flock(&directory, FlockOperation::NonBlockingLockExclusive).ok()?;
    Some(directory)
}

/// Removes a cgroup and those below it.
fn remove(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove(&entry.path())?;
        }
    }
    fs::remove_dir(path)
}
