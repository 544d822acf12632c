//! `--fail-on`: how much worse than before is too much.

use std::fmt;
use std::str::FromStr;

use super::compare::{Comparison, ScenarioComparison};
use crate::model::metric::{Dimension, Metric};

/// `p99 +20%`, `dropped +0`, `stall +50ms`: trips when the figure grew by more than that.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gate {
    metric: Metric,
    allowance: Allowance,
}

/// How much a figure may grow.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Allowance {
    /// By a percentage of what it was.
    Percent(f64),
    /// By a number, or by a number of milliseconds.
    Absolute(f64),
}

/// Why a text is no gate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GateError {
    /// It is not a metric and an allowance.
    #[error("say a metric and how much it may grow, such as \"p99 +20%\", \"stall +50ms\" or \"dropped +0\"")]
    Shape,
    /// No such metric.
    #[error("no metric is called {0:?}; there are {names}, outcome.NAME and cause.NAME", names = names())]
    Metric(String),
    /// The allowance does not fit the metric.
    #[error("{metric} may grow by {expected}, not by {given:?}")]
    Allowance {
        /// The metric.
        metric: Metric,
        /// What fits it.
        expected: &'static str,
        /// What was given.
        given: String,
    },
}

fn names() -> String {
    Metric::plain_names().collect::<Vec<_>>().join(", ")
}

impl FromStr for Gate {
    type Err = GateError;

    fn from_str(text: &str) -> Result<Self, GateError> {
        let (key, growth) = text.trim().split_once(char::is_whitespace).ok_or(GateError::Shape)?;
        let metric = Metric::from_key(key).ok_or_else(|| GateError::Metric(key.to_owned()))?;
        let growth = growth.trim().strip_prefix('+').ok_or(GateError::Shape)?;
        let wrong = |expected| GateError::Allowance { metric, expected, given: format!("+{growth}") };
        if let Some(percent) = growth.strip_suffix('%') {
            let percent = number(percent).ok_or_else(|| wrong("a share such as +20%"))?;
            return Ok(Self { metric, allowance: Allowance::Percent(percent) });
        }
        let absolute = match metric.dimension() {
            Dimension::Count | Dimension::Ratio => {
                number(growth).ok_or_else(|| wrong("a number such as +0 or +20%"))?
            }
            Dimension::Time => millis(growth).ok_or_else(|| wrong("a time such as +50ms or +20%"))?,
        };
        Ok(Self { metric, allowance: Allowance::Absolute(absolute) })
    }
}

fn number(text: &str) -> Option<f64> {
    text.parse::<f64>().ok().filter(|number| number.is_finite() && *number >= 0.0)
}

fn millis(text: &str) -> Option<f64> {
    let units = [("us", 1e-3), ("ms", 1.0), ("s", 1e3)];
    let (digits, factor) = units.into_iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, factor)))?;
    Some(number(digits)? * factor)
}

impl Gate {
    /// Why it trips, a sentence for each scenario; empty if it holds. A scenario that is not in both runs, or has no
    /// such figure, trips it as well: what cannot be compared cannot be vouched for. A new scenario does not.
    #[must_use]
    pub fn trips(&self, comparison: &Comparison) -> Vec<String> {
        comparison.scenarios.iter().filter_map(|scenario| self.trips_on(scenario)).collect()
    }

    fn trips_on(&self, scenario: &ScenarioComparison) -> Option<String> {
        let name = &scenario.name;
        scenario.before?;
        if scenario.after.is_none() {
            return Some(format!("{name}: it was not run, so {self} cannot be judged."));
        }
        let figure = scenario.figures.iter().find(|figure| figure.metric == self.metric);
        let (before, after) = match figure.map(|figure| (figure.before, figure.after)) {
            Some((before, Some(after))) => (before, after),
            // Classes and causes that neither run saw have no figure: nothing grew.
            None if matches!(self.metric, Metric::Outcome(_) | Metric::Cause(_)) => return None,
            _ => return Some(format!("{name}: {} was not measured, so {self} cannot be judged.", self.metric)),
        };
        let Some(before) = before else {
            return Some(format!("{name}: {} was not measured before, so {self} cannot be judged.", self.metric));
        };
        if before.is_infinite() && after.is_infinite() {
            return Some(format!(
                "{name}: {} had no end before and has none now, so {self} cannot be judged.",
                self.metric
            ));
        }
        let limit = match self.allowance {
            Allowance::Percent(percent) => before * (1.0 + percent / 100.0),
            Allowance::Absolute(absolute) => before + absolute,
        };
        (after > limit).then(|| {
            let shown = |value| super::words::value(self.metric, value);
            format!("{name}: {} was {} and is {}; allowed: {self}.", self.metric, shown(before), shown(after))
        })
    }
}

impl fmt::Display for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.allowance, self.metric.dimension()) {
            (Allowance::Percent(percent), _) => write!(f, "{} +{percent}%", self.metric),
            (Allowance::Absolute(ms), Dimension::Time) => write!(f, "{} +{ms}ms", self.metric),
            (Allowance::Absolute(number), _) => write!(f, "{} +{number}", self.metric),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::compare::{Comparison, compare};
    use super::super::{RunResult, combine, simulator::stories};
    use super::*;

    fn run() -> RunResult {
        combine(&[stories::socket_restart().record()]).expect("there is a record")
    }

    fn against(change: impl FnOnce(&mut RunResult)) -> Comparison {
        let mut after = run();
        change(&mut after);
        compare(&run(), &after)
    }

    fn trips(gate: &str, comparison: &Comparison) -> Vec<String> {
        gate.parse::<Gate>().expect("a gate").trips(comparison)
    }

    #[test]
    fn a_gate_trips_only_beyond_its_allowance() {
        let slower = against(|after| after.scenarios[0].latency_ms.all.p50 = Some(1.58 * 1.3));
        assert_eq!(trips("p50 +40%", &slower), [""; 0]);
        assert_eq!(trips("p50 +0.5ms", &slower), [""; 0]);
        assert_eq!(trips("p50 +20%", &slower).len(), 1);
        let lossy = against(|after| after.scenarios[0].dropped = 1);
        assert_eq!(trips("dropped +0", &lossy), ["ledger-socket: dropped was 0 and is 1; allowed: dropped +0."]);
        assert_eq!(trips("dropped +1", &lossy), [""; 0]);
        assert_eq!(trips("dropped +50%", &lossy).len(), 1, "half of nothing is nothing");
    }

    #[test]
    fn what_never_ended_trips_any_gate_and_what_was_never_ended_none() {
        let never = against(|after| after.scenarios[0].latency_ms.all.p99 = None);
        assert_eq!(
            trips("p99 +1000%", &never),
            ["ledger-socket: p99 was 281.543 ms and is never; allowed: p99 +1000%."]
        );
        let was_never = Comparison {
            scenarios: never
                .scenarios
                .into_iter()
                .map(|mut scenario| {
                    scenario
                        .figures
                        .iter_mut()
                        .for_each(|figure| std::mem::swap(&mut figure.before, &mut figure.after));
                    scenario
                })
                .collect(),
        };
        assert_eq!(trips("p99 +0%", &was_never), [""; 0]);
    }

    #[test]
    fn what_cannot_be_compared_trips_and_what_is_new_does_not() {
        let renamed = against(|after| "other".clone_into(&mut after.scenarios[0].name));
        assert_eq!(trips("dropped +0", &renamed), ["ledger-socket: it was not run, so dropped +0 cannot be judged."]);
        let unmeasured = against(|after| after.scenarios[0].queue_peak = None);
        assert_eq!(trips("queue_peak +5", &unmeasured).len(), 1);
        assert_eq!(trips("cause.no_listener +0", &unmeasured), [""; 0]);
    }

    #[test]
    fn a_gate_that_is_none_says_what_one_looks_like() {
        for bad in ["p99", "p99 20%", "", "p99 +", "p99 +x%", "p99 +5", "dropped +5ms", "dropped +-1", "p98 +1%"] {
            let error = bad.parse::<Gate>().expect_err(bad).to_string();
            assert!(error.contains("p99") || error.contains("dropped"), "{bad}: {error}");
        }
        for good in ["p99 +20%", "stall +50ms", "outcome.refused +0", "error_rate +0.001"] {
            assert_eq!(good.parse::<Gate>().expect(good).to_string(), good);
        }
    }
}
