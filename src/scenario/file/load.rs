//! `[[load]]`: a cohort.

use std::time::Duration;

use super::Request;
use crate::scenario::keys::keys;
use crate::scenario::kind::{self, Kind};
use crate::scenario::reader::Field;
use crate::scenario::url;

/// Requests a second, the most; some five times what one thread can send.
const FASTEST: f64 = 1_000_000.0;
/// Connections of one cohort, the most: there are no more ports.
const MOST_CONNECTIONS: u32 = 65_535;
/// Requests at once on one connection, the most: what servers allow is 100 to 250, as a rule.
const MOST_STREAMS: u32 = 1_000;
const LONGEST: Duration = Duration::from_secs(3_600);

keys! {
    /// Clients with one rate and one connection policy.
    #[derive(Clone, Debug)]
    pub(crate) struct Load = "load" before request: Request {
        /// Unique in the scenario.
        name: Field<String> = kind::name(), required "this cohort has no name", "add name = \"keep-alive\"";
        /// Open loop: requests per second, whatever the target does.
        rate: Field<f64> = kind::positive(FASTEST), default 200;
        /// Closed loop: each is due again when its last request ended.
        clients: Field<u32> = kind::whole(1..=MOST_CONNECTIONS);
        /// A load balancer's check instead of a load.
        health: Field<Health> = kind::table::<Health>();
        /// Keep connections and use them again; false: every request has its own.
        reuse: Field<bool> = kind::boolean(), default true;
        /// With reuse: the maximum number; a due request waits for a free one.
        connections: Field<u32> = kind::whole(1..=MOST_CONNECTIONS), default 16;
        /// HTTP/2: the maximum number of concurrent requests on each connection.
        streams: Field<u32> = kind::whole(1..=MOST_STREAMS), default 1;
        /// A pause between a new connection and its first request.
        connect_delay: Field<Duration> = kind::span(Duration::ZERO..=LONGEST), default "0s";
        /// Path and query, instead of the URL's.
        path: Field<String> = path();
    }
}

keys! {
    /// A load balancer's check.
    #[derive(Clone, Debug)]
    pub(crate) struct Health = "health" {
        /// From one check to the next.
        interval: Field<Duration> = kind::span(Duration::from_millis(1)..=LONGEST);
        /// Successes in a row until it counts as healthy.
        rise: Field<u32> = kind::whole(1..=1_000_u32);
        /// Failures in a row until it counts as unhealthy.
        fall: Field<u32> = kind::whole(1..=1_000_u32);
    }
}

/// The path and query of a request.
pub(crate) fn path() -> Kind<String> {
    let path = kind::word().then(|text, node, mistakes| {
        url::checked_path(text)
            .map_err(|(why, help)| {
                mistakes.add(node.place, why).help(help);
            })
            .ok()
    });
    path.described(|| serde_json::json!({ "type": "string", "pattern": "^/" }))
}
