//! What harts have to forget when code is dropped.

use std::collections::VecDeque;

/// Guest addresses whose code has been dropped, for harts that remember where it was: the latest ones of all that there have been.
#[derive(Debug, Default)]
pub(crate) struct News {
    total: u64,
    latest: VecDeque<u64>,
}

/// So many are kept. Whoever has missed more forgets everything.
const KEPT_NEWS: usize = 4096;

impl News {
    /// How much there has been.
    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// Code for `pc` has been dropped.
    pub(crate) fn push(&mut self, pc: u64) {
        self.latest.truncate(KEPT_NEWS - 1);
        self.latest.push_front(pc);
        self.total += 1;
    }

    /// All code has been dropped.
    pub(crate) fn push_all(&mut self) {
        self.latest.clear();
        self.total += 1;
    }

    /// The news since there had been `seen`, or `None` if they are not known any more.
    pub(crate) fn since(&self, seen: u64) -> Option<impl Iterator<Item = u64>> {
        let missed = usize::try_from(self.total - seen).ok().filter(|missed| *missed <= self.latest.len())?;
        Some(self.latest.iter().take(missed).copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn since(news: &News, seen: u64) -> Option<Vec<u64>> {
        news.since(seen).map(Iterator::collect)
    }

    #[test]
    fn who_has_seen_some_is_told_of_the_others() {
        let mut news = News::default();
        [0x10, 0x20, 0x30].into_iter().for_each(|pc| news.push(pc));
        assert_eq!(since(&news, 3), Some(vec![]));
        assert_eq!(since(&news, 1), Some(vec![0x30, 0x20]));
    }

    #[test]
    fn who_has_missed_too_many_is_told_so() {
        let mut news = News::default();
        (0..=KEPT_NEWS as u64).for_each(|pc| news.push(pc));
        assert_eq!(since(&news, 0), None);
        assert_eq!(since(&news, 1).map(|list| list.len()), Some(KEPT_NEWS));
    }

    #[test]
    fn who_has_missed_that_all_was_dropped_is_told_so() {
        let mut news = News::default();
        news.push(0x10);
        let seen = news.total();
        news.push_all();
        news.push(0x20);
        assert_eq!(since(&news, seen), None);
        assert_eq!(since(&news, seen + 1), Some(vec![0x20]));
    }
}
