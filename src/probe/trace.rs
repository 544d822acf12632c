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

use tokio::sync::mpsc;

use crate::clock;
use crate::model::MonoTime;
use crate::record::line::{TraceEvent, Traced};

/// Where tracefs is mounted, in the order tried.
const TRACEFS: &[&str] = &["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];

/// Our instances are called this, followed by the PID of their run and a number: PIDs of two PID namespaces may be
/// equal, tracefs is one for all.
const INSTANCE_PREFIX: &str = "gapless-";

/// From one look at the pipe to the next. Events carry their time, so nothing is lost by taking them together, and a
/// machine full of strangers' resets does not wake us for each. The kernel keeps some 10,000 for each processor
/// meanwhile, and says so if that was not enough.
const READ_EVERY: Duration = Duration::from_millis(50);

/// At most so many events wait to be recorded.
const CHANNEL_CAPACITY: usize = 8_192;

/// What is traced.
const EVENTS: [&str; 3] = ["inet_sock_set_state", "tcp_send_reset", "tcp_receive_reset"];

/// Why there is no trace.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// tracefs is not mounted, or not for us.
    #[error("the kernel's trace is not to be had: {0}; it needs root and a mounted tracefs")]
    Unavailable(String),
    /// The instance could not be set up.
    #[error("the kernel's trace cannot be set up ({path}): {error}")]
    Setup {
        /// The file in tracefs.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// Traces the listeners and resets of some ports until it is dropped.
#[derive(Debug)]
pub struct Tracer {
    instance: PathBuf,
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
        let tracefs = TRACEFS.iter().map(Path::new).find(|path| path.join("instances").is_dir());
        let tracefs = tracefs.ok_or_else(|| TraceError::Unavailable("no tracefs is mounted".to_owned()))?;
        let instances = tracefs.join("instances");
        remove_abandoned(&instances);
        let instance = instances.join(format!("{INSTANCE_PREFIX}{}-{}", std::process::id(), clock::now().as_nanos()));
        fs::create_dir(&instance).map_err(|error| TraceError::Unavailable(error.to_string()))?;
        let (sender, receiver) = mpsc::channel(CHANNEL_CAPACITY);
        let mut tracer =
            Self { instance, began: clock::now(), stop: Arc::default(), left_out: Arc::default(), thread: None };
        let pipe = tracer.set_up(ports)?;
        tracer.began = clock::now();
        let (stop, left_out, ports) = (Arc::clone(&tracer.stop), Arc::clone(&tracer.left_out), ports.to_vec());
        let read = move || {
            read_until(pipe, &stop, &mut |line: Said| {
                let missed = match line {
                    Said::Event(event) => u64::from(event.traced.concerns(&ports) && sender.try_send(event).is_err()),
                    Said::Lost(events) => events,
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

/// Removes the instances of runs that are no more. One that is still read, by a run in another PID namespace, is busy
/// and stays.
fn remove_abandoned(instances: &Path) {
    let Ok(entries) = fs::read_dir(instances) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let owner =
            name.to_str().and_then(|name| name.strip_prefix(INSTANCE_PREFIX)?.split('-').next()?.parse::<u32>().ok());
        if owner.is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists()) {
            let _ = fs::remove_dir(entry.path());
        }
    }
}

/// What a line of the trace says.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    Event(TraceEvent),
    /// So many events are missing here: the kernel's buffer was full.
    Lost(u64),
}

fn read_until(mut pipe: File, stop: &AtomicBool, deliver: &mut dyn FnMut(Said)) {
    let mut pending = Vec::new();
    let mut buffer = [0; 16 * 1024];
    loop {
        match pipe.read(&mut buffer) {
            Ok(count) if count > 0 => {
                pending.extend_from_slice(&buffer[..count]);
                while let Some(end) = pending.iter().position(|&byte| byte == b'\n') {
                    let line: Vec<u8> = pending.drain(..=end).collect();
                    if let Some(said) = std::str::from_utf8(&line).ok().and_then(said) {
                        deliver(said);
                    }
                }
            }
            // Nothing is there. What was traced before the wish to stop has been delivered.
            _ if stop.load(Ordering::Relaxed) => return,
            _ => std::thread::park_timeout(READ_EVERY),
        }
    }
}

impl Traced {
    /// Whether it is about a target on one of these ports.
    fn concerns(&self, ports: &[u16]) -> bool {
        let target = match self {
            Self::Began { .. } | Self::Ended { .. } => return true,
            Self::ListenerUp { local } | Self::ListenerDown { local } => local,
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
        None => parse(line).map(Said::Event),
    }
}

/// One line of `trace_pipe`: `TASK-PID [CPU] FLAGS SECONDS.MICROS: event: key=value ...`. A task may call itself
/// whatever it likes (`gunicorn: maste`), and the fields have colons, too (`saddrv6=:: daddrv6=::`): what parts the two
/// is the event's own name, which with its colons is longer than any task's.
fn parse(line: &str) -> Option<TraceEvent> {
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
                ("TCP_LISTEN", "TCP_CLOSE") => Traced::ListenerDown { local },
                _ => return None,
            }
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
    Some(TraceEvent { at, traced })
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

    #[test]
    fn a_line_of_the_kernel_is_an_event_on_our_clock() {
        let target: SocketAddr = "127.0.0.1:18099".parse().unwrap();
        let up = parse(LISTEN).unwrap();
        assert_eq!(up.at, MonoTime::from_micros(2_297_264_216));
        assert_eq!(up.traced, Traced::ListenerUp { local: target });
        let sent = parse(SENT).unwrap().traced;
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
        assert_eq!(parse(RECEIVED).unwrap().traced, received);
    }

    #[test]
    fn a_listener_on_all_addresses_is_one_like_any_other() {
        let gone = parse(LISTEN_ON_ALL).unwrap();
        assert_eq!(gone.at, MonoTime::from_micros(22_580_295_762));
        assert_eq!(gone.traced, Traced::ListenerDown { local: "[::]:18077".parse().unwrap() });
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
        assert_eq!(said(LISTEN), parse(LISTEN).map(Said::Event));
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
        assert_eq!(seen[1], Traced::ListenerDown { local: address });
        assert!(matches!(&seen[2], Traced::ResetSent { reason: Some(reason), .. } if reason == "NO_SOCKET"));
        drop(tracer);
        assert!(!instance.exists());
    }
}
