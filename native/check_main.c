/* Checks of the C code alone, to be run under sanitizers.
 * Every ISA against sums in double on odd sizes, in buffers that end where the data ends; numbers of threads,
 * two callers at once, a fork. Not part of the extension.
 * Run with `make -C native sanitize`; check_kernels.py is its counterpart for the built extension. */
#define _POSIX_C_SOURCE 200809L
#include "check.h"
#include "chronos_native.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void fail(const char *what, int type, size_t n, size_t k, size_t b) {
    const char *isa = chronos_isa_name();
    fprintf(stderr, "FAILED: %s (%s, type %d, n %zu, k %zu, b %zu)\n", what, isa, type, n, k, b);
    exit(1);
}

typedef struct {
    int type;
    size_t n, k, b;
    uint8_t *memory, *w; /* w at an odd address, for files promise no alignment */
    float *x, *y;
} problem;

static problem make_problem(int type, size_t n, size_t k, size_t b) {
    problem p = {type, n, k, b, NULL, NULL, malloc(b * k * sizeof(float)), malloc(b * n * sizeof(float))};
    size_t bytes = n * (k / BLOCK) * block_bytes(type);
    p.memory = malloc(bytes + 1);
    p.w = p.memory + 1;
    for (size_t i = 0; i < bytes; i++) /* every code there is, -128 too */
        p.w[i] = (uint8_t)noise();
    for (size_t i = 0; i < bytes; i += block_bytes(type))
        store_half(p.w + i, half_of_float(uniform()));
    for (size_t i = 0; i < b * k; i++)
        p.x[i] = uniform();
    return p;
}

static void free_problem(problem *p) {
    free(p->memory);
    free(p->x);
    free(p->y);
}

static void multiply(problem *p) {
    if (chronos_matmul(p->type, p->w, p->n, p->k, p->x, p->b, p->y) != CHRONOS_OK)
        fail("matmul refused", p->type, p->n, p->k, p->b);
}

/* Every y against the sum in double of the same codes: float32 may lose 2^-21 of the sum of magnitudes. */
static void check_product(problem *p) {
    float *w = malloc(p->n * p->k * sizeof(float) + 1);
    x_group *groups = malloc(groups_of(p->k) * sizeof(x_group) + 1);
    chronos_dequantize(p->type, p->w, p->n, p->k, w);
    multiply(p);
    for (size_t c = 0; c < p->b; c++) {
        isa_portable.quantize_x(p->x + c * p->k, p->k, groups);
        for (size_t r = 0; r < p->n; r++) {
            double sum = 0, magnitude = 0;
            for (size_t i = 0; i < p->k; i++) {
                const x_group *g = groups + i / BLOCK / GROUP;
                size_t j = i / BLOCK % GROUP;
                double term = (double)w[r * p->k + i] * (double)g->scale[j] * g->codes[j][i % BLOCK];
                sum += term;
                magnitude += fabs(term);
            }
            if (!(fabs((double)p->y[c * p->n + r] - sum) <= 0x1p-21 * magnitude))
                fail("product", p->type, p->n, p->k, p->b);
        }
    }
    free(w);
    free(groups);
}

/* Quantize and back: within half a step (Q8_0), a step (Q4_0: the largest value of the other sign is cut). */
static void check_round_trip(const problem *p) {
    size_t size = p->b * p->k, bytes = size / BLOCK * block_bytes(p->type);
    uint8_t *blocks = malloc(bytes);
    float *back = malloc(size * sizeof(float));
    chronos_quantize(p->type, p->x, p->b, p->k, blocks);
    chronos_dequantize(p->type, blocks, p->b, p->k, back);
    for (size_t i = 0; i < size; i++)
        if (fabsf(back[i] - p->x[i]) > (p->type == CHRONOS_Q4_0 ? 0.126f : 0.0045f))
            fail("round trip", p->type, p->b, p->k, 0);
    if (chronos_nonfinite(p->x, size) != size)
        fail("nonfinite", p->type, p->b, p->k, 0);
    for (size_t i = 0; i < size; i++) /* any float there is, even NaN, is defined behaviour */
        back[i] = float_of_bits(noise() << noise() % 9);
    chronos_quantize(p->type, back, p->b, p->k, blocks);
    free(blocks);
    free(back);
}

static void *call(void *context) {
    for (int i = 0; i < 8; i++)
        multiply(context);
    return NULL;
}

/* The same bits from any number of threads, from two callers at once, and in a forked child. */
static void check_threads(int type, int forking) {
    problem p = make_problem(type, 300, 544, 70), q = p;
    size_t bytes = p.b * p.n * sizeof(float);
    chronos_set_threads(1);
    multiply(&p);
    q.y = malloc(bytes);
    for (int threads = 1; threads <= 5; threads++) {
        chronos_set_threads(threads);
        pthread_t other;
        pthread_create(&other, NULL, call, &q);
        problem mine = make_problem(type, 65, 96, 3);
        call(&mine);
        pthread_join(other, NULL);
        free_problem(&mine);
        if (memcmp(p.y, q.y, bytes))
            fail("threads change results", type, p.n, p.k, p.b);
    }
    int status = 0;
    pid_t child = forking ? fork() : -1;
    if (child == 0) { /* where the pool's threads do not exist, and must not be waited for */
        chronos_set_threads(3);
        multiply(&q);
        _exit(memcmp(p.y, q.y, bytes) != 0);
    }
    if (forking && (waitpid(child, &status, 0) != child || status != 0))
        fail("forked child", type, p.n, p.k, p.b);
    free(q.y);
    free_problem(&p);
}

static _Atomic int taken[64];

static void take(void *context, size_t i) {
    (void)context;
    atomic_fetch_add(&taken[i], 1);
}

/* Larger and larger jobs, each right behind the last: each task of each runs once. A hang ends by alarm. */
static void check_jobs(void) {
    alarm(120);
    for (int threads = 2; threads <= 4; threads++) {
        chronos_set_threads(threads);
        for (int round = 0; round < 5000; round++) {
            for (size_t n = 2; n <= 64; n++)
                pool_run(take, NULL, n);
            for (size_t i = 0; i < 64; i++)
                if (atomic_exchange(&taken[i], 0) != (int)(i < 2 ? 63 : 64 - i))
                    fail("a task ran twice or never", 0, i, (size_t)round, (size_t)threads);
        }
    }
    chronos_set_threads(1);
    alarm(0);
}

static void check_sizes(int type) {
    static const size_t ns[] = {0, 1, 2, 3, 5, 17, 66}, ks[] = {0, 32, 224, 256, 288, 544};
    static const size_t bs[] = {0, 1, 3, 4, 9, 65};
    for (int n = 0; n < 7; n++)
        for (int k = 0; k < 6; k++)
            for (int b = 0; b < 6; b++) {
                problem p = make_problem(type, ns[n], ks[k], bs[b]);
                check_product(&p);
                check_round_trip(&p);
                free_problem(&p);
            }
}

/* With "threads" only those, without a fork, which the thread sanitizer cannot follow; with "sizes" the rest, for
 * an emulator can follow neither. */
int main(int count, char **arguments) {
    int whole = count == 1, sizes = whole || strcmp(arguments[1], "sizes") == 0;
    const char *isa;
    if (whole || !sizes)
        check_jobs();
    for (int i = 0; (isa = chronos_isa_at(i)); i++) {
        if (chronos_isa_choose(isa) != CHRONOS_OK || strcmp(chronos_isa_name(), isa))
            fail("choosing an ISA", 0, 0, 0, 0);
        for (int t = 0; t < 2; t++) {
            int type = t ? CHRONOS_Q8_0 : CHRONOS_Q4_0;
            if (whole || !sizes)
                check_threads(type, whole);
            if (sizes)
                check_sizes(type);
        }
        printf("%s: good\n", chronos_isa_name());
    }
    uint8_t zeros[100] = {0};
    chronos_set_threads(1);
    return chronos_read(zeros, sizeof zeros, 1) != 0 || chronos_isa_choose("none") != CHRONOS_BAD_ISA;
}
