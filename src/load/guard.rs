//! What ends a wait early: a deadline, or the interruption of the run.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::task::coop::unconstrained;
use tokio::time::{Instant, Sleep, sleep_until};

use super::control::Control;
use crate::model::MonoTime;

/// Why a wait was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stopped {
    /// Its deadline has passed.
    TimedOut,
    /// The run was interrupted.
    Interrupted,
}

/// Guards the waits of one slot. It has one timer, which follows lazily: it is set again when it fires too
/// early or would fire too late, not for each request.
pub(super) struct Guard {
    control: Rc<Control>,
    timer: Pin<Box<Sleep>>,
}

impl Guard {
    /// Must be called within a runtime.
    pub(super) fn new(control: Rc<Control>) -> Self {
        Self { control, timer: Box::pin(sleep_until(Instant::now())) }
    }

    /// Waits for `future`, until `deadline` at the latest.
    pub(super) async fn limit<F: Future>(&mut self, deadline: MonoTime, future: F) -> Result<F::Output, Stopped> {
        let deadline = self.control.instant(deadline);
        let mut future = pin!(future);
        poll_fn(|cx| {
            if let Poll::Ready(output) = future.as_mut().poll(cx) {
                return Poll::Ready(Ok(output));
            }
            if self.control.is_interrupted() {
                return Poll::Ready(Err(Stopped::Interrupted));
            }
            self.poll_passed(cx, deadline).map(|()| Err(Stopped::TimedOut))
        })
        .await
    }

    fn poll_passed(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<()> {
        loop {
            if self.timer.is_elapsed() || self.timer.deadline() > deadline {
                self.timer.as_mut().reset(deadline);
            }
            // A future that always has more to do has used up the task's budget, without which a timer never fires.
            ready!(pin!(unconstrained(self.timer.as_mut())).poll(cx));
            if self.timer.deadline() >= deadline {
                return Poll::Ready(());
            }
        }
    }
}
