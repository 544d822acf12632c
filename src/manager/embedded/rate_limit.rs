//! The start limit and the trigger limit.

use std::time::{Duration, Instant};

/// At most `burst` events in `interval`, counted as systemd counts (`ratelimit_below`): a window opens with the
/// first event and lasts for the interval; it does not slide.
#[derive(Clone, Debug)]
pub(super) struct RateLimit {
    limit: Option<(u32, Duration)>,
    window: Option<(Instant, u32)>,
}

impl RateLimit {
    /// A limit, or none.
    pub(super) fn new(limit: Option<(u32, Duration)>) -> Self {
        Self { limit, window: None }
    }

    /// Counts an event at `now`. Whether it is within the limit.
    pub(super) fn allows(&mut self, now: Instant) -> bool {
        let Some((burst, interval)) = self.limit else { return true };
        match &mut self.window {
            Some((begin, count)) if now.duration_since(*begin) <= interval => {
                *count = count.saturating_add(1);
                *count <= burst
            }
            window => {
                *window = Some((now, 1));
                true
            }
        }
    }

    /// Forgets all events.
    pub(super) fn reset(&mut self) {
        self.window = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_event_after_the_burst_is_refused_until_the_window_is_over() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut limit = RateLimit::new(Some((3, Duration::from_secs(1))));
        let answers = [0, 400, 900, 950, 1000, 1001, 1002, 1003, 1004].map(|ms| limit.allows(at(ms)));
        assert_eq!(answers, [true, true, true, false, false, true, true, true, false]);
    }

    #[test]
    fn a_reset_opens_it_again_and_no_limit_never_closes() {
        let now = Instant::now();
        let mut limit = RateLimit::new(Some((1, Duration::MAX)));
        assert!(limit.allows(now) && !limit.allows(now));
        limit.reset();
        assert!(limit.allows(now));
        let mut none = RateLimit::new(None);
        assert!((0..1_000).all(|_| none.allows(now)));
    }
}
