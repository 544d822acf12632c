//! Targets that take messages: what is counted is what the server counted itself.

use std::io::Read as _;
use std::net::UdpSocket;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use gapless::load::LoadHandle;
use gapless::model::{Disposition, Endpoint, FailureClass};
use gapless::scenario::plan::{Cohort, Connections, Scheme};
use rustix::fs::{CWD, Mode, OFlags};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketAddrUnix, SocketFlags, SocketType};

use crate::load::harness::{Totals, cohort, load, until};

const RATE: f64 = 200.0;

/// Far longer than an answer takes, also while the machine is busy.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Of a server that answers late on purpose.
const SHORT_TIMEOUT: Duration = Duration::from_millis(400);

fn messages(endpoint: &Endpoint) -> Cohort {
    let mut cohort = Cohort { connections: Connections::New, ..cohort(endpoint, RATE) };
    let is_fifo = matches!(endpoint, Endpoint::Fifo(_));
    cohort.target.scheme = if is_fifo { Scheme::Fifo } else { Scheme::Message };
    cohort.target.url = endpoint.to_string();
    cohort.target.body = b"01234567".to_vec();
    cohort.target.expect_status = Vec::new();
    cohort.target.expect_body = (!is_fifo).then(|| "^ok$".to_owned());
    (cohort.target.timeout, cohort.target.connect_timeout) = (TIMEOUT, TIMEOUT);
    cohort
}

/// Loads until this many requests were due, and what became of each.
async fn load_due(cohort: Cohort, due: u64) -> Totals {
    let totals = load(&[cohort], async |load: LoadHandle| {
        until(&load.live().due, due).await;
        load
    })
    .await;
    totals.assert_adds_up();
    totals
}

/// What a server did with the messages that it took.
#[derive(Default)]
struct Served {
    right: AtomicU64,
    wrong: AtomicU64,
    silent: AtomicU64,
}

impl Served {
    fn answer(&self, number: u64) -> Option<&'static [u8]> {
        let (counter, answer): (_, Option<&[u8]>) = match number % 4 {
            1 => (&self.silent, None),
            2 => (&self.wrong, Some(b"no")),
            _ => (&self.right, Some(b"ok")),
        };
        counter.fetch_add(1, Ordering::SeqCst);
        answer
    }

    fn assert_agrees(&self, totals: &Totals) {
        let [right, wrong, silent] = [&self.right, &self.wrong, &self.silent].map(|count| count.load(Ordering::SeqCst));
        assert!(right > 0 && wrong > 0 && silent > 0);
        assert_eq!((totals.ok, totals.of(FailureClass::UnexpectedBody)), (right, wrong));
        assert_eq!(totals.of(FailureClass::ResponseTimeout), silent);
        // A Unix socket has room for ten datagrams, which a busy machine may leave there for a while.
        assert_eq!(totals.due, right + wrong + silent + totals.of(FailureClass::QueueFull));
        assert!(totals.statuses.is_empty());
    }
}

fn udp() -> (UdpSocket, Endpoint) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let endpoint = Endpoint::Udp(socket.local_addr().unwrap());
    (socket, endpoint)
}

#[tokio::test]
async fn each_udp_datagram_is_judged_by_the_one_that_answers_it() {
    let ((socket, endpoint), served) = (udp(), Arc::new(Served::default()));
    let serves = Arc::clone(&served);
    std::thread::spawn(move || {
        let mut datagram = [0; 100];
        for number in 0.. {
            let (length, client) = socket.recv_from(&mut datagram).unwrap();
            assert_eq!(&datagram[..length], b"01234567");
            if let Some(answer) = serves.answer(number) {
                socket.send_to(answer, client).unwrap();
            }
        }
    });
    served.assert_agrees(&load_due(messages(&endpoint), 40).await);
}

#[tokio::test]
async fn a_late_answer_is_never_that_of_a_later_request() {
    let (socket, endpoint) = udp();
    let late = Arc::<AtomicU64>::default();
    let counts = Arc::clone(&late);
    std::thread::spawn(move || {
        let mut waiting = std::collections::VecDeque::new();
        while let Ok((_, client)) = socket.recv_from(&mut [0; 100]) {
            waiting.push_back((std::time::Instant::now(), client));
            while waiting.front().is_some_and(|(since, _)| since.elapsed() > SHORT_TIMEOUT + SHORT_TIMEOUT / 2) {
                let (_, client) = waiting.pop_front().unwrap();
                socket.send_to(b"ok", client).unwrap();
                counts.fetch_add(1, Ordering::SeqCst);
            }
        }
    });
    let mut cohort = messages(&endpoint);
    (cohort.target.timeout, cohort.target.connect_timeout) = (SHORT_TIMEOUT, SHORT_TIMEOUT);
    let totals = load_due(cohort, 300).await;
    assert!(late.load(Ordering::SeqCst) > 50, "late answers came while requests were waiting");
    assert_eq!((totals.ok, totals.of(FailureClass::ResponseTimeout)), (0, totals.due));
}

#[tokio::test]
async fn a_udp_port_that_nobody_has_refuses_each_datagram() {
    let (_, endpoint) = udp();
    let totals = load_due(messages(&endpoint), 10).await;
    assert_eq!(totals.of(FailureClass::Refused), totals.due);
    let keys: Vec<_> = totals.failures.keys().map(|key| (key.errno, key.disposition)).collect();
    assert_eq!(keys, [(Some(111), Disposition::Unanswered)], "it was sent, and the kernel said that nobody took it");
}

#[tokio::test]
async fn a_unix_datagram_is_answered_at_an_address_of_its_own() {
    let (folder, served) = (tempfile::tempdir().unwrap(), Arc::new(Served::default()));
    let path = folder.path().join("s");
    let socket = UnixDatagram::bind(&path).unwrap();
    let serves = Arc::clone(&served);
    std::thread::spawn(move || {
        for number in 0.. {
            let (_, client) = socket.recv_from(&mut [0; 100]).unwrap();
            if let Some(answer) = serves.answer(number) {
                socket.send_to_addr(answer, &client).unwrap();
            }
        }
    });
    served.assert_agrees(&load_due(messages(&Endpoint::UnixDgram(path)), 40).await);
}

#[tokio::test]
async fn a_full_queue_of_a_unix_socket_is_told_at_once_and_what_it_took_is_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let socket = UnixDatagram::bind(&path).unwrap();
    // systemd raises it from 10 to 512.
    let room = std::fs::read_to_string("/proc/sys/net/unix/max_dgram_qlen").unwrap();
    let room: u64 = room.trim().parse().unwrap();
    let totals = load_due(messages(&Endpoint::UnixDgram(path)), room + 30).await;
    socket.set_nonblocking(true).unwrap();
    let taken = std::iter::from_fn(|| socket.recv(&mut [0; 100]).ok()).count() as u64;
    assert_eq!((totals.of(FailureClass::ResponseTimeout), totals.ok), (taken, 0));
    assert_eq!(totals.of(FailureClass::QueueFull), totals.due - taken);
    assert!(taken > 0 && taken < totals.due);
}

#[tokio::test]
async fn a_path_without_a_socket_and_a_socket_without_a_process_are_distinguished() {
    let folder = tempfile::tempdir().unwrap();
    let [missing, stale] = ["missing", "stale"].map(|name| folder.path().join(name));
    drop(UnixDatagram::bind(&stale).unwrap());
    for (path, class) in [(missing, FailureClass::PathMissing), (stale, FailureClass::Refused)] {
        for endpoint in [Endpoint::UnixDgram(path.clone()), Endpoint::UnixSeqpacket(path)] {
            let totals = load_due(messages(&endpoint), 5).await;
            // A stale socket of the other type is of the wrong type.
            let is_wrong_type = matches!(endpoint, Endpoint::UnixSeqpacket(_)) && class == FailureClass::Refused;
            let class = if is_wrong_type { FailureClass::ConnectOther } else { class };
            assert!(totals.of(class) == totals.due || totals.of(FailureClass::Refused) == totals.due, "{endpoint}");
        }
    }
}

/// Answers each message on each connection; every fourth connection is closed without an answer.
fn seqpacket_server(path: &Path) -> Arc<Served> {
    let socket =
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
    rustix::net::bind(&socket, &SocketAddrUnix::new(path).unwrap()).unwrap();
    rustix::net::listen(&socket, 128).unwrap();
    let served = Arc::new(Served::default());
    let serves = Arc::clone(&served);
    std::thread::spawn(move || {
        for number in 0.. {
            let connection: OwnedFd = rustix::net::accept(&socket).unwrap();
            let (_, length) = rustix::net::recv(&connection, &mut [0; 100][..], RecvFlags::empty()).unwrap();
            assert_eq!(length, 8);
            if let Some(answer) = serves.answer(number) {
                rustix::net::send(&connection, answer, SendFlags::empty()).unwrap();
            }
        }
    });
    served
}

#[tokio::test]
async fn a_message_on_a_connection_is_answered_or_the_connection_ends() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("s");
    let served = seqpacket_server(&path);
    let totals = load_due(messages(&Endpoint::UnixSeqpacket(path)), 40).await;
    let [right, wrong, silent] =
        [&served.right, &served.wrong, &served.silent].map(|count| count.load(Ordering::SeqCst));
    assert_eq!((totals.ok, totals.of(FailureClass::UnexpectedBody)), (right, wrong));
    assert_eq!(totals.of(FailureClass::ClosedBeforeResponse), silent);
}

fn fifo(folder: &Path) -> PathBuf {
    let path = folder.join("f");
    rustix::fs::mkfifoat(CWD, &path, Mode::from_raw_mode(0o600)).unwrap();
    path
}

#[tokio::test]
async fn what_a_fifo_takes_is_what_its_reader_gets() {
    let folder = tempfile::tempdir().unwrap();
    let path = fifo(folder.path());
    let nobody = load_due(messages(&Endpoint::Fifo(path.clone())), 5).await;
    assert_eq!(nobody.of(FailureClass::Refused), nobody.due, "no process has it open to read");
    let reader = rustix::fs::open(&path, OFlags::RDWR | OFlags::NONBLOCK, Mode::empty()).unwrap();
    let totals = load_due(messages(&Endpoint::Fifo(path)), 40).await;
    assert_eq!(totals.ok, totals.due);
    let mut taken = Vec::new();
    // It ends with EAGAIN: both ends are ours.
    let _ = std::fs::File::from(reader).read_to_end(&mut taken);
    assert_eq!(taken, b"01234567".repeat(usize::try_from(totals.ok).unwrap()));
}

#[tokio::test]
async fn a_full_fifo_takes_no_part_of_a_message() {
    let folder = tempfile::tempdir().unwrap();
    let path = fifo(folder.path());
    let reader = rustix::fs::open(&path, OFlags::RDWR | OFlags::NONBLOCK, Mode::empty()).unwrap();
    let mut cohort = messages(&Endpoint::Fifo(path));
    cohort.target.body = vec![b'x'; 4096];
    let totals = load_due(cohort, 40).await;
    let mut taken = Vec::new();
    let _ = std::fs::File::from(reader).read_to_end(&mut taken);
    assert_eq!(taken.len() as u64, totals.ok * 4096);
    assert_eq!(totals.of(FailureClass::QueueFull), totals.due - totals.ok);
    assert!(totals.ok > 0 && totals.of(FailureClass::QueueFull) > 0);
}

#[tokio::test]
async fn a_file_that_is_not_a_fifo_is_not_written_to() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    std::fs::write(&path, "precious").unwrap();
    let totals = load_due(messages(&Endpoint::Fifo(path.clone())), 5).await;
    assert_eq!(totals.of(FailureClass::ConnectOther), totals.due);
    assert_eq!(std::fs::read_to_string(path).unwrap(), "precious");
}
