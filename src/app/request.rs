//! From the request options to the keys of a scenario: what they mean and default to is what the keys do.

use std::path::Path;

use toml::{Table, Value};

use super::output::{self, secrets};
use crate::cli::{LoadArgs, RequestArgs};
use crate::model::Metric;
use crate::scenario::draft::{DraftLoad, TargetKeys, written};
use crate::scenario::plan::{Cohort, Connections, Pace, Protocol};
use crate::scenario::{self, ScenarioErrors};

/// The usual load: requests per second in total, and the share of new connections.
const RATE: f64 = 250.0;
const NEW_SHARE: f64 = 0.2;
/// Of what does not speak HTTP there are only new connections.
const RATE_WITHOUT_HTTP: f64 = 50.0;
/// Kept connections, the most.
pub(super) const CONNECTIONS: u32 = 16;

/// What a target bears of the usual load.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bears {
    pub(super) new_per_second: f64,
    pub(super) connections: u32,
}

impl Bears {
    /// All of it.
    pub(super) const USUAL: Self = Self { new_per_second: f64::INFINITY, connections: CONNECTIONS };
}

/// The keys of `[target]` for the options, the URL and what belongs to it excepted.
pub(super) fn target_keys(args: &RequestArgs, speaks_http: bool) -> TargetKeys {
    let mut keys = TargetKeys::new();
    let mut add = |key, value: Option<Value>| keys.extend(value.map(|value| (key, value)));
    let has_body = args.body.is_some() || args.body_file.is_some();
    let is_call = args.protocol == Some(Protocol::Grpc);
    let post = (speaks_http && has_body && !is_call).then(|| "POST".to_owned());
    add("protocol", args.protocol.map(|protocol| Value::from(<&str>::from(protocol))));
    add("method", args.method.clone().or(post).map(Value::from));
    add("headers", (!args.headers.is_empty()).then(|| headers(&args.headers)));
    add("body", args.body.as_deref().map(Value::from));
    add("body_file", args.body_file.as_ref().map(|path| Value::from(path.display().to_string())));
    add("expect_status", (!args.expect_status.is_empty()).then(|| Value::from(args.expect_status.clone())));
    add(
        "expect_grpc_status",
        (!args.expect_grpc_status.is_empty()).then(|| Value::from(args.expect_grpc_status.clone())),
    );
    add("expect_body", args.expect_body.as_deref().map(Value::from));
    add("instance", args.instance.as_deref().map(Value::from));
    add("ca_file", args.ca_file.as_ref().map(|path| Value::from(path.display().to_string())));
    add("insecure", args.insecure.then(|| Value::from(true)));
    add("connect_to", args.connect_to.as_deref().map(Value::from));
    add("timeout", args.timeout.as_deref().map(Value::from));
    keys
}

/// `NAME: VALUE` each; one without a colon is left to be found wrong as a name. A name that comes again is joined to the
/// first, as RFC 9110, 5.3 has it.
fn headers(given: &[String]) -> Value {
    let mut headers = Table::new();
    for header in given {
        let (name, value) = header.split_once(':').unwrap_or((header, ""));
        let known = headers.keys().find(|known| known.eq_ignore_ascii_case(name.trim())).cloned();
        let joined = known.as_ref().and_then(|known| headers.get(known)).and_then(Value::as_str);
        let value = joined.map_or_else(|| value.trim().to_owned(), |first| format!("{first}, {}", value.trim()));
        headers.insert(known.unwrap_or_else(|| name.trim().to_owned()), Value::from(value));
    }
    Value::Table(headers)
}

/// The `[[load]]` entries for the options.
pub(super) fn loads(args: &LoadArgs, speaks_http: bool, bears: Bears) -> Vec<DraftLoad> {
    let kept = |least: u32| Connections::Reused(args.connections.unwrap_or(bears.connections).max(least));
    if let Some(clients) = args.clients {
        let least = if args.connections.is_none() { clients } else { 0 };
        let connections = if args.fresh || !speaks_http { Connections::New } else { kept(least) };
        return vec![DraftLoad { pace: Pace::Clients(clients), connections }];
    }
    let all_new = |rate| vec![DraftLoad { pace: Pace::Rate(rate), connections: Connections::New }];
    if !speaks_http {
        return all_new(args.rate.unwrap_or(RATE_WITHOUT_HTTP.min(bears.new_per_second)));
    }
    if args.fresh {
        return all_new(args.rate.unwrap_or(RATE.min(bears.new_per_second)));
    }
    let total = args.rate.unwrap_or(RATE);
    let new = total * NEW_SHARE;
    let new = if args.rate.is_none() { new.min(bears.new_per_second) } else { new };
    [(total * (1.0 - NEW_SHARE), kept(0)), (new, Connections::New)]
        .map(|(rate, connections)| DraftLoad { pace: Pace::Rate(rate), connections })
        .into()
}

/// The lines of `[expect]` for `--expect`: `p99=500ms`, whose value is a string where it is not TOML.
pub(super) fn expectations(args: &RequestArgs) -> Vec<String> {
    args.expect.iter().map(|expectation| assignment(expectation)).collect()
}

/// The same where something is done to what answers: with `--instance`, no stale answer, unless it says otherwise.
pub(super) fn expectations_of_action(args: &RequestArgs) -> Vec<String> {
    let mut expectations = expectations(args);
    let is_given =
        expectations.iter().any(|line| line.split(['=', ' ']).next() == Some(Metric::Stale.to_string().as_str()));
    if args.instance.is_some() && !is_given {
        expectations.push(assignment(&format!("{}=0", Metric::Stale)));
    }
    expectations
}

fn assignment(expectation: &str) -> String {
    let Some((key, value)) = expectation.split_once('=') else { return expectation.to_owned() };
    let (key, value) = (key.trim(), value.trim());
    let is_toml = format!("value = {value}").parse::<Table>().is_ok_and(|table| table.len() == 1);
    let value = if is_toml { value.to_owned() } else { Value::from(value).to_string() };
    format!("{key} = {value}")
}

/// One key as a line of TOML.
pub(super) fn line(key: &str, value: impl Into<Value>) -> String {
    format!("{key} = {}\n", written(&value.into()))
}

/// The cohort that asks `keys` for something: what the load will send, to be sent once.
///
/// # Errors
/// Every mistake in the options.
pub(super) fn cohort(keys: &TargetKeys, here: &Path) -> Result<Cohort, ScenarioErrors> {
    let lines: String = keys.iter().map(|(key, value)| line(key, value.clone())).collect();
    let text = format!("name = \"asking\"\n[target]\n{lines}");
    let scenario = scenario::load_text("command line", &text, here)?;
    secrets().learn_from(&scenario.secrets);
    // A plan has a cohort.
    let first = scenario.plan.cohorts.into_iter().next();
    first.ok_or_else(|| ScenarioErrors::one("there is nothing to ask".to_owned(), "pass --url"))
}

/// Mistakes as one text for stderr.
pub(super) fn told(mistakes: &ScenarioErrors) -> String {
    mistakes.render(false, output::stderr_width())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(args: &LoadArgs) -> Vec<(Pace, Connections)> {
        loads(args, true, Bears::USUAL).into_iter().map(|load| (load.pace, load.connections)).collect()
    }

    #[test]
    fn a_rate_is_the_total_of_kept_and_new_connections() {
        let usual = [(Pace::Rate(200.0), Connections::Reused(16)), (Pace::Rate(50.0), Connections::New)];
        assert_eq!(of(&LoadArgs::default()), usual);
        let rate = LoadArgs { rate: Some(100.0), connections: Some(4), ..LoadArgs::default() };
        assert_eq!(of(&rate), [(Pace::Rate(80.0), Connections::Reused(4)), (Pace::Rate(20.0), Connections::New)]);
        let fresh = LoadArgs { fresh: true, ..LoadArgs::default() };
        assert_eq!(of(&fresh), [(Pace::Rate(250.0), Connections::New)]);
        let clients = LoadArgs { clients: Some(40), ..LoadArgs::default() };
        assert_eq!(of(&clients), [(Pace::Clients(40), Connections::Reused(40))]);
        let bounded = LoadArgs { clients: Some(40), connections: Some(4), ..LoadArgs::default() };
        assert_eq!(of(&bounded), [(Pace::Clients(40), Connections::Reused(4))]);
    }

    #[test]
    fn what_comes_within_a_second_fits_into_the_queue_twice() {
        let bears = Bears { new_per_second: 5.0, connections: 10 };
        let rates = loads(&LoadArgs::default(), true, bears);
        assert_eq!(rates[0].connections, Connections::Reused(10));
        assert_eq!(rates[1].pace, Pace::Rate(5.0));
    }

    #[test]
    fn a_body_without_a_method_is_posted_and_over_tcp_there_is_no_method() {
        let args = RequestArgs { body: Some("{}".to_owned()), ..RequestArgs::default() };
        assert_eq!(target_keys(&args, true)[0], ("method", Value::from("POST")));
        assert_eq!(target_keys(&args, false), [("body", Value::from("{}"))]);
        let put = RequestArgs { method: Some("PUT".to_owned()), ..args };
        assert_eq!(target_keys(&put, true)[0], ("method", Value::from("PUT")));
    }

    #[test]
    fn headers_are_written_as_a_table_and_one_that_comes_again_is_joined() {
        let given = ["Accept: text/html", "X-A:1", "accept: */*"].map(str::to_owned);
        assert_eq!(written(&headers(&given)), "{ \"Accept\" = \"text/html, */*\", \"X-A\" = \"1\" }");
    }
}
