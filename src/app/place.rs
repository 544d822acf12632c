//! The machine that units are on: this one, or another that is reached over ssh.

use std::net::IpAddr;
use std::rc::Rc;

use super::choose::Machine;
use crate::cli::SystemdArg;
use crate::record::begin::ManagerKind;
use crate::ssh::{Destination, Place, Ssh};

/// Connects where `--host` names another machine.
///
/// # Errors
/// When it cannot be used.
pub(super) async fn open(host: Option<&Destination>) -> anyhow::Result<Place> {
    Ok(match host {
        None => Place::Here,
        Some(destination) => Place::There(Rc::new(Ssh::open(destination).await?)),
    })
}

/// Which systemd is meant; none where the embedded manager is asked for.
///
/// # Errors
/// When another machine has none of that kind.
pub(super) fn kind(asked: SystemdArg, place: &Place) -> anyhow::Result<Option<ManagerKind>> {
    if place.there().is_some() {
        return kind_there(asked).map(Some);
    }
    Ok(match asked {
        SystemdArg::Auto if Machine::here().booted_with_systemd => Some(ManagerKind::System),
        SystemdArg::System => Some(ManagerKind::System),
        SystemdArg::Auto | SystemdArg::User => Some(ManagerKind::User),
        SystemdArg::Embedded => None,
    })
}

/// Which systemd of another machine is meant.
///
/// # Errors
/// When none is.
pub(super) fn kind_there(asked: SystemdArg) -> anyhow::Result<ManagerKind> {
    match asked {
        SystemdArg::Auto | SystemdArg::System => Ok(ManagerKind::System),
        SystemdArg::User => Ok(ManagerKind::User),
        SystemdArg::Embedded => {
            anyhow::bail!("the embedded manager runs on this machine alone; with --host, use --manager system or user")
        }
    }
}

/// What every report says of another machine: which it is, and how it is reached.
pub(super) fn notes(place: &Place) -> Vec<String> {
    let Some(ssh) = place.there() else { return Vec::new() };
    let (destination, about) = (ssh.destination(), ssh.about());
    let own = rustix::system::uname().nodename().to_string_lossy().into_owned();
    vec![format!(
        "The units are those of {destination} ({}, Linux {}), reached over ssh; the load is sent from {own}.",
        about.name, about.kernel
    )]
}

/// That nothing but systemd tells of another machine, and what would change that.
pub(super) fn blindness(ssh: &Ssh) -> String {
    let destination = ssh.destination();
    format!(
        "processes, listeners, accept queues, the kernel's trace and the journal of {destination} are unseen: over ssh, gapless asks \
         systemd alone. What happened there is known from that and from the requests; to see the rest, run gapless on {destination} \
         itself"
    )
}

/// The address at which another machine was reached.
pub(super) fn address(place: &Place) -> Option<IpAddr> {
    place.there().and_then(|ssh| ssh.about().address)
}
