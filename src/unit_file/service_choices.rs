//! The words that service directives choose from.

use std::path::PathBuf;

use super::exit_status;
use super::finding::ValueError;
use crate::model::Signal;

/// Defines an enum whose variants have systemd's words.
macro_rules! choices {
    ($(#[$doc:meta])* $name:ident, $expected:literal, $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)+) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)+ }

        impl $name {
            /// The word in a unit file.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            /// The choice of that word.
            ///
            /// # Errors
            /// When there is none.
            pub fn parse(word: &str) -> Result<Self, ValueError> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(ValueError::not(word, $expected)),
                }
            }
        }
    };
}

choices! {
    /// Type=: when a service counts as started.
    ServiceType, "service type",
    /// Once the process is forked.
    Simple = "simple",
    /// Once the program is executing.
    Exec = "exec",
    /// Once its process has exited, leaving a daemon behind.
    Forking = "forking",
    /// Once every command has exited.
    Oneshot = "oneshot",
    /// Once it owns a bus name.
    Dbus = "dbus",
    /// Once it sent READY=1.
    Notify = "notify",
    /// As notify; reloads by signal, systemd 253 and later.
    NotifyReload = "notify-reload",
    /// As simple, when nothing else is to be done.
    Idle = "idle",
}

choices! {
    /// Restart=: after which ends it starts again by itself.
    RestartPolicy, "restart policy",
    /// Never.
    No = "no",
    /// After a clean end.
    OnSuccess = "on-success",
    /// After any but a clean end.
    OnFailure = "on-failure",
    /// After an unclean signal, a timeout or the watchdog.
    OnAbnormal = "on-abnormal",
    /// After the watchdog.
    OnWatchdog = "on-watchdog",
    /// After an unclean signal.
    OnAbort = "on-abort",
    /// After every end but a stop that was asked for.
    Always = "always",
}

choices! {
    /// KillMode=: who is ended when the service is stopped, systemd.kill(5).
    KillMode, "kill mode",
    /// Every process.
    ControlGroup = "control-group",
    /// The main process first, then the rest by SIGKILL.
    Mixed = "mixed",
    /// The main process only.
    Process = "process",
    /// Nobody.
    None = "none",
}

choices! {
    /// NotifyAccess=: whose messages on the notification socket count.
    NotifyAccess, "choice for NotifyAccess=",
    /// Nobody's.
    None = "none",
    /// The main process's.
    Main = "main",
    /// The main process's and those of the commands.
    Exec = "exec",
    /// Every process's.
    All = "all",
}

choices! {
    /// RuntimeDirectoryPreserve=: whether the runtime directory outlives the service.
    Preserve, "choice for RuntimeDirectoryPreserve=",
    /// It is removed with every stop.
    No = "no",
    /// It is kept.
    Yes = "yes",
    /// It is kept for an automatic restart.
    Restart = "restart",
}

/// StandardInput=.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// `/dev/null`.
    Null,
    /// The socket that was passed.
    Socket,
    /// A file.
    File(PathBuf),
    /// A terminal, the text of StandardInputText= and StandardInputData=, or a descriptor by name (`tty`, `tty-force`,
    /// `tty-fail`, `data`, `fd:NAME`): what systemd does and nothing here.
    Other(String),
}

/// A stream to a terminal or to a descriptor by name, which only systemd connects.
pub(super) fn is_of_systemd_alone(stream: &str) -> bool {
    let name = stream.strip_prefix("fd:").unwrap_or(stream);
    matches!(stream, "tty" | "fd") || (name != stream && is_descriptor_name(name))
}

/// A name of FileDescriptorName=, `fdname_is_valid` in systemd's fd-util.c: printable ASCII without a colon.
#[must_use]
pub fn is_descriptor_name(name: &str) -> bool {
    name.len() <= 255 && name.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b':')
}

/// StandardOutput= and StandardError=.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// What the stream before it has.
    Inherit,
    /// `/dev/null`.
    Null,
    /// The journal, or what stands for it.
    Journal,
    /// The socket that was passed.
    Socket,
    /// A file, written from its start.
    File(PathBuf),
    /// A file, written at its end.
    Append(PathBuf),
    /// A file, emptied first.
    Truncate(PathBuf),
    /// A terminal, or a descriptor by name (`tty`, `fd:NAME`): what systemd does and nothing here.
    Other(String),
}

/// Exit codes and signals of SuccessExitStatus= and its kin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExitStatusSet {
    /// Exit codes.
    pub codes: Vec<u8>,
    /// Signals.
    pub signals: Vec<Signal>,
}

impl ExitStatusSet {
    /// Reads the words of one assignment.
    ///
    /// # Errors
    /// When a word is neither an exit code nor a signal.
    pub fn parse(text: &str) -> Result<Self, ValueError> {
        let mut set = Self::default();
        for word in text.split_whitespace() {
            let is_number = word.starts_with(|c: char| c.is_ascii_digit());
            match word.parse().ok().or_else(|| exit_status::code(word)) {
                Some(code) => set.codes.push(code),
                None if is_number => return Err(ValueError::range(word, "exit code")),
                None => {
                    let signal = Signal::from_name(word);
                    set.signals.push(signal.ok_or_else(|| ValueError::not(word, "exit code or signal"))?);
                }
            }
        }
        Ok(set)
    }

    /// All of several.
    #[must_use]
    pub fn union(sets: impl IntoIterator<Item = Self>) -> Self {
        sets.into_iter().fold(Self::default(), |mut all, set| {
            all.codes.extend(set.codes);
            all.signals.extend(set.signals);
            all
        })
    }
}
