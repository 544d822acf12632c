//! Wakes the load thread on time: a timerfd, since tokio's own timer knows milliseconds only.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
use rustix::time::{timerfd_create, timerfd_settime};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use crate::clock;
use crate::model::MonoTime;

/// The shortest time between two wakes. Without it the thread would burn the core that the target needs, one wake for
/// each request; with it, lateness at high rates has this as its bound, beside the time that a wake takes: at 20,000/s
/// some 65 us at the median and 130 us at p99, undisturbed.
const MIN_PERIOD: Duration = Duration::from_micros(70);

/// A timer on `CLOCK_MONOTONIC` with the kernel's own resolution.
#[derive(Debug)]
pub(super) struct Pacer {
    timer: AsyncFd<OwnedFd>,
    /// What the timer is set to, until it has fired.
    armed: Option<MonoTime>,
    last_wake: MonoTime,
}

impl Pacer {
    /// Must be called within a runtime.
    ///
    /// # Errors
    /// Those of timerfd_create(2) and of the runtime's reactor.
    #[expect(deprecated, reason = "what replaces it is unsafe, and an OwnedFd keeps its descriptor as it demands")]
    pub(super) fn new() -> io::Result<Self> {
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        Ok(Self {
            timer: AsyncFd::with_interest(timer, Interest::READABLE)?,
            armed: None,
            last_wake: MonoTime::default(),
        })
    }

    /// Resolves at `wake_at`, but never sooner than this long after it last did.
    ///
    /// # Errors
    /// Those of timerfd_settime(2).
    pub(super) async fn sleep_until(&mut self, wake_at: MonoTime) -> io::Result<()> {
        let wake_at = wake_at.max(self.last_wake + MIN_PERIOD);
        if self.armed != Some(wake_at) {
            let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: timespec(wake_at) };
            timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &once)?;
            self.armed = Some(wake_at);
        }
        loop {
            // Nothing is read: the reactor tells of each expiration once, and setting the timer forgets the last.
            self.timer.readable().await?.clear_ready();
            // It may have been the time before, told only now.
            let now = clock::now();
            if now >= wake_at {
                (self.armed, self.last_wake) = (None, now);
                return Ok(());
            }
        }
    }
}

#[expect(clippy::cast_possible_wrap, reason = "seconds since boot and a part of one second")]
fn timespec(time: MonoTime) -> Timespec {
    let ns = time.as_nanos();
    Timespec { tv_sec: (ns / 1_000_000_000) as i64, tv_nsec: (ns % 1_000_000_000) as i64 }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::pin::pin;
    use std::task::Poll;

    use super::*;

    #[tokio::test]
    async fn it_wakes_never_before_the_time_and_never_twice_within_the_shortest_period() {
        let mut pacer = Pacer::new().unwrap();
        let mut last_wake = MonoTime::default();
        for after in [Duration::ZERO, Duration::ZERO, Duration::from_micros(10), Duration::from_millis(2)] {
            let wake_at = clock::now() + after;
            pacer.sleep_until(wake_at).await.unwrap();
            let now = clock::now();
            assert!(now >= wake_at && now >= last_wake + MIN_PERIOD);
            last_wake = pacer.last_wake;
        }
    }

    #[tokio::test]
    async fn a_sleep_that_was_given_up_does_not_end_the_next_one_early() {
        let mut pacer = Pacer::new().unwrap();
        let start = clock::now();
        {
            let mut sleep = pin!(pacer.sleep_until(start + MIN_PERIOD));
            assert!(poll_fn(|cx| Poll::Ready(sleep.as_mut().poll(cx).is_pending())).await);
        }
        // It expires while nobody looks at it.
        std::thread::sleep(2 * MIN_PERIOD);
        let later = start + Duration::from_millis(5);
        pacer.sleep_until(later).await.unwrap();
        assert!(clock::now() >= later);
    }
}
