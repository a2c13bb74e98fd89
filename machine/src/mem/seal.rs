//! mseal(2): mappings that stay as they are. And remap_file_pages(2), which shows another part of a file in place.
#![forbid(unsafe_code)]

use super::map::aligned;
use super::vma::page_up;
use super::{Errno, GuestMemory, PAGE_SIZE, Prot, Space, Vma};
use std::ops::Range;

impl Space {
    /// EPERM if a part of the range is sealed.
    pub(super) fn check_seals(&self, range: &Range<u64>) -> Result<(), Errno> {
        if self.vmas.overlapping(range).any(|(_, vma)| vma.sealed) { Err(Errno(libc::EPERM)) } else { Ok(()) }
    }

    /// The same for advice that discards what a program that may not write there could not write.
    pub(super) fn check_discard(&self, range: &Range<u64>) -> Result<(), Errno> {
        let kept = |vma: &Vma| vma.sealed && !vma.shared && vma.file.is_none() && !vma.prot.contains(Prot::WRITE);
        if self.vmas.overlapping(range).any(|(_, vma)| kept(vma)) { Err(Errno(libc::EPERM)) } else { Ok(()) }
    }
}

impl GuestMemory {
    /// mseal(2).
    ///
    /// # Errors
    /// As mseal(2): EINVAL, ENOMEM where there is a hole.
    pub fn seal(&self, addr: u64, len: u64) -> Result<(), Errno> {
        aligned(addr)?;
        let end = page_up(len).and_then(|len| addr.checked_add(len)).ok_or(Errno::EINVAL)?;
        if end == addr {
            return Ok(());
        }
        let mut space = self.lock();
        let range = space.range(addr, len, Errno::ENOMEM)?;
        if space.vmas.first_hole(&range).is_some() {
            return Err(Errno::ENOMEM);
        }
        debug_assert_eq!(range.end, end);
        for vma in space.vmas.remove(&range) {
            space.vmas.insert(Vma { sealed: true, ..vma });
        }
        Ok(())
    }

    /// remap_file_pages(2): a range of one shared mapping shows the file from page `page` on.
    ///
    /// # Errors
    /// As remap_file_pages(2): EINVAL for everything else.
    pub fn remap_file_pages(&self, addr: u64, size: u64, page: u64, flags: i32) -> Result<(), Errno> {
        let start = addr & !(PAGE_SIZE - 1);
        let len = size & !(PAGE_SIZE - 1);
        let mut space = self.lock();
        let range = start..start.checked_add(len).filter(|end| *end > start).ok_or(Errno::EINVAL)?;
        let fits = |vma: &&Vma| vma.shared && vma.range.start <= range.start && range.end <= vma.range.end;
        let vma = space.vmas.at(start).filter(fits).cloned().ok_or(Errno::EINVAL)?;
        space.check_seals(&range)?;
        let offset = page.checked_mul(PAGE_SIZE).ok_or(Errno::EINVAL)?;
        let stale = self.code_in(&space, &range);
        let changed = self.host.remap_file_pages(&range, page, flags);
        if changed.is_ok() {
            space.vmas.remove(&range);
            self.pages.fill(&range, vma.prot.effective().bits());
            let offset = if vma.file.is_some() { offset } else { 0 };
            space.vmas.insert(Vma { range, offset, ..vma });
        }
        self.finish(space, stale);
        changed
    }
}
