/* Floating point: formatting, parsing, special values, rounding modes and exception flags. */
#include "guest.h"
#include <fenv.h>
#include <float.h>
#include <math.h>

/* Everything is volatile, so that the compiler neither folds an operation nor moves it over a change of mode. */
static volatile double zero = 0, one = 1, three = 3, ten = 10;
static volatile float fzero = 0, fone = 1, fthree = 3;

/* A real call: inlined, x86 without SSE4 rounds to nearest only. */
static double (*volatile round_as_set)(double) = rint;

static void show(const char *what, double x)
{
    if (isnan(x)) /* sign and payload of a NaN differ between machines */
        printf("%s nan\n", what);
    else
        printf("%s %.17g %s\n", what, x, signbit(x) ? "negative" : "positive");
}

/* All bits but those of a NaN; %a differs between C libraries. */
static const char *hex(double x)
{
    static char text[16][20];
    static unsigned next;
    char *at = text[next++ % 16];
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    if (isnan(x))
        return "nan";
    snprintf(at, sizeof text[0], "%016llx", (unsigned long long)bits);
    return at;
}

static const char *flags(void)
{
    static char text[64];
    int f = fetestexcept(FE_ALL_EXCEPT);
    sprintf(text, "%s%s%s%s%s", f & FE_INVALID ? "V" : "", f & FE_DIVBYZERO ? "Z" : "", f & FE_OVERFLOW ? "O" : "",
            f & FE_UNDERFLOW ? "U" : "", f & FE_INEXACT ? "X" : "");
    feclearexcept(FE_ALL_EXCEPT);
    return text;
}

#define FLAGS(expression)                                      \
    do {                                                       \
        feclearexcept(FE_ALL_EXCEPT);                          \
        volatile double result = (expression);                 \
        const char *raised = flags();                          \
        if (isnan(result))                                     \
            printf("%-28s nan %s\n", #expression, raised);     \
        else                                                   \
            printf("%-28s %s %s\n", #expression, hex(result), raised); \
    } while (0)

int main(void)
{
    printf("%f %e %g %.0f %10.3f|%-10.2e|%+g %a\n", 3.14159, 1e100, 1e-5, 2.5, -1.0005, 12345.678, 0.1, 1.0 / 3);
    printf("%.20f %.3g %g %g %g\n", 0.1, 999999.5, 1e15, 123456789.0, -0.0);
    printf("%f %f %Lf %Lg\n", INFINITY, -INFINITY, 1.5L, 1e300L);
    show("strtod", strtod("1.7976931348623157e308", NULL));
    show("strtod", strtod("4.9e-324", NULL));
    show("strtod", strtod("0x1.8p3", NULL));
    show("strtod", strtod("-2.2250738585072011e-308", NULL));
    show("third", one / three);
    show("float third", fone / fthree);
    show("max + max", DBL_MAX + DBL_MAX * one);
    show("-0", -zero);
    show("0 * -1", zero * -one);
    show("inf - inf", INFINITY - INFINITY * one);
    show("min / 3", DBL_MIN / three);
    show("fma", fma(one / three, three, -one));
    show("fmaf", fmaf(fone / fthree, fthree, -fone));
    show("fmin", fmin(NAN, one));
    show("fmax -0", fmax(-zero, -one));
    show("sqrt", sqrt(three));
    show("sqrtf", sqrtf(fthree));
    show("remainder", remainder(ten, three));
    show("fmod", fmod(-ten, three));
    show("ldexp", ldexp(one, -1074));
    show("nextafter", nextafter(one, ten));
    printf("%d %d %d\n", NAN > one, !(NAN <= one), isunordered(NAN, one));
    printf("%ld %ld %ld %lld\n", lrint(2.5 * one), lround(2.5 * one), lrint(-3.5 * one), llrint(1e15 * one));
    printf("%.1f %.1f %.1f %.1f %.1f\n", floor(-2.5 * one), ceil(-2.5 * one), trunc(-2.5 * one), rint(-2.5 * one), round(-2.5 * one));

    const int modes[] = { FE_TONEAREST, FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO };
    const char *const names[] = { "nearest", "up", "down", "zero" };
    for (int i = 0; i < 4; i++) {
        CHECK(fesetround(modes[i]) == 0 && fegetround() == modes[i]);
        volatile double a = one / three, b = -one / three, c = sqrt(three), d = one + DBL_EPSILON / 4 * one, e = round_as_set(one * 2.5), f = round_as_set(-one * 2.5);
        volatile float g = fone / fthree, h = (float)(one / three), k = (float)(int)(16777217 * one), m = fone + FLT_EPSILON / 4 * fone;
        volatile long n = lrint(one * 1.5);
        volatile double o = DBL_MAX * ten, p = fma(one / three, three, one), q = (double)(long long)(9007199254740993LL * (n ? 1 : 0));
        fesetround(FE_TONEAREST);
        printf("%s: %s %s %s %s %g %g %s %s %.1f %s %ld %g %s %s\n", names[i], hex(a), hex(b), hex(c), hex(d), e, f, hex(g),
               hex(h), k, hex(m), n, o, hex(p), hex(q));
    }
    feclearexcept(FE_ALL_EXCEPT);
    FLAGS(one + one);
    FLAGS(one / three);
    FLAGS(one / zero);
    FLAGS(zero / zero);
    FLAGS(sqrt(-one));
    FLAGS(DBL_MAX * ten);
    FLAGS(DBL_MIN / ten);
    FLAGS(DBL_MIN / 2 * one);
    FLAGS(INFINITY * zero);
    FLAGS(fone / fthree);
    FLAGS(fone / fzero);
    FLAGS((float)(DBL_MAX * one));
    FLAGS((float)(one / three));
    FLAGS((double)(int)(one * 2.0));
    FLAGS((double)(int)(one * 2.5));
    FLAGS(fma(one, three, ten));
    FLAGS(NAN + one);
    feraiseexcept(FE_OVERFLOW | FE_DIVBYZERO);
    printf("raised %s\n", flags());
    fenv_t environment;
    feraiseexcept(FE_INVALID);
    fegetenv(&environment);
    CHECK(feholdexcept(&environment) == 0 && fetestexcept(FE_ALL_EXCEPT) == 0);
    feraiseexcept(FE_DIVBYZERO);
    feupdateenv(&environment);
    printf("updated %s\n", flags());

    float sum = 0;
    for (int i = 1; i <= 1000000; i++)
        sum += 1.0f / (float)i;
    printf("harmonic %a\n", (double)sum);
    printf("libm %.12g %.12g %.12g %.12g %.12g\n", sin(one), exp(one * 2), log(ten), pow(three, 2.5), atan2(one, -three));
    DONE();
}
