//! The probes beside the load have something to say.

use std::fs::{self, Permissions};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Stdio};

use gapless::record::line::{Line, NoteKind, Traced};

use crate::systemd::diagnosis::findings::Diagnosis;
use crate::systemd::diagnosis::lab::{Lab, TCP};

#[test]
#[ignore = "runs in the box"]
fn every_probe_is_there_and_the_record_has_its_lines() {
    let diagnosis = Lab::behind_a_socket().serving("--start-delay 300ms --idle-grace 300ms").restarted().diagnosis();
    let lines = &diagnosis.record;
    let has = |wanted: fn(&Line) -> bool| lines.iter().any(wanted);
    assert!(has(|line| matches!(line, Line::Queue(queue) if queue.listeners.iter().any(|it| it.queued > 0))));
    assert!(has(|line| matches!(line, Line::Counters(counters) if !counters.values.is_empty())));
    assert!(has(|line| matches!(line, Line::Trace(event) if matches!(event.traced, Traced::Ended { left_out: 0 }))));
    assert!(has(|line| matches!(line, Line::Journal(entry) if entry.unit.as_str() == "lab.service")));
    assert!(!has(|line| matches!(line, Line::Note(note) if note.kind == NoteKind::Unavailable)));
    let event = diagnosis.event(1);
    assert!(event.queue_peak.is_some_and(|peak| peak > 0) && event.backlog.is_some_and(|backlog| backlog > 0));
}

/// A restart without any loss, where `journalctl` is what that script says, or is not there.
fn restart_with_journalctl(script: Option<&str>) -> Diagnosis {
    let programs = tempfile::tempdir_in("/var/tmp").expect("a place for files");
    if let Some(script) = script {
        let path = programs.path().join("journalctl");
        fs::write(&path, script).expect("written");
        fs::set_permissions(&path, Permissions::from_mode(0o755)).expect("it is ours");
    }
    let lab = Lab::behind_a_socket().serving("--idle-grace 300ms").under_new_connections(50).restarted();
    lab.finding_programs_in(programs.path()).diagnosis().loses_nothing().has_no_failed_check()
}

#[test]
#[ignore = "runs in the box"]
fn a_journal_that_cannot_be_read_is_told_once_and_done_without() {
    let refused = "#!/bin/sh\necho 'No journal files were opened due to insufficient permissions.' >&2\nexit 1\n";
    for script in [None, Some(refused)] {
        restart_with_journalctl(script).notes_times("the journal cannot be read", 1);
    }
}

/// Listens at the address and stops again, over and over; says so once.
const COMES_AND_GOES: &str = "
import socket, sys, time
host, port = sys.argv[1].rsplit(':', 1)
while True:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, int(port)))
        listener.listen()
        print('listening', flush=True)
        time.sleep(0.02)
";

#[test]
#[ignore = "runs in the box"]
fn a_listener_on_the_same_port_of_another_network_is_none_of_ours() {
    let mut command = Command::new("unshare");
    command.args(["--net", "sh", "-c", "ip link set lo up && exec python3 -c \"$0\" \"$1\"", COMES_AND_GOES, TCP]);
    let mut stranger = command.stdout(Stdio::piped()).spawn().expect("we are root");
    let mut said = BufReader::new(stranger.stdout.take().expect("piped"));
    said.read_line(&mut String::new()).expect("it listens");
    let reads = std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
    let diagnosis = Lab::behind_a_socket().serving("--idle-grace 300ms").restarted().diagnosis();
    stranger.kill().and_then(|()| stranger.wait()).expect("ours");
    reads.join().expect("no panic").expect("a pipe");
    let went = |line: &&Line| matches!(line, Line::Trace(event) if matches!(event.traced, Traced::ListenerDown { .. }));
    assert!(diagnosis.record.iter().filter(went).count() > 5, "the trace is one for all networks");
    diagnosis.loses_nothing().says("the listener never left TCP_LISTEN, attested by the kernel's trace");
}
