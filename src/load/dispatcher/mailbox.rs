//! How the task of a slot is given work.

use std::cell::{Cell, RefCell};
use std::task::{Context, Waker};

use crate::model::MonoTime;

/// Holds one request until its task takes it.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    due: Cell<Option<MonoTime>>,
    waker: RefCell<Option<Waker>>,
}

impl Mailbox {
    /// Gives the slot, which is idle, a request to make.
    pub(super) fn post(&self, due: MonoTime) {
        self.due.set(Some(due));
        self.wake();
    }

    /// Lets the slot look whether it was interrupted.
    pub(super) fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }

    /// Takes what was posted. The task is woken by whatever comes later; it is always the same one.
    pub(super) fn take(&self, cx: &Context<'_>) -> Option<MonoTime> {
        if self.waker.borrow().is_none() {
            *self.waker.borrow_mut() = Some(cx.waker().clone());
        }
        self.due.take()
    }
}
