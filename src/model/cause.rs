//! The mechanisms behind failures.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! causes {
    ($($(#[doc = $doc:literal])+ $variant:ident = $remedy:literal;)+) => {
        /// The mechanism behind a failure. The names are those of `result.json`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[derive(strum::IntoStaticStr, strum::Display, strum::EnumString)]
        #[serde(rename_all = "snake_case")]
        #[strum(serialize_all = "snake_case")]
        pub enum Cause { $($(#[doc = $doc])+ $variant,)+ }

        impl Cause {
            /// Every cause, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The name used in scenarios, records and reports.
            #[must_use]
            pub fn name(self) -> &'static str {
                self.into()
            }

            /// The mechanism in one sentence.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc,)+).trim_ascii(),)+ }
            }

            /// What helps against it, in one or two sentences.
            #[must_use]
            pub const fn remedy(self) -> &'static str {
                match self { $(Self::$variant => $remedy,)+ }
            }
        }
    };
}

causes! {
    /// Nobody listened on the address.
    NoListener =
        "Let a socket unit hold the listener: connections then wait while the service is away.";
    /// The listener was closed while the connection waited in its accept queue, or the datagram in its receive queue.
    AcceptQueueReset =
        "Let a socket unit hold the listener: a queue dies with the last descriptor of its socket. Between listeners with SO_REUSEPORT, net.ipv4.tcp_migrate_req=1 hands it on.";
    /// The server accepted the connection and closed it without reading the request.
    AcceptedUnread =
        "Have the server, when it stops, answer what it has accepted before it closes. FlushPending=yes and MaxConnections= make systemd close connections, too.";
    /// The server closed a keep-alive connection before it had read the request.
    KeepAliveRace =
        "Have the server announce the end: `Connection: close` in an answer to each kept connection before it closes it. Clients may send idempotent requests again.";
    /// The process ended, or closed the connection as it stopped, with the request in hand.
    KilledInFlight =
        "Let requests end: a graceful stop on SIGTERM, and a TimeoutStopSec= longer than the slowest of them.";
    /// The accept queue, the receive buffer or the FIFO was full.
    QueueOverflow =
        "Raise Backlog= and net.core.somaxconn to the backlog that the report says is needed; a server that calls listen() again sets its own. Or shorten the stall.";
    /// The new process took longer to answer than the client waits.
    SlowStart =
        "Shorten the start, or bring the new process up before the old one stops; or let clients wait longer than the stall.";
    /// The old process no longer accepted connections and took longer to end than the client waits.
    SlowStop =
        "Have the server end as soon as its last request is answered, or accept until it ends, and bound the rest by TimeoutStopSec=; or start the new process before the old one stops.";
    /// A process ran, but took no connection from this listener: it listens elsewhere, or hangs.
    NotAccepted =
        "Have the server use the socket it was passed (sd_listen_fds(3)), or listen on the address that clients use; if it hangs, see its log and what it waits for.";
    /// The stream crossed the server's GOAWAY.
    GoawayRace =
        "Have the server send GOAWAY twice, at least one round trip apart: first with the largest stream id, then with the last stream that it processed; clients may send the others again.";
    /// The TLS handshake failed, or a TLS record ended the connection.
    Tls =
        "See the reason: renew the certificate, issue it for the name that clients use, or give the client the CA with ca_file.";
    /// systemd refused to start the service again (StartLimitBurst=), and the socket failed with it.
    StartLimit =
        "Find out why the service ends, or how often it is deployed: StartLimitBurst= and StartLimitIntervalSec= bound both. Until then: systemctl reset-failed, and start the socket.";
    /// The socket was triggered too often (TriggerLimitBurst=) and failed.
    TriggerLimit =
        "Find out why the service leaves connections unaccepted; TriggerLimitBurst= and TriggerLimitIntervalSec= bound its starts. Until then: systemctl reset-failed, and start the socket.";
    /// The socket unit was not active.
    SocketUnitDown =
        "Restart the service and leave its socket alone: take PartOf=, BindsTo= and Requires= on the service out of the socket unit; if it has failed, systemctl reset-failed and start it.";
    /// The path of the Unix socket was removed while its listener lived on.
    PathUnlinked =
        "Keep the path out of the service's RuntimeDirectory=, and have the server not remove a socket that it was passed. Until then: restart the socket.";
    /// The client may not connect to the Unix socket.
    Permission =
        "Let the client in: SocketUser=, SocketGroup= and SocketMode= of the socket, and the modes of the folders above it.";
    /// A proxy answered in place of a server it could not reach (502, 503, 504; gRPC's UNAVAILABLE).
    ProxyUpstream =
        "See why the proxy could not reach its server: add a cohort that connects to the server directly (`[[load]] url` or `unix`); it shows the cause.";
    /// The application itself gave a wrong answer.
    Application =
        "See the application's own log: it was reached, and answered.";
    /// The evidence is missing or contradicts itself.
    Ambiguous =
        "See the service's own log of that time: a service that listens but never answers matches no other cause. More evidence comes with root, tracefs and Linux 6.10 or later, and with a lower rate for a sample of every failure.";
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The row of the cause in the README.
    fn row(cause: Cause) -> String {
        format!("| `{cause}` | {} | {} |", cause.meaning(), cause.remedy())
    }

    #[test]
    fn every_cause_has_its_meaning_and_its_remedy_and_the_readme_has_both() {
        let readme = include_str!("../../README.md");
        let missing: Vec<String> =
            Cause::ALL.iter().map(|&cause| row(cause)).filter(|row| !readme.contains(row.as_str())).collect();
        assert!(missing.is_empty(), "README.md lacks, or has otherwise:\n{}", missing.join("\n"));
        assert!(Cause::ALL.iter().all(|cause| cause.remedy().ends_with('.')));
    }
}
