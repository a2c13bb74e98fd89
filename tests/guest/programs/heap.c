/* The C library under load: malloc, realloc, qsort, bsearch, strings, stdio, getline, snprintf, locale-free ctype. */
#include "guest.h"
#include <ctype.h>

static unsigned seed = 5;
static unsigned next(void) { return (seed = seed * 1103515245u + 12345u) >> 8; }

static int by_text(const void *a, const void *b) { return strcmp(*(char *const *)a, *(char *const *)b); }

int main(void)
{
    enum { SLOTS = 500 };
    struct { unsigned char *p; size_t size; unsigned char tag; } slot[SLOTS] = { { 0 } };
    unsigned long total = 0;
    for (int i = 0; i < 60000; i++) {
        unsigned k = next() % SLOTS;
        size_t size = next() % 64 == 0 ? 100000 + next() % 200000 : 1 + next() % 600;
        if (slot[k].p)
            CHECK(slot[k].p[0] == slot[k].tag && slot[k].p[slot[k].size - 1] == slot[k].tag);
        if (slot[k].p && i % 3 == 0) {
            size_t kept = size < slot[k].size ? size : slot[k].size;
            slot[k].p = realloc(slot[k].p, size);
            CHECK(slot[k].p[0] == slot[k].tag && slot[k].p[kept - 1] == slot[k].tag);
        } else {
            free(slot[k].p);
            slot[k].p = i % 5 ? malloc(size) : aligned_alloc(256, (size + 255) & ~255ul);
            CHECK(slot[k].p && (i % 5 || ((uintptr_t)slot[k].p & 255) == 0));
        }
        slot[k].size = size;
        slot[k].tag = (unsigned char)i;
        memset(slot[k].p, slot[k].tag, size);
        total += size;
    }
    for (int i = 0; i < SLOTS; i++)
        free(slot[i].p);
    printf("allocated %lu\n", total);
    unsigned *zeroed = calloc(100000, 4);
    for (int i = 0; i < 100000; i++)
        CHECK(zeroed[i] == 0);
    free(zeroed);

    enum { WORDS = 20000 };
    char **words = malloc(WORDS * sizeof *words);
    for (int i = 0; i < WORDS; i++) {
        char text[40];
        unsigned x = next(), y = next() % 512, z = next();
        int n = snprintf(text, sizeof text, "%x-%o-%+d", x, y, (int)z - 8000000);
        CHECK(n > 0 && n < 40);
        words[i] = strdup(text);
    }
    qsort(words, WORDS, sizeof *words, by_text);
    uint64_t sum = 0;
    for (int i = 0; i < WORDS; i++) {
        CHECK(i == 0 || strcmp(words[i - 1], words[i]) <= 0);
        for (char *p = words[i]; *p; p++)
            sum = sum * 131 + (unsigned char)toupper(*p);
    }
    char *wanted = words[WORDS / 3];
    char **found = bsearch(&wanted, words, WORDS, sizeof *words, by_text);
    CHECK(found && !strcmp(*found, wanted));
    printf("sorted %llu\n", (unsigned long long)sum);

    FILE *f = tmpfile();
    for (int i = 0; i < WORDS; i++)
        fprintf(f, "%d\t%s\n", i, words[i]);
    rewind(f);
    char *line = NULL;
    size_t capacity = 0;
    long lines = 0, characters = 0;
    for (ssize_t n; (n = getline(&line, &capacity, f)) > 0; lines++) {
        int index;
        char text[64];
        CHECK(sscanf(line, "%d %63s", &index, text) == 2 && index == lines && !strcmp(text, words[lines]));
        characters += n;
    }
    printf("lines %ld characters %ld\n", lines, characters);
    fclose(f);
    free(line);

    char text[200], copy[200];
    for (int i = 0; i < 150; i++)
        text[i] = (char)('a' + i % 26);
    text[150] = 0;
    for (size_t from = 0; from < 20; from++)
        for (size_t length = 0; length < 100; length++) {
            memset(copy, '#', sizeof copy);
            memcpy(copy + 3, text + from, length);
            CHECK(copy[2] == '#' && copy[3 + length] == '#' && memcmp(copy + 3, text + from, length) == 0);
            memmove(copy + 7, copy + 3, length);
            CHECK(memcmp(copy + 7, text + from, length) == 0);
            CHECK(strnlen(text + from, length) == length && memchr(text + from, '#', length) == NULL);
        }
    CHECK(strstr(text, "xyzab") == text + 23 && strrchr(text, 'z') == text + 129 && strspn(text, "abcd") == 4);
    char *rest = text;
    int tokens = 0;
    while (strsep(&rest, "ez"))
        tokens++;
    printf("tokens %d\n", tokens);
    printf("%s\n", strerror(ENOENT));
    DONE();
}
