//! Each mechanism with its cause, and a neighbouring condition that must not be given that cause.

use super::*;

#[test]
fn refused_while_the_service_is_away_is_no_listener() {
    use FailureClass::Refused;
    assert_eq!(plain().cause(of_new(Refused), 2_030, 0), Cause::NoListener);
    assert_eq!(plain().cause(of_new(Refused), 5_000, 0), Cause::NoListener, "a refusal speaks for itself");
    assert_eq!(plain().cause(of_new(FailureClass::PathMissing), 5_000, 0), Cause::NoListener);
    assert_eq!(plain().seeing(steady()).cause(of_new(Refused), 2_030, 0), Cause::Ambiguous, "somebody listened");
    assert_eq!(behind_socket().cause(of_new(Refused), 2_030, 0), Cause::Ambiguous, "an active socket listens");
}

#[test]
fn refused_by_an_active_socket_is_no_listener_on_the_kernels_word_only() {
    let gone = [queue(at_ms(0), Some((7, 0))), queue(at_ms(2_010), None)];
    assert_eq!(behind_socket().seeing(gone).cause(of_new(FailureClass::Refused), 2_100, 0), Cause::NoListener);
    assert_eq!(behind_socket().seeing(steady()).cause(of_new(FailureClass::Refused), 2_100, 0), Cause::Ambiguous);
}

#[test]
fn reset_as_a_filled_queue_is_flushed_is_accepted_unread_and_an_end_in_order_is_killed_in_flight() {
    let reset = of_new(FailureClass::ResetBeforeResponse);
    let flushing = || with_socket(|socket| socket.flush_pending = true);
    let filled = || [queue(at_ms(0), Some((7, 0))), queue(at_ms(2_010), Some((7, 5)))];
    assert_eq!(flushing().seeing(filled()).cause(reset, 1_920, 100), Cause::AcceptedUnread);
    assert_eq!(flushing().by_kill().seeing(filled()).cause(reset, 1_920, 100), Cause::AcceptedUnread);
    let closed = of_new(FailureClass::ClosedBeforeResponse);
    assert_eq!(flushing().seeing(steady()).cause(closed, 1_920, 100), Cause::KilledInFlight, "nothing waited");
    assert_eq!(behind_socket().seeing(filled()).cause(closed, 1_920, 100), Cause::KilledInFlight, "no FlushPending=");
}

#[test]
fn reset_by_a_socket_unit_that_accepts_itself_is_accepted_unread_at_any_time() {
    let reset = of_new(FailureClass::ResetBeforeResponse);
    let accepting = || with_socket(|socket| socket.accept = true).seeing(steady());
    assert_eq!(accepting().cause(reset, 5_000, 5), Cause::AcceptedUnread);
    let closed = of_new(FailureClass::ClosedBeforeResponse);
    assert_eq!(accepting().cause(closed, 5_000, 5), Cause::Ambiguous, "its own service may have ended");
    assert_eq!(accepting().cause(then_reset(closed), 5_000, 5), Cause::Ambiguous, "or closed it");
    assert_eq!(behind_socket().seeing(steady()).cause(reset, 5_000, 5), Cause::Ambiguous, "the service accepts");
}

#[test]
fn a_write_that_fails_on_a_connection_of_a_kept_listener_was_accepted_unread() {
    let failed = of_new(FailureClass::WriteFailed);
    assert_eq!(behind_socket().seeing(steady()).cause(failed, 2_010, 5), Cause::AcceptedUnread);
    assert_eq!(plain().cause(failed, 2_010, 5), Cause::AcceptQueueReset, "its listener went");
    let late = |connected_ms| behind_socket().seeing(steady()).cause_on(Some(connected_ms), failed, 2_400, 5);
    assert_eq!(late(1_990), Cause::AcceptedUnread, "a busy client writes long after the stop");
    assert_eq!(late(2_390), Cause::Ambiguous, "nothing stopped since it connected");
}

#[test]
fn a_connection_that_was_open_for_long_over_an_empty_queue_did_not_wait_in_it() {
    let reset = of_new(FailureClass::ResetBeforeResponse);
    let gone = |queued| [queue(at_ms(0), Some((7, queued))), queue(at_ms(2_012), None)];
    let cause = |queued, connected| plain().seeing(gone(queued)).cause_on(Some(connected), reset, 2_010, 5);
    assert_eq!(cause(0, 1_800), Cause::AcceptedUnread);
    assert_eq!(cause(3, 1_800), Cause::AcceptQueueReset, "the queue was filled");
    assert_eq!(cause(0, 2_000), Cause::AcceptQueueReset, "it was too young to tell");
}

#[test]
fn reset_as_the_listener_closes_is_an_accept_queue_reset() {
    let reset = of_new(FailureClass::ResetBeforeResponse);
    assert_eq!(plain().cause(reset, 2_010, 5), Cause::AcceptQueueReset);
    assert_eq!(plain().cause(reset, 5_000, 5), Cause::Ambiguous, "no listener closed then");
    assert_eq!(behind_socket().cause(reset, 2_010, 5), Cause::AcceptedUnread, "the socket kept its queue");
    assert_ne!(plain().cause(of_reused(FailureClass::ResetBeforeResponse), 2_010, 5), Cause::AcceptQueueReset);
}

#[test]
fn reset_by_a_kill_is_an_accept_queue_reset_only_if_the_queue_was_filled() {
    let reset = of_new(FailureClass::ResetBeforeResponse);
    let filled = [queue(at_ms(1_990), Some((7, 3))), queue(at_ms(2_010), None)];
    assert_eq!(plain().by_kill().seeing(filled).cause(reset, 2_010, 5), Cause::AcceptQueueReset);
    assert_eq!(plain().by_kill().cause(reset, 2_010, 5), Cause::Ambiguous);
}

#[test]
fn reset_by_a_kill_before_the_client_could_send_is_an_accept_queue_reset() {
    let reset = of_new(FailureClass::ConnectReset);
    assert_eq!(plain().by_kill().cause(reset, 2_010, 1), Cause::AcceptQueueReset);
    assert_eq!(behind_socket().by_kill().seeing(steady()).cause(reset, 2_010, 1), Cause::AcceptedUnread, "it stayed");
}

#[test]
fn a_process_that_ends_during_a_wait_was_not_stopping_all_the_while() {
    let closed = of_new(FailureClass::ClosedBeforeResponse);
    let slowly = || Simulation { events: vec![restart(0, 2_000, false, (600, 640, 900))], ..plain() };
    let unread = then_reset(closed);
    assert_eq!(slowly().cause(unread, 2_100, 5), Cause::AcceptedUnread);
    assert_eq!(slowly().cause(closed, 2_100, 5), Cause::KilledInFlight, "no reset: it had been read");
    for key in [closed, unread] {
        assert_eq!(slowly().while_waiting().cause(key, 2_100, 5), Cause::Ambiguous, "nobody had told it to stop");
    }
    assert_eq!(slowly().while_waiting().cause(unread, 2_590, 5), Cause::AcceptedUnread, "as it ended");
    assert_eq!(slowly().while_waiting().cause(closed, 2_590, 5), Cause::KilledInFlight, "as it ended");
}

#[test]
fn closed_on_a_new_connection_while_stopping_is_accepted_unread_if_a_reset_followed_and_else_was_in_hand() {
    let closed = of_new(FailureClass::ClosedBeforeResponse);
    assert_eq!(behind_socket().cause(then_reset(closed), 2_010, 5), Cause::AcceptedUnread);
    assert_eq!(behind_socket().cause(closed, 2_010, 5), Cause::KilledInFlight);
    assert_eq!(behind_socket().cause(closed, 5_000, 5), Cause::Ambiguous, "nothing was stopping");
    assert_eq!(behind_socket().by_kill().cause(closed, 2_010, 5), Cause::KilledInFlight);
}

#[test]
fn what_was_written_to_another_machine_may_have_been_reset_after_the_client_looked() {
    let afar = Destination::Host { host: "192.0.2.7".to_owned(), port: 8010 };
    let closed = of_new(FailureClass::ClosedBeforeResponse);
    assert_eq!(behind_socket().connecting_to(&afar).cause(closed, 2_010, 5), Cause::Ambiguous);
    assert_eq!(plain().connecting_to(&afar).cause(then_reset(closed), 2_010, 5), Cause::AcceptedUnread);
}

#[test]
fn what_a_worker_had_in_hand_as_it_ended_is_killed_in_flight_whatever_the_event() {
    for class in [FailureClass::ClosedBeforeResponse, FailureClass::ClosedMidResponse] {
        for key in [of_new(class), of_reused(class)] {
            assert_eq!(behind_socket().seeing([exit(5_020)]).cause(key, 4_900, 118), Cause::KilledInFlight, "{key:?}");
            assert_eq!(behind_socket().seeing([exit(5_200)]).cause(key, 4_900, 118), Cause::Ambiguous, "{key:?}");
        }
    }
    let unread = of_new(FailureClass::ResetBeforeResponse);
    let kept = || behind_socket().seeing(steady()).seeing([exit(5_020)]);
    assert_eq!(kept().cause(unread, 5_010, 8), Cause::AcceptedUnread);
    assert_eq!(kept().cause(of_reused(FailureClass::ResetBeforeResponse), 5_010, 8), Cause::KeepAliveRace);
}

#[test]
fn on_a_unix_socket_an_end_of_file_says_that_it_had_been_read_and_a_reset_that_it_had_not() {
    let path = Destination::Unix(PathBuf::from("/run/ledger/ledger.sock"));
    let cause = |key| behind_socket().by_kill().connecting_to(&path).cause(key, 2_010, 5);
    assert_eq!(cause(of_reused(FailureClass::ClosedBeforeResponse)), Cause::KilledInFlight);
    assert_eq!(cause(of_reused(FailureClass::ResetBeforeResponse)), Cause::KeepAliveRace);
    assert_eq!(cause(of_new(FailureClass::ResetBeforeResponse)), Cause::AcceptedUnread, "its socket unit stayed");
}

#[test]
fn closed_on_a_reused_connection_is_a_keep_alive_race_if_a_reset_followed() {
    let closed = of_reused(FailureClass::ClosedBeforeResponse);
    assert_eq!(plain().cause(then_reset(closed), 2_010, 1), Cause::KeepAliveRace);
    assert_eq!(plain().cause(then_reset(closed), 1_500, 520), Cause::KeepAliveRace, "however long it took");
    assert_eq!(plain().cause(then_reset(closed), 5_000, 1), Cause::KeepAliveRace, "whenever");
    assert_eq!(plain().cause(closed, 2_010, 1), Cause::KilledInFlight, "however short it took");
    assert_eq!(plain().by_kill().cause(closed, 2_010, 1), Cause::KilledInFlight);
    assert_eq!(plain().cause(closed, 1_500, 520), Cause::KilledInFlight, "served for half a second until the exit");
    assert_eq!(plain().cause(closed, 5_000, 500), Cause::Ambiguous, "served, and nothing ended");
}

#[test]
fn cut_short_as_the_process_ends_is_killed_in_flight() {
    for class in [FailureClass::ResetMidResponse, FailureClass::ClosedMidResponse] {
        assert_eq!(plain().cause(of_reused(class), 1_900, 118), Cause::KilledInFlight);
        assert_eq!(plain().cause(of_reused(class), 5_000, 118), Cause::Ambiguous, "no process ended");
    }
}

#[test]
fn a_full_accept_queue_is_an_overflow() {
    let timeout = of_new(FailureClass::ConnectTimeout);
    let full = [queue(at_ms(0), Some((7, 0))), queue(at_ms(2_050), Some((7, 129)))];
    assert_eq!(behind_socket().cause(of_new(FailureClass::QueueFull), 2_100, 0), Cause::QueueOverflow);
    assert_eq!(behind_socket().seeing(full).cause(timeout, 2_100, 10_000), Cause::QueueOverflow);
    assert_eq!(behind_socket().seeing(steady()).cause(timeout, 2_100, 10_000), Cause::Ambiguous, "there was room");
}

#[test]
fn a_connect_timeout_without_a_look_at_the_queue_is_an_overflow_on_loopback_only() {
    let timeout = of_new(FailureClass::ConnectTimeout);
    let remote = Destination::Host { host: "192.0.2.7".to_owned(), port: 80 };
    assert_eq!(behind_socket().cause(timeout, 2_100, 10_000), Cause::QueueOverflow);
    assert_eq!(behind_socket().connecting_to(&remote).cause(timeout, 2_100, 10_000), Cause::Ambiguous);
}

#[test]
fn a_connect_timeout_with_rising_listen_overflows_is_an_overflow() {
    let timeout = of_new(FailureClass::ConnectTimeout);
    let counted = |ms, n| Line::Counters(Counters { at: at_ms(ms), values: vec![("ListenOverflows".to_owned(), n)] });
    let remote = Destination::Host { host: "192.0.2.7".to_owned(), port: 80 };
    let run = |after| behind_socket().connecting_to(&remote).seeing([counted(0, 5), counted(12_100, after)]);
    assert_eq!(run(9).cause(timeout, 2_100, 10_000), Cause::QueueOverflow);
    assert_eq!(run(5).cause(timeout, 2_100, 10_000), Cause::Ambiguous);
}

#[test]
fn timed_out_before_the_new_process_answered_is_a_slow_start() {
    for class in [FailureClass::ResponseTimeout, FailureClass::NoConnection] {
        assert_eq!(behind_socket().never_answering().cause(of_new(class), 2_100, 10_000), Cause::SlowStart);
        assert_eq!(behind_socket().cause(of_new(class), 2_100, 10_000), Cause::Ambiguous, "others were answered");
    }
}

#[test]
fn timed_out_while_the_old_process_took_its_time_to_end_is_a_slow_stop() {
    let timeout = of_new(FailureClass::ResponseTimeout);
    let slowly = |gone, started, answered| {
        let run = Simulation { events: vec![restart(0, 2_000, true, (gone, started, answered))], ..behind_socket() };
        run.silent_until(2_000 + answered)
    };
    assert_eq!(slowly(5_000, 5_050, 5_100).cause(timeout, 2_100, 2_000), Cause::SlowStop);
    assert_eq!(slowly(5_000, 5_050, 5_100).cause(timeout, 5_060, 2_000), Cause::SlowStop, "mostly");
    assert_eq!(slowly(500, 550, 5_100).cause(timeout, 2_400, 2_000), Cause::SlowStart, "mostly");
    let kept = of_reused(FailureClass::ResponseTimeout);
    assert_eq!(slowly(5_000, 5_050, 5_100).cause(kept, 2_100, 2_000), Cause::Ambiguous, "it had been accepted");
    assert_eq!(slowly(5_000, 5_050, 100).cause(timeout, 2_100, 2_000), Cause::Ambiguous, "others were answered");
}

#[test]
fn timed_out_while_a_process_listens_elsewhere_is_not_accepted() {
    let timeout = of_new(FailureClass::ResponseTimeout);
    let holder = |also_listens: &[u16], accepted| {
        let Line::Process(ProcessChange { process, .. }) = exit(0) else { unreachable!("it is one") };
        let at = |port| Endpoint::Tcp(([127, 0, 0, 1], port).into());
        let also_listens = also_listens.iter().map(|&port| at(port)).collect();
        let holders = vec![Holder { process, accepted, also_listens }];
        Line::Holders(Holders { at: at_ms(2_100), endpoint: at(8010), inode: 7, holders, elsewhere: Vec::new() })
    };
    let cause = |line| behind_socket().never_answering().seeing([line]).cause(timeout, 2_100, 10_000);
    assert_eq!(cause(holder(&[9399], 0)), Cause::NotAccepted);
    assert_eq!(cause(holder(&[9399], 1)), Cause::SlowStart, "it takes from this listener, too");
    assert_eq!(cause(holder(&[], 0)), Cause::SlowStart, "it may still come up");
}

#[test]
fn timed_out_while_a_service_that_crashed_comes_up_is_slow_start() {
    let timeout = of_new(FailureClass::ResponseTimeout);
    let silent = |lines: &[Line]| {
        let mut run = plain().seeing(lines.iter().cloned());
        run.requests.retain(|request| request.due_us < 5_000_000 || request.due_us >= 8_000_000);
        run
    };
    let service = unit("ledger.service");
    let crashed = [change(&service, 5_000, "failed", "exit-code"), change(&service, 5_010, "activating", "exit-code")];
    assert_eq!(silent(&crashed).cause(timeout, 5_100, 1_000), Cause::SlowStart);
    assert_eq!(silent(&crashed).cause(timeout, 8_500, 1_000), Cause::Ambiguous, "it had answered again");
    assert_eq!(silent(&[]).cause(timeout, 5_100, 1_000), Cause::NotAccepted, "it was up, and silent");
    let asked = [change(&service, 2_010, "inactive", "success")];
    assert_eq!(silent(&asked).cause(timeout, 5_100, 1_000), Cause::NotAccepted, "the event's own start was over");
}

#[test]
fn a_socket_that_is_down_has_the_cause_that_its_result_tells() {
    for class in [FailureClass::Refused, FailureClass::PathMissing] {
        let cause = |state, result| socket_becomes(state, result).cause(of_new(class), 2_200, 0);
        assert_eq!(cause("failed", "service-start-limit-hit"), Cause::StartLimit);
        assert_eq!(cause("failed", "trigger-limit-hit"), Cause::TriggerLimit);
        assert_eq!(cause("failed", "resources"), Cause::SocketUnitDown);
        assert_eq!(cause("inactive", "success"), Cause::SocketUnitDown);
    }
}

#[test]
fn what_helps_against_a_reset_queue_is_another_where_a_socket_unit_holds_the_listener() {
    let remedy = |run: Simulation| {
        let reset = of_new(FailureClass::ResetBeforeResponse);
        let mut run = run;
        run.requests.push(Request {
            cohort: 1,
            due_us: 2_005_000,
            sent_us: Some(2_005_000),
            end_us: Some(2_010_000),
            fate: Err(reset),
        });
        let record = run.record();
        let timeline = Timeline::of(&record);
        let evidence = Attribution::of(&record.tally, &timeline).evidence(&timeline);
        assert_eq!(evidence[0].cause, Cause::AcceptQueueReset);
        evidence[0].remedy.clone()
    };
    let told = |cause: Cause| Some(cause.remedy().to_owned());
    assert_eq!(remedy(plain()), None, "what helps in general");
    assert_eq!(remedy(socket_becomes("inactive", "success")), told(Cause::SocketUnitDown));
    assert_eq!(remedy(socket_becomes("failed", "service-start-limit-hit")), told(Cause::StartLimit));
}

#[test]
fn a_limit_that_was_hit_explains_no_reset() {
    let run = socket_becomes("failed", "service-start-limit-hit");
    assert_eq!(run.cause(of_new(FailureClass::ResetBeforeResponse), 2_005, 5), Cause::AcceptQueueReset);
}

#[test]
fn a_service_that_hit_its_start_limit_without_a_socket_is_a_start_limit() {
    let failed = change(&unit("ledger.service"), 2_310, "failed", "start-limit-hit");
    assert_eq!(plain().seeing([failed]).cause(of_new(FailureClass::Refused), 3_000, 0), Cause::StartLimit);
}

#[test]
fn a_missing_path_is_unlinked_only_while_its_listener_lives() {
    let path = Destination::Unix(PathBuf::from("/run/ledger/ledger.sock"));
    let missing = of_new(FailureClass::PathMissing);
    assert_eq!(behind_socket().connecting_to(&path).cause(missing, 2_030, 0), Cause::PathUnlinked);
    assert_eq!(plain().connecting_to(&path).cause(missing, 2_030, 0), Cause::NoListener, "the service took it along");
    assert_eq!(
        socket_becomes("inactive", "success").connecting_to(&path).cause(missing, 2_200, 0),
        Cause::SocketUnitDown
    );
}

#[test]
fn no_permission_is_its_own_cause() {
    assert_eq!(plain().cause(of_new(FailureClass::Permission), 2_030, 0), Cause::Permission);
}

#[test]
fn a_wrong_answer_is_a_proxys_only_where_one_is_known_to_be_there() {
    let status = |status| FailureKey { status: Some(status), ..of_reused(FailureClass::UnexpectedStatus) };
    let held_by = |name: &str| {
        let Line::Process(ProcessChange { process, .. }) = exit(0) else { unreachable!("it is one") };
        let process = Process { name: name.to_owned(), unit: None, ..process };
        let holder = Holder { process, accepted: 1, also_listens: Vec::new() };
        let endpoint = Endpoint::Tcp(([127, 0, 0, 1], 8010).into());
        plain().seeing([Line::Holders(Holders {
            at: at_ms(0),
            endpoint,
            inode: 7,
            holders: vec![holder],
            elsewhere: Vec::new(),
        })])
    };
    for proxy in [502, 503, 504] {
        assert_eq!(held_by("nginx").cause(status(proxy), 2_030, 1), Cause::ProxyUpstream);
        assert_eq!(held_by("python3").cause(status(proxy), 2_030, 1), Cause::Application);
        assert_eq!(plain().cause(status(proxy), 2_030, 1), Cause::Application, "who answered is not known");
    }
    for application in [500, 404, 505, 301] {
        assert_eq!(held_by("nginx").cause(status(application), 2_030, 1), Cause::Application);
    }
    let call = |grpc| FailureKey { status: Some(200), grpc, ..of_reused(FailureClass::UnexpectedGrpcStatus) };
    let unavailable = call(Some(GrpcStatus::Unavailable));
    assert_eq!(held_by("nginx").cause(unavailable, 2_030, 1), Cause::ProxyUpstream);
    assert_eq!(held_by("python3").cause(unavailable, 2_030, 1), Cause::Application);
    assert_eq!(plain().cause(unavailable, 2_030, 1), Cause::Application, "who answered is not known");
    for application in [GrpcStatus::Internal, GrpcStatus::Unknown, GrpcStatus::DeadlineExceeded] {
        assert_eq!(held_by("nginx").cause(call(Some(application)), 2_030, 1), Cause::Application);
    }
    let body = FailureKey { status: Some(503), ..of_reused(FailureClass::UnexpectedBody) };
    assert_eq!(held_by("nginx").cause(body, 2_030, 1), Cause::Application, "503 was the expected status");
}

#[test]
fn a_stream_that_a_goaway_refused_is_a_goaway_race_and_one_that_was_refused_by_itself_is_not() {
    let refused = of_reused(FailureClass::StreamRefused);
    assert_eq!(plain().cause(refused, 2_010, 1), Cause::GoawayRace);
    let by_reset = FailureKey { code: Some(7), ..refused };
    assert_eq!(plain().cause(by_reset, 2_010, 1), Cause::Ambiguous);
}

#[test]
fn a_stream_that_is_reset_as_the_process_ends_was_killed_in_flight_and_one_that_is_reset_later_was_not() {
    let reset = FailureKey { code: Some(8), ..of_reused(FailureClass::StreamReset) };
    assert_eq!(plain().cause(reset, 2_010, 1), Cause::KilledInFlight);
    assert_eq!(plain().cause(reset, 3_000, 1), Cause::Ambiguous);
}

#[test]
fn what_no_rule_explains_is_ambiguous() {
    for class in [FailureClass::Malformed, FailureClass::ConnectOther] {
        assert_eq!(plain().cause(of_new(class), 2_010, 1), Cause::Ambiguous);
    }
    assert_eq!(plain().cause(of_new(FailureClass::Tls), 2_010, 1), Cause::Tls);
}

#[test]
fn failures_without_a_sample_are_judged_by_their_row() {
    let mut run = plain();
    for place in 0..40 {
        let due_us = 2_100_000 + place * 1_000;
        let fate = Err(of_new(FailureClass::Refused));
        run.requests.push(Request { cohort: 1, due_us, sent_us: None, end_us: Some(due_us + 100), fate });
    }
    let record = run.record_with(|lines| {
        for segment in segments(lines) {
            let kept = segment.samples.len().min(3);
            segment.samples_left_out += segment.samples.drain(kept..).count() as u64;
        }
    });
    let timeline = Timeline::of(&record);
    assert_eq!(timeline.row_index(at_us(2_100_000)), 21);
    let causes = Attribution::of(&record.tally, &timeline).causes(|_, _| true);
    assert_eq!(causes, [(Cause::NoListener, 40)].into());
}
