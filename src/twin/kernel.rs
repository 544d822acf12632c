//! /dev, /proc and /sys of a twin: what its services need, and of the machine's kernel as little to write to as can be.

use std::ffi::CString;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, symlink};
use std::path::Path;

use rustix::mount::{MountFlags, mount, mount_bind, mount_remount};

/// The devices that are none: they lead to nothing of the machine.
const NODES: [&str; 6] = ["null", "zero", "full", "random", "urandom", "tty"];

const LINKS: [(&str, &str); 5] =
    [("pts/ptmx", "ptmx"), ("/proc/self/fd", "fd"), ("fd/0", "stdin"), ("fd/1", "stdout"), ("fd/2", "stderr")];

/// What of /proc changes the machine, or its devices: to be read only.
const READ_ONLY: [&str; 6] = ["sys", "irq", "bus", "fs", "acpi", "asound"];

/// What of /proc is nobody's business in a twin.
const HIDDEN: [&str; 4] = ["sysrq-trigger", "kcore", "keys", "timer_list"];

/// What systemd and all below it may not do: load code into the kernel, reach devices, set the clock, make device nodes,
/// change mandatory access control, clear the kernel's log.
pub(super) const BOUNDING_SET: &str =
    "-sys_module,-sys_rawio,-sys_time,-mknod,-mac_admin,-mac_override,-syslog,-wake_alarm,-block_suspend";

/// Mounts all three below `root`; shared memory holds `size_bytes`.
pub(super) fn mount_below(root: &Path, size_bytes: u64) -> Result<(), String> {
    devices(&root.join("dev"), size_bytes).map_err(|error| format!("cannot make the twin's /dev: {error}"))?;
    processes(&root.join("proc")).map_err(|error| format!("cannot mount the twin's /proc: {error}"))?;
    system(&root.join("sys")).map_err(|error| format!("cannot mount the twin's /sys: {error}"))
}

fn devices(dev: &Path, size_bytes: u64) -> io::Result<()> {
    mount("gapless-twin", dev, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, c"mode=0755")?;
    for name in NODES {
        let node = dev.join(name);
        File::create(&node)?;
        mount_bind(Path::new("/dev").join(name), &node)?;
    }
    // A place for the console.
    File::create(dev.join("console"))?;
    for folder in ["pts", "shm"] {
        fs::create_dir(dev.join(folder))?;
    }
    let careful = MountFlags::NOSUID | MountFlags::NOEXEC;
    mount("devpts", dev.join("pts"), "devpts", careful, c"newinstance,ptmxmode=0666,mode=0620,gid=5")?;
    let options = CString::new(format!("mode=1777,size={size_bytes}"))?;
    mount("gapless-twin", dev.join("shm"), "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, options.as_c_str())?;
    LINKS.iter().try_for_each(|(target, name)| symlink(target, dev.join(name)))
}

fn processes(proc: &Path) -> io::Result<()> {
    mount("proc", proc, "proc", MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC, None)?;
    // Its own network's settings are the twin's.
    let own = proc.join("sys/net");
    for name in READ_ONLY.iter().map(|name| proc.join(name)).filter(|path| path.exists()) {
        mount_bind(&name, &name)?;
        if name.ends_with("sys") {
            mount_bind(&own, &own)?;
        }
        mount_remount(&name, MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV, "")?;
    }
    for name in HIDDEN.iter().map(|name| proc.join(name)).filter(|path| path.exists()) {
        mount_bind("/dev/null", &name)?;
    }
    Ok(())
}

fn system(sys: &Path) -> io::Result<()> {
    let careful = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    // Read-only, as in any container: it keeps udev and the like from starting.
    mount("sysfs", sys, "sysfs", careful | MountFlags::RDONLY, None)?;
    mount("cgroup2", sys.join("fs/cgroup"), "cgroup2", careful, None)?;
    // Absent from kernels without tracing; what needs it says so itself.
    let _ = mount("tracefs", sys.join("kernel/tracing"), "tracefs", careful, None);
    Ok(())
}

/// Makes a directory and those above it, readable by all.
pub(super) fn make_folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o755).create(path)
}
