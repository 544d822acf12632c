//! The states of a service, and systemd's words for them.

use crate::model::ActiveState;

/// Where a service is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum State {
    /// It does not run.
    Dead,
    /// ExecStartPre= runs.
    StartPre,
    /// ExecStart= runs, and the service does not count as started yet.
    Start,
    /// ExecStartPost= runs.
    StartPost,
    /// The main process runs.
    Running,
    /// Nothing runs, and RemainAfterExit= lets it count as active.
    Exited,
    /// ExecReload= runs.
    Reload,
    /// ExecStop= runs.
    Stop,
    /// KillSignal= was sent.
    StopSigterm,
    /// FinalKillSignal= was sent.
    StopSigkill,
    /// ExecStopPost= runs.
    StopPost,
    /// KillSignal= was sent to what was left.
    FinalSigterm,
    /// FinalKillSignal= was sent to what was left.
    FinalSigkill,
    /// It ended, and not well.
    Failed,
    /// It ended and starts again when RestartSec= is over.
    AutoRestart,
}

impl State {
    /// ActiveState.
    pub(in super::super) const fn active_state(self) -> ActiveState {
        match self {
            Self::Dead => ActiveState::Inactive,
            Self::StartPre | Self::Start | Self::StartPost | Self::AutoRestart => ActiveState::Activating,
            Self::Running | Self::Exited => ActiveState::Active,
            Self::Reload => ActiveState::Reloading,
            Self::Failed => ActiveState::Failed,
            Self::Stop
            | Self::StopSigterm
            | Self::StopSigkill
            | Self::StopPost
            | Self::FinalSigterm
            | Self::FinalSigkill => ActiveState::Deactivating,
        }
    }

    /// SubState.
    pub(in super::super) const fn sub_state(self) -> &'static str {
        match self {
            Self::Dead => "dead",
            Self::StartPre => "start-pre",
            Self::Start => "start",
            Self::StartPost => "start-post",
            Self::Running => "running",
            Self::Exited => "exited",
            Self::Reload => "reload",
            Self::Stop => "stop",
            Self::StopSigterm => "stop-sigterm",
            Self::StopSigkill => "stop-sigkill",
            Self::StopPost => "stop-post",
            Self::FinalSigterm => "final-sigterm",
            Self::FinalSigkill => "final-sigkill",
            Self::Failed => "failed",
            Self::AutoRestart => "auto-restart",
        }
    }

    /// Nothing of it runs and nothing is to come.
    pub(in super::super) const fn is_down(self) -> bool {
        matches!(self, Self::Dead | Self::Failed)
    }

    /// It is on its way down.
    pub(in super::super) fn is_stopping(self) -> bool {
        self.active_state() == ActiveState::Deactivating
    }

    /// Its processes were sent a signal and are being waited for.
    pub(super) const fn is_signalled(self) -> bool {
        matches!(self, Self::StopSigterm | Self::StopSigkill | Self::FinalSigterm | Self::FinalSigkill)
    }
}
