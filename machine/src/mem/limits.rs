//! How much may be mapped, and how much is.
#![forbid(unsafe_code)]

use super::{Errno, GuestMemory, Prot, Space, Vma};
use std::ops::{AddAssign, Range, SubAssign};

/// Limits of an address space, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryLimits {
    /// Everything (`RLIMIT_AS`).
    pub all: u64,
    /// Private memory that can be written, but for stacks (`RLIMIT_DATA`).
    pub data: u64,
    /// What costs memory of the host and no file can give back: data, mappings that grow down except for the first stack, and shared
    /// memory without a file (`emu run --memory`).
    pub own: u64,
}

impl MemoryLimits {
    /// As much as there is.
    pub const NONE: MemoryLimits = MemoryLimits { all: u64::MAX, data: u64::MAX, own: u64::MAX };
}

/// Bytes of mappings, by what they count for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    all: u64,
    data: u64,
    own: u64,
}

impl Sums {
    /// What a mapping like `vma` of `len` bytes counts for.
    pub(super) fn of(vma: &Vma, len: u64) -> Sums {
        let Vma { prot, shared, ref file, name, grows_down, .. } = *vma;
        Sums::of_kind(len, prot, shared, file.is_some(), grows_down, name == Some("[stack]"))
    }

    /// The kernel's `is_data_mapping`, and ours.
    pub(super) fn of_kind(len: u64, prot: Prot, shared: bool, file: bool, grows_down: bool, stack: bool) -> Sums {
        let part = |counts: bool| if counts { len } else { 0 };
        let data = prot.contains(Prot::WRITE) && !shared && !grows_down && !stack;
        Sums { all: len, data: part(data), own: part(data || grows_down && !stack || shared && !file) }
    }

    /// Would it be too much?
    fn exceed(&self, limits: &MemoryLimits) -> bool {
        self.all > limits.all || self.data > limits.data || self.own > limits.own
    }
}

impl AddAssign for Sums {
    fn add_assign(&mut self, other: Sums) {
        self.all += other.all;
        self.data += other.data;
        self.own += other.own;
    }
}

impl SubAssign for Sums {
    fn sub_assign(&mut self, other: Sums) {
        self.all -= other.all;
        self.data -= other.data;
        self.own -= other.own;
    }
}

impl Space {
    /// Is there room for something new in `range`, where what is there goes away?
    ///
    /// # Errors
    /// ENOMEM if not.
    pub(super) fn check_limits(&self, new: Sums, range: &Range<u64>) -> Result<(), Errno> {
        let mut sums = self.vmas.sums();
        for (part, vma) in self.vmas.overlapping(range) {
            sums -= Sums::of(vma, part.end - part.start);
        }
        self.check_sums(sums, new)
    }

    /// The same where nothing goes away.
    pub(super) fn check_growth(&self, more: Sums) -> Result<(), Errno> {
        self.check_sums(self.vmas.sums(), more)
    }

    /// What there is already may be more than a limit that was set later: what it limits must not grow.
    fn check_sums(&self, before: Sums, more: Sums) -> Result<(), Errno> {
        let mut sums = before;
        sums += more;
        let MemoryLimits { all, data, own } = self.limits;
        let limit = |limit: u64, more: u64| if more == 0 { u64::MAX } else { limit };
        let limits =
            MemoryLimits { all: limit(all, more.all), data: limit(data, more.data), own: limit(own, more.own) };
        if sums.exceed(&limits) { Err(Errno(libc::ENOMEM)) } else { Ok(()) }
    }

    /// May the protection of a range be changed, which can make data of what was none?
    pub(super) fn check_protection(&self, range: &Range<u64>, prot: Prot) -> Result<(), Errno> {
        let mut more = Sums::default();
        for (part, vma) in self.vmas.overlapping(range) {
            let len = part.end - part.start;
            let (old, new) = (Sums::of(vma, len), Sums::of(&Vma { prot, ..vma.clone() }, len));
            more += Sums { all: 0, data: new.data.saturating_sub(old.data), own: new.own.saturating_sub(old.own) };
        }
        self.check_growth(more)
    }
}

impl GuestMemory {
    /// The limits of what will be mapped from now on.
    pub fn limits(&self) -> MemoryLimits {
        self.lock().limits
    }

    /// Sets them.
    pub fn set_limits(&self, limits: MemoryLimits) {
        self.lock().limits = limits;
    }
}
