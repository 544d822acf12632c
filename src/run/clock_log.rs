//! How the clock of the host is to ours, written down where that is another machine, and again when the bound grows: a gate
//! is judged by what is known until then.

use std::rc::Rc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::{MissedTickBehavior, interval};

use super::recorder::Recorder;
use crate::host::Host;
use crate::record::line::{HostClock, Line};

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
            // A little more: one that grows slowly is not written again and again.
            let half_width_ns = if is_last { clock.half_width_ns } else { with_room(clock.half_width_ns) };
            written_ns = written_ns.max(half_width_ns);
            recorder.write(&Line::Clock(HostClock { half_width_ns, ..clock }));
        }
    }
}

/// 5 % more: from a microsecond to a minute there are fewer than 400 lines.
fn with_room(half_width_ns: u64) -> u64 {
    half_width_ns.saturating_add(half_width_ns / 20).saturating_add(1)
}
