/* Which kernels run: the ISAs that this build has and this CPU supports, and the one chosen of them.
 * Until chronos_isa_choose is called, once, by whoever loads the library, that is the portable one. A new
 * ISA is one file and two lines of `detect`. */
#include "chronos_native.h"

#ifdef HAVE_AVX2
#include <cpuid.h>

/* XCR0; only where CPUID says that it may be asked for. */
static unsigned saved_registers(void) {
    unsigned xcr0, high;
    __asm__ volatile("xgetbv" : "=a"(xcr0), "=d"(high) : "c"(0));
    return xcr0;
}

/* The CPU must have the instructions, and the system must save the registers (bits 1 and 2 of XCR0): a system
 * or a virtual machine may leave the second undone while CPUID reports the first. */
static int cpu_has_avx2(void) {
    const unsigned fma = 1u << 12, osxsave = 1u << 27, avx = 1u << 28, f16c = 1u << 29, avx2 = 1u << 5;
    const unsigned need = fma | osxsave | avx | f16c;
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d) || (c & need) != need)
        return 0;
    return (saved_registers() & 6) == 6 && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (b & avx2);
}

/* F, DQ, BW, VL and VNNI; the system also saves the masks and the registers' upper halves (bits 5 to 7). */
static int cpu_has_avx512(void) {
    const unsigned f = 1u << 16, dq = 1u << 17, bw = 1u << 30, vl = 1u << 31;
    const unsigned need = f | dq | bw | vl, vnni = 1u << 11;
    unsigned a, b, c, d;
    return (saved_registers() & 0xe6) == 0xe6 && __get_cpuid_count(7, 0, &a, &b, &c, &d) &&
           (b & need) == need && (c & vnni);
}
#elif defined(HAVE_NEON_DOT)
#ifdef __linux__
#include <sys/auxv.h>
static int cpu_has_dot(void) { return getauxval(AT_HWCAP) >> 20 & 1; } /* HWCAP_ASIMDDP */
#elif defined(__ARM_FEATURE_DOTPROD)
static int cpu_has_dot(void) { return 1; }
#else
static int cpu_has_dot(void) { return 0; }
#endif
#endif

enum { MAX_ISAS = 8 };
static const isa_table *isas[MAX_ISAS], *chosen = &isa_portable;

static int detect(void) {
    int n = 0;
    isas[n++] = &isa_portable;
#ifdef HAVE_AVX2
    if (cpu_has_avx2())
        isas[n++] = &isa_avx2;
    if (n > 1 && cpu_has_avx512())
        isas[n++] = &isa_avx512;
#elif defined(HAVE_NEON)
    isas[n++] = &isa_neon;
#ifdef HAVE_NEON_DOT
    if (cpu_has_dot())
        isas[n++] = &isa_neon_dot;
#endif
#endif
    return n;
}

int chronos_isa_choose(const char *name) {
    int n = detect();
    for (int i = n - 1; i >= 0; i--)
        if (!name || strcmp(name, isas[i]->name) == 0) {
            chosen = isas[i];
            return CHRONOS_OK;
        }
    return CHRONOS_BAD_ISA;
}

const isa_table *isa_chosen(void) { return chosen; }

const char *chronos_isa_name(void) { return chosen->name; }

const char *chronos_isa_at(int i) { return i >= 0 && i < detect() ? isas[i]->name : NULL; }
