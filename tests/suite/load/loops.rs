//! Open loop, closed loop, interruption.

use std::net::TcpListener;
use std::sync::atomic::Ordering;
use std::time::Duration;

use gapless::load::LoadHandle;
use gapless::model::{Endpoint, FailureClass};
use gapless::record::generator::GeneratorUse;
use gapless::scenario::plan::{Cohort, Connections, Pace};

use crate::load::harness::{Totals, cohort, load, until};
use crate::load::server::{ANSWER, Fault, Server};

#[tokio::test]
async fn a_closed_loop_has_one_request_per_client_and_counts_all() {
    let server = Server::unix(Fault::OtherStatus, 50);
    let clients =
        Cohort { pace: Pace::Clients(8), connections: Connections::Reused(8), ..cohort(&server.endpoint, 1.0) };
    let totals = load(&[clients], async |load: LoadHandle| {
        until(&load.live().ok, 500).await;
        load
    })
    .await;
    totals.assert_adds_up();
    assert_eq!((totals.of(FailureClass::UnexpectedStatus), totals.failed()), (50, 50));
    assert_eq!((totals.due, totals.connections.opened), (server.requests(), 8));
}

#[tokio::test]
async fn a_client_that_cannot_connect_tries_again_later() {
    let gone = Endpoint::Tcp(TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    let client = Cohort { pace: Pace::Clients(1), ..cohort(&gone, 1.0) };
    let totals = load(&[client], async |load: LoadHandle| {
        until(&load.live().dropped, 3).await;
        load
    })
    .await;
    totals.assert_adds_up();
    assert!(totals.samples.windows(2).all(|pair| pair[1].due.since(pair[0].end).as_millis() == 100));
}

#[tokio::test]
async fn what_is_under_way_when_the_run_is_interrupted_is_unsent() {
    let server = Server::tcp(Fault::Stall, u64::MAX);
    let totals = load(&[cohort(&server.endpoint, 500.0)], async |load: LoadHandle| {
        until(&load.live().due, 20).await;
        load.interrupt();
        load
    })
    .await;
    totals.assert_adds_up();
    assert_eq!(totals.of(FailureClass::Interrupted), totals.due);
}

#[tokio::test]
async fn a_load_that_nobody_holds_any_more_ends() {
    let server = Server::tcp(Fault::Stall, u64::MAX);
    let load = LoadHandle::start(&[cohort(&server.endpoint, 500.0)]).unwrap();
    load.begin_counting().await;
    until(&load.live().due, 20).await;
    load.join().await.unwrap();
}

#[tokio::test]
async fn live_figures_are_those_of_the_record() {
    let server = Server::tcp(Fault::CloseBefore, 7);
    let mut figures = [0; 4];
    let totals = load(&[cohort(&server.endpoint, 500.0)], async |load: LoadHandle| {
        until(&load.live().ok, 10).await;
        load.stop().await;
        let live = load.live();
        figures = [&live.due, &live.ok, &live.dropped, &live.wrong].map(|figure| figure.load(Ordering::Relaxed));
        load
    })
    .await;
    assert_eq!(figures, [totals.due, totals.ok, 7, 0]);
}

#[tokio::test]
async fn nothing_is_lost_when_nobody_receives_until_the_end() {
    let server = Server::unix(Fault::CloseBefore, 9);
    let cohorts: Vec<Cohort> = (0..40).map(|_| cohort(&server.endpoint, 50.0)).collect();
    let mut load = LoadHandle::start_counting(&cohorts).unwrap();
    let mut observations = load.take_observations().unwrap();
    assert_eq!(load.begin_counting().await, load.started_at(), "it counts already");
    for event in 0..5 {
        load.mark(gapless::model::EventId(event)).await;
    }
    let due = {
        load.all_answered(load.started_at()).await;
        load.stop().await;
        load.live().due.load(Ordering::Relaxed)
    };
    let mut counted = (0, 0, 0);
    while let Some(observation) = observations.recv().await {
        if let gapless::load::Observation::Rows(rows) = observation {
            for row in rows.rows {
                let failed: u64 = row.failures.iter().map(|failure| failure.n).sum();
                counted = (counted.0 + row.due, counted.1 + row.ok, counted.2 + failed);
            }
        }
    }
    load.join().await.unwrap();
    assert_eq!(counted, (due, due - 9, 9));
}

#[tokio::test]
async fn a_health_check_is_due_at_its_interval() {
    let server = Server::tcp(Fault::Stall, 0);
    let interval = std::time::Duration::from_millis(20);
    let check = Cohort {
        pace: Pace::Health { interval, rise: 2, fall: 3 },
        connections: Connections::New,
        ..cohort(&server.endpoint, 1.0)
    };
    let totals = load(&[check], async |load: LoadHandle| {
        until(&load.live().ok, 5).await;
        load
    })
    .await;
    totals.assert_adds_up();
    assert_eq!((totals.failed(), totals.connections.opened), (0, totals.due));
}

/// Checks every 10 ms, on one connection so that the outcomes come in order, a server that fails requests `down`.
async fn flaps_of_a_check(down: std::ops::Range<u64>) -> Totals {
    let server = Server::tcp_with(move |number, conn| {
        conn.take_request()?;
        let is_down = down.contains(&number);
        conn.write_all(if is_down { b"HTTP/1.1 503 Down\r\ncontent-length: 0\r\n\r\n" } else { ANSWER })?;
        Ok(true)
    });
    let check = Cohort {
        pace: Pace::Health { interval: Duration::from_millis(10), rise: 2, fall: 3 },
        connections: Connections::Reused(1),
        ..cohort(&server.endpoint, 1.0)
    };
    let totals = load(&[check], async |load: LoadHandle| {
        until(&load.live().ok, 12).await;
        load
    })
    .await;
    totals.assert_adds_up();
    totals
}

#[tokio::test]
async fn a_check_flaps_when_it_falls_and_when_it_rises_again() {
    let totals = flaps_of_a_check(4..8).await;
    assert_eq!((totals.failed(), totals.flaps), (4, 2));
}

#[tokio::test]
async fn a_check_that_fails_less_often_than_its_fall_does_not_flap() {
    let totals = flaps_of_a_check(4..6).await;
    assert_eq!((totals.failed(), totals.flaps), (2, 0));
}

#[tokio::test]
async fn clients_wait_for_each_other_where_there_are_fewer_connections() {
    let server = Server::tcp(Fault::Stall, 0);
    let clients =
        Cohort { pace: Pace::Clients(8), connections: Connections::Reused(2), ..cohort(&server.endpoint, 1.0) };
    let totals = load(&[clients], async |load: LoadHandle| {
        until(&load.live().ok, 100).await;
        load
    })
    .await;
    totals.assert_adds_up();
    assert_eq!((totals.failed(), totals.connections.opened, server.connections()), (0, 2, 2));
}

#[tokio::test]
async fn a_load_thread_that_cannot_keep_up_has_no_idle_time_and_one_that_waits_for_the_target_has() {
    // More than one thread can even count.
    let fast = Server::tcp(Fault::Stall, 0);
    let mut too_much = cohort(&fast.endpoint, 4_000_000.0);
    too_much.target.timeout = Duration::from_millis(50);
    let saturated = load(&[too_much], async |load: LoadHandle| {
        until(&load.live().due, 500_000).await;
        load
    })
    .await;
    // Never answers: every request waits for the target until its timeout.
    let slow = Server::tcp(Fault::Stall, u64::MAX);
    let mut patient = cohort(&slow.endpoint, 20.0);
    patient.target.timeout = Duration::from_millis(100);
    let waiting = load(&[patient], async |load: LoadHandle| {
        until(&load.live().dropped, 20).await;
        load
    })
    .await;
    let idle_percent = |generator: &GeneratorUse| generator.idle_ns() * 100 / generator.span_ns().max(1);
    assert!(saturated.generator.iter().any(|of| idle_percent(of) < 15), "{:?}", saturated.generator);
    assert!(waiting.generator.iter().any(|of| idle_percent(of) > 50), "{:?}", waiting.generator);
    // The spans follow one another without a gap.
    for pair in saturated.generator.windows(2) {
        assert_eq!(pair[0].to, pair[1].from);
    }
}
