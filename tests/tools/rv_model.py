"""RISC-V arithmetic after the unprivileged manual (20240411), with exact rationals and no look at the decoder's code.

Floating point: a value is a sign and a Fraction; `round_to` rounds once and says which flags that raises.
"""

from fractions import Fraction
from math import isqrt

NX, UF, OF, DZ, NV = 1, 2, 4, 8, 16
RNE, RTZ, RDN, RUP, RMM = range(5)


def unsigned(x, bits):
    return x & ((1 << bits) - 1)


def signed(x, bits):
    x = unsigned(x, bits)
    return x - (1 << bits) if x >> (bits - 1) else x


def sext(x, bits, xlen):
    return unsigned(signed(x, bits), xlen)


# Division, chapter M, table "Semantics for division by zero and division overflow".


def div(a, b, n):
    a, b = signed(a, n), signed(b, n)
    if b == 0:
        return unsigned(-1, n)
    q = abs(a) // abs(b)
    return unsigned(-q if (a < 0) != (b < 0) else q, n)


def rem(a, b, n):
    a, b = signed(a, n), signed(b, n)
    if b == 0:
        return unsigned(a, n)
    r = abs(a) % abs(b)
    return unsigned(-r if a < 0 else r, n)


def divu(a, b, n):
    a, b = unsigned(a, n), unsigned(b, n)
    return unsigned(-1, n) if b == 0 else a // b


def remu(a, b, n):
    a, b = unsigned(a, n), unsigned(b, n)
    return a if b == 0 else a % b


def clmul_full(a, b, n):
    out = 0
    for i in range(n):
        if b >> i & 1:
            out ^= a << i
    return out


def orc_b(x, n):
    return sum(0xFF << i for i in range(0, n, 8) if x >> i & 0xFF)


def rev8(x, n):
    return int.from_bytes(unsigned(x, n).to_bytes(n // 8, "little"), "big")


def rotl(x, s, n):
    s %= n
    return unsigned(x << s | unsigned(x, n) >> (n - s), n) if s else unsigned(x, n)


def clz(x, n):
    return n - unsigned(x, n).bit_length()


def ctz(x, n):
    x = unsigned(x, n)
    return n if x == 0 else (x & -x).bit_length() - 1


class Format:
    def __init__(self, bits, precision):
        self.bits, self.p = bits, precision
        self.ebits = bits - precision
        self.bias = (1 << (self.ebits - 1)) - 1
        self.emin, self.emax = 1 - self.bias, self.bias
        self.sign = 1 << (bits - 1)
        self.inf = ((1 << self.ebits) - 1) << (precision - 1)
        self.quiet = 1 << (precision - 2)
        self.nan = self.inf | self.quiet
        self.largest = self.inf - 1

    def is_nan(self, a):
        return a & ~self.sign > self.inf

    def is_snan(self, a):
        return self.is_nan(a) and not a & self.quiet

    def is_inf(self, a):
        return a & ~self.sign == self.inf

    def is_zero(self, a):
        return a & ~self.sign == 0

    def negative(self, a):
        return bool(a & self.sign)

    def value(self, a):
        """Of a finite number."""
        magnitude = a & ~self.sign
        exponent, fraction = magnitude >> (self.p - 1), magnitude & ((1 << (self.p - 1)) - 1)
        if exponent:
            fraction |= 1 << (self.p - 1)
        exponent = max(exponent, 1) - self.bias - (self.p - 1)
        value = Fraction(fraction) * Fraction(2) ** exponent
        return -value if self.negative(a) else value


SINGLE, DOUBLE = Format(32, 24), Format(64, 53)


def round_integer(x, rm):
    """Of a non-negative magnitude whose sign is already in `rm` (RDN and RUP are of the magnitude)."""
    low = x.numerator // x.denominator
    rest = x - low
    if rest == 0:
        return low
    half = Fraction(1, 2)
    up = {RNE: rest > half or rest == half and low & 1, RTZ: False, RDN: False, RUP: True, RMM: rest >= half}[rm]
    return low + 1 if up else low


def of_magnitude(rm, negative):
    return {RDN: RUP, RUP: RDN}.get(rm, rm) if negative else rm


def exponent_of(x):
    e = x.numerator.bit_length() - x.denominator.bit_length()
    return e if Fraction(2) ** e <= x else e - 1


def round_to(fmt, rm, x, zero_sign=False):
    """Rounds a Fraction; an exact zero takes `zero_sign`."""
    if x == 0:
        return (fmt.sign if zero_sign else 0), 0
    negative, x = x < 0, abs(x)
    sign = fmt.sign if negative else 0
    rm = of_magnitude(rm, negative)
    e = exponent_of(x)
    # Tininess is detected after rounding, as if the exponent had no bound.
    unbounded = round_integer(x / Fraction(2) ** (e - fmt.p + 1), rm) * Fraction(2) ** (e - fmt.p + 1)
    tiny = unbounded < Fraction(2) ** fmt.emin
    e = max(e, fmt.emin)
    m = round_integer(x / Fraction(2) ** (e - fmt.p + 1), rm)
    rounded = m * Fraction(2) ** (e - fmt.p + 1)
    if rounded >= Fraction(2) ** (fmt.emax + 1):
        return sign | (fmt.inf if rm in (RNE, RMM, RUP) else fmt.largest), OF | NX
    flags = 0 if rounded == x else NX | (UF if tiny else 0)
    return sign | ((e - fmt.emin) << (fmt.p - 1)) + m, flags


def invalid_of(fmt, *operands):
    return NV if any(fmt.is_snan(a) for a in operands) else 0


def fadd(fmt, rm, a, b):
    if fmt.is_nan(a) or fmt.is_nan(b):
        return fmt.nan, invalid_of(fmt, a, b)
    if fmt.is_inf(a) and fmt.is_inf(b):
        return (a, 0) if a == b else (fmt.nan, NV)
    if fmt.is_inf(a) or fmt.is_inf(b):
        return (a if fmt.is_inf(a) else b), 0
    # x + (-x) is +0, in RDN -0; equal zeros keep their sign.
    same = fmt.negative(a) == fmt.negative(b)
    zero = fmt.negative(a) if same else rm == RDN
    return round_to(fmt, rm, fmt.value(a) + fmt.value(b), zero)


def fsub(fmt, rm, a, b):
    if fmt.is_nan(a) or fmt.is_nan(b):
        return fmt.nan, invalid_of(fmt, a, b)
    return fadd(fmt, rm, a, b ^ fmt.sign)


def fmul(fmt, rm, a, b):
    if fmt.is_nan(a) or fmt.is_nan(b):
        return fmt.nan, invalid_of(fmt, a, b)
    sign = (a ^ b) & fmt.sign
    if fmt.is_inf(a) or fmt.is_inf(b):
        return (fmt.nan, NV) if fmt.is_zero(a) or fmt.is_zero(b) else (sign | fmt.inf, 0)
    return round_to(fmt, rm, fmt.value(a) * fmt.value(b), bool(sign))


def fdiv(fmt, rm, a, b):
    if fmt.is_nan(a) or fmt.is_nan(b):
        return fmt.nan, invalid_of(fmt, a, b)
    sign = (a ^ b) & fmt.sign
    if fmt.is_inf(a):
        return (fmt.nan, NV) if fmt.is_inf(b) else (sign | fmt.inf, 0)
    if fmt.is_inf(b):
        return sign, 0
    if fmt.is_zero(b):
        return (fmt.nan, NV) if fmt.is_zero(a) else (sign | fmt.inf, DZ)
    return round_to(fmt, rm, fmt.value(a) / fmt.value(b), bool(sign))


def fsqrt(fmt, rm, a):
    if fmt.is_nan(a):
        return fmt.nan, invalid_of(fmt, a)
    if fmt.is_zero(a):
        return a, 0
    if fmt.negative(a):
        return fmt.nan, NV
    if fmt.is_inf(a):
        return a, 0
    x = fmt.value(a)
    # The root to 40 bits more than needed, and one sticky bit.
    shift = 2 * (fmt.p + 40) - 2 * (exponent_of(x) // 2)
    scaled = x * Fraction(2) ** shift
    root = isqrt(scaled.numerator // scaled.denominator)
    exact = root * root == scaled
    approx = Fraction(root) if exact else Fraction(2 * root + 1, 2)
    return round_to(fmt, rm, approx / Fraction(2) ** (shift // 2))


def fmadd(fmt, rm, a, b, c):
    product_invalid = fmt.is_inf(a) and fmt.is_zero(b) or fmt.is_zero(a) and fmt.is_inf(b)
    if any(map(fmt.is_nan, (a, b, c))):
        return fmt.nan, invalid_of(fmt, a, b, c) or (NV if product_invalid else 0)
    if product_invalid:
        return fmt.nan, NV
    sign = (a ^ b) & fmt.sign
    if fmt.is_inf(a) or fmt.is_inf(b):
        return (fmt.nan, NV) if fmt.is_inf(c) and (c & fmt.sign) != sign else (sign | fmt.inf, 0)
    if fmt.is_inf(c):
        return c, 0
    same = bool(sign) == fmt.negative(c)
    zero = bool(sign) if same else rm == RDN
    return round_to(fmt, rm, fmt.value(a) * fmt.value(b) + fmt.value(c), zero)


def fmin_max(fmt, a, b, larger):
    flags = invalid_of(fmt, a, b)
    if fmt.is_nan(a) or fmt.is_nan(b):
        return (fmt.nan if fmt.is_nan(a) and fmt.is_nan(b) else b if fmt.is_nan(a) else a), flags
    # -0 counts as less than +0.
    def key(v):
        return (-(v & ~fmt.sign) - 1) if fmt.negative(v) else v

    return (a if (key(a) > key(b)) == larger else b), flags


def compare(fmt, a, b, what):
    if fmt.is_nan(a) or fmt.is_nan(b):
        quiet = what == "eq"
        return 0, invalid_of(fmt, a, b) if quiet else NV

    def number(v):
        return Fraction(2) ** 5000 * (-1 if fmt.negative(v) else 1) if fmt.is_inf(v) else fmt.value(v)

    x, y = number(a), number(b)
    return int({"eq": x == y, "lt": x < y, "le": x <= y}[what]), 0


def fclass(fmt, a):
    negative = fmt.negative(a)
    magnitude = a & ~fmt.sign
    if fmt.is_nan(a):
        return 1 << (8 if fmt.is_snan(a) else 9)
    if fmt.is_inf(a):
        return 1 << (0 if negative else 7)
    if magnitude == 0:
        return 1 << (3 if negative else 4)
    if magnitude < 1 << (fmt.p - 1):
        return 1 << (2 if negative else 5)
    return 1 << (1 if negative else 6)


def to_integer(fmt, rm, a, bits, is_signed):
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if is_signed else (0, (1 << bits) - 1)
    if fmt.is_nan(a):
        return high, NV
    if fmt.is_inf(a):
        return (low if fmt.negative(a) else high), NV
    x = fmt.value(a)
    n = round_integer(abs(x), of_magnitude(rm, x < 0))
    n = -n if x < 0 else n
    if n < low or n > high:
        return (low if n < low else high), NV
    return n, (NX if n != x else 0)


def from_integer(fmt, rm, n):
    return round_to(fmt, rm, Fraction(n))


def convert(source, target, rm, a):
    if source.is_nan(a):
        return target.nan, invalid_of(source, a)
    sign = target.sign if source.negative(a) else 0
    if source.is_inf(a):
        return sign | target.inf, 0
    return round_to(target, rm, source.value(a), bool(sign))
