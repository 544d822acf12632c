//! Runs a load and adds up what it hands over.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gapless::load::{LoadHandle, Observation};
use gapless::model::{Endpoint, FailureClass, FailureKey, GrpcStatus};
use gapless::record::generator::GeneratorUse;
use gapless::record::request::RequestEnd;
use gapless::record::segment::{ConnectionCounts, FailureSample, Gap, GoAways, Scope, SentOk, UnframedSample};
use gapless::scenario::plan::{Cohort, Connections, Destination, Pace, Protocol, Scheme, StatusPattern, Target};

/// A keep-alive cohort at that rate, with four connections and an expectation of 200 and `hello`.
pub(crate) fn cohort(endpoint: &Endpoint, rate: f64) -> Cohort {
    let connect = Destination::at(endpoint);
    Cohort {
        name: "test".to_owned(),
        pace: Pace::Rate(rate),
        connections: Connections::Reused(4),
        streams: 1,
        connect_delay: Duration::ZERO,
        target: Target {
            scheme: Scheme::Http,
            protocol: Protocol::Http1,
            url: "http://target/health?x=1".to_owned(),
            connect,
            authority: "target".to_owned(),
            method: "GET".to_owned(),
            path: "/health?x=1".to_owned(),
            headers: vec![("x-test".to_owned(), "yes".to_owned())],
            body: Vec::new(),
            expect_status: vec![StatusPattern::Class(2)],
            expect_grpc_status: Vec::new(),
            expect_body: Some("^hello$".to_owned()),
            instance: None,
            requests: Vec::new(),
            timeout: Duration::from_secs(20),
            connect_timeout: Duration::from_secs(20),
            ca_file: None,
            insecure: false,
            front: false,
        },
    }
}

/// Everything that a load handed over, added up.
#[derive(Debug, Default)]
pub(crate) struct Totals {
    pub(crate) due: u64,
    pub(crate) ok: u64,
    pub(crate) statuses: BTreeMap<u16, u64>,
    pub(crate) grpc_statuses: BTreeMap<GrpcStatus, u64>,
    pub(crate) failures: BTreeMap<FailureKey, u64>,
    pub(crate) connections: ConnectionCounts,
    pub(crate) goaways: Option<GoAways>,
    pub(crate) flaps: u64,
    pub(crate) latencies: u64,
    pub(crate) answers: u64,
    pub(crate) samples: Vec<FailureSample>,
    pub(crate) samples_left_out: u64,
    pub(crate) gaps: Vec<Gap>,
    pub(crate) first_ok: Option<SentOk>,
    pub(crate) requests: Vec<RequestEnd>,
    pub(crate) generator: Vec<GeneratorUse>,
    /// Answers that nothing but the end of their connection delimited, by the rows and one by one.
    pub(crate) unframed: u64,
    pub(crate) unframed_samples: Vec<UnframedSample>,
    /// Answers of each instance, and how many of them were stale.
    pub(crate) instances: BTreeMap<String, (u64, u64)>,
    /// Answers that named none, and that named one too many.
    pub(crate) unknown_instances: (u64, u64),
    /// Of several requests, how many of each were ok and how many failed.
    pub(crate) requests_by_place: BTreeMap<u16, (u64, u64)>,
}

impl Totals {
    fn add(&mut self, observation: Observation) {
        match observation {
            Observation::Rows(rows) => rows.rows.into_iter().for_each(|row| {
                self.due += row.due;
                self.ok += row.ok;
                self.unframed += row.unframed;
                row.statuses.iter().for_each(|&(status, n)| *self.statuses.entry(status).or_default() += n);
                row.grpc_statuses.iter().for_each(|&(status, n)| *self.grpc_statuses.entry(status).or_default() += n);
                row.failures.iter().for_each(|failure| *self.failures.entry(failure.key).or_default() += failure.n);
            }),
            Observation::Segment(segment) => {
                self.connections.opened += segment.connections.opened;
                self.connections.reused_requests += segment.connections.reused_requests;
                self.connections.closed_idle += segment.connections.closed_idle;
                self.connections.unframed += segment.connections.unframed;
                self.connections.unasked += segment.connections.unasked;
                self.goaways = self.goaways.into_iter().chain(segment.goaways).reduce(GoAways::and);
                self.flaps += segment.flaps;
                self.latencies += segment.ok.len();
                self.answers += segment.service.len();
                self.samples.extend(segment.samples);
                self.unframed_samples.extend(segment.unframed);
                self.gaps.extend(segment.gaps);
                self.first_ok = self.first_ok.or(segment.first_ok);
                for count in segment.requests {
                    let (ok, failed) = self.requests_by_place.entry(count.request).or_default();
                    *ok += count.ok;
                    *failed += count.dropped + count.wrong;
                }
                if let Some(instances) = segment.instances {
                    self.unknown_instances.0 += instances.unnamed;
                    self.unknown_instances.1 += instances.left_out;
                    for count in instances.named {
                        let (answers, stale) = self.instances.entry(count.name).or_default();
                        *answers += count.answers;
                        *stale += count.stale.iter().map(|stale| stale.n).sum::<u64>();
                    }
                }
            }
            Observation::Request(request) => self.requests.push(request),
            Observation::HandedOver(receipt) => receipt.confirm(),
            Observation::Cap(cap) => self.samples_left_out += cap.left_out,
            Observation::Generator(generator) => self.generator.push(*generator),
            Observation::Unasked(_) | Observation::Pause(_) => {}
        }
    }

    /// How many failed with that class.
    pub(crate) fn of(&self, class: FailureClass) -> u64 {
        self.failures.iter().filter(|(key, _)| key.class == class).map(|(_, n)| n).sum()
    }

    /// How many failed.
    pub(crate) fn failed(&self) -> u64 {
        self.failures.values().sum()
    }

    /// Every due request has one outcome, and the distributions hold as many as the counters.
    pub(crate) fn assert_adds_up(&self) {
        assert_eq!(self.due, self.ok + self.failed(), "{self:?}");
        assert_eq!(self.ok, self.latencies);
        assert_eq!(self.failed(), self.samples.len() as u64 + self.samples_left_out);
    }
}

/// Loads until `enough` resolves; then stops and adds up, by scope.
pub(crate) async fn by_scope<F>(mut load: LoadHandle, enough: impl FnOnce(LoadHandle) -> F) -> BTreeMap<Scope, Totals>
where
    F: Future<Output = LoadHandle>,
{
    let mut observations = load.take_observations().unwrap();
    let collect = async {
        let mut scopes = BTreeMap::<Scope, Totals>::new();
        while let Some(observation) = observations.recv().await {
            let scope = match &observation {
                Observation::Rows(rows) => rows.scope,
                Observation::Segment(segment) => segment.scope,
                Observation::Request(request) => Scope::Event(request.event),
                Observation::Generator(_)
                | Observation::HandedOver(_)
                | Observation::Cap(_)
                | Observation::Unasked(_)
                | Observation::Pause(_) => Scope::Before,
            };
            scopes.entry(scope).or_default().add(observation);
        }
        scopes
    };
    let run = async {
        let load = enough(load).await;
        load.stop().await;
        load.join().await.unwrap();
    };
    tokio::join!(collect, run).0
}

/// Loads with `cohorts`, counted from the first request on, until `enough` resolves; then stops and adds up.
pub(crate) async fn load<F>(cohorts: &[Cohort], enough: impl FnOnce(LoadHandle) -> F) -> Totals
where
    F: Future<Output = LoadHandle>,
{
    let scopes = by_scope(LoadHandle::start_counting(cohorts).unwrap(), enough).await;
    assert!(scopes.contains_key(&Scope::Before), "all is counted, and no event began: {scopes:?}");
    let mut scopes: Vec<Totals> = scopes.into_values().collect();
    assert_eq!(scopes.len(), 1);
    scopes.remove(0)
}

/// Resolves when every cohort has had an `ok`.
pub(crate) async fn until_answered(load: LoadHandle) -> LoadHandle {
    load.all_answered(load.started_at()).await;
    load
}

/// Resolves when a live counter has got to `least`.
pub(crate) async fn until(counter: &AtomicU64, least: u64) {
    while counter.load(Ordering::Relaxed) < least {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}
