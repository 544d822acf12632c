//! A server that answers with any bytes, and a load of it: one outcome for each request, whatever came.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use gapless::load::{LoadHandle, Observation};
use gapless::scenario::plan::{Cohort, Connections, Destination, Pace, Protocol, Scheme, StatusPattern, Target};

static ANSWER: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// Answers the first bytes of each connection with the answer of the moment, and closes it.
fn server() -> &'static PathBuf {
    static SERVER: OnceLock<PathBuf> = OnceLock::new();
    SERVER.get_or_init(|| {
        let path = std::env::temp_dir().join(format!("gapless-fuzz-{}.sock", std::process::id()));
        let listener = UnixListener::bind(&path).expect("it is free");
        std::thread::spawn(move || {
            for mut conn in listener.incoming().map_while(Result::ok) {
                let answer = ANSWER.lock().expect("nobody panics").clone();
                // A client that has gone has its reason.
                let _ = conn.read(&mut [0; 1024]).and_then(|_| conn.write_all(&answer));
            }
        });
        path
    })
}

fn cohort(path: PathBuf, protocol: Protocol) -> Cohort {
    Cohort {
        name: "fuzzed".to_owned(),
        pace: Pace::Rate(100_000.0),
        connections: Connections::Reused(1),
        connect_delay: Duration::ZERO,
        streams: 1,
        target: Target {
            scheme: Scheme::Http,
            protocol,
            url: "http://target/".to_owned(),
            connect: Destination::Unix(path),
            authority: "target".to_owned(),
            method: "GET".to_owned(),
            path: "/".to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
            expect_status: vec![StatusPattern::Class(2)],
            expect_grpc_status: Vec::new(),
            expect_body: Some("^hello$".to_owned()),
            instance: None,
            requests: Vec::new(),
            timeout: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(5),
            ca_file: None,
            insecure: false,
            front: false,
        },
    }
}

async fn load(cohort: Cohort) {
    let mut load = LoadHandle::start_counting(&[cohort]).expect("it starts");
    let mut observations = load.take_observations().expect("once");
    let (mut due, mut ended) = (0, 0);
    let receive = async {
        while let Some(observation) = observations.recv().await {
            let Observation::Rows(rows) = observation else { continue };
            for row in rows.rows {
                due += row.due;
                ended += row.ok + row.failures.iter().map(|failure| failure.n).sum::<u64>();
            }
        }
    };
    let run = async {
        load.stop().await;
        load.join().await.expect("no panic");
    };
    futures_util::future::join(receive, run).await;
    assert_eq!(due, ended);
}

/// Loads a server of that protocol which answers with these bytes.
pub fn load_answered_with(answer: &[u8], protocol: Protocol) {
    let path = server().clone();
    answer.clone_into(&mut ANSWER.lock().expect("nobody panics"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("it starts");
    runtime.block_on(load(cohort(path, protocol)));
}
