//! Passed needs sight: what a listener gap that nobody met, or that nobody would have seen, does to the verdict.

use std::time::Duration;

use super::check;
use crate::analysis::analyse;
use crate::analysis::simulator::plan::{endpoint, queue};
use crate::analysis::simulator::stories::{plain_restart, requests, socket_restart, usual_us};
use crate::analysis::simulator::{Simulation, at_ms, looks, stories::Fate};
use crate::host::scripted::process;
use crate::model::bound::{Comparison, Limit};
use crate::model::holder::Holder;
use crate::model::process::ExitSource;
use crate::model::{ActionKind, Bound, Endpoint, Metric, Verdict};
use crate::record::line::{Holders, Line, Pause, ProcessChange, TraceEvent, Traced};
use crate::result::ScenarioResult;
use crate::scenario::plan::{Action, MaxUnseen};

/// A service that binds its own port is restarted, and no request meets its gap: three restarts, all requests `ok`.
fn unmet() -> Simulation {
    let gone = |begin: u64| [queue(at_ms(begin + 25), None), queue(at_ms(begin + 300), Some((begin, 0)))];
    let queues = [1_500, 3_500, 5_500].into_iter().flat_map(gone);
    let other = [queue(at_ms(0), Some((1, 0)))].into_iter().chain(queues).collect();
    let requests = requests(7_500, |_, due_us| Fate::Ok(usual_us(due_us)));
    Simulation { requests, other, ..socket_restart() }
}

/// The same restarts, where each look shows a listener, another one after each restart.
fn replaced() -> Simulation {
    let queues = [1_500, 3_500, 5_500].map(|begin| queue(at_ms(begin + 450), Some((begin, 0))));
    let other = [queue(at_ms(0), Some((1, 0)))].into_iter().chain(queues).collect();
    Simulation { other, ..unmet() }
}

/// Only clients that keep their connections.
fn kept(mut run: Simulation) -> Simulation {
    run.plan.cohorts.truncate(1);
    run.requests.retain(|request| request.cohort == 0);
    run
}

fn traced(events: &[(u64, Traced)]) -> Vec<Line> {
    let line = |at: u64, traced| Line::Trace(TraceEvent { at: at_ms(at), traced });
    let Endpoint::Tcp(target) = endpoint() else { panic!("it is one") };
    let mut lines = vec![line(0, Traced::Began { targets: vec![target] })];
    lines.extend(events.iter().map(|(at, traced)| line(*at, traced.clone())));
    lines.push(line(7_500, Traced::Ended { left_out: 0 }));
    lines
}

fn with(mut run: Simulation, lines: impl IntoIterator<Item = Line>) -> ScenarioResult {
    run.other.extend(lines);
    analyse(&run.record())
}

fn why(result: &ScenarioResult) -> (Verdict, &str) {
    (result.verdict, result.reasons[0].as_str())
}

#[test]
fn a_gap_that_a_look_has_seen_and_no_request_has_met_is_inconclusive() {
    let result = analyse(&unmet().record());
    let (verdict, reason) = why(&result);
    assert_eq!(verdict, Verdict::Inconclusive, "{:?}", result.reasons);
    assert!(
        reason.starts_with(
            "No process was listening on 127.0.0.1:8010 for 275.000 ms from 0.525 s, in restart 1 of ledger.service, and no \
             request met this gap"
        ),
        "{reason}"
    );
    assert_eq!(check(&result, "sight.restart").status, Verdict::Inconclusive);
    assert!(!result.reasons.iter().any(|reason| reason.contains("may have gone unseen")), "{:?}", result.reasons);
}

#[test]
fn so_is_one_that_only_the_kernels_trace_has_seen_however_short() {
    let Endpoint::Tcp(local) = endpoint() else { panic!("it is one") };
    let blip = traced(&[(1_601, Traced::ListenerDown { local, cookie: None }), (1_604, Traced::ListenerUp { local })]);
    let result = with(replaced(), blip);
    let (verdict, reason) = why(&result);
    assert_eq!(verdict, Verdict::Inconclusive, "{:?}", result.reasons);
    assert!(reason.starts_with("No process was listening on 127.0.0.1:8010 for 3.000 ms from 0.601 s"), "{reason}");
}

#[test]
fn a_listener_that_goes_while_another_stays_leaves_no_gap() {
    let Endpoint::Tcp(local) = endpoint() else { panic!("it is one") };
    // SO_REUSEPORT: the new one comes before the old one goes.
    let handover =
        traced(&[(1_930, Traced::ListenerUp { local }), (1_935, Traced::ListenerDown { local, cookie: None })]);
    let result = with(replaced(), handover);
    assert_eq!(result.verdict, Verdict::Passed, "{:?}", result.reasons);
}

#[test]
fn a_gap_into_which_looks_fell_that_saw_the_same_listener_is_a_strangers() {
    let Endpoint::Tcp(local) = endpoint() else { panic!("it is one") };
    let gone = |from, to| {
        let gap = [(from, Traced::ListenerDown { local, cookie: None }), (to, Traced::ListenerUp { local })];
        with(socket_restart(), traced(&gap).into_iter().chain([looks(0, 7_500, 25)]))
    };
    let stranger = gone(1_600, 1_850);
    assert_eq!(stranger.verdict, Verdict::Passed, "{:?}", stranger.reasons);
    // No look need have fallen into this one.
    let (verdict, reason) = (gone(1_600, 1_620).verdict, gone(1_600, 1_620).reasons[0].clone());
    assert_eq!(verdict, Verdict::Inconclusive, "{reason}");
    assert!(reason.starts_with("No process was listening on 127.0.0.1:8010 for 20.000 ms"), "{reason}");
}

#[test]
fn a_gap_that_a_request_has_met_is_judged_by_its_losses() {
    let mut run = plain_restart();
    run.plan.expect.bounds =
        vec![(Metric::Dropped, Bound { comparison: Comparison::MoreThan, limit: Limit::Number(0.0) })];
    let result = analyse(&run.record());
    assert_eq!(result.verdict, Verdict::Passed, "{:?}", result.reasons);
}

#[test]
fn kept_connections_show_nothing_of_a_listener_but_looks_and_the_trace_do() {
    let unlooked = with(kept(socket_restart()), [looks(0, 1_000, 25)]);
    let (verdict, reason) = why(&unlooked);
    assert_eq!(verdict, Verdict::Inconclusive);
    assert!(
        reason.starts_with(
            "In restart 1 of ledger.service the listener on 127.0.0.1:8010 may have been gone for up to 2000.000 ms \
             unseen, over max_unseen (500ms)"
        ),
        "{reason}"
    );
    let looked = analyse(&kept(socket_restart()).record());
    assert_eq!(looked.verdict, Verdict::Passed, "{:?}", looked.reasons);
    assert_eq!(check(&looked, "sight.restart").actual, "gaps of up to 25.000 ms may have gone unseen");
    let attested = with(kept(socket_restart()), [looks(0, 1_000, 25)].into_iter().chain(traced(&[])));
    assert_eq!(attested.verdict, Verdict::Passed, "{:?}", attested.reasons);
    assert_eq!(check(&attested, "sight.restart").actual, "attested by the kernel's trace");
}

#[test]
fn max_unseen_is_what_the_user_says_and_every_report_says_when_it_is_off() {
    let judged = |max_unseen| {
        let mut run = kept(socket_restart());
        run.plan.run.max_unseen = max_unseen;
        with(run, [looks(0, 1_000, 25)])
    };
    assert_eq!(judged(MaxUnseen::AtMost(Duration::from_secs(2))).verdict, Verdict::Passed);
    assert_eq!(judged(MaxUnseen::AtMost(Duration::from_millis(1_999))).verdict, Verdict::Inconclusive);
    let off = judged(MaxUnseen::Off);
    assert_eq!(off.verdict, Verdict::Passed);
    assert!(off.reasons.iter().any(|reason| reason.starts_with("max_unseen is none")), "{:?}", off.reasons);
}

#[test]
fn looks_and_attempts_that_both_stop_over_a_listener_that_is_replaced_have_missed_its_gap() {
    // Both stop from 1_525 to 1_950, in the first restart.
    let asleep = |mut run: Simulation| {
        run.requests.retain(|request| !(1_525_000..1_950_000).contains(&request.due_us));
        with(run, [looks(0, 1_525, 25), looks(1_525, 1_950, 425), looks(1_950, 7_500, 25)])
    };
    let result = asleep(replaced());
    let (verdict, reason) = why(&result);
    assert_eq!(verdict, Verdict::Inconclusive, "{:?}", result.reasons);
    assert!(
        reason.starts_with("The listener on 127.0.0.1:8010 was replaced in restart 1 of ledger.service, while gapless"),
        "{reason}"
    );
    assert_eq!(asleep(socket_restart()).verdict, Verdict::Passed, "the same listener was there before and after");
    let awake = with(replaced(), [looks(0, 1_525, 25), looks(1_525, 1_950, 425), looks(1_950, 7_500, 25)]);
    assert_eq!(awake.verdict, Verdict::Passed, "attempts went on: {:?}", awake.reasons);
}

#[test]
fn a_pause_of_the_load_thread_counts_in_an_event_and_nowhere_else() {
    let paused = |from, to| with(socket_restart(), [Line::Pause(Pause { from: at_ms(from), to: at_ms(to) })]);
    let result = paused(1_600, 3_700);
    assert_eq!(
        why(&result),
        (
            Verdict::Inconclusive,
            "The load thread did not run once, for up to 2.1 s, in restart 1 of ledger.service, restart 2 of \
             ledger.service: the process was stopped, or got no CPU."
        )
    );
    assert_eq!(paused(200, 1_400).verdict, Verdict::Passed);
}

#[test]
fn a_process_that_listened_and_ended_is_told_where_no_step_asked_for_it() {
    let holder =
        |pid| Holder { process: process(pid, "/system.slice/app.service"), accepted: 1, also_listens: Vec::new() };
    let held = |ms, pid| {
        let look = Holders {
            at: at_ms(ms),
            endpoint: endpoint(),
            inode: 7_001,
            holders: vec![holder(pid)],
            elsewhere: Vec::new(),
        };
        Line::Holders(look)
    };
    let ended = |ms, pid| {
        let process = process(pid, "/system.slice/app.service");
        Line::Process(ProcessChange { at: at_ms(ms), process, ended: Some(ExitSource::Pidfd) })
    };
    let told = |unit_is_acted_on: bool| {
        let mut run = socket_restart();
        if !unit_is_acted_on {
            for event in &mut run.events {
                (event.begin.unit, event.begin.action) = (None, ActionKind::Exec);
            }
            run.plan.steps[0].action = Action::Exec { argv: vec!["./deploy.sh".to_owned()], replaces: None };
        }
        let result = with(run, [held(100, 7), ended(2_000, 7), held(2_100, 8)]);
        let notes = result.notes.into_iter().map(|note| note.message);
        notes.filter(|note| note.contains("which listened on")).collect::<Vec<_>>()
    };
    let sentence = "server (7) of app.service, which listened on 127.0.0.1:8010, ended at 1.000 s, in exec 1; server (8) of \
                    app.service has listened since.";
    assert_eq!(told(false), [sentence]);
    assert_eq!(told(true), [""; 0], "a restart that was asked for is an event already");
}
