//! What a target that takes messages needs, and what it cannot have.

use crate::scenario::file::{Load, Request};
use crate::scenario::mistake::Mistakes;
use crate::scenario::plan::Scheme;
use crate::scenario::url::Url;

/// The most that a message can hold, with where that comes from.
const LARGEST: &[(&str, usize, &str)] = &[
    ("udp", 65_507, "udp(7)"),
    ("unix-dgram", 212_960, "net.core.wmem_default of 212992, unix(7)"),
    ("unix-seqpacket", 212_960, "net.core.wmem_default of 212992, unix(7)"),
    ("fifo", 4096, "PIPE_BUF: the kernel may tear a longer one, pipe(7)"),
];

/// Checks the keys of a target whose requests are messages.
pub(super) fn check(
    url: &Url,
    own: &Request,
    base: &Request,
    body: &[u8],
    load: Option<&Load>,
    mistakes: &mut Mistakes,
) {
    let scheme = url.scheme_name();
    let given = own.url.over(&base.url).given().map(|url| url.place);
    let bodies = [&own.body.key(), &own.body_file.key(), &base.body.key(), &base.body_file.key()];
    match (bodies.into_iter().copied().flatten().next(), given) {
        (None, Some(place)) => {
            mistakes
                .add(place, format!("a {scheme} target without `body`: there is no message to send"))
                .help("add the message as body = \"...\", or `body_file`");
        }
        (Some(place), _) if body.is_empty() => {
            mistakes.add(place, "this message is empty").help("a request is one message of at least one byte");
        }
        (Some(place), _) => {
            let largest = LARGEST.iter().find(|(name, ..)| *name == scheme);
            if let Some((_, most, why)) = largest.filter(|(_, most, _)| body.len() > *most) {
                mistakes
                    .add(place, format!("this body is too long for one message: {} bytes", body.len()))
                    .help(format!("over {scheme} a message has at most {most} bytes ({why})"));
            }
        }
        (None, None) => {}
    }
    let inherited = own.url.is_absent().then(|| base.expect_body.key()).flatten();
    if let (Scheme::Fifo, Some(place)) = (url.scheme, own.expect_body.key().or(inherited)) {
        mistakes
            .add(place, "`expect_body` with a fifo target")
            .help("nothing comes back from a FIFO: a request is ok when the kernel has taken it; leave it out");
    }
    if let Some(place) = load.and_then(|load| load.connect_delay.key()) {
        mistakes
            .add(place, format!("`connect_delay` with a {scheme} target"))
            .help("each request is one message on a socket of its own: leave it out");
    }
}
