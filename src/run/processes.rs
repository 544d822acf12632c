//! Every process that matters, from when it is found to its end, whoever ended it.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::exits::Ended;
use super::recorder::Recorder;
use crate::host::Host;
use crate::model::process::Process;
use crate::model::{MonoTime, ProcessId, UnitKind, UnitName, UnitSnapshot};
use crate::record::line::{Line, ProcessChange};

/// Finds processes and watches them end. Cheap to clone; one thread only.
#[derive(Clone)]
pub(super) struct Processes(Rc<Shared>);

/// A process that is followed to its end.
struct Watched {
    /// What was written of it last.
    process: Process,
    /// When it ended, once it has.
    ended_at: Rc<Cell<Option<MonoTime>>>,
    exit: JoinHandle<()>,
}

struct Shared {
    host: Rc<dyn Host>,
    recorder: Recorder,
    /// Raised when a process is found or ends.
    changed: Rc<Notify>,
    watched: RefCell<BTreeMap<ProcessId, Watched>>,
    /// Of whoever looks: what the embedded manager starts is in ours, and whatever else runs beside us.
    own_group: Option<String>,
    /// Whose processes matter, the ones to come as well.
    control_groups: RefCell<BTreeMap<String, Option<UnitName>>>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.watched.borrow().values().for_each(|watched| watched.exit.abort());
    }
}

impl Processes {
    pub(super) async fn new(host: Rc<dyn Host>, recorder: Recorder) -> Self {
        let own_group = host.own_group().await;
        let (changed, watched, control_groups) = (Rc::default(), RefCell::default(), RefCell::default());
        Self(Rc::new(Shared { host, recorder, changed, watched, own_group, control_groups }))
    }

    /// Raised when who holds a listener may have changed.
    pub(super) fn changed(&self) -> Rc<Notify> {
        Rc::clone(&self.0.changed)
    }

    /// The processes of these units, and those that their control groups will have.
    pub(super) async fn see_units(&self, snapshots: &[UnitSnapshot]) {
        for snapshot in snapshots {
            let Some(service) = &snapshot.service else { continue };
            let main = service.main_process.iter();
            let found: BTreeSet<u32> = service.processes.iter().chain(main).map(|process| process.pid).collect();
            for pid in found {
                self.see(pid, Some(&snapshot.unit)).await;
            }
        }
    }

    /// The process that has this PID now; with its control group, if that is a service's.
    pub(super) async fn see(&self, pid: u32, unit: Option<&UnitName>) {
        // Where it cannot be looked at, nothing is known of it.
        let Ok(Some(mut process)) = self.0.host.process(pid).await else { return };
        let is_service = process.unit.as_ref().is_some_and(|unit| unit.kind() == UnitKind::Service);
        match process.control_group.as_ref().filter(|group| is_service && self.0.own_group.as_ref() != Some(*group)) {
            Some(group) => {
                self.0.control_groups.borrow_mut().insert(group.clone(), process.unit.clone());
            }
            None => process.unit = unit.cloned(),
        }
        self.watch(process);
    }

    /// Looks for processes that came to the control groups since.
    pub(super) async fn look(&self) {
        let groups = self.0.control_groups.borrow().clone();
        for (group, unit) in groups {
            for process in self.0.host.processes(&group).await.unwrap_or_default() {
                if !self.0.watched.borrow().contains_key(&process) {
                    self.see(process.pid, unit.as_ref()).await;
                }
            }
        }
    }

    /// Those of services that run now.
    pub(super) fn running(&self) -> Vec<Process> {
        let watched = self.0.watched.borrow();
        let running = watched.values().filter(|watched| watched.process.unit.is_some() && !watched.exit.is_finished());
        running.map(|watched| watched.process.clone()).collect()
    }

    /// When that process ended; none while it runs, or if it was never watched.
    pub(super) fn ended(&self, id: ProcessId) -> Option<Ended> {
        let watched = self.0.watched.borrow();
        let watched = watched.get(&id)?;
        Some(Ended { process: watched.process.clone(), at: watched.ended_at.get()? })
    }

    fn watch(&self, process: Process) {
        let mut watched = self.0.watched.borrow_mut();
        let (recorder, changed) = (self.0.recorder.clone(), Rc::clone(&self.0.changed));
        let found = ProcessChange { at: self.0.host.now(), process, ended: None };
        let id = found.process.id;
        if let Some(Watched { process: written, .. }) = watched.get_mut(&id) {
            // It has set up its signal handlers, or changed its name, since it began.
            if *written != found.process {
                written.clone_from(&found.process);
                recorder.write(&Line::Process(found));
            }
            return;
        }
        recorder.write(&Line::Process(found.clone()));
        changed.notify_one();
        let exit = self.0.host.exit(id);
        let process = found.process.clone();
        let ended_at = Rc::<Cell<Option<MonoTime>>>::default();
        let noted = Rc::clone(&ended_at);
        let task = tokio::task::spawn_local(async move {
            // Out of sight it may run or not.
            let Ok(exit) = exit.await else { return };
            noted.set(Some(exit.at));
            recorder.write(&Line::Process(ProcessChange { at: exit.at, ended: Some(exit.source), ..found }));
            changed.notify_one();
        });
        watched.insert(id, Watched { process, ended_at, exit: task });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::scripted::{Scripted, process};
    use crate::run::testing::Recorded;

    /// Lets every task do what it can.
    async fn settle() {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }

    fn told(recorded: &Recorded) -> Vec<(u32, bool)> {
        let lines = recorded.lines();
        let told = lines.iter().filter_map(|line| match line {
            Line::Process(change) => Some((change.process.id.pid, change.ended.is_some())),
            _ => None,
        });
        told.collect()
    }

    #[tokio::test]
    async fn a_process_is_told_of_once_when_it_is_found_and_once_when_it_ends_and_so_are_its_workers() {
        tokio::task::LocalSet::new()
            .run_until(async {
                let (host, recorded) = (Rc::new(Scripted::default()), Recorded::default());
                host.starts(process(7, "/system.slice/a.service"));
                let host_seen = Rc::clone(&host) as Rc<dyn Host>;
                let processes = Processes::new(host_seen, recorded.recorder()).await;
                processes.see(7, None).await;
                processes.see(7, None).await;
                host.starts(process(8, "/system.slice/a.service"));
                host.starts(process(9, "/system.slice/b.service"));
                processes.look().await;
                settle().await;
                host.ends(8);
                settle().await;
                assert_eq!(told(&recorded), [(7, false), (8, false), (8, true)]);
            })
            .await;
    }

    #[tokio::test]
    async fn the_group_of_a_session_is_not_taken_for_a_service() {
        tokio::task::LocalSet::new()
            .run_until(async {
                let (host, recorded) = (Rc::new(Scripted::default()), Recorded::default());
                host.starts(process(7, "/user.slice/user-0.slice/session-1.scope"));
                host.starts(process(8, "/user.slice/user-0.slice/session-1.scope"));
                let host_seen = Rc::clone(&host) as Rc<dyn Host>;
                let processes = Processes::new(host_seen, recorded.recorder()).await;
                processes.see(7, Some(&UnitName::new("a.service").unwrap())).await;
                processes.look().await;
                assert_eq!(told(&recorded), [(7, false)]);
            })
            .await;
    }
}
