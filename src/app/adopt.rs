//! What may be adopted: a path that answers 2xx or 3xx, or a call that ends OK, over http or https; or what does not speak
//! HTTP, by what it says.

mod messages;

use std::io;
use std::net::IpAddr;
use std::path::Path;

use toml::Value;

use self::messages::takes_messages;
use super::hear::{SERVING, Said, Unheard, hear};
use super::output::inform;
use super::request;
use crate::cli::RequestArgs;
use crate::host::answer::{self, Greeting};
use crate::load;
use crate::model::{Endpoint, GrpcStatus, Instead};
use crate::scenario;
use crate::scenario::draft::TargetKeys;
use crate::scenario::plan::{Cohort, GRPC_HEALTH, Protocol, StatusPattern};

/// Paths that are asked for, the likeliest first.
const PATHS: [&str; 4] = ["/health", "/healthz", "/ready", "/"];

/// How services are asked: with the options of the command line, in a directory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asking<'a> {
    pub(super) request: &'a RequestArgs,
    pub(super) here: &'a Path,
    /// Where the machine of the services is reached, where that is another one.
    pub(super) there: Option<IpAddr>,
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
    /// A URL with what it was answered with.
    Path(Asked),
    /// It speaks something else, at that URL; with what it says by itself, where nothing was said to it.
    Bytes { keys: TargetKeys, greeting: Option<Greeting> },
    /// Nothing: it answers no path well enough, or not at all.
    Nothing,
    /// Nothing, since it takes messages and was sent none: it may be well.
    Unasked,
}

/// A URL that was answered well.
pub(super) struct Asked {
    /// Where it is: `url`, and `unix` for a socket in the file system.
    pub(super) keys: TargetKeys,
    pub(super) said: Said,
    /// What is wrong with its certificate, which is not checked then.
    pub(super) certificate: Option<String>,
}

/// What came of one question.
enum Reply {
    /// An answer; with what is wrong with the certificate, which is not checked then.
    Said(Said, Option<String>),
    AnotherProtocol(Option<Instead>),
    /// The certificate is not what `--ca-file` vouches for.
    Untrusted(String),
    Error(String),
}

impl Asking<'_> {
    /// Whether the options describe something that HTTP must not be spoken to.
    pub(super) fn is_bytes(&self) -> bool {
        let RequestArgs { method, headers, body, body_file, expect_status, protocol, .. } = self.request;
        let says_more = method.is_some() || !headers.is_empty() || !expect_status.is_empty() || protocol.is_some();
        (body.is_some() || body_file.is_some()) && !says_more
    }

    /// Asks an endpoint. Where it is to be spoken to in bytes, no HTTP is spoken.
    pub(super) fn ask(&self, endpoint: &Endpoint) -> Candidate {
        let place = endpoint.to_string();
        if takes_messages(endpoint) {
            return self.ask_message(endpoint);
        }
        if self.is_bytes() {
            return self.talk(place, at(endpoint, "tcp", ""));
        }
        let mut told = Vec::new();
        let mut is_http = false;
        for scheme in ["http", "https"] {
            let mut answers = Vec::new();
            for &path in self.paths() {
                let keys = at(endpoint, scheme, path);
                match self.reply(&keys) {
                    Reply::Said(said, certificate) if self.accepts(said) => {
                        let told = format!("{} {path} answered {said} over {scheme}", self.method());
                        return Candidate { place, told, adopted: Adopted::Path(Asked { keys, said, certificate }) };
                    }
                    Reply::Said(said, _) => answers.push(format!("{path} {said}")),
                    Reply::AnotherProtocol(instead) => {
                        let is_asked = self.request.protocol.is_some();
                        told.extend(is_asked.then(|| format!("over {scheme}: {}", self.another(instead))));
                        break;
                    }
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
            if scenario::sends_messages(url) {
                return messages::without_message(url);
            }
            let told = "as it was given".to_owned();
            return Candidate { place, told, adopted: Adopted::Bytes { keys, greeting: None } };
        }
        let method = self.method();
        let (told, adopted) = match self.reply(&keys) {
            Reply::Said(said, certificate) if self.accepts(said) => {
                let told = format!("{method} answered {said}");
                (told, Adopted::Path(Asked { keys, said, certificate }))
            }
            Reply::Said(said, _) => (format!("{method} answered {said}"), Adopted::Nothing),
            Reply::AnotherProtocol(instead) => (self.another(instead), Adopted::Nothing),
            Reply::Untrusted(why) => (format!("its certificate is not trusted: {why}"), Adopted::Nothing),
            Reply::Error(error) => (error, Adopted::Nothing),
        };
        Candidate { place, told, adopted }
    }

    fn method(&self) -> String {
        let has_body = self.request.body.is_some() || self.request.body_file.is_some();
        let is_post = has_body || self.is_grpc();
        self.request.method.clone().unwrap_or_else(|| if is_post { "POST" } else { "GET" }.to_owned())
    }

    /// One request as the load would send it. A certificate that is not trusted is noted and, unless its CA was named,
    /// accepted.
    fn reply(&self, keys: &TargetKeys) -> Reply {
        let shown: Vec<&str> = keys.iter().filter_map(|(_, value)| value.as_str()).collect();
        inform(&format!("asking {}", shown.join(" through ")));
        let checked = self.heard(keys, false);
        let certificate = match &checked {
            Err(unheard) => unheard
                .certificate
                .clone()
                .or_else(|| (unheard.is_without_cas && self.request.ca_file.is_none()).then(|| unheard.why.clone())),
            Ok(_) => None,
        };
        let answered = match &certificate {
            Some(_) if self.request.ca_file.is_none() => self.heard(keys, true),
            _ => checked,
        };
        match answered {
            Ok(Said::AnotherProtocol(instead)) => Reply::AnotherProtocol(instead),
            Ok(said) => Reply::Said(said, certificate),
            Err(unheard) => certificate.map_or_else(|| Reply::Error(unheard.why), Reply::Untrusted),
        }
    }

    fn heard(&self, keys: &TargetKeys, insecure: bool) -> Result<Said, Unheard> {
        hear(&self.cohort(keys, insecure)?)
    }

    /// What it speaks, where that is not what was asked for.
    fn another(&self, instead: Option<Instead>) -> String {
        let wanted = match self.request.protocol {
            Some(Protocol::Grpc) => "gRPC",
            Some(Protocol::Http2) => "HTTP/2",
            Some(Protocol::Http1) | None => "HTTP",
        };
        let spoken = match instead {
            Some(Instead::Http1) => ": it answered as HTTP/1.1",
            Some(Instead::NoAlpn) => ": it did not choose h2 in its TLS handshake (ALPN)",
            Some(Instead::NotGrpc) => ": it answered with something else over HTTP/2",
            Some(Instead::Other) | None => "",
        };
        format!("it does not answer in {wanted}{spoken}")
    }

    fn is_grpc(&self) -> bool {
        self.request.protocol == Some(Protocol::Grpc)
    }

    fn paths(&self) -> &'static [&'static str] {
        if self.is_grpc() { &[GRPC_HEALTH] } else { &PATHS }
    }

    /// The cohort that asks for `keys`.
    fn cohort(&self, keys: &TargetKeys, insecure: bool) -> io::Result<Cohort> {
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
        let mut cohort =
            request::cohort(&all, self.here).map_err(|mistakes| io::Error::other(request::told(&mistakes)))?;
        if self.is_grpc() && cohort.target.path == GRPC_HEALTH {
            cohort.target.expect_body.get_or_insert_with(|| SERVING.to_owned());
        }
        Ok(cohort)
    }

    /// Says the body and looks whether what comes back matches.
    fn talk(&self, place: String, keys: TargetKeys) -> Candidate {
        inform(&format!("sending --body to {place}"));
        let pattern = regex_lite::Regex::new(self.request.expect_body.as_deref().unwrap_or("(?s).")).ok();
        let matches = |answer: &[u8]| {
            let text = String::from_utf8_lossy(answer);
            pattern.as_ref().is_none_or(|pattern| pattern.is_match(&text))
        };
        let question = self.cohort(&keys, false).and_then(|cohort| load::asks(&cohort).map_err(io::Error::other));
        let is_fifo = question.as_ref().is_ok_and(|(endpoint, ..)| matches!(endpoint, Endpoint::Fifo(_)));
        let reply = question.and_then(|(endpoint, _, bytes)| answer::reply_of(&endpoint, &bytes, &matches));
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
                let told = "it does not answer in HTTP and sends nothing on its own".to_owned();
                Candidate { place, told, adopted: Adopted::Nothing }
            }
            Ok(Some(Greeting::Http2)) => {
                let told = "it speaks HTTP/2: pass --protocol http2, or --protocol grpc".to_owned();
                Candidate { place, told, adopted: Adopted::Nothing }
            }
            Ok(greeting) => {
                let adopted = Adopted::Bytes { keys: at(endpoint, "tcp", ""), greeting };
                Candidate { place, told: "it does not answer in HTTP".to_owned(), adopted }
            }
            Err(error) => Candidate { place, told: error.to_string(), adopted: Adopted::Nothing },
        }
    }

    /// Whether an answer may be adopted: one that is expected, or where nothing was said, 2xx, 3xx and OK.
    fn accepts(&self, said: Said) -> bool {
        let status = match said {
            Said::Status(status) => status,
            Said::Call(status) => {
                let expected = &self.request.expect_grpc_status;
                let is_expected = expected.iter().any(|text| text.parse() == Ok(status));
                return is_expected || expected.is_empty() && status == GrpcStatus::Ok;
            }
            Said::NotServing | Said::AnotherProtocol(_) => return false,
        };
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
mod tests;
