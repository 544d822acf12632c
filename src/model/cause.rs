//! The mechanisms behind failures.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! causes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal;)+) => {
        /// The mechanism behind a failure. The names are those of `result.json`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum Cause { $($(#[doc = $doc])+ $variant,)+ }

        impl Cause {
            /// Every cause, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The name used in scenarios, records and reports.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

            /// The mechanism in one sentence.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc,)+).trim_ascii(),)+ }
            }
        }
    };
}

causes! {
    /// Nobody listened on the address.
    NoListener = "no_listener";
    /// The listener was closed while the connection waited in its accept queue.
    AcceptQueueReset = "accept_queue_reset";
    /// The server accepted the connection and closed it without reading the request.
    AcceptedUnread = "accepted_unread";
    /// The server closed an idle keep-alive connection while the request was in the air.
    KeepAliveRace = "keep_alive_race";
    /// The process was ended while it worked on the request.
    KilledInFlight = "killed_in_flight";
    /// The accept queue was full.
    QueueOverflow = "queue_overflow";
    /// The new process took longer to answer than the client waits.
    SlowStart = "slow_start";
    /// systemd refused to start the service again (StartLimitBurst=), and the socket failed with it.
    StartLimit = "start_limit";
    /// The socket was triggered too often (TriggerLimitBurst=) and failed.
    TriggerLimit = "trigger_limit";
    /// The socket unit was not active.
    SocketUnitDown = "socket_unit_down";
    /// The path of the Unix socket was removed while its listener lived on.
    PathUnlinked = "path_unlinked";
    /// The client may not connect to the Unix socket.
    Permission = "permission";
    /// A proxy answered in place of a server it could not reach (502, 503, 504).
    ProxyUpstream = "proxy_upstream";
    /// The application itself gave a wrong answer.
    Application = "application";
    /// The evidence is missing or contradicts itself.
    Ambiguous = "ambiguous";
}

impl Cause {
    /// The cause of that name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|cause| cause.name() == name)
    }
}

impl std::fmt::Display for Cause {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}
