//! What compilers make of accesses that may be misaligned: bytes that are loaded, shifted and put together, taken apart and stored, or
//! copied. Some have a flaw, so that they are no access of several bytes.

use super::asm::{add, lb, lbu, or, sb, sext_w, slli, srli, xor};
use super::random::Random;
use super::state::State;
use emu_ir::Exit;

/// Registers that hold the bytes.
const BYTES: [u32; 8] = [10, 11, 12, 13, 14, 16, 17, 28];

/// A sequence on memory near one of `pointers`.
pub fn sequence(random: &mut Random, pointers: &[u32], xlen: u32) -> Vec<u32> {
    let count = random.pick(&[2, 4, 4, if xlen == 64 { 8 } else { 4 }]);
    let base = random.pick(pointers);
    let start = random.below(32) as i64 - 16;
    let mut offsets: Vec<i64> = (0..count as i64).map(|i| start + i).collect();
    match random.below(8) {
        0 => offsets.swap(0, count - 1),
        1 => offsets[count - 1] += 1,
        2..=4 => offsets.reverse(),
        _ => {}
    }
    let mut places: Vec<usize> = (0..count).collect();
    if random.chance(50) {
        let (a, b) = (random.below(count as u64) as usize, random.below(count as u64) as usize);
        places.swap(a, b);
    }
    let signed_top = random.chance(15);
    let loads = |places: &[usize]| -> Vec<u32> {
        let load = |i: &usize| if signed_top && *i == count - 1 { lb } else { lbu };
        places.iter().map(|i| load(i)(BYTES[*i], offsets[*i], base)).collect()
    };
    let mut words = Vec::new();
    match random.below(4) {
        0 => {
            let (to, skew) = (random.pick(pointers), random.below(4) as i64 * 8);
            words.extend(loads(&places));
            words.extend(places.iter().map(|i| sb(BYTES[*i], offsets[*i] + skew, to)));
        }
        1 => {
            let from = random.pick(&[29, 30, 31]);
            words.extend((1..count).map(|i| srli(BYTES[i], from, 8 * i as u32)));
            words.extend(places.iter().map(|i| sb(if *i == 0 { from } else { BYTES[*i] }, offsets[*i], base)));
        }
        _ => {
            words.extend(loads(&places));
            words.extend((1..count).map(|i| slli(BYTES[i], BYTES[i], 8 * i as u32)));
            // These do the same for bits that are not in the same place.
            let mut join = || random.pick::<fn(u32, u32, u32) -> u32>(&[or, or, xor, add]);
            words.extend(BYTES[1..count].iter().map(|byte| join()(BYTES[0], BYTES[0], *byte)));
            if xlen == 64 && random.chance(50) {
                words.push(sext_w(BYTES[0], BYTES[0]));
            }
        }
    }
    words
}

/// Are both stops the fault of one of several bytes? Compiled code without precise faults, which accesses them together, tells neither the
/// first that faults nor its instruction. `code` is what lies at `base`.
pub fn is_near_fault(expected: &State, found: &State, code: &[u8], base: u64) -> bool {
    let byte = |i| code.get(expected.pc.wrapping_sub(base).wrapping_add(i) as usize).map_or(0, |byte| u32::from(*byte));
    let first = byte(0) | byte(1) << 8;
    let is_of_byte = matches!(first & 0x307f, 0x03 | 0x23) || first & 0xe003 == 0x8000;
    match (expected.exit, found.exit) {
        (Exit::Fault(a), Exit::Fault(b)) => {
            // Perhaps at the other end of the address space.
            let distance = (a.addr as i32).wrapping_sub(b.addr as i32).unsigned_abs();
            is_of_byte && expected.pc.abs_diff(found.pc) <= 128 && distance < 8
        }
        _ => false,
    }
}
