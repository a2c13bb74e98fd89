/* The vDSO is a shared object whose symbols have versions, which Go's runtime takes for granted. */
#include "guest.h"
#include <elf.h>
#include <link.h>
#include <sys/auxv.h>

static const char *base;
static uintptr_t bias; /* from the addresses in the file to those in memory; QEMU changes both */

static const void *entry(const ElfW(Dyn) *dynamic, ElfW(Sxword) tag, int is_address)
{
    for (; dynamic->d_tag != DT_NULL; dynamic++)
        if (dynamic->d_tag == tag)
            return is_address ? (const void *)(bias + dynamic->d_un.d_ptr) : (const void *)(uintptr_t)dynamic->d_un.d_val;
    return NULL;
}

static uint32_t hash_of(const char *name)
{
    uint32_t hash = 0;
    for (; *name; name++) {
        hash = (hash << 4) + (unsigned char)*name;
        hash = (hash ^ (hash >> 24 & 0xf0)) & 0x0fffffff;
    }
    return hash;
}

int main(void)
{
    base = (const char *)getauxval(AT_SYSINFO_EHDR);
    const ElfW(Ehdr) *file = (const void *)base;
    CHECK(base && memcmp(file->e_ident, ELFMAG, SELFMAG) == 0);
    const ElfW(Phdr) *headers = (const void *)(base + file->e_phoff);
    const ElfW(Dyn) *dynamic = NULL;
    for (int i = 0; i < file->e_phnum; i++) {
        if (headers[i].p_type == PT_DYNAMIC)
            dynamic = (const void *)(base + headers[i].p_offset);
        if (headers[i].p_type == PT_LOAD)
            bias = (uintptr_t)base + headers[i].p_offset - headers[i].p_vaddr;
    }
    CHECK(dynamic);

    const char *strings = entry(dynamic, DT_STRTAB, 1);
    const uint16_t *versions = entry(dynamic, DT_VERSYM, 1);
    const ElfW(Verdef) *definition = entry(dynamic, DT_VERDEF, 1);
    CHECK(strings && versions && definition);
    if (failures)
        DONE();
    size_t count = (size_t)entry(dynamic, DT_VERDEFNUM, 0);
    int versions_of_symbols = 0;
    for (size_t i = 0; i < count; i++) {
        const ElfW(Verdaux) *name = (const void *)((const char *)definition + definition->vd_aux);
        CHECK(definition->vd_version == 1 && definition->vd_cnt == 1 && definition->vd_ndx == i + 1);
        CHECK(definition->vd_hash == hash_of(strings + name->vda_name));
        if (definition->vd_flags & VER_FLG_BASE)
            CHECK(strcmp(strings + name->vda_name, "linux-vdso.so.1") == 0);
        else
            versions_of_symbols += strncmp(strings + name->vda_name, "LINUX_", 6) == 0;
        CHECK((definition->vd_next == 0) == (i + 1 == count));
        definition = (const void *)((const char *)definition + definition->vd_next);
    }
    CHECK(versions_of_symbols == 1);
    CHECK(versions[0] == 0);
    DONE();
}
