//! How the task of a slot is given work.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::task::{Context, Waker};

use crate::load::slot::Due;
use crate::model::MonoTime;

/// Holds requests until its task takes them: as many as there is room for.
#[derive(Debug, Default)]
pub(super) struct Mailbox {
    posted: RefCell<VecDeque<(Due, MonoTime)>>,
    waker: RefCell<Option<Waker>>,
}

impl Mailbox {
    /// Gives the slot, which has had room since `free_since`, a request to make.
    pub(super) fn post(&self, due: Due, free_since: MonoTime) {
        self.posted.borrow_mut().push_back((due, free_since));
        self.wake();
    }

    /// Lets the slot look whether it was interrupted.
    pub(super) fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }

    /// Takes the first that was posted, and since when there was room for it. The task is woken by whatever comes later; it
    /// is always the same one.
    pub(super) fn take(&self, cx: &Context<'_>) -> Option<(Due, MonoTime)> {
        if self.waker.borrow().is_none() {
            *self.waker.borrow_mut() = Some(cx.waker().clone());
        }
        self.posted.borrow_mut().pop_front()
    }
}
