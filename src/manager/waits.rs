//! What a manager waits for: shown to whoever watches, and given up when the user wants it.
//!
//! A job may never end: a service that does not say READY=1 under TimeoutStartSec=infinity, one that ignores SIGTERM.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::watch;

use crate::clock;
use crate::model::MonoTime;

/// How often those who watch look.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// The jobs that are waited for at this moment. Cheap to clone; of one thread.
#[derive(Clone, Debug, Default)]
pub struct Waits(Rc<Inner>);

#[derive(Debug)]
struct Inner {
    waits: RefCell<BTreeMap<u64, Waiting>>,
    next: Cell<u64>,
    /// Why, in words that follow "cancelled".
    given_up: watch::Sender<&'static str>,
}

impl Default for Inner {
    fn default() -> Self {
        Self { waits: RefCell::default(), next: Cell::new(0), given_up: watch::channel("").0 }
    }
}

/// A job that is waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// `start of a.service`.
    what: String,
    /// Its number in systemd; none while systemd has not answered, and for the embedded manager.
    job: Option<u32>,
    since: MonoTime,
    is_told: bool,
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.job.map(|job| format!(" (job {job})")).unwrap_or_default();
        write!(f, "{}{number}", self.what)
    }
}

impl Waits {
    /// A job is waited for until the guard is dropped.
    pub(super) fn begin(&self, what: String) -> Wait {
        let id = self.0.next.get();
        self.0.next.set(id + 1);
        let waiting = Waiting { what, job: None, since: clock::now(), is_told: false };
        self.0.waits.borrow_mut().insert(id, waiting);
        Wait { given_up: self.0.given_up.subscribe(), waits: self.clone(), id }
    }

    /// Gives up every wait of this moment; `why` follows "cancelled" in a sentence.
    pub fn give_up(&self, why: &'static str) {
        self.0.given_up.send_replace(why);
    }

    /// The jobs that are waited for at this moment.
    #[must_use]
    pub fn now(&self) -> Vec<Waiting> {
        self.0.waits.borrow().values().cloned().collect()
    }

    /// The next job that has been waited for that long, each of them once.
    pub async fn overdue(&self, limit: Duration) -> Waiting {
        loop {
            let now = clock::now();
            let first = |waits: &mut BTreeMap<u64, Waiting>| {
                let late = waits.values_mut().find(|wait| !wait.is_told && now.since(wait.since) >= limit)?;
                late.is_told = true;
                Some(late.clone())
            };
            if let Some(late) = first(&mut self.0.waits.borrow_mut()) {
                return late;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// A job that has been waited for that long.
    pub async fn lasting(&self, limit: Duration) -> Waiting {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let now = clock::now();
            if let Some(lasting) = self.now().into_iter().find(|wait| now.since(wait.since) >= limit) {
                return lasting;
            }
        }
    }
}

/// That a job is waited for.
#[derive(Debug)]
pub(super) struct Wait {
    waits: Waits,
    id: u64,
    given_up: watch::Receiver<&'static str>,
}

impl Wait {
    /// The job has this number.
    pub(super) fn has_number(&self, job: Option<u32>) {
        if let Some(waiting) = self.waits.0.waits.borrow_mut().get_mut(&self.id) {
            waiting.job = job;
        }
    }

    /// Resolves when it is given up, with why; each time once.
    pub(super) async fn given_up(&mut self) -> &'static str {
        // The sender lives as long as we do.
        let _ = self.given_up.changed().await;
        *self.given_up.borrow()
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        self.waits.0.waits.borrow_mut().remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_wait_that_takes_long_is_told_once_with_its_job() {
        let waits = Waits::default();
        let wait = waits.begin("start of hang.service".to_owned());
        wait.has_number(Some(123));
        let told = waits.overdue(Duration::ZERO).await;
        assert_eq!(told.to_string(), "start of hang.service (job 123)");
        tokio::select! {
            again = waits.overdue(Duration::ZERO) => panic!("{again}"),
            () = tokio::time::sleep(LOOK_EVERY * 2) => {}
        }
        drop(wait);
        assert_eq!(waits.now(), []);
    }

    #[tokio::test]
    async fn a_wait_lasts_until_it_is_over() {
        let waits = Waits::default();
        let wait = waits.begin("start of hang.service".to_owned());
        assert_eq!(waits.lasting(Duration::ZERO).await.to_string(), "start of hang.service");
        drop(wait);
        tokio::select! {
            lasting = waits.lasting(Duration::ZERO) => panic!("{lasting}"),
            () = tokio::time::sleep(LOOK_EVERY * 2) => {}
        }
    }

    #[tokio::test]
    async fn only_what_is_waited_for_at_that_moment_is_given_up() {
        let waits = Waits::default();
        let mut before = waits.begin("start of hang.service".to_owned());
        waits.give_up("at a second signal");
        assert_eq!(before.given_up().await, "at a second signal");
        let mut after = waits.begin("stop of hang.service".to_owned());
        tokio::select! {
            biased;
            _ = before.given_up() => panic!("once"),
            _ = after.given_up() => panic!("it began later"),
            () = tokio::task::yield_now() => {}
        }
    }
}
