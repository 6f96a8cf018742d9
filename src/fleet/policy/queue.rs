//! Strict priority with first come, first served inside a class; or plain arrival order.

use std::collections::VecDeque;

/// Commands before waiting reads before polls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Something to do.
    Command,
    /// A read somebody waits for, or that proves a command.
    Read,
    /// A read nobody waits for.
    Poll,
}

/// See the module. Bounded by its users: callers refuse work before it is queued.
#[derive(Debug)]
pub struct ClassQueue<T> {
    by_arrival: bool,
    arrivals: u64,
    lanes: [VecDeque<(u64, T)>; 3],
}

impl<T> ClassQueue<T> {
    /// Empty. `by_arrival`: classes don't matter.
    pub fn new(by_arrival: bool) -> Self {
        Self { by_arrival, arrivals: 0, lanes: [VecDeque::new(), VecDeque::new(), VecDeque::new()] }
    }

    fn lane(&mut self, class: Class) -> &mut VecDeque<(u64, T)> {
        let [command, read, poll] = &mut self.lanes;
        match class {
            Class::Command => command,
            Class::Read => read,
            Class::Poll => poll,
        }
    }

    /// At the end of its class.
    pub fn push(&mut self, class: Class, item: T) {
        self.arrivals += 1;
        let arrival = self.arrivals;
        self.lane(class).push_back((arrival, item));
    }

    /// At the front of its class: work that goes on (the next page, a retry).
    pub fn push_front(&mut self, class: Class, item: T) {
        self.lane(class).push_front((0, item));
    }

    /// The class of the next to serve.
    pub fn next_class(&self) -> Option<Class> {
        const ORDER: [Class; 3] = [Class::Command, Class::Read, Class::Poll];
        let mut waiting = ORDER.into_iter().zip(&self.lanes).filter(|(_, lane)| !lane.is_empty());
        let next = if self.by_arrival {
            waiting.min_by_key(|(_, lane)| lane.front().map(|(arrival, _)| *arrival))
        } else {
            waiting.next()
        };
        next.map(|(class, _)| class)
    }

    /// The next to serve.
    pub fn pop(&mut self) -> Option<(Class, T)> {
        let class = self.next_class()?;
        self.lane(class).pop_front().map(|(_, item)| (class, item))
    }

    /// Those of one class, first first.
    pub fn iter_mut(&mut self, class: Class) -> impl Iterator<Item = &mut T> {
        self.lane(class).iter_mut().map(|(_, item)| item)
    }

    /// Takes those of one class out for which `take` holds, first first.
    pub fn take_if(&mut self, class: Class, most: usize, mut take: impl FnMut(&T) -> bool) -> Vec<T> {
        let lane = self.lane(class);
        let mut taken = Vec::new();
        let mut rest = VecDeque::with_capacity(lane.len());
        for (arrival, item) in lane.drain(..) {
            if taken.len() < most && take(&item) {
                taken.push(item);
            } else {
                rest.push_back((arrival, item));
            }
        }
        *lane = rest;
        taken
    }

    /// Nothing waits.
    pub fn is_empty(&self) -> bool {
        self.lanes.iter().all(VecDeque::is_empty)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_go_first() {
        let mut q = ClassQueue::new(false);
        q.push(Class::Poll, 1);
        q.push(Class::Read, 2);
        q.push(Class::Command, 3);
        q.push(Class::Command, 4);
        let order: Vec<_> = std::iter::from_fn(|| q.pop().map(|(_, i)| i)).collect();
        assert_eq!(order, [3, 4, 2, 1]);
    }

    #[test]
    fn arrival_order_is_kept_when_asked_for() {
        let mut q = ClassQueue::new(true);
        q.push(Class::Poll, 1);
        q.push(Class::Command, 2);
        q.push(Class::Read, 3);
        let order: Vec<_> = std::iter::from_fn(|| q.pop().map(|(_, i)| i)).collect();
        assert_eq!(order, [1, 2, 3]);
    }

    #[test]
    fn what_goes_on_goes_first_in_its_class() {
        let mut q = ClassQueue::new(false);
        q.push(Class::Read, 1);
        q.push_front(Class::Read, 0);
        assert_eq!(q.pop(), Some((Class::Read, 0)));
    }
}
