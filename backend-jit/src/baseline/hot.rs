//! The guest's hot registers ([`emu_ir::Guest::hot_slots`]): quick code has them in the host's, all other code in their slots. Here is
//! what carries them over, and the count of runs with them: stubs, at the beginning of each arena, and the entry of regions from quick code.

use super::asm::*;
use super::regs::field;
use crate::context::{JUMP_MASK, PLACE_SCALE, PLACE_SHIFT, offset};
use crate::enter;
use crate::link::QUICK_ENTRY;
use emu_ir::{HOT_SLOTS, Slot};

/// Where quick code has the hot registers. A call of a System V function keeps all but the last.
pub(super) const HOT_REGS: [Reg; HOT_SLOTS] = [RBX, RBP, R12, R13, R14, R8];

/// Where quick code has [`Context::countdown`](crate::context::Context::countdown). Counters of each block's own would be in memory, and
/// fill a large part of the host's first cache. A call of a System V function changes it, and so do multiplication and division: see
/// [`Lower::keep_countdown`](super::Lower::keep_countdown).
pub(super) const COUNTDOWN: Reg = RDX;

/// Bytes before the code of a region: its entries from elsewhere and, at [`QUICK_ENTRY`], from quick code.
pub(crate) const REGION_PREFIX: usize = 64;

/// Stubs that quick code of one arena calls or jumps to.
#[derive(Clone, Debug)]
pub(crate) struct QuickStubs {
    pub(crate) code: Vec<u8>,
    pub(crate) at: StubAddresses,
}

/// Where they are: from the start of [`QuickStubs::code`], or in memory.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct StubAddresses {
    /// Called by code that is entered from elsewhere: slots to registers, the memory base and the count.
    pub(crate) fill: u64,
    /// Called before something looks at the slots: registers to slots.
    pub(crate) spill: u64,
    /// [`enter::quick_exit`], with the registers in their slots.
    pub(crate) exit: u64,
    /// [`enter::quick_leave`], likewise.
    pub(crate) leave: u64,
    /// Jumps to the code for the guest address in rsi, which is not in its first place in the jump cache, whose address is in rcx; or
    /// leaves to the machine, which goes on there.
    pub(crate) lost: u64,
    /// Where a fault in quick code goes on, with the stack pointer at `Context::host_sp`.
    pub(crate) fault: u64,
}

impl StubAddresses {
    /// The same at a place in memory.
    pub(crate) fn moved_to(self, start: u64) -> StubAddresses {
        StubAddresses {
            fill: start + self.fill,
            spill: start + self.spill,
            exit: start + self.exit,
            leave: start + self.leave,
            lost: start + self.lost,
            fault: start + self.fault,
        }
    }
}

impl QuickStubs {
    /// For a guest with these hot registers.
    pub(crate) fn new(hot: [Slot; HOT_SLOTS]) -> QuickStubs {
        let mut asm = Asm::default();
        let fill = u64::from(asm.here());
        asm.mov(true, R15, field(offset::MEM_BASE));
        for (slot, reg) in hot.into_iter().zip(HOT_REGS) {
            asm.mov(true, reg, field(offset::slot(slot.0)));
        }
        asm.mov(false, COUNTDOWN, field(offset::COUNTDOWN));
        asm.ret();
        let spilled = u64::from(asm.here());
        spill(&mut asm, hot);
        asm.ret();
        let lost = u64::from(asm.here());
        try_second_place(&mut asm);
        let mut spill_and_go = |target: u64| {
            let start = asm.here();
            spill(&mut asm, hot);
            asm.mov_imm(RAX, target);
            asm.jump_to(RAX);
            u64::from(start)
        };
        spill_and_go(enter::leave_for_target as *const () as u64);
        let at = StubAddresses {
            fill,
            spill: spilled,
            exit: spill_and_go(enter::quick_exit as *const () as u64),
            leave: spill_and_go(enter::quick_leave as *const () as u64),
            lost,
            fault: spill_and_go(enter::fault_return()),
        };
        QuickStubs { code: asm.code.into_bytes(), at }
    }
}

/// The entry for the guest address in rsi in its first place in the jump cache in rcx. Changes rax.
pub(super) fn first_place(asm: &mut Asm) -> Mem {
    asm.mov(false, RAX, RSI);
    masked_place(asm)
}

/// The same in its second place.
fn second_place(asm: &mut Asm) -> Mem {
    asm.mov(false, RAX, RSI);
    asm.shift_imm(Shift::Shr, false, RAX, PLACE_SHIFT);
    asm.alu(Alu::Xor, false, RAX, RSI);
    masked_place(asm)
}

fn masked_place(asm: &mut Asm) -> Mem {
    asm.alu_imm(Alu::And, false, RAX, JUMP_MASK as i32);
    Mem { scale: PLACE_SCALE, ..Mem::indexed(RCX, RAX, 0) }
}

/// Jumps to the code for rsi if the jump cache in rcx has it in its second place.
fn try_second_place(asm: &mut Asm) {
    let entry = second_place(asm);
    asm.alu(Alu::Cmp, true, RSI, entry);
    let lost = asm.jcc(Cc::NotEqual);
    asm.jump_to(Mem { disp: 8, ..entry });
    asm.land(lost);
}

/// Puts the hot registers into their slots.
fn spill(asm: &mut Asm, hot: [Slot; HOT_SLOTS]) {
    for (slot, reg) in hot.into_iter().zip(HOT_REGS) {
        asm.store(8, field(offset::slot(slot.0)), reg);
    }
    asm.store(4, field(offset::COUNTDOWN), COUNTDOWN);
}

/// What a region begins with. Its own code follows.
pub(crate) fn region_prefix(hot: [Slot; HOT_SLOTS]) -> Vec<u8> {
    let mut asm = Asm::default();
    let from_elsewhere = asm.jmp();
    asm.code.pad(QUICK_ENTRY as usize, NOP);
    spill(&mut asm, hot);
    let from_quick = asm.jmp();
    assert!(asm.code.len() <= REGION_PREFIX, "slots that are far from the context's address");
    asm.code.pad(REGION_PREFIX, NOP);
    asm.land(from_elsewhere);
    asm.land(from_quick);
    asm.code.into_bytes()
}
