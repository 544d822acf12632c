//! The options of generators that share a load.

use std::str::FromStr;

use clap::Args;

use crate::model::Share;
use crate::model::share::MOST_SHARDS;

/// Which part of a load this generator sends, and when it starts.
#[derive(Clone, Debug, Default, Args)]
pub struct ShardArgs {
    /// Send the I-th of N parts of the load; other generators send the others, and gapless merge adds them up. Shard 1
    /// alone acts on units and runs the command. With auto, I is read from what the launcher sets: SLURM_PROCID and
    /// SLURM_NTASKS; with auto/N from JOB_COMPLETION_INDEX (a Kubernetes Indexed Job) or PARALLEL_SEQ (GNU parallel)
    #[arg(long, value_name = "I/N|auto|auto/N", help_heading = HEADING)]
    pub shard: Option<ShardArg>,
    /// Start the load at this time: RFC 3339, @SECONDS since 1970, HH:MM:SS today in this machine's time zone, or +TIME
    /// from now. Shards need the same one, a few seconds ahead, such as @$(( $(date +%s) + 10 ))
    #[arg(long, value_name = "TIME", help_heading = HEADING)]
    pub start_at: Option<String>,
}

const HEADING: &str = "Several generators";

/// `--shard`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShardArg {
    /// This one.
    Is(Share),
    /// As the environment says, of that number where it does not say that.
    Auto(Option<u32>),
}

impl FromStr for ShardArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.strip_prefix("auto") {
            Some("") => Ok(Self::Auto(None)),
            Some(rest) => {
                let of = rest.strip_prefix('/').and_then(|of| of.parse().ok());
                let of = of.filter(|of| (1..=MOST_SHARDS).contains(of));
                let mistake = || format!("{text:?} is not auto or auto/N with N from 1 to {MOST_SHARDS}");
                of.map(|of| Self::Auto(Some(of))).ok_or_else(mistake)
            }
            None => text.parse().map(Self::Is),
        }
    }
}
