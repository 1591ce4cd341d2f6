/* Checks of the float products' C alone, to be run under sanitizers.
 * Every ISA against sums in double on odd sizes and strides, in buffers that end where the data ends; numbers
 * of threads, two callers at once, a fork. Not part of the extension.
 * Run with `make -C native sanitize`; check_gemm.py is its counterpart for the built extension. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"
#include "gemm.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* c (m, n), its rows `gap` floats apart beyond n, is to be a b; turned: the matrix lies column by column. */
typedef struct {
    int kind, a_turned, b_turned, packed, add;
    size_t m, n, k, gap;
    float *a, *b, *c;
    uint32_t *panels;
} problem;

static void fail(const char *what, const problem *p) {
    fprintf(stderr, "FAILED: %s (%s, kind %d, turned %d %d, packed %d, add %d, m %zu, n %zu, k %zu)\n", what,
            chronos_isa_name(), p->kind, p->a_turned, p->b_turned, p->packed, p->add, p->m, p->n, p->k);
    exit(1);
}

static size_t a_at(const problem *p, size_t i, size_t k) { return p->a_turned ? k * p->m + i : i * p->k + k; }
static size_t b_at(const problem *p, size_t k, size_t j) { return p->b_turned ? j * p->k + k : k * p->n + j; }
static size_t c_room(const problem *p) { return p->m ? (p->m - 1) * (p->n + p->gap) + p->n : 0; }

static void multiply(problem *p) {
    size_t a_row = p->a_turned ? 1 : p->k, a_col = p->a_turned ? p->m : 1;
    size_t b_row = p->b_turned ? 1 : p->n, b_col = p->b_turned ? p->k : 1;
    if (p->packed)
        chronos_gemm_pack(p->kind, p->n, p->k, p->b, b_row, b_col, p->panels);
    if (chronos_gemm(p->kind, p->m, p->n, p->k, p->a, a_row, a_col, p->b, b_row, b_col,
                     p->packed ? p->panels : NULL, p->c, p->n + p->gap, p->add) != CHRONOS_OK)
        fail("refused", p);
}

static void fill(problem *p) {
    size_t bytes = chronos_gemm_packed(p->kind, p->n, p->k) * sizeof *p->panels;
    p->a = floats(p->m * p->k);
    p->b = floats(p->k * p->n);
    p->c = floats(c_room(p));
    p->panels = aligned_alloc(64, bytes + (-bytes & 63));
}

static void clear(problem *p) {
    free(p->a);
    free(p->b);
    free(p->c);
    free(p->panels);
}

static double entering(const problem *p, float x) {
    return p->kind == GEMM_BF16 ? float_of_bits(bf16_of_float(x) << 16) : x;
}

static void check(problem p) {
    fill(&p);
    float *before = malloc(c_room(&p) * sizeof *before);
    memcpy(before, p.c, c_room(&p) * sizeof *before);
    multiply(&p);
    for (size_t at = 0; at < c_room(&p); at++) {
        size_t i = at / (p.n + p.gap), j = at % (p.n + p.gap);
        double sum = p.add ? before[at] : 0, magnitude = fabs(sum);
        if (j >= p.n) {
            if (p.c[at] != before[at])
                fail("written beside", &p);
            continue;
        }
        for (size_t k = 0; k < p.k; k++) {
            double term = entering(&p, p.a[a_at(&p, i, k)]) * entering(&p, p.b[b_at(&p, k, j)]);
            sum += term;
            magnitude += fabs(term);
        }
        if (!(fabs(p.c[at] - sum) <= (double)(p.k + 4) * 0x1p-24 * magnitude))
            fail("product", &p);
    }
    free(before);
    clear(&p);
}

static void check_sizes(int kind) {
    static const size_t ms[] = {0, 1, 2, 3, 5, 7, 13, 14, 15, 29}, ns[] = {0, 1, 15, 16, 17, 33, 65, 130};
    static const size_t ks[] = {0, 1, 2, 31, 32, 33, 70};
    for (int m = 0; m < 10; m++)
        for (int n = 0; n < 8; n++)
            for (int k = 0; k < 7; k++)
                for (int way = 0; way < 16; way++) {
                    problem p = {.kind = kind, .m = ms[m], .n = ns[n], .k = ks[k], .gap = (size_t)way % 3};
                    p.a_turned = way & 1, p.b_turned = way >> 1 & 1;
                    p.packed = way >> 2 & 1, p.add = way >> 3;
                    check(p);
                }
    check((problem){.kind = kind, .m = 20, .n = 40, .k = 2 * K_BLOCK + 1, .add = 1, .b_turned = 1});
    check((problem){.kind = kind, .m = 300, .n = 70, .k = 40, .a_turned = 1, .gap = 5});
    check((problem){.kind = kind, .m = 210, .n = 300, .k = 31, .a_turned = 1, .gap = 5});
    check((problem){.kind = kind, .m = 64, .n = 140, .k = 300, .b_turned = 1, .gap = 5});
    check((problem){.kind = kind, .m = 64, .n = 300, .k = 300, .add = 1});
    check((problem){.kind = kind, .m = 9, .n = 160, .k = 269});
    check((problem){.kind = kind, .m = 2, .n = 2100, .k = K_BLOCK + 3});
}

static void *call(void *context) {
    for (int i = 0; i < 4; i++)
        multiply(context);
    return NULL;
}

/* The same bits from any number of threads, from two callers at once, and in a forked child. */
static void check_threads(int kind, int forking) {
    problem p = {.kind = kind, .m = 70, .n = 300, .k = 130, .b_turned = 1};
    problem mine = {.kind = kind, .m = 9, .n = 40, .k = 9};
    fill(&p);
    fill(&mine);
    size_t bytes = c_room(&p) * sizeof *p.c;
    float *expected = malloc(bytes);
    chronos_set_threads(1);
    multiply(&p);
    memcpy(expected, p.c, bytes);
    for (int threads = 1; threads <= 5; threads++) {
        chronos_set_threads(threads);
        pthread_t other;
        pthread_create(&other, NULL, call, &p);
        call(&mine);
        pthread_join(other, NULL);
        if (memcmp(p.c, expected, bytes))
            fail("threads change results", &p);
    }
    int status = 0;
    pid_t child = forking ? fork() : -1;
    if (child == 0) {
        chronos_set_threads(3);
        multiply(&p);
        _exit(memcmp(p.c, expected, bytes) != 0);
    }
    if (forking && (waitpid(child, &status, 0) != child || status != 0))
        fail("forked child", &p);
    free(expected);
    clear(&p);
    clear(&mine);
}

/* A result that goes past the caches, against that of a part of it, which does not. */
static void check_large(void) {
    problem p = {.kind = GEMM_F32, .m = 2100, .n = 2048, .k = 3};
    fill(&p);
    free(p.c);
    p.c = aligned_alloc(64, p.m * p.n * sizeof *p.c);
    multiply(&p);
    problem some = p;
    some.m = 40;
    some.c = floats(some.m * some.n);
    multiply(&some);
    if (memcmp(p.c, some.c, some.m * some.n * sizeof *p.c))
        fail("past the caches", &p);
    free(some.c);
    clear(&p);
}

/* With "threads" only those, without a fork, as in check_main.c; with "sizes" the rest. */
int main(int count, char **arguments) {
    int whole = count == 1, sizes = whole || strcmp(arguments[1], "sizes") == 0;
    const char *isa;
    for (int i = 0; (isa = chronos_isa_at(i)); i++) {
        chronos_isa_choose(isa);
        for (int kind = GEMM_F32; kind <= GEMM_BF16; kind++) {
            if (whole || !sizes)
                check_threads(kind, whole);
            if (sizes)
                check_sizes(kind);
        }
        if (sizes)
            check_large();
        printf("%s: good\n", isa);
    }
    chronos_set_threads(1);
    return 0;
}
