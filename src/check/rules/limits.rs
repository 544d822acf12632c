//! Backlogs, and the limits of systemd that a deploy can run into.

use std::time::Duration;

use crate::check::facts::{Facts, ServiceFacts};
use crate::check::finding::{Hit, Severity};
use crate::check::rule::Rule;
use crate::unit_file::service_choices::{RestartPolicy, ServiceType};

/// How long nobody accepts while a service restarts, where nothing better is known.
const USUAL_GAP: Duration = Duration::from_secs(1);

/// Fewer activations than this in one interval of the trigger limit, and a deploy that fails a few times ends them.
const FEW_TRIGGERS: u32 = 5;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "GL030",
        severity: Severity::Warning,
        title: "Backlog= above what the kernel grants",
        why: "the kernel cuts it down to net.core.somaxconn without a word",
        find: above_somaxconn,
    },
    Rule {
        id: "GL031",
        severity: Severity::Error,
        title: "queue too short for the load",
        why: "past the backlog TCP clients wait for 1 s and longer until their SYN is sent again, and non-blocking clients \
              of a Unix socket get EAGAIN at once",
        find: queue_too_short,
    },
    Rule {
        id: "GL032",
        severity: Severity::Warning,
        title: "server overrides the backlog",
        why: "a server that calls listen() on the socket it was passed replaces Backlog= by its own number",
        find: overridden,
    },
    Rule {
        id: "GL033",
        severity: Severity::Warning,
        title: "low trigger limit",
        why: "past it the socket fails for good with trigger-limit-hit: no process is listening until somebody resets it",
        find: trigger_limit,
    },
    Rule {
        id: "GL034",
        severity: Severity::Warning,
        title: "start limit that one bad deploy trips",
        why: "a version that fails at its start is started again until the limit; then the socket fails as well, with \
              service-start-limit-hit, and rolling back alone does not bring it back",
        find: start_limit,
    },
];

fn above_somaxconn(facts: &Facts) -> Vec<Hit> {
    let Some(socket) = facts.socket.as_ref().filter(|socket| socket.takes_connections()) else { return Vec::new() };
    let (asked, most) = (socket.unit.backlog, facts.machine.largest_backlog());
    if socket.source.file.last("Socket", "Backlog").is_none() || asked <= most || asked == u32::MAX {
        return Vec::new();
    }
    let known = if facts.machine.somaxconn.is_some() { "" } else { " unless it was set" };
    let spot =
        socket.source.at("Socket", "Backlog").seen(format!("Backlog={asked}; net.core.somaxconn is {most}{known}"));
    let fix = format!(
        "# in /etc/sysctl.d/90-backlog.conf; run sysctl --system, and the socket has the longer queue from its next start on\n\
         net.core.somaxconn = {asked}"
    );
    vec![spot.says(format!("the queue holds {most}, not {asked}"), fix)]
}

fn queue_too_short(facts: &Facts) -> Vec<Hit> {
    let (Some(socket), Some(rate)) = (&facts.socket, facts.clients.rate) else { return Vec::new() };
    if !socket.takes_connections() {
        return Vec::new();
    }
    let measured = facts.service.as_ref().and_then(measured_start);
    let (gap, known) = match (facts.clients.gap, measured) {
        (Some(gap), _) => (gap, "given"),
        (None, Some(took)) => (took, "which its last start took"),
        (None, None) => (USUAL_GAP, "the usual gap"),
    };
    let (needed, backlog) = (rate * gap.as_secs_f64(), socket.effective_backlog(facts.machine));
    // listen(n) holds n + 1.
    if needed <= f64::from(backlog) + 1.0 {
        return Vec::new();
    }
    let spot = socket
        .source
        .at("Socket", "Backlog")
        .seen(format!("the queue holds {backlog}; {rate}/s for {gap:?}, {known}, need {needed:.0}"));
    let message = format!("{needed:.0} connections come while no process accepts, and {backlog} fit into the queue");
    vec![spot.says(message, format!("[Socket]\nBacklog={needed:.0}\n# and net.core.somaxconn at least as large"))]
}

/// How long the service took to start, where systemd waited until it was ready.
fn measured_start(service: &ServiceFacts) -> Option<Duration> {
    use ServiceType::{Forking, Notify, NotifyReload};
    let says_ready = matches!(service.unit.service_type, Notify | NotifyReload | Forking);
    service.live.as_ref()?.start_took.filter(|_| says_ready)
}

fn overridden(facts: &Facts) -> Vec<Hit> {
    let Some((socket, service)) = facts
        .pair()
        .filter(|(socket, _)| socket.takes_connections() && socket.source.file.last("Socket", "Backlog").is_some())
    else {
        return Vec::new();
    };
    let granted = socket.unit.backlog.min(facts.machine.largest_backlog());
    let by_kernel = socket.live.is_some().then(|| socket.effective_backlog(facts.machine));
    let by_server = service.launch().and_then(|launch| launch.backlog());
    let (Some(own), evidence) = (match (by_kernel, by_server) {
        (Some(now), _) => (Some(now), format!("the kernel has {now} for it")),
        (None, own) => (own, "known of this server".to_owned()),
    }) else {
        return Vec::new();
    };
    let own = own.min(facts.machine.largest_backlog());
    if own == granted {
        return Vec::new();
    }
    let spot = socket.source.at("Socket", "Backlog");
    let evidence = format!("{}; {evidence}", spot.evidence);
    let message = format!("the server makes the queue {own} long instead of {granted}");
    vec![spot.seen(evidence).says(message, format!("# tell the server too, for example: --backlog {granted}"))]
}

fn trigger_limit(facts: &Facts) -> Vec<Hit> {
    let Some(socket) = &facts.socket else { return Vec::new() };
    let Some((burst, interval)) = socket.unit.trigger_limit.filter(|(burst, _)| *burst < FEW_TRIGGERS) else {
        return Vec::new();
    };
    let message = format!("{} activations within {interval:?} end the socket", burst + 1);
    vec![socket.source.at("Socket", "TriggerLimitBurst").says(message, "[Socket]\nTriggerLimitBurst=20")]
}

fn start_limit(facts: &Facts) -> Vec<Hit> {
    let Some((socket, service)) = facts.pair().filter(|(socket, _)| !socket.unit.accept) else { return Vec::new() };
    let Some((burst, interval)) = service.unit.unit.start_limit else { return Vec::new() };
    // Without Restart= the connections that wait start it again at once.
    let restarts = service.unit.restart != RestartPolicy::No;
    let pause = if restarts { service.unit.restart_sec.limit().unwrap_or(Duration::MAX) } else { Duration::ZERO };
    if pause.saturating_mul(burst) >= interval {
        return Vec::new();
    }
    let spot = service.source.at("Unit", "StartLimitBurst");
    let evidence = format!("StartLimitBurst={burst} in {interval:?}, {pause:?} from one start to the next");
    let message = format!("{burst} failed starts of {} take {} down", service.source.name, socket.source.name);
    vec![
        spot.seen(evidence)
            .says(message, "[Unit]\nStartLimitIntervalSec=0\n[Service]\nRestart=on-failure\nRestartSec=2"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::testing::*;

    #[test]
    fn a_backlog_that_the_kernel_cuts_down_is_found() {
        let facts = pair(EXAMPLES.socket, EXAMPLES.service);
        let mut small = facts.clone();
        small.machine.somaxconn = Some(128);
        tells_apart("GL030", &small, &facts);
        tells_apart("GL030", &pair("[Socket]\nListenStream=1\nBacklog=4097\n", EXAMPLES.service), &facts);
    }

    #[test]
    fn a_queue_is_too_short_only_for_more_than_it_holds() {
        let with_rate = |rate: f64| {
            let mut facts = pair(EXAMPLES.socket, EXAMPLES.service);
            facts.clients.rate = Some(rate);
            facts.clients.gap = Some(Duration::from_secs(2));
            facts
        };
        tells_apart("GL031", &with_rate(513.0), &with_rate(512.5));
        let measured = |took: Duration| {
            let mut facts = alive();
            facts.clients.rate = Some(1000.0);
            let service = facts.service.as_mut().unwrap();
            service.unit.service_type = ServiceType::Notify;
            service.live.as_mut().unwrap().start_took = Some(took);
            facts
        };
        tells_apart("GL031", &measured(Duration::from_millis(1026)), &measured(Duration::from_millis(1025)));
    }

    #[test]
    fn a_server_with_a_backlog_of_its_own_is_found() {
        in_command("GL032", "ExecStart=/bin/gunicorn app", "ExecStart=/bin/gunicorn app --backlog 1024");
    }

    #[test]
    fn a_low_trigger_limit_is_found() {
        in_socket("GL033", "TriggerLimitBurst=4", "TriggerLimitBurst=5");
        in_socket("GL033", "TriggerLimitBurst=4", "TriggerLimitBurst=4\nTriggerLimitIntervalSec=0");
    }

    #[test]
    fn a_start_limit_is_tripped_when_failed_starts_come_fast_enough() {
        let with = |lines: &str| {
            pair(EXAMPLES.socket, &format!("[Unit]\nRequires=a.socket\n[Service]\nExecStart=/bin/app\n{lines}\n"))
        };
        tells_apart("GL034", &with(""), &with("Restart=always\nRestartSec=2"));
        tells_apart("GL034", &with("RestartSec=2"), &with("[Unit]\nStartLimitIntervalSec=0"));
        tells_apart("GL034", &with("Restart=on-failure\nRestartSec=1999ms"), &with("Restart=on-failure\nRestartSec=2"));
    }
}
