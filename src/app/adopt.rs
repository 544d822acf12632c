//! What may be adopted: a path that answers 2xx or 3xx, over http or https; or what does not speak HTTP, by what it says.

use std::error::Error;
use std::io;
use std::path::Path;

use toml::Value;

use super::output::inform;
use super::request;
use crate::cli::RequestArgs;
use crate::host::answer::{self, Greeting, Question};
use crate::load::{self, LoadError};
use crate::model::Endpoint;
use crate::scenario;
use crate::scenario::draft::TargetKeys;
use crate::scenario::plan::StatusPattern;

/// Paths that are asked for, the likeliest first.
const PATHS: [&str; 4] = ["/health", "/healthz", "/ready", "/"];

/// How services are asked: with the options of the command line, in a directory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asking<'a> {
    pub(super) request: &'a RequestArgs,
    pub(super) here: &'a Path,
}

/// What one endpoint answered.
pub(super) struct Candidate {
    /// Where it is reached: an address or a socket, or the URL that was given.
    pub(super) place: String,
    /// What came back, for people.
    pub(super) told: String,
    /// What can be loaded there.
    pub(super) adopted: Adopted,
}

/// What can be loaded at an endpoint.
pub(super) enum Adopted {
    /// A URL with the status it was answered with.
    Path(Asked),
    /// It speaks something else, at that URL; with what it says by itself, where nothing was said to it.
    Bytes { keys: TargetKeys, greeting: Option<Greeting> },
    /// Nothing: it answers no path well enough, or not at all.
    Nothing,
}

/// A URL that was answered well.
pub(super) struct Asked {
    /// Where it is: `url`, and `unix` for a socket in the file system.
    pub(super) keys: TargetKeys,
    pub(super) status: u16,
    /// What is wrong with its certificate, which is not checked then.
    pub(super) certificate: Option<String>,
}

/// What came of one question.
enum Reply {
    Status(u16, Option<String>),
    NotHttp,
    /// The certificate is not what `--ca-file` vouches for.
    Untrusted(String),
    Error(String),
}

impl Asking<'_> {
    /// Whether the options describe something that HTTP must not be spoken to.
    pub(super) fn is_bytes(&self) -> bool {
        let RequestArgs { method, headers, body, body_file, expect_status, .. } = self.request;
        (body.is_some() || body_file.is_some()) && method.is_none() && headers.is_empty() && expect_status.is_empty()
    }

    /// Asks an endpoint. Where it is to be spoken to in bytes, no HTTP is spoken.
    pub(super) fn ask(&self, endpoint: &Endpoint) -> Candidate {
        let place = endpoint.to_string();
        if !matches!(endpoint, Endpoint::Tcp(_) | Endpoint::Unix(_)) {
            return self.ask_message(place, endpoint);
        }
        if self.is_bytes() {
            return self.talk(place, at(endpoint, "tcp", ""));
        }
        let mut told = Vec::new();
        let mut is_http = false;
        for scheme in ["http", "https"] {
            let mut answers = Vec::new();
            for path in PATHS {
                let keys = at(endpoint, scheme, path);
                match self.reply(&keys) {
                    Reply::Status(status, certificate) if self.accepts(status) => {
                        let told = format!("{} {path} answered {status} over {scheme}", self.method());
                        return Candidate { place, told, adopted: Adopted::Path(Asked { keys, status, certificate }) };
                    }
                    Reply::Status(status, _) => answers.push(format!("{path} {status}")),
                    Reply::NotHttp => break,
                    // One that answered in http at all does not fail for https as well.
                    Reply::Error(error) => {
                        told.extend((scheme == "http").then_some(error));
                        break;
                    }
                    Reply::Untrusted(why) => {
                        told.push(format!("over https: its certificate is not trusted: {why}"));
                        break;
                    }
                }
            }
            is_http |= !answers.is_empty();
            if !answers.is_empty() {
                told.push(format!("over {scheme}: {}", answers.join(", ")));
            }
        }
        if is_http || !told.is_empty() {
            return Candidate { place, told: told.join("; "), adopted: Adopted::Nothing };
        }
        self.greet(place, endpoint)
    }

    /// Sends what `--body` says. Nothing is made up for a service that takes messages: any may be an order.
    fn ask_message(&self, place: String, endpoint: &Endpoint) -> Candidate {
        if self.request.body.is_some() || self.request.body_file.is_some() {
            return self.talk(place, at(endpoint, "", ""));
        }
        let answer = if matches!(endpoint, Endpoint::Fifo(_)) { "" } else { ", and --expect-body for its answer" };
        let told = format!("it takes messages: pass --body for one that it understands{answer}");
        Candidate { place, told, adopted: Adopted::Nothing }
    }

    /// Asks the URL that was given.
    pub(super) fn ask_url(&self, url: &str) -> Candidate {
        let mut keys = vec![("url", Value::from(url))];
        keys.extend(self.request.unix.as_deref().map(|path| ("unix", Value::from(path))));
        let place = url.to_owned();
        if !scenario::speaks_http(url) {
            let has_body = self.request.body.is_some() || self.request.body_file.is_some();
            if has_body {
                return self.talk(place, keys);
            }
            let told = "as it was given".to_owned();
            return Candidate { place, told, adopted: Adopted::Bytes { keys, greeting: None } };
        }
        let method = self.method();
        let (told, adopted) = match self.reply(&keys) {
            Reply::Status(status, certificate) if self.accepts(status) => {
                let told = format!("{method} answered {status}");
                (told, Adopted::Path(Asked { keys, status, certificate }))
            }
            Reply::Status(status, _) => (format!("{method} answered {status}"), Adopted::Nothing),
            Reply::NotHttp => ("it does not answer in HTTP".to_owned(), Adopted::Nothing),
            Reply::Untrusted(why) => (format!("its certificate is not trusted: {why}"), Adopted::Nothing),
            Reply::Error(error) => (error, Adopted::Nothing),
        };
        Candidate { place, told, adopted }
    }

    fn method(&self) -> String {
        let has_body = self.request.body.is_some() || self.request.body_file.is_some();
        self.request.method.clone().unwrap_or_else(|| if has_body { "POST" } else { "GET" }.to_owned())
    }

    /// One request as the load would send it. A certificate that is not trusted is noted and, unless its CA was named,
    /// accepted.
    fn reply(&self, keys: &TargetKeys) -> Reply {
        let shown: Vec<&str> = keys.iter().filter_map(|(_, value)| value.as_str()).collect();
        inform(&format!("asking {}", shown.join(" through ")));
        let checked = self.status_of(keys, false);
        let certificate = match &checked {
            Err(error) => answer::certificate_error(error).or_else(|| {
                let is_without_cas = error.get_ref().is_some_and(<dyn Error + Send + Sync>::is::<LoadError>);
                (is_without_cas && self.request.ca_file.is_none()).then(|| error.to_string())
            }),
            Ok(_) => None,
        };
        let answered = match &certificate {
            Some(_) if self.request.ca_file.is_none() => self.status_of(keys, true),
            _ => checked,
        };
        match answered {
            Ok(Some(status)) => Reply::Status(status, certificate),
            Ok(None) => Reply::NotHttp,
            Err(error) => certificate.map_or_else(|| Reply::Error(error.to_string()), Reply::Untrusted),
        }
    }

    fn status_of(&self, keys: &TargetKeys, insecure: bool) -> io::Result<Option<u16>> {
        answer::status_of(&self.question(keys, insecure)?)
    }

    fn question(&self, keys: &TargetKeys, insecure: bool) -> io::Result<Question> {
        let is_https = keys.iter().any(|(_, value)| value.as_str().is_some_and(|url| url.starts_with("https:")));
        let mut all = keys.clone();
        let is_bytes = keys
            .iter()
            .any(|(key, value)| *key == "url" && value.as_str().is_some_and(|url| !scenario::speaks_http(url)));
        all.extend(request::target_keys(self.request, !is_bytes));
        all.retain(|(key, _)| is_https || !matches!(*key, "ca_file" | "insecure"));
        if insecure && !self.request.insecure {
            all.push(("insecure", Value::from(true)));
        }
        let cohort = request::cohort(&all, self.here).map_err(|mistakes| io::Error::other(request::told(&mistakes)))?;
        let (endpoint, tls, bytes) = load::asks(&cohort).map_err(io::Error::other)?;
        Ok(Question { endpoint, tls, bytes })
    }

    /// Says the body and looks whether what comes back matches.
    fn talk(&self, place: String, keys: TargetKeys) -> Candidate {
        inform(&format!("sending --body to {place}"));
        let pattern = regex_lite::Regex::new(self.request.expect_body.as_deref().unwrap_or("(?s).")).ok();
        let matches = |answer: &[u8]| {
            let text = String::from_utf8_lossy(answer);
            pattern.as_ref().is_none_or(|pattern| pattern.is_match(&text))
        };
        let question = self.question(&keys, false);
        let is_fifo = question.as_ref().is_ok_and(|question| matches!(question.endpoint, Endpoint::Fifo(_)));
        let reply = question.and_then(|question| answer::reply_of(&question.endpoint, &question.bytes, &matches));
        let (told, adopted) = match reply {
            Ok(_) if is_fifo => {
                ("it took --body; nothing comes back from a FIFO".to_owned(), Adopted::Bytes { keys, greeting: None })
            }
            Ok(bytes) if matches(&bytes) => {
                let told = format!("it answered --body with {} bytes", bytes.len());
                (told, Adopted::Bytes { keys, greeting: None })
            }
            Ok(bytes) if bytes.is_empty() => {
                ("it closed the connection without an answer to --body".to_owned(), Adopted::Nothing)
            }
            Ok(bytes) => {
                (format!("its {} bytes in answer to --body do not match --expect-body", bytes.len()), Adopted::Nothing)
            }
            Err(error) => (error.to_string(), Adopted::Nothing),
        };
        Candidate { place, told, adopted }
    }

    /// Hears what it says by itself.
    fn greet(&self, place: String, endpoint: &Endpoint) -> Candidate {
        let greeting = self.request.expect_body.is_none().then(|| answer::greeting_of(endpoint));
        match greeting.transpose() {
            Ok(Some(Greeting::None)) => {
                let told = "it does not answer in HTTP and says nothing by itself".to_owned();
                Candidate { place, told, adopted: Adopted::Nothing }
            }
            Ok(greeting) => {
                let adopted = Adopted::Bytes { keys: at(endpoint, "tcp", ""), greeting };
                Candidate { place, told: "it does not answer in HTTP".to_owned(), adopted }
            }
            Err(error) => Candidate { place, told: error.to_string(), adopted: Adopted::Nothing },
        }
    }

    /// Whether a status may be adopted: one that is expected, or 2xx and 3xx where nothing was said.
    fn accepts(&self, status: u16) -> bool {
        let expected = &self.request.expect_status;
        if expected.is_empty() {
            return (200..400).contains(&status);
        }
        let mut patterns = expected.iter().filter_map(|text| StatusPattern::try_from(text.clone()).ok());
        patterns.any(|pattern| pattern.matches(status))
    }
}

/// The keys that lead to an endpoint.
fn at(endpoint: &Endpoint, scheme: &str, path: &str) -> TargetKeys {
    match endpoint {
        Endpoint::Tcp(address) => vec![("url", Value::from(format!("{scheme}://{address}{path}")))],
        Endpoint::Unix(socket) if scheme == "tcp" => vec![("url", Value::from(format!("unix:{}", socket.display())))],
        Endpoint::Unix(socket) => {
            let url = Value::from(format!("{scheme}://localhost{path}"));
            vec![("url", url), ("unix", Value::from(socket.display().to_string()))]
        }
        others => vec![("url", Value::from(others.to_string()))],
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;

    use super::*;

    /// A server that answers each connection by what it was sent, and the endpoint that it listens at.
    fn server(answer: impl Fn(&str) -> String + Send + 'static) -> Endpoint {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = Endpoint::Tcp(listener.local_addr().unwrap());
        std::thread::spawn(move || {
            while let Ok((mut stream, _)) = listener.accept() {
                let mut request = [0; 1024];
                let Ok(length) = stream.read(&mut request) else { continue };
                let _ = stream.write_all(answer(&String::from_utf8_lossy(&request[..length])).as_bytes());
            }
        });
        endpoint
    }

    fn http(status: u16) -> String {
        format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n")
    }

    fn ask(endpoint: &Endpoint, request: &RequestArgs) -> String {
        let candidate = Asking { request, here: Path::new("/") }.ask(endpoint);
        match &candidate.adopted {
            Adopted::Path(asked) => format!("{} {}", candidate.told, asked.certificate.is_some()),
            Adopted::Bytes { .. } => "bytes".to_owned(),
            Adopted::Nothing => format!("nothing: {}", candidate.told),
        }
    }

    #[test]
    fn a_path_is_adopted_only_with_a_good_status() {
        let asked = |answer: fn(&str) -> String| ask(&server(answer), &RequestArgs::default());
        assert_eq!(asked(|_| http(200)), "GET /health answered 200 over http false");
        let elsewhere = asked(|request| http(if request.starts_with("GET / ") { 302 } else { 404 }));
        assert_eq!(elsewhere, "GET / answered 302 over http false");
        for status in [401, 404, 500, 503] {
            let answered = ask(&server(move |_| http(status)), &RequestArgs::default());
            let all = ["/health", "/healthz", "/ready", "/"].map(|path| format!("{path} {status}")).join(", ");
            assert_eq!(answered, format!("nothing: over http: {all}"));
        }
    }

    #[test]
    fn a_status_that_is_expected_is_good() {
        let said = RequestArgs { expect_status: vec!["401".to_owned()], ..RequestArgs::default() };
        assert_eq!(ask(&server(|_| http(401)), &said), "GET /health answered 401 over http false");
        assert!(ask(&server(|_| http(200)), &said).starts_with("nothing"));
    }

    #[test]
    fn a_service_is_asked_as_it_will_be_loaded() {
        let server = server(|request| {
            let is_right = request.starts_with("POST /health ")
                && request.to_lowercase().contains("x-key: hunter2-x\r\n")
                && request.ends_with("\r\n\r\n{}");
            http(if is_right { 200 } else { 403 })
        });
        let request = RequestArgs {
            headers: vec!["X-Key: hunter2-x".to_owned()],
            body: Some("{}".to_owned()),
            ..RequestArgs::default()
        };
        assert_eq!(ask(&server, &request), "POST /health answered 200 over http false");
        assert!(ask(&server, &RequestArgs::default()).starts_with("nothing"));
    }

    #[test]
    fn what_body_says_is_not_http_is_never_spoken_to_in_http() {
        let (heard, hears) = std::sync::mpsc::channel();
        let endpoint = server(move |request| {
            heard.send(request.to_owned()).unwrap();
            "+PONG\r\n".to_owned()
        });
        let said = |expect_body: &str| RequestArgs {
            body: Some("PING\r\n".to_owned()),
            expect_body: Some(expect_body.to_owned()),
            ..RequestArgs::default()
        };
        assert_eq!(ask(&endpoint, &said("PONG")), "bytes");
        assert_eq!(
            ask(&endpoint, &said("ready")),
            "nothing: its 7 bytes in answer to --body do not match --expect-body"
        );
        let all: Vec<String> = hears.try_iter().collect();
        assert!(all.iter().all(|heard| heard == "PING\r\n") && all.len() == 2, "{all:?}");
    }
}
