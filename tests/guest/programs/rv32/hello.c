/* The least: one write, and a status of its own. */
#include "bare.h"

int main(int argc, char **argv)
{
    put("hello, rv32\n");
    for (int i = 1; i < argc; i++) {
        put(argv[i]);
        put("\n");
    }
    return argc;
}
