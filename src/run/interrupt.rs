//! Ctrl-C and its kin, as something that waits can be raced against.

use std::future::Future;
use std::io;

use rustix::process::Signal;
use tokio::signal::unix::{self, SignalKind, signal};
use tokio::sync::watch;

/// Tells whether, and how often, the user wanted the run to end. Cheap to clone.
///
/// Waits are raced against it; actions on units are not, so that no unit is left in the middle of one. What is asked
/// for twice gives up the action that is waited for, too.
#[derive(Clone, Debug)]
pub struct Interrupt(watch::Receiver<u32>);

/// Raises an [`Interrupt`].
#[derive(Debug)]
pub struct InterruptSource(watch::Sender<u32>);

impl InterruptSource {
    /// Raises it, once more if it was raised.
    pub fn raise(&self) {
        self.0.send_modify(|times| *times = times.saturating_add(1));
    }
}

/// What ends a process unless it is caught, beside SIGHUP and the real-time signals. Not what the processor raises
/// (SIGSEGV, SIGBUS, SIGFPE, SIGILL): a handler would return to the same fault. Not SIGPIPE, which is ignored: who
/// stops reading has not asked for the end.
const ENDING: &[Signal] = &[
    Signal::INT,
    Signal::TERM,
    Signal::QUIT,
    Signal::USR1,
    Signal::USR2,
    Signal::ALARM,
    Signal::VTALARM,
    Signal::PROF,
    Signal::ABORT,
    Signal::TRAP,
    Signal::SYS,
    Signal::STKFLT,
    Signal::IO,
    Signal::POWER,
    Signal::XCPU,
    Signal::XFSZ,
];

/// Signals 32 and 33 are the C library's own, signal(7).
const REAL_TIME: std::ops::RangeInclusive<i32> = 34..=64;

impl Interrupt {
    /// An interrupt and what raises it.
    #[must_use]
    pub fn pair() -> (InterruptSource, Self) {
        let (sender, receiver) = watch::channel(0);
        (InterruptSource(sender), Self(receiver))
    }

    /// An interrupt that every signal raises which would end the process and can be caught; not SIGHUP where it was to
    /// be ignored, as nohup(1) has it. Call inside a `LocalSet`.
    ///
    /// # Errors
    /// When a signal handler cannot be installed.
    pub fn on_signals() -> io::Result<Self> {
        let (source, interrupt) = Self::pair();
        let minds_hangup = !ignores_hangup();
        let mut ending = Vec::new();
        for number in ENDING.iter().map(|signal| signal.as_raw()).chain(REAL_TIME) {
            ending.push(signal(SignalKind::from_raw(number))?);
        }
        // Caught in any case: what is ignored would be ignored by the services that are started, too.
        let mut hangup = signal(SignalKind::hangup())?;
        tokio::task::spawn_local(async move {
            loop {
                let asked = tokio::select! {
                    () = any(&mut ending) => true,
                    _ = hangup.recv() => minds_hangup,
                };
                if asked {
                    source.raise();
                }
            }
        });
        Ok(interrupt)
    }

    /// Whether it was raised.
    #[must_use]
    pub fn is_raised(&self) -> bool {
        *self.0.borrow() > 0
    }

    /// Resolves when it is raised; never if its source is gone unraised.
    pub async fn raised(&self) {
        self.raised_times(1).await;
    }

    /// Resolves when it was raised that often.
    pub async fn raised_times(&self, times: u32) {
        let mut receiver = self.0.clone();
        if receiver.wait_for(|&raised| raised >= times).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// What `future` gives, or none if the interrupt is raised first.
    pub async fn unless_raised<T>(&self, future: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.raised() => None,
            value = future => Some(value),
        }
    }
}

/// Resolves when one of the signals has come.
async fn any(signals: &mut [unix::Signal]) {
    let received = signals.iter_mut().map(|signal| Box::pin(signal.recv()));
    futures_util::future::select_all(received).await;
}

/// Whether this process was started with SIGHUP ignored: the first bit of the mask, proc_pid_status(5).
fn ignores_hangup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_wait_ends_when_the_interrupt_is_raised() {
        let (source, interrupt) = Interrupt::pair();
        assert_eq!(interrupt.unless_raised(async { 7 }).await, Some(7));
        source.raise();
        assert!(interrupt.is_raised());
        assert_eq!(interrupt.unless_raised(std::future::pending::<u8>()).await, None);
    }

    #[tokio::test]
    async fn it_is_counted_how_often_it_was_raised() {
        let (source, interrupt) = Interrupt::pair();
        source.raise();
        let twice = interrupt.raised_times(2);
        tokio::pin!(twice);
        tokio::select! {
            biased;
            () = &mut twice => panic!("only once so far"),
            () = tokio::task::yield_now() => {}
        }
        source.raise();
        twice.await;
    }
}
