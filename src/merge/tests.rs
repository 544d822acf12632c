//! Records of shards are made of one simulated run, request by request as the schedule deals them out: what is merged of
//! them is what one generator would have recorded.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::time::Duration;

use proptest::prelude::*;

use super::{Input, MergeError, merge};
use crate::analysis::analyse;
use crate::analysis::simulator::plan::{failure, plan, restart};
use crate::analysis::simulator::stories::{self, Fate};
use crate::analysis::simulator::{Simulation, at_us};
use crate::model::{FailureClass, MonoTime, Share, UnitVerb, Verdict};
use crate::record::begin::Begin;
use crate::record::line::{EndReason, Line, Phase};
use crate::record::segment::{ROW_NS, Row, Scope};
use crate::record::shard::Shard;
use crate::record::{Record, RecordWriter};
use crate::result::ScenarioResult;
use crate::scenario::plan::Connections;

/// How long after the start of shard 1 another machine's clock says that it started.
const OTHER_CLOCK: Duration = Duration::from_secs(86_400);

/// One of the records of a run that `of` generators share.
struct Part<'a> {
    run: &'a Simulation,
    share: Share,
    /// It runs on another machine.
    is_elsewhere: bool,
}

impl Part<'_> {
    fn bytes(&self) -> Vec<u8> {
        self.changed(|_| {})
    }

    fn changed(&self, change: impl FnOnce(&mut Begin)) -> Vec<u8> {
        let mut own = self.run.clone();
        let mut dealt = BTreeMap::<u16, u32>::new();
        own.requests.retain(|request| {
            let number = dealt.entry(request.cohort).or_default();
            *number += 1;
            (*number - 1) % self.share.of() == self.share.index() - 1
        });
        if !self.share.is_first() {
            (own.events, own.other) = (Vec::new(), Vec::new());
        }
        let mut lines: Vec<Line> = Record::lines_in(&own.bytes());
        let Line::Begin(begin) = &mut lines[0] else { panic!("it begins") };
        begin.shard = Some(Shard {
            share: self.share,
            start_at_ns: Some(1),
            window_ns: Some(2),
            plan_sum: "00000000".to_owned(),
            boot: Some(if self.is_elsewhere { "there" } else { "here" }.to_owned()),
        });
        change(begin);
        lines.iter_mut().for_each(|line| tell(line, &own));
        // Looks at the machine of the service are shard 1's.
        lines.retain(|line| self.share.is_first() || !matches!(line, Line::Looks(_)));
        let off = if self.is_elsewhere { OTHER_CLOCK } else { Duration::ZERO };
        written(&lines, off)
    }
}

/// What a generator tells of a load that it shares: when it tried to connect, and when its failures ended.
fn tell(line: &mut Line, run: &Simulation) {
    let Line::Rows(rows) = line else { return };
    for row in &mut rows.rows {
        let of_row = |us: u64| us * 1_000 / ROW_NS == row.index;
        let own = run.requests.iter().filter(|it| it.cohort == rows.cohort && of_row(it.due_us));
        let connects = run.plan.cohorts[usize::from(rows.cohort)].connections == Connections::New;
        let dues = || own.clone().map(|it| at_us(it.due_us));
        row.attempts = dues().min().zip(dues().max()).filter(|_| connects);
        for counted in &mut row.failures {
            let ends = own.clone().filter(|it| it.fate == Err(counted.key)).filter_map(|it| it.end_us.map(at_us));
            counted.ends = ends.clone().min().zip(ends.max());
        }
    }
}

/// The same lines on a clock that is `off` ahead.
fn written(lines: &[Line], off: Duration) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = RecordWriter::new(&mut bytes);
    for line in lines {
        let mut line = line.clone();
        if let Line::Begin(begin) = &mut line {
            begin.anchor = begin.anchor + off;
        }
        super::source::map_times(&mut line, &|at: &mut MonoTime| *at = *at + off);
        match line {
            Line::End(end) => drop(writer.finish(end.reason, end.at + off).expect("memory takes all")),
            line => drop(writer.write(&line).expect("memory takes all")),
        }
    }
    bytes
}

impl Record {
    fn lines_in(bytes: &[u8]) -> Vec<Line> {
        bytes.lines().map(|line| serde_json::from_str(&line.expect("memory")).expect("a line")).collect()
    }
}

fn merged(records: &[Vec<u8>]) -> Result<(Record, Vec<u8>), MergeError> {
    let inputs: Vec<Input<'_>> = (1..)
        .zip(records)
        .map(|(number, bytes)| Input {
            name: format!("folder {number}"),
            open: Box::new(move || Ok(Box::new(bytes.as_slice().to_vec().reader()) as Box<dyn BufRead>)),
        })
        .collect();
    let mut out = Vec::new();
    let record = merge(&inputs, Duration::from_millis(100), &mut out)?;
    Ok((record, out))
}

trait Reader {
    fn reader(self) -> std::io::Cursor<Vec<u8>>;
}

impl Reader for Vec<u8> {
    fn reader(self) -> std::io::Cursor<Vec<u8>> {
        std::io::Cursor::new(self)
    }
}

fn parts(run: &Simulation, of: u32, is_elsewhere: bool) -> Vec<Part<'_>> {
    let share = |index| Share::new(index, of).expect("there is one");
    (1..=of).map(|index| Part { run, share: share(index), is_elsewhere: is_elsewhere && index > 1 }).collect()
}

fn result_of(run: &Simulation, of: u32, is_elsewhere: bool) -> ScenarioResult {
    let records: Vec<Vec<u8>> = parts(run, of, is_elsewhere).iter().map(Part::bytes).collect();
    analyse(&merged(&records).expect("they merge").0)
}

/// What must be the same however many generators there are.
fn assert_same(merged: &ScenarioResult, one: &ScenarioResult) {
    assert_eq!(merged.requests, one.requests);
    assert_eq!(merged.latency_ms, one.latency_ms, "percentiles are of all requests");
    assert_eq!(merged.lateness_us, one.lateness_us);
    assert_eq!((&merged.outcomes, &merged.status_codes), (&one.outcomes, &one.status_codes));
    assert_eq!((merged.dropped, merged.wrong, merged.http_000), (one.dropped, one.wrong, one.http_000));
    assert_eq!(merged.connections, one.connections);
    let cohorts = |of: &ScenarioResult| {
        of.cohorts
            .iter()
            .map(|cohort| (cohort.requests, cohort.latency_ms, cohort.outcomes.clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(cohorts(merged), cohorts(one));
    assert_eq!(merged.events.len(), one.events.len());
    let due: u64 = merged.generators.iter().map(|generator| generator.requests.due).sum();
    assert_eq!(due, one.requests.due, "{:?}", merged.generators);
}

#[test]
fn a_load_that_several_generators_share_comes_to_what_one_would() {
    for run in [stories::plain_restart(), stories::socket_restart()] {
        let one = analyse(&run.record());
        for of in [1, 2, 3, 7] {
            let result = result_of(&run, of, false);
            assert_same(&result, &one);
            let losses = |of: &ScenarioResult| of.events.iter().map(|event| event.outcomes.clone()).collect::<Vec<_>>();
            assert_eq!(losses(&result), losses(&one), "{of} shards of {}", run.plan.name);
            assert_eq!((result.verdict, &result.causes), (one.verdict, &one.causes), "{:?}", result.reasons);
            assert!((result.stall_ms.unwrap_or_default() - one.stall_ms.unwrap_or_default()).abs() < 50.0);
            assert!((result.outage_ms.unwrap_or_default() - one.outage_ms.unwrap_or_default()).abs() < 100.0);
        }
    }
}

#[test]
fn the_clock_of_another_machine_is_mapped_and_said_not_to_be_measured() {
    let run = stories::plain_restart();
    let (one, result) = (analyse(&run.record()), result_of(&run, 3, true));
    assert_same(&result, &one);
    assert_eq!(result.verdict, one.verdict);
    let said =
        result.notes.iter().any(|note| note.message.contains("shards 2 and 3 are mapped to the clock of shard 1"));
    assert!(said, "{:?}", result.notes);
    assert_eq!(result.generators.iter().map(|it| it.same_clock).collect::<Vec<_>>(), [true, false, false]);
    assert!(result.attested.is_empty(), "no clock of another machine attests anything");
}

#[test]
fn a_merged_record_is_read_back_as_it_was_made() {
    let run = stories::plain_restart();
    let records: Vec<Vec<u8>> = parts(&run, 3, false).iter().map(Part::bytes).collect();
    let (record, bytes) = merged(&records).expect("they merge");
    assert_eq!(analyse(&Record::read(bytes.as_slice()).expect("it is a record")), analyse(&record));
}

fn shard(begin: &mut Begin) -> &mut Shard {
    begin.shard.as_mut().expect("it is one")
}

fn reasons(records: &[Vec<u8>]) -> (Verdict, String) {
    let result = analyse(&merged(records).expect("they merge").0);
    (result.verdict, result.reasons.join(" "))
}

#[test]
fn a_shard_that_is_missing_there_twice_or_another_is_named_and_forbids_a_pass() {
    let run = stories::socket_restart();
    let parts = parts(&run, 3, false);
    let [one, two, three] = [0, 1, 2].map(|place: usize| parts[place].bytes());
    assert_eq!(reasons(&[one.clone(), two.clone(), three.clone()]).0, Verdict::Passed);
    let other = |change: fn(&mut Begin)| parts[2].changed(change);
    let cases: Vec<(Vec<Vec<u8>>, &str)> = vec![
        (vec![one.clone(), two.clone()], "Shard 3/3 is missing"),
        (vec![two.clone(), three.clone()], "Without shard 1, what was done to the service is unknown"),
        (vec![one.clone(), two.clone(), two.clone(), three.clone()], "folder 3 is left out, and folder 2 is counted"),
        (
            vec![one.clone(), two.clone(), other(|begin| begin.tool.version = "9".into())],
            "it is of gapless 9, and shard 1 of",
        ),
        (
            vec![one.clone(), two.clone(), other(|begin| shard(begin).plan_sum = "1".into())],
            "its plan is not that of shard 1",
        ),
        (vec![one.clone(), two.clone(), other(|begin| shard(begin).start_at_ns = Some(9))], "it was to start at 1970"),
        (vec![one.clone(), two.clone(), other(|begin| shard(begin).window_ns = None)], "no fixed time"),
        (
            vec![one.clone(), two.clone(), other(|begin| shard(begin).share = Share::new(3, 4).expect("one"))],
            "it is one of 4 shards, and shard 1 one of 3",
        ),
        (vec![one.clone(), two.clone(), three.clone(), run.bytes()], "Folder 4 is not the record of a shard"),
    ];
    for (records, named) in cases {
        let (verdict, reasons) = reasons(&records);
        assert!(verdict == Verdict::Inconclusive && reasons.contains(named), "{named}: {verdict:?}: {reasons}");
    }
    let changed = other(|begin| {
        begin.plan.run.cooldown = Duration::from_secs(99);
        shard(begin).plan_sum = "1".into();
    });
    assert!(reasons(&[one, two, changed]).1.contains("run differ"), "what differs is named");
    assert!(matches!(merged(&[run.bytes()]), Err(MergeError::NoShard)));
}

#[test]
fn a_shard_that_was_cut_off_or_ended_early_forbids_a_pass() {
    let run = stories::socket_restart();
    let parts = parts(&run, 2, false);
    let [one, two] = [0, 1].map(|place: usize| parts[place].bytes());
    let lines = Record::lines_in(&two);
    let cut = written(&lines[..lines.len() - 1], Duration::ZERO);
    let (verdict, said) = reasons(&[one.clone(), cut]);
    assert!(verdict == Verdict::Inconclusive && said.contains("shard 2 on testbed is cut off"), "{said}");
    let mut ended = lines;
    let Some(Line::End(end)) = ended.last_mut() else { panic!("it ends") };
    end.reason = EndReason::NotReady("nobody was there".into());
    let (verdict, said) = reasons(&[one, written(&ended, Duration::ZERO)]);
    assert!(verdict == Verdict::Inconclusive && said.contains("ended early: nobody was there"), "{said}");
}

#[test]
fn what_others_sent_after_the_first_had_ended_is_not_counted() {
    let run = stories::interrupted();
    let mut longer = run.clone();
    longer.requests.extend(
        stories::requests(9_000, |_, _| Fate::Failed(failure(FailureClass::Refused, false), 100))
            .into_iter()
            .filter(|it| it.due_us >= 4_600_000),
    );
    longer.stopped_ms = 9_000;
    longer.end = Some(EndReason::Completed);
    let of_first = Part { run: &run, share: Share::new(1, 2).expect("one"), is_elsewhere: false }.bytes();
    let of_other = Part { run: &longer, share: Share::new(2, 2).expect("one"), is_elsewhere: false }.bytes();
    let result = analyse(&merged(&[of_first, of_other]).expect("they merge").0);
    assert_eq!((result.dropped, result.verdict), (0, Verdict::Inconclusive), "{:?}", result.reasons);
    assert!(result.notes.iter().any(|note| note.message.contains("were due after the run had ended in the first")));
}

#[test]
fn a_damaged_record_is_an_error_that_names_it() {
    let run = stories::socket_restart();
    let mut records: Vec<Vec<u8>> = parts(&run, 2, false).iter().map(Part::bytes).collect();
    let at = records[1].len() / 2;
    records[1][at] ^= 1;
    let error = merged(&records).expect_err("it is damaged").to_string();
    assert!(error.contains("folder 2"), "{error}");
}

#[test]
fn rows_of_shards_that_are_added_up_are_those_of_one() {
    let run = stories::plain_restart();
    let records: Vec<Vec<u8>> = parts(&run, 3, false).iter().map(Part::bytes).collect();
    let rows = |lines: Vec<Line>| {
        let mut sums = BTreeMap::<(u16, u64), (u64, u64, u64)>::new();
        for line in lines {
            let Line::Rows(rows) = line else { continue };
            let counted = rows.rows.iter().filter(|_| rows.scope != Scope::Warmup);
            for Row { index, due, ok, failures, .. } in counted {
                let sum = sums.entry((rows.cohort, *index)).or_default();
                let failed: u64 = failures.iter().map(|failure| failure.n).sum();
                *sum = (sum.0 + due, sum.1 + ok, sum.2 + failed);
            }
        }
        sums
    };
    let (_, bytes) = merged(&records).expect("they merge");
    assert_eq!(rows(Record::lines_in(&bytes)), rows(Record::lines_in(&run.bytes())));
    let phases =
        Record::lines_in(&bytes).into_iter().filter(|line| matches!(line, Line::Phase(it) if it.phase == Phase::Load));
    assert_eq!(phases.count(), 1);
}

/// The fates of a run of two restarts whose requests take what they are told to.
fn any_run() -> impl Strategy<Value = Simulation> {
    let latencies = proptest::collection::vec((1_u64..40_000, 0_u8..40), 500);
    latencies.prop_map(|fates| {
        let fate = |cohort: u16, due_us: u64| {
            let place = usize::try_from(due_us / 10_000).unwrap_or_default() + usize::from(cohort) * 7;
            let (latency_us, kind) = fates[place % fates.len()];
            match kind {
                0 => Fate::Failed(failure(FailureClass::ResetBeforeResponse, true), latency_us),
                1 => Fate::Failed(failure(FailureClass::UnexpectedBody, false), latency_us),
                _ => Fate::Ok(latency_us),
            }
        };
        Simulation {
            plan: plan("any", false, UnitVerb::Restart, 2),
            counting_ms: 1_000,
            stopped_ms: 4_000,
            requests: stories::requests(4_000, fate),
            events: vec![restart(0, 1_500, false, (20, 24, 310)), restart(1, 2_800, false, (20, 24, 310))],
            other: Vec::new(),
            end: Some(EndReason::Completed),
            flush_ms: 1_000,
            lateness_us: 40,
            hiccup_ms: 0..0,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn whatever_becomes_of_requests_and_however_many_generators_send_them(
        run in any_run(), of in 1_u32..9, is_elsewhere in any::<bool>(),
    ) {
        let one = analyse(&run.record());
        let result = result_of(&run, of, is_elsewhere);
        assert_same(&result, &one);
        let dropped: u64 = result.events.iter().map(|event| event.dropped).sum();
        prop_assert_eq!(dropped + result.dropped_outside_events, result.dropped);
    }
}
