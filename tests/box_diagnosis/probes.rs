//! The probes beside the load have something to say.

use gapless::record::line::{Line, NoteKind, Traced};

use crate::lab::Lab;

#[test]
#[ignore = "needs root and systemd: run by tests/all in the box"]
fn every_probe_is_there_and_the_record_has_its_lines() {
    let diagnosis = Lab::behind_a_socket().serving("--start-delay 300ms --idle-grace 300ms").restarted().diagnosis();
    let lines = &diagnosis.record.lines;
    let has = |wanted: fn(&Line) -> bool| lines.iter().any(wanted);
    assert!(has(|line| matches!(line, Line::Queue(queue) if queue.listeners.iter().any(|it| it.queued > 0))));
    assert!(has(|line| matches!(line, Line::Counters(counters) if !counters.values.is_empty())));
    assert!(has(|line| matches!(line, Line::Trace(event) if matches!(event.traced, Traced::Ended { left_out: 0 }))));
    assert!(has(|line| matches!(line, Line::Journal(entry) if entry.unit.as_str() == "lab.service")));
    assert!(!has(|line| matches!(line, Line::Note(note) if note.kind == NoteKind::Unavailable)));
    let event = diagnosis.event(1);
    assert!(event.queue_peak.is_some_and(|peak| peak > 0) && event.backlog.is_some_and(|backlog| backlog > 0));
}
