//! The request options: what is sent, what must come back, and how much. The same for every command that loads.

use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use strum::IntoEnumIterator as _;

use crate::scenario::plan::Protocol;

/// Request options.
#[derive(Clone, Debug, Default, Args)]
pub struct RequestArgs {
    /// What is spoken to an http or https URL: http2 by prior knowledge or ALPN; grpc: unary calls of the URL's
    /// /package.Service/Method, of the health service without one, with --body-file as the message [default: http1]
    #[arg(long, value_name = "PROTOCOL", value_parser = protocol(), help_heading = HEADING)]
    pub protocol: Option<Protocol>,
    /// The method of the requests [default: GET, or POST with --body]
    #[arg(short = 'X', long, value_name = "METHOD", help_heading = HEADING)]
    pub method: Option<String>,
    /// A header of each request; may be given several times. {env:NAME} is replaced by that variable, here and in the
    /// other request options; its value is masked in everything that is written or shown
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", help_heading = HEADING)]
    pub headers: Vec<String>,
    /// The body of each request; with a tcp URL, all that is sent
    #[arg(short = 'd', long, value_name = "TEXT", allow_hyphen_values = true, help_heading = HEADING)]
    pub body: Option<String>,
    /// A file with the body of each request
    #[arg(long, value_name = "FILE", conflicts_with = "body", help_heading = HEADING)]
    pub body_file: Option<PathBuf>,
    /// A file with several requests, sent in turns: lines of paths (/search?q=1), or vegeta's targets (GET URL, with
    /// headers and @FILE for a body below it). One that comes several times is sent as often
    #[arg(long, value_name = "FILE", conflicts_with_all = ["method", "body", "body_file"], help_heading = HEADING)]
    pub requests: Option<PathBuf>,
    /// An expected status, such as 200 or 4xx; may be given several times [default: 2xx; try and init accept 2xx and
    /// 3xx]
    #[arg(long, value_name = "STATUS", help_heading = HEADING)]
    pub expect_status: Vec<String>,
    /// With --protocol grpc: an expected status by its name, such as NOT_FOUND; may be given several times [default: OK]
    #[arg(long, value_name = "STATUS", help_heading = HEADING)]
    pub expect_grpc_status: Vec<String>,
    /// A regular expression that the body of each answer must match; with a tcp URL, an answer is whole once it does,
    /// and without it when the target closes the connection
    #[arg(long, value_name = "REGEX", help_heading = HEADING)]
    pub expect_body: Option<String>,
    /// Where an answer names the process, release or pod that gave it: header:NAME, or body:REGEX, whose first group is
    /// the name. Reports list who answered; try and watch fail if one that had answered before an event answers a
    /// request that is sent after it
    #[arg(long, value_name = "WHERE", help_heading = HEADING)]
    pub instance: Option<String>,
    /// A PEM file with the CAs to trust instead of the system's
    #[arg(long, visible_alias = "cacert", value_name = "FILE", help_heading = HEADING)]
    pub ca_file: Option<PathBuf>,
    /// Accept any certificate
    #[arg(short = 'k', long, conflicts_with = "ca_file", help_heading = HEADING)]
    pub insecure: bool,
    /// Connect to this Unix socket instead of the URL's host
    #[arg(long, value_name = "PATH", help_heading = HEADING)]
    pub unix: Option<String>,
    /// Connect to this address; the URL's host stays in the Host header and in TLS
    #[arg(long, value_name = "HOST:PORT", conflicts_with = "unix", requires = "url", help_heading = HEADING)]
    pub connect_to: Option<String>,
    /// How long an answer may take, from when its request was due [default: 10s]
    #[arg(long, value_name = "TIME", help_heading = HEADING)]
    pub timeout: Option<String>,
    /// What must hold, as under expect in a scenario: p99=500ms, dropped=0; may be given several times
    #[arg(long, value_name = "KEY=VALUE", help_heading = HEADING)]
    pub expect: Vec<String>,
    /// How much is sent
    #[command(flatten)]
    pub load: LoadArgs,
}

/// How much is sent, on which connections.
#[derive(Clone, Debug, Default, Args)]
pub struct LoadArgs {
    /// Requests per second in total, whatever the target does: four fifths on kept connections and one fifth on new
    /// ones [default: 250]
    #[arg(long, value_name = "N", value_parser = rate, conflicts_with = "clients", allow_negative_numbers = true, help_heading = LOAD)]
    pub rate: Option<f64>,
    /// A new connection for every request
    #[arg(long, help_heading = LOAD)]
    pub fresh: bool,
    /// Maximum number of kept connections [default: 16]
    #[arg(long, value_name = "N", conflicts_with = "fresh", help_heading = LOAD)]
    pub connections: Option<u32>,
    /// Closed loop: N clients, each sending its next request when the previous one ends
    #[arg(long, value_name = "N", help_heading = LOAD)]
    pub clients: Option<u32>,
}

const HEADING: &str = "Request options";
const LOAD: &str = "Load options";

/// The most requests per second, as in a scenario.
const FASTEST: f64 = 1_000_000.0;

fn protocol() -> impl TypedValueParser<Value = Protocol> {
    let names = PossibleValuesParser::new(Protocol::iter().map(<&str>::from));
    names.try_map(|name| name.parse::<Protocol>())
}

fn rate(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().map_err(|_| format!("{text:?} is not a number"))?;
    let is_in_range = number > 0.0 && number <= FASTEST;
    is_in_range.then_some(number).ok_or_else(|| format!("{text} is out of range: more than 0, at most {FASTEST}"))
}
