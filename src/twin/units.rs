//! What the systemd of a twin boots: the journal, the bus and the temporary files of packages, and no other unit of the
//! machine.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode};
use rustix::mount::{MountFlags, mount, mount_bind};

use super::HOME;
use super::kernel::make_folder;
use super::spec::Spec;

/// What is booted.
pub(super) const TARGET: &str = "gapless-twin.target";

/// A pipe that is written to when the bus is up.
pub(super) const READY: &str = "/run/gapless-twin/ready";

/// The names of the units that are enabled on the machine, a line each.
pub(super) const ENABLED: &str = "/run/gapless-twin/enabled";

/// What says that this is a twin, and whose.
pub(super) const MARK: &str = crate::host::machine::TWIN_MARK;

/// Where unit files of the machine are.
const FOLDERS: [&str; 11] = [
    "/etc/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
    "/run/systemd/system",
    "/run/systemd/system.control",
    "/run/systemd/transient",
    "/run/systemd/generator.early",
    "/run/systemd/generator",
    "/run/systemd/generator.late",
    "/etc/systemd/system.attached",
];

/// What makes units out of the machine's mounts, disks and kernel command line.
const GENERATORS: [&str; 4] = [
    "/etc/systemd/system-generators",
    "/usr/local/lib/systemd/system-generators",
    "/usr/lib/systemd/system-generators",
    "/lib/systemd/system-generators",
];

/// Units that would take the machine's devices and terminals for the twin's.
const MASKED: [&str; 7] = [
    "console-getty.service",
    "getty.target",
    "systemd-udevd.service",
    "systemd-udevd-control.socket",
    "systemd-udevd-kernel.socket",
    "systemd-tmpfiles-setup-dev.service",
    "systemd-tmpfiles-setup-dev-early.service",
];

const TARGET_TEXT: &str = "[Unit]
Description=A twin of this machine, for a rehearsal
Requires=basic.target
After=basic.target
Wants=systemd-journald.socket systemd-journald-dev-log.socket systemd-journald.service
Wants=systemd-tmpfiles-setup.service dbus.socket dbus.service gapless-twin-ready.service
AllowIsolate=yes
";

const READY_TEXT: &str = "[Unit]
Description=Tells gapless rehearse that the twin's system bus is up
Requires=dbus.socket dbus.service
After=dbus.service dbus.socket basic.target systemd-tmpfiles-setup.service

[Service]
Type=oneshot
ExecStart=/bin/sh -c 'echo ready >/run/gapless-twin/ready'
";

/// In memory: what the twin's journal says is lost with it, and the machine's own journal is not read.
const JOURNAL_TEXT: &str =
    "[Journal]\nStorage=volatile\nForwardToSyslog=no\nForwardToKMsg=no\nForwardToWall=no\nAudit=no\n";

/// Chooses them, in the twin's own root.
pub(super) fn choose(spec: &Spec) -> io::Result<()> {
    write(Path::new(ENABLED), &leave_out_what_targets_want()?.join("\n"))?;
    for folder in GENERATORS.iter().map(Path::new).filter(|folder| folder.is_dir()) {
        mount("gapless-twin", folder, "tmpfs", MountFlags::RDONLY, None)?;
    }
    let own = Path::new("/run/systemd/system");
    make_folder(own)?;
    for unit in MASKED {
        let _ = fs::remove_file(own.join(unit));
        symlink("/dev/null", own.join(unit))?;
    }
    write(&own.join(TARGET), TARGET_TEXT)?;
    write(&own.join("gapless-twin-ready.service"), READY_TEXT)?;
    write(Path::new("/run/systemd/journald.conf.d/zz-gapless-twin.conf"), JOURNAL_TEXT)?;
    for (name, text) in &spec.units {
        put(&Path::new("/etc/systemd/system").join(name), text)?;
    }
    rustix::fs::mknodat(rustix::fs::CWD, READY, FileType::Fifo, Mode::from_raw_mode(0o600), 0)?;
    write(Path::new(MARK), &spec.host)?;
    new_machine_id()
}

/// Removes what targets want and require by links: what is enabled. What units want of each other stays. Gives the names.
fn leave_out_what_targets_want() -> io::Result<Vec<String>> {
    let mut enabled = Vec::new();
    for folder in FOLDERS {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if [".target.wants", ".target.requires"].iter().any(|end| name.ends_with(end)) {
                let links = fs::read_dir(entry.path())?.flatten();
                enabled.extend(links.map(|link| link.file_name().to_string_lossy().into_owned()));
                fs::remove_dir_all(entry.path())?;
            }
        }
    }
    Ok(enabled)
}

/// Without one, systemd takes this for a machine's first boot and enables every unit; with the machine's own, the twin
/// would call itself the machine. The file may be a mount of its own.
fn new_machine_id() -> io::Result<()> {
    let id = fs::read_to_string("/proc/sys/kernel/random/uuid")?.replace('-', "");
    let (own, of_machine) = (PathBuf::from(HOME).join("machine-id"), Path::new("/etc/machine-id"));
    write(&own, &id)?;
    if !of_machine.exists() {
        fs::write(of_machine, "")?;
    }
    Ok(mount_bind(&own, of_machine)?)
}

/// Replaces a unit file, which may be a link to one elsewhere or a mask.
fn put(path: &Path, text: &str) -> io::Result<()> {
    let _ = fs::remove_file(path);
    write(path, text)
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    path.parent().map_or(Ok(()), make_folder)?;
    fs::write(path, text)
}
