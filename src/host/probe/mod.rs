//! `gapless probe`: what a [`Local`](super::Local) sees, served as JSON lines on stdin and stdout.
//!
//! | file | subject |
//! |---|---|
//! | `protocol.rs` | the lines, and what bounds them |
//! | `wire.rs` | reads and writes them, each dated as it comes and goes |
//! | `serve.rs` | answers |

pub mod protocol;
mod serve;
mod wire;

pub use self::serve::ServeError;
pub use self::wire::run;
