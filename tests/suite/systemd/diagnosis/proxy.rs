//! nginx in front of the service: what it answers in the service's stead, and what the service answers itself.

use gapless::model::Cause::{Application, ProxyUpstream};
use gapless::model::FailureClass;

use crate::systemd::diagnosis::lab::Lab;

#[test]
#[ignore = "runs in the box"]
fn a_proxy_answers_502_while_its_upstream_restarts() {
    let diagnosis = Lab::behind_nginx().serving("--start-delay 300ms").restarted().diagnosis();
    let answered = diagnosis.result.status_codes.get(&502).copied();
    assert!(answered.is_some(), "{:?}", diagnosis.result.status_codes);
    diagnosis.counts(FailureClass::UnexpectedStatus).blames(ProxyUpstream).blames_only(&[ProxyUpstream]);
}

#[test]
#[ignore = "runs in the box"]
fn a_proxy_answers_504_for_an_upstream_that_is_too_slow() {
    let lab = Lab::behind_nginx().serving("--fault stall@every=20").under_new_connections(20).then("wait = \"1500ms\"");
    let diagnosis = lab.diagnosis();
    let answered = diagnosis.result.status_codes.get(&504).copied();
    assert!(answered.is_some(), "{:?}", diagnosis.result.status_codes);
    diagnosis.blames(ProxyUpstream).blames_only(&[ProxyUpstream]);
}

#[test]
#[ignore = "runs in the box"]
fn what_the_application_answers_through_the_proxy_is_its_own() {
    let lab =
        Lab::behind_nginx().serving("--fault wrong-status@every=10").under_new_connections(50).then("wait = \"500ms\"");
    lab.diagnosis().counts(FailureClass::UnexpectedStatus).blames(Application).blames_only(&[Application]);
}
