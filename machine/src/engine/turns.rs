//! Whose turn it is, of the threads that share guest memory: to run at all in lockstep, so that what a segment reads cannot change between its
//! two runs; elsewhere to open an exclusive window.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// A lock that is passed on in the order of asking.
#[derive(Debug, Default)]
pub(super) struct Turns {
    state: Mutex<State>,
    passed: Condvar,
    last_id: AtomicU64,
}

#[derive(Debug, Default)]
struct State {
    holder: Option<u64>,
    waiting: VecDeque<u64>,
}

impl Turns {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A name for one more thread.
    pub(super) fn join(&self) -> u64 {
        self.last_id.fetch_add(1, Ordering::Relaxed)
    }

    /// Waits for the turn, unless it is `id`'s already.
    pub(super) fn take(&self, id: u64) {
        let mut state = self.lock();
        if state.holder == Some(id) {
            return;
        }
        if state.holder.is_some() || !state.waiting.is_empty() {
            state.waiting.push_back(id);
            while state.holder.is_some() || state.waiting.front() != Some(&id) {
                state = self.passed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            state.waiting.pop_front();
        }
        state.holder = Some(id);
    }

    /// Gives the turn up, if it is `id`'s.
    pub(super) fn give_up(&self, id: u64) {
        let mut state = self.lock();
        if state.holder == Some(id) {
            state.holder = None;
            if !state.waiting.is_empty() {
                self.passed.notify_all();
            }
        }
    }

    /// Lets those who wait go first.
    pub(super) fn pass(&self, id: u64) {
        if !self.lock().waiting.is_empty() {
            self.give_up(id);
            self.take(id);
        }
    }

    /// The thread is gone, whatever it was doing: a process that shared this memory may have been killed.
    /// `had_it` is called if it had the turn.
    pub(super) fn leave(&self, id: u64, had_it: impl FnOnce()) {
        let mut state = self.lock();
        if state.holder == Some(id) {
            had_it();
            state.holder = None;
        }
        state.waiting.retain(|other| *other != id);
        self.passed.notify_all();
    }

    /// Calls `fork`, which says whether it is in the child, where nobody waits and it is the turn of `holder`.
    pub(super) fn fork<T>(&self, holder: Option<u64>, fork: impl FnOnce() -> (bool, T)) -> T {
        let mut state = self.lock();
        let (in_child, result) = fork();
        if in_child {
            *state = State { holder, waiting: VecDeque::new() };
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn turns_go_round() {
        let turns = Arc::new(Turns::default());
        let order = Arc::new(Mutex::new(Vec::new()));
        let ids: Vec<u64> = (0..3).map(|_| turns.join()).collect();
        turns.take(ids[0]);
        let threads: Vec<_> = ids[1..]
            .iter()
            .map(|&id| {
                let (turns, order) = (Arc::clone(&turns), Arc::clone(&order));
                let waiting = turns.lock().waiting.len();
                let thread = std::thread::spawn({
                    let turns = Arc::clone(&turns);
                    move || {
                        turns.take(id);
                        order.lock().unwrap().push(id);
                        turns.leave(id, || {});
                    }
                });
                while turns.lock().waiting.len() == waiting {
                    std::thread::yield_now();
                }
                thread
            })
            .collect();
        turns.pass(ids[0]);
        assert_eq!(*order.lock().unwrap(), ids[1..], "both others were first, in the order of asking");
        threads.into_iter().for_each(|t| t.join().unwrap());
        turns.give_up(ids[1]);
        assert_eq!(turns.lock().holder, Some(ids[0]), "only the holder gives up");
    }
}
