//! Special cases of `eval::float`, one line each, worked out by hand from the RISC-V unprivileged manual (chapters
//! F and D), from IEEE 754 and from the MIPS architecture's NaN rules.
//!
//! A line: the op as RISC-V writes it, its rounding mode where that matters, operands `=>` result and flags, in hex.
//! `.mips` and `.legacy` after the op choose the NaN rule; the default is RISC-V's.

use emu_ir::eval::float::{self, FpEnv};
use emu_ir::op::{FloatBinaryOp, FloatCond, FloatConvertOp, FloatUnaryOp, FpFlags, NanRule, Quietness, Round};
use emu_ir::types::Type;

const MIN_MAX: &str = "
    fmin.s 7fc00000 3f800000 => 3f800000
    fmin.s 3f800000 7fc00000 => 3f800000
    fmax.s 7fc00001 bf800000 => bf800000
    fmin.s 7f800001 3f800000 => 3f800000 NV
    fmax.s 3f800000 ff800001 => 3f800000 NV
    fmin.s ffc00001 7fc12345 => 7fc00000
    fmax.s 7f800001 7fc00000 => 7fc00000 NV
    fmin.s 80000000 00000000 => 80000000
    fmin.s 00000000 80000000 => 80000000
    fmax.s 80000000 00000000 => 00000000
    fmax.s 00000000 80000000 => 00000000
    fmin.s 00000001 80000001 => 80000001
    fmax.s ff800000 ff7fffff => ff7fffff
    fmin.s bf800000 c0000000 => c0000000
    fmax.d 7ff0000000000001 c000000000000000 => c000000000000000 NV
    fmin.d 8000000000000000 0 => 8000000000000000
    fmax.d 8000000000000000 0 => 0
    fmin.d fff8000000000000 7ff8000000000001 => 7ff8000000000000
    fmin.d 7ff0000000000000 7fefffffffffffff => 7fefffffffffffff
    fmin.s.mips 7fc00001 3f800000 => 3f800000
    fmin.s.mips 3f800000 7f800001 => 7fc00001 NV
    fmax.s.mips 7fc00002 ff800001 => ffc00001 NV
    fmax.s.mips ffc00002 7fc00001 => ffc00002
    fmin.s.legacy 3f800000 7fc00001 => 7fbfffff NV
    fmin.s.legacy 3f800000 7f800001 => 3f800000
";

const TO_INTEGERS: &str = "
    fcvt.w.s rtz 7fc00000 => 7fffffff NV
    fcvt.w.s.mips rtz 7fc00000 => 0 NV
    fcvt.w.s.mips rtz cf800000 => 80000000 NV
    fcvt.l.d.mips rne 43e0000000000000 => 7fffffffffffffff NV
    fcvt.w.s.legacy rtz 7f800001 => 7fffffff NV
    fcvt.w.s.legacy rtz cf800000 => 7fffffff NV
    fcvt.w.s.legacy rtz cf000000 => 80000000
    fcvt.l.d.legacy rne c3f0000000000000 => 7fffffffffffffff NV
    fcvt.w.s rtz ffc00000 => 7fffffff NV
    fcvt.w.s rtz 7f800001 => 7fffffff NV
    fcvt.w.s rtz 7f800000 => 7fffffff NV
    fcvt.w.s rtz ff800000 => 80000000 NV
    fcvt.w.s rtz 4f000000 => 7fffffff NV
    fcvt.w.s rtz cf000000 => 80000000
    fcvt.w.s rtz cf000001 => 80000000 NV
    fcvt.w.s rtz 4effffff => 7fffff80
    fcvt.wu.s rtz 7fc00000 => ffffffff NV
    fcvt.wu.s rtz ff800000 => 0 NV
    fcvt.wu.s rtz 4f800000 => ffffffff NV
    fcvt.wu.s rtz 4f7fffff => ffffff00
    fcvt.wu.s rtz bf000000 => 0 NX
    fcvt.wu.s rtz bf7fffff => 0 NX
    fcvt.wu.s rtz bf800000 => 0 NV
    fcvt.wu.s rne bf000000 => 0 NX
    fcvt.wu.s rne bf000001 => 0 NV
    fcvt.wu.s rmm bf000000 => 0 NV
    fcvt.wu.s rmm beffffff => 0 NX
    fcvt.wu.s rdn 80000001 => 0 NV
    fcvt.wu.s rup bf7fffff => 0 NX
    fcvt.wu.s rup 80000000 => 0
    fcvt.w.d rtz 41dfffffffffffff => 7fffffff NX
    fcvt.w.d rne 41dfffffffffffff => 7fffffff NV
    fcvt.w.d rne 41dfffffffdfffff => 7fffffff NX
    fcvt.w.d rne 41dfffffffe00000 => 7fffffff NV
    fcvt.w.d rdn 41dfffffffe00000 => 7fffffff NX
    fcvt.w.d rne c1e0000000100000 => 80000000 NX
    fcvt.w.d rmm c1e0000000100000 => 80000000 NV
    fcvt.w.d rtz c1e00000001fffff => 80000000 NX
    fcvt.w.d rdn c1e0000000000001 => 80000000 NV
    fcvt.wu.d rne 41efffffffe00000 => ffffffff
    fcvt.wu.d rne 41efffffffe80000 => ffffffff NX
    fcvt.wu.d rne 41effffffff00000 => ffffffff NV
    fcvt.wu.d rtz 41effffffff00000 => ffffffff NX
    fcvt.wu.d rtz 41f0000000000000 => ffffffff NV
    fcvt.l.s rtz 5f000000 => 7fffffffffffffff NV
    fcvt.l.s rtz df000000 => 8000000000000000
    fcvt.l.s rtz 5effffff => 7fffff8000000000
    fcvt.l.d rtz 43e0000000000000 => 7fffffffffffffff NV
    fcvt.l.d rtz 43dfffffffffffff => 7ffffffffffffc00
    fcvt.l.d rtz c3e0000000000000 => 8000000000000000
    fcvt.l.d rtz c3e0000000000001 => 8000000000000000 NV
    fcvt.l.d rtz fff0000000000000 => 8000000000000000 NV
    fcvt.l.d rtz 7ff8000000000000 => 7fffffffffffffff NV
    fcvt.lu.d rtz 43f0000000000000 => ffffffffffffffff NV
    fcvt.lu.d rtz 43efffffffffffff => fffffffffffff800
    fcvt.lu.d rtz fff8000000000000 => ffffffffffffffff NV
    fcvt.lu.d rtz bfe0000000000000 => 0 NX
    fcvt.lu.d rtz bff0000000000000 => 0 NV
    fcvt.lu.d rtz 7fefffffffffffff => ffffffffffffffff NV
    fcvt.l.d rne 3fe0000000000000 => 0 NX
    fcvt.l.d rmm 3fe0000000000000 => 1 NX
    fcvt.l.d rne 3ff8000000000000 => 2 NX
    fcvt.l.d rne 4004000000000000 => 2 NX
    fcvt.l.d rmm 4004000000000000 => 3 NX
    fcvt.l.d rmm c004000000000000 => fffffffffffffffd NX
    fcvt.l.d rup 1 => 1 NX
    fcvt.l.d rdn 8000000000000001 => ffffffffffffffff NX
    fcvt.l.d rmm 3fdfffffffffffff => 0 NX
";

const FROM_INTEGERS: &str = "
    fcvt.s.w rne 0 => 0
    fcvt.s.w rdn 0 => 0
    fcvt.s.w rne 80000000 => cf000000
    fcvt.s.w rne 7fffffff => 4f000000 NX
    fcvt.s.w rtz 7fffffff => 4effffff NX
    fcvt.s.wu rne ffffffff => 4f800000 NX
    fcvt.s.wu rdn ffffffff => 4f7fffff NX
    fcvt.s.w rne 01000001 => 4b800000 NX
    fcvt.s.w rmm 01000001 => 4b800001 NX
    fcvt.s.w rne 01000003 => 4b800002 NX
    fcvt.s.w rmm feffffff => cb800001 NX
    fcvt.d.l rne 7fffffffffffffff => 43e0000000000000 NX
    fcvt.d.l rtz 7fffffffffffffff => 43dfffffffffffff NX
    fcvt.d.l rne 8000000000000000 => c3e0000000000000
    fcvt.d.lu rne ffffffffffffffff => 43f0000000000000 NX
    fcvt.d.lu rne 8000000000000000 => 43e0000000000000
    fcvt.d.lu rne 20000000000001 => 4340000000000000 NX
    fcvt.d.lu rmm 20000000000001 => 4340000000000001 NX
    fcvt.d.wu rdn ffffffff => 41efffffffe00000
    fcvt.s.lu rup ffffffffffffffff => 5f800000 NX
    fcvt.s.l rne 8000004000000001 => deffffff NX
";

const FORMATS: &str = "
    fcvt.d.s rne 7f800001 => 7ff8000000000000 NV
    fcvt.d.s rne ffc12345 => 7ff8000000000000
    fcvt.d.s rne 00000001 => 36a0000000000000
    fcvt.d.s rne ff800000 => fff0000000000000
    fcvt.d.s rne 80000000 => 8000000000000000
    fcvt.s.d rne 7ff0000000000001 => 7fc00000 NV
    fcvt.s.d rne 7fefffffffffffff => 7f800000 OF NX
    fcvt.s.d rtz 7fefffffffffffff => 7f7fffff OF NX
    fcvt.s.d rdn 7fefffffffffffff => 7f7fffff OF NX
    fcvt.s.d rdn ffefffffffffffff => ff800000 OF NX
    fcvt.s.d rup ffefffffffffffff => ff7fffff OF NX
    fcvt.s.d rne 47efffffefffffff => 7f7fffff NX
    fcvt.s.d rne 47effffff0000000 => 7f800000 OF NX
    fcvt.s.d rtz 47effffff0000000 => 7f7fffff NX
    fcvt.s.d rup 47efffffe0000001 => 7f800000 OF NX
    fcvt.s.d rne 1 => 0 UF NX
    fcvt.s.d rup 1 => 1 UF NX
    fcvt.s.d rdn 8000000000000001 => 80000001 UF NX
    fcvt.s.d rne 3690000000000000 => 0 UF NX
    fcvt.s.d rmm 3690000000000000 => 1 UF NX
    fcvt.s.d rne 36a0000000000000 => 1
    fcvt.d.s.mips rne 7f812345 => 7ff82468a0000000 NV
    fcvt.d.s.mips rne ffc12345 => fff82468a0000000
    fcvt.s.d.mips rne fff0000000000001 => ffc00000 NV
    fcvt.s.d.mips rne 7ff82468bfffffff => 7fc12345
    fcvt.d.s.legacy rne 7fbfffff => 7ff7ffffe0000000
    fcvt.d.s.legacy rne ffc12345 => 7ff7ffffffffffff NV
    fcvt.s.d.legacy rne 7ff7ffffffffffff => 7fbfffff
    fcvt.s.d.legacy rne fff0000000000001 => 7fbfffff
";

/// 3810000000000000 is 2^-126. What lies within half of a 24-bit number's last place below it (2^-151) is not tiny when
/// it rounds up to it; what lies lower may round to it on the subnormals' coarser grid, but is tiny.
const TININESS: &str = "
    fcvt.s.d rne 380fffffefffffff => 800000 UF NX
    fcvt.s.d rne 380ffffff0000000 => 800000 NX
    fcvt.s.d rmm 380ffffff0000000 => 800000 NX
    fcvt.s.d rmm 380fffffefffffff => 800000 UF NX
    fcvt.s.d rtz 380fffffffffffff => 7fffff UF NX
    fcvt.s.d rup 380fffffe0000001 => 800000 NX
    fcvt.s.d rup 380fffffe0000000 => 800000 UF NX
    fcvt.s.d rup 380fffffdfffffff => 800000 UF NX
    fcvt.s.d rdn b80fffffe0000001 => 80800000 NX
    fcvt.s.d rne 380fffffbfffffff => 7fffff UF NX
    fcvt.s.d rne 380fffffdfffffff => 7fffff UF NX
    fcvt.s.d rne 380fffffe0000000 => 800000 UF NX
    fcvt.s.d rne 380fffffc0000000 => 7fffff
    fcvt.s.d rne 3810000000000000 => 800000
    fcvt.s.d rne 3810000000000001 => 800000 NX
    fmul.s rne 3f7fffff 00800000 => 800000 UF NX
    fmul.s rup 3f7fffff 00800001 => 800001 NX
    fmul.s rne 3f7ffffe 00800001 => 800000 NX
    fmul.s rne 00800000 3f000000 => 400000
    fmul.d rne 3fefffffffffffff 0010000000000000 => 10000000000000 UF NX
    fmul.d rne 3feffffffffffffe 0010000000000001 => 10000000000000 NX
    fdiv.s rne 00800001 3f800001 => 800000
    fdiv.s rne 00800000 3f800001 => 7fffff UF NX
    fdiv.d rne 1 4000000000000000 => 0 UF NX
    fdiv.d rmm 1 4000000000000000 => 1 UF NX
    fadd.d rne 1 1 => 2
    fsub.d rne 10000000000000 1 => fffffffffffff
";

const ARITHMETIC: &str = "
    fadd.s rne 7f800000 ff800000 => 7fc00000 NV
    fsub.s rne 7f800000 7f800000 => 7fc00000 NV
    fadd.s rne 3f800000 bf800000 => 0
    fadd.s rdn 3f800000 bf800000 => 80000000
    fadd.s rmm 3f800000 bf800000 => 0
    fadd.s rdn 80000000 0 => 80000000
    fadd.s rup 80000000 0 => 0
    fadd.s rdn 0 0 => 0
    fadd.s rup 80000000 80000000 => 80000000
    fsub.s rdn 0 0 => 80000000
    fsub.s rne 80000000 0 => 80000000
    fadd.s rne 3f800000 33800000 => 3f800000 NX
    fadd.s rmm 3f800000 33800000 => 3f800001 NX
    fadd.s rmm bf800000 b3800000 => bf800001 NX
    fadd.s rmm 3f800001 337fffff => 3f800001 NX
    fadd.s rne 3f800001 33800000 => 3f800002 NX
    fadd.d rmm 3ff0000000000000 3ca0000000000000 => 3ff0000000000001 NX
    fadd.d rne 3ff0000000000000 3ca0000000000000 => 3ff0000000000000 NX
    fadd.d rup 3ff0000000000000 1 => 3ff0000000000001 NX
    fadd.d rdn 3ff0000000000000 8000000000000001 => 3fefffffffffffff NX
    fadd.d rne 7fefffffffffffff 7c90000000000000 => 7ff0000000000000 OF NX
    fadd.d rmm 7fefffffffffffff 7c90000000000000 => 7ff0000000000000 OF NX
    fadd.d rtz 7fefffffffffffff 7c90000000000000 => 7fefffffffffffff NX
    fadd.d rtz 7fefffffffffffff 7fefffffffffffff => 7fefffffffffffff OF NX
    fadd.s rne 7f800001 3f800000 => 7fc00000 NV
    fadd.s rne 3f800000 ffc00001 => 7fc00000
    fmul.s rne 0 7f800000 => 7fc00000 NV
    fmul.s rne 80000000 3f800000 => 80000000
    fmul.s rne bf800000 ff800000 => 7f800000
    fdiv.s rne 3f800000 0 => 7f800000 DZ
    fdiv.s rne bf800000 0 => ff800000 DZ
    fdiv.s rne 3f800000 80000000 => ff800000 DZ
    fdiv.s rne 0 0 => 7fc00000 NV
    fdiv.s rne 7f800000 ff800000 => 7fc00000 NV
    fdiv.s rne 7f800000 80000000 => ff800000
    fdiv.s rne 3f800000 ff800000 => 80000000
    fdiv.s rne 7fc00000 0 => 7fc00000
    fdiv.s rne 3f800000 40400000 => 3eaaaaab NX
    fdiv.s rtz 3f800000 40400000 => 3eaaaaaa NX
    fsqrt.s rne 80000000 => 80000000
    fsqrt.s rne bf800000 => 7fc00000 NV
    fsqrt.s rne 80000001 => 7fc00000 NV
    fsqrt.s rne ff800000 => 7fc00000 NV
    fsqrt.s rne 7f800000 => 7f800000
    fsqrt.s rne 40800000 => 40000000
    fsqrt.s rne 40000000 => 3fb504f3 NX
    fsqrt.s rup 40000000 => 3fb504f4 NX
    fsqrt.s rne 7f800001 => 7fc00000 NV
    fsqrt.d rne 1 => 1e60000000000000
    fsqrt.d rne 4000000000000000 => 3ff6a09e667f3bcd NX
    fround.s rne 3f000000 => 0 NX
    fround.s rmm 3f000000 => 3f800000 NX
    fround.s rne bf000000 => 80000000 NX
    fround.s rup bf7fffff => 80000000 NX
    fround.s rdn 80000001 => bf800000 NX
    fround.s rne 3fc00000 => 40000000 NX
    fround.s rne 4b000001 => 4b000001
    fround.s rne 7f800000 => 7f800000
    fround.s rne 7f800001 => 7fc00000 NV
    fround.d rmm 3fdfffffffffffff => 0 NX
";

/// Operands a, b and c of `a * b + c`.
const FMA: &str = "
    fmadd.s rne 0 7f800000 7fc00000 => 7fc00000 NV
    fmadd.s rne 7f800000 80000000 ffc00001 => 7fc00000 NV
    fmadd.d rne 7ff0000000000000 0 7ff8000000000000 => 7ff8000000000000 NV
    fmadd.s rne 7f800000 0 3f800000 => 7fc00000 NV
    fmadd.s rne 7f800000 7fc00000 0 => 7fc00000
    fmadd.s rne 0 7fc00000 7f800000 => 7fc00000
    fmadd.s rne 3f800000 3f800000 7f800001 => 7fc00000 NV
    fmadd.s rne 7f800000 3f800000 ff800000 => 7fc00000 NV
    fmadd.s rne 7f7fffff 7f7fffff ff800000 => ff800000
    fmadd.s rne 3f800000 3f800000 bf800000 => 0
    fmadd.s rdn 3f800000 3f800000 bf800000 => 80000000
    fmadd.s rne 0 bf800000 80000000 => 80000000
    fmadd.s rne 0 bf800000 0 => 0
    fmadd.s rdn 0 bf800000 0 => 80000000
    fmadd.s rne 3f800001 3f800001 bf800002 => 28800000
    fmadd.s rne 00000001 00000001 0 => 0 UF NX
    fmadd.s rup 00000001 00000001 0 => 1 UF NX
    fmadd.s rdn 00000001 80000001 3f800000 => 3f7fffff NX
    fmadd.s rne 00000001 00000001 00800000 => 800000 NX
    fmadd.s rne 00000001 80000001 00800000 => 800000 NX
    fmadd.s rtz 00000001 80000001 00800000 => 7fffff UF NX
    fmadd.s rne 7f7fffff 40000000 ff7fffff => 7f7fffff
    fmadd.s.mips rne 7fc00001 7fc00002 7fc00003 => 7fc00003
    fmadd.s.mips rne 7f800001 7fc00002 7fc00003 => 7fc00001 NV
    fmadd.s.mips rne 7fc00001 ff800002 7fc00003 => ffc00002 NV
    fmadd.s.mips rne 7fc00001 7fc00002 3f800000 => 7fc00001
    fmadd.s.mips rne 0 7f800000 7fc00003 => 7fc00003 NV
    fmadd.s.legacy rne 0 7f800000 7f800003 => 7fbfffff NV
";

const NAN_RULES: &str = "
    fadd.s.mips rne 7fc00001 ffc00002 => 7fc00001
    fadd.s.mips rne 3f800000 ffc00002 => ffc00002
    fadd.s.mips rne 7fc00001 ff800002 => ffc00002 NV
    fadd.s.mips rne 7f800001 ff800002 => 7fc00001 NV
    fsub.s.mips rne 3f800000 7fc00002 => 7fc00002
    fsub.s.mips rne 7f800000 7f800000 => 7fc00000 NV
    fsqrt.d.mips rne fff0000000000001 => fff8000000000001 NV
    fround.d.mips rne fff8000000000001 => fff8000000000001
    fadd.s.legacy rne 7fc00000 3f800000 => 7fbfffff NV
    fadd.s.legacy rne 7f800001 ff800002 => 7f800001
    fadd.s.legacy rne 7f800001 7fc00002 => 7fbfffff NV
    fmul.s.legacy rne 0 7f800000 => 7fbfffff NV
    fdiv.d.legacy rne 0 0 => 7ff7ffffffffffff NV
    fsqrt.d.legacy rne bff0000000000000 => 7ff7ffffffffffff NV
    feq.s.legacy 7f800001 0 => 0
    feq.s.legacy 7fc00000 0 => 0 NV
    feq.s.mips 7fc00000 0 => 0
    feq.s.mips 7f800001 0 => 0 NV
    fclass.s.legacy 7fc00000 => 100
    fclass.s.legacy 7f800001 => 200
    fneg.s 7f800001 => ff800001
    fabs.s ffc00001 => 7fc00001
    fabs.d fff0000000000001 => 7ff0000000000001
    fnegnum.s 3f800000 => bf800000
    fnegnum.s.legacy 00000000 => 80000000
    fabsnum.d.mips fff0000000000000 => 7ff0000000000000
    fnegnum.s.legacy 7f800001 => 7f800001 NV
    fabsnum.s.legacy ff800001 => ff800001 NV
    fnegnum.s.legacy ffc00001 => 7fbfffff NV
    fnegnum.s.mips 7fc12345 => 7fc12345 NV
    fabsnum.d.mips fff0000000000001 => fff8000000000001 NV
    fsgnj.s 7f800001 bf800000 => ff800001
    fsgnj.d bff0000000000000 7ff8000000000000 => 3ff0000000000000
";

const COMPARISONS: &str = "
    feq.s 80000000 0 => 1
    flt.s 80000000 0 => 0
    fle.s 0 80000000 => 1
    feq.s 7fc00000 7fc00000 => 0
    feq.s 7f800001 0 => 0 NV
    flt.s 7fc00000 0 => 0 NV
    fle.s 0 ffc00000 => 0 NV
    fltq.s 7fc00000 0 => 0
    fleq.s 0 7f800001 => 0 NV
    funord.s 0 7fc00000 => 1
    funord.s 0 7f800001 => 1 NV
    funord.s 0 7f800000 => 0
    flt.s 80000001 0 => 1
    flt.s c0000000 bf800000 => 1
    fle.d fff0000000000000 ffefffffffffffff => 1
    flt.d 7fefffffffffffff 7ff0000000000000 => 1
    feq.d 7ff8000000000000 0 => 0
    fle.d 7ff8000000000000 0 => 0 NV
";

/// One bit for each class, from -inf up; then signalling and quiet NaN.
const CLASSES: &str = "
    fclass.s ff800000 => 1
    fclass.s bf800000 => 2
    fclass.s 80800000 => 2
    fclass.s 807fffff => 4
    fclass.s 80000001 => 4
    fclass.s 80000000 => 8
    fclass.s 00000000 => 10
    fclass.s 00000001 => 20
    fclass.s 007fffff => 20
    fclass.s 00800000 => 40
    fclass.s 7f7fffff => 40
    fclass.s 7f800000 => 80
    fclass.s 7f800001 => 100
    fclass.s ffbfffff => 100
    fclass.s 7fc00000 => 200
    fclass.s ffffffff => 200
    fclass.d fff0000000000000 => 1
    fclass.d ffefffffffffffff => 2
    fclass.d 800fffffffffffff => 4
    fclass.d 8000000000000000 => 8
    fclass.d 0 => 10
    fclass.d 1 => 20
    fclass.d 10000000000000 => 40
    fclass.d 7ff0000000000000 => 80
    fclass.d 7ff7ffffffffffff => 100
    fclass.d 7ff8000000000000 => 200
";

#[test]
fn special_cases() {
    let tables =
        [MIN_MAX, TO_INTEGERS, FROM_INTEGERS, FORMATS, TININESS, ARITHMETIC, FMA, NAN_RULES, COMPARISONS, CLASSES];
    let lines = tables.iter().flat_map(|table| table.lines()).map(str::trim).filter(|line| !line.is_empty());
    let wrong: Vec<String> = lines.filter_map(failure).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What is wrong with a line's claim, if anything.
fn failure(line: &str) -> Option<String> {
    let (input, output) = line.split_once(" => ").expect("a line has an arrow");
    let mut output = output.split(' ');
    let bits = hex(output.next().expect("a result follows the arrow"));
    let flags = output.map(flag).fold(FpFlags::NONE, |all, flag| all | flag);
    let (got, raised) = evaluate(input);
    ((got, raised) != (bits, flags)).then(|| format!("{line}: got {got:x} {raised:?}"))
}

fn evaluate(input: &str) -> (u64, FpFlags) {
    let mut words = input.split(' ').peekable();
    let name = words.next().expect("an op's name");
    let round = words.peek().and_then(|word| rounding(word));
    let operands: Vec<u64> = words.skip(usize::from(round.is_some())).map(hex).collect();
    let (name, nan) = nan_rule(name);
    let env = FpEnv { round: round.unwrap_or(Round::NearestEven), nan };
    let parts: Vec<&str> = name.split('.').collect();
    match (parts.as_slice(), operands.as_slice()) {
        (["fcvt", to, from], &[a]) => convert(to, from, env, a),
        (["fclass", ty], &[a]) => (float::classify(float_type(ty), nan, a), FpFlags::NONE),
        ([op, ty], &[a]) => float::unary(unary(op), float_type(ty), env, a),
        ([op, ty], &[a, b]) => match comparison(op) {
            Some((cond, quietness)) => {
                let (holds, flags) = float::compare(cond, quietness, float_type(ty), nan, a, b);
                (holds.into(), flags)
            }
            None => float::binary(binary(op), float_type(ty), env, a, b),
        },
        (["fmadd", ty], &[a, b, c]) => float::fma(float_type(ty), env, a, b, c),
        _ => panic!("not an op with these operands: {input}"),
    }
}

fn hex(text: &str) -> u64 {
    u64::from_str_radix(text, 16).expect("hexadecimal bits")
}

fn flag(name: &str) -> FpFlags {
    match name {
        "NX" => FpFlags::NX,
        "UF" => FpFlags::UF,
        "OF" => FpFlags::OF,
        "DZ" => FpFlags::DZ,
        "NV" => FpFlags::NV,
        _ => panic!("not a flag: {name}"),
    }
}

fn rounding(name: &str) -> Option<Round> {
    match name {
        "rne" => Some(Round::NearestEven),
        "rtz" => Some(Round::TowardZero),
        "rdn" => Some(Round::Down),
        "rup" => Some(Round::Up),
        "rmm" => Some(Round::NearestAway),
        _ => None,
    }
}

fn nan_rule(name: &str) -> (&str, NanRule) {
    let rules = [(".mips", NanRule::Propagate), (".legacy", NanRule::Legacy)];
    let found = rules.iter().find_map(|&(suffix, rule)| Some((name.strip_suffix(suffix)?, rule)));
    found.unwrap_or((name, NanRule::Canonical))
}

fn float_type(name: &str) -> Type {
    if name == "s" { Type::F32 } else { Type::F64 }
}

/// An integer type's name and whether it is signed.
fn int_type(name: &str) -> Option<(Type, bool)> {
    match name {
        "w" => Some((Type::I32, true)),
        "wu" => Some((Type::I32, false)),
        "l" => Some((Type::I64, true)),
        "lu" => Some((Type::I64, false)),
        _ => None,
    }
}

fn convert(to: &str, from: &str, env: FpEnv, a: u64) -> (u64, FpFlags) {
    use FloatConvertOp::{Format, FromIntS, FromIntU, ToIntS, ToIntU};
    let (op, from, to) = match (int_type(from), int_type(to)) {
        (Some((int, signed)), _) => (if signed { FromIntS } else { FromIntU }, int, float_type(to)),
        (_, Some((int, signed))) => (if signed { ToIntS } else { ToIntU }, float_type(from), int),
        _ => (Format, float_type(from), float_type(to)),
    };
    float::convert(op, from, to, env, a)
}

fn unary(name: &str) -> FloatUnaryOp {
    match name {
        "fneg" => FloatUnaryOp::Neg,
        "fabs" => FloatUnaryOp::Abs,
        "fnegnum" => FloatUnaryOp::NegNum,
        "fabsnum" => FloatUnaryOp::AbsNum,
        "fsqrt" => FloatUnaryOp::Sqrt,
        "fround" => FloatUnaryOp::RoundInt,
        _ => panic!("not a unary op: {name}"),
    }
}

fn binary(name: &str) -> FloatBinaryOp {
    match name {
        "fadd" => FloatBinaryOp::Add,
        "fsub" => FloatBinaryOp::Sub,
        "fmul" => FloatBinaryOp::Mul,
        "fdiv" => FloatBinaryOp::Div,
        "fmin" => FloatBinaryOp::MinNum,
        "fmax" => FloatBinaryOp::MaxNum,
        "fsgnj" => FloatBinaryOp::CopySign,
        _ => panic!("not a binary op: {name}"),
    }
}

/// A condition and whether quiet NaNs raise invalid; the names with q and `funord` are Zfa's and ours.
fn comparison(name: &str) -> Option<(FloatCond, Quietness)> {
    match name {
        "feq" => Some((FloatCond::Eq, Quietness::Quiet)),
        "flt" => Some((FloatCond::Lt, Quietness::Signaling)),
        "fle" => Some((FloatCond::Le, Quietness::Signaling)),
        "fltq" => Some((FloatCond::Lt, Quietness::Quiet)),
        "fleq" => Some((FloatCond::Le, Quietness::Quiet)),
        "funord" => Some((FloatCond::Unordered, Quietness::Quiet)),
        _ => None,
    }
}
