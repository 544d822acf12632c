//! The status codes of gRPC.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a gRPC call ended, by the name of its code (grpc.io, "Status codes and their use in gRPC"). In the order of the
/// codes, from 0.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
    strum::IntoStaticStr,
    strum::Display,
    strum::EnumString,
    strum::EnumIter,
    strum::FromRepr,
)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[strum(serialize_all = "SCREAMING_SNAKE_CASE")]
#[repr(u8)]
pub enum GrpcStatus {
    /// It succeeded.
    Ok,
    /// The caller gave it up.
    Cancelled,
    /// An error without a code, or with one that gRPC does not know.
    Unknown,
    /// The message makes no sense to the service.
    InvalidArgument,
    /// The deadline passed.
    DeadlineExceeded,
    /// What was asked for does not exist.
    NotFound,
    /// What was to be created exists.
    AlreadyExists,
    /// The caller may not do it.
    PermissionDenied,
    /// A quota or another resource is used up.
    ResourceExhausted,
    /// The system is not in the state that the call needs.
    FailedPrecondition,
    /// The call was aborted, as a rule by a conflict with another.
    Aborted,
    /// The call reached past what is valid.
    OutOfRange,
    /// The service does not have that method.
    Unimplemented,
    /// An invariant of the service is broken.
    Internal,
    /// The service cannot be reached, or takes no calls now.
    Unavailable,
    /// Data is lost or corrupt.
    DataLoss,
    /// The caller is not known.
    Unauthenticated,
}

impl GrpcStatus {
    /// The status of a code as `grpc-status` has it; none if that is not a number. A number that gRPC does not know is
    /// [`Self::Unknown`], as it is to gRPC's own clients.
    #[must_use]
    pub fn of_code(code: &[u8]) -> Option<Self> {
        let is_number = !code.is_empty() && code.iter().all(u8::is_ascii_digit);
        let known = || std::str::from_utf8(code).ok()?.parse().ok().and_then(Self::from_repr);
        is_number.then(|| known().unwrap_or(Self::Unknown))
    }
}

#[cfg(test)]
mod tests {
    use strum::IntoEnumIterator as _;

    use super::*;

    #[test]
    fn a_code_has_the_name_that_grpc_gives_it() {
        // As grpcio's StatusCode has them.
        let names = [
            (0, "OK"),
            (1, "CANCELLED"),
            (2, "UNKNOWN"),
            (3, "INVALID_ARGUMENT"),
            (4, "DEADLINE_EXCEEDED"),
            (5, "NOT_FOUND"),
            (6, "ALREADY_EXISTS"),
            (7, "PERMISSION_DENIED"),
            (8, "RESOURCE_EXHAUSTED"),
            (9, "FAILED_PRECONDITION"),
            (10, "ABORTED"),
            (11, "OUT_OF_RANGE"),
            (12, "UNIMPLEMENTED"),
            (13, "INTERNAL"),
            (14, "UNAVAILABLE"),
            (15, "DATA_LOSS"),
            (16, "UNAUTHENTICATED"),
        ];
        assert_eq!(GrpcStatus::iter().count(), names.len());
        for (code, name) in names {
            let status = GrpcStatus::of_code(code.to_string().as_bytes()).unwrap();
            assert_eq!((status.to_string().as_str(), name.parse()), (name, Ok(status)));
            assert_eq!(serde_json::to_string(&status).unwrap(), format!("\"{name}\""));
        }
    }

    #[test]
    fn a_number_that_grpc_does_not_know_is_unknown_and_what_is_no_number_is_no_status() {
        assert_eq!([b"17".as_slice(), b"400", b"99999999999"].map(GrpcStatus::of_code), [Some(GrpcStatus::Unknown); 3]);
        assert_eq!([b"".as_slice(), b"OK", b"-1", b" 0", b"\xff"].map(GrpcStatus::of_code), [None; 5]);
    }
}
