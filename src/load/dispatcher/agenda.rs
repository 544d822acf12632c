//! What a cohort has to send: what falls due next, and what is due and waits for a connection.

use std::collections::VecDeque;

use super::schedule::Schedule;
use crate::model::MonoTime;

/// The due times of one cohort.
#[derive(Debug)]
pub(in crate::load) enum Agenda {
    /// From a schedule: what waits is a range of its indices, however long it waits.
    Open {
        /// Gives each index its due time.
        schedule: Schedule,
        /// The first index that is due and waits.
        front: u64,
        /// The first index that has not fallen due.
        next: u64,
        /// Nothing more falls due.
        closed: bool,
    },
    /// Of clients: each is in at most one of the two, so neither is longer than there are clients.
    Clients {
        /// Ascending due times to come.
        later: VecDeque<MonoTime>,
        /// Due and waiting.
        waiting: VecDeque<MonoTime>,
    },
}

impl Agenda {
    /// An open loop.
    pub(in crate::load) fn open(schedule: Schedule) -> Self {
        Self::Open { schedule, front: 0, next: 0, closed: false }
    }

    /// A closed loop of N clients, all due at `start`.
    pub(in crate::load) fn clients(clients: u32, start: MonoTime) -> Self {
        Self::Clients { later: (0..clients).map(|_| start).collect(), waiting: VecDeque::new() }
    }

    /// When the next request falls due; none after [`Self::close`], and while all clients are busy.
    pub(in crate::load) fn next_due(&self) -> Option<MonoTime> {
        match self {
            Self::Open { closed: true, .. } => None,
            Self::Open { schedule, next, .. } => Some(schedule.due(*next)),
            Self::Clients { later, .. } => later.front().copied(),
        }
    }

    /// Lets the next request fall due, if that is before `before`: its due time. It waits from then on.
    pub(in crate::load) fn fall_due(&mut self, before: MonoTime) -> Option<MonoTime> {
        let due = self.next_due().filter(|&due| due < before)?;
        match self {
            Self::Open { next, .. } => *next += 1,
            Self::Clients { later, waiting } => waiting.extend(later.pop_front()),
        }
        Some(due)
    }

    /// The due time of the request that has waited longest.
    pub(in crate::load) fn first_waiting(&self) -> Option<MonoTime> {
        match self {
            Self::Open { schedule, front, next, .. } => (front < next).then(|| schedule.due(*front)),
            Self::Clients { waiting, .. } => waiting.front().copied(),
        }
    }

    /// How many requests are due and wait.
    pub(in crate::load) fn waiting(&self) -> u64 {
        match self {
            Self::Open { front, next, .. } => next - front,
            Self::Clients { waiting, .. } => waiting.len() as u64,
        }
    }

    /// Takes the request that has waited longest.
    pub(in crate::load) fn take_waiting(&mut self) -> Option<MonoTime> {
        let due = self.first_waiting()?;
        match self {
            Self::Open { front, .. } => *front += 1,
            Self::Clients { waiting, .. } => drop(waiting.pop_front()),
        }
        Some(due)
    }

    /// A client is due again at `due`, which is never before an earlier one.
    pub(in crate::load) fn client_due(&mut self, due: MonoTime) {
        if let Self::Clients { later, .. } = self {
            later.push_back(due);
        }
    }

    /// Nothing more falls due. What waits already goes on waiting.
    pub(in crate::load) fn close(&mut self) {
        match self {
            Self::Open { closed, .. } => *closed = true,
            Self::Clients { later, .. } => later.clear(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn at(ns: u64) -> MonoTime {
        MonoTime::from_nanos(ns)
    }

    #[test]
    fn clients_are_all_due_at_the_start_and_wait_their_turn() {
        let mut agenda = Agenda::clients(2, at(100));
        assert_eq!(agenda.fall_due(at(100)), None);
        assert_eq!((agenda.fall_due(at(101)), agenda.fall_due(at(101))), (Some(at(100)), Some(at(100))));
        assert_eq!(agenda.next_due(), None);
        assert_eq!(agenda.take_waiting(), Some(at(100)));
        agenda.client_due(at(300));
        assert_eq!(agenda.next_due(), Some(at(300)));
        agenda.close();
        assert_eq!((agenda.next_due(), agenda.first_waiting()), (None, Some(at(100))));
    }

    proptest! {
        #[test]
        fn what_falls_due_is_taken_once_each_in_order_whatever_the_wakes(
            wakes in proptest::collection::vec(0u64..50_000_000, 1..40), rate in 1u64..5_000_000_000,
        ) {
            let schedule = Schedule::by_rate(at(0), rate);
            let mut agenda = Agenda::open(schedule);
            let (mut now, mut taken) = (0, Vec::new());
            for (number, sleep) in wakes.iter().enumerate() {
                now += sleep;
                while agenda.fall_due(at(now)).is_some() {}
                if number % 2 == 0 {
                    taken.extend(std::iter::from_fn(|| agenda.take_waiting()));
                }
            }
            agenda.close();
            taken.extend(std::iter::from_fn(|| agenda.take_waiting()));
            let expected: Vec<_> = (0..1 << 40).map(|index| schedule.due(index)).take_while(|&due| due < at(now)).collect();
            prop_assert_eq!(taken, expected);
        }
    }
}
