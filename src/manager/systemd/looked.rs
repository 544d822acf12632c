//! What the machine itself shows of a unit, besides what systemd tells.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io;

use super::properties::Properties;
use super::snapshot::{accounted_bytes, listen_endpoints, main_pid};
use crate::host::Host;
use crate::model::address::Listener;
use crate::model::{MonoTime, ProcessId, UnitKind, UnitName};

/// The processes of a service, or the listeners of a socket.
#[derive(Debug, Default)]
pub(super) struct Looked {
    pub(super) main_process: Option<ProcessId>,
    pub(super) processes: Vec<ProcessId>,
    /// Where systemd does not account for it.
    pub(super) memory_bytes: Option<u64>,
    /// By the addresses of Listen=.
    pub(super) listeners: Vec<Listener>,
}

impl Looked {
    /// Looks at a unit with these properties, of the systemd with that PID; none where nobody can look or `host` is unseen.
    pub(super) async fn at(
        host: Option<&dyn Host>,
        unit: &UnitName,
        properties: &Properties,
        systemd: Option<u32>,
    ) -> Option<Self> {
        let host = host?;
        let looked = match unit.kind() {
            UnitKind::Service => Self::at_service(host, properties).await,
            UnitKind::Socket => Self::at_socket(host, properties, systemd).await,
            UnitKind::Other => Ok(Self::default()),
        };
        // It was lost just now, or was never seen: whoever runs the load says so once.
        looked.ok()
    }

    async fn at_service(host: &dyn Host, properties: &Properties) -> io::Result<Self> {
        let group = properties.text("ControlGroup");
        let main_process = match main_pid(properties) {
            Some(pid) => host.process(pid).await?.map(|process| process.id),
            None => None,
        };
        let processes = host.processes(&group).await?;
        let memory_bytes = if accounted_bytes(properties).is_some() { None } else { host.memory(&group).await? };
        Ok(Self { main_process, processes, memory_bytes, listeners: Vec::new() })
    }

    async fn at_socket(host: &dyn Host, properties: &Properties, systemd: Option<u32>) -> io::Result<Self> {
        let listen = listen_endpoints(properties.list("Listen"));
        Ok(Self { listeners: host.held(&listen, systemd).await?, ..Self::default() })
    }
}

/// The main process of each unit when its machine was last looked at: where that can no longer be done, systemd tells
/// whether it is still the same one.
#[derive(Debug, Default)]
pub(super) struct Mains(RefCell<BTreeMap<UnitName, (Told, ProcessId)>>);

/// PID and beginning of a main process, as systemd tells them.
type Told = (u32, Option<MonoTime>);

impl Mains {
    /// The main process of a unit by what was seen of it, and else by what systemd tells.
    pub(super) fn identify(
        &self,
        unit: &UnitName,
        properties: &Properties,
        looked: Option<&Looked>,
    ) -> Option<ProcessId> {
        let told = (main_pid(properties)?, properties.time_there("ExecMainStartTimestampMonotonic"));
        if let Some(looked) = looked {
            let main = looked.main_process?;
            self.0.borrow_mut().insert(unit.clone(), (told, main));
            return Some(main);
        }
        let known = self.0.borrow().get(unit).filter(|(known, _)| *known == told).map(|(_, main)| *main);
        known.or_else(|| Some(by_systemd(told)))
    }
}

/// A main process that only systemd tells of: it cannot be mistaken for a later one with the same PID either.
fn by_systemd((pid, started_at): Told) -> ProcessId {
    const TICK_NS: u64 = 10_000_000;
    ProcessId { pid, start_ticks: started_at.unwrap_or_default().as_nanos() / TICK_NS }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::host::scripted::{Scripted, process};
    use crate::ssh::Clock;

    fn running(pid: u32, began_us: u64) -> Properties {
        let values = [("MainPID", pid.into()), ("ExecMainStartTimestampMonotonic", began_us.into())];
        Properties::new(HashMap::from(values.map(|(name, value)| (name.to_owned(), value))), Clock::default())
    }

    #[tokio::test]
    async fn a_main_process_is_the_same_one_after_its_machine_is_lost_and_another_one_is_not() {
        let (unit, mains, host) = (UnitName::new("a.service").unwrap(), Mains::default(), Scripted::default());
        host.starts(process(7, "/system.slice/a.service"));
        let properties = running(7, 50_000_000);
        let looked = Looked::at(Some(&host), &unit, &properties, None).await;
        let seen = mains.identify(&unit, &properties, looked.as_ref());
        assert_eq!(seen, Some(ProcessId { pid: 7, start_ticks: 7 }));
        assert_eq!(mains.identify(&unit, &properties, None), seen);
        assert_ne!(mains.identify(&unit, &running(7, 60_000_000), None), seen, "the PID is another process's now");
        assert_ne!(mains.identify(&unit, &running(8, 50_000_000), None), seen);
        assert_eq!(mains.identify(&unit, &Properties::default(), None), None);
    }

    #[tokio::test]
    async fn what_nobody_can_look_at_is_unseen() {
        let unit = UnitName::new("a.service").unwrap();
        assert!(Looked::at(None, &unit, &running(7, 1), None).await.is_none());
    }
}
