//! What acts on a real systemd, as root.

pub(crate) mod manager;

mod bench;
mod cases;
mod check;
mod diagnosis;
mod differential;
mod fastapi;
mod grpc;
mod instances;
mod library;
mod messages;
mod pair;
mod rehearse;
mod remedies;
mod run;
mod sight;
mod truth;
mod unit_files;
mod user;
