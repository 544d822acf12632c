//! Who holds a listener.

use serde::{Deserialize, Serialize};

use super::address::Endpoint;
use super::process::Process;

/// A process that holds a descriptor of a listener, as it was at one look.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Which process.
    #[serde(flatten)]
    pub process: Process,
    /// Connections that were accepted from this listener and are open in this process.
    pub accepted: u32,
    /// Where else it listens.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also_listens: Vec<Endpoint>,
}

impl Holder {
    /// Whether it is systemd, which holds the listeners of socket units for others, or a child that systemd has forked
    /// off and that has not become a service's process yet.
    #[must_use]
    pub fn is_manager(&self) -> bool {
        let process = &self.process;
        process.name == "systemd" || process.control_group.as_ref().is_some_and(|group| group.ends_with("/init.scope"))
    }
}
