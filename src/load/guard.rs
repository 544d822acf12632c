//! What ends a wait early: a deadline, or the interruption of the run.

use std::cell::Cell;
use std::future::Future as _;
use std::pin::{Pin, pin};
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::task::coop::unconstrained;
use tokio::time::{Instant, Sleep, sleep_until};

use crate::clock;
use crate::model::MonoTime;

/// Why a wait was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stopped {
    /// Its deadline has passed.
    TimedOut,
    /// The run was interrupted.
    Interrupted,
}

/// Whether the run was interrupted, for all who wait.
#[derive(Debug)]
pub(super) struct Interruption {
    interrupted: Cell<bool>,
    /// The same moment on the runtime's clock and on ours.
    anchor: (Instant, MonoTime),
}

impl Interruption {
    /// It was not.
    pub(super) fn new() -> Rc<Self> {
        Rc::new(Self { interrupted: Cell::new(false), anchor: (Instant::now(), clock::now()) })
    }

    /// Waits end now. Whoever waits has to be woken.
    pub(super) fn interrupt(&self) {
        self.interrupted.set(true);
    }

    /// `at` on the runtime's clock, which is the same one.
    fn instant(&self, at: MonoTime) -> Instant {
        let (instant, origin) = self.anchor;
        instant + at.since(origin)
    }
}

/// Guards the waits of one slot. It has one timer, which follows lazily: it is set again when it fires too
/// early or would fire too late, not for each request.
pub(super) struct Guard {
    interruption: Rc<Interruption>,
    timer: Pin<Box<Sleep>>,
}

impl Guard {
    /// Must be called within a runtime.
    pub(super) fn new(interruption: Rc<Interruption>) -> Self {
        Self { interruption, timer: Box::pin(sleep_until(Instant::now())) }
    }

    /// Resolves when a wait is to be given up, at `deadline` at the latest. To be asked once what is waited for is not
    /// there: what is there in time counts.
    pub(super) fn poll_stopped(&mut self, cx: &mut Context<'_>, deadline: MonoTime) -> Poll<Stopped> {
        if self.interruption.interrupted.get() {
            return Poll::Ready(Stopped::Interrupted);
        }
        let deadline = self.interruption.instant(deadline);
        self.poll_passed(cx, deadline).map(|()| Stopped::TimedOut)
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
