//! What whoever watches a run sees on stderr: on a terminal its last rows, redrawn in place; elsewhere a line for each
//! phase.
//!
//! | file | subject |
//! |---|---|
//! | `watcher` | is told how the run goes, and passes it on |
//! | `seen` | what it was told so far, and what that comes to at a moment |
//! | `view` | the three lines, for a width |
//! | `screen` | the rows of the terminal that they stand in |

mod screen;
mod seen;
mod view;
pub mod watcher;
