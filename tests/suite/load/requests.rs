//! Requests that steps ask for, and what is handed over when a gate asks.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use gapless::load::{Asked, LoadHandle, Observation};
use gapless::model::{EventId, FailureClass};
use gapless::record::segment::Scope;
use gapless::scenario::plan::{Cohort, Connections, Pace};

use crate::load::harness::{by_scope, cohort, until};
use crate::load::server::{Fault, Server};

fn on_demand(server: &Server) -> Cohort {
    let load = cohort(&server.endpoint, 1.0);
    Cohort { name: "request-2".to_owned(), pace: Pace::OnDemand, connections: Connections::New, ..load }
}

fn five(event: u32) -> Asked {
    Asked { event: EventId(event), times: 5, every: Duration::from_millis(1) }
}

#[tokio::test]
async fn what_a_step_asks_for_is_counted_under_its_event_and_the_load_is_not() {
    let (fine, faulty) = (Server::tcp(Fault::CloseBefore, 0), Server::tcp(Fault::CloseBefore, 2));
    let cohorts = [cohort(&fine.endpoint, 500.0), on_demand(&faulty)];
    let scopes = by_scope(LoadHandle::start_counting(&cohorts).unwrap(), async |load: LoadHandle| {
        load.mark(EventId(0)).await;
        let asked_at = load.all_answered(load.started_at()).await;
        assert!(load.request(1, five(1)).await.unwrap() > asked_at);
        load.all_answered(load.request(1, five(2)).await.unwrap()).await;
        load
    })
    .await;
    let (first, second) = (&scopes[&Scope::Event(EventId(1))], &scopes[&Scope::Event(EventId(2))]);
    assert_eq!((first.due, first.ok, first.failed()), (5, 3, 2));
    assert_eq!((second.due, second.ok, second.failed()), (5, 5, 0));
    first.assert_adds_up();
    let failed: Vec<_> = first.requests.iter().map(|request| request.failure.map(|key| key.class)).collect();
    let closed = Some(FailureClass::ClosedBeforeResponse);
    assert_eq!(failed, [closed, closed, None, None, None]);
    assert!(first.requests.is_sorted_by_key(|request| (request.nth, request.due)));
    assert!(first.requests.windows(2).all(|pair| pair[1].due == pair[0].end + Duration::from_millis(1)));
    assert!(scopes[&Scope::Event(EventId(0))].requests.is_empty());
}

#[tokio::test]
async fn requests_that_nobody_answers_leave_no_gap_behind_their_last_one() {
    let (fine, faulty) = (Server::tcp(Fault::CloseBefore, 0), Server::tcp(Fault::CloseBefore, 5));
    let mut last_end = None;
    let cohorts = [cohort(&fine.endpoint, 500.0), on_demand(&faulty)];
    let scopes = by_scope(LoadHandle::start_counting(&cohorts).unwrap(), async |load: LoadHandle| {
        last_end = load.request(1, five(1)).await;
        load.all_answered(last_end.unwrap()).await;
        load
    })
    .await;
    let event = &scopes[&Scope::Event(EventId(1))];
    assert_eq!(event.failed(), 5);
    let [gap] = &event.gaps[..] else { panic!("one gap: {:?}", event.gaps) };
    assert_eq!((gap.from, Some(gap.to)), (event.requests[0].due, last_end));
}

#[tokio::test]
async fn a_load_that_ends_leaves_the_rest_of_a_steps_requests_unasked() {
    let server = Server::tcp(Fault::CloseBefore, 0);
    let cohorts = [cohort(&server.endpoint, 100.0), on_demand(&server)];
    let scopes = by_scope(LoadHandle::start_counting(&cohorts).unwrap(), async |load: LoadHandle| {
        let endless = Asked { event: EventId(1), times: u32::MAX, every: Duration::ZERO };
        let requests = load.request(1, endless);
        let interrupted = async {
            until(&load.live().ok, 20).await;
            load.interrupt();
        };
        assert_eq!(tokio::join!(requests, interrupted).0, None);
        load
    })
    .await;
    let event = &scopes[&Scope::Event(EventId(1))];
    event.assert_adds_up();
    assert_eq!(event.requests.len() as u64, event.due);
}

#[tokio::test]
async fn what_was_due_when_all_is_handed_over_has_ended_and_been_counted_by_then() {
    let server = Server::tcp(Fault::CloseBefore, 7);
    let mut load = LoadHandle::start_counting(&[cohort(&server.endpoint, 1_000.0)]).unwrap();
    let mut observations = load.take_observations().unwrap();
    let counted = Rc::new(RefCell::new((0, 0, 0)));
    let so_far = Rc::clone(&counted);
    let collect = async move {
        while let Some(observation) = observations.recv().await {
            match observation {
                Observation::Rows(rows) => {
                    let mut so_far = so_far.borrow_mut();
                    so_far.0 += rows.rows.iter().map(|row| row.ok).sum::<u64>();
                    so_far.1 += rows.rows.iter().flat_map(|row| &row.failures).map(|failure| failure.n).sum::<u64>();
                }
                Observation::Segment(segment) => so_far.borrow_mut().2 += segment.ok.len(),
                Observation::HandedOver(receipt) => receipt.confirm(),
                Observation::Request(_)
                | Observation::Generator(_)
                | Observation::Cap(_)
                | Observation::Unasked(_)
                | Observation::Pause(_) => {}
            }
        }
    };
    let run = async {
        until(&load.live().ok, 50).await;
        let live_due = load.live().due.load(std::sync::atomic::Ordering::Relaxed);
        load.hand_over().await.unwrap();
        let (ok, failed, latencies) = *counted.borrow();
        assert!(ok + failed >= live_due, "{ok} + {failed} of {live_due}");
        assert_eq!((failed, ok), (7, latencies));
        load.stop().await;
        assert_eq!(load.hand_over().await, None, "a load that is over hands over nothing more");
        load.join().await.unwrap();
    };
    tokio::join!(collect, run);
}
