//! One file per command, each thin: it calls the modules that do the work.

pub mod calibrate;
pub mod choose;
pub mod compare;
pub mod demo;
pub mod demo_server;
pub mod exit;
pub mod github;
pub mod output;
pub mod report;
mod reports;
pub mod run;
pub mod schema;
pub mod session;
pub mod stamp;
pub mod watch;
pub mod watcher;
