#!/usr/bin/env python3
"""Writes tests/instructions/*.ins: cases of every instruction with values that matter.

Results come from rv_model.py and from the formulas here, both written from the manual. Encodings come from the GNU assembler;
those that version 2.40 has not (Zcb, Zicond, explicit rounding modes of exact conversions) from the manual's tables, below.
Usage: instructions.py DIRECTORY, with riscv64-linux-gnu-as in the path.
"""

import pathlib
import subprocess
import sys
import tempfile

import rv_model as m
from rv_model import DOUBLE, SINGLE, sext, signed, unsigned

PC = 0x10000
DATA = 0x20800
MAX64, MIN64, ONES = (1 << 63) - 1, 1 << 63, (1 << 64) - 1
BOX = 0xFFFFFFFF << 32

VALUES = {
    64: [(1, 2), (MAX64, 1), (MIN64, ONES), (ONES, ONES), (0x0123456789ABCDEF, 0xFEDCBA9876543210), (0x80000000, 0x7FFFFFFF), (5, 0)],
    32: [(1, 2), (0x7FFFFFFF, 1), (1 << 31, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x01234567, 0xFEDCBA98), (0x8000, 0x7FFF), (5, 0)],
}
AMOUNTS = [0, 1, 31, 32, 63, 64, 0xFFFFFFFFFFFFFFE1]


class File:
    def __init__(self, name, isa, what):
        self.name, self.isa, self.what, self.cases = name, isa, what, []
        self.xlen = int(isa[2:4])

    def case(self, insn, text, inputs, outputs, asm=None, word=None):
        """`asm` is for the assembler where it differs from `text`; `word` for what it does not know."""
        self.cases.append((insn, text, inputs, outputs, asm or text, word))

    def int(self, *values):
        return [unsigned(v, self.xlen) for v in values]


def show(fields):
    def one(key, value):
        return f"{key}={value}" if isinstance(value, str) else f"{key}={value:#x}"

    return " ".join(one(k, v) for k, v in fields.items()) or "-"


def assemble(cases, xlen):
    """The encodings of the cases, in their order."""
    march = "rv64gc_zba_zbb_zbc_zbs" if xlen == 64 else "rv32gc_zba_zbb_zbc_zbs"
    lines = []
    for insn, _, _, _, asm, word in cases:
        lines.append(".option rvc" if insn.startswith("c.") else ".option norvc")
        if word is None:
            lines.append(asm)
        else:
            lines.append(f".{4 if word & 3 == 3 else 2}byte {word:#x}")
    with tempfile.TemporaryDirectory() as tmp:
        source, obj, out = (f"{tmp}/a.{e}" for e in ("s", "o", "bin"))
        pathlib.Path(source).write_text(".option norelax\n" + "\n".join(lines) + "\n")
        mabi = "lp64d" if xlen == 64 else "ilp32d"
        subprocess.run(["riscv64-linux-gnu-as", f"-march={march}", f"-mabi={mabi}", source, "-o", obj], check=True)
        subprocess.run(["riscv64-linux-gnu-objcopy", "-O", "binary", "-j", ".text", obj, out], check=True)
        data = pathlib.Path(out).read_bytes()
    words, at = [], 0
    while len(words) < len(cases):
        low = int.from_bytes(data[at : at + 2], "little")
        size = 4 if low & 3 == 3 else 2
        words.append((int.from_bytes(data[at : at + size], "little"), size))
        at += size
    assert at == len(data), "the assembler made more than the cases"
    return words


def write(directory, file):
    lines = [f"# {file.what}", "# Made by tests/tools/instructions.py from the manual's definitions.", f"isa {file.isa}", ""]
    last = None
    for case, (word, size) in zip(file.cases, assemble(file.cases, file.xlen)):
        insn, text, inputs, outputs, _, _ = case
        if last not in (None, insn):
            lines.append("")
        last = insn
        lines.append(f"{insn} | {word:0{2 * size}x} {text} | {show(inputs)} => {show(outputs)}")
    pathlib.Path(directory, f"{file.name}.ins").write_text("\n".join(lines) + "\n")


# Integer computation


def binary(file, insn, function, values=None):
    for i, (a, b) in enumerate(values or VALUES[file.xlen]):
        a, b = file.int(a, b)
        result = unsigned(function(a, b), file.xlen)
        if i == 0:
            file.case(insn, f"{insn} a1, a1, a2", {"a1": a, "a2": b}, {"a1": result})
        else:
            file.case(insn, f"{insn} a0, a1, a2", {"a1": a, "a2": b}, {"a0": result})
    file.case(insn, f"{insn} zero, a1, a2", {"a1": 7, "a2": 9}, {})


def shift_values(file):
    pattern = file.int(0x8123456789ABCDEF if file.xlen == 64 else 0x89ABCDEF)[0]
    return [(pattern, s) for s in AMOUNTS] + [(1, 5)]


def immediate(file, insn, function, imms=(0, 1, -1, 2047, -2048), word=None):
    for imm in imms:
        for a in file.int(0, 0x7FFFFFFF, -1, MIN64 if file.xlen == 64 else 1 << 31, 0x0123456789ABCDEF):
            result = unsigned(function(a, imm), file.xlen)
            file.case(insn, f"{insn} a0, a1, {imm}", {"a1": a}, {"a0": result})


def shift_immediate(file, insn, function, bits):
    for s in sorted({0, 1, 7, 16, bits // 2 - 1, bits - 1}):
        for a in file.int(0x8123456789ABCDEF, 1, -1):
            file.case(insn, f"{insn} a0, a1, {s}", {"a1": a}, {"a0": unsigned(function(a, s), file.xlen)})


def unary(file, insn, function, values=None):
    for a in file.int(*(values or (0, 1, -1, MIN64, 1 << 31, 0x7FFF, 0x8000, 0x80, 0x00FF00000100FF00, 0x0123456789ABCDEF))):
        file.case(insn, f"{insn} a0, a1", {"a1": a}, {"a0": unsigned(function(a), file.xlen)})


def word_op(function):
    """The *W form: 32-bit operation, sign-extended."""
    return lambda a, b: sext(function(unsigned(a, 32), unsigned(b, 32)), 32, 64)


def base(file):
    x = file.xlen
    s = lambda v: signed(v, x)
    mask = x - 1
    for value in (0, 1, 0x12345, 0x7FFFF, 0x80000, 0xFFFFF):
        file.case("lui", f"lui a0, {value:#x}", {}, {"a0": sext(value << 12, 32, x)})
        file.case("auipc", f"auipc a0, {value:#x}", {}, {"a0": unsigned(PC + signed(value << 12, 32), x)})
    jumps(file)
    loads_and_stores(file)
    for insn, f in {
        "addi": lambda a, i: a + i,
        "slti": lambda a, i: s(a) < i,
        "sltiu": lambda a, i: a < unsigned(i, x),
        "xori": lambda a, i: a ^ i,
        "ori": lambda a, i: a | i,
        "andi": lambda a, i: a & i,
    }.items():
        immediate(file, insn, f)
    shift_immediate(file, "slli", lambda a, n: a << n, x)
    shift_immediate(file, "srli", lambda a, n: a >> n, x)
    shift_immediate(file, "srai", lambda a, n: s(a) >> n, x)
    binary(file, "add", lambda a, b: a + b)
    binary(file, "sub", lambda a, b: a - b)
    binary(file, "sll", lambda a, b: a << (b & mask), shift_values(file))
    binary(file, "slt", lambda a, b: s(a) < s(b))
    binary(file, "sltu", lambda a, b: a < b)
    binary(file, "xor", lambda a, b: a ^ b)
    binary(file, "srl", lambda a, b: a >> (b & mask), shift_values(file))
    binary(file, "sra", lambda a, b: s(a) >> (b & mask), shift_values(file))
    binary(file, "or", lambda a, b: a | b)
    binary(file, "and", lambda a, b: a & b)
    for sets in ("rw, rw", "iorw, iorw", "w, r", "r, w"):
        file.case("fence", f"fence {sets}", {}, {})
    file.case("fence.tso", "fence.tso", {}, {})
    file.case("fence.tso", "fence.tso", {"a0": 1}, {})
    file.case("fence.i", "fence.i", {}, {})
    file.case("fence.i", "fence.i", {"a0": 1}, {})
    file.case("pause", "pause", {}, {"exit": "yield"}, word=0x0100000F)
    file.case("pause", "pause", {"a0": 1}, {"exit": "yield"}, word=0x0100000F)
    file.case("ecall", "ecall", {"a7": 64}, {"exit": "syscall"})
    file.case("ecall", "ecall", {}, {"exit": "syscall"})
    file.case("ebreak", "ebreak", {}, {"exit": "breakpoint"})
    file.case("ebreak", "ebreak", {"a0": 1}, {"exit": "breakpoint"})
    if x == 64:
        base64(file)


def base64(file):
    for imm in (0, 1, -1, 2047, -2048):
        for a in (0x7FFFFFFF, 0xFFFFFFFF, 0x123456789, MIN64):
            file.case("addiw", f"addiw a0, a1, {imm}", {"a1": a}, {"a0": sext(a + imm, 32, 64)})
    shift_immediate(file, "slliw", lambda a, n: sext(a << n, 32, 64), 32)
    shift_immediate(file, "srliw", lambda a, n: sext(unsigned(a, 32) >> n, 32, 64), 32)
    shift_immediate(file, "sraiw", lambda a, n: signed(a, 32) >> n, 32)
    binary(file, "addw", word_op(lambda a, b: a + b))
    binary(file, "subw", word_op(lambda a, b: a - b))
    binary(file, "sllw", word_op(lambda a, b: a << (b & 31)), shift_values(file))
    binary(file, "srlw", word_op(lambda a, b: a >> (b & 31)), shift_values(file))
    binary(file, "sraw", word_op(lambda a, b: signed(a, 32) >> (b & 31)), shift_values(file))


def jumps(file):
    x = file.xlen
    s = lambda v: signed(v, x)
    for rd, offset in (("ra", 16), ("a0", -32), ("zero", 0x7FFFE), ("ra", -0x8000)):
        out = {"pc": unsigned(PC + offset, x)}
        if rd != "zero":
            out[rd] = PC + 4
        file.case("jal", f"jal {rd}, {unsigned(PC + offset, x):#x}", {}, out, asm=f"jal {rd}, .{offset:+}")
    for rd, imm, base_value in (("ra", 0, 0x10100), ("a0", 5, 0x10100), ("zero", -4, 0x10100), ("a1", -2048, 0x11000), ("ra", 1, -1)):
        base_value = unsigned(base_value, x)
        out = {"pc": unsigned(base_value + imm, x) & ~1}
        if rd != "zero":
            out[rd] = PC + 4
        file.case("jalr", f"jalr {rd}, {imm}(a1)", {"a1": base_value}, out)
    conditions = {
        "beq": lambda a, b: a == b,
        "bne": lambda a, b: a != b,
        "blt": lambda a, b: s(a) < s(b),
        "bge": lambda a, b: s(a) >= s(b),
        "bltu": lambda a, b: a < b,
        "bgeu": lambda a, b: a >= b,
    }
    offsets = (16, -32, 4094, -4096, 8, 12, 6)
    for insn, holds in conditions.items():
        for (a, b), offset in zip(VALUES[x] + [(0, ONES)], offsets):
            a, b = file.int(a, b)
            target = unsigned(PC + offset, x)
            out = {"pc": target} if holds(a, b) else {}
            file.case(insn, f"{insn} a1, a2, {target:#x}", {"a1": a, "a2": b}, out, asm=f"{insn} a1, a2, .{offset:+}")


def memory(size, value, addr=DATA):
    return {f"m{8 * size}[{addr:#x}]": value}


LOADS = [("lb", 1, True), ("lh", 2, True), ("lw", 4, True), ("lbu", 1, False), ("lhu", 2, False)]


def loads_and_stores(file):
    x = file.xlen
    for insn, size, is_signed in LOADS + ([("lwu", 4, False), ("ld", 8, True)] if x == 64 else []):
        for value, offset in ((0x8182838485868788, 0), (0x7172737475767778, -2048), (0x80, 2047), (1, 3)):
            value = unsigned(value, 8 * size)
            out = sext(value, 8 * size, x) if is_signed else value
            inputs = {"a1": DATA - offset, **memory(size, value)}
            file.case(insn, f"{insn} a0, {offset}(a1)", inputs, {"a0": out})
        file.case(insn, f"{insn} a0, 0(a1)", {"a1": 0x500000}, {"exit": f"fault:read:unmapped:{0x500000:#x}"})
        file.case(insn, f"{insn} zero, 0(a1)", {"a1": 0x500000}, {"exit": f"fault:read:unmapped:{0x500000:#x}"})
    for insn, size in [("sb", 1), ("sh", 2), ("sw", 4)] + ([("sd", 8)] if x == 64 else []):
        for value, offset in ((0x8182838485868788, 0), (-1, -2048), (0x80, 2047), (1, 3)):
            value = unsigned(value, x)
            before = memory(8, 0xEEEEEEEEEEEEEEEE)
            after = 0xEEEEEEEEEEEEEEEE & ~((1 << 8 * size) - 1) | unsigned(value, 8 * size)
            file.case(insn, f"{insn} a2, {offset}(a1)", {"a1": DATA - offset, "a2": value, **before}, memory(8, after))
        file.case(insn, f"{insn} a2, 0(a1)", {"a1": 0x23010}, {"exit": f"fault:write:protected:{0x23010:#x}"})
        file.case(insn, f"{insn} a2, 0(a1)", {"a1": 0x500000}, {"exit": f"fault:write:unmapped:{0x500000:#x}"})


def multiply(file):
    x = file.xlen
    s = lambda v: signed(v, x)
    more = VALUES[x] + [(MIN64, MIN64) if x == 64 else (1 << 31, 1 << 31), (-7, 3), (7, -3), (0, 0)]
    binary(file, "mul", lambda a, b: a * b, more)
    binary(file, "mulh", lambda a, b: s(a) * s(b) >> x, more)
    binary(file, "mulhsu", lambda a, b: s(a) * b >> x, more)
    binary(file, "mulhu", lambda a, b: a * b >> x, more)
    for insn, f in {"div": m.div, "divu": m.divu, "rem": m.rem, "remu": m.remu}.items():
        binary(file, insn, lambda a, b, f=f: f(a, b, x), more)
    if x == 64:
        narrow = more + [(0x80000000, ONES), (0x180000000, 0x1FFFFFFFF), (0x7FFFFFFF, 0x100000000)]
        binary(file, "mulw", word_op(lambda a, b: a * b), narrow)
        for insn, f in {"divw": m.div, "divuw": m.divu, "remw": m.rem, "remuw": m.remu}.items():
            binary(file, insn, word_op(lambda a, b, f=f: f(a, b, 32)), narrow)


def atomics(file):
    ops = {
        "swap": lambda old, v, n: v,
        "add": lambda old, v, n: old + v,
        "xor": lambda old, v, n: old ^ v,
        "and": lambda old, v, n: old & v,
        "or": lambda old, v, n: old | v,
        "min": lambda old, v, n: min(signed(old, n), signed(v, n)),
        "max": lambda old, v, n: max(signed(old, n), signed(v, n)),
        "minu": lambda old, v, n: min(old, v),
        "maxu": lambda old, v, n: max(old, v),
    }
    for width, bits in [("w", 32)] + ([("d", 64)] if file.xlen == 64 else []):
        size = bits // 8
        for value in (0x8182838485868788, 5):
            value = unsigned(value, bits)
            result = {"a0": sext(value, bits, file.xlen)}
            file.case(f"lr.{width}", f"lr.{width} a0, (a1)", {"a1": DATA, **memory(size, value)}, result)
        file.case(f"lr.{width}", f"lr.{width}.aq a0, (a1)", {"a1": DATA + 1}, {"exit": f"fault:read:misaligned:{DATA + 1:#x}"})
        # Without a reservation nothing is stored.
        file.case(f"sc.{width}", f"sc.{width} a0, a2, (a1)", {"a1": DATA, "a2": 1, **memory(size, 9)}, {"a0": 1})
        file.case(f"sc.{width}", f"sc.{width}.rl a0, a2, (a1)", {"a1": DATA + 2, "a2": 1}, {"exit": f"fault:write:misaligned:{DATA + 2:#x}"})
        for op, f in ops.items():
            insn = f"amo{op}.{width}"
            for old, value, order in ((1, 2, ""), (-1, 1, ".aq"), (1 << (bits - 1), -1, ".rl"), (0x0123456789ABCDEF, 0x7EDCBA9876543210, ".aqrl")):
                old, operand = unsigned(old, bits), unsigned(value, file.xlen)
                new = unsigned(f(old, unsigned(operand, bits), bits), bits)
                inputs = {"a1": DATA, "a2": operand, **memory(size, old)}
                outputs = {"a0": sext(old, bits, file.xlen), **memory(size, new)}
                file.case(insn, f"{insn}{order} a0, a2, (a1)", inputs, outputs)
            file.case(insn, f"{insn} a0, a2, (a1)", {"a1": DATA + 1}, {"exit": f"fault:write:misaligned:{DATA + 1:#x}"})


def csrs(file):
    def csr(insn, text, fcsr, after, outputs, **inputs):
        file.case(insn, text, {"fcsr": fcsr, **inputs}, {**({"fcsr": after} if after != fcsr else {}), **outputs})

    csr("csrrw", "csrrw a0, fcsr, a1", 0x21, 0xE5, {"a0": 0x21}, a1=0xFE5)
    csr("csrrw", "csrrw a0, frm, a1", 0x3F, 0x5F, {"a0": 1}, a1=0x1A)
    csr("csrrw", "csrrw zero, fflags, a1", 0x60, 0x7F, {}, a1=0xFF)
    csr("csrrw", "csrrw a1, fflags, a1", 0x64, 0x63, {"a1": 4}, a1=0x3)
    csr("csrrs", "csrrs a0, fflags, a1", 0x41, 0x4B, {"a0": 1}, a1=0xA)
    csr("csrrs", "csrrs a0, frm, zero", 0x5F, 0x5F, {"a0": 2})
    csr("csrrs", "csrrs a0, fcsr, a1", 0x11, 0x7B, {"a0": 0x11}, a1=0x6A)
    csr("csrrc", "csrrc a0, fcsr, a1", 0x9F, 0x90, {"a0": 0x9F}, a1=0xF)
    csr("csrrc", "csrrc a0, fflags, a1", 0x1F, 0x0E, {"a0": 0x1F}, a1=0xFFFFFFF1)
    csr("csrrc", "csrrc a0, frm, a1", 0x7F, 0x1F, {"a0": 3}, a1=0x3)
    csr("csrrwi", "csrrwi a0, fflags, 31", 0x20, 0x3F, {"a0": 0})
    csr("csrrwi", "csrrwi zero, frm, 4", 0x3F, 0x9F, {})
    csr("csrrwi", "csrrwi a0, fcsr, 0", 0xFF, 0, {"a0": 0xFF})
    csr("csrrsi", "csrrsi a0, fflags, 17", 0x02, 0x13, {"a0": 2})
    csr("csrrsi", "csrrsi a0, fcsr, 0", 0x55, 0x55, {"a0": 0x55})
    csr("csrrsi", "csrrsi a0, frm, 2", 0x20, 0x60, {"a0": 1})
    csr("csrrci", "csrrci a0, fflags, 16", 0x1F, 0x0F, {"a0": 0x1F})
    csr("csrrci", "csrrci a0, frm, 7", 0x9F, 0x1F, {"a0": 4})
    csr("csrrci", "csrrci a0, fcsr, 1", 0x01, 0, {"a0": 1})
    # Read-only counters, and a register of machine mode.
    file.case("csrrw", "csrrw zero, cycle, a1", {}, {"exit": "illegal"})
    file.case("csrrsi", "csrrsi zero, instret, 1", {}, {"exit": "illegal"})
    file.case("csrrs", "csrrs a0, 0x300, zero", {}, {"exit": "illegal"})


# Floating point

MODES = ["rne", "rtz", "rdn", "rup", "rmm"]

OPERANDS = {
    32: dict(
        one=0x3F800000, minus=0xBF800000, third=0x3EAAAAAB, tiny=0x00000001, sub=0x007FFFFF, least=0x00800000, big=0x7F7FFFFF,
        inf=0x7F800000, ninf=0xFF800000, zero=0, nzero=0x80000000, qnan=0x7FC00001, snan=0x7F800001, half=0x3F000000, eps=0x33800000,
    ),
    64: dict(
        one=0x3FF << 52, minus=0xBFF << 52, third=0x3FD5555555555555, tiny=1, sub=0x000FFFFFFFFFFFFF, least=1 << 52,
        big=0x7FEFFFFFFFFFFFFF, inf=0x7FF << 52, ninf=0xFFF << 52, zero=0, nzero=1 << 63, qnan=0x7FF8000000000001,
        snan=0x7FF0000000000001, half=0x3FE << 52, eps=0x3CA << 52,
    ),
}
PAIRS = [
    ("one", "third"), ("third", "third"), ("one", "eps"), ("one", "minus"), ("big", "big"), ("tiny", "half"), ("sub", "one"),
    ("least", "third"), ("inf", "ninf"), ("inf", "zero"), ("zero", "nzero"), ("one", "zero"), ("qnan", "one"), ("snan", "one"),
    ("one", "qnan"), ("nzero", "nzero"), ("big", "tiny"), ("zero", "zero"),
]  # fmt: skip


def fp(fmt, value):
    return value | BOX if fmt is SINGLE else value


def with_flags(outputs, flags, mode=0):
    if flags:
        outputs["fcsr"] = mode << 5 | flags
    return outputs


def float_case(file, insn, fmt, operands, function, mode, destination="fa0"):
    """Static mode, or `None` for an op without one; the dynamic mode takes every third case."""
    names = ["fa1", "fa2", "fa3"][: len(operands)]
    inputs = {n: fp(fmt, v) for n, v in zip(names, operands)}
    regs = ", ".join([destination, *names])
    if mode is None:
        result, flags = function(*operands)
        return file.case(insn, f"{insn} {regs}", inputs, with_flags(result, flags))
    result, flags = function(mode, *operands)
    if (len(file.cases) + mode) % 3 == 0:
        inputs["fcsr"] = mode << 5
        return file.case(insn, f"{insn} {regs}, dyn", inputs, with_flags(result, flags, mode))
    return file.case(insn, f"{insn} {regs}, {MODES[mode]}", inputs, with_flags(result, flags))


def floats(file, fmt, suffix):
    named = OPERANDS[fmt.bits]
    pairs = [(named[a], named[b]) for a, b in PAIRS]
    into = lambda f: lambda *args: (lambda r: ({"fa0": fp(fmt, r[0])}, r[1]))(f(fmt, *args))
    for insn, f in {"fadd": m.fadd, "fsub": m.fsub, "fmul": m.fmul, "fdiv": m.fdiv}.items():
        for i, pair in enumerate(pairs):
            float_case(file, f"{insn}.{suffix}", fmt, pair, into(f), i % 5)
        for mode in range(5):
            float_case(file, f"{insn}.{suffix}", fmt, (named["big"], named["third"] ^ fmt.sign), into(f), mode)
    for i, a in enumerate(named.values()):
        float_case(file, f"fsqrt.{suffix}", fmt, (a,), into(m.fsqrt), i % 5)
    signs = {
        "fmadd": (0, 0), "fmsub": (0, fmt.sign), "fnmsub": (fmt.sign, 0), "fnmadd": (fmt.sign, fmt.sign),
    }  # fmt: skip
    triples = [(*pair, named["one"]) for pair in pairs[:8]] + [
        (named[a], named[b], named[c])
        for a, b, c in (
            ("inf", "zero", "qnan"), ("inf", "zero", "one"), ("inf", "one", "ninf"), ("one", "one", "minus"), ("one", "one", "snan"),
            ("zero", "one", "nzero"), ("big", "big", "ninf"), ("third", "third", "tiny"),
        )
    ]  # fmt: skip
    for insn, (product, addend) in signs.items():
        # Negating a NaN is harmless here: results are canonical.
        f = lambda fm, rm, a, b, c, p=product, s=addend: m.fmadd(fm, rm, a ^ p, b, c ^ s)
        for i, triple in enumerate(triples):
            float_case(file, f"{insn}.{suffix}", fmt, triple, into(f), i % 5)
    no_mode(file, fmt, suffix, named, pairs, into)
    integers(file, fmt, suffix, named)


def no_mode(file, fmt, suffix, named, pairs, into):
    sign = fmt.sign
    injections = {
        "fsgnj": lambda fm, a, b: (a & ~sign | b & sign, 0),
        "fsgnjn": lambda fm, a, b: (a & ~sign | ~b & sign, 0),
        "fsgnjx": lambda fm, a, b: (a ^ b & sign, 0),
        "fmin": lambda fm, a, b: m.fmin_max(fm, a, b, False),
        "fmax": lambda fm, a, b: m.fmin_max(fm, a, b, True),
    }
    more = pairs + [(named["qnan"], named["snan"]), (named["nzero"], named["zero"]), (named["ninf"], named["big"])]
    for insn, f in injections.items():
        for pair in more:
            float_case(file, f"{insn}.{suffix}", fmt, pair, into(f), None)
    for insn, what in {"fle": "le", "flt": "lt", "feq": "eq"}.items():
        for pair in more:
            f = lambda a, b: (lambda r: ({"a0": r[0]}, r[1]))(m.compare(fmt, a, b, what))
            float_case(file, f"{insn}.{suffix}", fmt, pair, f, None, "a0")
    for a in [*named.values(), named["sub"] | sign, named["one"] | sign]:
        float_case(file, f"fclass.{suffix}", fmt, (a,), lambda a: ({"a0": m.fclass(fmt, a)}, 0), None, "a0")
    if fmt is SINGLE:
        # A single that is not boxed counts as the canonical NaN.
        file.case("fadd.s", "fadd.s fa0, fa1, fa2, rne", {"fa1": 0x3F800000, "fa2": fp(fmt, 0x3F800000)}, {"fa0": fp(fmt, fmt.nan)})
        file.case("fclass.s", "fclass.s a0, fa1", {"fa1": 0xFFFFFFFE3F800000}, {"a0": 0x200})
        file.case("fsgnjx.s", "fsgnjx.s fa0, fa1, fa2", {"fa1": 0, "fa2": fp(fmt, 0x80000000)}, {"fa0": fp(fmt, fmt.nan | sign)})


def integers(file, fmt, suffix, named):
    x = file.xlen
    kinds = [("w", 32, True), ("wu", 32, False)] + ([("l", 64, True), ("lu", 64, False)] if x == 64 else [])
    floats_near = {32: [0x4EFFFFFF, 0x4F000000, 0x4F800000, 0x5F000000, 0x3FC00000, 0xBFC00000, 0x40200000, 0xBF7FFFFF],
                   64: [0x41DFFFFFFFC00000, 0x41DFFFFFFFE00000, 0x41E0000000000000, 0x41EFFFFFFFF00000, 0x43E0000000000000,
                        0x3FF8000000000000, 0xBFF8000000000000, 0xBFEFFFFFFFFFFFFF, 0xC1E0000000200000]}[fmt.bits]  # fmt: skip
    for kind, bits, is_signed in kinds:
        insn = f"fcvt.{kind}.{suffix}"
        for i, a in enumerate(floats_near + list(named.values())):
            def f(rm, a):
                n, flags = m.to_integer(fmt, rm, a, bits, is_signed)
                return {"a0": sext(unsigned(n, bits), bits, x)}, flags

            float_case(file, insn, fmt, (a,), f, i % 5, "a0")
        insn = f"fcvt.{suffix}.{kind}"
        for i, n in enumerate((0, 1, -1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x1000001, MAX64, MIN64, 0x20000000000003, 0x40000040000001)):
            n = unsigned(n, x)
            mode = i % 5
            value = signed(n, bits) if is_signed else unsigned(n, bits)
            result, flags = m.from_integer(fmt, mode, value)
            # The assembler adds the mode of exact conversions itself.
            word = None
            if fmt is DOUBLE and bits == 32:
                word = 0xD2000053 | (0 if is_signed else 1) << 20 | 11 << 15 | mode << 12 | 10 << 7
            text = f"{insn} fa0, a1, {MODES[mode]}"
            file.case(insn, text, {"a1": n}, with_flags({"fa0": fp(fmt, result)}, flags), word=word)


def moves_and_memory(file, fmt, suffix):
    x = file.xlen
    size, load, store = (4, "flw", "fsw") if fmt is SINGLE else (8, "fld", "fsd")
    for value, offset in ((OPERANDS[fmt.bits]["snan"], 0), (OPERANDS[fmt.bits]["third"], -2048), (1, 3)):
        file.case(load, f"{load} fa0, {offset}(a1)", {"a1": DATA - offset, **memory(size, value)}, {"fa0": fp(fmt, value)})
        file.case(store, f"{store} fa2, {offset}(a1)", {"a1": DATA - offset, "fa2": fp(fmt, value)}, memory(size, value))
    file.case(load, f"{load} fa0, 0(a1)", {"a1": 0x500000}, {"exit": f"fault:read:unmapped:{0x500000:#x}"})
    file.case(store, f"{store} fa0, 0(a1)", {"a1": 0x500000}, {"exit": f"fault:write:unmapped:{0x500000:#x}"})
    if fmt is SINGLE:
        # The lower half is stored and moved whatever the upper one holds.
        file.case("fsw", "fsw fa2, 0(a1)", {"a1": DATA, "fa2": 0x123456783F800000}, memory(4, 0x3F800000))
        for value in (0x3F800000 | BOX, 0x80000001, 0x12345678BF800000):
            file.case("fmv.x.w", "fmv.x.w a0, fa1", {"fa1": value}, {"a0": sext(value, 32, x)})
            file.case("fmv.w.x", "fmv.w.x fa0, a1", {"a1": unsigned(value, x)}, {"fa0": fp(fmt, unsigned(value, 32))})
    elif x == 64:
        for value in (0x3FF << 52, 0x7FF0000000000001, ONES):
            file.case("fmv.x.d", "fmv.x.d a0, fa1", {"fa1": value}, {"a0": value})
            file.case("fmv.d.x", "fmv.d.x fa0, a1", {"a1": value}, {"fa0": value})


def conversions(file):
    for i, a in enumerate([*OPERANDS[64].values(), 0x3FF0000010000000, 0x380FFFFFF0000000, 0x47EFFFFFF0000000, 0x36A0000000000000]):
        f = lambda rm, a: (lambda r: ({"fa0": fp(SINGLE, r[0])}, r[1]))(m.convert(DOUBLE, SINGLE, rm, a))
        float_case(file, "fcvt.s.d", DOUBLE, (a,), f, i % 5)
    for i, a in enumerate(OPERANDS[32].values()):
        mode = i % 5
        result, flags = m.convert(SINGLE, DOUBLE, mode, a)
        word = 0x42000053 | 11 << 15 | mode << 12 | 10 << 7
        text = f"fcvt.d.s fa0, fa1, {MODES[mode]}"
        file.case("fcvt.d.s", text, {"fa1": fp(SINGLE, a)}, with_flags({"fa0": result}, flags), word=word)


# Bit manipulation


def bits(file):
    x = file.xlen
    mask = x - 1
    for n in (1, 2, 3):
        binary(file, f"sh{n}add", lambda a, b, n=n: (a << n) + b)
        if x == 64:
            binary(file, f"sh{n}add.uw", lambda a, b, n=n: (unsigned(a, 32) << n) + b)
    binary(file, "andn", lambda a, b: a & ~b)
    binary(file, "orn", lambda a, b: a | ~b)
    binary(file, "xnor", lambda a, b: ~(a ^ b))
    unary(file, "clz", lambda a: m.clz(a, x))
    unary(file, "ctz", lambda a: m.ctz(a, x))
    unary(file, "cpop", lambda a: bin(a).count("1"))
    binary(file, "min", lambda a, b: min(signed(a, x), signed(b, x)))
    binary(file, "minu", min)
    binary(file, "max", lambda a, b: max(signed(a, x), signed(b, x)))
    binary(file, "maxu", max)
    unary(file, "sext.b", lambda a: sext(a, 8, x))
    unary(file, "sext.h", lambda a: sext(a, 16, x))
    unary(file, "zext.h", lambda a: unsigned(a, 16))
    binary(file, "rol", lambda a, b: m.rotl(a, b & mask, x), shift_values(file))
    binary(file, "ror", lambda a, b: m.rotl(a, -(b & mask), x), shift_values(file))
    shift_immediate(file, "rori", lambda a, n: m.rotl(a, -n, x), x)
    unary(file, "orc.b", lambda a: m.orc_b(a, x))
    unary(file, "rev8", lambda a: m.rev8(a, x))
    binary(file, "clmul", lambda a, b: m.clmul_full(a, b, x))
    binary(file, "clmulh", lambda a, b: m.clmul_full(a, b, x) >> x)
    binary(file, "clmulr", lambda a, b: m.clmul_full(a, b, x) >> (x - 1))
    single = {
        "bclr": lambda a, n: a & ~(1 << n),
        "bext": lambda a, n: a >> n & 1,
        "binv": lambda a, n: a ^ 1 << n,
        "bset": lambda a, n: a | 1 << n,
    }
    for insn, f in single.items():
        binary(file, insn, lambda a, b, f=f: f(a, b & mask), shift_values(file))
        shift_immediate(file, f"{insn}i", f, x)
    for insn, code, keeps in (("czero.eqz", 5, lambda b: b != 0), ("czero.nez", 7, lambda b: b == 0)):
        word = 0x0E000033 | 12 << 20 | 11 << 15 | code << 12 | 10 << 7
        for a, b in VALUES[x] + [(9, 1 << (x - 1))]:
            a, b = file.int(a, b)
            file.case(insn, f"{insn} a0, a1, a2", {"a1": a, "a2": b}, {"a0": a if keeps(b) else 0}, word=word)
    if x == 64:
        bits64(file)


def bits64(file):
    low = lambda a: unsigned(a, 32)
    binary(file, "add.uw", lambda a, b: low(a) + b)
    shift_immediate(file, "slli.uw", lambda a, n: low(a) << n, 64)
    unary(file, "clzw", lambda a: m.clz(low(a), 32))
    unary(file, "ctzw", lambda a: m.ctz(low(a), 32))
    unary(file, "cpopw", lambda a: bin(low(a)).count("1"))
    binary(file, "rolw", word_op(lambda a, b: m.rotl(a, b & 31, 32)), shift_values(file))
    binary(file, "rorw", word_op(lambda a, b: m.rotl(a, -(b & 31), 32)), shift_values(file))
    shift_immediate(file, "roriw", lambda a, n: sext(m.rotl(low(a), -n, 32), 32, 64), 32)


# 16-bit instructions


def compressed(file):
    x = file.xlen
    A, B = (0x8123456789ABCDEF, 0x1111111122222222) if x == 64 else (0x89ABCDEF, 0x11112222)
    case = file.case
    for imm in (4, 252, 1020):
        case("c.addi4spn", f"c.addi4spn a0, sp, {imm}", {"sp": DATA}, {"a0": DATA + imm})
    for imm in (1, 31, -32):
        case("c.addi", f"c.addi a0, {imm}", {"a0": A}, {"a0": unsigned(A + imm, x)})
        case("c.li", f"c.li a0, {imm}", {}, {"a0": unsigned(imm, x)})
        case("c.andi", f"c.andi a0, {imm}", {"a0": A}, {"a0": unsigned(A & imm, x)})
        if x == 64:
            case("c.addiw", f"c.addiw a0, {imm}", {"a0": 0x17FFFFFFF}, {"a0": sext(0x7FFFFFFF + imm, 32, 64)})
    case("c.nop", "c.nop", {"a0": 1}, {})
    case("c.nop", "c.nop", {}, {})
    for imm in (16, -512, 496):
        case("c.addi16sp", f"c.addi16sp sp, {imm}", {"sp": DATA}, {"sp": DATA + imm})
    for value in (1, 31, 0xFFFE0, 0xFFFFF):
        case("c.lui", f"c.lui a0, {value:#x}", {}, {"a0": sext(value << 12, 32, x)})
    for n in (1, 16, x - 1):
        case("c.srli", f"c.srli a0, {n}", {"a0": A}, {"a0": A >> n})
        case("c.srai", f"c.srai a0, {n}", {"a0": A}, {"a0": unsigned(signed(A, x) >> n, x)})
        case("c.slli", f"c.slli a0, {n}", {"a0": A}, {"a0": unsigned(A << n, x)})
    two = {
        "c.sub": lambda a, b: a - b,
        "c.xor": lambda a, b: a ^ b,
        "c.or": lambda a, b: a | b,
        "c.and": lambda a, b: a & b,
        "c.add": lambda a, b: a + b,
        "c.mv": lambda a, b: b,
    }
    if x == 64:
        two |= {"c.subw": lambda a, b: sext(a - b, 32, 64), "c.addw": lambda a, b: sext(a + b, 32, 64)}
    for insn, f in two.items():
        for a, b in ((A, B), (5, 7), (unsigned(-1, x), 1)):
            case(insn, f"{insn} a0, a1", {"a0": a, "a1": b}, {"a0": unsigned(f(a, b), x)})
    compressed_jumps(file)
    compressed_memory(file)
    zcb(file, A, B)
    case("c.ebreak", "c.ebreak", {}, {"exit": "breakpoint"})
    case("c.ebreak", "c.ebreak", {"a0": 1}, {"exit": "breakpoint"})


def compressed_jumps(file):
    case, x = file.case, file.xlen
    for offset in (16, -2048, 2046):
        target = unsigned(PC + offset, x)
        case("c.j", f"c.j {target:#x}", {}, {"pc": target}, asm=f"c.j .{offset:+}")
        if x == 32:
            case("c.jal", f"c.jal {target:#x}", {}, {"pc": target, "ra": PC + 2}, asm=f"c.jal .{offset:+}")
    for value, offset in ((0, 16), (1, -256), (1 << (x - 1), 254)):
        target = unsigned(PC + offset, x)
        taken, not_taken = {"pc": target}, {}
        case("c.beqz", f"c.beqz a0, {target:#x}", {"a0": value}, not_taken if value else taken, asm=f"c.beqz a0, .{offset:+}")
        case("c.bnez", f"c.bnez a0, {target:#x}", {"a0": value}, taken if value else not_taken, asm=f"c.bnez a0, .{offset:+}")
    for target in (0x10100, 0x10101):
        case("c.jr", "c.jr a0", {"a0": target}, {"pc": target & ~1})
        case("c.jalr", "c.jalr a0", {"a0": target}, {"pc": target & ~1, "ra": PC + 2})
    case("c.jalr", "c.jalr ra", {"ra": 0x10100}, {"pc": 0x10100, "ra": PC + 2})


def compressed_memory(file):
    case, x = file.case, file.xlen
    value = 0x8182838485868788
    sizes = [("lw", "sw", 4, "a", 124, 252)]
    if x == 64:
        sizes.append(("ld", "sd", 8, "a", 248, 504))
    else:
        sizes.append(("flw", "fsw", 4, "fa", 124, 252))
    sizes.append(("fld", "fsd", 8, "fa", 248, 504))
    for load, store, size, reg, short, deep in sizes:
        v = unsigned(value, 8 * size)
        in_reg = (v if size == 8 else fp(SINGLE, v)) if reg == "fa" else sext(v, 8 * size, x)
        for offset in (0, short):
            at = {"a1": DATA - offset}
            case(f"c.{load}", f"c.{load} {reg}0, {offset}(a1)", {**at, **memory(size, v)}, {f"{reg}0": in_reg})
            case(f"c.{store}", f"c.{store} {reg}0, {offset}(a1)", {**at, f"{reg}0": in_reg}, memory(size, v))
        for offset in (0, deep):
            at = {"sp": DATA - offset}
            case(f"c.{load}sp", f"c.{load}sp {reg}0, {offset}(sp)", {**at, **memory(size, v)}, {f"{reg}0": in_reg})
            case(f"c.{store}sp", f"c.{store}sp {reg}0, {offset}(sp)", {**at, f"{reg}0": in_reg}, memory(size, v))
        case(f"c.{load}", f"c.{load} {reg}0, 0(a1)", {"a1": 0x500000}, {"exit": "fault:read:unmapped:0x500000"})


def zcb(file, A, B):
    """Encodings after the tables of chapter Zc: a0 and a1 are registers 2 and 3 of the short ones."""
    case, x = file.case, file.xlen
    a0, a1 = 2, 3
    for offset in (0, 1, 2, 3):
        uimm = (offset & 1) << 6 | (offset >> 1) << 5
        at = {"a1": DATA - offset}
        case("c.lbu", f"c.lbu a0, {offset}(a1)", {**at, **memory(1, 0x81)}, {"a0": 0x81}, word=0x8000 | a1 << 7 | a0 << 2 | uimm)
        case("c.sb", f"c.sb a0, {offset}(a1)", {**at, "a0": A}, memory(1, A & 0xFF), word=0x8800 | a1 << 7 | a0 << 2 | uimm)
    for offset in (0, 2):
        uimm = (offset >> 1) << 5
        at = {"a1": DATA - offset}
        word = 0x8400 | a1 << 7 | a0 << 2 | uimm
        case("c.lhu", f"c.lhu a0, {offset}(a1)", {**at, **memory(2, 0x8182)}, {"a0": 0x8182}, word=word)
        case("c.lh", f"c.lh a0, {offset}(a1)", {**at, **memory(2, 0x8182)}, {"a0": sext(0x8182, 16, x)}, word=word | 1 << 6)
        case("c.sh", f"c.sh a0, {offset}(a1)", {**at, "a0": A}, memory(2, A & 0xFFFF), word=0x8C00 | a1 << 7 | a0 << 2 | uimm)
    ones = {
        "c.zext.b": (0, lambda a: unsigned(a, 8)),
        "c.sext.b": (1, lambda a: sext(a, 8, x)),
        "c.zext.h": (2, lambda a: unsigned(a, 16)),
        "c.sext.h": (3, lambda a: sext(a, 16, x)),
        "c.zext.w": (4, lambda a: unsigned(a, 32)),
        "c.not": (5, lambda a: unsigned(~a, x)),
    }
    for insn, (number, f) in ones.items():
        if insn == "c.zext.w" and x == 32:
            continue
        for a in (A, B, 0):
            case(insn, f"{insn} a0", {"a0": a}, {"a0": f(a)}, word=0x9C61 | a0 << 7 | number << 2)
    for a, b in ((A, B), (7, 6)):
        case("c.mul", "c.mul a0, a1", {"a0": a, "a1": b}, {"a0": unsigned(a * b, x)}, word=0x9C41 | a0 << 7 | a1 << 2)


def files():
    for xlen in (64, 32):
        rv = f"rv{xlen}"
        for name, what, fill in (
            ("i", "The base, Zifencei, Zihintpause.", base),
            ("m", "Multiplication and division.", multiply),
            ("a", "Atomics.", atomics),
            ("zicsr", "Control and status registers.", csrs),
            ("b", "Zba, Zbb, Zbc, Zbs, Zicond.", bits),
            ("c", "16-bit instructions, Zcb.", compressed),
        ):
            # The 16-bit single-precision loads and stores are in RV32's C alone.
            isa = f"{rv}max" if not (xlen == 32 and name == "c") else "rv32gcb_zcb"
            file = File(f"{rv}{name}" if name != "zicsr" else f"{rv}zicsr", isa, what)
            fill(file)
            yield file
        for name, fmt, suffix in (("f", SINGLE, "s"), ("d", DOUBLE, "d")):
            file = File(f"{rv}{name}", f"{rv}max", f"Floating point, {'single' if fmt is SINGLE else 'double'} precision.")
            floats(file, fmt, suffix)
            moves_and_memory(file, fmt, suffix)
            if fmt is DOUBLE:
                conversions(file)
            yield file


def main():
    directory = sys.argv[1]
    pathlib.Path(directory).mkdir(exist_ok=True)
    for file in files():
        write(directory, file)
        print(f"{file.name}: {len(file.cases)} cases")


main()
