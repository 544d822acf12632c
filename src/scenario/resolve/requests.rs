//! `[[target.requests]]`: several requests by weight, instead of one.

use std::path::Path;

use super::target::{body, headers};
use crate::scenario::file::{File, Load, Request};
use crate::scenario::mistake::Mistakes;
use crate::scenario::plan::{Protocol, WeightedRequest};
use crate::scenario::url::Url;

/// The requests of a cohort that goes to `url`; none where it sends one only.
pub(super) fn resolve(
    file: &File,
    load: Option<&Load>,
    url: &Url,
    (protocol, directory): (Protocol, &Path),
    mistakes: &mut Mistakes,
) -> Vec<WeightedRequest> {
    let Some(target) = file.target.value() else { return Vec::new() };
    let Some(given) = target.requests.given() else { return Vec::new() };
    // A cohort with a URL of its own asks for that.
    if load.is_some_and(|load| !load.request.url.is_absent()) {
        return Vec::new();
    }
    if !url.scheme.speaks_http() || protocol == Protocol::Grpc {
        mistakes
            .add(given.key, "`requests` with a target that is not asked for paths")
            .help("bytes, messages and gRPC have one request, made of `body` or `body_file`; leave `requests` out, or use an http URL");
        return Vec::new();
    }
    let keys = |request: &Request| {
        [("method", request.method.key()), ("body", request.body.key()), ("body_file", request.body_file.key())]
    };
    let of_load = load.map(|load| keys(&load.request)).into_iter().flatten();
    let path = ("path", load.and_then(|load| load.path.key()));
    for (key, place) in keys(&target.request).into_iter().chain(of_load).chain([path]) {
        let Some(place) = place else { continue };
        mistakes
            .add(place, format!("`{key}` together with [[target.requests]]"))
            .help("each of the requests has its own: write it there, or leave the requests out")
            .and(given.key, "what is sent already");
    }
    if let Some(place) = target.request.url.given().filter(|url| url.value.path != "/").map(|url| url.place) {
        mistakes
            .add(place, "a URL with a path together with [[target.requests]]")
            .help("each of the requests has its own path: leave it out of the URL, or leave the requests out")
            .and(given.key, "what is sent already");
    }
    if given.value.is_empty() {
        mistakes.add(given.key, "there is no request").help("add [[target.requests]] with a path, or leave it out");
    }
    let requests = given.value.iter().map(|request| &request.value).filter(|request| request.path.value().is_some());
    let resolved = requests.map(|request| WeightedRequest {
        method: request.method.or_default(),
        path: request.path.or_default(),
        headers: headers(None, &request.headers).0,
        body: body([(&request.body, &request.body_file)], directory, mistakes),
        weight: request.weight.or_default(),
    });
    resolved.collect()
}
