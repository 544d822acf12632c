//! What acts on a real systemd, as root.

mod check;
mod diagnosis;
mod differential;
mod fastapi;
mod library;
pub(crate) mod manager;
mod run;
mod truth;
mod unit_files;
mod user;
