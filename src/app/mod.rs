//! One file per command, each thin: it calls the modules that do the work.

pub mod check;
pub mod choose;
pub mod completions;
pub mod demo_server;
pub mod exit;
mod found;
pub mod init;
pub mod output;
pub mod report;
pub mod run;
pub mod session;
pub mod stamp;
pub mod try_unit;
pub mod watcher;
