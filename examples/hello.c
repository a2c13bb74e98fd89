/* A static riscv64 Linux program without a C library: greets, and adds the primes below 100000 so that hot code gets
   compiled. Exit status 0 if the sum is right. examples/README.md says how examples/hello was made of it. */

static long syscall3(long number, long a, long b, long c) {
    register long a7 __asm__("a7") = number;
    register long a0 __asm__("a0") = a;
    register long a1 __asm__("a1") = b;
    register long a2 __asm__("a2") = c;
    __asm__ volatile("ecall" : "+r"(a0) : "r"(a1), "r"(a2), "r"(a7) : "memory");
    return a0;
}

static void print(const char *text, long length) { syscall3(64, 1, (long)text, length); }

static void print_number(unsigned long n) {
    char digits[21];
    int at = sizeof digits;
    digits[--at] = '\n';
    do {
        digits[--at] = '0' + n % 10;
        n /= 10;
    } while (n);
    print(digits + at, sizeof digits - at);
}

static unsigned char composite[100000];

static unsigned long sum_of_primes(unsigned long limit) {
    unsigned long sum = 0;
    for (unsigned long i = 2; i < limit; i++) {
        if (composite[i]) continue;
        sum += i;
        for (unsigned long j = i * i; j < limit; j += i) composite[j] = 1;
    }
    return sum;
}

void _start(void) {
    static const char greeting[] = "Hello from RISC-V!\nThe primes below 100000 add up to ";
    print(greeting, sizeof greeting - 1);
    unsigned long sum = sum_of_primes(100000);
    print_number(sum);
    syscall3(93, sum != 454396537, 0, 0);
    __builtin_unreachable();
}
