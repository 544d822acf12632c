//! What the server can be asked to do.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::fault::{FaultKind, Scope};
use super::selection::FaultSpec;
use crate::model::Endpoint;
use crate::scenario::duration;

/// Options of `gapless demo-server`.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Example: gapless demo-server --listen 127.0.0.1:8010 --start-delay 500ms --fault reset-before@every=100"
)]
pub struct ServerOptions {
    /// Bind and listen here: 127.0.0.1:8010, unix:/path or unix:@name; or take messages here:
    /// udp://127.0.0.1:8010, unix-dgram:/path, unix-seqpacket:/path, fifo:/path. Repeatable. Beside the sockets of LISTEN_FDS, if any;
    /// without either: 127.0.0.1:8010
    #[arg(long, value_name = "ADDRESS", value_parser = parse_endpoint)]
    pub listen: Vec<Endpoint>,

    /// Backlog of the listeners of its own; the kernel grants at most net.core.somaxconn
    #[arg(long, value_name = "N", default_value_t = 1024)]
    pub backlog: u32,

    /// Sleep this long before it binds, accepts and says READY=1: an application that loads
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = parse_duration)]
    pub start_delay: Duration,

    /// Never say READY=1
    #[arg(long)]
    pub never_ready: bool,

    /// Sleep this long before each accept
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = parse_duration)]
    pub accept_delay: Duration,

    /// Take this long for each answer
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = parse_duration)]
    pub service_time: Duration,

    /// What SIGTERM does
    #[arg(long, value_name = "HOW", value_enum, default_value_t = StopMode::Graceful)]
    pub stop: StopMode,

    /// The longest that a graceful stop waits for requests in flight
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = parse_duration)]
    pub drain: Duration,

    /// At a graceful stop, let an idle connection of HTTP/1.1 bring one more request for this long before it is closed; with 0s,
    /// a request that is in the air just then is lost
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = parse_duration)]
    pub idle_grace: Duration,

    /// At a graceful stop, close an idle connection of HTTP/1.1 just when its next request arrives, unread: the race that a kept
    /// connection can lose, every time
    #[arg(long, conflicts_with = "idle_grace")]
    pub idle_race: bool,

    /// Between the end of the service and that of the process: an application that cleans up
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = parse_duration)]
    pub stop_delay: Duration,

    /// Remove the paths of its Unix sockets at a stop, as some servers do, those of a manager included
    #[arg(long)]
    pub unlink_own_path: bool,

    /// Stop gracefully after answering this number of requests
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub exit_after: Option<u64>,

    /// Crash this long after the start delay: everything is dropped at once, and it exits 1
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub crash_after: Option<Duration>,

    /// Freeze this long after the start delay: answers that fall due wait for the end of --freeze-for
    #[arg(long, value_name = "TIME", requires = "freeze_for", value_parser = parse_duration)]
    pub freeze_at: Option<Duration>,

    /// How long it is frozen
    #[arg(long, value_name = "TIME", requires = "freeze_at", value_parser = parse_duration)]
    pub freeze_for: Option<Duration>,

    /// Do something wrong: KIND, KIND@every=N, KIND@first=N. Repeatable; the first that means a request wins. A kind that
    /// the protocol of a request does not have leaves it alone
    #[arg(long = "fault", value_name = "KIND[@WHEN]")]
    pub faults: Vec<FaultSpec>,

    /// A line for each answered request: method, target, status. Appends; `-` is stdout
    #[arg(long, value_name = "FILE", value_parser = parse_log_target)]
    pub access_log: Option<LogTarget>,

    /// Write what was counted to this file as JSON, at the end
    #[arg(long, value_name = "FILE")]
    pub counts: Option<PathBuf>,
}

/// What SIGTERM does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StopMode {
    /// Stop accepting, finish the requests in flight, close idle connections (HTTP/2: after two GOAWAYs), exit 0
    Graceful,
    /// Exit 0 at once, with every connection
    Abrupt,
    /// Nothing
    Ignore,
}

/// Where the access log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogTarget {
    /// Standard output.
    Stdout,
    /// A file; appended to.
    File(PathBuf),
}

impl ServerOptions {
    /// All defaults, and these own listeners.
    #[must_use]
    pub fn listening_on(listen: Vec<Endpoint>) -> Self {
        Self {
            listen,
            backlog: 1024,
            start_delay: Duration::ZERO,
            never_ready: false,
            accept_delay: Duration::ZERO,
            service_time: Duration::ZERO,
            stop: StopMode::Graceful,
            drain: Duration::from_secs(2),
            idle_grace: Duration::ZERO,
            idle_race: false,
            stop_delay: Duration::ZERO,
            unlink_own_path: false,
            exit_after: None,
            crash_after: None,
            freeze_at: None,
            freeze_for: None,
            faults: Vec::new(),
            access_log: None,
            counts: None,
        }
    }

    /// The fault of the listeners, if there is one; of several, the first named.
    #[must_use]
    pub fn listener_fault(&self) -> Option<FaultKind> {
        self.faults.iter().map(|spec| spec.kind).find(|kind| kind.scope() == Scope::Listener)
    }
}

/// `unix:/path`, `unix:@name`, `udp://ADDRESS`, `unix-dgram:/path`, `unix-seqpacket:/path`, `fifo:/path`, or a TCP address with a port; 0 for one of the kernel's choice.
fn parse_endpoint(text: &str) -> Result<Endpoint, String> {
    if let Some(address) = text.strip_prefix("udp://") {
        let udp = address.parse::<SocketAddr>().map(Endpoint::Udp);
        return udp.map_err(|_| format!("{address:?} is not an address with a port"));
    }
    let named = |scheme: &str| text.strip_prefix(scheme).filter(|path| path.starts_with(['/', '@'])).map(PathBuf::from);
    if let Some(path) = named("unix-dgram:") {
        return Ok(Endpoint::UnixDgram(path));
    }
    if let Some(path) = named("unix-seqpacket:") {
        return Ok(Endpoint::UnixSeqpacket(path));
    }
    if let Some(path) = named("fifo:").filter(|path| path.is_absolute()) {
        return Ok(Endpoint::Fifo(path));
    }
    match text.strip_prefix("unix:") {
        Some("" | "@") => Err("a path must follow unix:, or @NAME".to_owned()),
        Some(path) => Ok(Endpoint::Unix(PathBuf::from(path))),
        None => text
            .parse::<SocketAddr>()
            .map(Endpoint::Tcp)
            .map_err(|_| format!("{text:?} is not an address; give 127.0.0.1:8010, [::1]:8010, unix:/path, unix:@name, udp://127.0.0.1:8010, unix-dgram:/path, unix-seqpacket:/path or fifo:/path")),
    }
}

/// A whole number with its unit: `250us`, `300ms`, `2s`, `1m`.
fn parse_duration(text: &str) -> Result<Duration, String> {
    duration::parse(text).map_err(|why| format!("{why}; use 250us, 300ms, 2s or 1m30s"))
}

#[expect(clippy::unnecessary_wraps, reason = "clap wants a Result of a value parser")]
fn parse_log_target(text: &str) -> Result<LogTarget, Infallible> {
    Ok(if text == "-" { LogTarget::Stdout } else { LogTarget::File(PathBuf::from(text)) })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        options: ServerOptions,
    }

    fn parse(arguments: &[&str]) -> Result<ServerOptions, String> {
        let arguments = std::iter::once("demo-server").chain(arguments.iter().copied());
        Cli::try_parse_from(arguments).map(|cli| cli.options).map_err(|error| error.to_string())
    }

    #[test]
    fn the_defaults_of_the_command_line_are_those_of_the_library() {
        let (command_line, library) = (parse(&[]).unwrap(), ServerOptions::listening_on(Vec::new()));
        assert_eq!(format!("{command_line:?}"), format!("{library:?}"));
    }

    #[test]
    fn addresses_are_tcp_or_unix() {
        let options = parse(&["--listen", "[::1]:80", "--listen", "unix:/run/x.sock"]).unwrap();
        let expected = [Endpoint::Tcp("[::1]:80".parse().unwrap()), Endpoint::Unix("/run/x.sock".into())];
        assert_eq!(options.listen, expected);
        let options = parse(&["--listen", "unix-seqpacket:@a", "--listen", "fifo:/run/f"]).unwrap();
        assert_eq!(options.listen, [Endpoint::UnixSeqpacket("@a".into()), Endpoint::Fifo("/run/f".into())]);
        assert!(parse(&["--listen", "fifo:@a"]).is_err(), "a FIFO has a path");
        assert!(parse(&["--listen", "localhost"]).unwrap_err().contains("unix:/path"));
        assert!(parse(&["--listen", "unix:"]).unwrap_err().contains("a path must follow"));
    }

    #[test]
    fn times_need_a_unit() {
        let delay = |text: &str| parse(&["--start-delay", text]).map(|options| options.start_delay);
        assert_eq!(delay("250us"), Ok(Duration::from_micros(250)));
        assert_eq!(delay("300ms"), Ok(Duration::from_millis(300)));
        assert_eq!(delay("2s"), Ok(Duration::from_secs(2)));
        assert_eq!(delay("1m"), Ok(Duration::from_secs(60)));
        for text in ["5", "ms", "", "99999999999999999999s", "-1s"] {
            assert!(delay(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_freeze_needs_its_begin_and_its_length() {
        assert!(parse(&["--freeze-at", "1s"]).unwrap_err().contains("--freeze-for"));
        assert!(parse(&["--freeze-for", "1s"]).unwrap_err().contains("--freeze-at"));
    }

    #[test]
    fn the_fault_of_the_listeners_is_found_among_the_others() {
        let options = parse(&["--fault", "stall@first=1", "--fault", "queue-full"]).unwrap();
        assert_eq!(options.listener_fault(), Some(FaultKind::QueueFull));
        assert!(parse(&["--fault", "nonsense"]).unwrap_err().contains("there is no fault"));
    }
}
