//! Integer ops.

use super::sign_extend;
use crate::op::{BinaryOp, Cond, UnaryOp};
use crate::types::Type;

/// A unary op on type `ty`.
#[inline(always)]
pub fn unary(op: UnaryOp, ty: Type, a: u64) -> u64 {
    let unused = 64 - ty.bits();
    match op {
        UnaryOp::Not => !a & ty.mask(),
        UnaryOp::Neg => a.wrapping_neg() & ty.mask(),
        UnaryOp::Clz => u64::from(a.leading_zeros() - unused),
        UnaryOp::Ctz => u64::from(a.trailing_zeros().min(ty.bits())),
        UnaryOp::Popcnt => u64::from(a.count_ones()),
        UnaryOp::Bswap => a.swap_bytes() >> unused,
        UnaryOp::Bitrev => a.reverse_bits() >> unused,
    }
}

/// A binary op on type `ty`.
#[inline(always)]
pub fn binary(op: BinaryOp, ty: Type, a: u64, b: u64) -> u64 {
    let bits = ty.bits();
    let amount = (b as u32) & (bits - 1);
    let (sa, sb) = (sign_extend(ty, a), sign_extend(ty, b));
    let result = match op {
        BinaryOp::Add => a.wrapping_add(b),
        BinaryOp::Sub => a.wrapping_sub(b),
        BinaryOp::Mul => a.wrapping_mul(b),
        BinaryOp::MulHiS => ((i128::from(sa) * i128::from(sb)) >> bits) as u64,
        BinaryOp::MulHiU => ((u128::from(a) * u128::from(b)) >> bits) as u64,
        BinaryOp::DivS if b == 0 => u64::MAX,
        BinaryOp::DivS => sa.wrapping_div(sb) as u64,
        BinaryOp::DivU => a.checked_div(b).unwrap_or(u64::MAX),
        BinaryOp::RemS if b == 0 => a,
        BinaryOp::RemS => sa.wrapping_rem(sb) as u64,
        BinaryOp::RemU => a.checked_rem(b).unwrap_or(a),
        BinaryOp::And => a & b,
        BinaryOp::Or => a | b,
        BinaryOp::Xor => a ^ b,
        BinaryOp::Shl => a << amount,
        BinaryOp::ShrU => a >> amount,
        BinaryOp::ShrS => (sa >> amount) as u64,
        BinaryOp::Rotl => rotate_left(ty, a, amount),
        BinaryOp::Rotr => rotate_left(ty, a, bits - amount),
        BinaryOp::Clmul => carryless_product(a, b) as u64,
        BinaryOp::ClmulHi => (carryless_product(a, b) >> bits) as u64,
    };
    result & ty.mask()
}

/// An integer comparison on type `ty`.
#[inline(always)]
pub fn compare(cond: Cond, ty: Type, a: u64, b: u64) -> bool {
    let (sa, sb) = (sign_extend(ty, a), sign_extend(ty, b));
    match cond {
        Cond::Eq => a == b,
        Cond::Ne => a != b,
        Cond::LtS => sa < sb,
        Cond::LeS => sa <= sb,
        Cond::GtS => sa > sb,
        Cond::GeS => sa >= sb,
        Cond::LtU => a < b,
        Cond::LeU => a <= b,
        Cond::GtU => a > b,
        Cond::GeU => a >= b,
    }
}

#[inline(always)]
fn rotate_left(ty: Type, a: u64, amount: u32) -> u64 {
    let bits = ty.bits();
    let amount = amount & (bits - 1);
    if amount == 0 { a } else { a << amount | a >> (bits - amount) }
}

fn carryless_product(a: u64, b: u64) -> u128 {
    (0..64).filter(|i| b >> i & 1 == 1).fold(0, |sum, i| sum ^ u128::from(a) << i)
}

#[cfg(test)]
mod tests {
    use super::*;
    use BinaryOp::*;

    #[test]
    fn division_is_total() {
        for (ty, min) in [(Type::I32, 0x8000_0000), (Type::I64, 1 << 63)] {
            assert_eq!(binary(DivS, ty, 7, 0), ty.mask());
            assert_eq!(binary(DivU, ty, 7, 0), ty.mask());
            assert_eq!(binary(RemS, ty, 7, 0), 7);
            assert_eq!(binary(RemU, ty, 7, 0), 7);
            assert_eq!(binary(DivS, ty, min, ty.mask()), min);
            assert_eq!(binary(RemS, ty, min, ty.mask()), 0);
            assert_eq!(binary(DivS, ty, ty.mask() - 6, 2), ty.mask() - 2, "-7 / 2 is -3");
        }
    }

    #[test]
    fn high_products() {
        assert_eq!(binary(MulHiS, Type::I64, u64::MAX, u64::MAX), 0);
        assert_eq!(binary(MulHiU, Type::I64, u64::MAX, u64::MAX), u64::MAX - 1);
        assert_eq!(binary(MulHiS, Type::I32, 0x8000_0000, 2), 0xffff_ffff);
        assert_eq!(binary(MulHiU, Type::I32, 0x8000_0000, 2), 1);
    }

    #[test]
    fn shifts_take_the_amount_modulo_the_width() {
        assert_eq!(binary(Shl, Type::I32, 1, 33), 2);
        assert_eq!(binary(ShrS, Type::I32, 0x8000_0000, 31), 0xffff_ffff);
        assert_eq!(binary(Rotr, Type::I32, 1, 32), 1);
        assert_eq!(binary(Rotr, Type::I32, 1, 1), 0x8000_0000);
        assert_eq!(binary(Rotl, Type::I64, 1 << 63, 1), 1);
    }

    #[test]
    fn counts_know_the_width() {
        assert_eq!(unary(UnaryOp::Clz, Type::I32, 0), 32);
        assert_eq!(unary(UnaryOp::Ctz, Type::I32, 0), 32);
        assert_eq!(unary(UnaryOp::Ctz, Type::I64, 0), 64);
        assert_eq!(unary(UnaryOp::Bswap, Type::I16, 0x1234), 0x3412);
        assert_eq!(unary(UnaryOp::Bitrev, Type::I8, 1), 0x80);
    }

    #[test]
    fn carryless() {
        assert_eq!(binary(Clmul, Type::I64, 0b11, 0b11), 0b101);
        assert_eq!(binary(ClmulHi, Type::I32, 0x8000_0000, 0x8000_0000), 0x4000_0000);
    }
}
