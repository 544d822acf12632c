//! The twin: a throw-away copy of this machine, in which a restart is rehearsed.
//!
//! A systemd of its own, over a copy-on-write view of the machine's file systems, in namespaces of its own. Three processes make
//! it, each the child of the one before:
//!
//! ```text
//! gapless rehearse (Twin) -> keeper -> unshare -> first process: builds the file system, becomes systemd
//! ```
//!
//! How it ends, nothing stays behind. Every process of the twin lives in one PID namespace and every mount in one mount
//! namespace, and both end with the first process. The keeper ends it when its input ends, which is when `gapless rehearse`
//! dies, and takes the cgroup and the scratch away. Should the keeper die, its parent-death signal kills `unshare`, and
//! `unshare --kill-child` the first process; then `gapless rehearse` takes the rest away.
//!
//! | file | subject |
//! |---|---|
//! | `boot` | [`Twin`]: makes one, runs commands in it, ends it |
//! | `failure` | why one does not boot |
//! | `machine` | what the machine must have for it |
//! | `spec` | what a twin is to be |
//! | `keeper` | the process that ends it and clears up |
//! | `cgroup` | its cgroup |
//! | `scratch` | where its writes go |
//! | `space` | [`Space`]: whether there is room left |
//! | `init` | its first process, until it is systemd |
//! | `root` | its file system |
//! | `kernel` | /dev, /proc and /sys |
//! | `console` | its console, and what is said there |
//! | `network` | its loopback, and the machine's network settings |
//! | `units` | what its systemd boots |
//! | `enter` | starts a command in it |
//! | `closure` | which units of the machine belong to one, and starting them |

pub mod boot;
mod cgroup;
pub mod closure;
mod console;
pub mod enter;
mod failure;
mod init;
pub mod keeper;
mod kernel;
pub mod machine;
mod network;
mod root;
mod scratch;
mod space;
pub mod spec;
mod units;

pub use self::boot::{Twin, TwinError};
pub use self::failure::Failure;
pub use self::space::Space;
pub use self::spec::{Scratch, Spec};

use std::ffi::OsString;
use std::process::ExitCode;

/// The first argument of a process that belongs to a twin. People do not type it.
pub const SUBCOMMAND: &str = "__twin";

/// The folder of a twin that is ours, in its /run.
const HOME: &str = "/run/gapless-twin";

/// The program inside a twin.
pub const PROGRAM: &str = "/run/gapless-twin/gapless";

/// Runs one of the processes that a twin consists of.
#[must_use]
pub fn main(mut args: impl Iterator<Item = OsString>) -> ExitCode {
    match args.next().as_deref().and_then(|role| role.to_str()) {
        Some(keeper::ROLE) => keeper::main(),
        Some(init::ROLE) => init::main(),
        Some(init::IN_CGROUP) => init::main_in_cgroup(),
        Some(enter::ROLE) => enter::main(args),
        _ => ExitCode::from(2),
    }
}
