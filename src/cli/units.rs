//! Commands on existing units: check, init, try; and completions.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::{OutputArgs, RequestArgs};
use crate::check::facts::ClientUser;

/// `gapless check`.
#[derive(Debug, Args)]
#[command(after_help = "Example: gapless check app.socket app.service --rate 200 --gap 2s\n\n\
    A UNIT is asked about at systemd and the kernel; an argument that names a file is read as one, anywhere.\n\
    Exit codes: 0 no error found, 1 errors found (with --strict: warnings too), 2 usage, 4 systemd cannot be asked")]
pub struct CheckArgs {
    /// Units, or unit files; a name without a type is a service's
    #[arg(required_unless_present_any = ["all", "rules"], value_name = "UNIT|FILE")]
    pub units: Vec<String>,
    /// Every socket unit of the machine
    #[arg(long, conflicts_with = "units")]
    pub all: bool,
    /// List the rules, and check nothing
    #[arg(long, exclusive = true)]
    pub rules: bool,
    /// Leave out the rule of that id; may be given several times
    #[arg(long, value_name = "ID")]
    pub ignore: Vec<String>,
    /// Exit with 1 on warnings as well
    #[arg(long)]
    pub strict: bool,
    /// New connections per second that are to be borne while the service restarts
    #[arg(long, value_name = "PER_SECOND", value_parser = positive)]
    pub rate: Option<f64>,
    /// How long nobody accepts during a restart [default: what the last start of the unit took, else 1s]
    #[arg(long, value_name = "DURATION", requires = "rate", value_parser = crate::scenario::duration::parse)]
    pub gap: Option<std::time::Duration>,
    /// The user that clients run as, such as a proxy's www-data: may it connect to the Unix socket?
    #[arg(long, value_name = "USER", value_parser = client, conflicts_with = "host")]
    pub client: Option<ClientUser>,
    /// Units of another machine, reached over ssh without a password
    #[arg(long, value_name = "USER@HOST")]
    pub host: Option<crate::ssh::Destination>,
    /// Which systemd
    #[arg(long, value_enum, default_value_t = SystemdArg::Auto)]
    pub manager: SystemdArg,
    /// What to print on stdout
    #[arg(long, value_enum, default_value_t = CheckFormat::Table)]
    pub format: CheckFormat,
}

fn positive(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite() && *number > 0.0);
    number.ok_or_else(|| "say a number above 0".to_owned())
}

fn client(name: &str) -> Result<ClientUser, String> {
    ClientUser::find(name).ok_or_else(|| "there is no such user in /etc/passwd".to_owned())
}

/// `gapless init`.
#[derive(Debug, Args)]
#[command(after_help = "Example: gapless init ledger-api.service --output ledger-api.toml\n\n\
    The service is asked for /health and a few paths like it, to find one that it answers.")]
pub struct InitArgs {
    /// A service or a socket; a name without a type is a service's
    #[arg(value_name = "UNIT")]
    pub unit: String,
    /// What to load [default: what the unit's socket or processes listen at]
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// The request, the expected answer, and the load
    #[command(flatten)]
    pub request: RequestArgs,
    /// A proxy in front of the service listens at the URL
    #[arg(long)]
    pub front: bool,
    /// A unit of another machine, reached over ssh without a password
    #[arg(long, value_name = "USER@HOST")]
    pub host: Option<crate::ssh::Destination>,
    /// Where to write the scenario, a new file [default: stdout]
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Which systemd
    #[arg(long, value_enum, default_value_t = SystemdArg::Auto)]
    pub manager: SystemdArg,
}

/// `gapless try`.
#[derive(Debug, Args)]
#[command(after_help = "Example: gapless try ledger-api.service --times 3\n\n\
    Says what it is about to do, and asks before it does it where stdin is a terminal.\n\
    The service is asked for /health and a few paths like it, unless --url is given.")]
pub struct TryArgs {
    /// A service or a socket; a name without a type is a service's
    #[arg(value_name = "UNIT")]
    pub unit: String,
    /// What to do to it
    #[arg(long, value_enum, default_value_t = TryAction::Restart)]
    pub action: TryAction,
    /// The signal of --action kill [default: KILL]
    #[arg(long, value_name = "SIGNAL")]
    pub signal: Option<String>,
    /// How often
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub times: u32,
    /// From the start of one to the start of the next
    #[arg(long, value_name = "DURATION", default_value = "3s", value_parser = crate::scenario::duration::parse)]
    pub every: std::time::Duration,
    /// What to load [default: what the unit's socket or processes listen at]
    #[arg(long, value_name = "URL")]
    pub url: Option<String>,
    /// The request, the expected answer, and the load
    #[command(flatten)]
    pub request: RequestArgs,
    /// A proxy in front of the service listens at the URL
    #[arg(long)]
    pub front: bool,
    /// The longest listener gap that may go unseen in a run that passes, or none [default: 500ms]
    #[arg(long, value_name = "TIME")]
    pub max_unseen: Option<String>,
    /// A unit of another machine, reached over ssh without a password; the load is sent from here, and the same version of
    /// gapless there, if any, shows what its kernel sees
    #[arg(long, value_name = "USER@HOST")]
    pub host: Option<crate::ssh::Destination>,
    /// Do not ask
    #[arg(short, long)]
    pub yes: bool,
    /// Act on units that the machine depends on as well
    #[arg(long)]
    pub force: bool,
    /// Which systemd
    #[arg(long, value_enum, default_value_t = SystemdArg::Auto)]
    pub manager: SystemdArg,
    /// Where results go
    #[command(flatten)]
    pub output: OutputArgs,
}

/// `--action`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TryAction {
    /// Stop and start
    Restart,
    /// The same, only if it is active
    TryRestart,
    /// Its own reload
    Reload,
    /// A reload where it has one, else a restart
    ReloadOrRestart,
    /// A signal to its processes
    Kill,
    /// Restart its socket
    RestartSocket,
}

impl TryAction {
    /// Its key in a scenario.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Restart | Self::RestartSocket => "restart",
            Self::TryRestart => "try_restart",
            Self::Reload => "reload",
            Self::ReloadOrRestart => "reload_or_restart",
            Self::Kill => "kill",
        }
    }
}

/// `gapless completions`.
#[derive(Debug, Args)]
#[command(after_help = "Example: gapless completions bash > gapless.bash")]
pub struct CompletionsArgs {
    /// Which shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
}

/// `--manager` of commands on existing units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SystemdArg {
    /// The machine's, where it was booted with systemd; else the user's
    Auto,
    /// The machine's
    System,
    /// The user's own
    User,
    /// Has no installed units: refused with what to do instead
    #[value(hide = true)]
    Embedded,
}

/// `--format` of `gapless check`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CheckFormat {
    /// For people
    Table,
    /// For scripts: {"findings": [...]}
    Json,
    /// Annotations of GitHub Actions
    Github,
}
