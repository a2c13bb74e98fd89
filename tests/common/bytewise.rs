//! What compilers make of accesses that may be misaligned: bytes that are loaded, shifted and put together, taken apart and stored, or
//! copied. Some have a flaw, so that they are no access of several bytes.

use super::random::Random;
use super::state::State;
use emu_ir::Exit;

/// Registers that hold the bytes.
const BYTES: [u32; 8] = [10, 11, 12, 13, 14, 16, 17, 28];

fn load(rd: u32, base: u32, offset: i32, signed: bool) -> u32 {
    (offset as u32) << 20 | base << 15 | u32::from(!signed) << 14 | rd << 7 | 0x03
}

fn store(rs: u32, base: u32, offset: i32) -> u32 {
    let offset = offset as u32 & 0xfff;
    (offset >> 5) << 25 | rs << 20 | base << 15 | (offset & 31) << 7 | 0x23
}

fn shift(rd: u32, rs: u32, amount: u32, left: bool) -> u32 {
    amount << 20 | rs << 15 | if left { 1 << 12 } else { 5 << 12 } | rd << 7 | 0x13
}

/// `or`, `xor` and `add`, which do the same for bits that are not in the same place.
fn join(random: &mut Random, rd: u32, a: u32, b: u32) -> u32 {
    let funct3 = random.pick(&[6, 6, 4, 0]);
    b << 20 | a << 15 | funct3 << 12 | rd << 7 | 0x33
}

/// A sequence on memory near one of `pointers`.
pub fn sequence(random: &mut Random, pointers: &[u32], xlen: u32) -> Vec<u32> {
    let count = random.pick(&[2, 4, 4, if xlen == 64 { 8 } else { 4 }]);
    let base = random.pick(pointers);
    let start = random.below(32) as i32 - 16;
    let mut offsets: Vec<i32> = (0..count as i32).map(|i| start + i).collect();
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
        places.iter().map(|i| load(BYTES[*i], base, offsets[*i], signed_top && *i == count - 1)).collect()
    };
    let mut words = Vec::new();
    match random.below(4) {
        0 => {
            let (to, skew) = (random.pick(pointers), random.below(4) as i32 * 8);
            words.extend(loads(&places));
            words.extend(places.iter().map(|i| store(BYTES[*i], to, offsets[*i] + skew)));
        }
        1 => {
            let from = random.pick(&[29, 30, 31]);
            words.extend((1..count).map(|i| shift(BYTES[i], from, 8 * i as u32, false)));
            words.extend(places.iter().map(|i| store(if *i == 0 { from } else { BYTES[*i] }, base, offsets[*i])));
        }
        _ => {
            words.extend(loads(&places));
            words.extend((1..count).map(|i| shift(BYTES[i], BYTES[i], 8 * i as u32, true)));
            words.extend(BYTES[1..count].iter().map(|byte| join(random, BYTES[0], BYTES[0], *byte)));
            if xlen == 64 && random.chance(50) {
                words.push(BYTES[0] << 15 | BYTES[0] << 7 | 0x1b);
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
