/* A stack-machine interpreter with a switch: indirect jumps through a table. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { PUSH, LOAD, STORE, ADD, SUB, MUL, XOR, SHR, LESS, JUMP, JZ, CALL, RET, DUP, DROP, HALT };

/* Counts the Collatz steps of all n up to a limit; local 0 = n, 1 = x, 2 = steps, 3 = limit. */
static const int32_t program[] = {
    /*  0 */ PUSH, 1, STORE, 0,
    /*  4 */ LOAD, 3, LOAD, 0, LESS, JZ, 12, HALT,
    /* 12 */ CALL, 23, LOAD, 0, PUSH, 1, ADD, STORE, 0, JUMP, 4,
    /* 23 */ LOAD, 0, STORE, 1,
    /* 27 */ LOAD, 1, PUSH, 1, SUB, JZ, 71,
    /* 34 */ LOAD, 2, PUSH, 1, ADD, STORE, 2,
    /* 41 */ LOAD, 1, DUP, PUSH, 1, SHR, DUP, ADD, XOR, JZ, 62,
    /* 52 */ LOAD, 1, PUSH, 3, MUL, PUSH, 1, ADD, JUMP, 67,
    /* 62 */ LOAD, 1, PUSH, 1, SHR,
    /* 67 */ STORE, 1, JUMP, 27,
    /* 71 */ RET,
};

static uint64_t run(const int32_t *code, uint32_t limit)
{
    uint32_t stack[64], local[4] = { 0, 0, 0, limit }, calls[16];
    uint32_t sp = 0, cp = 0, pc = 0;
    uint64_t executed = 0;
    for (;;) {
        executed++;
        switch (code[pc++]) {
        case PUSH: stack[sp++] = (uint32_t)code[pc++]; break;
        case LOAD: stack[sp++] = local[code[pc++]]; break;
        case STORE: local[code[pc++]] = stack[--sp]; break;
        case ADD: sp--; stack[sp - 1] += stack[sp]; break;
        case SUB: sp--; stack[sp - 1] -= stack[sp]; break;
        case MUL: sp--; stack[sp - 1] *= stack[sp]; break;
        case XOR: sp--; stack[sp - 1] ^= stack[sp]; break;
        case SHR: sp--; stack[sp - 1] >>= stack[sp] & 31; break;
        case LESS: sp--; stack[sp - 1] = stack[sp - 1] < stack[sp]; break;
        case JUMP: pc = (uint32_t)code[pc]; break;
        case JZ: pc = stack[--sp] ? pc + 1 : (uint32_t)code[pc]; break;
        case CALL: calls[cp++] = pc + 1; pc = (uint32_t)code[pc]; break;
        case RET: pc = calls[--cp]; break;
        case DUP: stack[sp] = stack[sp - 1]; sp++; break;
        case DROP: sp--; break;
        case HALT: return (executed << 24) ^ local[2];
        default: abort();
        }
    }
}

int main(int argc, char **argv)
{
    int scale = argc > 1 ? atoi(argv[1]) : 100;
    printf("bytecode %llu\n", (unsigned long long)run(program, (uint32_t)scale * 1000));
    return 0;
}
