//! The service that demo, tests and scenarios restart, the built-in scenarios, and the calibration of the instrument.

pub mod calibration;
pub mod scenarios;
pub mod server;
