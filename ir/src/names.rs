//! The ops' names in the text form, and lists of all of each kind in the order of their declaration.

use crate::op::*;

macro_rules! names {
    ($($ty:ident { $($variant:ident $name:literal),* $(,)? })*) => { $(
        impl $ty {
            /// All of them, in the order of their declaration.
            pub const ALL: [$ty; [$($name),*].len()] = [$($ty::$variant),*];

            /// The name in the text form.
            pub const fn name(self) -> &'static str {
                match self { $($ty::$variant => $name),* }
            }
        }
    )* };
}

names! {
    UnaryOp { Not "not", Neg "neg", Clz "clz", Ctz "ctz", Popcnt "popcnt", Bswap "bswap", Bitrev "bitrev" }
    BinaryOp {
        Add "add", Sub "sub", Mul "mul", MulHiS "mulhis", MulHiU "mulhiu", DivS "divs", DivU "divu", RemS "rems",
        RemU "remu", And "and", Or "or", Xor "xor", Shl "shl", ShrU "shru", ShrS "shrs", Rotl "rotl", Rotr "rotr",
        Clmul "clmul", ClmulHi "clmulhi",
    }
    Cond {
        Eq "eq", Ne "ne", LtS "lts", LeS "les", GtS "gts", GeS "ges", LtU "ltu", LeU "leu", GtU "gtu", GeU "geu",
    }
    ConvertOp { Zext "zext", Sext "sext", Trunc "trunc", Bitcast "bitcast", Box "box", Unbox "unbox" }
    Round { NearestEven "rne", TowardZero "rtz", Down "rdn", Up "rup", NearestAway "rmm", Dynamic "dyn" }
    NanRule { Canonical "canonical", Propagate "propagate", Legacy "legacy" }
    FloatUnaryOp { Neg "fneg", Abs "fabs", NegNum "fnegnum", AbsNum "fabsnum", Sqrt "fsqrt", RoundInt "froundint" }
    FloatBinaryOp {
        Add "fadd", Sub "fsub", Mul "fmul", Div "fdiv", MinNum "fminnum", MaxNum "fmaxnum", CopySign "fcopysign",
    }
    FloatCond { Eq "eq", Lt "lt", Le "le", Unordered "un" }
    Quietness { Silent "fcmpn", Quiet "fcmp", Signaling "fcmps" }
    FloatConvertOp {
        ToIntS "ftoints", ToIntU "ftointu", FromIntS "ffromints", FromIntU "ffromintu", Format "fformat",
    }
    AtomicOp {
        Swap "swap", Add "add", And "and", Or "or", Xor "xor", MinS "mins", MaxS "maxs", MinU "minu", MaxU "maxu",
    }
    FenceKind { Light "light", Full "full" }
    ExitKind { InsnFence "insn_fence", ModeChange "mode_change", Yield "yield" }
}

impl Cond {
    /// The condition that holds on `(b, a)` where this holds on `(a, b)`.
    pub const fn swapped(self) -> Cond {
        match self {
            Cond::Eq | Cond::Ne => self,
            Cond::LtS => Cond::GtS,
            Cond::LeS => Cond::GeS,
            Cond::GtS => Cond::LtS,
            Cond::GeS => Cond::LeS,
            Cond::LtU => Cond::GtU,
            Cond::LeU => Cond::GeU,
            Cond::GtU => Cond::LtU,
            Cond::GeU => Cond::LeU,
        }
    }

    /// The condition that holds exactly where this does not.
    pub const fn inverted(self) -> Cond {
        match self {
            Cond::Eq => Cond::Ne,
            Cond::Ne => Cond::Eq,
            Cond::LtS => Cond::GeS,
            Cond::LeS => Cond::GtS,
            Cond::GtS => Cond::LeS,
            Cond::GeS => Cond::LtS,
            Cond::LtU => Cond::GeU,
            Cond::LeU => Cond::GtU,
            Cond::GtU => Cond::LeU,
            Cond::GeU => Cond::LtU,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_in_all_are_discriminants() {
        assert!(BinaryOp::ALL.iter().enumerate().all(|(i, op)| *op as usize == i));
        assert!(UnaryOp::ALL.iter().enumerate().all(|(i, op)| *op as usize == i));
        assert!(Cond::ALL.iter().enumerate().all(|(i, op)| *op as usize == i));
    }
}
