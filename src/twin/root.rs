//! The file system of a twin: the machine's, as an overlay that forgets what is written to it.

use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use rustix::mount::{MountFlags, UnmountFlags, mount, mount_bind, mount_remount, unmount};
use rustix::process::{chdir, pivot_root};

use super::kernel::{self, make_folder};
use super::spec::Spec;
use super::{HOME, PROGRAM, scratch};

/// Where the scratch is mounted meanwhile: a folder that every machine has and nothing here needs. To make one would leave
/// it behind.
const BASE: &str = "/sys";

/// With less than 16 MiB left in /run, systemd reads no unit file again.
const SMALLEST_RUN: u64 = 64 << 20;

/// File systems that hold the kernel's things, not files of the machine.
const OF_THE_KERNEL: [&str; 19] = [
    "proc",
    "sysfs",
    "cgroup",
    "cgroup2",
    "devtmpfs",
    "devpts",
    "mqueue",
    "tracefs",
    "debugfs",
    "securityfs",
    "bpf",
    "fusectl",
    "pstore",
    "autofs",
    "binfmt_misc",
    "hugetlbfs",
    "configfs",
    "efivarfs",
    "nsfs",
];

/// What the twin has of its own, and what belongs to containers of the machine.
const NOT_TAKEN: [&str; 8] =
    ["/proc", "/sys", "/dev", "/run", "/tmp", "/var/lib/docker", "/var/lib/containers", "/var/lib/kubelet"];

/// Where systemd keeps unit files that last until the next boot.
const RUNTIME_UNITS: [&str; 6] = [
    "systemd/system",
    "systemd/system.control",
    "systemd/transient",
    "systemd/generator.early",
    "systemd/generator",
    "systemd/generator.late",
];

/// Builds it and makes it this process's root. Gives what of the machine is not in it, a sentence each.
pub(super) fn build(spec: &Spec, image: Option<&Path>) -> Result<Vec<String>, String> {
    let base = Path::new(BASE);
    scratch::mount_at(base, spec.scratch.size_bytes, image)?;
    let mut builder = Builder { base, layers: 0 };
    let root = base.join("root");
    builder.overlay(Path::new("/"), &root).map_err(|error| {
        format!(
            "cannot mount an overlay over /: {error}; the kernel needs overlayfs, and / may not be two overlays already"
        )
    })?;
    let left_out = builder.overlay_other_mounts(&root)?;
    builder
        .own_folders(&root, spec.scratch.size_bytes)
        .map_err(|error| format!("cannot mount the twin's /run and /tmp: {error}"))?;
    kernel::mount_below(&root, spec.scratch.size_bytes)?;
    copy_runtime_units(&root.join("run")).map_err(|error| format!("cannot copy units of /run: {error}"))?;
    for folder in &spec.needed {
        builder.overlay_needed(folder, &root).map_err(|error| format!("cannot show {}: {error}", folder.display()))?;
    }
    for folder in &spec.kept {
        keep(folder, &root).map_err(|error| format!("cannot keep {} in the twin: {error}", folder.display()))?;
    }
    bring(&spec.program, &root).map_err(|error| format!("cannot bring gapless into the twin: {error}"))?;
    enter(&root).map_err(|error| format!("cannot make the twin's file system its root: {error}"))?;
    Ok(left_out)
}

/// Mounts overlays with upper layers in the scratch.
struct Builder<'a> {
    base: &'a Path,
    layers: u32,
}

impl Builder<'_> {
    /// Mounts at `target` an overlay of the folder `lower`.
    fn overlay(&mut self, lower: &Path, target: &Path) -> io::Result<()> {
        self.layers += 1;
        let layer = self.base.join("layer").join(self.layers.to_string());
        let (upper, work) = (layer.join("upper"), layer.join("work"));
        make_folder(&upper)?;
        make_folder(&work)?;
        make_folder(target)?;
        let status = lower.metadata()?;
        chown(&upper, Some(status.uid()), Some(status.gid()))?;
        fs::set_permissions(&upper, fs::Permissions::from_mode(status.mode() & 0o7777))?;
        let lower = lower.to_string_lossy();
        if lower.contains([',', ':', '\\']) {
            return Err(io::Error::other("its name cannot be given to overlayfs"));
        }
        let options = format!("lowerdir={lower},upperdir={},workdir={}", upper.display(), work.display());
        // Device nodes that somebody makes in it lead nowhere. A folder of the machine can be renamed as on the machine,
        // where the kernel can do that.
        let renames = CString::new(format!("{options},redirect_dir=on"))?;
        mount("gapless-twin", target, "overlay", MountFlags::NODEV, renames.as_c_str()).or_else(|_| {
            mount(
                "gapless-twin",
                target,
                "overlay",
                MountFlags::NODEV,
                CString::new(options.clone()).unwrap_or_default().as_c_str(),
            )
        })?;
        Ok(())
    }

    /// The machine's other file systems, since an overlay of / holds only what is on / itself. One that cannot be a layer
    /// is there to be read. Gives those that are not there.
    fn overlay_other_mounts(&mut self, root: &Path) -> Result<Vec<String>, String> {
        let mounts = fs::read_to_string("/proc/self/mountinfo")
            .map_err(|error| format!("cannot tell what is mounted: {error}"))?;
        let mut left_out = Vec::new();
        for (target, kind) in mounts.lines().filter_map(mount_of) {
            if is_left_out(&target, &kind) {
                continue;
            }
            let inside = below(root, &target);
            let mounted = match kind.as_str() {
                "squashfs" => Err(io::ErrorKind::Unsupported.into()),
                _ if target.is_dir() => self.overlay(&target, &inside),
                _ => Err(io::ErrorKind::NotADirectory.into()),
            };
            if let Err(error) = mounted.or_else(|_| bind_read_only(&target, &inside)) {
                left_out.push(format!("{} ({kind}) is not in the twin: {error}", target.display()));
            }
        }
        Ok(left_out)
    }

    /// /run, in memory whatever the scratch is, and /tmp, in the scratch.
    fn own_folders(&self, root: &Path, size_bytes: u64) -> io::Result<()> {
        let careful = MountFlags::NOSUID | MountFlags::NODEV;
        let options = CString::new(format!("mode=0755,size={}", size_bytes.max(SMALLEST_RUN)))?;
        mount("gapless-twin", root.join("run"), "tmpfs", careful, options.as_c_str())?;
        let (files, tmp) = (self.base.join("tmp"), root.join("tmp"));
        make_folder(&files)?;
        fs::set_permissions(&files, fs::Permissions::from_mode(0o1777))?;
        mount_bind(&files, &tmp)?;
        mount_remount(&tmp, MountFlags::BIND | careful, "")?;
        make_folder(&below(root, Path::new(HOME)))
    }

    /// A folder that is needed even where it is below what the twin has of its own.
    fn overlay_needed(&mut self, folder: &Path, root: &Path) -> io::Result<()> {
        let is_hidden = ["/tmp", "/run"].iter().any(|own| folder.starts_with(own) && folder != Path::new(own));
        if !is_hidden || !folder.is_dir() {
            return Ok(());
        }
        // One may lie in another.
        let inside = below(root, folder);
        if fs::read_dir(&inside).is_ok_and(|mut entries| entries.next().is_some()) {
            return Ok(());
        }
        self.overlay(folder, &inside)
    }
}

/// The mount point and the type of a line of /proc/PID/mountinfo, proc_pid_mountinfo(5).
fn mount_of(line: &str) -> Option<(PathBuf, String)> {
    let (front, back) = line.split_once(" - ")?;
    let target = front.split(' ').nth(4)?;
    Some((PathBuf::from(unescape(target)), back.split(' ').next()?.to_owned()))
}

/// Octal escapes stand for the characters that separate fields.
fn unescape(text: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .iter()
        .fold(text.to_owned(), |text, (escape, character)| text.replace(escape, character))
}

fn is_left_out(target: &Path, kind: &str) -> bool {
    target == Path::new("/") || OF_THE_KERNEL.contains(&kind) || NOT_TAKEN.iter().any(|own| target.starts_with(own))
}

/// `path` as it is seen below `root`.
fn below(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

fn bind_read_only(from: &Path, to: &Path) -> io::Result<()> {
    bind(from, to)?;
    Ok(mount_remount(to, MountFlags::BIND | MountFlags::RDONLY, "")?)
}

/// Binds a folder or a file, whose place is made where it is missing.
fn bind(from: &Path, to: &Path) -> io::Result<()> {
    if from.is_dir() {
        make_folder(to)?;
    } else if !to.exists() {
        to.parent().map_or(Ok(()), make_folder)?;
        File::create(to)?;
    }
    Ok(mount_bind(from, to)?)
}

/// What was set up on this machine until its next boot is as much a part of its units as their files in /etc.
fn copy_runtime_units(run: &Path) -> io::Result<()> {
    for folder in RUNTIME_UNITS {
        let from = Path::new("/run").join(folder);
        if from.is_dir() {
            copy_folder(&from, &run.join(folder))?;
        }
    }
    Ok(())
}

fn copy_folder(from: &Path, to: &Path) -> io::Result<()> {
    make_folder(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (kind, to) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_dir() {
            copy_folder(&entry.path(), &to)?;
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(entry.path())?, &to)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), &to)?;
        }
    }
    Ok(())
}

/// The folder itself: what is written to it stays.
fn keep(folder: &Path, root: &Path) -> io::Result<()> {
    bind(folder, &below(root, folder))
}

/// This program, at a place of its own: where it lies may not be there, and it is not to change meanwhile.
fn bring(program: &Path, root: &Path) -> io::Result<()> {
    bind_read_only(program, &below(root, Path::new(PROGRAM)))
}

fn enter(root: &Path) -> io::Result<()> {
    chdir(root)?;
    pivot_root(".", ".")?;
    unmount(".", UnmountFlags::DETACH)?;
    chdir("/")?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machines_file_systems_are_taken_and_the_kernels_are_not() {
        let line =
            |target: &str, kind: &str| format!("36 35 98:0 / {target} rw,noatime master:1 - {kind} /dev/root rw");
        let taken = |target: &str, kind: &str| {
            let (target, kind) = mount_of(&line(target, kind)).expect("a line");
            (!is_left_out(&target, &kind)).then_some(target)
        };
        assert_eq!(taken("/srv/with\\040space", "ext4"), Some(PathBuf::from("/srv/with space")));
        assert_eq!(taken("/var", "xfs"), Some(PathBuf::from("/var")));
        assert_eq!(taken("/data", "nfs4"), Some(PathBuf::from("/data")));
        assert_eq!(taken("/running", "ext4"), Some(PathBuf::from("/running")));
        for (target, kind) in [("/", "ext4"), ("/run/user/0", "tmpfs"), ("/anywhere", "proc"), ("/tmp", "tmpfs")] {
            assert_eq!(taken(target, kind), None, "{target}");
        }
    }
}
