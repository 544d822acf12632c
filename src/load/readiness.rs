//! Who waits until every cohort that loads has been answered again.

use tokio::sync::oneshot;

use crate::model::MonoTime;
use crate::record::segment::SentOk;

/// The waits of the control thread.
#[derive(Debug)]
pub(super) struct Readiness {
    /// Of each cohort, whether it loads: one that waits to be asked is not waited for.
    loads: Vec<bool>,
    waits: Vec<Wait>,
}

#[derive(Debug)]
struct Wait {
    sent_after: MonoTime,
    answered: Vec<Option<MonoTime>>,
    reply: oneshot::Sender<MonoTime>,
}

impl Readiness {
    /// Of cohorts of which these load.
    pub(super) fn new(loads: Vec<bool>) -> Self {
        Self { loads, waits: Vec::new() }
    }

    /// Replies when in each cohort a request that was sent after `sent_after` was `ok`. `latest` are the `ok`
    /// requests of each cohort that were sent last until now.
    pub(super) fn wait(
        &mut self,
        sent_after: MonoTime,
        latest: impl Iterator<Item = Option<SentOk>>,
        reply: oneshot::Sender<MonoTime>,
    ) {
        self.waits.push(Wait { sent_after, answered: vec![None; self.loads.len()], reply });
        for (cohort, ok) in latest.enumerate() {
            if let Some(ok) = ok {
                self.ok(cohort, ok);
            }
        }
    }

    /// A request of that cohort was `ok`.
    pub(super) fn ok(&mut self, cohort: usize, ok: SentOk) {
        if self.waits.is_empty() {
            return;
        }
        for wait in &mut self.waits {
            if ok.sent > wait.sent_after {
                wait.answered[cohort].get_or_insert(ok.end);
            }
        }
        let loads = &self.loads;
        for done in self.waits.extract_if(.., |wait| wait.answered_at(loads).is_some() || wait.reply.is_closed()) {
            if let Some(at) = done.answered_at(loads) {
                // Whoever gave up waiting needs no answer.
                let _ = done.reply.send(at);
            }
        }
    }
}

impl Wait {
    fn answered_at(&self, loads: &[bool]) -> Option<MonoTime> {
        let waited_for = self.answered.iter().zip(loads).filter(|(_, loads)| **loads).map(|(answered, _)| *answered);
        waited_for.collect::<Option<Vec<_>>>()?.into_iter().max()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ok(sent: u64, end: u64) -> SentOk {
        SentOk { sent: MonoTime::from_nanos(sent), end: MonoTime::from_nanos(end) }
    }

    #[test]
    fn it_waits_for_an_answer_of_each_cohort_that_loads_to_a_request_sent_later() {
        let mut readiness = Readiness::new(vec![true, false, true]);
        let (reply, mut answer) = oneshot::channel();
        readiness.wait(MonoTime::from_nanos(10), [Some(ok(9, 12)), None, None].into_iter(), reply);
        readiness.ok(2, ok(11, 13));
        readiness.ok(0, ok(10, 14));
        assert!(answer.try_recv().is_err(), "sent at that moment is not sent later");
        readiness.ok(0, ok(15, 19));
        assert_eq!(answer.try_recv(), Ok(MonoTime::from_nanos(19)));
        assert!(readiness.waits.is_empty());
    }

    #[test]
    fn answers_of_before_the_question_count() {
        let mut readiness = Readiness::new(vec![true]);
        let (reply, mut answer) = oneshot::channel();
        readiness.wait(MonoTime::from_nanos(10), [Some(ok(11, 12))].into_iter(), reply);
        assert_eq!(answer.try_recv(), Ok(MonoTime::from_nanos(12)));
    }

    #[test]
    fn who_gave_up_is_forgotten() {
        let mut readiness = Readiness::new(vec![true]);
        let (reply, answer) = oneshot::channel();
        readiness.wait(MonoTime::from_nanos(10), [None].into_iter(), reply);
        drop(answer);
        readiness.ok(0, ok(1, 2));
        assert!(readiness.waits.is_empty());
    }
}
