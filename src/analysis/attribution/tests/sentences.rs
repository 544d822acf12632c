//! What is told of failures that no one mechanism explains.

use super::*;

/// What the evidence says of two requests that were not answered for a second, until 6.1 and 7.1 s.
fn told(mut run: Simulation) -> String {
    let fate = Err(of_new(FailureClass::ResponseTimeout));
    let (due_us, end_us) = (6_100_000, Some(7_100_000));
    run.requests.push(Request { cohort: 1, due_us, sent_us: Some(due_us), end_us, fate });
    let mut result = run.losing(of_new(FailureClass::ResponseTimeout), 5_100, 1_000);
    assert_eq!(result.causes.keys().collect::<Vec<_>>(), [&Cause::Ambiguous]);
    result.evidence.swap_remove(0).sentence
}

#[test]
fn a_listener_that_stayed_is_told_with_its_queue() {
    let waiting = [queue(at_ms(0), Some((7, 0))), queue(at_ms(6_500), Some((7, 3)))];
    let known =
        "2 response timeout: no single mechanism explains these failures, between 5.100 s and 6.100 s; the listener on";
    let queue = "127.0.0.1:8010 stayed, and of 129 places in its queue at most 3 were taken";
    assert_eq!(told(plain().seeing(waiting)), format!("{known} {queue}"));
    assert_eq!(told(plain().seeing(steady())), format!("{known} 127.0.0.1:8010 stayed, with an empty queue"));
}

#[test]
fn a_listener_that_went_or_was_another_is_told() {
    let gone = [queue(at_ms(0), Some((7, 0))), queue(at_ms(6_500), None), queue(at_ms(6_600), Some((7, 0)))];
    let sentence = told(plain().seeing(gone));
    assert!(sentence.contains("; at times no process was listening on 127.0.0.1:8010"), "{sentence}");
    let another = [queue(at_ms(0), Some((7, 0))), queue(at_ms(6_500), Some((8, 0)))];
    let sentence = told(plain().seeing(another));
    assert!(sentence.contains("; another listener took the place of the one on 127.0.0.1:8010"), "{sentence}");
}

#[test]
fn the_old_process_is_told_of_what_failed_while_the_event_was_under_way() {
    let timeout = of_new(FailureClass::ConnectTimeout);
    let result = behind_socket().seeing(steady()).losing(timeout, 2_100, 10);
    assert_eq!(result.causes.keys().collect::<Vec<_>>(), [&Cause::Ambiguous]);
    let sentence = &result.evidence[0].sentence;
    assert!(sentence.ends_with("; PID 812 was gone at 1.020 s"), "{sentence}");
}

#[test]
fn of_a_listener_that_was_not_looked_at_nothing_is_told() {
    let sentence = told(plain());
    assert!(!sentence.contains("listener") && !sentence.contains("listened"), "{sentence}");
}
