//! How the service is ended.

use crate::check::facts::Facts;
use crate::check::finding::{Hit, Severity};
use crate::check::rule::Rule;
use crate::model::Signal;
use crate::unit_file::TimeSpan;
use crate::unit_file::service_choices::KillMode;

pub(super) const RULES: &[Rule] = &[
    Rule {
        id: "GL050",
        severity: Severity::Warning,
        title: "TimeoutStopSec= below the server's own",
        why: "systemd sends SIGKILL while the server still answers what it has accepted: those requests are lost",
        find: killed_too_early,
    },
    Rule {
        id: "GL051",
        severity: Severity::Warning,
        title: "KillMode= leaves processes behind",
        why: "workers of the old version outlive the restart, accept from the same socket and answer with old code",
        find: leaves_workers,
    },
    Rule {
        id: "GL052",
        severity: Severity::Error,
        title: "stop signal that ends at once",
        why: "the server does not finish what it has accepted: every request in flight is lost",
        find: abrupt_signal,
    },
    Rule {
        id: "GL053",
        severity: Severity::Info,
        title: "KillMode=control-group signals the workers as well",
        why: "systemd signals the workers as well as the main process, which ends them itself and may start new ones meanwhile",
        find: signals_workers,
    },
];

fn killed_too_early(facts: &Facts) -> Vec<Hit> {
    let Some(service) = &facts.service else { return Vec::new() };
    let (TimeSpan::Finite(limit), Some(launch)) = (service.unit.timeout_stop, service.launch()) else {
        return Vec::new();
    };
    // At the same moment SIGKILL may win.
    let Some(grace) = launch.grace().filter(|grace| *grace >= limit) else { return Vec::new() };
    let message = format!("{} waits up to {grace:?} for requests in flight, systemd only {limit:?}", launch.program);
    let fix = format!("[Service]\nTimeoutStopSec={}", grace.as_secs() + 5);
    vec![service.source.at("Service", "TimeoutStopSec").says(message, fix)]
}

fn leaves_workers(facts: &Facts) -> Vec<Hit> {
    let Some(service) = &facts.service else { return Vec::new() };
    if !matches!(service.unit.kill.mode, KillMode::Process | KillMode::None) {
        return Vec::new();
    }
    let message = "a stop does not end all processes of the service";
    vec![service.source.at("Service", "KillMode").says(message, "[Service]\nKillMode=mixed")]
}

fn abrupt_signal(facts: &Facts) -> Vec<Hit> {
    let Some(service) = &facts.service else { return Vec::new() };
    let signal = service.unit.kill.signal;
    let graceful = service.launch().and_then(|launch| launch.server).map_or(&[][..], |server| server.graceful);
    let asks_nicely = !service.unit.commands.stop.is_empty();
    let finishes = if graceful.is_empty() { signal != Signal::KILL } else { graceful.contains(&signal) };
    if asks_nicely || finishes {
        return Vec::new();
    }
    let graceful = graceful.first().copied().unwrap_or(Signal::TERM);
    let message = format!("{signal} does not let the server finish; {graceful} does");
    vec![service.source.at("Service", "KillSignal").says(message, format!("[Service]\nKillSignal={graceful}"))]
}

fn signals_workers(facts: &Facts) -> Vec<Hit> {
    let Some(service) = &facts.service else { return Vec::new() };
    let is_gunicorn = service.launch().is_some_and(|launch| launch.is("gunicorn"));
    if service.unit.kill.mode != KillMode::ControlGroup || !is_gunicorn || !service.unit.commands.stop.is_empty() {
        return Vec::new();
    }
    let message = "gunicorn's main process ends its workers itself";
    vec![service.source.at("Service", "KillMode").says(message, "[Service]\nKillMode=mixed")]
}

#[cfg(test)]
mod tests {
    use crate::check::testing::*;

    #[test]
    fn a_stop_timeout_below_the_servers_own_is_found() {
        let with = |timeout: &str| format!("ExecStart=/bin/gunicorn a:b\nTimeoutStopSec={timeout}");
        in_command("GL050", &with("30"), &with("31"));
        in_command("GL050", &with("30"), &with("infinity"));
    }

    #[test]
    fn workers_that_are_left_behind_are_found() {
        for faulty in ["process", "none"] {
            in_service("GL051", &format!("KillMode={faulty}"), "KillMode=mixed");
        }
    }

    #[test]
    fn workers_that_are_signalled_beside_their_main_process_are_found() {
        in_command("GL053", "ExecStart=/bin/gunicorn a:b", "ExecStart=/bin/gunicorn a:b\nKillMode=mixed");
        in_command("GL053", "ExecStart=/bin/gunicorn a:b", "ExecStart=/bin/app");
    }

    #[test]
    fn a_signal_that_cuts_requests_off_is_found() {
        in_service("GL052", "KillSignal=KILL", "KillSignal=INT");
        in_command("GL052", "ExecStart=/usr/sbin/nginx", "ExecStart=/usr/sbin/nginx\nKillSignal=SIGQUIT");
        in_command("GL052", "ExecStart=/usr/sbin/nginx", "ExecStart=/usr/sbin/nginx\nExecStop=/usr/sbin/nginx -s quit");
        in_command("GL052", "ExecStart=/bin/gunicorn a\nKillSignal=INT", "ExecStart=/bin/gunicorn a");
    }
}
