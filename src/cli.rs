//! The command line: what clap parses, and nothing else.

mod merge;
mod output;
mod rehearse;
mod request;
mod shard;
mod units;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use self::merge::MergeArgs;
pub use self::output::{ColorArg, InconclusiveAs, OutputArgs};
pub use self::rehearse::RehearseArgs;
pub use self::request::{LoadArgs, RequestArgs};
pub use self::shard::{ShardArg, ShardArgs};
pub use self::units::{CheckArgs, CheckFormat, CompletionsArgs, InitArgs, SystemdArg, TryAction, TryArgs};
use crate::analysis::gate::Gate;

/// Proves that a restart drops nothing.
#[derive(Debug, Parser)]
#[command(name = "gapless", version, about, arg_required_else_help = true, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 passed, 1 failed, 2 usage or scenario, 3 inconclusive, 4 harness error, 130 interrupted"
)]
pub struct Cli {
    /// Print results and errors only: no progress, no notes
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// When to use colours
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t = ColorArg::Auto, hide_possible_values = true)]
    pub color: ColorArg,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run scenarios: load a service, restart it, and report what was lost and why
    Run(RunArgs),
    /// Show on this machine what a restart loses and what a held socket saves; needs no systemd, no root and no set-up
    Demo(DemoArgs),
    /// Load a URL while a command runs, or for a given time, and report what was lost
    Watch(WatchArgs),
    /// Verify on this machine that gapless counts correctly: inject known faults and compare injected with counted
    Calibrate(CalibrateArgs),
    /// Audit a socket and its service before anything is restarted: existing units, or unit files
    Check(CheckArgs),
    /// Write a ready-to-run scenario for an existing unit
    Init(InitArgs),
    /// Restart an existing unit several times under load and report what was lost
    Try(TryArgs),
    /// Do what try or run would do in a throw-away copy of this machine: the real service is not touched
    Rehearse(RehearseArgs),
    /// Render a saved run again and exit with its verdict's code
    Report(ReportArgs),
    /// Compare two or more saved runs; exit with 1 when a --fail-on gate trips
    Compare(CompareArgs),
    /// Add up the runs of generators that shared a load, with one verdict and one report
    Merge(MergeArgs),
    /// Print the JSON Schema of a format
    Schema(SchemaArgs),
    /// Print completions for a shell
    Completions(CompletionsArgs),
    /// Print a page of the manual, or write all of them into a directory
    Man(ManArgs),
    /// Tell another gapless, as lines of JSON on stdin and stdout, what can be seen on this machine
    #[command(hide = true)]
    Probe(ProbeArgs),
    /// The service that the demo, the tests and the scenarios restart: HTTP/1.1, HTTP/2, gRPC and datagrams
    DemoServer(crate::demo::server::ServerOptions),
}

/// `gapless run`.
#[derive(Debug, Args)]
#[command(after_help = "Example: gapless run scenarios/fastapi/restart-socket.toml --times 2")]
pub struct RunArgs {
    /// Scenario files, or folders of them
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// What carries actions out
    #[arg(long, value_enum, default_value_t = ManagerArg::Auto)]
    pub manager: ManagerArg,
    /// Run only the scenario of that name; may be given several times
    #[arg(long, value_name = "NAME")]
    pub only: Vec<String>,
    /// Run every step N times, overriding the scenario
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub times: Option<u32>,
    /// Change a value of the scenario, such as run.warmup=0s or load.keep-alive.rate=500
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,
    /// The longest listener gap that may go unseen in a run that passes, or none [default: the scenario's, else 500ms]
    #[arg(long, value_name = "TIME")]
    pub max_unseen: Option<String>,
    /// Which part of the load is sent here, and when
    #[command(flatten)]
    pub shard: ShardArgs,
    /// With --shard: how long the steps may take; all shards load for the warmup, this long, and the cooldown [default:
    /// twice what the steps usually take, and 10s]
    #[arg(long, value_name = "TIME", requires = "shard", help_heading = "Several generators")]
    pub duration: Option<String>,
    /// Where results go
    #[command(flatten)]
    pub output: OutputArgs,
    /// Compare with the run saved in DIR
    #[arg(long, value_name = "DIR")]
    pub baseline: Option<PathBuf>,
    /// Fail when a figure grew by more than this over the baseline, such as "p99 +20%"; may be given several times
    #[arg(long, value_name = "GATE", requires = "baseline")]
    pub fail_on: Vec<Gate>,
    /// Only print what would be done, in order, to which units, and which other units that affects
    #[arg(long, conflicts_with_all = ["prepare_only", "baseline", "out"])]
    pub plan: bool,
    /// Only run the `prepare` commands, so that the run itself needs no network
    #[arg(long)]
    pub prepare_only: bool,
    /// Act on units that the machine depends on as well
    #[arg(long)]
    pub force: bool,
}

/// `gapless demo`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example: gapless demo --out demo\n\nIts scenarios and unit files are left next to the reports, to be read, changed and run again."
)]
pub struct DemoArgs {
    /// Where to leave scenarios, records and reports [default: a new folder under reports/]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// What to print on stdout
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
}

/// `gapless watch`.
#[derive(Debug, Args)]
#[command(after_help = "Example: gapless watch http://127.0.0.1:8008/health --expect p99=500ms -- ./deploy.sh

A command can mark its stages: echo flipped > \"$GAPLESS_MARKS\" begins an event of that name, and losses and stalls are
reported for each.

The command gets this shell's environment and input. What it prints is shown as it comes and its end is kept in the
record; its stdout goes to stdout with --format table, else to stderr, so that stdout holds the result alone. Ctrl-C
ends the command too.")]
#[command(group = clap::ArgGroup::new("until").required(true).multiple(true).args(["command", "duration"]))]
pub struct WatchArgs {
    /// What to load: http, https, tcp or unix (unix:/PATH, unix:@NAME)
    #[arg(value_name = "URL")]
    pub url: String,
    /// The command to run under load; its failure is a failed verdict
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
    /// Generate load for this long instead of running a command: 10s, 1m30s. With --shard and a command: how long the
    /// command may take, for all shards load until then
    #[arg(long, value_name = "TIME")]
    pub duration: Option<String>,
    /// The request, the expected answer, and the load
    #[command(flatten)]
    pub request: RequestArgs,
    /// Load before the command starts; where the target is not healthy then, the command is not run [default: 2s, or 0s
    /// without a command]
    #[arg(long, value_name = "TIME")]
    pub warmup: Option<String>,
    /// Load after the command has ended [default: 5s, or 0s without a command]
    #[arg(long, value_name = "TIME")]
    pub cooldown: Option<String>,
    /// The longest listener gap that may go unseen in a run that passes, or none [default: 500ms]
    #[arg(long, value_name = "TIME")]
    pub max_unseen: Option<String>,
    /// Read marks from this file or pipe, or with - from standard input: each line begins an event of that name. Without
    /// it, the command may write them to the pipe that $GAPLESS_MARKS names
    #[arg(long, value_name = "FILE")]
    pub marks: Option<PathBuf>,
    /// Which part of the load is sent here, and when
    #[command(flatten)]
    pub shard: ShardArgs,
    /// Where results go
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `gapless calibrate`.
#[derive(Debug, Args)]
#[command(after_help = "Example: gapless calibrate --format json")]
pub struct CalibrateArgs {
    /// What to print on stdout
    #[arg(long, value_enum, default_value_t = CalibrateFormat::Table)]
    pub format: CalibrateFormat,
}

/// `calibrate --format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CalibrateFormat {
    /// A table for people
    Table,
    /// JSON
    Json,
}

/// `gapless report`.
#[derive(Debug, Args)]
#[command(after_help = "Example: gapless report reports/2026-11-20T08-30-00Z --format json")]
pub struct ReportArgs {
    /// The folder a run left
    #[arg(value_name = "DIR")]
    pub dir: PathBuf,
    /// What to print on stdout
    #[arg(long, value_enum, default_value_t = Format::Table)]
    pub format: Format,
}

/// `gapless compare`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example: gapless compare reports/main reports/branch --fail-on \"p99 +20%\" --fail-on \"dropped +0\""
)]
pub struct CompareArgs {
    /// The folder of the run before
    #[arg(value_name = "BEFORE")]
    pub before: PathBuf,
    /// The folder of the run after
    #[arg(value_name = "AFTER")]
    pub after: PathBuf,
    /// More runs: all are set next to each other, and --fail-on compares each with the first
    #[arg(value_name = "DIR")]
    pub more: Vec<PathBuf>,
    /// Fail when a figure grew by more than this, such as "p99 +20%"; may be given several times
    #[arg(long, value_name = "GATE")]
    pub fail_on: Vec<Gate>,
    /// What to print on stdout
    #[arg(long, value_enum, default_value_t = CompareFormat::Table)]
    pub format: CompareFormat,
}

/// `gapless schema`.
#[derive(Debug, Args)]
#[command(after_help = "Example: gapless schema result > result.schema.json")]
pub struct SchemaArgs {
    /// Of which format
    #[arg(value_enum)]
    pub of: SchemaOf,
}

/// The formats that have a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SchemaOf {
    /// A scenario file, as JSON Schema sees its TOML: for completion and checks in editors
    Scenario,
    /// result.json
    Result,
}

/// `gapless probe`.
#[derive(Debug, Args)]
#[command(after_help = "\
`gapless try --host` starts it by itself, as `ssh HOST gapless probe`, where the same version is installed for a login by root.

It looks and changes nothing: processes, listeners and who holds them, accept queues, counters of the network, the units' \
journal (journalctl), and, as root with tracefs mounted, the kernel's trace of listeners and resets, in a tracing instance \
of its own. It ends when its input ends, on SIGTERM, SIGINT and SIGHUP, or when no request came for a minute, and removes \
that instance.

Format gapless/probe/1: its first line says what it is and what it can see; each line of input is a request with a number, \
such as {\"id\":1,\"ask\":{\"process\":{\"pid\":1}}}, and each request is answered by a line with that number. At most 4,096 \
requests may wait. A line of input that is not a request, or has more than 64 KiB, ends it with exit code 4.")]
pub struct ProbeArgs {}

/// `gapless man`.
#[derive(Debug, Args)]
#[command(after_help = "Example: gapless man run > gapless-run.1")]
pub struct ManArgs {
    /// The page: a command, or scenario or result for the formats [default: gapless]
    #[arg(value_name = "PAGE", conflicts_with = "out")]
    pub page: Option<String>,
    /// Write every page into this directory
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// `compare --format`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CompareFormat {
    /// Tables for people
    Table,
    /// JSON
    Json,
    /// GitHub-flavoured Markdown
    Markdown,
    /// A page of its own, with one chart of all
    Html,
    /// Only the chart
    Svg,
}

/// `--manager`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ManagerArg {
    /// The one that fits the scenario and the machine
    Auto,
    /// systemd's system manager
    System,
    /// systemd's user manager
    User,
    /// The scenario's own unit files, without systemd
    Embedded,
}

/// `--format`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    #[default]
    /// Tables for people
    Table,
    /// result.json
    Json,
    /// GitHub-flavoured Markdown
    Markdown,
    /// JUnit's XML, for CI
    Junit,
}
