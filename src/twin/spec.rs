//! What a twin is to be.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a twin is to be. `gapless rehearse` decides it; the keeper and the first process carry it out.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Spec {
    /// The name of the machine, which the twin has as well.
    pub host: String,
    /// This program.
    pub program: PathBuf,
    /// Folders that have to be there even where they are below the machine's /tmp or /run, which the twin has not.
    pub needed: Vec<PathBuf>,
    /// Folders that keep what is written to them.
    pub kept: Vec<PathBuf>,
    /// How long it may take until its bus is up.
    pub longest_boot: Duration,
    /// Where the twin's writes go.
    pub scratch: Scratch,
    /// Unit files and drop-ins that the twin has in the place of the machine's, by their name below /etc/systemd/system.
    pub units: BTreeMap<String, String>,
}

/// Where what is written in a twin goes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Scratch {
    /// A folder of the machine; none for memory.
    pub folder: Option<PathBuf>,
    /// The most that it takes.
    pub size_bytes: u64,
}
