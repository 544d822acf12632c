//! From a record to a result: pure functions, no clock, no file, no network, no bus.
