//! The systemd manager against a real systemd, as root.
//!
//! Every test brings its own units and takes them away again.

mod actions;
mod refusals;
pub(crate) mod rig;
mod subprocess;
