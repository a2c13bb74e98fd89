//! Lists that are used again: code that is compiled at once needs its block for some microseconds only, and the lists of a block are too
//! long for an allocator's fast path.

use crate::block::{Block, InsnMark, Inst};
use std::cell::RefCell;

/// Lists of one kind that nobody needs at the moment.
#[derive(Debug)]
pub(crate) struct Spare<T>(RefCell<Vec<Vec<T>>>);

/// More than these are not kept.
const MOST: usize = 4;

impl<T> Spare<T> {
    /// None yet.
    pub(crate) const fn new() -> Spare<T> {
        Spare(RefCell::new(Vec::new()))
    }

    /// An empty list.
    pub(crate) fn take(&self) -> Vec<T> {
        self.0.borrow_mut().pop().unwrap_or_default()
    }

    /// Gives a list back, or one to begin with.
    pub(crate) fn give(&self, mut list: Vec<T>) {
        let mut lists = self.0.borrow_mut();
        if lists.len() < MOST && list.capacity() > 0 {
            list.clear();
            lists.push(list);
        }
    }
}

thread_local! {
    pub(crate) static INSTS: Spare<Inst> = const { Spare::new() };
    pub(crate) static MARKS: Spare<InsnMark> = const { Spare::new() };
}

impl Block {
    /// Gives the block's memory to the thread's next one.
    pub fn recycle(self) {
        INSTS.with(|spare| spare.give(self.insts));
        MARKS.with(|spare| spare.give(self.marks));
    }
}
