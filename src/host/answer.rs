//! What a service answers, found out before any load is planned.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use tokio_rustls::rustls::{ClientConnection, Error, StreamOwned};

use super::message;
use crate::model::Endpoint;
use crate::model::address::unix_address;
use crate::trust::Trusted;

/// How long an answer may take: the request may start the service.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long somebody who has connected waits to be spoken to. The service runs by then.
const GREETING_PATIENCE: Duration = Duration::from_secs(1);

/// No more is read of what goes on answering.
const REPLY_BYTES_MAX: usize = 64 * 1024;

/// A version and a status, `HTTP/1.1 200`: no more is read of what answers with less than a whole head.
const STATUS_BYTES: usize = 12;

/// What is asked where.
#[derive(Debug)]
pub struct Question {
    /// Where to connect.
    pub endpoint: Endpoint,
    /// For https.
    pub tls: Option<Trusted>,
    /// What is sent.
    pub bytes: Vec<u8>,
}

/// The status that a question is answered with; none if the answer is not HTTP.
///
/// # Errors
/// When there is no connection, no TLS, or no answer within 10 s.
pub fn status_of(question: &Question) -> io::Result<Option<u16>> {
    let mut stream = connect(&question.endpoint, PATIENCE)?;
    if let Some(Trusted { config, server_name }) = &question.tls {
        let client = ClientConnection::new(Arc::clone(config), server_name.clone()).map_err(io::Error::other)?;
        stream = Box::new(StreamOwned::new(client, stream));
    }
    stream.write_all(&question.bytes)?;
    let mut head = Vec::new();
    match stream.take(STATUS_BYTES as u64).read_to_end(&mut head) {
        // What spoke and fell silent does not speak HTTP.
        Err(error) if is_timeout(&error) && !head.is_empty() => Ok(None),
        read => read.map(|_| status(&head)).map_err(in_words),
    }
}

/// That a read has timed out, which the kernel tells as EAGAIN.
fn in_words(error: io::Error) -> io::Error {
    let silence = || io::Error::new(ErrorKind::TimedOut, format!("nothing came back within {} s", PATIENCE.as_secs()));
    if is_timeout(&error) { silence() } else { error }
}

/// What is wrong with a certificate, where that is why there was no answer.
#[must_use]
pub fn certificate_error(error: &io::Error) -> Option<String> {
    match error.get_ref()?.downcast_ref::<Error>()? {
        Error::InvalidCertificate(why) => Some(why.to_string()),
        _ => None,
    }
}

/// What a service answers to `bytes`: all until it is what `is_whole` takes for an answer, until it closes the
/// connection, or until it has said nothing for a second.
///
/// # Errors
/// When there is no connection, or no answer within 10 s.
pub fn reply_of(endpoint: &Endpoint, bytes: &[u8], is_whole: &dyn Fn(&[u8]) -> bool) -> io::Result<Vec<u8>> {
    if !endpoint.takes_connections() || matches!(endpoint, Endpoint::UnixSeqpacket(_)) {
        return message::reply_of(endpoint, bytes);
    }
    let mut stream = connect(endpoint, GREETING_PATIENCE)?;
    stream.write_all(bytes)?;
    let (begun, mut reply, mut part) = (Instant::now(), Vec::new(), [0; 1024]);
    while reply.len() < REPLY_BYTES_MAX {
        match stream.read(&mut part) {
            Ok(0) => break,
            Ok(length) => reply.extend_from_slice(&part[..length]),
            // The service may still have to start.
            Err(error) if is_timeout(&error) && reply.is_empty() && begun.elapsed() < PATIENCE => continue,
            Err(error) if is_timeout(&error) && !reply.is_empty() => break,
            Err(error) => return Err(in_words(error)),
        }
        if is_whole(&reply) {
            break;
        }
    }
    Ok(reply)
}

/// What a service says to somebody who has connected and says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Greeting {
    /// It speaks, and closes the connection.
    Closing,
    /// It speaks, and waits for more.
    Waiting,
    /// It begins to speak HTTP/2.
    Http2,
    /// Nothing.
    None,
}

/// How a service greets.
///
/// # Errors
/// When there is no connection, or it is lost.
pub fn greeting_of(endpoint: &Endpoint) -> io::Result<Greeting> {
    let mut stream = connect(endpoint, GREETING_PATIENCE)?;
    let mut bytes = [0; 1024];
    let mut has_spoken = false;
    loop {
        match stream.read(&mut bytes) {
            Ok(length) if !has_spoken && is_settings(&bytes[..length]) => return Ok(Greeting::Http2),
            Ok(0) if has_spoken => return Ok(Greeting::Closing),
            Ok(0) => return Ok(Greeting::None),
            Ok(_) => has_spoken = true,
            Err(error) if is_timeout(&error) && has_spoken => return Ok(Greeting::Waiting),
            Err(error) if is_timeout(&error) => return Ok(Greeting::None),
            Err(error) => return Err(error),
        }
    }
}

/// Whether it is the head of a SETTINGS frame, with which a server of HTTP/2 begins (RFC 9113, section 3.4).
fn is_settings(bytes: &[u8]) -> bool {
    const SETTINGS: u8 = 4;
    matches!(bytes, [0, _, _, SETTINGS, 0, 0, 0, 0, 0, ..])
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

/// Each read on it takes at most `patience`.
fn connect(endpoint: &Endpoint, patience: Duration) -> io::Result<Box<dyn Stream>> {
    Ok(match endpoint {
        Endpoint::Tcp(address) => {
            let stream = TcpStream::connect_timeout(address, PATIENCE)?;
            stream.set_read_timeout(Some(patience))?;
            Box::new(stream)
        }
        Endpoint::Unix(path) => {
            let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
            rustix::net::connect(&socket, &unix_address(path)?)?;
            let stream = UnixStream::from(socket);
            stream.set_read_timeout(Some(patience))?;
            Box::new(stream)
        }
        _ => return Err(io::Error::new(ErrorKind::Unsupported, "it takes messages, not bytes")),
    })
}

fn status(head: &[u8]) -> Option<u16> {
    let head = String::from_utf8_lossy(head);
    let digits = head.strip_prefix("HTTP/1.")?.get(2..5)?;
    digits.parse().ok().filter(|status| (100..600).contains(status))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn asking(endpoint: Endpoint) -> Question {
        Question { endpoint, tls: None, bytes: b"GET /x HTTP/1.1\r\n\r\n".to_vec() }
    }

    fn answered(answer: &'static [u8]) -> Option<u16> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = Endpoint::Tcp(listener.local_addr().unwrap());
        let server = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let length = stream.read(&mut request).unwrap();
            assert!(request[..length].starts_with(b"GET /x HTTP/1.1\r\n"));
            stream.write_all(answer).unwrap();
        });
        let status = status_of(&asking(endpoint)).unwrap();
        server.join().unwrap();
        status
    }

    #[test]
    fn the_status_of_an_answer_is_read_and_what_is_no_http_has_none() {
        assert_eq!(answered(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"), Some(404));
        assert_eq!(answered(b"SSH-2.0-OpenSSH_9.2\r\n"), None);
    }

    #[test]
    fn a_service_greets_or_not() {
        let greeting = |answer: &'static [u8], closes: bool| {
            let listener = TcpListener::bind("127.0.0.1:0").unwrap();
            let endpoint = Endpoint::Tcp(listener.local_addr().unwrap());
            let server = std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                stream.write_all(answer).unwrap();
                // Until the client is gone.
                (!closes).then(|| stream.read(&mut [0]))
            });
            let greeting = greeting_of(&endpoint).unwrap();
            server.join().unwrap();
            greeting
        };
        assert_eq!(greeting(b"hello\n", true), Greeting::Closing);
        assert_eq!(greeting(b"220 ready\r\n", false), Greeting::Waiting);
        assert_eq!(greeting(b"\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\0\x64", false), Greeting::Http2);
        assert_eq!([greeting(b"", false), greeting(b"", true)], [Greeting::None; 2]);
    }

    #[test]
    fn where_nobody_listens_there_is_an_error() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = Endpoint::Tcp(listener.local_addr().unwrap());
        drop(listener);
        assert!(status_of(&asking(endpoint)).is_err());
    }
}
