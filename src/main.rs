//! The `gapless` command.

fn main() {}
