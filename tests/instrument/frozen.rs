//! A server that freezes for a second and keeps a log of every answer: the truth about latency.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use gapless::clock;
use gapless::model::MonoTime;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::{Instant, sleep_until};

/// It freezes this long after the first request came, and for this long.
pub(crate) const FREEZE_AFTER: Duration = Duration::from_secs(1);
pub(crate) const FREEZE_FOR: Duration = Duration::from_secs(1);
/// What came while it was frozen it answers one after the other, so far apart that whoever reads the answers is not
/// kept busy by them: what is measured then is the server, not the machine.
const THAW_EVERY: Duration = Duration::from_micros(500);
/// Of these it drops every Nth: closes the connection without an answer.
const DROPS_EVERY: u32 = 100;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// What became of one request, by the server's clock, which is the instrument's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Served {
    /// It had been read.
    pub(crate) arrived: MonoTime,
    /// Its answer was about to be written; none if it was dropped.
    pub(crate) answered: Option<MonoTime>,
}

/// A server that runs until the test process ends.
pub(crate) struct Frozen {
    pub(crate) address: SocketAddr,
    log: Arc<Mutex<Vec<Served>>>,
}

/// What all its connections share.
#[derive(Clone, Default)]
struct State {
    first: Arc<OnceLock<MonoTime>>,
    frozen: Arc<Mutex<u32>>,
    log: Arc<Mutex<Vec<Served>>>,
}

impl Frozen {
    /// On a free port.
    pub(crate) fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let listener = runtime.block_on(async { listen() }).unwrap();
        let address = listener.local_addr().unwrap();
        let state = State::default();
        let log = Arc::clone(&state.log);
        std::thread::spawn(move || {
            runtime.block_on(async {
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    tokio::spawn(state.clone().serve(stream));
                }
            });
        });
        Self { address, log }
    }

    /// What became of all requests, in the order they came.
    pub(crate) fn log(&self) -> Vec<Served> {
        let mut log = self.log.lock().unwrap().clone();
        log.sort_by_key(|served| served.arrived);
        log
    }
}

/// With a queue that takes all that can come while it is frozen, however seldom this thread gets its turn: a SYN that is
/// dropped comes again a second later, out of order.
fn listen() -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.bind(([127, 0, 0, 1], 0).into())?;
    socket.listen(4096)
}

impl State {
    async fn serve(self, mut stream: TcpStream) {
        let mut request = [0; 1024];
        // A request is one segment on loopback.
        while stream.read(&mut request).await.is_ok_and(|length| length > 0) {
            let arrived = clock::now();
            let answered = self.wait(arrived).await;
            self.log.lock().unwrap().push(Served { arrived, answered });
            if answered.is_none() || stream.write_all(ANSWER).await.is_err() {
                return;
            }
        }
    }

    /// Waits as long as the server is frozen: when it answers, none if it does not.
    async fn wait(&self, arrived: MonoTime) -> Option<MonoTime> {
        let freeze = *self.first.get_or_init(|| arrived) + FREEZE_AFTER;
        let thaw = freeze + FREEZE_FOR;
        if arrived >= freeze && arrived < thaw {
            let number = {
                let mut frozen = self.frozen.lock().unwrap();
                *frozen += 1;
                *frozen
            };
            sleep_until(Instant::now() + (thaw + THAW_EVERY * number).since(clock::now())).await;
            if number.is_multiple_of(DROPS_EVERY) {
                return None;
            }
        }
        Some(clock::now())
    }
}
