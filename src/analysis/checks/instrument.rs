//! The instrument itself: whether the run came to its end, and what was counted can be believed.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Judged, passed_or};
use crate::analysis::facts::Facts;
use crate::analysis::figures::Figures;
use crate::analysis::number::ns_to_ms;
use crate::analysis::statistics::is_surely_above;
use crate::analysis::{shards, sight, step_gate, words};
use crate::model::{FailureClass, MonoTime, Verdict};
use crate::record::line::EndReason;
use crate::record::segment::Scope;
use crate::scenario::plan::{Cohort, Pace};

/// The generator is good enough while the p99 of its lateness is at most this: one tick of a kernel with
/// CONFIG_HZ=100, and the finest step in which `recovery` is judged. Beyond it, latencies are its own doing.
pub const LATENESS_P99_LIMIT: Duration = Duration::from_millis(10);

/// Whether the p99 of lateness, as measured, is over its limit: then a latency may be the generator's own.
fn is_late(figures: &Figures) -> bool {
    figures.lateness_p99_ns().is_some_and(|ns| u128::from(ns) > LATENESS_P99_LIMIT.as_nanos())
}

/// Why a latency may be the generator's own: a sentence to follow another, empty where a check of its own says it. None if
/// the latency is the target's.
pub(crate) fn slowed_by_generator(facts: &Facts<'_>, figures: &Figures) -> Option<String> {
    let timeline = &facts.timeline;
    if !timeline.generator.is_short_of_memory() {
        return is_late(figures).then(String::new);
    }
    Some(format!(" The generator itself may be why: {}.", timeline.shortage().sentence()))
}

/// What there is to say of it.
pub(super) fn instrument(facts: &Facts<'_>, whole: &Figures) -> Vec<Judged> {
    let mut judged = vec![ended(facts), warmup(facts), cohorts(facts), unsent(whole), lateness(facts, whole)];
    judged.extend(generator(facts));
    judged.extend(pauses(facts));
    judged.push(consistent(facts, whole));
    judged
}

/// Failures that the generator may have brought about itself; nothing is said where there are none.
fn generator(facts: &Facts<'_>) -> Option<Judged> {
    let (failed, span) = (facts.in_doubt.total(), facts.in_doubt.span?);
    let reason = format!(
        "{failed} {} may have failed by the generator's own doing: {}.",
        words::requests(failed),
        facts.timeline.generator.shortage(span).sentence()
    );
    let judged = Judged::new("instrument.generator", "0", failed.to_string(), Verdict::Inconclusive);
    Some(judged.because(reason))
}

fn ended(facts: &Facts<'_>) -> Judged {
    let judged =
        |actual: &str, status, reason: String| Judged::new("run.end", "completed", actual, status).because(reason);
    let Some(end) = &facts.record.end else {
        let reason = "The record is incomplete: the run was cut off, and what followed is unknown.".to_owned();
        return judged("cut off", Verdict::Inconclusive, reason);
    };
    let has_failed_step = facts.timeline.events.iter().any(|event| {
        event.end.is_some_and(|end| end.error.is_some())
            || facts.gates.get(&event.begin.event).is_some_and(|gate| step_gate::is_shut(gate))
    });
    match &end.reason {
        EndReason::Completed => judged("completed", Verdict::Passed, String::new()),
        EndReason::StepFailed if has_failed_step => {
            // The step itself carries the reason and the weight.
            judged("a step failed", Verdict::Inconclusive, "The steps after it were skipped.".to_owned())
        }
        EndReason::StepFailed => judged("a step failed", Verdict::Failed, "A step failed.".to_owned()).decisive(),
        EndReason::Stopped(why) => {
            judged("stopped", Verdict::Failed, words::sentence(&format!("Stopped early: {why}"))).decisive()
        }
        EndReason::NotReady(why) => judged(
            "not ready",
            Verdict::Inconclusive,
            words::sentence(&format!("Not healthy before the first step: {why}")),
        ),
        EndReason::Interrupted => judged("interrupted", Verdict::Inconclusive, "The run was interrupted.".to_owned()),
        EndReason::Lost(why) => judged(
            "lost",
            Verdict::Inconclusive,
            words::sentence(&format!(
                "The machine of the units was lost, and what failed may be the network's doing: {why}"
            )),
        ),
        EndReason::Full(why) => judged("twin full", Verdict::Inconclusive, words::sentence(why)),
        EndReason::Error(why) => {
            judged("error", Verdict::Inconclusive, words::sentence(&format!("The harness could not go on: {why}")))
        }
    }
}

/// Failures while the warmup counted down. What failed before every cohort had its first `ok` is not among them:
/// the service may still have been starting.
pub(crate) fn warmup(facts: &Facts<'_>) -> Judged {
    let from = facts.timeline.origin - facts.timeline.plan.run.warmup;
    let is_late = |due: Option<(MonoTime, MonoTime)>| due.is_none_or(|(_, last)| last >= from);
    let windows = facts.tally.windows().filter(|&(_, scope, _)| scope == Scope::Warmup);
    let cells = windows.flat_map(|(cohort, _, window)| window.cells().map(move |cell| (cohort, cell)));
    let mut by_class = BTreeMap::<(u16, FailureClass), u64>::new();
    for (cohort, cell) in cells.filter(|(_, cell)| is_late(cell.failed_due)) {
        for (key, n) in cell.failures.iter().filter(|(key, _)| !key.class.is_unsent()) {
            *by_class.entry((cohort, key.class)).or_default() += n;
        }
    }
    let failed: u64 = by_class.values().sum();
    let cohort_name =
        |index: u16| facts.timeline.plan.cohorts.get(usize::from(index)).map_or("?", |cohort| &cohort.name);
    let which = by_class.iter().map(|(&(cohort, class), n)| format!("{}: {n} {class}", cohort_name(cohort)));
    let reason = format!(
        "{failed} {} failed in the warmup ({}): the target was not healthy before the first step.",
        words::requests(failed),
        which.collect::<Vec<_>>().join(", "),
    );
    Judged::new(
        "instrument.warmup",
        "0 failed",
        format!("{failed} failed"),
        passed_or(failed == 0, Verdict::Inconclusive),
    )
    .because(reason)
}

/// A cohort without a request shows nothing of what its clients would have seen.
fn cohorts(facts: &Facts<'_>) -> Judged {
    let has_requests = |index: u16| {
        let windows = facts.tally.windows().filter(|&(of, scope, _)| of == index && scope != Scope::Warmup);
        windows.flat_map(|(.., window)| window.cells()).any(|cell| cell.due > 0)
    };
    // One that waits to be asked sends nothing while its step is skipped, which is told of the step.
    let loads = |(_, cohort): &(u16, &Cohort)| cohort.pace != Pace::OnDemand;
    let cohorts = || (0_u16..).zip(&facts.timeline.plan.cohorts).filter(loads);
    let idle: Vec<&str> =
        cohorts().filter(|&(index, _)| !has_requests(index)).map(|(_, cohort)| cohort.name.as_str()).collect();
    let (all, good) = (cohorts().count(), cohorts().count() - idle.len());
    let reason = format!("No request fell due in {}, so it shows nothing.", idle.join(", "));
    let status = passed_or(idle.is_empty(), Verdict::Inconclusive);
    Judged::new("instrument.cohorts", format!("{all} with requests"), format!("{good} with requests"), status)
        .because(reason)
}

pub(crate) fn unsent(whole: &Figures) -> Judged {
    let unsent = whole.requests.unsent;
    let reason = format!(
        "{unsent} of {} {} could not be sent, by the generator's own fault or because the run was cut off: their outcome is unknown.{}",
        whole.requests.due,
        words::requests(whole.requests.due),
        what_was_exhausted(whole),
    );
    Judged::new("instrument.unsent", "0", unsent.to_string(), passed_or(unsent == 0, Verdict::Inconclusive))
        .because(reason)
}

/// What there was none left of, and what helps.
fn what_was_exhausted(whole: &Figures) -> String {
    let told = |class, what: &str| {
        let n = whole.outcomes.get(&class).filter(|&&n| n > 0);
        n.map(|n| format!(" {n} found no free {what}.")).unwrap_or_default()
    };
    let ports = "local port: keep connections, lower the rate of new ones, or widen net.ipv4.ip_local_port_range";
    let descriptors = "descriptor: raise the limit of open files (ulimit -n, LimitNOFILE=)";
    told(FailureClass::LocalPort, ports) + &told(FailureClass::LocalFd, descriptors)
}

fn lateness(facts: &Facts<'_>, whole: &Figures) -> Judged {
    let limit_ms = LATENESS_P99_LIMIT.as_secs_f64() * 1e3;
    let expected = format!("p99 <= {limit_ms} ms");
    let Some(p99_ns) = whole.lateness_p99_ns() else {
        return Judged::new("instrument.lateness", expected, "not measured", Verdict::Inconclusive)
            .because("No request was measured.");
    };
    let p99 = words::ms(ns_to_ms(p99_ns));
    if !is_late(whole) {
        return Judged::new("instrument.lateness", expected, format!("p99 {p99}"), Verdict::Passed);
    }
    // The p99 of a few hundred requests is the second or third latest of them: one hiccup of the machine does not show
    // that the generator was too slow for its load.
    let (late, sent) = (whole.sent_later_than(LATENESS_P99_LIMIT), whole.distributions.lateness.len());
    let is_slow = is_surely_above(0.01, late, sent);
    let weight = if is_slow { "" } else { ", which may be chance" };
    let actual = format!("p99 {p99}, {late} of {sent} over {limit_ms} ms{weight}");
    // Where failures are in doubt, their check says it.
    let shortage = Some(facts.timeline.shortage()).filter(|shortage| facts.in_doubt.total() == 0 && shortage.is_any());
    let reason = format!(
        "The generator fell behind: {late} of {sent} {} were sent over {limit_ms} ms late, and the p99 of lateness is {p99}.{}",
        words::requests(sent),
        shortage.map(|shortage| format!(" {}", words::sentence(&shortage.sentence()))).unwrap_or_default(),
    );
    Judged::new("instrument.lateness", expected, actual, passed_or(!is_slow, Verdict::Inconclusive)).because(reason)
}

/// What is lost while the load thread does not run, nobody sees.
fn pauses(facts: &Facts<'_>) -> Option<Judged> {
    let pauses = sight::pauses(facts)?;
    let judged = Judged::new("instrument.pauses", "none in an event", "in an event", Verdict::Inconclusive);
    Some(judged.because(words::sentence(&pauses)))
}

/// Rows and segments count the same requests: in a complete record they must agree, and the plan must know
/// every cohort that was counted.
fn consistent(facts: &Facts<'_>, whole: &Figures) -> Judged {
    let contradiction = contradiction(facts, whole);
    let actual = if contradiction.is_none() { "they agree" } else { "they differ" };
    let status = passed_or(contradiction.is_none(), Verdict::Inconclusive);
    let reason = contradiction.map(|what| format!("The record contradicts itself: {what}."));
    Judged::new("instrument.record", "plan, rows and histograms agree", actual, status)
        .because(reason.unwrap_or_default())
}

fn contradiction(facts: &Facts<'_>, whole: &Figures) -> Option<String> {
    let cohorts = &facts.timeline.plan.cohorts;
    if facts.tally.windows().any(|(cohort, ..)| usize::from(cohort) >= cohorts.len()) {
        return Some("it counts requests of a cohort that is not in its plan".to_owned());
    }
    // Of a run that was cut off, one may have been handed over before the other.
    facts.record.end.as_ref().filter(|_| shards::are_whole(facts))?;
    let (ok, wrong) = (&whole.distributions.ok, &whole.distributions.wrong);
    for (rows, histograms, what) in [(whole.requests.ok, ok, "ok"), (whole.wrong(), wrong, "answered wrong")] {
        let histograms = histograms.len();
        if rows != histograms {
            return Some(format!("{rows} requests were {what} by its rows, {histograms} by its histograms"));
        }
    }
    let name = cohorts.get(usize::from(*facts.at_odds.first()?)).map_or("?", |cohort| &cohort.name);
    Some(format!("the rows of cohort {name} count more of some than of all"))
}
