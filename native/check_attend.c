/* Checks of attention in C alone, to be run under sanitizers.
 * Random sizes, in buffers that end where the data ends: each ISA near the portable one, the same bits from any
 * number of threads and whatever other rows there are. What it computes, tests/unit/test_native_attend.py says.
 * Run with `make -C native sanitize`. */
#include "attend.h"
#include "check.h"
#include "gemm.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct {
    size_t batch, tokens, heads, key_heads, k;
    float *x, *grad;
    int64_t *visible;
} problem;

typedef struct {
    float *arrays[3]; /* o, lse, dx */
    size_t sizes[3];
} answer;

static void fail(const char *what, int kind, const problem *p) {
    fprintf(stderr, "FAILED: %s (%s, kind %d, B %zu, T %zu, H %zu, G %zu, K %zu)\n", what, chronos_isa_name(),
            kind, p->batch, p->tokens, p->heads, p->key_heads, p->k);
    exit(1);
}

static problem random_problem(size_t most) {
    problem p = {.batch = noise() % 3, .tokens = noise() % most, .key_heads = 1 + noise() % 3};
    p.heads = p.key_heads * (1 + noise() % 3);
    p.k = 1 + noise() % 40;
    size_t n = p.batch * p.tokens;
    p.x = floats(n * (p.heads + 2 * p.key_heads) * p.k);
    p.grad = floats(n * p.heads * p.k);
    p.visible = malloc(n * sizeof *p.visible);
    int causal = noise() % 2;
    for (size_t i = 0; i < n; i++)
        p.visible[i] = causal ? (int64_t)(i % p.tokens) + 1 : (int64_t)(noise() % (p.tokens + 1));
    return p;
}

static answer solve(int kind, const problem *p) {
    size_t n = p->batch * p->tokens, width = (p->heads + 2 * p->key_heads) * p->k;
    answer a = {{0}, {n * p->heads * p->k, n * p->heads, n * width}};
    for (int i = 0; i < 3; i++)
        a.arrays[i] = malloc(a.sizes[i] * sizeof(float));
    int code = chronos_attend(kind, p->x, p->visible, 0.3f, a.arrays[0], a.arrays[1], p->batch, p->tokens,
                              p->heads, p->key_heads, p->k);
    if (!code)
        code = chronos_attend_backward(kind, p->x, p->visible, 0.3f, a.arrays[1], p->grad, a.arrays[2],
                                       p->batch, p->tokens, p->heads, p->key_heads, p->k);
    if (code)
        fail("refused", kind, p);
    return a;
}

static void release(answer *a) {
    for (int i = 0; i < 3; i++)
        free(a->arrays[i]);
}

/* To the bit, or to `allowed` of the largest; of one kind of infinity each. */
static void compare(const answer *a, const answer *b, float allowed, const char *what, int kind,
                    const problem *p) {
    for (int i = 0; i < 3; i++)
        for (size_t j = 0; j < a->sizes[i]; j++) {
            float x = a->arrays[i][j], y = b->arrays[i][j];
            int same = float_bits(x) == float_bits(y);
            if (!same && !(allowed > 0 && fabsf(x - y) <= allowed * fmaxf(fmaxf(fabsf(x), fabsf(y)), 4)))
                fail(what, kind, p);
        }
}

static void check(const char *isa, int kind, const problem *p) {
    chronos_isa_choose("portable");
    chronos_set_threads(1);
    answer truth = solve(kind, p);
    chronos_isa_choose(isa);
    answer alone = solve(kind, p);
    compare(&alone, &truth, kind == GEMM_F32 ? 0x1p-14f : 0x1p-5f, "an ISA differs", kind, p);
    chronos_set_threads(3);
    answer shared = solve(kind, p);
    compare(&shared, &alone, 0, "threads change results", kind, p);
    release(&truth), release(&alone), release(&shared);
}

static void check_refusals(void) {
    float x[6] = {0}, y[6], lse[2];
    int64_t ids[2] = {1, 3}, below[2] = {-1, 1};
    if (chronos_attend(GEMM_F32, x, ids, 1, y, lse, 1, 2, 1, 1, 1) != CHRONOS_BAD_INDEX ||
        chronos_attend_backward(GEMM_F32, x, below, 1, lse, x, y, 1, 2, 1, 1, 1) != CHRONOS_BAD_INDEX) {
        fprintf(stderr, "FAILED: taken, though wrong\n");
        exit(1);
    }
}

int main(void) {
    const char *isa;
    for (int i = 0; (isa = chronos_isa_at(i)); i++) {
        seed = 7;
        for (int turn = 0; turn < 40; turn++) {
            problem p = random_problem(turn % 4 ? 40 : 120);
            for (int kind = GEMM_F32; kind <= GEMM_BF16; kind++)
                check(isa, kind, &p);
            free(p.x), free(p.grad), free(p.visible);
        }
        printf("%s: good\n", isa);
    }
    check_refusals();
    chronos_set_threads(1);
    return 0;
}
