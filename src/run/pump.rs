//! What the load hands over goes into the record, and its figures to whoever watches.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use super::progress::{Figures, Progress};
use super::recorder::Recorder;
use super::so_far::SoFar;
use crate::load::{LoadHandle, Observation, TakenMeter};
use crate::record::generator::GeneratorUse;
use crate::record::line::{Line, NoteKind};

/// Writes what the load hands over, until it has ended.
pub(super) fn pump(load: &mut LoadHandle, recorder: Recorder, so_far: Rc<RefCell<SoFar>>) -> JoinHandle<()> {
    let observations = load.take_observations();
    tokio::task::spawn_local(async move {
        let Some(mut observations) = observations else { return };
        let mut machine = TakenMeter::begin();
        while let Some(observation) = observations.recv().await {
            match observation {
                Observation::Rows(rows) => {
                    so_far.borrow_mut().add(&rows);
                    recorder.write(&Line::Rows(rows));
                }
                Observation::Segment(segment) => recorder.write(&Line::Segment(segment)),
                Observation::Request(request) => recorder.write(&Line::Request(request)),
                Observation::Generator(generator) => {
                    let taken = machine.taken();
                    recorder.write(&Line::Generator(GeneratorUse { taken, ..*generator }));
                }
                Observation::Cap(cap) => recorder.write(&Line::Cap(cap)),
                Observation::HandedOver(receipt) => receipt.confirm(),
                Observation::Unasked(connections) => recorder.note(NoteKind::Doubt, unasked(connections)),
                Observation::Pause(pause) => recorder.write(&Line::Pause(pause)),
            }
        }
    })
}

fn unasked(connections: u64) -> String {
    let of = if connections == 1 { "1 connection".to_owned() } else { format!("{connections} connections") };
    format!(
        "{of} brought bytes that no request had asked for, after an answer or between two requests: an answer may have \
         been taken for that of another request"
    )
}

/// Shows how the load fares, five times a second.
pub(super) async fn report_figures(
    load: &LoadHandle,
    so_far: &RefCell<SoFar>,
    progress: &dyn Progress,
) -> std::convert::Infallible {
    let mut tick = interval(Duration::from_millis(200));
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tick.tick().await;
        let live = load.live();
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let failed = read(&live.dropped) + read(&live.wrong);
        let mut so_far = so_far.borrow_mut();
        let (p99_ms, recent, accepting) = (so_far.p99_ms(), so_far.recent(), so_far.take_accepting());
        progress.figures(Figures { ok: read(&live.ok), failed, p99_ms, recent, accepting });
    }
}
