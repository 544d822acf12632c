//! The one clock, and people's, where several machines have to agree on a time.

pub mod offsets;

use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use rustix::time::{ClockId, clock_gettime};

use crate::model::MonoTime;

/// Now, on `CLOCK_MONOTONIC`. A vDSO call: no system call on common machines.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "this is the one place")]
#[expect(clippy::cast_sign_loss, reason = "CLOCK_MONOTONIC starts at boot and is never negative")]
pub fn now() -> MonoTime {
    let time = clock_gettime(ClockId::Monotonic);
    MonoTime::from_nanos(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
}

/// Now, and the same by the wall clock, in nanoseconds since 1970: 0 where it is set to before. Generators that share a load
/// start at one time by it, and nothing else is told by it.
#[must_use]
#[expect(clippy::disallowed_methods, reason = "machines have no other clock in common")]
pub fn both() -> (MonoTime, u64) {
    let wall = clock_gettime(ClockId::Realtime);
    let seconds = u64::try_from(wall.tv_sec).unwrap_or_default();
    (now(), seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(wall.tv_nsec).unwrap_or_default()))
}

/// A time that the kernel tells, such as its trace, on our own CLOCK_MONOTONIC: in a time namespace that is another one,
/// time_namespaces(7).
#[must_use]
pub fn of_kernel(at: MonoTime) -> MonoTime {
    static AHEAD_NS: LazyLock<i64> = LazyLock::new(|| {
        fs::read_to_string("/proc/self/timens_offsets").ok().and_then(|text| ahead_ns(&text)).unwrap_or(0)
    });
    MonoTime::from_nanos(at.as_nanos().saturating_add_signed(*AHEAD_NS))
}

/// A time that the service manager of the machine tells, on our own CLOCK_MONOTONIC. It is in the kernel's own time
/// namespace, or in ours.
#[must_use]
pub fn of_manager(at: MonoTime) -> MonoTime {
    static IS_OURS: LazyLock<bool> = LazyLock::new(|| {
        let namespace = |of: &str| fs::read_link(Path::new("/proc").join(of).join("ns/time")).ok();
        namespace("self") == namespace("1")
    });
    if *IS_OURS { at } else { of_kernel(at) }
}

/// By `/proc/PID/timens_offsets`: `monotonic SECONDS NANOSECONDS`.
fn ahead_ns(offsets: &str) -> Option<i64> {
    let line = offsets.lines().find_map(|line| line.strip_prefix("monotonic"))?;
    let mut numbers = line.split_whitespace().map(str::parse::<i64>);
    let (seconds, nanos) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    seconds.checked_mul(1_000_000_000)?.checked_add(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offset_of_a_time_namespace_is_read_with_its_sign() {
        assert_eq!(
            ahead_ns("monotonic       86400         7\nboottime            0         0\n"),
            Some(86_400_000_000_007)
        );
        assert_eq!(ahead_ns("monotonic  -2 500000000\n"), Some(-1_500_000_000));
        assert_eq!(ahead_ns(""), None);
    }
}
