//! Ctrl-C and its kin, as something that waits can be raced against.

use std::future::Future;
use std::io;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

/// Tells whether the user wants the run to end. Cheap to clone.
///
/// Waits are raced against it; actions on units are not, so that no unit is left in the middle of one.
#[derive(Clone, Debug)]
pub struct Interrupt(watch::Receiver<bool>);

/// Raises an [`Interrupt`].
#[derive(Debug)]
pub struct InterruptSource(watch::Sender<bool>);

impl InterruptSource {
    /// Raises it. Raising it again changes nothing.
    pub fn raise(&self) {
        self.0.send_replace(true);
    }
}

impl Interrupt {
    /// An interrupt and what raises it.
    #[must_use]
    pub fn pair() -> (InterruptSource, Self) {
        let (sender, receiver) = watch::channel(false);
        (InterruptSource(sender), Self(receiver))
    }

    /// An interrupt that SIGINT, SIGTERM and SIGHUP raise; not SIGHUP where it was to be ignored, as nohup(1) has it.
    /// Call inside a `LocalSet`.
    ///
    /// # Errors
    /// When a signal handler cannot be installed.
    pub fn on_signals() -> io::Result<Self> {
        let (source, interrupt) = Self::pair();
        let minds_hangup = !ignores_hangup();
        let mut sigint = signal(SignalKind::interrupt())?;
        let mut sigterm = signal(SignalKind::terminate())?;
        // Caught in any case: what is ignored would be ignored by the services that are started, too.
        let mut sighup = signal(SignalKind::hangup())?;
        tokio::task::spawn_local(async move {
            loop {
                let asked = tokio::select! {
                    _ = sigint.recv() => true,
                    _ = sigterm.recv() => true,
                    _ = sighup.recv() => minds_hangup,
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
        *self.0.borrow()
    }

    /// Resolves when it is raised; never if its source is gone unraised.
    pub async fn raised(&self) {
        let mut receiver = self.0.clone();
        if receiver.wait_for(|&raised| raised).await.is_err() {
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
}
