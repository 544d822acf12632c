//! Reads off an answer which instance gave it.

use http::HeaderMap;
use http::header::HeaderName;
use regex_lite::{CaptureLocations, Regex};

use super::body::KeptBody;
use crate::load::instances::{Instances, Named};
use crate::scenario::plan::InstanceSource;

/// Where an answer names its instance.
#[derive(Clone, Debug)]
pub(in crate::load) enum NamedBy {
    /// In this header.
    Header(HeaderName),
    /// In its body, by the first group of this pattern.
    Body(Regex),
}

impl NamedBy {
    /// Compiles what the plan says, or tells what is wrong with it.
    pub(in crate::load) fn new(source: &InstanceSource) -> Result<Self, String> {
        match source {
            InstanceSource::Header(name) => {
                HeaderName::from_bytes(name.as_bytes()).map(Self::Header).map_err(|error| error.to_string())
            }
            InstanceSource::Body(pattern) => Regex::new(pattern).map(Self::Body).map_err(|error| error.to_string()),
        }
    }
}

/// What one connection needs to name the instances of its answers.
#[derive(Debug)]
pub(in crate::load) struct Naming {
    instances: Instances,
    by: Option<NamedBy>,
    /// Where the groups of the pattern matched last.
    groups: Option<CaptureLocations>,
    /// The value of the header in the answer that is read; empty without one.
    header: Vec<u8>,
}

impl Naming {
    /// Of a connection.
    pub(in crate::load) fn new(by: Option<&NamedBy>, instances: Instances) -> Self {
        let groups = match by {
            Some(NamedBy::Body(pattern)) => Some(pattern.capture_locations()),
            Some(NamedBy::Header(_)) | None => None,
        };
        Self { instances, by: by.cloned(), groups, header: Vec::new() }
    }

    /// A head begins to be read.
    pub(in crate::load) fn begin(&mut self) {
        self.header.clear();
    }

    /// A header of it. Of several of that name, the first counts.
    pub(in crate::load) fn see(&mut self, name: &str, value: &[u8]) {
        if let Some(NamedBy::Header(wanted)) = &self.by
            && self.header.is_empty()
            && name.len() == wanted.as_str().len()
            && wanted.as_str().eq_ignore_ascii_case(name)
        {
            self.header.extend_from_slice(value);
        }
    }

    /// The same for a head that was read as a whole.
    pub(in crate::load) fn see_all(&self, headers: &HeaderMap) -> Option<Named> {
        let Some(NamedBy::Header(wanted)) = &self.by else { return None };
        Some(headers.get(wanted).map_or(Named::Unnamed, |value| self.instances.named(value.as_bytes())))
    }

    /// What a whole answer tells by the headers that were seen, and by its body; none if nobody asks.
    pub(in crate::load) fn named(&mut self, body: &KeptBody) -> Option<Named> {
        match (&self.by, &mut self.groups) {
            (None, _) => None,
            (Some(NamedBy::Header(_)), _) => Some(self.instances.named(&self.header)),
            (Some(NamedBy::Body(pattern)), Some(groups)) => {
                let body = body.text();
                let group = pattern.captures_read(groups, &body).and_then(|_| groups.get(1));
                let name = group.and_then(|(from, to)| body.get(from..to));
                Some(name.map_or(Named::Unnamed, |name| self.instances.named(name.as_bytes())))
            }
            (Some(NamedBy::Body(_)), None) => Some(Named::Unnamed),
        }
    }
}
