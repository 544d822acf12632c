//! The directives systemd knows, by section, and the version of systemd that brought each.

use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Directives under `[SECTION]` or `[SECTION VERSION]` headers, separated by whitespace; `[Exec]` is what services and
/// sockets share.
static TABLE: &str = include_str!("directives.txt");

/// The oldest systemd whose directives are told apart: what it knows, every later one reads.
const OLDEST: u16 = 252;

static KNOWN: LazyLock<BTreeMap<(&str, &str), u16>> = LazyLock::new(|| {
    let (mut section, mut version) = ("", OLDEST);
    let mut known = BTreeMap::new();
    for line in TABLE.lines().filter(|line| !line.starts_with('#')) {
        match line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(header) => {
                let (name, brought_by) = header.split_once(' ').unwrap_or((header, ""));
                (section, version) = (name, brought_by.parse().unwrap_or(OLDEST));
            }
            None => known.extend(line.split_whitespace().map(|key| ((section, key), version))),
        }
    }
    known
});

/// Values that a later systemd brought to a directive that 252 has.
const NEWER_VALUES: &[(&str, &str, &str, u16)] = &[("Service", "Type", "notify-reload", 253)];

/// The version of systemd that brought `key` in `[section]` of a service or socket, 252 for all before; none where no
/// version up to 262 knows it.
#[must_use]
pub fn brought_by(section: &str, key: &str) -> Option<u16> {
    let shared = || matches!(section, "Service" | "Socket").then(|| KNOWN.get(&("Exec", key))).flatten();
    KNOWN.get(&(section, key)).or_else(shared).copied()
}

/// The version of systemd that brought `value` to `key`, where it is younger than the key.
#[must_use]
pub fn value_brought_by(section: &str, key: &str, value: &str) -> Option<u16> {
    let is_it = |row: &&(&str, &str, &str, u16)| (row.0, row.1, row.2) == (section, key, value);
    NEWER_VALUES.iter().find(is_it).map(|row| row.3)
}

/// Whether systemd (up to version 262) knows `key` in `[section]` of a service or socket.
#[must_use]
pub fn is_known(section: &str, key: &str) -> bool {
    brought_by(section, key).is_some()
}

/// Whether `key` only tells people or other tools something, or takes effect when a unit is enabled.
#[must_use]
pub fn is_inert(section: &str, key: &str) -> bool {
    section == "Install" || matches!((section, key), ("Unit", "Description" | "Documentation" | "SourcePath"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directive_is_known_in_its_own_section_only() {
        assert!(is_known("Service", "ExecStart") && !is_known("Socket", "ExecStart"));
        assert!(is_known("Socket", "ListenStream") && !is_known("Service", "ListenStream"));
        assert!(is_known("Service", "MemoryMax") && is_known("Socket", "MemoryMax"));
        assert!(!is_known("Socket", "SocketLinger"));
    }

    #[test]
    fn a_directive_has_the_version_that_brought_it() {
        for (section, key, version) in [
            ("Service", "ExecStart", 252),
            ("Service", "OpenFile", 253),
            ("Service", "RestartSteps", 254),
            ("Socket", "PollLimitBurst", 255),
            ("Socket", "PassFileDescriptorsToExec", 256),
            ("Socket", "DeferTrigger", 258),
            ("Service", "ExecReloadPost", 259),
            ("Service", "RefreshOnReload", 260),
            ("Socket", "MemoryTHP", 260),
            ("Install", "UpheldBy", 254),
        ] {
            assert_eq!(brought_by(section, key), Some(version), "{key}");
        }
        assert_eq!(value_brought_by("Service", "Type", "notify-reload"), Some(253));
        assert_eq!(value_brought_by("Service", "Type", "notify"), None);
    }
}
