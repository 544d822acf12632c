//! The load: sends requests when they are due and counts what becomes of each.
//!
//! One thread of its own owns the schedule, the connections, the counters and the histograms. It never waits
//! for the control thread; [`LoadHandle`] is how that thread talks to it.
