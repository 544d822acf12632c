//! Who listens at the addresses of the load: an answer is the unit's only if its processes hold the listener.

use std::collections::BTreeSet;
use std::{io, slice};

use super::observe::local_endpoints;
use crate::host::Host;
use crate::model::holder::Holder;
use crate::model::{Endpoint, ProcessId, UnitName};
use crate::scenario::plan::Plan;

/// Who listens at one address of the load, at one look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Served {
    /// The address.
    pub address: Endpoint,
    /// The scenario says that a proxy listens there.
    pub is_front: bool,
    /// Its listeners; several with SO_REUSEPORT.
    pub listeners: Vec<Held>,
}

/// A listener and its holders, as far as they may be seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The socket's inode.
    pub inode: u64,
    /// Who has a descriptor of it, by PID.
    pub holders: Vec<Holder>,
}

impl Served {
    /// Its listeners, by inode.
    #[must_use]
    pub fn inodes(&self) -> BTreeSet<u64> {
        self.listeners.iter().map(|listener| listener.inode).collect()
    }

    /// Every process that holds one of its listeners.
    pub fn holders(&self) -> impl Iterator<Item = &Holder> {
        self.listeners.iter().flat_map(|listener| &listener.holders)
    }

    /// `nginx (812) of nginx.service listens there`: the processes besides a systemd that holds the socket for others.
    #[must_use]
    pub fn who(&self) -> String {
        if self.listeners.is_empty() {
            return "no process of this network namespace listens there".to_owned();
        }
        let mut others: Vec<&Holder> = self.holders().filter(|holder| !holder.is_manager()).collect();
        if others.is_empty() {
            others = self.holders().collect();
        }
        others.dedup_by_key(|holder| holder.process.id);
        if others.is_empty() {
            return "who listens there cannot be seen; run as root".to_owned();
        }
        let named: Vec<String> = others.iter().take(NAMED_MAX).map(|holder| name(holder)).collect();
        let more =
            others.len().checked_sub(NAMED_MAX + 1).map_or(String::new(), |more| format!(" and {} more", more + 1));
        format!("{}{more} {} there", named.join(", "), if others.len() == 1 { "listens" } else { "listen" })
    }

    /// The units of its holders; none of those outside of units.
    #[must_use]
    pub fn units(&self) -> BTreeSet<&UnitName> {
        let others = self.holders().filter(|holder| !holder.is_manager());
        others.filter_map(|holder| holder.process.unit.as_ref()).collect()
    }
}

/// More holders than these are counted.
const NAMED_MAX: usize = 3;

fn name(holder: &Holder) -> String {
    let unit = holder.process.unit.as_ref().map(|unit| format!(" of {unit}")).unwrap_or_default();
    format!("{}{unit}", holder.process)
}

/// Looks at every address of the load that is the host's own. One that cannot be looked at is left out.
pub(super) async fn look(plan: &Plan, host: &dyn Host) -> Vec<Served> {
    let mut served = Vec::new();
    for address in local_endpoints(plan, host).await {
        let Ok(listeners) = held(host, &address).await else { continue };
        served.push(Served { is_front: is_front(plan, &address), address, listeners });
    }
    served
}

async fn held(host: &dyn Host, address: &Endpoint) -> io::Result<Vec<Held>> {
    let mut listeners = Vec::new();
    for listener in host.listeners(slice::from_ref(address)).await?.seen {
        let holders = host.holders(address, listener.inode).await?.seen;
        listeners.push(Held { inode: listener.inode, holders });
    }
    Ok(listeners)
}

fn is_front(plan: &Plan, address: &Endpoint) -> bool {
    let mut here = plan.cohorts.iter().filter(|cohort| cohort.target.connect.endpoint().as_ref() == Some(address));
    here.any(|cohort| cohort.target.front)
}

/// What the end of a run is compared with.
#[derive(Debug, Default)]
pub struct Earlier {
    /// Processes of the units that a proven restart was to replace, by unit.
    pub replaced: BTreeSet<(UnitName, ProcessId)>,
    /// Who listened as a front before the first step.
    pub fronts: Vec<Served>,
}
