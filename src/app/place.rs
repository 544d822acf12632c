//! The machine that units are on: this one, or another that is reached over ssh.

use std::net::IpAddr;
use std::rc::Rc;

use super::choose::Machine;
use crate::cli::SystemdArg;
use crate::host::{Host, Local, Remote, Unseen};
use crate::record::begin::ManagerKind;
use crate::ssh::{Destination, Place, Ssh};

/// The machine that units are on, and how it is looked at while they are acted on.
#[derive(Debug)]
pub(super) struct Site {
    pub(super) place: Place,
    pub(super) host: Rc<dyn Host>,
    /// What every report says of another machine: which it is, how it is reached, and how it is looked at.
    pub(super) notes: Vec<String>,
}

impl Site {
    /// This machine.
    pub(super) fn here() -> Self {
        Self { place: Place::Here, host: Rc::new(Local), notes: Vec::new() }
    }

    /// Starts the probe on another machine. Where there can be none, the site does without.
    pub(super) async fn at(place: Place, kind: Option<ManagerKind>) -> Self {
        let Some(ssh) = place.there().cloned() else { return Self::here() };
        let reached = reached(&ssh);
        match probe(&ssh, kind).await {
            Ok(remote) => {
                ssh.keep_time_by(remote.offsets());
                let notes = vec![reached, seen_by(&remote)];
                Self { place, host: Rc::new(remote), notes }
            }
            Err(why) => {
                let unseen = Unseen::new(&ssh, blindness(&ssh, &why));
                Self { place, host: Rc::new(unseen), notes: vec![reached] }
            }
        }
    }
}

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

fn reached(ssh: &Ssh) -> String {
    let (destination, about) = (ssh.destination(), ssh.about());
    let own = rustix::system::uname().nodename().to_string_lossy().into_owned();
    format!(
        "The units are those of {destination} ({}, Linux {}), reached over ssh; the load is sent from {own}.",
        about.name, about.kernel
    )
}

/// The probe there, over the same connection; or why there is none.
async fn probe(ssh: &Ssh, kind: Option<ManagerKind>) -> Result<Remote, String> {
    let command = ssh.command("exec gapless probe", &[]).into();
    let remote = Remote::start(ssh.destination().to_string(), command).await.map_err(|error| error.to_string())?;
    // Whose processes and sockets cannot be seen would be taken for a stranger's.
    if kind != Some(ManagerKind::User) && !remote.hello().is_root {
        return Err(format!("the login on {} is not root's, and sees no processes of other users", ssh.destination()));
    }
    Ok(remote)
}

/// Where the evidence comes from, and how exactly it is dated.
fn seen_by(remote: &Remote) -> String {
    let (hello, clock) = (remote.hello(), remote.host_clock());
    let trace = if hello.no_trace.is_none() { ", the kernel's trace" } else { "" };
    format!(
        "Processes, listeners, queues{trace} and the journal of {} are seen by `gapless probe` {} there. Its clock is {}.",
        clock.host,
        hello.version,
        clock.in_words()
    )
}

/// That nothing but systemd tells of another machine, and why.
fn blindness(ssh: &Ssh, why: &str) -> String {
    format!(
        "processes, listeners, accept queues, the kernel's trace and the journal of {} are unseen: {why}. What happened there is \
         known from its systemd and from the requests",
        ssh.destination()
    )
}

/// The address at which another machine was reached.
pub(super) fn address(place: &Place) -> Option<IpAddr> {
    place.there().and_then(|ssh| ssh.about().address)
}
