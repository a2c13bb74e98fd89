/* F and D on RV32: NaN boxing through memory, conversions and their saturation, classes, flags. */
#include "bare.h"

static volatile double zero = 0, one = 1, three = 3, huge = 1e300;
static volatile float fthree = 3;

static uint64_t bits(double x)
{
    union { double d; uint64_t u; } v = { x };
    return v.u;
}

static uint32_t flags(void)
{
    uint32_t f;
    __asm__ volatile("fsflags %0, zero" : "=r"(f));
    return f;
}

#define TO_INT(instruction, x) ({ uint32_t r_; __asm__ volatile(instruction " %0, %1, rtz" : "=r"(r_) : "f"(x)); r_; })

int main(void)
{
    put_hex("third", bits(one / three));
    put_hex("flags", flags());
    put_hex("divide by zero", bits(one / zero));
    put_hex("flags", flags());
    put_hex("nan", bits(zero / zero));
    put_hex("flags", flags());
    put_hex("fcvt.w", TO_INT("fcvt.w.d", huge));
    put_hex("flags", flags());
    put_hex("fcvt.w", TO_INT("fcvt.w.d", -huge));
    put_hex("fcvt.wu", TO_INT("fcvt.wu.d", -one));
    put_hex("fcvt.w nan", TO_INT("fcvt.w.d", zero / zero));
    put_hex("fcvt.w -2.5", TO_INT("fcvt.w.d", -2.5 * one));
    flags();
    float f = 1 / fthree;
    uint64_t boxed;
    __asm__ volatile("fsd %1, %0" : "=m"(boxed) : "f"(f)); /* a single in a register is boxed in ones */
    put_hex("boxed", boxed);
    double unboxed;
    uint64_t bad = 0x3f800000;
    __asm__ volatile("fld %0, %1\n fadd.s %0, %0, %0" : "=&f"(unboxed) : "m"(bad)); /* not boxed: a NaN */
    put_hex("not boxed", bits(unboxed));
    uint32_t class;
    __asm__ volatile("fclass.d %0, %1" : "=r"(class) : "f"(-zero));
    put_hex("class", class);
    double sum = 0;
    for (int i = 1; i < 10000; i++)
        sum += one / i * (i & 1 ? 1 : -1);
    put_hex("log 2", bits(sum));
    put_hex("int64", (uint64_t)(int64_t)(sum * 1e15));
    double root;
    __asm__ volatile("fsqrt.d %0, %1" : "=f"(root) : "f"(three));
    put_hex("sqrt", bits(root));
    return 0;
}
