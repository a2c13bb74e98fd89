//! Exclusive windows on memory that several processes share: one at a time, and the other processes stand still meanwhile.
//!
//! Windows exclude each other by an advisory lock (flock(2)) on the emulator's own file. All processes of a run execute that file,
//! whoever forked or executed them, so that nothing has to be handed over; and the host's kernel takes the lock away from a process
//! that is killed. Two runs on the same memory exclude each other as well.
//!
//! Processes that share memory because one is the child of another have a `Page` in common, where each has a seat. Whoever has the
//! lock makes the page's count of turns odd, and waits until each seat has noted the number. In each process a thread waits for that
//! (`serve`): it stops the harts, notes the number, and lets them go on when the turn is over. Of a process that is killed that thread is
//! gone, and so is its seat; one that is killed while it has the turn loses the lock, by which the others see it.

use super::errno::Errno;
use super::host::{self, Arg};
use crate::engine::{Harts, Neighbours, WINDOW_PATIENCE};
use std::any::Any;
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{OnceLock, Weak};
use std::time::{Duration, Instant};

/// A process that stands still looks so often whether the one that has the turn is still there.
const LOOK_PERIOD: Duration = Duration::from_millis(10);
/// Whoever has had the turn for so long has been stopped, and loses it.
const LONGEST_TURN: Duration = Duration::from_secs(2);
/// Without an answer for so long, one looks whether anybody is there.
const ANSWER_PATIENCE: Duration = Duration::from_millis(1);

/// The processes that share memory with this one.
#[derive(Debug, Default)]
pub struct Family {
    /// Made before the first fork with memory to share.
    page: OnceLock<Page>,
    /// This process's seat: its index plus 1, [`NONE`], [`SITTING_DOWN`], or [`STANDING`].
    seat: AtomicU32,
}

const NONE: u32 = 0;
/// It is being taken.
const SITTING_DOWN: u32 = u32::MAX - 1;
/// There was none left.
const STANDING: u32 = u32::MAX;

/// What the processes have in common.
#[derive(Clone, Copy, Debug)]
struct Page(&'static [AtomicU64]);

/// Words of a page: odd in a turn; the seat that has it, plus 1; how many seats have been used; how many turns have ended; then two
/// words for each seat.
const TURN: usize = 0;
const WHOSE: usize = 1;
const USED: usize = 2;
const ENDED: usize = 3;
const FIRST_SEAT: usize = 4;
const WORDS: usize = 1 << 13;

/// A process's place in a page.
#[derive(Clone, Copy)]
struct Seat {
    /// The process in the upper half, its thread for turns in the lower one, or 0.
    owner: &'static AtomicU64,
    /// The last turn for which its harts stood still, or [`STANDS_BY`].
    still: &'static AtomicU64,
}

/// The process waits for the lock, and has stopped its harts for that.
const STANDS_BY: u64 = u64::MAX;

/// The lock, and the turn that goes with it, until this is dropped.
struct Held {
    file: File,
    turn: Option<Turn>,
}

/// A turn of this process's.
struct Turn {
    page: Page,
    number: u64,
    /// Those who are to stop have been told.
    is_known: bool,
}

impl Neighbours for Family {
    fn stop(&self) -> Option<Box<dyn Any>> {
        // Without a descriptor or `/proc` the sequence is compared with what other processes do, as on a processor of one's own it would
        // not be; failing always would be worse.
        let Some(file) = open() else { return Some(Box::new(())) };
        let began = Instant::now();
        if !self.lock(&file, began) {
            return None;
        }
        let mut held = Held { file, turn: None };
        if let Some(page) = self.page.get() {
            let own = self.own_seat();
            let turn = held.turn.insert(Turn { page: *page, number: page.begin(own), is_known: false });
            if !turn.stops(own, began + WINDOW_PATIENCE) {
                return None;
            }
        }
        Some(Box::new(held))
    }

    fn before_fork(&self, harts: Weak<dyn Harts>) {
        if self.page.get().is_none()
            && let Ok(words) = host::new_words(WORDS)
        {
            // Another thread's page may have come first: a page too many, once.
            let _ = self.page.set(Page(words));
        }
        if let Some(page) = self.page.get() {
            self.sit_down(*page, harts);
        }
    }

    fn in_child(&self, harts: Weak<dyn Harts>) {
        self.seat.store(NONE, Ordering::SeqCst);
        if let Some(page) = self.page.get() {
            self.sit_down(*page, harts);
            // Whoever has a turn now may not have known of this seat, or waits for it.
            page.stand_still(page.turn(), self.own_seat());
        }
    }
}

impl Family {
    /// Takes a seat for this process if it has none, with a thread that serves it.
    fn sit_down(&self, page: Page, harts: Weak<dyn Harts>) {
        if self.seat.compare_exchange(NONE, SITTING_DOWN, Ordering::SeqCst, Ordering::SeqCst).is_err() {
            // Another thread does, or has done so.
            while self.seat.load(Ordering::SeqCst) == SITTING_DOWN {
                std::thread::yield_now();
            }
            return;
        }
        let (tell, told) = sync_channel(1);
        let thread = std::thread::Builder::new().name("emu-window".into()).stack_size(SERVER_STACK);
        let number = match thread.spawn(move || serve(page, &harts, &tell)) {
            Ok(_) => told.recv().unwrap_or(STANDING),
            Err(_) => STANDING,
        };
        self.seat.store(number, Ordering::SeqCst);
    }

    /// The index of this process's seat.
    fn own_seat(&self) -> Option<usize> {
        match self.seat.load(Ordering::SeqCst) {
            NONE | SITTING_DOWN | STANDING => None,
            number => Some(number as usize - 1),
        }
    }

    /// Takes the lock, and stands still for those who have it before; false if that takes too long.
    fn lock(&self, file: &File, began: Instant) -> bool {
        let place = self.page.get().zip(self.own_seat());
        let stand = |how| place.iter().for_each(|(page, own)| page.seat(*own).still.store(how, Ordering::SeqCst));
        stand(STANDS_BY);
        let locked = loop {
            match flock(file, libc::LOCK_EX | libc::LOCK_NB) {
                Err(Errno::EAGAIN | Errno::EINTR) if began.elapsed() > WINDOW_PATIENCE => break false,
                Err(Errno::EAGAIN | Errno::EINTR) => std::thread::yield_now(),
                _ => break true,
            }
        };
        stand(0);
        if let Some((page, own)) = place.filter(|_| !locked) {
            // Who has the turn now may count on this process.
            page.stand_still(page.turn(), Some(own));
        }
        locked
    }
}

impl Turn {
    /// Waits until all but `own` stand still, and says whether they do, and the turn still lasts; false if one does not until then.
    fn stops(&mut self, own: Option<usize>, until: Instant) -> bool {
        let used = self.page.0[USED].load(Ordering::SeqCst) as usize;
        for seat in (0..used).filter(|seat| Some(*seat) != own).map(|seat| self.page.seat(seat)) {
            if !seat.is_still(self.number) {
                if !std::mem::replace(&mut self.is_known, true) {
                    self.page.wake(TURN);
                }
                if !seat.stands_still(self.number, until) {
                    return false;
                }
            }
        }
        self.page.turn() == self.number
    }
}

const SERVER_STACK: usize = 128 << 10;

/// The life of a process's thread for turns. It tells the number of its seat, from 1.
fn serve(page: Page, harts: &Weak<dyn Harts>, tell: &SyncSender<u32>) {
    host::set_mask_exactly(u64::MAX);
    let owner = u64::from(host::pid() as u32) << 32 | u64::from(host::tid() as u32);
    let Some(own) = page.take_seat(owner) else { return };
    let _ = tell.send(own as u32 + 1);
    let seat = page.seat(own);
    let mut turn = page.turn();
    loop {
        if is_open(turn) && !page.is_turn_of(own) {
            let Some(harts) = harts.upgrade() else { break };
            harts
                .stop(&mut || page.stand_still(turn, Some(own).filter(|_| seat.owner.load(Ordering::SeqCst) == owner)));
        } else {
            page.wait(TURN, turn, None);
        }
        turn = page.turn();
    }
    seat.owner.store(0, Ordering::SeqCst);
}

fn is_open(turn: u64) -> bool {
    !turn.is_multiple_of(2)
}

impl Page {
    fn turn(self) -> u64 {
        self.0[TURN].load(Ordering::SeqCst)
    }

    fn seat(self, index: usize) -> Seat {
        let at = FIRST_SEAT + 2 * index;
        Seat { owner: &self.0[at], still: &self.0[at + 1] }
    }

    fn is_turn_of(self, seat: usize) -> bool {
        self.0[WHOSE].load(Ordering::SeqCst) == seat as u64 + 1
    }

    /// Begins a turn of that seat, or of somebody without one; the caller has the lock.
    fn begin(self, own: Option<usize>) -> u64 {
        let before = self.turn();
        if is_open(before) {
            // Who had it was killed.
            self.end(before);
        }
        self.0[WHOSE].store(own.map_or(0, |own| own as u64 + 1), Ordering::SeqCst);
        self.0[TURN].fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Ends that turn, unless it has ended.
    fn end(self, turn: u64) {
        if self.0[TURN].compare_exchange(turn, turn + 1, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
            self.0[ENDED].fetch_add(1, Ordering::SeqCst);
            self.wake(ENDED);
        }
    }

    /// Waits for the end of that turn, if it is one, and notes meanwhile that `own` stands still for it.
    fn stand_still(self, turn: u64, own: Option<usize>) {
        if !is_open(turn) {
            return;
        }
        if let Some(own) = own {
            self.seat(own).still.store(turn, Ordering::SeqCst);
        }
        let began = Instant::now();
        loop {
            let ended = self.0[ENDED].load(Ordering::SeqCst);
            if self.turn() != turn {
                return;
            }
            self.wait(ENDED, ended, Some(LOOK_PERIOD));
            if began.elapsed() > LONGEST_TURN || began.elapsed() > LOOK_PERIOD && is_unlocked() {
                self.end(turn);
            }
        }
    }

    /// Waits until that word is no longer what was seen.
    fn wait(self, word: usize, seen: u64, at_most: Option<Duration>) {
        let time = at_most.map(|time| libc::timespec { tv_sec: 0, tv_nsec: i64::from(time.subsec_nanos()) });
        let args = [self.lower_half(word), libc::FUTEX_WAIT.into(), (seen as u32).into(), Arg::opt(time.as_ref())];
        let _ = host::call(libc::SYS_futex, &args);
    }

    fn wake(self, word: usize) {
        let _ = host::call(libc::SYS_futex, &[self.lower_half(word), libc::FUTEX_WAKE.into(), i32::MAX.into()]);
    }

    /// Its address: where an x86 has it, that of the word.
    fn lower_half(self, word: usize) -> Arg<'static> {
        std::ptr::from_ref(&self.0[word]).addr().into()
    }

    /// A seat for that owner.
    fn take_seat(self, owner: u64) -> Option<usize> {
        let is_free =
            |at: &usize| self.seat(*at).owner.compare_exchange(0, owner, Ordering::SeqCst, Ordering::SeqCst).is_ok();
        let index = (0..(WORDS - FIRST_SEAT) / 2).find(is_free)?;
        self.0[USED].fetch_max(index as u64 + 1, Ordering::SeqCst);
        Some(index)
    }
}

impl Seat {
    /// Does its process stand still for that turn, or is there none?
    fn is_still(self, turn: u64) -> bool {
        let still = self.still.load(Ordering::SeqCst);
        still == turn || still == STANDS_BY || self.owner.load(Ordering::SeqCst) == 0
    }

    /// Waits until its process stands still for that turn; false if it does not until then.
    fn stands_still(self, turn: u64, until: Instant) -> bool {
        let mut asked = Instant::now();
        loop {
            if self.is_still(turn) {
                return true;
            }
            if asked.elapsed() > ANSWER_PATIENCE {
                asked = Instant::now();
                let owner = self.owner.load(Ordering::SeqCst);
                match presence(owner) {
                    Presence::Gone => drop(self.owner.compare_exchange(owner, 0, Ordering::SeqCst, Ordering::SeqCst)),
                    Presence::Stopped => return true,
                    Presence::Runs => {}
                }
            }
            if asked > until {
                return false;
            }
            std::thread::yield_now();
        }
    }
}

enum Presence {
    Gone,
    /// By a signal, or by a tracer.
    Stopped,
    Runs,
}

/// What has become of the owner of a seat.
fn presence(owner: u64) -> Presence {
    let (process, thread) = (owner >> 32, owner & u64::from(u32::MAX));
    if host::call(libc::SYS_tgkill, &[process.into(), thread.into(), 0.into()]) == Err(Errno::ESRCH) {
        return Presence::Gone;
    }
    let stat = fs::read_to_string(format!("/proc/{process}/task/{thread}/stat")).unwrap_or_default();
    match stat.rsplit_once(") ") {
        Some((_, rest)) if rest.starts_with(['T', 't']) => Presence::Stopped,
        _ => Presence::Runs,
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(turn) = &self.turn {
            turn.page.end(turn.number);
        }
        // A process that was forked meanwhile has the descriptor as well.
        let _ = flock(&self.file, libc::LOCK_UN);
    }
}

/// Has nobody the lock?
fn is_unlocked() -> bool {
    // It goes with the file.
    open().is_some_and(|file| flock(&file, libc::LOCK_SH | libc::LOCK_NB).is_ok())
}

fn flock(file: &File, how: i32) -> Result<u64, Errno> {
    host::call(libc::SYS_flock, &[file.as_raw_fd().into(), how.into()])
}

/// Descriptors of ours are out of the way of the guest's.
const FROM: i32 = 900;

fn open() -> Option<File> {
    let file = File::open("/proc/self/exe").ok()?;
    let moved = host::call(libc::SYS_fcntl, &[file.as_raw_fd().into(), libc::F_DUPFD_CLOEXEC.into(), FROM.into()]);
    Some(moved.map_or(file, |fd| host::own_file(fd as i32)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;

    /// Harts that stop at once, but for the first time that they are asked.
    #[derive(Default)]
    struct Fake {
        asked: AtomicBool,
        stopped: AtomicBool,
    }

    impl Harts for Fake {
        fn stop(&self, meanwhile: &mut dyn FnMut()) -> bool {
            let again = self.asked.swap(true, Ordering::SeqCst);
            if again {
                self.stopped.store(true, Ordering::SeqCst);
                meanwhile();
                self.stopped.store(false, Ordering::SeqCst);
            }
            again
        }
    }

    fn page() -> Page {
        Page(host::new_words(WORDS).expect("there is memory"))
    }

    fn turn_of(page: Page, own: Option<usize>) -> Turn {
        Turn { page, number: page.begin(own), is_known: false }
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(10)
    }

    #[test]
    fn others_stand_still_for_a_turn() {
        let (page, harts) = (page(), Arc::new(Fake::default()));
        let family = Family::default();
        family.sit_down(page, Arc::downgrade(&harts) as Weak<dyn Harts>);
        let number = family.own_seat();
        assert_eq!(number, Some(0));
        for _ in 0..100 {
            let file = open().expect("it is there");
            while flock(&file, libc::LOCK_EX | libc::LOCK_NB).is_err() {}
            let mut turn = turn_of(page, None);
            assert!(turn.stops(None, soon()));
            assert!(harts.stopped.load(Ordering::SeqCst));
            drop(Held { file, turn: Some(turn) });
        }
        let mut own = turn_of(page, number);
        assert!(own.stops(number, soon()), "it waits for nobody");
        page.wake(TURN);
        std::thread::sleep(Duration::from_millis(5));
        assert!(!harts.stopped.load(Ordering::SeqCst), "one's own harts are not the thread's");
    }

    #[test]
    fn a_seat_of_the_dead_is_free() {
        let page = page();
        // No thread has an id that large.
        let dead = u64::from(u32::MAX >> 1) << 32 | 1;
        let live = u64::from(host::pid() as u32) << 32 | u64::from(host::tid() as u32);
        assert_eq!((page.take_seat(dead), page.take_seat(live)), (Some(0), Some(1)));
        let mut turn = turn_of(page, Some(1));
        assert!(turn.stops(Some(1), soon()));
        assert!(!turn.stops(None, Instant::now()), "the live one has not answered");
        page.seat(1).still.store(STANDS_BY, Ordering::SeqCst);
        assert!(turn.stops(None, Instant::now()), "it waits for the lock");
        assert_eq!(page.take_seat(live), Some(0));
    }

    #[test]
    fn a_turn_of_the_dead_ends() {
        let page = page();
        let turn = page.begin(None);
        page.stand_still(turn, None);
        assert_eq!(page.turn(), turn + 1);
        let (left, next) = (page.begin(None), page.begin(None));
        assert_eq!((is_open(next), next), (true, left + 2));
    }
}
