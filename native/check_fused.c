/* Checks of the fused kernels alone, to be run under sanitizers.
 * Every function of fused.h on odd sizes, in buffers that end where the data ends: each ISA near the portable
 * one, and the same bits from any number of threads. Not part of the extension.
 * Run with `make -C native sanitize`; check_fused.py is its counterpart for the built extension. */
#include "check.h"
#include "fused.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { MOST = 16, FUNCTIONS = 18 };

/* The arrays of one call, each of its own size. Results are those from `first` on. */
typedef struct {
    float *arrays[MOST];
    size_t sizes[MOST];
    int count, first;
} bag;

static void fail(const char *what, int function, size_t r, size_t d) {
    fprintf(stderr, "FAILED: %s (%s, function %d, R %zu, D %zu)\n", what, chronos_isa_name(), function, r, d);
    exit(1);
}

static float *take(bag *b, size_t n) {
    float *array = malloc(n * sizeof *array);
    b->arrays[b->count] = array;
    b->sizes[b->count++] = n;
    return array;
}

static float *given(bag *b, size_t n, float least, float most) {
    float *array = take(b, n);
    for (size_t i = 0; i < n; i++)
        array[i] = least + (most - least) * (float)noise() * 0x1p-32f;
    b->first = b->count;
    return array;
}

/* An array that a function changes in place counts as a result. */
static float *changed(bag *b, size_t n, float least, float most) {
    int first = b->first;
    float *array = given(b, n, least, most);
    b->first = first;
    return array;
}

static int64_t *indices(size_t n, int64_t least, int64_t end) {
    int64_t *ids = malloc(n * sizeof *ids);
    for (size_t i = 0; i < n; i++)
        ids[i] = least + (int64_t)(noise() % (uint64_t)(end - least));
    return ids;
}

static int norms(int function, size_t r, size_t d, bag *b) {
    size_t heads = function < 12 ? 3 : 1, some = function < 12 ? 2 : 1;
    float *x = given(b, r * heads * d, -2, 2), *gain = given(b, some * d, -2, 2), *shift = NULL, *dy = NULL;
    float *mean = NULL, *rstd = NULL;
    if (function == 12)
        shift = given(b, d, -1, 1);
    if (function == 11 || function == 13) {
        dy = given(b, r * heads * d, -1, 1);
        mean = given(b, r, -1, 1);
        rstd = given(b, r * some, 0.5, 2);
    } else {
        mean = take(b, r);
        rstd = take(b, r * some);
        memset(mean, 0, r * sizeof *mean);
    }
    float *y = take(b, r * heads * d), *sums = dy ? take(b, some * d) : NULL;
    switch (function) {
    case 10: return chronos_rms_norm(x, gain, 1e-5f, y, rstd, r, heads, some, d);
    case 11: return chronos_rms_norm_backward(dy, x, gain, rstd, y, sums, r, heads, some, d);
    case 12: return chronos_layer_norm(x, gain, shift, 1e-5f, y, mean, rstd, r, d);
    default: return chronos_layer_norm_backward(dy, x, gain, mean, rstd, y, sums, take(b, d), r, d);
    }
}

static int softmaxes(int function, size_t r, size_t d, bag *b) {
    int64_t *ids = function == 17 ? indices(r, -1, (int64_t)d) : indices(2 * r, 0, (int64_t)d + 1);
    size_t n = function == 17 ? r : 6 * r; /* (B, H, T) = (2, 3, R) */
    float *more = given(b, n, 1, 2), *p = given(b, n * d, -1, 1), *rows = changed(b, n * d, -5, 5);
    float *out = function == 14 || function == 17 ? take(b, n) : NULL;
    int code;
    switch (function) {
    case 14: code = chronos_softmax(rows, ids, 0.5f, out, 2, 3, r, d); break;
    case 15: code = chronos_softmax_again(rows, more, ids, 0.5f, 2, 3, r, d); break;
    case 16: code = chronos_softmax_backward(p, rows, more, 0.5f, n, d); break;
    default: code = chronos_cross_entropy(rows, ids, 0.5f, out, r, d);
    }
    for (size_t i = 0; out && i < n; i++) /* where nothing is visible */
        out[i] = isinf(out[i]) ? -1e3f : out[i];
    free(ids);
    return code;
}

static int elements(int function, size_t r, size_t d, bag *b) {
    static const float adam[9] = {1e-2f, 0.9f, 0.99f, 0.1f, 0.01f, 1e-8f, 0.99f, 1.5f, 0.5f};
    size_t n = r * d;
    float *x = given(b, 6 * n, -20, 20), *dy = given(b, n, -2, 2), *turn = given(b, n, -1, 1);
    float *w = NULL, *m = NULL, *v = NULL;
    if (function == 9) {
        w = changed(b, n, -1, 1);
        m = changed(b, n, -1, 1);
        v = changed(b, n, 0, 1);
    }
    switch (function) {
    case 5: return chronos_gelu_backward(dy, x, take(b, n), n);
    case 6: return chronos_swiglu(x, take(b, n), r, d);
    case 7: return chronos_swiglu_backward(dy, x, take(b, 2 * n), r, d);
    case 8: return chronos_rotary(x, turn, dy, take(b, 6 * n), r, 3, 2, 2 * d);
    case 9: return chronos_adamw(w, dy, m, v, n, adam);
    default: return chronos_map(function, x, take(b, n), n);
    }
}

static bag call(int function, size_t r, size_t d) {
    bag b = {.count = 0};
    seed = (uint64_t)function * 1000003 + r * 1009 + d;
    int code = function < 10 ? elements(function, r, d, &b)
               : function < 14 ? norms(function, r, d, &b) : softmaxes(function, r, d, &b);
    if (code != CHRONOS_OK)
        fail("refused", function, r, d);
    return b;
}

/* Whether results agree: to the bit, or to 2^-16 of the largest in their array. */
static void compare(const bag *a, const bag *b, int bits, const char *what, int function, size_t r, size_t d) {
    for (int j = a->first; j < a->count; j++) {
        float largest = 1;
        for (size_t i = 0; i < a->sizes[j]; i++)
            largest = fmaxf(largest, fabsf(b->arrays[j][i]));
        for (size_t i = 0; i < a->sizes[j]; i++) {
            float off = fabsf(a->arrays[j][i] - b->arrays[j][i]);
            if (bits ? float_bits(a->arrays[j][i]) != float_bits(b->arrays[j][i]) : !(off <= 0x1p-16f * largest))
                fail(what, function, r, d);
        }
    }
}

static void release(bag *b) {
    for (int j = 0; j < b->count; j++)
        free(b->arrays[j]);
}

static void check(const char *isa, int function, size_t r, size_t d) {
    chronos_isa_choose("portable");
    chronos_set_threads(1);
    bag truth = call(function, r, d);
    chronos_isa_choose(isa);
    bag alone = call(function, r, d);
    compare(&alone, &truth, 0, "an ISA differs", function, r, d);
    chronos_set_threads(3);
    bag shared = call(function, r, d);
    compare(&shared, &alone, 1, "threads change results", function, r, d);
    release(&truth), release(&alone), release(&shared);
}

static void check_refusals(void) {
    float x[4] = {0}, y[4];
    int64_t ids[2] = {1, 2};
    if (chronos_map(5, x, y, 4) != CHRONOS_BAD_TYPE || chronos_map(-1, x, y, 4) != CHRONOS_BAD_TYPE
        || chronos_cross_entropy(x, ids, 1, y, 2, 2) != CHRONOS_BAD_INDEX
        || chronos_softmax(x, ids, 1, y, 1, 1, 2, 1) != CHRONOS_BAD_INDEX)
        fail("taken, though wrong", 0, 0, 0);
}

int main(void) {
    static const size_t rows[] = {0, 1, 3, 130}, columns[] = {1, 2, 7, 16, 17, 33, 129};
    const char *isa;
    for (int i = 0; (isa = chronos_isa_at(i)); i++) {
        for (int f = 0; f < FUNCTIONS; f++) {
            for (int a = 0; a < 4; a++)
                for (int c = 0; c < 7; c++)
                    check(isa, f, rows[a], columns[c]);
            check(isa, f, 700, 257); /* enough for several threads */
        }
        printf("%s: good\n", isa);
    }
    check_refusals();
    chronos_set_threads(1);
    return 0;
}
