//! What can go wrong on the way to another machine: every message names the machine, the reason and the remedy.

use std::io;

use super::Destination;

/// Why another machine cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot use {destination} over ssh: {reason}; {remedy}")]
pub struct SshError {
    destination: String,
    reason: String,
    remedy: String,
}

/// What `ssh` says, part of it; what that means; what to do about it.
const SAYINGS: [(&str, &str, &str); 14] = [
    (
        "Could not resolve hostname",
        "its name does not resolve",
        "check the name, or give it a HostName in ~/.ssh/config",
    ),
    (
        "HOST IDENTIFICATION HAS CHANGED",
        "its host key is not the one in known_hosts: it was installed anew, or somebody stands in between",
        "verify the new key, then remove the old one with `ssh-keygen -R HOST`",
    ),
    (
        "Host key verification failed",
        "its host key is unknown",
        "log in once with ssh and verify the key, so that it stands in known_hosts",
    ),
    (
        "Connection refused",
        "it refuses the connection: no sshd listens there",
        "start sshd, or give its Port in ~/.ssh/config",
    ),
    ("No route to host", "there is no route to it", "check that it is up and that the network leads there"),
    ("Network is unreachable", "its network is unreachable from here", "check the network of this machine"),
    ("timed out", "it does not answer", "check that it is up and that no firewall is in the way"),
    (
        "Too many authentication failures",
        "it takes none of the first keys that are offered",
        "name the key with IdentityFile and IdentitiesOnly in ~/.ssh/config",
    ),
    (
        "password",
        "it asks for a password, which gapless never gives",
        "set up a key: ssh-copy-id, or ssh-add for one with a passphrase",
    ),
    (
        "keyboard-interactive",
        "it asks for a password, which gapless never gives",
        "set up a key: ssh-copy-id, or ssh-add for one with a passphrase",
    ),
    (
        "Permission denied",
        "it accepts none of the keys",
        "add a key of this user to authorized_keys there, or unlock it with ssh-add",
    ),
    (
        "Bad configuration option",
        "the configuration of ssh has an option that this ssh does not know",
        "mend ~/.ssh/config",
    ),
    (
        "Bad owner or permissions",
        "the configuration of ssh may be written by others",
        "make ~/.ssh/config writable by its owner alone",
    ),
    ("administratively prohibited", "its sshd forbids commands", "allow them for this user in sshd_config"),
];

impl SshError {
    fn new(destination: &Destination, reason: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { destination: destination.to_string(), reason: reason.into(), remedy: remedy.into() }
    }

    /// By what `ssh` said before it gave up.
    pub(super) fn of_saying(destination: &Destination, said: &str) -> Self {
        let last = said.trim().lines().next_back().unwrap_or_default().trim();
        if let Some((_, reason, remedy)) = SAYINGS.iter().find(|(part, ..)| said.contains(part)) {
            return Self::new(destination, *reason, remedy.replace("HOST", destination.host()));
        }
        let reason =
            if last.is_empty() { "the connection ended before a shell answered".to_owned() } else { last.to_owned() };
        Self::new(
            destination,
            reason,
            format!("try `ssh -o BatchMode=yes {destination} true`: it must end without a question"),
        )
    }

    pub(super) fn no_program(destination: &Destination, error: &io::Error) -> Self {
        Self::new(destination, format!("the ssh program cannot be run: {error}"), "install OpenSSH's client")
    }

    pub(super) fn no_folder(destination: &Destination, error: &io::Error) -> Self {
        let reason = format!("no directory can be made for the connection: {error}");
        Self::new(destination, reason, "make XDG_RUNTIME_DIR or TMPDIR writable")
    }

    pub(super) fn silent(destination: &Destination, seconds: u64) -> Self {
        Self::new(
            destination,
            format!("it was connected to, and no shell answered within {seconds} s"),
            format!("see what `ssh {destination} true` waits for"),
        )
    }

    pub(super) fn no_systemd(destination: &Destination) -> Self {
        Self::new(destination, "it was not booted with systemd", "units can be acted on only where systemd runs")
    }

    pub(super) fn no_bridge(destination: &Destination) -> Self {
        Self::new(
            destination,
            "it has no systemd-stdio-bridge in the PATH, by which systemd is reached over ssh",
            "install systemd's package there, version 221 or later",
        )
    }

    pub(super) fn no_tool(destination: &Destination, tool: &str) -> Self {
        let reason = format!("it has no {tool}, which the ledger of changes needs");
        Self::new(destination, reason, "install coreutils and util-linux there")
    }

    pub(super) fn booted(destination: &Destination) -> Self {
        Self::new(
            destination,
            "it was booted meanwhile",
            "its units are as that boot made them, and the run cannot go on: start it again",
        )
    }

    pub(super) fn lost(destination: &Destination, error: &io::Error) -> Self {
        Self::new(destination, format!("the connection was lost: {error}"), "check the network, and run it again")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(said: &str) -> String {
        SshError::of_saying(&"root@h1".parse().unwrap(), said).to_string()
    }

    #[test]
    fn each_thing_that_ssh_says_has_one_reason_and_a_remedy() {
        for (said, reason) in [
            ("ssh: Could not resolve hostname h1: Name or service not known", "does not resolve"),
            ("ssh: connect to host h1 port 22: Connection refused", "refuses the connection"),
            ("ssh: connect to host h1 port 22: Connection timed out", "does not answer"),
            ("No ED25519 host key is known for h1\nHost key verification failed.", "host key is unknown"),
            ("root@h1: Permission denied (publickey,password).", "asks for a password"),
            ("root@h1: Permission denied (publickey).", "accepts none of the keys"),
        ] {
            assert!(told(said).contains(reason), "{said}: {}", told(said));
        }
        let changed = told("@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.");
        assert!(changed.contains("not the one in known_hosts") && changed.contains("ssh-keygen -R h1"), "{changed}");
        assert!(told("kex_exchange_identification: banner").contains("kex_exchange_identification"));
        assert!(told("").contains("ended before a shell answered"));
    }
}
