//! The latencies of the report beside those that a server's own log tells.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use gapless::model::MonoTime;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::Value;

use crate::frozen::{FREEZE_FOR, Frozen, Served};
use crate::watch::Watched;

/// So far from the truth a percentile may be.
const TOLERANCE: f64 = 0.02;
/// What is told apart of a time: three significant digits.
const RESOLUTION: f64 = 0.001;

/// Requests are told apart by the order in which they came: what comes at once may be taken for its neighbour, which
/// was due a millisecond before.
const ORDER_MS: f64 = 1.0;

/// In thousandths.
const PERCENTILES: [(&str, usize); 6] =
    [("p50", 500), ("p90", 900), ("p95", 950), ("p99", 990), ("p99_9", 999), ("max", 1_000)];

/// The lowest and the highest time, in milliseconds, that a percentile may be reported as.
#[derive(Clone, Copy, Debug)]
struct Truth {
    least_ms: f64,
    most_ms: f64,
}

/// The nearest rank of each percentile in `times_ms`, where infinite is never.
fn percentile(times_ms: &mut [f64], per_mille: usize) -> f64 {
    times_ms.sort_by(f64::total_cmp);
    times_ms[(times_ms.len() * per_mille).div_ceil(1_000) - 1]
}

/// What can be known: nothing is reported before the server wrote it. What it may be longer is the tolerance, and as
/// long as this machine lets a thread wait for its turn.
fn truth(mut from_ms: Vec<f64>, mut to_ms: Vec<f64>, per_mille: usize, stall_ms: f64) -> Truth {
    let most_ms = percentile(&mut to_ms, per_mille);
    Truth {
        least_ms: percentile(&mut from_ms, per_mille) * (1.0 - RESOLUTION) - ORDER_MS,
        most_ms: most_ms * (1.0 + TOLERANCE) + stall_ms,
    }
}

/// A thread that does nothing but sleep, and knows how much longer than it wanted.
struct Witness {
    stop: mpsc::Sender<()>,
    thread: JoinHandle<f64>,
}

impl Witness {
    fn start() -> Self {
        const NAP: Duration = Duration::from_millis(1);
        let (stop, stopped) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            let mut longest = Duration::ZERO;
            loop {
                let start = Instant::now();
                if stopped.recv_timeout(NAP) != Err(RecvTimeoutError::Timeout) {
                    return longest.as_secs_f64() * 1e3;
                }
                longest = longest.max(start.elapsed().saturating_sub(NAP));
            }
        });
        Self { stop, thread }
    }

    /// The longest that it had to wait for its turn, in milliseconds.
    fn longest_stall_ms(self) -> f64 {
        self.stop.send(()).unwrap();
        self.thread.join().unwrap()
    }
}

fn assert_true(reported: &Value, name: &str, truth: Truth) {
    let told = reported.as_f64().unwrap_or(f64::INFINITY);
    assert!(told >= truth.least_ms && told <= truth.most_ms, "{name} is {told} ms, and {truth:?}");
}

/// The server has as many connections as requests that wait for it.
fn raise_descriptor_limit() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).unwrap();
}

#[test]
fn a_second_of_frost_shows_in_every_percentile_as_long_as_it_was() {
    raise_descriptor_limit();
    let server = Frozen::start();
    let witness = Witness::start();
    let url = format!("http://{}/", server.address);
    let arguments = ["--rate", "1000", "--connections", "1500", "--duration", "4s"];
    let watched = Watched::run(&[&[url.as_str()], &arguments[..]].concat());
    let stall_ms = witness.longest_stall_ms();
    let (scenario, first_due, log) = (watched.scenario(), watched.first_due(), server.log());
    assert_eq!(scenario["requests"]["due"], log.len());

    // Request i was due i milliseconds after the first, and is the i-th that came.
    let due = |index: usize| first_due + Duration::from_millis(index as u64);
    let took_ms = |(index, served): (usize, &Served), since: fn(&Served, MonoTime) -> MonoTime| {
        served.answered.map_or(f64::INFINITY, |answered| answered.millis_since(since(served, due(index))))
    };
    let from_due: Vec<f64> = log.iter().enumerate().map(|entry| took_ms(entry, |_, due| due)).collect();
    let from_arrival: Vec<f64> =
        log.iter().enumerate().map(|entry| took_ms(entry, |served, _| served.arrived)).collect();
    let answered = |times: &[f64]| -> Vec<f64> { times.iter().copied().filter(|time| time.is_finite()).collect() };
    let frost_ms = FREEZE_FOR.as_secs_f64() * 1e3;
    assert!(answered(&from_due).iter().any(|&time| time >= frost_ms), "the server froze under load");
    assert!(log.iter().any(|served| served.answered.is_none()), "and dropped some");

    for (name, per_mille) in PERCENTILES {
        let latency = |kind: &str| scenario["latency_ms"][kind][name].clone();
        let all = truth(from_due.clone(), from_due.clone(), per_mille, stall_ms);
        assert_true(&latency("all"), &format!("all.{name}"), all);
        let only_answered = truth(answered(&from_due), answered(&from_due), per_mille, stall_ms);
        assert_true(&latency("answered"), &format!("answered.{name}"), only_answered);
        // Sent when it was due at the earliest, and before it came at the latest.
        let service = truth(answered(&from_arrival), answered(&from_due), per_mille, stall_ms);
        assert_true(&latency("service"), &format!("service.{name}"), service);
    }
}
