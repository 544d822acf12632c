//! Warmup, events, gaps: what is counted under which scope.

use std::sync::{Arc, Condvar, Mutex};

use gapless::load::LoadHandle;
use gapless::model::EventId;
use gapless::record::segment::Scope;

use crate::load::harness::{by_scope, cohort, until};
use crate::load::server::{ANSWER, Fault, Server};

/// Lets answers through, or holds them back.
#[derive(Clone, Default)]
struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    fn pass(&self) {
        let open = self.0.0.lock().unwrap();
        drop(self.0.1.wait_while(open, |open| !*open).unwrap());
    }
}

fn gated() -> (Gate, Server) {
    let gate = Gate::default();
    let held = gate.clone();
    let server = Server::tcp_with(move |_, conn| {
        conn.take_request()?;
        held.pass();
        conn.write_all(ANSWER)?;
        Ok(true)
    });
    (gate, server)
}

#[tokio::test]
async fn what_is_due_before_counting_began_is_warmup() {
    let server = Server::tcp(Fault::CloseBefore, 5);
    let scopes = by_scope(LoadHandle::start(&[cohort(&server.endpoint, 500.0)]).unwrap(), async |load: LoadHandle| {
        load.all_answered(load.started_at()).await;
        load.begin_counting().await;
        until(&load.live().ok, 5).await;
        load
    })
    .await;
    let (warmup, before) = (&scopes[&Scope::Warmup], &scopes[&Scope::Before]);
    assert_eq!((warmup.due, warmup.failed()), (warmup.ok + 5, 5));
    assert_eq!((before.due, before.failed()), (before.ok, 0));
}

#[tokio::test]
async fn a_request_that_an_event_began_upon_belongs_to_the_event() {
    let (gate, server) = gated();
    let mut marked_at = None;
    let scopes =
        by_scope(LoadHandle::start_counting(&[cohort(&server.endpoint, 200.0)]).unwrap(), async |load: LoadHandle| {
            until(&load.live().due, 3).await;
            let at = load.mark(EventId(0)).await;
            marked_at = Some(at);
            gate.open();
            load.all_answered(at).await;
            load
        })
        .await;
    let (before, event) = (&scopes[&Scope::Before], &scopes[&Scope::Event(EventId(0))]);
    assert!(before.due >= 3);
    assert_eq!((before.ok, before.failed()), (0, 0));
    assert_eq!(event.ok, before.due + event.due);
    assert!(event.first_ok.unwrap().sent > marked_at.unwrap());
}

#[tokio::test]
async fn a_time_without_an_ok_belongs_to_the_event_begun_within_it() {
    let (gate, server) = gated();
    let mut began_and_ready = None;
    let scopes =
        by_scope(LoadHandle::start_counting(&[cohort(&server.endpoint, 200.0)]).unwrap(), async |load: LoadHandle| {
            until(&load.live().due, 3).await;
            let at = load.mark(EventId(7)).await;
            until(&load.live().due, 8).await;
            gate.open();
            began_and_ready = Some((at, load.all_answered(at).await));
            load
        })
        .await;
    let (began, ready) = began_and_ready.unwrap();
    let longest = scopes[&Scope::Event(EventId(7))].gaps.iter().max_by_key(|gap| gap.to.nanos_since(gap.from)).unwrap();
    assert!(longest.from < began && longest.to > began && longest.to <= ready);
    assert!(scopes[&Scope::Before].gaps.is_empty());
}
