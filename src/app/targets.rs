//! `--requests FILE`: vegeta's targets, or lines of paths.
//!
//! The format is that of vegeta's `-format=http`: a line `METHOD URL`, below it headers `NAME: VALUE` and `@FILE` with
//! the body; an empty line or the next `METHOD URL` ends it, and `#` begins a comment.

use std::path::Path;

use toml::{Table, Value};

use crate::scenario::Url;
use crate::scenario::plan::{LARGEST_WEIGHT, MOST_REQUESTS};

/// A request of the file, and how often it comes.
#[derive(Clone, Debug, PartialEq)]
struct Listed {
    method: String,
    path: String,
    headers: Vec<(String, String)>,
    body_file: Option<String>,
    weight: u32,
}

/// The requests of a file as the key `requests` of `[target]`, for a target at `url`.
///
/// # Errors
/// Why the file cannot be read, or what is wrong in which of its lines.
pub(super) fn read(file: &Path, url: &str) -> Result<Value, String> {
    let text = std::fs::read_to_string(file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
    let listed = parse(&text, url).map_err(|(line, why)| format!("{}:{line}: {why}", file.display()))?;
    if listed.is_empty() {
        return Err(format!("{} names no request: write lines of paths, such as /search?q=1", file.display()));
    }
    let absolute = |path: String| std::path::absolute(&path).map_or(path, |path| path.display().to_string());
    let tables = listed.into_iter().map(|request| {
        let mut table = Table::new();
        table.insert("path".to_owned(), Value::from(request.path));
        if request.method != "GET" {
            table.insert("method".to_owned(), Value::from(request.method));
        }
        if !request.headers.is_empty() {
            let headers = request.headers.into_iter().map(|(name, value)| (name, Value::from(value)));
            table.insert("headers".to_owned(), Value::Table(headers.collect()));
        }
        table.extend(request.body_file.map(|path| ("body_file".to_owned(), Value::from(absolute(path)))));
        if request.weight != 1 {
            table.insert("weight".to_owned(), Value::from(request.weight));
        }
        Value::Table(table)
    });
    Ok(Value::Array(tables.collect()))
}

/// `url` without its path: each of the requests has its own.
pub(super) fn origin(url: &str) -> String {
    let authority = url.find("://").map_or(0, |scheme| scheme + 3);
    let end = url[authority..].find('/').map_or(url.len(), |path| authority + path);
    format!("{}/", &url[..end])
}

/// The requests, each once, in the order in which they come first; else the number of a line and what is wrong in it.
fn parse(text: &str, url: &str) -> Result<Vec<Listed>, (usize, String)> {
    let mut all: Vec<(usize, Listed)> = Vec::new();
    let mut is_open = false;
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() {
            is_open = false;
        }
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = |why: String| (number, why);
        if let Some(target) = target_line(line) {
            let (method, place) = target.map_err(wrong)?;
            let path = path_of(place, url).map_err(wrong)?;
            let method = method.to_owned();
            all.push((number, Listed { method, path, headers: Vec::new(), body_file: None, weight: 1 }));
            // A path by itself is a request by itself.
            is_open = !line.starts_with('/');
            continue;
        }
        let Some((_, last)) = all.last_mut().filter(|_| is_open) else {
            return Err(wrong(format!("{line:?} is neither a path nor METHOD URL; a path starts with a slash")));
        };
        match (line.strip_prefix('@'), line.split_once(':')) {
            (Some(path), _) => last.body_file = Some(path.to_owned()),
            (None, Some((name, value))) => last.headers.push((name.trim().to_owned(), value.trim().to_owned())),
            (None, None) => return Err(wrong(format!("{line:?} is neither a header, NAME: VALUE, nor a body, @FILE"))),
        }
    }
    merged(all)
}

/// The method and the place of a line that begins a request; none for any other.
fn target_line(line: &str) -> Option<Result<(&str, &str), String>> {
    if line.starts_with('/') {
        return Some(Ok(("GET", line)));
    }
    let (method, place) = line.split_once(char::is_whitespace)?;
    let is_method = !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase());
    if !is_method {
        return None;
    }
    let place = place.trim();
    let is_place = place.starts_with('/') || place.contains("://");
    Some(if is_place { Ok((method, place)) } else { Err(format!("{place:?} is neither a URL nor a path")) })
}

/// The path of a URL, which must be on the host that is loaded.
fn path_of(place: &str, url: &str) -> Result<String, String> {
    if place.starts_with('/') {
        return Ok(place.to_owned());
    }
    if origin(place) != origin(url) {
        return Err(format!("{} is not the target, {}: one run loads one", origin(place), origin(url)));
    }
    Url::parse(place).map(|url| url.path).map_err(|(why, help)| format!("{why}; {help}"))
}

fn merged(all: Vec<(usize, Listed)>) -> Result<Vec<Listed>, (usize, String)> {
    let mut once: Vec<Listed> = Vec::new();
    for (number, request) in all {
        let is_same = |known: &Listed| Listed { weight: known.weight, ..request.clone() } == *known;
        let place = once.iter().position(is_same);
        let has_room = once.len() < usize::from(MOST_REQUESTS);
        match place.map(|place| &mut once[place]) {
            Some(known) if known.weight == LARGEST_WEIGHT => {
                return Err((number, format!("this request comes more than {LARGEST_WEIGHT} times")));
            }
            Some(known) => known.weight += 1,
            None if !has_room => {
                return Err((number, format!("there are more than {MOST_REQUESTS} different requests")));
            }
            None => once.push(request),
        }
    }
    Ok(once)
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "http://127.0.0.1:8000/";

    fn listed(text: &str) -> Vec<String> {
        let shown = |request: Listed| {
            let headers: Vec<_> = request.headers.iter().map(|(name, value)| format!("{name}={value}")).collect();
            let body = request.body_file.map(|file| format!(" @{file}")).unwrap_or_default();
            format!("{} {} x{} [{}]{body}", request.method, request.path, request.weight, headers.join(","))
        };
        parse(text, URL).unwrap_or_else(|wrong| panic!("{wrong:?}")).into_iter().map(shown).collect()
    }

    #[test]
    fn lines_of_paths_are_requests_and_one_that_comes_again_is_sent_more_often() {
        assert_eq!(listed("/a\n\n# not this\n/b?c=d\n/a\n"), ["GET /a x2 []", "GET /b?c=d x1 []"]);
    }

    #[test]
    fn the_targets_of_vegeta_have_headers_and_bodies() {
        let text =
            "GET http://127.0.0.1:8000/a\nX-Id: 99\n\nPOST http://127.0.0.1:8000/b\nA: b: c\n@/srv/b.json\nPUT /c\n";
        assert_eq!(listed(text), ["GET /a x1 [X-Id=99]", "POST /b x1 [A=b: c] @/srv/b.json", "PUT /c x1 []"]);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let wrong = |text: &str| parse(text, URL).expect_err(text);
        for (text, line, why) in [
            ("/a\nsearch", 2, "neither a path nor METHOD URL"),
            ("/a\nX-Id: 1", 2, "neither a path nor METHOD URL"),
            ("GET http://127.0.0.1:8001/", 1, "http://127.0.0.1:8001/ is not the target, http://127.0.0.1:8000/"),
            ("GET a", 1, "neither a URL nor a path"),
            ("GET /a\nwhat", 2, "neither a header"),
            ("GET /a\nA: b\n\nC: d", 4, "neither a path nor METHOD URL"),
        ] {
            let (number, found) = wrong(text);
            assert!(number == line && found.contains(why), "{text:?}: {number} {found}");
        }
        let (number, found) = wrong(&"/a\n".repeat(LARGEST_WEIGHT as usize + 1));
        assert!(number == LARGEST_WEIGHT as usize + 1 && found.contains("more than 1000 times"), "{found}");
    }
}
