//! What the units of this machine keep secret, learned before anything is recorded or said of them.

use std::fs::OpenOptions;
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use super::output::secrets;
use crate::check::{Facts, Finding};
use crate::manager::systemd::Inspector;
use crate::model::UnitName;
use crate::record::begin::ManagerKind;
use crate::run::units::held_units;
use crate::scenario::plan::Plan;
use crate::secrets::masked_unit;
use crate::ssh::Place;

/// A larger file is read by no service manager.
const LARGEST_BYTES: u64 = 1 << 20;

/// Learns from the files of the units that a plan names, and from the environment files that they name. What cannot be
/// read tells nothing, to us as to the journal.
pub(super) async fn from_units(plan: &Plan, kind: ManagerKind, place: &Place) {
    let inspector = match kind {
        ManagerKind::System | ManagerKind::User if let Place::There(ssh) = place => Inspector::at(ssh, kind).await,
        ManagerKind::System => Inspector::system().await,
        ManagerKind::User => Inspector::user().await,
        ManagerKind::Embedded => {
            return from_texts(plan.units.iter().flat_map(|units| &units.files).map(|file| &file.text), place).await;
        }
    };
    let Ok(inspector) = inspector else { return };
    for unit in held_units(plan) {
        from_unit(&inspector, &unit).await;
    }
}

async fn from_unit(inspector: &Inspector, unit: &UnitName) {
    let Ok(details) = inspector.look(unit).await else { return };
    let mut texts = Vec::new();
    for path in &details.files {
        texts.extend(text_at(inspector.place(), path).await);
    }
    from_texts(texts.into_iter(), inspector.place()).await;
}

async fn from_texts(texts: impl Iterator<Item = impl AsRef<str>>, place: &Place) {
    for text in texts {
        secrets().learn_unit(text.as_ref());
        let values = |key: &'static str| text.as_ref().lines().filter_map(move |line| line.trim().strip_prefix(key));
        for path in values("EnvironmentFile=") {
            let path = path.trim().trim_start_matches('-');
            text_at(place, Path::new(path)).await.iter().for_each(|text| secrets().learn_variables(text));
        }
    }
}

async fn text_at(place: &Place, path: &Path) -> Option<String> {
    match place {
        Place::Here => text_of(path),
        Place::There(ssh) => ssh.read_text(path).await.ok(),
    }
}

/// A regular file as text; opening it neither waits nor does anything to what is none.
fn text_of(path: &Path) -> Option<String> {
    let flags = (rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY).bits();
    let file = OpenOptions::new().read(true).custom_flags(i32::try_from(flags).ok()?).open(path).ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut text = String::new();
    file.take(LARGEST_BYTES).read_to_string(&mut text).ok()?;
    Some(text)
}

/// Learns from what was found of units.
pub(super) async fn from_facts(facts: &Facts, place: &Place) {
    let sources = facts.service.iter().map(|service| &service.source);
    for source in sources.chain(facts.socket.iter().map(|socket| &socket.source)) {
        for entry in source.file.sections.iter().flat_map(|section| &section.entries) {
            from_texts(std::iter::once(format!("{}={}", entry.key, entry.value)), place).await;
        }
    }
}

/// Findings without secrets: they quote the files of units.
pub(super) fn without_secrets(findings: Vec<Finding>) -> Vec<Finding> {
    let hide = |text: &str| secrets().hide(text);
    let hidden = |finding: Finding| Finding {
        message: hide(&finding.message),
        evidence: hide(masked_unit(&finding.evidence).trim_end_matches('\n')),
        fix: hide(&finding.fix),
        ..finding
    };
    findings.into_iter().map(hidden).collect()
}
