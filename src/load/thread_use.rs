//! What the load thread has of the machine: CPU time, waiting for a core, waiting for an event.

use std::cell::Cell;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::Builder;

use super::heartbeat::Pauses;
use crate::clock;
use crate::model::MonoTime;
use crate::record::generator::{GeneratorUse, Taken};

/// How long the runtime waited for events. One thread only writes, so relaxed stores will do.
#[derive(Debug, Default)]
pub(super) struct Parked {
    since: AtomicU64,
    total_ns: AtomicU64,
}

impl Parked {
    /// Has the runtime tell of each wait.
    pub(super) fn observe(builder: &mut Builder) -> Arc<Self> {
        let parked = Arc::<Self>::default();
        let (before, after) = (Arc::clone(&parked), Arc::clone(&parked));
        builder.on_thread_park(move || before.since.store(clock::now().as_nanos(), Ordering::Relaxed));
        builder.on_thread_unpark(move || {
            let waited_ns = clock::now().as_nanos().saturating_sub(after.since.load(Ordering::Relaxed));
            after.total_ns.store(after.total_ns.load(Ordering::Relaxed) + waited_ns, Ordering::Relaxed);
        });
        parked
    }
}

/// Follows one thread, which must be the one that calls.
#[derive(Debug)]
pub(super) struct ThreadUse {
    parked: Arc<Parked>,
    /// Kept open, so that it can be read when no descriptor is left.
    schedstat: Option<File>,
    last: Cell<Reading>,
    waiting_max: Cell<u64>,
}

#[derive(Clone, Copy, Debug)]
struct Reading {
    at: MonoTime,
    cpu_ns: u64,
    run_delay_ns: Option<u64>,
    parked_ns: u64,
    scheduled: Scheduled,
}

/// Requests that fall due by a schedule, since the load began.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Scheduled {
    pub(super) due: u64,
    /// A connection took them up.
    pub(super) begun: u64,
}

impl ThreadUse {
    /// From `origin` on.
    pub(super) fn new(parked: Arc<Parked>, origin: MonoTime) -> Self {
        let schedstat = File::open("/proc/thread-self/schedstat").ok();
        let first = Reading { at: origin, ..Reading::now(schedstat.as_ref(), &parked) };
        Self { parked, schedstat, last: Cell::new(first), waiting_max: Cell::new(0) }
    }

    /// This many requests wait for a connection now.
    pub(super) fn see_waiting(&self, waiting: u64) {
        self.waiting_max.set(self.waiting_max.get().max(waiting));
    }

    /// What it was since it was last taken, with the pauses of that span and the requests that were scheduled until now.
    pub(super) fn take(&self, pauses: Pauses, scheduled: Scheduled) -> GeneratorUse {
        let now = Reading { scheduled, ..Reading::now(self.schedstat.as_ref(), &self.parked) };
        let last = self.last.replace(now);
        GeneratorUse {
            shard: 0,
            from: last.at,
            to: now.at.max(last.at),
            cpu_ns: now.cpu_ns.saturating_sub(last.cpu_ns),
            run_delay_ns: now.run_delay_ns.zip(last.run_delay_ns).map(|(now, last)| now.saturating_sub(last)),
            parked_ns: now.parked_ns.saturating_sub(last.parked_ns),
            due: now.scheduled.due.saturating_sub(last.scheduled.due),
            begun: now.scheduled.begun.saturating_sub(last.scheduled.begun),
            waiting: self.waiting_max.take(),
            pauses: pauses.kept,
            pauses_left_out: pauses.left_out,
            taken: Taken::default(),
        }
    }
}

impl Reading {
    #[expect(clippy::cast_sign_loss, reason = "CPU time is never negative")]
    #[expect(clippy::disallowed_methods, reason = "CPU time is no moment that anything else is told by")]
    fn now(schedstat: Option<&File>, parked: &Parked) -> Self {
        let cpu = clock_gettime(ClockId::ThreadCPUTime);
        Self {
            at: clock::now(),
            cpu_ns: cpu.tv_sec as u64 * 1_000_000_000 + cpu.tv_nsec as u64,
            run_delay_ns: schedstat.and_then(run_delay_ns),
            parked_ns: parked.total_ns.load(Ordering::Relaxed),
            scheduled: Scheduled::default(),
        }
    }
}

/// The second of its three figures (Documentation/scheduler/sched-stats.rst).
fn run_delay_ns(schedstat: &File) -> Option<u64> {
    let mut bytes = [0; 64];
    let length = schedstat.read_at(&mut bytes, 0).ok()?;
    std::str::from_utf8(bytes.get(..length)?).ok()?.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    /// What a thread with a runtime of its own had while it ran `work`.
    fn use_of(work: impl AsyncFnOnce() + Send + 'static) -> GeneratorUse {
        let measure = move || {
            let mut builder = Builder::new_current_thread();
            let parked = Parked::observe(builder.enable_all());
            let runtime = builder.build().unwrap();
            let thread = ThreadUse::new(parked, clock::now());
            runtime.block_on(work());
            thread.take(Pauses::default(), Scheduled::default())
        };
        std::thread::spawn(measure).join().unwrap()
    }

    #[test]
    fn a_thread_that_waits_is_idle_and_one_that_computes_is_not() {
        let waited = use_of(async || tokio::time::sleep(Duration::from_millis(300)).await);
        assert!(waited.idle_ns() > waited.span_ns() / 2, "{waited:?}");
        let computed = use_of(async || {
            let start = Instant::now();
            while start.elapsed() < Duration::from_millis(300) {
                std::hint::black_box(start);
            }
        });
        assert!(computed.idle_ns() < computed.span_ns() / 20, "{computed:?}");
        // On a busy machine it waited for a core as well; together that is all of the time.
        let had_ns = computed.cpu_ns + computed.run_delay_ns.unwrap_or_default();
        assert!(had_ns > computed.span_ns() / 10 * 9, "{computed:?}");
    }

    #[test]
    fn the_most_that_waited_is_told_once() {
        let thread = ThreadUse::new(Arc::default(), clock::now());
        [3, 9, 4].into_iter().for_each(|waiting| thread.see_waiting(waiting));
        assert_eq!([(); 2].map(|()| thread.take(Pauses::default(), Scheduled::default()).waiting), [9, 0]);
    }
}
