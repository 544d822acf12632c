//! What may be adopted: a path that answers 2xx or 3xx, over http or https; or what does not speak HTTP, by what it says.

use std::fmt;

use super::output::say;
use crate::cli::SaidArgs;
use crate::host::answer::{self, Greeting, Way};
use crate::model::Endpoint;
use crate::scenario::plan::StatusPattern;

/// Paths that are asked for, the likeliest first.
const PATHS: [&str; 4] = ["/health", "/healthz", "/ready", "/"];

/// What one endpoint answered.
pub(super) struct Candidate {
    /// Where it is reached.
    pub(super) endpoint: Endpoint,
    /// What came back, for people.
    pub(super) told: String,
    /// What can be loaded there.
    pub(super) adopted: Adopted,
}

/// What can be loaded at an endpoint.
pub(super) enum Adopted {
    /// A path with its status.
    Path { way: Way, path: &'static str, status: u16 },
    /// It speaks something else; with what it says by itself, where nothing was said to it.
    Bytes(Option<Greeting>),
    /// Nothing: it answers no path well enough, or not at all.
    Nothing,
}

impl Candidate {
    /// Asks an endpoint. What is to be said to it in bytes is said, and no HTTP is spoken.
    pub(super) fn ask(endpoint: Endpoint, said: &SaidArgs) -> Self {
        if let Some(body) = &said.body {
            return Self::talk(endpoint, body, said.expect_body.as_deref());
        }
        let mut told = Vec::new();
        let mut is_http = false;
        for way in [Way::Http, Way::Https] {
            let mut answers = Answers { way, statuses: Vec::new() };
            for path in PATHS {
                say(&format!("asking {endpoint} for {path}{}", if way == Way::Https { " over https" } else { "" }));
                match answer::status_of(&endpoint, path, way) {
                    Ok(Some(status)) if is_accepted(status, &said.expect_status) => {
                        let told = format!("GET {path} answered {status} over {}", way.scheme());
                        return Self { endpoint, told, adopted: Adopted::Path { way, path, status } };
                    }
                    Ok(Some(status)) => answers.statuses.push((path, status)),
                    Ok(None) => break,
                    // One that answered in http at all does not fail for https as well.
                    Err(error) => {
                        if way == Way::Http {
                            told.push(error.to_string());
                        }
                        break;
                    }
                }
            }
            is_http |= !answers.statuses.is_empty();
            if !answers.statuses.is_empty() {
                told.push(answers.to_string());
            }
        }
        if is_http || !told.is_empty() {
            return Self { endpoint, told: told.join("; "), adopted: Adopted::Nothing };
        }
        let greeting = said.expect_body.is_none().then(|| answer::greeting_of(&endpoint));
        match greeting.transpose() {
            Ok(greeting) => {
                let told = "it does not answer in HTTP".to_owned();
                let says_nothing = greeting == Some(Greeting::None);
                let adopted = if says_nothing { Adopted::Nothing } else { Adopted::Bytes(greeting) };
                let told = if says_nothing { format!("{told} and says nothing by itself") } else { told };
                Self { endpoint, told, adopted }
            }
            Err(error) => Self { endpoint, told: error.to_string(), adopted: Adopted::Nothing },
        }
    }

    /// Says `body` and looks whether what comes back matches.
    fn talk(endpoint: Endpoint, body: &str, expected: Option<&str>) -> Self {
        say(&format!("saying --body to {endpoint}"));
        let pattern = regex_lite::Regex::new(expected.unwrap_or("(?s).")).ok();
        let matches = |answer: &[u8]| {
            let text = String::from_utf8_lossy(answer);
            pattern.as_ref().is_none_or(|pattern| pattern.is_match(&text))
        };
        match answer::reply_of(&endpoint, body.as_bytes(), &matches) {
            Ok(bytes) if matches(&bytes) => {
                let told = format!("it answered --body with {} bytes", bytes.len());
                Self { endpoint, told, adopted: Adopted::Bytes(None) }
            }
            Ok(bytes) => {
                let told = match bytes.len() {
                    0 => "it closed the connection without an answer to --body".to_owned(),
                    count => format!("its {count} bytes in answer to --body do not match --expect-body"),
                };
                Self { endpoint, told, adopted: Adopted::Nothing }
            }
            Err(error) => Self { endpoint, told: error.to_string(), adopted: Adopted::Nothing },
        }
    }
}

/// What paths were answered with.
struct Answers {
    way: Way,
    statuses: Vec<(&'static str, u16)>,
}

impl fmt::Display for Answers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let answers: Vec<String> = self.statuses.iter().map(|(path, status)| format!("{path} {status}")).collect();
        write!(f, "over {}: {}", self.way.scheme(), answers.join(", "))
    }
}

/// Whether a status may be adopted: one that is expected, or 2xx and 3xx where nothing was said.
fn is_accepted(status: u16, expected: &[String]) -> bool {
    if expected.is_empty() {
        return (200..400).contains(&status);
    }
    let patterns = expected.iter().filter_map(|text| StatusPattern::try_from(text.clone()).ok());
    patterns.into_iter().any(|pattern| pattern.matches(status))
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

    fn of(candidate: &Candidate) -> String {
        match &candidate.adopted {
            Adopted::Path { way, path, status } => format!("{} {path} {status}", way.scheme()),
            Adopted::Bytes(_) => "bytes".to_owned(),
            Adopted::Nothing => format!("nothing: {}", candidate.told),
        }
    }

    #[test]
    fn a_path_is_adopted_only_with_a_good_status() {
        let asked = |answer: fn(&str) -> String| of(&Candidate::ask(server(answer), &SaidArgs::default()));
        assert_eq!(asked(|_| http(200)), "http /health 200");
        assert_eq!(asked(|request| http(if request.starts_with("GET / ") { 302 } else { 404 })), "http / 302");
        for status in [401, 404, 500, 503] {
            let answered = Candidate::ask(server(move |_| http(status)), &SaidArgs::default());
            let all = ["/health", "/healthz", "/ready", "/"].map(|path| format!("{path} {status}")).join(", ");
            assert_eq!(of(&answered), format!("nothing: over http: {all}"));
        }
    }

    #[test]
    fn a_status_that_is_expected_is_good() {
        let said = SaidArgs { expect_status: vec!["401".to_owned()], ..SaidArgs::default() };
        assert_eq!(of(&Candidate::ask(server(|_| http(401)), &said)), "http /health 401");
        assert!(of(&Candidate::ask(server(|_| http(200)), &said)).starts_with("nothing"));
    }

    #[test]
    fn what_body_says_is_no_http_is_never_spoken_to_in_http() {
        let (heard, hears) = std::sync::mpsc::channel();
        let endpoint = server(move |request| {
            heard.send(request.to_owned()).unwrap();
            "+PONG\r\n".to_owned()
        });
        let said = |expect_body: &str| SaidArgs {
            body: Some("PING\r\n".to_owned()),
            expect_body: Some(expect_body.to_owned()),
            ..SaidArgs::default()
        };
        assert_eq!(of(&Candidate::ask(endpoint.clone(), &said("PONG"))), "bytes");
        assert_eq!(
            of(&Candidate::ask(endpoint, &said("ready"))),
            "nothing: its 7 bytes in answer to --body do not match --expect-body"
        );
        let all: Vec<String> = hears.try_iter().collect();
        assert!(all.iter().all(|heard| heard == "PING\r\n") && all.len() == 2, "{all:?}");
    }
}
