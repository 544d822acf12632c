//! What the server answers when nothing is wrong.

use std::time::Duration;

use super::request::Head;

/// Most bytes that `/bytes?n=` gives.
const BYTES_LIMIT: u64 = 1 << 30;

/// A whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Body,
    /// How long it takes on top of the service time.
    pub(super) delay: Duration,
}

/// What follows the head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Body {
    Text(String),
    /// `x`, repeated this number of times.
    Fill(u64),
}

impl Answer {
    pub(super) fn text(status: u16, text: impl Into<String>) -> Self {
        Self { status, body: Body::Text(text.into()), delay: Duration::ZERO }
    }

    /// The answer to `head`, on a connection of the socket called `socket`.
    pub(super) fn to(head: &Head, socket: &str) -> Self {
        match head.path() {
            "/" | "/health" => Self::text(200, "ok\n"),
            "/pid" => Self::text(200, format!("{}\n", std::process::id())),
            "/socket" => Self::text(200, format!("{socket}\n")),
            "/slow" => {
                let delay = Duration::from_millis(head.query_number("ms").unwrap_or(300));
                Self { delay, ..Self::text(200, "ok\n") }
            }
            "/bytes" => match head.query_number("n") {
                Some(n @ ..=BYTES_LIMIT) => Self { status: 200, body: Body::Fill(n), delay: Duration::ZERO },
                _ => Self::text(400, format!("say /bytes?n=N, at most {BYTES_LIMIT}\n")),
            },
            _ => Self::text(404, "not found\n"),
        }
    }

    /// Status line and header fields, up to the empty line.
    pub(super) fn head(&self, keep_alive: bool) -> String {
        let length = match &self.body {
            Body::Text(text) => text.len() as u64,
            Body::Fill(length) => *length,
        };
        let connection = if keep_alive { "keep-alive" } else { "close" };
        format!(
            "HTTP/1.1 {} {}\r\nServer: gapless-demo\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: {connection}\r\n\r\n",
            self.status,
            reason(self.status)
        )
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        404 => "Not Found",
        411 => "Length Required",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}
