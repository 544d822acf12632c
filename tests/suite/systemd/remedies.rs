//! What `check` advises, carried out on units of a real systemd, as root.

use std::path::Path;
use std::process::Command;

use super::pair::{Pair, document, installed, request, shown, systemctl};

#[test]
#[ignore = "runs in the box"]
fn the_commands_that_are_advised_for_a_changed_address_bring_it_into_use() {
    let pair = Pair::new("gapless-check-advised", "127.0.0.1:17918", "");
    request("127.0.0.1:17918");
    pair.write_socket("127.0.0.1:17919");
    pair.carry_out("GL062", &pair.socket());
    pair.carry_out("GL063", &pair.socket());
    request("127.0.0.1:17919");
}

#[test]
#[ignore = "runs in the box"]
fn the_command_that_is_advised_for_a_socket_that_is_not_enabled_enables_it() {
    let pair = Pair::new("gapless-check-enabled", "127.0.0.1:17920", "");
    pair.carry_out("GL061", &pair.socket());
    systemctl(&["is-enabled", "--quiet", &pair.socket()]);
    systemctl(&["disable", "--quiet", &pair.socket()]);
}

#[test]
#[ignore = "runs in the box"]
fn the_commands_that_are_advised_for_a_failed_service_forget_its_failure() {
    let pair = Pair::new("gapless-check-failed", "127.0.0.1:17921", "");
    std::fs::write(installed(&pair.service()), "[Service]\nExecStart=/bin/false\nType=oneshot\n").expect("we are root");
    systemctl(&["daemon-reload"]);
    let refused = Command::new("systemctl").args(["start", &pair.service()]).output().expect("systemctl");
    assert!(!refused.status.success());
    pair.carry_out("GL065", &pair.service());
}

#[test]
#[ignore = "runs in the box"]
fn a_path_that_the_service_took_for_itself_is_found_while_it_runs_and_when_it_has_ended() {
    let pair = Pair::new("gapless-check-taken", "/run/gapless-check-taken.sock", "");
    let service = std::fs::read_to_string(installed(&pair.service())).expect("ours");
    let own = service.replace("--idle-grace", "--listen unix:/run/gapless-check-taken.own --idle-grace");
    let after = "ExecStartPost=/bin/mv /run/gapless-check-taken.own /run/gapless-check-taken.sock\n";
    let own = own + after;
    let install = |text: &str| {
        std::fs::write(installed(&pair.service()), text).expect("we are root");
        systemctl(&["daemon-reload"]);
    };
    let connect =
        || std::os::unix::net::UnixStream::connect("/run/gapless-check-taken.sock").map_err(|error| error.kind());

    install(&own);
    systemctl(&["start", &pair.service()]);
    assert!(pair.found(&pair.socket()).contains(&"GL064".to_owned()));
    systemctl(&["stop", &pair.service()]);
    assert_eq!(connect().err(), Some(std::io::ErrorKind::ConnectionRefused));
    pair.carry_out("GL063", &pair.socket());
    connect().expect("systemd listens");

    systemctl(&["restart", &pair.service()]);
    install(&service);
    pair.carry_out("GL064", &pair.socket());
    connect().expect("systemd listens");
}

#[test]
#[ignore = "runs in the box"]
fn a_path_that_was_unlinked_is_found_though_both_units_look_well() {
    let pair = Pair::new("gapless-check-path", "/run/gapless-check-path.sock", "");
    assert_eq!(pair.found(&pair.socket()), ["GL061"]);
    std::fs::remove_file("/run/gapless-check-path.sock").expect("it is there");
    pair.carry_out("GL063", &pair.socket());
    std::os::unix::net::UnixStream::connect("/run/gapless-check-path.sock").expect("it is there again");
}

#[test]
#[ignore = "runs in the box"]
fn a_path_on_a_layered_file_system_is_not_called_lost_while_clients_reach_it() {
    // The root of the box is an overlay: stat(2) tells a device there that the kernel's sockets do not.
    let path = "/var/lib/gapless-check-layered.sock";
    let pair = Pair::new("gapless-check-layered", path, "");
    let found = pair.found(&pair.socket());
    std::os::unix::net::UnixStream::connect(path).expect("systemd listens");
    assert!(!found.contains(&"GL063".to_owned()), "{found:?}");
    std::fs::remove_file(path).expect("it is there");
    pair.carry_out("GL063", &pair.socket());
    std::os::unix::net::UnixStream::connect(path).expect("it is there again");
}

#[test]
#[ignore = "runs in the box"]
fn the_remedy_for_a_backlog_that_the_kernel_cuts_down_works_from_the_next_start_of_the_socket() {
    let pair = Pair::new("gapless-check-backlog", "127.0.0.1:17917\nBacklog=5000", "");
    let socket = pair.socket();
    let queue = || {
        let listeners = Command::new("ss").args(["-Hltn", "sport = :17917"]).output().expect("it is there").stdout;
        let text = String::from_utf8(listeners).expect("ASCII");
        text.split_whitespace().nth(2).expect("its Send-Q").to_owned()
    };
    let finding = |id: &str| {
        let document = document(&pair.run(&["check", &socket, "--format", "json"]));
        document["findings"].as_array().expect("a list").iter().find(|finding| finding["id"] == id).cloned()
    };
    let before = std::fs::read_to_string("/proc/sys/net/core/somaxconn").expect("it is there");
    assert_eq!(queue(), before.trim(), "the kernel cut it down");
    let advice = finding("GL030").expect("it is found")["fix"].as_str().expect("advice").to_owned();
    let file = pair.folder.path().join("90-backlog.conf");
    std::fs::write(&file, advice).expect("ours");
    assert!(Command::new("sysctl").arg("-qp").arg(&file).status().expect("it is there").success());
    assert!(finding("GL030").is_none());
    assert_eq!(queue(), before.trim(), "a listener keeps the queue that it began with");
    systemctl(&["stop", &socket, &pair.service()]);
    systemctl(&["start", &socket]);
    assert_eq!(queue(), "5000");
    std::fs::write("/proc/sys/net/core/somaxconn", before).expect("we are root");
}

#[test]
#[ignore = "runs in the box"]
fn the_remedy_for_a_second_socket_works_while_clients_use_the_first() {
    let pair = Pair::new("gapless-check-second", "127.0.0.1:17915", "");
    request("127.0.0.1:17915");
    let second = installed("gapless-check-second-b.socket");
    let text = format!(
        "[Socket]\nListenStream=127.0.0.1:17916\nService={}\n[Install]\nWantedBy=sockets.target\n",
        pair.service()
    );
    std::fs::write(&second, text).expect("we are root");
    systemctl(&["daemon-reload"]);
    systemctl(&["enable", "--runtime", "--quiet", "gapless-check-second-b.socket"]);
    let refused =
        Command::new("systemctl").args(["start", "gapless-check-second-b.socket"]).output().expect("systemctl");
    assert!(!refused.status.success(), "systemd refuses a socket beside its running service");

    let findings = document(&pair.run(&["check", "gapless-check-second-b.socket", "--format", "json"]));
    let findings = findings["findings"].as_array().expect("a list").clone();
    let inactive = findings.iter().find(|finding| finding["id"] == "GL060").expect("it is found");
    std::fs::write(pair.folder.path().join("fix.sh"), inactive["fix"].as_str().expect("commands")).expect("ours");
    let watched = pair.run(&[
        "watch",
        "http://127.0.0.1:17915/",
        "--rate",
        "100",
        "--fresh",
        "--format",
        "json",
        "--out",
        "out",
        "--",
        "sh",
        "-e",
        "fix.sh",
    ]);
    let scenario = &document(&watched)["scenarios"][0];
    assert_eq!(scenario["dropped"], 0, "{}", shown(&watched));
    request("127.0.0.1:17916");
    assert!(!pair.found("gapless-check-second-b.socket").contains(&"GL060".to_owned()));

    let _ = Command::new("systemctl")
        .args(["disable", "--runtime", "--now", "--quiet", "gapless-check-second-b.socket"])
        .status();
    std::fs::remove_file(second).expect("ours");
    std::fs::remove_dir_all(Path::new("/etc/systemd/system").join(format!("{}.d", pair.service())))
        .expect("the fix made it");
}

#[test]
#[ignore = "runs in the box"]
fn the_name_that_is_advised_for_a_service_that_does_not_exist_makes_the_socket_start_it() {
    let pair = Pair::new("gapless-check-named", "127.0.0.1:17922", "");
    let socket = std::fs::read_to_string(installed(&pair.socket())).expect("ours");
    let misnamed = socket.replace("[Socket]\n", "[Socket]\nService=gapless-check-nobody.service\n");
    std::fs::write(installed(&pair.socket()), misnamed).expect("we are root");
    systemctl(&["daemon-reload"]);
    let advice = pair.advice("GL066", &pair.socket());
    let drop_in = installed(&format!("{}.d/service.conf", pair.socket()));
    std::fs::create_dir(drop_in.parent().expect("a folder")).expect("we are root");
    std::fs::write(&drop_in, advice.replace("THE-RIGHT-ONE", "gapless-check-named")).expect("we are root");
    systemctl(&["daemon-reload"]);
    request("127.0.0.1:17922");
    let found = pair.found(&pair.socket());
    std::fs::remove_dir_all(drop_in.parent().expect("a folder")).expect("it is ours");
    assert!(!found.contains(&"GL066".to_owned()), "{found:?}");
}
