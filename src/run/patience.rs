//! Jobs that take long: whoever watches is told of them, and the user may give them up.

use std::convert::Infallible;
use std::time::Duration;

use super::interrupt::Interrupt;
use super::progress::Progress;
use crate::manager::waits::Waits;

/// After this, whoever watches is told what is waited for.
const TELL_AFTER: Duration = Duration::from_secs(5);

/// A job is given up after this where the user has given up one before: what puts a unit back may hang on the same
/// stop that was given up.
const GIVE_UP_AFTER: Duration = Duration::from_secs(10);

/// The first signal ends the load and every wait but that for a job: no unit is to be left in the middle of one. From
/// the second on, each gives up the job that is waited for at that moment.
pub(super) async fn keep_watch(waits: &Waits, interrupt: &Interrupt, progress: &dyn Progress) -> Infallible {
    let mut signals = 1;
    loop {
        tokio::select! {
            late = waits.overdue(TELL_AFTER) => {
                let seconds = TELL_AFTER.as_secs();
                progress.say(&format!("waiting for the {late}: it has not ended after {seconds} s; {}", remedy(interrupt)));
            }
            stuck = waits.lasting(GIVE_UP_AFTER), if signals > 2 => {
                let seconds = GIVE_UP_AFTER.as_secs();
                progress.say(&format!("giving up the {stuck}: it has not ended after {seconds} s"));
                waits.give_up("because it had not ended after 10 s, as another job before it had not");
            }
            () = interrupt.raised_times(signals) => {
                if signals > 1 {
                    waits.give_up("at a second signal");
                } else if let Some(waiting) = waits.now().first() {
                    progress.say(&format!("interrupted: waiting for the {waiting}; {}", remedy(interrupt)));
                }
                signals += 1;
            }
        }
    }
}

fn remedy(interrupt: &Interrupt) -> &'static str {
    if interrupt.is_raised() {
        "press Ctrl-C again to cancel it"
    } else {
        "press Ctrl-C twice to cancel it and to put everything back"
    }
}
