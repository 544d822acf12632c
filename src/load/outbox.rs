//! Hands over what was counted, without ever waiting while the load runs.

use tokio::sync::mpsc;

use super::dispatcher::Cohort;
use super::heartbeat::Heartbeat;
use super::observation::Observation;
use super::tally::Tally;
use crate::model::MonoTime;
use crate::record::generator::GeneratorUse;

/// Observations that may wait to be received; while there is no room, counters are merged instead.
const OBSERVATIONS_MAX: usize = 64;

/// The load thread's end of the observation channel.
#[derive(Debug)]
pub(super) struct Outbox(mpsc::Sender<Observation>);

/// The channel over which a load hands over what it counted.
pub(super) fn channel() -> (Outbox, mpsc::Receiver<Observation>) {
    let (sender, receiver) = mpsc::channel(OBSERVATIONS_MAX);
    (Outbox(sender), receiver)
}

impl Outbox {
    /// Hands over the rows of `tally`, as far as there is room.
    pub(super) fn offer_rows(&self, tally: &mut Tally) {
        while let Ok(room) = self.0.try_reserve() {
            let Some(rows) = tally.take_rows() else { return };
            room.send(Observation::Rows(rows));
        }
    }

    /// Hands over the segments of `tally`, cut at `at`, as far as there is room.
    pub(super) fn offer_segments(&self, tally: &mut Tally, at: MonoTime) {
        while let Ok(room) = self.0.try_reserve() {
            let Some(segment) = tally.take_segment(at) else { return };
            room.send(Observation::Segment(segment));
        }
    }

    /// Hands over the ended requests of `cohort` that steps asked for, as far as there is room.
    pub(super) fn offer_requests(&self, cohort: &Cohort) {
        while let Ok(room) = self.0.try_reserve() {
            let Some(request) = cohort.take_request() else { return };
            room.send(Observation::Request(request));
        }
    }

    /// Hands over what the thread had of the machine, if there is room; else the next such span is longer.
    pub(super) fn offer_use(&self, take: impl FnOnce() -> GeneratorUse) {
        if let Ok(room) = self.0.try_reserve() {
            room.send(Observation::Generator(Box::new(take())));
        }
    }

    /// Hands over when the thread did not run, as far as there is room.
    pub(super) fn offer_pauses(&self, heartbeat: &Heartbeat) {
        while let Ok(room) = self.0.try_reserve() {
            let Some(pause) = heartbeat.take() else { return };
            room.send(Observation::Pause(pause));
        }
    }

    /// Hands over one observation now; gives it back if there is no room.
    pub(super) fn offer(&self, observation: Observation) -> Result<(), Observation> {
        self.0.try_send(observation).map_err(mpsc::error::TrySendError::into_inner)
    }

    /// Hands over one observation, however long that takes: only once the load is over. Nobody may listen any more.
    pub(super) async fn deliver(&self, observation: Observation) {
        let _ = self.0.send(observation).await;
    }
}
