//! The kernel's own word for each reset and each listener, from a tracing instance of our own.
//!
//! Needs root and a mounted tracefs; nothing depends on it. The instance is removed when its [`Tracer`] is dropped,
//! and instances of runs that died are removed by the next. Facts: `Documentation/trace/ftrace.rst`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rustix::fs::{Access, FlockOperation, flock};
use tokio::sync::mpsc;

use crate::clock;
use crate::model::MonoTime;
use crate::record::line::{TraceEvent, Traced};

/// Where tracefs is mounted, in the order tried.
const TRACEFS: &[&str] = &["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];

/// Our instances are called this, followed by the PID of their run and a number. Their runs hold a lock on them:
/// tracefs is one for all PID namespaces, a PID says nothing in another one.
const INSTANCE_PREFIX: &str = "gapless-";

/// From one look at the pipe to the next. Events carry their time, so nothing is lost by taking them together, and a
/// machine full of strangers' resets does not wake us for each. The kernel keeps some 10,000 for each processor
/// meanwhile, and says so if that was not enough.
const READ_EVERY: Duration = Duration::from_millis(50);

/// The maximum number of events that wait to be recorded.
const CHANNEL_CAPACITY: usize = 8_192;

/// What is traced.
const EVENTS: [&str; 4] = ["inet_sock_set_state", "tcp_destroy_sock", "tcp_send_reset", "tcp_receive_reset"];

/// Why there is no trace.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// tracefs is not mounted, or not for us.
    #[error("the kernel's trace is unavailable: {0}; it needs root and a mounted tracefs")]
    Unavailable(String),
    /// The instance could not be set up.
    #[error("the kernel's trace cannot be set up ({path}): {error}")]
    Setup {
        /// The file in tracefs.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Another machine's, in its own words.
    #[error("{0}")]
    Elsewhere(String),
}

/// Traces the listeners and resets of some ports until it is dropped.
#[derive(Debug)]
pub struct Tracer {
    instance: PathBuf,
    /// Held while we live: see [`remove_abandoned`].
    _lock: File,
    began: MonoTime,
    stop: Arc<AtomicBool>,
    left_out: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Tracer {
    /// Starts tracing. Events of other ports are not delivered.
    ///
    /// # Errors
    /// When this kernel, or this user, cannot.
    pub fn start(ports: &[u16]) -> Result<(Self, mpsc::Receiver<TraceEvent>), TraceError> {
        let (instance, lock) = new_instance(&instances()?)?;
        let (sender, receiver) = mpsc::channel(CHANNEL_CAPACITY);
        let (began, stop, left_out) = (clock::now(), Arc::default(), Arc::default());
        let mut tracer = Self { instance, _lock: lock, began, stop, left_out, thread: None };
        let pipe = tracer.set_up(ports)?;
        tracer.began = clock::now();
        let (stop, left_out, ports) = (Arc::clone(&tracer.stop), Arc::clone(&tracer.left_out), ports.to_vec());
        let read = move || {
            read_until(pipe, &stop, &mut |line: Said| {
                let missed = match line {
                    Said::Event(event) => {
                        let event = TraceEvent { at: clock::of_kernel(event.at), ..event };
                        u64::from(event.traced.concerns(&ports) && sender.try_send(event).is_err())
                    }
                    Said::Lost(events) => events,
                    Said::Destroyed { .. } => 0,
                };
                left_out.fetch_add(missed, Ordering::Relaxed);
            });
        };
        let spawned = std::thread::Builder::new().name("kernel-trace".to_owned()).spawn(read);
        tracer.thread = Some(spawned.map_err(|error| TraceError::Setup { path: tracer.instance.clone(), error })?);
        Ok((tracer, receiver))
    }

    /// From when on nothing is missed.
    #[must_use]
    pub fn began(&self) -> MonoTime {
        self.began
    }

    /// Stops tracing; what was traced before is still delivered. Returns the number of events that were not: the
    /// kernel's buffer was full, or nobody took them in time.
    #[must_use]
    pub fn finish(mut self) -> u64 {
        self.join();
        self.left_out.load(Ordering::Relaxed)
    }

    fn join(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // A reader that panicked has nothing left to say.
            let _ = thread.join();
        }
    }

    fn set_up(&self, ports: &[u16]) -> Result<File, TraceError> {
        let of_ports = ports.iter().map(|port| format!("sport == {port}")).collect::<Vec<_>>().join(" || ");
        // 10 is TCP_LISTEN, include/net/tcp_states.h.
        let listeners = format!("({of_ports}) && (oldstate == 10 || newstate == 10)");
        self.write("trace_clock", "mono")?;
        self.write("events/sock/inet_sock_set_state/filter", &listeners)?;
        self.write("events/sock/inet_sock_set_state/enable", "1")?;
        // Only a listener has no port on the other side.
        self.write("events/tcp/tcp_destroy_sock/filter", &format!("({of_ports}) && dport == 0"))?;
        self.write("events/tcp/tcp_destroy_sock/enable", "1")?;
        self.write("events/tcp/tcp_send_reset/enable", "1")?;
        // A reset that is sent has no ports to filter by; one that is received has those of the client's socket. It
        // only spares us the strangers' resets: what comes is looked at again.
        let from_ports = ports.iter().map(|port| format!("dport == {port}")).collect::<Vec<_>>().join(" || ");
        let _ = self.write("events/tcp/tcp_receive_reset/filter", &from_ports);
        self.write("events/tcp/tcp_receive_reset/enable", "1")?;
        let path = self.instance.join("trace_pipe");
        let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
        let opened = OpenOptions::new().read(true).custom_flags(nonblocking).open(&path);
        opened.map_err(|error| TraceError::Setup { path, error })
    }

    fn write(&self, file: &str, text: &str) -> Result<(), TraceError> {
        let path = self.instance.join(file);
        fs::write(&path, text).map_err(|error| TraceError::Setup { path, error })
    }
}

impl Drop for Tracer {
    fn drop(&mut self) {
        self.join();
        // tracefs removes an instance as a whole by rmdir; if it is busy, the next run removes it.
        let _ = fs::remove_dir(&self.instance);
    }
}

/// The folder of all instances.
pub(super) fn instances() -> Result<PathBuf, TraceError> {
    let folders = TRACEFS.iter().map(|tracefs| Path::new(tracefs).join("instances"));
    let found = folders.into_iter().find(|folder| folder.is_dir());
    found.ok_or_else(|| TraceError::Unavailable("no tracefs is mounted".to_owned()))
}

/// Whether a trace can be had.
///
/// # Errors
/// When this kernel, or this user, cannot.
pub fn is_available() -> Result<(), TraceError> {
    let instances = instances()?;
    let writable = rustix::fs::access(&instances, Access::WRITE_OK | Access::EXEC_OK);
    writable.map_err(|error| TraceError::Unavailable(io::Error::from(error).to_string()))
}

/// Makes an instance and locks it; removes those of runs that are no more. Two runs do so one after the other.
pub(super) fn new_instance(instances: &Path) -> Result<(PathBuf, File), TraceError> {
    let unavailable = |error: io::Error| TraceError::Unavailable(error.to_string());
    let one_by_one = File::open(instances).map_err(unavailable)?;
    flock(&one_by_one, FlockOperation::LockExclusive).map_err(|error| unavailable(error.into()))?;
    remove_abandoned(instances);
    let instance = instances.join(format!("{INSTANCE_PREFIX}{}-{}", std::process::id(), clock::now().as_nanos()));
    fs::create_dir(&instance).map_err(unavailable)?;
    let locked = File::open(&instance).and_then(|lock| {
        flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
        Ok(lock)
    });
    match locked {
        Ok(lock) => Ok((instance, lock)),
        Err(error) => {
            let _ = fs::remove_dir(&instance);
            Err(TraceError::Setup { path: instance, error })
        }
    }
}

/// Removes the instances that no run holds a lock on: their runs were killed.
pub(super) fn remove_abandoned(instances: &Path) {
    let Ok(entries) = fs::read_dir(instances) else { return };
    for entry in entries.flatten() {
        let is_ours = entry.file_name().to_str().is_some_and(|name| name.starts_with(INSTANCE_PREFIX));
        let Some(instance) = is_ours.then(|| File::open(entry.path()).ok()).flatten() else { continue };
        if flock(&instance, FlockOperation::NonBlockingLockExclusive).is_ok() {
            let _ = fs::remove_dir(entry.path());
        }
    }
}

/// What a line of the trace says.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    Event(TraceEvent),
    /// A listener was destroyed: it has just gone, or had been shut down before.
    Destroyed {
        local: SocketAddr,
        cookie: u64,
    },
    /// This many events are missing here: the kernel's buffer was full.
    Lost(u64),
}

/// Joins the going of a listener with its destruction, which follows it at once where it was closed.
#[derive(Default)]
struct Joiner {
    gone: Option<TraceEvent>,
}

impl Joiner {
    fn take(&mut self, said: Said, deliver: &mut dyn FnMut(Said)) {
        match said {
            Said::Destroyed { local, cookie } => {
                if let Some(TraceEvent { traced: Traced::ListenerDown { local: gone, cookie: known }, .. }) =
                    &mut self.gone
                    && *gone == local
                {
                    *known = Some(cookie);
                }
                self.flush(deliver);
            }
            Said::Event(event) if matches!(event.traced, Traced::ListenerDown { .. }) => {
                self.flush(deliver);
                self.gone = Some(event);
            }
            other => {
                self.flush(deliver);
                deliver(other);
            }
        }
    }

    fn flush(&mut self, deliver: &mut dyn FnMut(Said)) {
        if let Some(gone) = self.gone.take() {
            deliver(Said::Event(gone));
        }
    }
}

fn read_until(mut pipe: File, stop: &AtomicBool, deliver: &mut dyn FnMut(Said)) {
    let mut pending = Vec::new();
    let mut joiner = Joiner::default();
    let mut buffer = [0; 16 * 1024];
    loop {
        match pipe.read(&mut buffer) {
            Ok(count) if count > 0 => {
                pending.extend_from_slice(&buffer[..count]);
                while let Some(end) = pending.iter().position(|&byte| byte == b'\n') {
                    let line: Vec<u8> = pending.drain(..=end).collect();
                    if let Some(said) = std::str::from_utf8(&line).ok().and_then(said) {
                        joiner.take(said, deliver);
                    }
                }
            }
            // Nothing is left. What was traced before the wish to stop has been delivered.
            _ => {
                joiner.flush(deliver);
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                std::thread::park_timeout(READ_EVERY);
            }
        }
    }
}

impl Traced {
    /// Whether it is about a target on one of these ports.
    fn concerns(&self, ports: &[u16]) -> bool {
        let target = match self {
            Self::Began { .. } | Self::Ended { .. } => return true,
            Self::ListenerUp { local } | Self::ListenerDown { local, .. } => local,
            Self::ResetSent { from, .. } | Self::ResetReceived { from, .. } => from,
        };
        ports.contains(&target.port())
    }
}

/// `CPU:0 [LOST 5 EVENTS]`, or an event.
fn said(line: &str) -> Option<Said> {
    let lost = line.strip_prefix("CPU:").and_then(|rest| rest.split_once("[LOST "));
    match lost {
        // Without a number the kernel does not know how many.
        Some((_, rest)) => Some(Said::Lost(rest.split(' ').next().and_then(|count| count.parse().ok()).unwrap_or(1))),
        None => parse(line),
    }
}

/// One line of `trace_pipe`: `TASK-PID [CPU] FLAGS SECONDS.MICROS: event: key=value ...`. A task may call itself
/// whatever it likes (`gunicorn: maste`), and the fields have colons, too (`saddrv6=:: daddrv6=::`): what parts the two
/// is the event's own name, which with its colons is longer than any task's.
fn parse(line: &str) -> Option<Said> {
    let split = |event: &&'static str| Some((*event, line.split_once(&format!(": {event}: "))?));
    let (event, (head, fields)) = EVENTS.iter().find_map(split)?;
    let (seconds, micros) = head.rsplit_once(' ')?.1.split_once('.')?;
    let micros = seconds.parse::<u64>().ok()?.checked_mul(1_000_000)?.checked_add(micros.parse().ok()?)?;
    let at = MonoTime::from_micros(micros);
    let field = |key: &str| fields.split_whitespace().find_map(|pair| pair.strip_prefix(key)?.strip_prefix('='));
    let traced = match event {
        "inet_sock_set_state" => {
            let local = address(field("saddr")?, field("saddrv6")?, field("sport")?)?;
            match (field("oldstate")?, field("newstate")?) {
                (_, "TCP_LISTEN") => Traced::ListenerUp { local },
                ("TCP_LISTEN", "TCP_CLOSE") => Traced::ListenerDown { local, cookie: None },
                _ => return None,
            }
        }
        "tcp_destroy_sock" => {
            let local = address(field("saddr")?, field("saddrv6")?, field("sport")?)?;
            return Some(Said::Destroyed { local, cookie: u64::from_str_radix(field("sock_cookie")?, 16).ok()? });
        }
        "tcp_send_reset" => Traced::ResetSent {
            from: unmapped(field("src")?.parse().ok()?),
            to: unmapped(field("dest")?.parse().ok()?),
            state: field("state")?.to_owned(),
            reason: field("reason").map(str::to_owned),
        },
        "tcp_receive_reset" => Traced::ResetReceived {
            from: address(field("daddr")?, field("daddrv6")?, field("dport")?)?,
            to: address(field("saddr")?, field("saddrv6")?, field("sport")?)?,
        },
        _ => return None,
    };
    Some(Said::Event(TraceEvent { at, traced }))
}

/// The kernel prints both forms; `::ffff:a.b.c.d` is the IPv4 one.
fn address(v4: &str, v6: &str, port: &str) -> Option<SocketAddr> {
    let port = port.parse().ok()?;
    let v6: IpAddr = v6.parse().ok()?;
    let v4: IpAddr = v4.parse().ok()?;
    let canonical = v6.to_canonical();
    Some(SocketAddr::new(if canonical.is_ipv4() { v4 } else { canonical }, port))
}

fn unmapped(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTEN: &str = "         python3-13239   [001] .....  2297.264216: inet_sock_set_state: family=AF_INET \
        protocol=IPPROTO_TCP sport=18099 dport=0 saddr=127.0.0.1 daddr=0.0.0.0 saddrv6=::ffff:127.0.0.1 \
        daddrv6=::ffff:0.0.0.0 oldstate=TCP_CLOSE newstate=TCP_LISTEN\n";
    const LISTEN_ON_ALL: &str = "         python3-12888   [001] ..... 22580.295762: inet_sock_set_state: family=AF_INET6 \
        protocol=IPPROTO_TCP sport=18077 dport=0 saddr=0.0.0.0 daddr=0.0.0.0 saddrv6=:: daddrv6=:: oldstate=TCP_LISTEN \
        newstate=TCP_CLOSE\n";
    const SENT: &str = "         a b-13239   [001] ..s1.  2297.272381: tcp_send_reset: skbaddr=0000000084f96ffc \
        skaddr=0000000000000000 src=127.0.0.1:18099 dest=127.0.0.1:60828 state=UNKNOWN reason=NO_SOCKET\n";
    const RECEIVED: &str = "         python3-13239   [001] ..s2.  2297.264357: tcp_receive_reset: family=AF_INET \
        sport=60826 dport=18099 saddr=127.0.0.1 daddr=127.0.0.1 saddrv6=::ffff:127.0.0.1 \
        daddrv6=::ffff:127.0.0.1 sock_cookie=1\n";

    const DESTROYED: &str = "         python3-12888   [001] ..... 22580.295770: tcp_destroy_sock: family=AF_INET6 \
        sport=18077 dport=0 saddr=0.0.0.0 daddr=0.0.0.0 saddrv6=:: daddrv6=:: sock_cookie=1f\n";

    fn event(line: &str) -> TraceEvent {
        match said(line) {
            Some(Said::Event(event)) => event,
            other => panic!("{other:?}"),
        }
    }

    fn joined(lines: &[&str]) -> Vec<Traced> {
        let (mut joiner, mut delivered) = (Joiner::default(), Vec::new());
        let mut deliver = |said| match said {
            Said::Event(event) => delivered.push(event.traced),
            other => panic!("{other:?}"),
        };
        lines.iter().for_each(|line| joiner.take(said(line).unwrap(), &mut deliver));
        joiner.flush(&mut deliver);
        delivered
    }

    #[test]
    fn a_listener_that_was_closed_has_its_cookie_and_one_that_was_shut_down_has_none() {
        let local = "[::]:18077".parse().unwrap();
        let gone = |cookie| Traced::ListenerDown { local, cookie };
        assert_eq!(joined(&[LISTEN_ON_ALL, DESTROYED]), [gone(Some(0x1f))]);
        assert_eq!(joined(&[LISTEN_ON_ALL]), [gone(None)]);
        assert_eq!(joined(&[LISTEN_ON_ALL, LISTEN, DESTROYED]), [gone(None), event(LISTEN).traced], "another one went");
    }

    #[test]
    fn a_line_of_the_kernel_is_an_event_on_our_clock() {
        let target: SocketAddr = "127.0.0.1:18099".parse().unwrap();
        let up = event(LISTEN);
        assert_eq!(up.at, MonoTime::from_micros(2_297_264_216));
        assert_eq!(up.traced, Traced::ListenerUp { local: target });
        let sent = event(SENT).traced;
        assert!(sent.concerns(&[18099]) && !sent.concerns(&[60828]));
        assert_eq!(
            sent,
            Traced::ResetSent {
                from: target,
                to: "127.0.0.1:60828".parse().unwrap(),
                state: "UNKNOWN".into(),
                reason: Some("NO_SOCKET".into())
            }
        );
        let received = Traced::ResetReceived { from: target, to: "127.0.0.1:60826".parse().unwrap() };
        assert_eq!(event(RECEIVED).traced, received);
    }

    #[test]
    fn a_listener_on_all_addresses_is_one_like_any_other() {
        let gone = event(LISTEN_ON_ALL);
        assert_eq!(gone.at, MonoTime::from_micros(22_580_295_762));
        assert_eq!(gone.traced, Traced::ListenerDown { local: "[::]:18077".parse().unwrap(), cookie: None });
    }

    #[test]
    fn a_task_may_call_itself_whatever_it_likes() {
        for task in ["gunicorn: maste", "9.9: sys_e: a=b", "CPU:0", ": : : "] {
            let line = LISTEN.replace("python3", task);
            assert_eq!(said(&line), said(LISTEN), "{task}");
        }
    }

    #[test]
    fn what_is_no_event_is_passed_over() {
        let in_the_year_million = LISTEN.replace("2297.264216", "99999999999999.0");
        for line in
            ["", "CPU:0 [LOST 5 EVENTS]\n", "x: y\n", "a-1 [000] . 1.2: sys_enter: foo=1\n", &in_the_year_million]
        {
            assert_eq!(parse(line), None, "{line}");
        }
    }

    #[test]
    fn what_the_kernel_lost_is_counted() {
        assert_eq!(said("CPU:0 [LOST 5 EVENTS]\n"), Some(Said::Lost(5)));
        assert_eq!(said("CPU:1 [LOST EVENTS]\n"), Some(Said::Lost(1)));
    }

    #[test]
    #[ignore = "runs in the box"]
    fn the_kernel_tells_of_a_listener_and_of_a_reset() {
        for any_port in ["127.0.0.1:0", "[::1]:0", "[::]:0"] {
            a_listener_and_a_reset_are_told_of(any_port);
        }
    }

    fn a_listener_and_a_reset_are_told_of(any_port: &str) {
        let listener = std::net::TcpListener::bind(any_port).unwrap();
        let address = listener.local_addr().unwrap();
        drop(listener);
        let (tracer, mut events) = Tracer::start(&[address.port()]).unwrap();
        let instance = tracer.instance.clone();
        let listener = std::net::TcpListener::bind(address).unwrap();
        drop(listener);
        assert!(std::net::TcpStream::connect(address).is_err());
        let mut seen = Vec::new();
        while !matches!(seen.last(), Some(Traced::ResetReceived { .. } | Traced::ResetSent { .. })) {
            seen.push(events.blocking_recv().unwrap().traced);
        }
        assert_eq!(seen[0], Traced::ListenerUp { local: address });
        let cookie = match &seen[1] {
            Traced::ListenerDown { local, cookie } if *local == address => *cookie,
            other => panic!("{other:?}"),
        };
        assert!(cookie.is_some(), "it was closed");
        assert!(matches!(&seen[2], Traced::ResetSent { reason: Some(reason), .. } if reason == "NO_SOCKET"));
        let (second, _events) = Tracer::start(&[address.port()]).unwrap();
        assert!(instance.exists(), "its run lives");
        drop((tracer, second));
        assert!(!instance.exists());
    }
}
