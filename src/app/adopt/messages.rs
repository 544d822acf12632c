//! Endpoints that take messages. Nothing is made up for them, and what `--body` says is sent to one of them alone: any message
//! may be an order.

use super::{Adopted, Asking, Candidate, at};
use crate::model::Endpoint;

impl Asking<'_> {
    /// Asks each endpoint. Where several services take messages, none of these is sent one; of the addresses of one UDP
    /// port, the first that answers is the last that is asked.
    pub(in crate::app) fn ask_each(&self, endpoints: &[Endpoint]) -> Vec<Candidate> {
        let first = endpoints.iter().find(|endpoint| takes_messages(endpoint));
        let is_one =
            endpoints.iter().filter(|it| takes_messages(it)).all(|it| first.is_some_and(|first| same(first, it)));
        let mut has_answered = false;
        let ask = |endpoint: &Endpoint| {
            if !takes_messages(endpoint) || !self.has_message() {
                return self.ask(endpoint);
            }
            if !is_one {
                return unasked(
                    &endpoint.to_string(),
                    "it takes messages, as others of it do: pass --url to choose one of them",
                );
            }
            if has_answered {
                return unasked(&endpoint.to_string(), "the same port, at another address");
            }
            let candidate = self.ask(endpoint);
            has_answered = matches!(candidate.adopted, Adopted::Bytes { .. });
            candidate
        };
        endpoints.iter().map(ask).collect()
    }

    /// Sends what `--body` says.
    pub(super) fn ask_message(&self, endpoint: &Endpoint) -> Candidate {
        if self.has_message() {
            return self.talk(endpoint.to_string(), at(endpoint, "", ""));
        }
        without_message(&endpoint.to_string())
    }

    fn has_message(&self) -> bool {
        self.request.body.is_some() || self.request.body_file.is_some()
    }
}

/// Whether a request to it is one message.
pub(in crate::app) fn takes_messages(endpoint: &Endpoint) -> bool {
    !matches!(endpoint, Endpoint::Tcp(_) | Endpoint::Unix(_))
}

/// Whether both are addresses of one service, as far as its sockets tell: one UDP port.
fn same(one: &Endpoint, other: &Endpoint) -> bool {
    one == other || matches!((one, other), (Endpoint::Udp(one), Endpoint::Udp(other)) if one.port() == other.port())
}

/// What is to be said where there is nothing to send to a URL.
pub(super) fn without_message(url: &str) -> Candidate {
    let answer = if url.starts_with("fifo:") { "" } else { ", and --expect-body for its answer" };
    unasked(url, &format!("it takes messages: pass --body for one that it understands{answer}"))
}

fn unasked(url: &str, told: &str) -> Candidate {
    Candidate { place: url.to_owned(), told: told.to_owned(), adopted: Adopted::Unasked }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::path::Path;
    use std::sync::mpsc;

    use super::*;
    use crate::cli::RequestArgs;

    /// A receiver that answers and tells of each datagram.
    fn receiver(address: &str) -> (Endpoint, mpsc::Receiver<Vec<u8>>) {
        let socket = UdpSocket::bind(address).unwrap();
        let endpoint = Endpoint::Udp(socket.local_addr().unwrap());
        let (told, hears) = mpsc::channel();
        std::thread::spawn(move || {
            let mut datagram = [0; 100];
            while let Ok((length, client)) = socket.recv_from(&mut datagram) {
                told.send(datagram[..length].to_vec()).unwrap();
                socket.send_to(b"PONG", client).unwrap();
            }
        });
        (endpoint, hears)
    }

    fn adopted(endpoints: &[Endpoint], request: &RequestArgs) -> Vec<&'static str> {
        let asking = Asking { request, here: Path::new("/"), there: None };
        let word = |candidate: Candidate| match candidate.adopted {
            Adopted::Path(_) => "path",
            Adopted::Bytes { .. } => "bytes",
            Adopted::Nothing => "nothing",
            Adopted::Unasked => "unasked",
        };
        asking.ask_each(endpoints).into_iter().map(word).collect()
    }

    fn ping() -> RequestArgs {
        RequestArgs { body: Some("PING".to_owned()), expect_body: Some("PONG".to_owned()), ..RequestArgs::default() }
    }

    #[test]
    fn one_receiver_is_sent_the_body_and_of_several_none_is() {
        let ((one, hears_one), (other, hears_other)) = (receiver("127.0.0.1:0"), receiver("127.0.0.1:0"));
        assert_eq!(adopted(&[one.clone(), other.clone()], &ping()), ["unasked", "unasked"]);
        assert_eq!(adopted(std::slice::from_ref(&one), &RequestArgs::default()), ["unasked"], "no message is made up");
        assert_eq!(adopted(&[one], &ping()), ["bytes"]);
        assert_eq!(hears_one.try_iter().collect::<Vec<_>>(), [b"PING"], "the last time alone");
        assert!(hears_other.try_recv().is_err());
        assert_eq!(adopted(&[other], &RequestArgs { expect_body: Some("no".to_owned()), ..ping() }), ["nothing"]);
    }

    #[test]
    fn a_url_that_was_given_needs_a_message_as_well() {
        let request = RequestArgs::default();
        let asking = Asking { request: &request, here: Path::new("/"), there: None };
        for url in ["udp://127.0.0.1:9", "unix-dgram:/run/a", "unix-seqpacket:/run/a", "fifo:/run/a"] {
            let candidate = asking.ask_url(url);
            assert!(matches!(candidate.adopted, Adopted::Unasked), "{url}");
            assert_eq!(candidate.told.contains("--expect-body"), !url.starts_with("fifo"), "{}", candidate.told);
        }
        assert!(matches!(asking.ask_url("tcp://127.0.0.1:9").adopted, Adopted::Bytes { .. }), "it may greet");
    }

    #[test]
    fn the_addresses_of_one_port_are_asked_until_one_answers() {
        let (endpoint, hears) = receiver("127.0.0.1:0");
        let port = endpoint.ip().unwrap().port();
        let at = |ip: [u8; 4]| Endpoint::Udp((ip, port).into());
        // Nobody has this port at 127.0.0.2, so that the kernel refuses it there.
        assert_eq!(
            adopted(&[at([127, 0, 0, 2]), endpoint, at([127, 0, 0, 3])], &ping()),
            ["nothing", "bytes", "unasked"]
        );
        assert_eq!(hears.try_iter().count(), 1);
    }
}
