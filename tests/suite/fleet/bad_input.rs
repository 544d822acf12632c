//! A machine that cannot be used: one clear error each, exit 4, and nothing is changed anywhere.

use super::machine::{Machine, await_that, shown};

/// A second sshd on a machine, whose world lacks something; ended with this.
struct Lacking<'a> {
    machine: &'a Machine,
    port: u16,
}

impl<'a> Lacking<'a> {
    /// `change` is done in a mount namespace of its own.
    fn new(machine: &'a Machine, port: u16, change: &str, options: &str) -> Self {
        let config = machine.counts("sshd_config");
        machine.ssh(&format!(
            "systemd-run --quiet --unit=ssh-lacking-{port} unshare --mount -- sh -c '{change}; exec /usr/sbin/sshd -D -p {port} {options} -f {}'",
            config.display()
        ));
        let lacking = Self { machine, port };
        await_that("the second sshd listens", || machine.ssh(&format!("ss -ltn 2>/dev/null | grep -c :{port}")) != "0");
        lacking
    }
}

impl Drop for Lacking<'_> {
    fn drop(&mut self) {
        self.machine.ssh(&format!("systemctl stop ssh-lacking-{}", self.port));
    }
}

/// The error of `try --host DESTINATION`, with more in the configuration of ssh: the last line of what is said.
fn refused(machine: &Machine, destination: &str, arguments: &[&str]) -> String {
    let mut command = machine.gapless(arguments);
    let output = command.args(["--host", destination]).output().expect("it is built");
    assert_eq!(output.status.code(), Some(4), "{}", shown(&output));
    let said = shown(&output);
    let errors: Vec<&str> = said.lines().filter(|line| line.starts_with("error:")).collect();
    assert_eq!(errors.len(), 1, "one clear error: {said}");
    said
}

/// Adds a host to the configuration of ssh in the fleet's namespace.
fn configure(name: &str, text: &str) {
    let path = std::env::var("GAPLESS_FLEET_SSH_CONFIG").expect("runs in tests/fleet");
    let config = std::fs::read_to_string(&path).expect("there");
    if !config.contains(&format!("Host {name}\n")) {
        std::fs::write(path, format!("Host {name}\n{text}\n{config}")).expect("ours");
    }
}

#[test]
#[ignore = "runs in the fleet"]
fn a_machine_that_cannot_be_used_is_one_clear_error_and_nothing_is_changed() {
    let mut machine = Machine::new("h2");
    machine.own_port("calm.service", 8089, "");
    let before = machine.incarnation("calm.service");
    let address = machine.address();
    configure("unknown-key", &format!("    HostName {address}\n    HostKeyAlias never-seen"));
    let wrong_key = std::fs::read_to_string(Machine::new("h1").counts("host.pub")).expect("there");
    let words: Vec<&str> = wrong_key.split(' ').take(2).collect();
    let known = format!("{}/changed_hosts", machine.folder.path().display());
    std::fs::write(&known, format!("changed {}\n", words.join(" "))).expect("ours");
    configure(
        "changed-key",
        &format!("    HostName {address}\n    HostKeyAlias changed\n    UserKnownHostsFile {known}"),
    );
    configure("silent", "    HostName 10.99.0.200");
    let lacking = |port: u16| format!("    HostName {address}\n    HostKeyAlias {address}\n    Port {port}");
    configure("no-systemd", &lacking(2201));
    configure("no-bridge", &lacking(2202));
    configure("password", &format!("{}\n    PubkeyAuthentication no", lacking(2203)));
    configure("no-key", &format!("{}\n    PubkeyAuthentication no", lacking(22)));
    let _systemd = Lacking::new(&machine, 2201, "mount -t tmpfs none /run/systemd", "");
    let bridge = "mount --bind /dev/null $(command -v systemd-stdio-bridge)";
    let _bridge = Lacking::new(&machine, 2202, bridge, "");
    let _password = Lacking::new(&machine, 2203, "true", "-o PasswordAuthentication=yes");

    let cases = [
        ("root@nowhere.invalid", "does not resolve"),
        ("root@10.99.0.1", "refuses the connection"),
        ("root@silent", "no route to it"),
        ("root@unknown-key", "host key is unknown"),
        ("root@changed-key", "not the one in known_hosts"),
        ("root@password", "asks for a password"),
        ("root@no-key", "accepts none of the keys"),
        ("root@no-systemd", "was not booted with systemd"),
        ("root@no-bridge", "has no systemd-stdio-bridge"),
    ];
    for (destination, reason) in cases {
        for arguments in [&["try", "calm.service", "--yes"][..], &["check", "calm.service"], &["init", "calm.service"]]
        {
            let said = refused(&machine, destination, arguments);
            assert!(said.contains(reason), "{destination}: {said}");
        }
    }
    assert_eq!(machine.incarnation("calm.service"), before);
    assert_eq!(machine.ledgers(), "");
}

#[test]
#[ignore = "runs in the fleet"]
fn what_is_no_destination_and_what_goes_with_none_is_wrong_usage() {
    let machine = Machine::new("h1");
    for arguments in [
        &["try", "a.service", "--host", "-oProxyCommand=true"][..],
        &["try", "a.service", "--host", "root@h1;reboot"],
        &["check", "./a.service", "--host", "root@h1"],
        &["check", "a.service", "--client", "root", "--host", "root@h1"],
    ] {
        let output = machine.gapless(arguments).output().expect("it is built");
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", shown(&output));
    }
}
