//! Who holds the listeners at the target's addresses: looked at when something changed, and now and then.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::slice;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval};

use super::exits::Ended;
use super::processes::Processes;
use super::recorder::Recorder;
use crate::host::{Host, Look};
use crate::model::holder::Holder;
use crate::model::{Endpoint, ProcessId};
use crate::record::line::{Holders, Line};

/// From one look for new processes to the next: a few small files.
const LOOK_FOR_PROCESSES_EVERY: Duration = Duration::from_millis(100);

/// A look at the holders goes over the descriptors of every process: this number of looks for processes comes before the next.
const LOOKS_BETWEEN_HOLDERS: u32 = 20;

pub(super) struct HoldersLook {
    host: Rc<dyn Host>,
    recorder: Recorder,
    endpoints: Vec<Endpoint>,
    processes: Processes,
    changed: Rc<Notify>,
    /// Told of those who held one of the listeners and have ended; none where steps act on units.
    ended: Option<mpsc::UnboundedSender<Ended>>,
    /// What was written last of each listener.
    written: BTreeMap<(Endpoint, u64), Vec<Shown>>,
}

/// What is compared: who holds it, and whether they accept at all.
type Shown = (ProcessId, bool, Vec<Endpoint>);

impl HoldersLook {
    pub(super) fn new(
        host: Rc<dyn Host>,
        recorder: Recorder,
        endpoints: Vec<Endpoint>,
        processes: Processes,
        ended: Option<mpsc::UnboundedSender<Ended>>,
    ) -> Self {
        let changed = processes.changed();
        Self { host, recorder, endpoints, processes, changed, ended, written: BTreeMap::new() }
    }

    /// Looks until it is told to stop, and once more then.
    pub(super) async fn run(mut self, mut stopped: oneshot::Receiver<()>) {
        let mut tick = interval(LOOK_FOR_PROCESSES_EVERY);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut looks_left = 0;
        loop {
            let is_due = tokio::select! {
                _ = tick.tick() => {
                    self.processes.look().await;
                    looks_left == 0
                }
                () = self.changed.notified() => {
                    self.tell_ended();
                    true
                }
                _ = &mut stopped => break,
            };
            if is_due {
                self.look().await;
                looks_left = LOOKS_BETWEEN_HOLDERS;
            }
            looks_left = looks_left.saturating_sub(1);
        }
        self.look().await;
    }

    /// Each of the last look's holders that has ended since, for whoever wants to know at once.
    fn tell_ended(&mut self) {
        let Some(ended) = &self.ended else { return };
        for shown in self.written.values_mut() {
            shown.retain(|(id, ..)| {
                let Some(gone) = self.processes.ended(*id) else { return true };
                // Who wanted to know may have gone.
                let _ = ended.send(gone);
                false
            });
        }
    }

    /// The processes of services that listen, but do not hold the listener.
    async fn elsewhere(&self, holders: &[Holder]) -> Vec<Holder> {
        let mut elsewhere = Vec::new();
        for process in self.processes.running() {
            if holders.iter().all(|holder| holder.process.id != process.id) {
                let also_listens = self.host.listens(process.id.pid).await.unwrap_or_default();
                if !also_listens.is_empty() {
                    elsewhere.push(Holder { process, accepted: 0, also_listens });
                }
            }
        }
        elsewhere
    }

    async fn look(&mut self) {
        for endpoint in self.endpoints.clone() {
            // One that fails tells nothing; the next one may.
            let Ok(listeners) = self.host.listeners(slice::from_ref(&endpoint)).await else { continue };
            for listener in listeners.seen {
                let looked = self.host.holders(&endpoint, listener.inode).await;
                let Ok(Look { at, seen: holders }) = looked else { continue };
                for holder in holders.iter().filter(|holder| !holder.is_manager()) {
                    self.processes.see(holder.process.id.pid, None).await;
                }
                let elsewhere = self.elsewhere(&holders).await;
                let shown: Vec<Shown> = holders.iter().chain(&elsewhere).map(shown).collect();
                let last = self.written.insert((endpoint.clone(), listener.inode), shown.clone());
                if last != Some(shown) {
                    let (endpoint, inode) = (endpoint.clone(), listener.inode);
                    self.recorder.write(&Line::Holders(Holders { at, endpoint, inode, holders, elsewhere }));
                }
            }
        }
    }
}

fn shown(holder: &Holder) -> Shown {
    (holder.process.id, holder.accepted > 0, holder.also_listens.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::scripted::{Scripted, process};
    use crate::model::address::Listener;
    use crate::run::testing::Recorded;

    #[tokio::test]
    async fn the_holders_of_a_listener_are_written_when_they_change() {
        tokio::task::LocalSet::new()
            .run_until(async {
                let (host, recorded) = (Rc::new(Scripted::default()), Recorded::default());
                let endpoint = Endpoint::Tcp(([127, 0, 0, 1], 80).into());
                let listener =
                    Listener { endpoint: endpoint.clone(), inode: 5, queued: 0, backlog: 1, cookie: None, drops: None };
                host.listeners.borrow_mut().push(listener);
                let holds = |pid, accepted| {
                    let process = process(pid, "/system.slice/a.service");
                    host.holders.borrow_mut().entry(5).or_default().push(Holder {
                        process,
                        accepted,
                        also_listens: Vec::new(),
                    });
                };
                let dyn_host = Rc::clone(&host) as Rc<dyn Host>;
                let processes = Processes::new(Rc::clone(&dyn_host), recorded.recorder()).await;
                let mut look = HoldersLook::new(dyn_host, recorded.recorder(), vec![endpoint], processes, None);
                holds(7, 0);
                look.look().await;
                look.look().await;
                holds(8, 3);
                look.look().await;
                host.holders.borrow_mut().get_mut(&5).unwrap()[1].accepted = 4;
                look.look().await;
                let lines = recorded.lines();
                let pids: Vec<Vec<u32>> = lines
                    .iter()
                    .filter_map(|line| match line {
                        Line::Holders(seen) => Some(seen.holders.iter().map(|it| it.process.id.pid).collect()),
                        _ => None,
                    })
                    .collect();
                assert_eq!(pids, [vec![7], vec![7, 8]]);
            })
            .await;
    }
}
