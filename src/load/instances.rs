//! Which instance gave an answer: names are kept once for the whole load, and counted by their number.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use super::timeline::Timeline;
use crate::model::{EventId, MonoTime};
use crate::record::instances::{self, INSTANCES_MAX, InstanceCount, NAME_BYTES_MAX, StaleCount};
use crate::visible::escape;

/// What an answer tells of the instance that gave it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Named {
    /// The instance of that number.
    As(u16),
    /// Nothing.
    Unnamed,
    /// A name that is not kept.
    LeftOut,
}

/// The instances that have answered the load. A handle: clones know the same.
#[derive(Clone, Debug, Default)]
pub(super) struct Instances(Rc<RefCell<Known>>);

#[derive(Debug, Default)]
struct Known {
    numbers: HashMap<Box<[u8]>, u16>,
    all: Vec<Instance>,
}

#[derive(Debug)]
struct Instance {
    name: String,
    first_answer: Option<MonoTime>,
}

impl Instances {
    /// The instance of that name. Allocates for a name that is new, and for no other.
    pub(super) fn named(&self, name: &[u8]) -> Named {
        let name = name.trim_ascii();
        if name.is_empty() {
            return Named::Unnamed;
        }
        let known = &mut *self.0.borrow_mut();
        if let Some(&number) = known.numbers.get(name) {
            return Named::As(number);
        }
        let number = u16::try_from(known.all.len()).unwrap_or(u16::MAX);
        if known.all.len() == INSTANCES_MAX || name.len() > NAME_BYTES_MAX {
            return Named::LeftOut;
        }
        known.numbers.insert(name.into(), number);
        known.all.push(Instance { name: escape(&String::from_utf8_lossy(name)), first_answer: None });
        Named::As(number)
    }

    /// An instance gave an answer that was whole at `end`: when its first was, this one included.
    fn answered(&self, number: u16, end: MonoTime) -> MonoTime {
        let mut known = self.0.borrow_mut();
        let instance = known.all.get_mut(usize::from(number));
        instance.map_or(end, |instance| *instance.first_answer.get_or_insert(end))
    }

    fn name(&self, number: usize) -> String {
        self.0.borrow().all.get(number).map(|instance| instance.name.clone()).unwrap_or_default()
    }
}

/// What is counted of a scope over a span, by instance.
#[derive(Debug, Default)]
pub(super) struct InstanceTally {
    /// By the number of the instance.
    named: Vec<Option<Counted>>,
    unnamed: u64,
    unnamed_ok: u64,
    left_out: u64,
}

#[derive(Clone, Debug)]
struct Counted {
    answers: u64,
    first: MonoTime,
    last: MonoTime,
    sent: Option<(MonoTime, MonoTime)>,
    stale: Vec<StaleCount>,
}

/// A complete answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Answered {
    pub(super) named: Named,
    /// The first write of its request that the kernel took.
    pub(super) sent: Option<MonoTime>,
    pub(super) end: MonoTime,
    pub(super) is_ok: bool,
}

impl InstanceTally {
    /// Counts an answer.
    pub(super) fn count(&mut self, answered: Answered, instances: &Instances, timeline: &Timeline) {
        let number = match answered.named {
            Named::As(number) => number,
            Named::Unnamed => {
                self.unnamed += 1;
                self.unnamed_ok += u64::from(answered.is_ok);
                return;
            }
            Named::LeftOut => {
                self.left_out += 1;
                return;
            }
        };
        let end = answered.end;
        let first_answer = instances.answered(number, end);
        let place = usize::from(number);
        if self.named.len() <= place {
            self.named.resize(place + 1, None);
        }
        let empty = || Counted { answers: 0, first: end, last: end, sent: None, stale: Vec::new() };
        let counted = self.named[place].get_or_insert_with(empty);
        counted.answers += 1;
        counted.last = counted.last.max(end);
        let both =
            |sent: MonoTime| counted.sent.map_or((sent, sent), |(first, last)| (sent.min(first), sent.max(last)));
        counted.sent = answered.sent.map(both).or(counted.sent);
        if let Some(event) = answered.sent.and_then(|sent| timeline.outlived(first_answer, sent)) {
            counted.count_stale(event);
        }
    }

    /// As it is recorded, with what a merge needs to know if it is for one; none if nothing was counted.
    pub(super) fn into_record(self, instances: &Instances, is_for_a_merge: bool) -> Option<instances::Instances> {
        let Self { named, unnamed, unnamed_ok, left_out } = self;
        let named = named.into_iter().enumerate().filter_map(|(number, counted)| {
            let Counted { answers, first, last, sent, stale } = counted?;
            let sent = sent.filter(|_| is_for_a_merge);
            Some(InstanceCount { name: instances.name(number), answers, first, last, sent, stale })
        });
        let counted = instances::Instances { named: named.collect(), unnamed, unnamed_ok, left_out };
        (counted != instances::Instances::default()).then_some(counted)
    }
}

impl Counted {
    fn count_stale(&mut self, event: EventId) {
        match self.stale.iter_mut().rfind(|count| count.event == event) {
            Some(count) => count.n += 1,
            None => self.stale.push(StaleCount { event, n: 1 }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: u64) -> MonoTime {
        MonoTime::from_nanos(ms * 1_000_000)
    }

    fn timeline() -> Timeline {
        let mut timeline = Timeline::default();
        timeline.begin_counting(at(0));
        timeline.mark(EventId(0), at(100));
        timeline.over(EventId(0), at(200));
        timeline
    }

    /// What an instance that answered first at `first` counts as stale of a request sent at `sent`.
    fn stale(first: u64, sent: u64) -> Vec<StaleCount> {
        let (instances, mut tally, timeline) = (Instances::default(), InstanceTally::default(), timeline());
        let named = instances.named(b"v1");
        for (sent, end) in [(first, first), (sent, sent + 1)] {
            tally.count(Answered { named, sent: Some(at(sent)), end: at(end), is_ok: true }, &instances, &timeline);
        }
        let mut record = tally.into_record(&instances, false).unwrap();
        assert_eq!((record.named.len(), record.named[0].answers, record.named[0].name.as_str()), (1, 2, "v1"));
        record.named.remove(0).stale
    }

    #[test]
    fn an_answer_is_stale_that_was_asked_for_after_an_event_of_an_instance_from_before_it() {
        assert_eq!(stale(99, 201), [StaleCount { event: EventId(0), n: 1 }]);
        assert_eq!(stale(100, 201), [], "it had not answered before the event");
        assert_eq!(stale(99, 200), [], "the event was not over");
    }

    #[test]
    fn names_are_trimmed_made_visible_and_bounded_in_length_and_in_number() {
        let instances = Instances::default();
        assert_eq!(instances.named(b" v1\t"), Named::As(0));
        assert_eq!(instances.named(b"v1"), Named::As(0));
        assert_eq!(instances.named(b" "), Named::Unnamed);
        assert_eq!(instances.named(b"\x1b[2J\xff"), Named::As(1));
        assert_eq!(instances.name(1), "\\u{1b}[2J\u{fffd}");
        assert_eq!(instances.named(&[b'x'; NAME_BYTES_MAX + 1]), Named::LeftOut);
        for number in 2..INSTANCES_MAX {
            assert_eq!(instances.named(number.to_string().as_bytes()), Named::As(u16::try_from(number).unwrap()));
        }
        assert_eq!(instances.named(b"one more"), Named::LeftOut);
        assert_eq!(instances.named(b"v1"), Named::As(0), "those that are known go on to be");
    }
}
