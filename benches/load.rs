//! The parts of the load path that every request goes through, each by itself: `cargo bench`, or one of them with
//! `cargo bench -- exchange`. How the whole compares with other load generators: `benches/compare`.

use std::time::Duration;

use gapless::model::MonoTime;

const START: MonoTime = MonoTime::from_nanos(1_000_000_000);

fn main() {
    divan::main();
}

/// From a request's bytes to its judged answer.
mod exchange {
    use std::hint::black_box;
    use std::path::PathBuf;
    use std::time::Duration;

    use divan::Bencher;
    use divan::counter::BytesCount;
    use gapless::load::internals::{AnswerReader, Pair, Progress};
    use gapless::scenario::plan::{Cohort, Connections, Destination, Pace, Protocol, Scheme, StatusPattern, Target};

    /// As nginx answers.
    const LENGTH: &[u8] = b"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Sat, 21 Nov 2026 12:00:00 GMT\r\n\
        Content-Type: text/plain\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nhello";
    /// As uvicorn answers what it streams.
    const CHUNKED: &[u8] = b"HTTP/1.1 200 OK\r\ndate: Sat, 21 Nov 2026 12:00:00 GMT\r\nserver: uvicorn\r\n\
        content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\nf\r\n{\"status\":\"ok\"}\r\n0\r\n\r\n";

    /// Reads one answer that comes in parts of this number of bytes.
    fn read(bencher: Bencher<'_, '_>, answer: &[u8], part_bytes: usize) {
        let mut reader = AnswerReader::new("GET");
        bencher.counter(BytesCount::of_slice(answer)).bench_local(|| {
            reader.begin();
            let progress = black_box(answer).chunks(part_bytes).map(|part| reader.feed(part, |_| ())).last();
            assert_eq!(progress, Some(Progress::Whole { surplus: 0 }));
        });
    }

    #[divan::bench]
    fn read_an_answer_with_a_length(bencher: Bencher<'_, '_>) {
        read(bencher, LENGTH, LENGTH.len());
    }

    #[divan::bench]
    fn read_a_chunked_answer(bencher: Bencher<'_, '_>) {
        read(bencher, CHUNKED, CHUNKED.len());
    }

    #[divan::bench]
    fn read_an_answer_in_small_parts(bencher: Bencher<'_, '_>) {
        read(bencher, LENGTH, 16);
    }

    /// With the other end of the connection, on one thread: two system calls on each side.
    #[divan::bench]
    fn ask_and_be_answered(bencher: Bencher<'_, '_>) {
        let mut pair = Pair::new(&cohort(), LENGTH).expect("a pair of sockets");
        bencher.bench_local(|| assert!(pair.exchange()));
    }

    fn cohort() -> Cohort {
        Cohort {
            name: "bench".to_owned(),
            pace: Pace::Clients(1),
            connections: Connections::Reused(1),
            connect_delay: Duration::ZERO,
            streams: 1,
            target: Target {
                scheme: Scheme::Http,
                protocol: Protocol::Http1,
                url: "http://127.0.0.1:8008/health".to_owned(),
                connect: Destination::Unix(PathBuf::from("/nowhere")),
                authority: "127.0.0.1:8008".to_owned(),
                method: "GET".to_owned(),
                path: "/health".to_owned(),
                headers: Vec::new(),
                body: Vec::new(),
                expect_status: vec![StatusPattern::Class(2)],
                expect_grpc_status: Vec::new(),
                expect_body: None,
                instance: None,
                requests: Vec::new(),
                timeout: Duration::from_secs(10),
                connect_timeout: Duration::from_secs(10),
                ca_file: None,
                insecure: false,
                front: false,
            },
        }
    }
}

/// Counting: what the one load thread does between two exchanges.
mod recording {
    use divan::Bencher;
    use divan::counter::ItemsCount;
    use gapless::load::internals::Recording;

    use super::{Duration, START};

    /// A second's worth at 20,000/s, handed over as the load does.
    #[divan::bench]
    fn count_a_second_of_answers(bencher: Bencher<'_, '_>) {
        const REQUESTS: u32 = 20_000;
        let (step, service) = (Duration::from_micros(50), Duration::from_micros(120));
        bencher.counter(ItemsCount::new(REQUESTS)).with_inputs(|| Recording::new(START)).bench_local_refs(
            |recording| {
                for number in 0..REQUESTS {
                    let due = START + step * number;
                    let sent = due + Duration::from_nanos(u64::from(number % 97) * 500);
                    recording.ok(due, sent, sent + service);
                }
                // Ten rows and a segment.
                assert_eq!(recording.hand_over(START + Duration::from_secs(1)), 11);
            },
        );
    }
}

/// What is due when.
mod schedule {
    use divan::Bencher;
    use divan::counter::ItemsCount;
    use gapless::load::internals::OpenLoop;

    use super::{Duration, START};

    /// A second's worth at 20,000/s, woken each 100 us.
    #[divan::bench]
    fn release_a_second_of_requests(bencher: Bencher<'_, '_>) {
        const REQUESTS: u32 = 20_000;
        let open_loop = || OpenLoop::new(START, f64::from(REQUESTS)).expect("a rate");
        bencher.counter(ItemsCount::new(REQUESTS)).with_inputs(open_loop).bench_local_refs(|open_loop| {
            let released: usize =
                (1..=10_000).map(|wake| open_loop.release(START + Duration::from_micros(100) * wake)).sum();
            assert_eq!(released, 20_000);
        });
    }
}
