//! What the machine must have for a twin.

use std::fs;
use std::path::{Path, PathBuf};

/// systemd itself, where it may be.
const SYSTEMD: [&str; 2] = ["/usr/lib/systemd/systemd", "/lib/systemd/systemd"];

/// What is run, and the package that has it on Debian.
const TOOLS: [(&str, &str); 4] =
    [("unshare", "util-linux"), ("nsenter", "util-linux"), ("setpriv", "util-linux"), ("env", "coreutils")];

/// Where unit files of packages and of the administrator are.
const UNIT_FOLDERS: [&str; 4] =
    ["/etc/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system"];

/// What a twin takes, capabilities(7), by bit.
const CAPABILITIES: [(u32, &str); 9] = [
    (0, "CAP_CHOWN"),
    (1, "CAP_DAC_OVERRIDE"),
    (5, "CAP_KILL"),
    (6, "CAP_SETGID"),
    (7, "CAP_SETUID"),
    (8, "CAP_SETPCAP"),
    (12, "CAP_NET_ADMIN"),
    (18, "CAP_SYS_CHROOT"),
    (21, "CAP_SYS_ADMIN"),
];

/// The systemd that a twin would boot.
pub(super) fn systemd() -> Option<&'static str> {
    SYSTEMD.into_iter().find(|path| Path::new(path).exists())
}

/// Why no twin can be made here, and what to do; none if it looks as if it can.
#[must_use]
pub fn obstacle() -> Option<String> {
    if !crate::host::machine::is_root() {
        return Some("a rehearsal needs root: it makes namespaces and mounts; run it with sudo".to_owned());
    }
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let missing = missing_capabilities(&status);
    if !missing.is_empty() {
        return Some(format!(
            "a rehearsal needs {}, which this root has not: in a container, start it with --privileged, or rehearse on \
             the machine itself",
            missing.join(", ")
        ));
    }
    if systemd().is_none() {
        return Some(
            "a rehearsal boots systemd, which is not installed here; on Debian: apt-get install systemd dbus"
                .to_owned(),
        );
    }
    if !UNIT_FOLDERS.iter().any(|folder| Path::new(folder).join("dbus.socket").exists()) {
        return Some(
            "a rehearsal needs the system bus, which is not installed here; on Debian: apt-get install dbus".to_owned(),
        );
    }
    let (tool, package) = TOOLS.into_iter().find(|(tool, _)| find_tool(tool).is_none())?;
    Some(format!("a rehearsal needs {tool}, which is not in PATH; on Debian: apt-get install {package}"))
}

/// The names of the capabilities that are needed and not effective, by the text of /proc/PID/status.
fn missing_capabilities(status: &str) -> Vec<&'static str> {
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let Some(effective) = effective.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()) else {
        return Vec::new();
    };
    CAPABILITIES.into_iter().filter(|(bit, _)| effective >> bit & 1 == 0).map(|(_, name)| name).collect()
}

/// Where a tool is: in PATH, or where only root looks.
fn find_tool(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin", "/sbin", "/usr/bin", "/bin"].map(PathBuf::from));
    folders.map(|folder| folder.join(name)).find(|tool| tool.is_file())
}

/// PATH with the folders in which root looks, for the tools.
pub(super) fn path() -> std::ffi::OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_default();
    path.push(":/usr/sbin:/sbin:/usr/bin:/bin");
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_capability_is_named() {
        assert_eq!(missing_capabilities("CapEff:\t000001ffffffffff\n"), Vec::<&str>::new());
        // What container engines grant by default.
        assert_eq!(missing_capabilities("CapEff:\t00000000a80425fb\n"), ["CAP_NET_ADMIN", "CAP_SYS_ADMIN"]);
        assert_eq!(missing_capabilities("CapEff:\t000001ffffdfffff\n"), ["CAP_SYS_ADMIN"]);
    }
}
