//! The directives systemd knows, by section.

use std::collections::BTreeSet;
use std::sync::LazyLock;

/// Directives under `[SECTION]` headers, separated by whitespace; `[Exec]` is what services and sockets share.
static TABLE: &str = include_str!("directives.txt");

static KNOWN: LazyLock<BTreeSet<(&str, &str)>> = LazyLock::new(|| {
    let mut section = "";
    let mut known = BTreeSet::new();
    for line in TABLE.lines().filter(|line| !line.starts_with('#')) {
        match line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(name) => section = name,
            None => known.extend(line.split_whitespace().map(|key| (section, key))),
        }
    }
    known
});

/// Whether systemd (up to version 257) knows `key` in `[section]` of a service or socket.
#[must_use]
pub fn is_known(section: &str, key: &str) -> bool {
    let shared = matches!(section, "Service" | "Socket") && KNOWN.contains(&("Exec", key));
    shared || KNOWN.contains(&(section, key))
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
}
