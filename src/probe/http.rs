//! One plain HTTP request, to find out what a service answers before any load is planned.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::model::Endpoint;

/// How long an answer may take: the request may start the service.
const PATIENCE: Duration = Duration::from_secs(10);

/// A status line is shorter than this; of what answers more than that without one nothing is read.
const HEAD_BYTES: usize = 64;

/// What `GET path` is answered with: the status, or none if the answer is not HTTP.
///
/// # Errors
/// When there is no connection, or no answer within 10 s.
pub fn status_of(endpoint: &Endpoint, path: &str) -> io::Result<Option<u16>> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", host(endpoint));
    let mut head = Vec::new();
    match endpoint {
        Endpoint::Tcp(address) => {
            let mut stream = TcpStream::connect_timeout(address, PATIENCE)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.write_all(request.as_bytes())?;
            stream.take(HEAD_BYTES as u64).read_to_end(&mut head)?;
        }
        Endpoint::Unix(path) => {
            let mut stream = UnixStream::connect(path)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.write_all(request.as_bytes())?;
            stream.take(HEAD_BYTES as u64).read_to_end(&mut head)?;
        }
    }
    Ok(status(&head))
}

fn host(endpoint: &Endpoint) -> String {
    match endpoint {
        Endpoint::Tcp(address) => address.to_string(),
        Endpoint::Unix(_) => "localhost".to_owned(),
    }
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
        let status = status_of(&endpoint, "/x").unwrap();
        server.join().unwrap();
        status
    }

    #[test]
    fn the_status_of_an_answer_is_read_and_what_is_no_http_has_none() {
        assert_eq!(answered(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"), Some(404));
        assert_eq!(answered(b"SSH-2.0-OpenSSH_9.2\r\n"), None);
    }

    #[test]
    fn where_nobody_listens_there_is_an_error() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = Endpoint::Tcp(listener.local_addr().unwrap());
        drop(listener);
        assert!(status_of(&endpoint, "/").is_err());
    }
}
