//! That the listeners were looked at all the time, in a line every few seconds: one look after the other would fill the
//! record, and what is the same as before is not written down.

use std::time::Duration;

use crate::model::MonoTime;
use crate::model::time::nanos;
use crate::record::line::Looks;

/// From one line to the next while no look is late.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Turns looks into lines.
#[derive(Debug, Default)]
pub(super) struct LookLog {
    /// What was not written yet.
    current: Option<Looks>,
}

impl LookLog {
    /// The listeners were looked at, as they were at `at`.
    pub(super) fn look(&mut self, at: MonoTime, write: &mut dyn FnMut(Looks)) {
        let first = Looks { from: at, to: at, longest_ns: 0 };
        let Some(current) = &mut self.current else {
            self.current = Some(first);
            return;
        };
        let since = at.since(current.to);
        let late = (since >= Looks::LATE_MIN).then_some(Looks { from: current.to, to: at, longest_ns: nanos(since) });
        if late.is_none() {
            current.to = at;
            current.longest_ns = current.longest_ns.max(nanos(since));
        }
        if late.is_some() || at.since(current.from) >= LINE_EVERY {
            self.finish(write);
            late.map(write);
            self.current = Some(first);
        }
    }

    /// There are no more looks.
    pub(super) fn finish(&mut self, write: &mut dyn FnMut(Looks)) {
        self.current.take().filter(|looks| looks.from < looks.to).map(write);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(looks_ms: impl IntoIterator<Item = u64>) -> Vec<(u64, u64, u64)> {
        let mut log = LookLog::default();
        let mut lines = Vec::new();
        let ms = |at: MonoTime| at.as_nanos() / 1_000_000;
        let mut write = |looks: Looks| lines.push((ms(looks.from), ms(looks.to), looks.longest_ns / 1_000_000));
        for at_ms in looks_ms {
            log.look(MonoTime::from_micros(at_ms * 1_000), &mut write);
        }
        log.finish(&mut write);
        lines
    }

    #[test]
    fn looks_on_time_are_one_line_every_ten_seconds() {
        assert_eq!(lines((0..=800).map(|nth| nth * 25)), [(0, 10_000, 25), (10_000, 20_000, 25)]);
        assert_eq!(lines([0, 25, 80]), [(0, 80, 55)]);
    }

    #[test]
    fn a_late_look_has_a_line_of_its_own_and_no_time_is_left_out() {
        assert_eq!(lines([0, 25, 475, 500]), [(0, 25, 25), (25, 475, 450), (475, 500, 25)]);
        assert_eq!(lines([0, 100, 200]), [(0, 100, 100), (100, 200, 100)]);
        assert_eq!(lines([7]), []);
    }
}
