//! What a cohort would send, to be sent once outside any load.

use std::sync::Arc;

use super::error::LoadError;
use super::target::ReadyTarget;
use crate::model::Endpoint;
use crate::scenario::plan::Cohort;
use crate::trust::Trusted;

/// Where a cohort connects to, with what trust, and what it sends there.
///
/// # Errors
/// When its host does not resolve, or its certificates cannot be read.
pub fn asks(cohort: &Cohort) -> Result<(Endpoint, Option<Trusted>, Vec<u8>), LoadError> {
    let ready = ReadyTarget::new(cohort, true)?;
    let tls = ready.tls.map(|tls| Trusted { config: Arc::clone(tls.connector.config()), server_name: tls.server_name });
    Ok((ready.endpoint, tls, ready.request.bytes().to_vec()))
}
