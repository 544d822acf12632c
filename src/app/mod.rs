//! One file per command, each thin: it calls the modules that do the work.

pub mod check;
pub mod choose;
pub mod demo_server;
pub mod exit;
pub mod output;
pub mod report;
pub mod run;
pub mod session;
pub mod stamp;
pub mod watcher;
