//! What gRPC makes of the keys of a target.

use crate::model::GrpcStatus;
use crate::scenario::file::{File, Load, Request};
use crate::scenario::mistake::Mistakes;
use crate::scenario::plan::GRPC_HEALTH;
use crate::scenario::reader::Given;
use crate::scenario::source::Place;
use crate::scenario::url::Url;

/// Headers that follow from the protocol.
const OWN_HEADERS: [&str; 4] = ["content-type", "grpc-timeout", "grpc-encoding", "grpc-accept-encoding"];

/// The path of a call: a method of a service.
pub(super) fn path(url: &Given<Url>, load: Option<&Load>, mistakes: &mut Mistakes) -> String {
    let own = load.and_then(|load| load.path.given()).map(|path| (path.place, &path.value));
    let (place, path) = match own {
        None if url.value.path == "/" => return GRPC_HEALTH.to_owned(),
        None => (url.place, &url.value.path),
        Some(own) => own,
    };
    check_path(place, path, mistakes);
    path.clone()
}

/// A path is `/package.Service/Method`.
pub(super) fn check_path(place: Place, path: &str, mistakes: &mut Mistakes) {
    let is_method = match path.split('/').collect::<Vec<_>>()[..] {
        ["", service, method] => !service.is_empty() && !method.is_empty() && !path.contains('?'),
        _ => false,
    };
    if !is_method {
        mistakes.add(place, format!("{path:?} is not a method of gRPC")).help(format!(
            "write /package.Service/Method; without a path, the service is asked for its health: {GRPC_HEALTH}"
        ));
    }
}

/// The statuses that are expected.
pub(super) fn statuses(own: &Request, base: &Request) -> Vec<GrpcStatus> {
    own.expect_grpc_status.over(&base.expect_grpc_status).or_default().into_iter().map(|status| status.value).collect()
}

/// What gRPC decides itself cannot be set.
pub(super) fn check_keys(own: &Request, base: &Request, mistakes: &mut Mistakes) {
    if let Some(place) = own.method.over(&base.method).key() {
        mistakes.add(place, "`method` with gRPC").help("a call is always a POST: remove the key");
    }
    if let Some(place) = own.expect_status.over(&base.expect_status).key() {
        mistakes.add(place, "`expect_status` with gRPC").help(
            "use `expect_grpc_status`: the status of HTTP is 200 even if a call fails, and the call's own comes after it",
        );
    }
    let headers = own.headers.over(&base.headers).value().into_iter().flatten();
    for header in headers.filter(|header| OWN_HEADERS.iter().any(|name| header.name.eq_ignore_ascii_case(name))) {
        mistakes
            .add(header.value.key, format!("the header {} cannot be set with gRPC", header.name))
            .help("it follows from the protocol and from `timeout`: remove it");
    }
}

/// What only gRPC has cannot be expected of another protocol. What a cohort of its own URL inherits is not its fault.
pub(super) fn check_absence(file: &File, own: &Request, base: &Request, mistakes: &mut Mistakes) {
    let inherited = own.url.is_absent().then(|| base.expect_grpc_status.key()).flatten();
    let is_protocol_known = !file.target.value().is_some_and(|target| target.protocol.is_wrong());
    if let (Some(place), true) = (own.expect_grpc_status.key().or(inherited), is_protocol_known) {
        mistakes
            .add(place, "`expect_grpc_status` without gRPC")
            .help("add protocol = \"grpc\" to [target], or use `expect_status`");
    }
}
