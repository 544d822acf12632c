//! `gapless rehearse`: what `try` and `run` do, in a twin.

use std::path::PathBuf;

use clap::Args;

use super::{OutputArgs, RequestArgs, TryAction};

/// `gapless rehearse`.
#[derive(Clone, Debug, Args)]
#[command(after_help = "Example: gapless rehearse ledger-api.service --times 3\n\n\
    A twin is a systemd of its own over a copy-on-write view of this machine, with loopback as its only network. It starts\n\
    the unit, its sockets and what it requires, and no other unit. Nothing outside --out is written. Needs root.\n\
    It is not a sandbox: what runs in it runs as root on this machine's kernel.")]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub struct RehearseArgs {
    /// A service or a socket, as for try, or scenario files and folders, as for run
    #[arg(required = true, value_name = "UNIT|PATH")]
    pub targets: Vec<String>,
    /// UNIT: run this command in the twin under load instead of an action: a deploy script, say
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
    /// UNIT: what to do to it
    #[arg(long, value_enum, default_value_t = TryAction::Restart)]
    pub action: TryAction,
    /// UNIT: the signal of --action kill [default: KILL]
    #[arg(long, value_name = "SIGNAL")]
    pub signal: Option<String>,
    /// How often [default: 5 for a UNIT, what the scenario says for a PATH]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub times: Option<u32>,
    /// UNIT: from the start of one to the start of the next
    #[arg(long, value_name = "DURATION", default_value = "3s", value_parser = crate::scenario::duration::parse)]
    pub every: std::time::Duration,
    /// UNIT: what to load [default: what the unit's socket or processes listen at]
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// The request, the expected answer, and the load
    #[command(flatten)]
    pub request: RequestArgs,
    /// UNIT: a proxy in front of the service listens at the URL
    #[arg(long)]
    pub front: bool,
    /// PATH: run only the scenario of that name; may be given several times
    #[arg(long, value_name = "NAME")]
    pub only: Vec<String>,
    /// PATH: change a value of the scenario, such as run.warmup=0s
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// The longest listener gap that may go unseen in a run that passes, or none [default: the scenario's, else 500ms]
    #[arg(long, value_name = "TIME")]
    pub max_unseen: Option<String>,
    /// Act on units that a machine depends on as well
    #[arg(long)]
    pub force: bool,
    /// Start this unit in the twin as well; may be given several times
    #[arg(long, value_name = "UNIT", help_heading = TWIN)]
    pub also: Vec<String>,
    /// A unit file, or a drop-in in a folder such as app.service.d, that the twin has in the place of the machine's or as
    /// well; may be given several times
    #[arg(long, value_name = "FILE", help_heading = TWIN)]
    pub with: Vec<PathBuf>,
    /// UNIT: rehearse it as it is and with a socket unit of its own, and compare the two. Results and the files go to folders
    /// in --out; the exit code is that of the run with the socket
    #[arg(long, conflicts_with_all = ["keep", "command", "with"], help_heading = TWIN)]
    pub suggest: bool,
    /// How long the twin may take until its system bus is up
    #[arg(long, value_name = "DURATION", default_value = "90s", value_parser = crate::scenario::duration::parse, help_heading = TWIN)]
    pub boot_timeout: std::time::Duration,
    /// Leave the twin running, and print how to enter and how to end it
    #[arg(long, help_heading = TWIN)]
    pub keep: bool,
    /// Keep what is written in the twin in a file in this folder, not in memory; the file has no name and ends with the twin
    #[arg(long, value_name = "DIR", help_heading = TWIN)]
    pub scratch: Option<PathBuf>,
    /// The most that may be written in the twin, such as 500M or 2G; its /run and /dev/shm, in memory, hold as much each
    #[arg(long, value_name = "SIZE", default_value = "2G", value_parser = size, help_heading = TWIN)]
    pub scratch_size: u64,
    /// Where results go
    #[command(flatten)]
    pub output: OutputArgs,
}

const TWIN: &str = "Twin options";

/// Smaller ones do not hold what systemd writes while it boots.
const SMALLEST_SCRATCH: u64 = 16 << 20;

fn size(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match text[digits.len()..].to_ascii_uppercase().as_str() {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        unit => return Err(format!("{unit} is not a unit of size; use K, M, G or T")),
    };
    let number: u64 = digits.parse().map_err(|_| format!("{text:?} is not a size; give one such as 500M"))?;
    let bytes = number.checked_mul(1 << shift).ok_or_else(|| format!("{text} is too large"))?;
    if bytes < SMALLEST_SCRATCH {
        return Err(format!("{text} is too small: systemd itself needs {}M", SMALLEST_SCRATCH >> 20));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_in_powers_of_1024() {
        assert_eq!(size("500M"), Ok(500 << 20));
        assert_eq!(size("2g"), Ok(2 << 30));
        assert_eq!(size("33554432"), Ok(32 << 20));
        for bad in ["", "M", "1.5G", "10X", "1M", "99999999999T"] {
            assert!(size(bad).is_err(), "{bad}");
        }
    }
}
