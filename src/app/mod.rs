//! One file per command, each thin: it calls the modules that do the work.

mod adopt;
pub mod arguments;
pub mod calibrate;
pub mod caller;
pub mod check;
pub mod choose;
pub mod compare;
pub mod completions;
pub mod demo;
pub mod demo_server;
pub mod exit;
pub mod folder;
mod found;
pub mod github;
pub mod init;
mod learn;
pub mod output;
mod plan;
pub mod report;
mod reports;
pub mod run;
pub mod schema;
pub mod session;
pub mod stamp;
pub mod try_unit;
pub mod watch;
pub mod watcher;
