//! Whom a stop signals, systemd.kill(5).

use std::collections::BTreeSet;

use crate::model::ProcessId;
use crate::unit_file::service_choices::KillMode;

/// How far a stop has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Force {
    /// KillSignal=: asks.
    Ask,
    /// FinalKillSignal=: ends.
    End,
}

/// The processes of a service at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Running<'a> {
    /// The main process.
    pub main: Option<ProcessId>,
    /// The command that runs beside it.
    pub control: Option<ProcessId>,
    /// Every process, these two among them.
    pub all: &'a [ProcessId],
}

/// The processes to signal.
pub(super) fn targets(mode: KillMode, force: Force, running: Running<'_>) -> Vec<ProcessId> {
    if mode == KillMode::None {
        return Vec::new();
    }
    let everybody = mode == KillMode::ControlGroup || (mode == KillMode::Mixed && force == Force::End);
    let own = running.main.into_iter().chain(running.control);
    let others = running.all.iter().copied().filter(|_| everybody);
    own.chain(others).collect::<BTreeSet<_>>().into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mode_signals_those_the_man_page_names() {
        let id = |pid| ProcessId { pid, start_ticks: 1 };
        let all = [id(1), id(2), id(3)];
        let running = Running { main: Some(id(1)), control: Some(id(2)), all: &all };
        for (mode, asked, ended) in
            [(KillMode::ControlGroup, 3, 3), (KillMode::Mixed, 2, 3), (KillMode::Process, 2, 2), (KillMode::None, 0, 0)]
        {
            assert_eq!(targets(mode, Force::Ask, running).len(), asked, "{mode:?}");
            assert_eq!(targets(mode, Force::End, running).len(), ended, "{mode:?}");
        }
    }
}
