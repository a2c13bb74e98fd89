//! mremap(2) and brk(2): mappings that change their size or their place.
#![forbid(unsafe_code)]

use super::limits::Sums;
use super::map::{MMAP_MIN, aligned};
use super::vma::page_up;
use super::{Errno, GuestMemory, MapRequest, PAGE_SIZE, Prot, Space, Vma, host};
use std::ops::Range;

/// What Linux keeps free below a stack that grows.
const STACK_GAP: u64 = 256 * PAGE_SIZE;

/// The flags of mremap(2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct MremapFlags {
    /// MREMAP_MAYMOVE.
    pub may_move: bool,
    /// MREMAP_FIXED with the new address.
    pub fixed: Option<u64>,
    /// MREMAP_DONTUNMAP.
    pub dont_unmap: bool,
}

impl GuestMemory {
    /// mremap(2); returns the new address.
    ///
    /// # Errors
    /// As mremap(2): EINVAL, EFAULT where the old range is not one mapping, ENOMEM.
    pub fn mremap(&self, old: u64, old_len: u64, new_len: u64, flags: MremapFlags) -> Result<u64, Errno> {
        let mut stale = Vec::new();
        let mut space = self.lock();
        let result = self.remap(&mut space, &mut stale, (old, old_len, new_len), flags);
        self.finish(space, stale.into_iter().flatten());
        result
    }

    fn remap(
        &self,
        space: &mut Space,
        stale: &mut Vec<Option<Range<u64>>>,
        (old, old_len, new_len): (u64, u64, u64),
        flags: MremapFlags,
    ) -> Result<u64, Errno> {
        aligned(old)?;
        let (old_len, new_len) = (page_up(old_len).ok_or(Errno::EINVAL)?, page_up(new_len).ok_or(Errno::EINVAL)?);
        let moves = flags.fixed.is_some() || flags.dont_unmap;
        if new_len == 0 || (moves && !flags.may_move) || (flags.dont_unmap && old_len != new_len) {
            return Err(Errno::EINVAL);
        }
        space.check_seals(&(old..old.saturating_add(old_len.max(1))))?;
        if let Some(to) = flags.fixed {
            space.check_seals(&(to..to.saturating_add(new_len)))?;
            self.check_remap_target(space, &(old..old.saturating_add(old_len)), to, new_len)?;
            stale.push(self.unmap(space, &(to..to + new_len))?);
        }
        let vma = space.vmas.at(old).cloned().ok_or(Errno::EFAULT)?;
        if old_len == 0 && (!vma.shared || !flags.may_move) {
            return Err(Errno::EINVAL);
        }
        if new_len < old_len {
            let tail = space.range(old + new_len, old_len - new_len, Errno::EINVAL)?;
            stale.push(self.unmap(space, &tail)?);
        }
        let kept = old..old + old_len.min(new_len);
        if new_len <= old_len && !moves {
            return Ok(old);
        }
        if kept.end > vma.range.end {
            return Err(Errno::EFAULT);
        }
        let grown = old..old.checked_add(new_len).ok_or(Errno::EINVAL)?;
        let room = grown.end <= space.layout.task_size && space.vmas.is_free(&(kept.end..grown.end));
        if !moves && old_len != 0 && kept.end == vma.range.end && room {
            return self.grow(space, stale, &kept, grown.end);
        }
        if !flags.may_move {
            return Err(Errno::ENOMEM);
        }
        let to = flags.fixed.map_or_else(|| space.find(new_len), Ok)?;
        self.relocate(space, stale, &kept, to..to + new_len, flags.dont_unmap)
    }

    fn check_remap_target(&self, space: &Space, old: &Range<u64>, to: u64, len: u64) -> Result<(), Errno> {
        aligned(to)?;
        let end = to.checked_add(len).filter(|end| *end <= space.layout.task_size).ok_or(Errno::EINVAL)?;
        let overlaps = to < old.end && old.start < end;
        if overlaps {
            return Err(Errno::EINVAL);
        }
        if to < MMAP_MIN { Err(Errno::EPERM) } else { Ok(()) }
    }

    /// Makes the mapping that ends at `old.end` reach to `end`.
    fn grow(
        &self,
        space: &mut Space,
        stale: &mut Vec<Option<Range<u64>>>,
        old: &Range<u64>,
        end: u64,
    ) -> Result<u64, Errno> {
        let more = space.vmas.at(old.start).map_or(Sums::default(), |vma| Sums::of(vma, end - old.end));
        space.check_growth(more)?;
        stale.push(self.uniform(space, old));
        self.host.grow(old, end)?;
        for vma in space.vmas.remove(old) {
            self.pages.fill(&(old.end..end), vma.prot.effective().bits());
            space.vmas.insert(Vma { range: old.start..end, ..vma });
        }
        Ok(old.start)
    }

    /// Moves the part `old` of one mapping; with `keep` its old place stays mapped, empty.
    fn relocate(
        &self,
        space: &mut Space,
        stale: &mut Vec<Option<Range<u64>>>,
        old: &Range<u64>,
        new: Range<u64>,
        keep: bool,
    ) -> Result<u64, Errno> {
        let vma = space.vmas.at(old.start).cloned().ok_or(Errno::EFAULT)?;
        let offset = if vma.file.is_some() { vma.offset + (old.start - vma.range.start) } else { 0 };
        let gone = if keep { 0 } else { old.end - old.start };
        space.check_growth(Sums::of(&vma, (new.end - new.start).saturating_sub(gone)))?;
        stale.push(self.uniform(space, old));
        self.host.relocate(old, &new, keep)?;
        if !keep {
            self.forget(space, old);
        }
        self.pages.fill(&new, vma.prot.effective().bits());
        let at = new.start;
        space.vmas.insert(Vma { range: new, offset, ..vma });
        Ok(at)
    }

    /// Takes the protection of code pages away, so that the host has one mapping where the guest has one.
    fn uniform(&self, space: &Space, range: &Range<u64>) -> Option<Range<u64>> {
        let stale = self.code_in(space, range)?;
        let prot = space.vmas.at(stale.start).map_or(Prot::NONE, |v| v.prot);
        self.reprotect(&stale, prot);
        Some(stale)
    }

    /// Lets a mapping with MAP_GROWSDOWN reach down to `addr`, as Linux does at a fault below it: within RLIMIT_STACK, and
    /// at a distance from what lies below. False if there is none, or it may not.
    pub(super) fn grow_down(&self, space: &mut Space, addr: u64) -> bool {
        let above = space.vmas.overlapping(&(addr..space.layout.task_size)).next().map(|(_, vma)| vma.clone());
        let Some(vma) = above.filter(|v| v.grows_down && !v.shared && v.file.is_none()) else { return false };
        let start = addr & !(PAGE_SIZE - 1);
        let gap = start.saturating_sub(STACK_GAP)..start;
        let near = space.vmas.overlapping(&gap).any(|(_, v)| v.prot != Prot::NONE && !v.grows_down);
        if near || start < MMAP_MIN || vma.range.end - start > host::stack_limit() {
            return false;
        }
        let Vma { prot, name, noreserve, locked, .. } = vma;
        let request = MapRequest { prot, name, noreserve, locked, grows_down: true, ..MapRequest::default() };
        self.map_at(space, &request, start..vma.range.start).is_ok()
    }

    /// Sets where the heap begins: the end of the program, rounded up to a page.
    pub fn set_brk_start(&self, addr: u64) {
        let mut space = self.lock();
        let addr = addr.next_multiple_of(PAGE_SIZE);
        (space.brk_start, space.brk) = (addr, addr);
    }

    /// brk(2), as the system call: the new end of the heap, or the old one if it cannot be moved.
    pub fn brk(&self, new: u64) -> u64 {
        let mut space = self.lock();
        let (old, limit) = (space.brk, space.layout.task_size);
        if new < space.brk_start || new > limit {
            return old;
        }
        let pages = |end: u64| end.next_multiple_of(PAGE_SIZE);
        let (old_end, new_end) = (pages(old), pages(new));
        if space.check_seals(&(new_end.min(old_end)..old_end)).is_err() {
            return old;
        }
        let changed = if new_end > old_end {
            self.grow_heap(&mut space, old_end..new_end)
        } else {
            self.unmap(&mut space, &(new_end..old_end))
        };
        if changed.is_ok() {
            space.brk = new;
        }
        let now = space.brk;
        self.finish(space, changed.ok().flatten());
        now
    }

    fn grow_heap(&self, space: &mut Space, range: Range<u64>) -> Result<Option<Range<u64>>, Errno> {
        let clear = range.start..range.end.saturating_add(STACK_GAP);
        if !space.vmas.is_free(&clear) {
            return Err(Errno::ENOMEM);
        }
        let request = MapRequest { prot: Prot::RW, name: Some("[heap]"), ..MapRequest::default() };
        self.map_at(space, &request, range).map_err(|(_, errno)| errno)
    }
}
