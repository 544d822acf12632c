//! Units that the machine needs: nothing is done to them without `--force`.

use crate::model::UnitName;

const NAMES: &[&str] = &["init.scope"];
const PREFIXES: &[&str] = &["dbus", "systemd-", "ssh", "user@", "getty"];
const SUFFIXES: &[&str] = &["target", "slice", "mount"];

/// Whether the machine, or the way into it, depends on the unit.
#[must_use]
pub fn is_protected(unit: &UnitName) -> bool {
    let name = unit.as_str();
    NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix)) || SUFFIXES.contains(&unit.suffix())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_machine_needs_is_protected_and_nothing_else() {
        let protected = |name| is_protected(&UnitName::new(name).expect("valid"));
        for name in [
            "init.scope",
            "dbus.service",
            "dbus-broker.service",
            "systemd-journald.socket",
            "ssh.service",
            "sshd@3.service",
            "user@1000.service",
            "getty@tty1.service",
            "multi-user.target",
            "system.slice",
            "home.mount",
        ] {
            assert!(protected(name), "{name}");
        }
        for name in ["ledger-api.service", "ledger-api.socket", "app@user.service", "my-ssh.service", "home.automount"]
        {
            assert!(!protected(name), "{name}");
        }
    }
}
