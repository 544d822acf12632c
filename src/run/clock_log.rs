//! How the clock of the host is to ours, written down where that is another machine, and again when the bound grows: a gate
//! is judged by what is known until then.

use std::rc::Rc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{MissedTickBehavior, interval};

use super::recorder::Recorder;
use crate::host::Host;
use crate::record::line::Line;

/// From one look at the bound to the next.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Writes until it is told to stop, and once more then. Ends at once where there is one clock only.
pub(super) async fn run(host: Rc<dyn Host>, recorder: Recorder, mut stopped: oneshot::Receiver<()>) {
    let mut tick = interval(LOOK_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut written_ns = 0;
    let mut is_last = false;
    while !is_last {
        is_last = tokio::select! {
            _ = tick.tick() => false,
            _ = &mut stopped => true,
        };
        let Some(clock) = host.clock() else { return };
        if is_last || clock.half_width_ns > written_ns {
            written_ns = clock.half_width_ns;
            recorder.write(&Line::Clock(clock));
        }
    }
}
