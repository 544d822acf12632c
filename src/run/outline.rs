//! What a run would do, in order and in words, before anything is done.

use std::fmt::Write as _;
use std::time::Duration;

use super::estimate::{self, StartLimit};
use crate::model::{JobResult, UnitKind, UnitName, UnitVerb};
use crate::record::begin::ManagerChoice;
use crate::scenario::plan::{Action, Plan, Spacing, Step};
use crate::scenario::{describe, duration};
use crate::visible::escape;

/// A unit of the plan as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitView {
    /// Which.
    pub unit: UnitName,
    /// One clause: `active (running)`, `installed for this run only`.
    pub state: String,
    /// Its start limit: a number of starts, and an interval.
    pub start_limit: Option<StartLimit>,
    /// Units that stop with it, and come back with it if it is restarted.
    pub stop_along: Vec<Along>,
    /// Units that are down and are started with it.
    pub start_along: Vec<Along>,
    /// Why nothing may be done to it; none if something may.
    pub refused: Option<String>,
}

/// A unit that is pulled along.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Along {
    /// Which.
    pub unit: UnitName,
    /// Which directive of which unit says so: `worker.service has PartOf=app.service`.
    pub because: String,
}

/// What a run of `plan` would do: a few lines of text. `views` are the units that it names.
#[must_use]
pub fn outline(plan: &Plan, choice: Option<&ManagerChoice>, views: &[UnitView]) -> String {
    let mut text = String::new();
    let mut line = |indent: usize, content: String| {
        let _ = writeln!(text, "{:indent$}{}", "", escape(&content)); // writing to a String cannot fail
    };
    line(0, plan.name.clone());
    line(2, choice.map_or_else(|| "no manager: no step needs one".to_owned(), manager));
    for cohort in &plan.cohorts {
        line(2, format!("load {}: {} to {}", cohort.name, describe::load(cohort), describe::target(cohort)));
    }
    for argv in plan.units.iter().flat_map(|units| &units.prepare) {
        line(2, format!("prepare: {}", argv.join(" ")));
    }
    for view in views {
        line(2, format!("unit {}: {}", view.unit, view.state));
        if let Some(refused) = &view.refused {
            line(4, format!("REFUSED: {refused}"));
        }
    }
    line(2, format!("warmup {}", duration::format(plan.run.warmup)));
    for (number, step) in (1..).zip(&plan.steps) {
        line(2, format!("step {number}: {}", sentence(step, plan)));
        let view = step.action.unit().and_then(|unit| views.iter().find(|view| view.unit == *unit));
        view.map(|view| consequences(step, view, plan)).into_iter().flatten().for_each(|text| line(4, text));
    }
    line(2, format!("cooldown {}", duration::format(plan.run.cooldown)));
    line(2, ending(plan));
    let limits = |unit: &UnitName| views.iter().find(|view| view.unit == *unit)?.start_limit;
    line(2, format!("takes about {} s", estimate::paced(plan, &limits).as_secs_f64().ceil()));
    text
}

fn manager(choice: &ManagerChoice) -> String {
    format!("manager: {} ({})", choice.kind.name(), choice.reason)
}

fn sentence(step: &Step, plan: &Plan) -> String {
    let action = match &step.action {
        Action::Unit { verb, unit } => format!("{} {unit}", words(*verb)),
        Action::Kill { unit, signal, who } => format!("send SIG{signal} to {unit} (who = {})", who.name()),
        Action::DaemonReload => "systemd reads all unit files again".to_owned(),
        Action::Exec { argv, replaces } => {
            let replaces = replaces.as_ref().map(|unit| format!(", which is to replace {unit}")).unwrap_or_default();
            format!("run `{}`{replaces}", argv.join(" "))
        }
        Action::Wait { duration } => format!("wait {}", duration::format(*duration)),
        Action::Request { cohort, times, every, .. } => {
            let target = plan.cohorts.get(usize::from(*cohort)).map(describe::target).unwrap_or_default();
            format!("{times} requests to {target}, one after the other, {} apart", duration::format(*every))
        }
        Action::Gate { expect } => {
            let bounds: Vec<String> = expect.bounds.iter().map(|(metric, bound)| format!("{metric} {bound}")).collect();
            format!("go on only if this holds so far: {}", bounds.join(", "))
        }
    };
    let spacing = match step.spacing {
        Spacing::Every(every) if step.times > 1 => format!(", every {}", duration::format(every)),
        Spacing::After(after) if !after.is_zero() => format!(", after a pause of {}", duration::format(after)),
        Spacing::Every(_) | Spacing::After(_) => String::new(),
    };
    let times = if step.times > 1 { format!(", {} times", step.times) } else { String::new() };
    let job = if step.job == JobResult::Done { String::new() } else { format!("; its job is to end as {}", step.job) };
    format!("{action}{times}{spacing}{job}")
}

fn words(verb: UnitVerb) -> String {
    match verb {
        UnitVerb::ResetFailed => "forget the failure of".to_owned(),
        UnitVerb::TryRestart => "restart, if it is active,".to_owned(),
        UnitVerb::Restart | UnitVerb::Reload | UnitVerb::ReloadOrRestart | UnitVerb::Stop | UnitVerb::Start => {
            verb.name().replace('_', " ")
        }
    }
}

/// What else the step brings about.
fn consequences(step: &Step, view: &UnitView, plan: &Plan) -> Vec<String> {
    let Action::Unit { verb, .. } = step.action else { return Vec::new() };
    let mut lines = Vec::new();
    let fate = match verb {
        UnitVerb::Stop => Some("stops"),
        UnitVerb::Restart | UnitVerb::TryRestart | UnitVerb::ReloadOrRestart => Some("is restarted"),
        UnitVerb::Start | UnitVerb::Reload | UnitVerb::ResetFailed => None,
    };
    if let Some(fate) = fate {
        lines.extend(view.stop_along.iter().map(|along| format!("{} {fate} with it: {}", along.unit, along.because)));
    }
    let socket = plan.units.as_ref().and_then(|units| units.socket.as_ref());
    if let (UnitVerb::Stop, UnitKind::Service, Some(socket)) = (verb, view.unit.kind(), socket) {
        lines.push(format!("{socket} starts it again at the next connection, unless it is stopped as well"));
    }
    let starts = verb.starts();
    if starts {
        let started = |along: &Along| format!("{} is started with it: {}", along.unit, along.because);
        lines.extend(view.start_along.iter().map(started));
    }
    if let (true, Some((burst, interval))) = (starts, view.start_limit) {
        let limit = format!("its start limit is {burst} in {}", limit_interval(interval));
        let is_paced = plan.run.pace && interval < Duration::MAX;
        let how = if is_paced { "waits where it must, not to trip it" } else { "not paced, so this may trip it" };
        lines.push(format!("{limit}: {how}"));
    }
    lines
}

fn limit_interval(interval: Duration) -> String {
    if interval == Duration::MAX { "all time".to_owned() } else { duration::format(interval) }
}

fn ending(plan: &Plan) -> String {
    let brings = plan.units.as_ref().is_some_and(|units| !units.files.is_empty());
    match (plan.run.restore, brings) {
        (true, true) => "then: units are put back as they were found; those of the scenario are stopped and removed",
        (true, false) => "then: units are put back as they were found",
        (false, true) => {
            "then: units stay as they are (restore = false); those of the scenario are stopped and removed"
        }
        (false, false) => "then: units stay as they are (restore = false)",
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::simulator::plan::{plan, unit};
    use crate::record::begin::ManagerKind;

    #[test]
    fn a_plan_is_told_in_order_with_what_is_pulled_along() {
        let mut plan = plan("ledger-restart", true, UnitVerb::Restart, 8);
        let wait =
            Step { action: Action::Wait { duration: Duration::from_secs(3) }, times: 1, ..plan.steps[0].clone() };
        plan.steps.push(wait);
        let because = "worker.service has PartOf=ledger.service".to_owned();
        let along = Along { unit: unit("worker.service"), because };
        let views = [UnitView {
            unit: unit("ledger.service"),
            state: "active (running)".to_owned(),
            start_limit: Some((5, Duration::from_secs(30))),
            stop_along: vec![along],
            start_along: Vec::new(),
            refused: None,
        }];
        let reason = "asked for with --manager".to_owned();
        let choice = ManagerChoice { kind: ManagerKind::System, reason };
        insta::assert_snapshot!(outline(&plan, Some(&choice), &views));
    }
}
