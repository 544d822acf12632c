//! The service that demo, tests and scenarios restart, and the built-in scenarios.

pub mod server;
