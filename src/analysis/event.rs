//! One run of one step, as the record tells it.

use std::collections::BTreeMap;

use crate::model::Span;
use crate::model::{ActionKind, EventId, JobResult, MonoTime, Signal, UnitKind, UnitName, UnitSnapshot};
use crate::record::Record;
use crate::record::line::{Line, StepBegin, StepEnd};
use crate::scenario::plan::{Action, Step};

/// One run of one step.
pub(crate) struct Event<'a> {
    pub(crate) begin: &'a StepBegin,
    /// None if the record ends before the event does.
    pub(crate) end: Option<&'a StepEnd>,
    /// The next event's beginning, or the end of the load.
    pub(crate) until: MonoTime,
    /// Its step in the plan.
    pub(crate) step: Option<&'a Step>,
    /// The service it is about, or the scenario's.
    service: Option<&'a UnitName>,
}

impl<'a> Event<'a> {
    pub(crate) fn span(&self) -> Span {
        Span::new(self.begin.at, self.until)
    }

    pub(crate) fn service_before(&self) -> Option<&'a UnitSnapshot> {
        snapshot_of(&self.begin.before, self.service)
    }

    pub(crate) fn service_after(&self) -> Option<&'a UnitSnapshot> {
        snapshot_of(&self.end?.after, self.service)
    }

    /// The unit it is about, just before and when it was over.
    pub(crate) fn unit_pair(&self) -> Option<(&'a UnitSnapshot, &'a UnitSnapshot)> {
        let unit = self.begin.unit.as_ref()?;
        Some((snapshot_of(&self.begin.before, Some(unit))?, snapshot_of(&self.end?.after, Some(unit))?))
    }

    pub(crate) fn pid_before(&self) -> Option<u32> {
        self.service_before()?.main_process().map(|process| process.pid)
    }

    pub(crate) fn pid_after(&self) -> Option<u32> {
        self.service_after()?.main_process().map(|process| process.pid)
    }

    /// When the old main process was gone.
    pub(crate) fn gone_at(&self) -> Option<MonoTime> {
        self.end?.old_main_gone_at
    }

    /// When the new main process began; none if the event brought none.
    pub(crate) fn started_at(&self) -> Option<MonoTime> {
        let started = self.service_after()?.service.as_ref()?.main_started_at?;
        (started >= self.begin.at).then_some(started)
    }

    /// The signal that it sends.
    pub(crate) fn signal(&self) -> Option<Signal> {
        match &self.step?.action {
            Action::Kill { signal, .. } => Some(*signal),
            _ => None,
        }
    }

    /// Whether it leaves everything as it is: what happens meanwhile is not its doing.
    pub(crate) fn is_watching(&self) -> bool {
        !self.begin.action.disturbs()
    }

    /// Whether there was nothing to do: try_restart of a unit that does not run.
    pub(crate) fn is_skipped(&self) -> bool {
        self.begin.action == ActionKind::TryRestart && self.end.is_some_and(|end| end.job == Some(JobResult::Skipped))
    }

    /// Whether it acts on a running unit, and so can drop something.
    pub(crate) fn is_acting(&self) -> bool {
        self.begin.unit.is_some() && self.begin.action != ActionKind::ResetFailed && !self.is_skipped()
    }
}

/// Every event that was begun, in order.
pub(crate) fn of<'r>(record: &'r Record, load_end: MonoTime) -> Vec<Event<'r>> {
    let plan = &record.begin.plan;
    let begins: Vec<&'r StepBegin> = record
        .lines
        .iter()
        .filter_map(|line| match line {
            Line::StepBegin(begin) => Some(begin),
            _ => None,
        })
        .collect();
    let ends: BTreeMap<EventId, &'r StepEnd> = record
        .lines
        .iter()
        .filter_map(|line| match line {
            Line::StepEnd(end) => Some((end.event, end.as_ref())),
            _ => None,
        })
        .collect();
    let until = |place: usize| begins.get(place + 1).map_or(load_end, |next| next.at).max(begins[place].at);
    let service = plan.units.as_ref().and_then(|units| units.service.as_ref());
    let numbered = begins.iter().copied().enumerate();
    let event = |(place, begin): (usize, &'r StepBegin)| Event {
        begin,
        end: ends.get(&begin.event).copied(),
        until: until(place),
        step: plan.steps.get(usize::from(begin.step)),
        service: begin.unit.as_ref().filter(|unit| unit.kind() == UnitKind::Service).or(service),
    };
    numbered.map(event).collect()
}

fn snapshot_of<'a>(snapshots: &'a [UnitSnapshot], unit: Option<&UnitName>) -> Option<&'a UnitSnapshot> {
    match unit {
        Some(unit) => snapshots.iter().find(|snapshot| snapshot.unit == *unit),
        None => snapshots.iter().find(|snapshot| snapshot.unit.kind() == UnitKind::Service),
    }
}
