//! `metrics.prom`: the figures of a run as OpenMetrics text, which node_exporter's textfile collector reads as well.
//!
//! Every value is a gauge: a run is over when it is written, so nothing in it counts on.

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

use super::text::escape;
use crate::model::metric::Dimension;
use crate::model::{Metric, Verdict, float};
use crate::result::{RunResult, ScenarioResult};

/// The figures of every scenario. A latency that never ended is `+Inf`; what was not measured is absent.
///
/// # Errors
/// When the text cannot be written, which memory does not cause.
pub fn render(result: &RunResult) -> Result<Vec<u8>, fmt::Error> {
    let mut gauges = vec![verdicts(result)];
    gauges.extend(Metric::plain().filter_map(|metric| plain(result, metric)));
    gauges.extend([requests(result), outcomes(result), losses(result), events(result), durations(result)]);
    let mut registry = Registry::with_prefix("gapless");
    registry.register_collector(Box::new(Gauges(gauges)));
    let mut text = String::new();
    encode(&mut text, &registry)?;
    Ok(text.into_bytes())
}

type Labels = Vec<(&'static str, String)>;

/// One gauge with its series.
#[derive(Debug)]
struct Gauge {
    name: &'static str,
    help: &'static str,
    unit: Option<Unit>,
    series: Vec<(Labels, f64)>,
}

impl Gauge {
    fn new(name: &'static str, help: &'static str) -> Self {
        Self { name, help, unit: None, series: Vec::new() }
    }

    fn in_seconds(self) -> Self {
        Self { unit: Some(Unit::Seconds), ..self }
    }

    fn push(&mut self, scenario: &ScenarioResult, labels: &[(&'static str, &str)], value: f64) {
        let scenario = std::iter::once(("scenario", scenario.name.as_str()));
        let labels = scenario.chain(labels.iter().copied()).map(|(name, value)| (name, escape(value)));
        self.series.push((labels.collect(), value));
    }
}

/// In their order, where the crate's own families have that of a hash: the same result gives the same bytes.
#[derive(Debug)]
struct Gauges(Vec<Gauge>);

impl Collector for Gauges {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for gauge in self.0.iter().filter(|gauge| !gauge.series.is_empty()) {
            let unit = gauge.unit.as_ref();
            let mut family = encoder.encode_descriptor(gauge.name, gauge.help, unit, MetricType::Gauge)?;
            for (labels, value) in &gauge.series {
                ConstGauge::new(*value).encode(family.encode_family(labels)?)?;
            }
        }
        Ok(())
    }
}

fn verdicts(result: &RunResult) -> Gauge {
    let mut gauge = Gauge::new("verdict", "1 for the verdict of the scenario, 0 for the others.");
    for scenario in &result.scenarios {
        for verdict in [Verdict::Passed, Verdict::Failed, Verdict::Inconclusive] {
            let value = if scenario.verdict == verdict { 1.0 } else { 0.0 };
            gauge.push(scenario, &[("verdict", verdict.name())], value);
        }
    }
    gauge
}

/// A metric of the table, under its key in `[expect]`.
fn plain(result: &RunResult, metric: Metric) -> Option<Gauge> {
    let (key, meaning) = metric.declaration()?;
    let mut gauge = Gauge::new(key, meaning);
    let mut divisor = 1.0;
    if metric.dimension() == Dimension::Time {
        (gauge, divisor) = (gauge.in_seconds(), 1e3);
    }
    for scenario in &result.scenarios {
        if let Some(value) = scenario.value(metric) {
            gauge.push(scenario, &[], value / divisor);
        }
    }
    Some(gauge)
}

fn requests(result: &RunResult) -> Gauge {
    let mut gauge = Gauge::new("requests", "Requests that fell due after the warmup, by cohort and outcome.");
    for scenario in &result.scenarios {
        for cohort in &scenario.cohorts {
            let outcomes = [
                ("ok", cohort.requests.ok),
                ("dropped", cohort.dropped),
                ("wrong", cohort.wrong),
                ("unsent", cohort.requests.unsent),
            ];
            for (outcome, count) in outcomes {
                gauge.push(scenario, &[("cohort", &cohort.name), ("outcome", outcome)], float(count));
            }
        }
    }
    gauge
}

fn outcomes(result: &RunResult) -> Gauge {
    let mut gauge = Gauge::new("outcomes", "Requests that were not ok, by failure class.");
    for scenario in &result.scenarios {
        for (class, &count) in &scenario.outcomes {
            gauge.push(scenario, &[("class", class.name())], float(count));
        }
    }
    gauge
}

fn losses(result: &RunResult) -> Gauge {
    let mut gauge = Gauge::new("losses", "Failed requests, by cause.");
    for scenario in &result.scenarios {
        for (cause, &count) in &scenario.causes {
            gauge.push(scenario, &[("cause", cause.name())], float(count));
        }
    }
    gauge
}

fn events(result: &RunResult) -> Gauge {
    let mut gauge = Gauge::new("events", "Actions that had to be proven, by whether they were.");
    for scenario in &result.scenarios {
        for (proven, word) in [(true, "true"), (false, "false")] {
            let count = scenario.events.iter().filter(|event| event.proven == Some(proven)).count();
            gauge.push(scenario, &[("proven", word)], float(count as u64));
        }
    }
    gauge
}

fn durations(result: &RunResult) -> Gauge {
    let mut gauge = Gauge::new("duration", "From the start of the scenario to the end of its record.").in_seconds();
    for scenario in &result.scenarios {
        gauge.push(scenario, &[], scenario.duration_ms / 1e3);
    }
    gauge
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::{combine, simulator::stories};

    fn text(result: &RunResult) -> String {
        String::from_utf8(render(result).expect("text")).expect("UTF-8")
    }

    #[test]
    fn the_figures_of_two_scenarios() {
        let records = [stories::plain_restart(), stories::socket_restart()].map(|story| story.record());
        insta::assert_snapshot!(text(&combine(&records).expect("there are records")));
    }

    #[test]
    fn a_name_cannot_add_lines_or_labels() {
        let mut result = combine(&[stories::socket_restart().record()]).expect("there is a record");
        let lines = text(&result).lines().count();
        result.scenarios[0].name = "a\"} 1\ngapless_x{b=\"".to_owned();
        assert_eq!(text(&result).lines().count(), lines);
    }
}
