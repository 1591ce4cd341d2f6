/* Checks of the scan's C alone, to be run under sanitizers: random searches against a plain sort.
 * Every ISA, odd sizes, records without alignment, filters, threads; buffers end where the data ends. Not part
 * of the extension. Run with `make -C native sanitize`; check_scan.py is the counterpart for what is built. */
#include "check.h"
#include "scan.h"

#include <stdio.h>
#include <stdlib.h>

static uint8_t *random_bytes(size_t n, unsigned kinds) {
    uint8_t *p = malloc(n + 1); /* the one more: malloc(0) may be NULL */
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)(noise() % kinds);
    return realloc(p, n ? n : 1);
}

typedef struct {
    int64_t id;
    float score;
} one;

static int compare(const void *a, const void *b) {
    const one *x = a, *y = b;
    if (x->score != y->score)
        return x->score < y->score ? 1 : -1;
    return x->id < y->id ? -1 : 1;
}

/* The score of one key with one query by the definition, through the portable kernels. */
static float score_of(const chronos_search *s, size_t key, size_t query) {
    const uint8_t *at = s->keys.at + key * s->keys.stride;
    float padded[256] = {0}, sum;
    int32_t product;
    if (s->bf16) {
        for (size_t i = 0; i < s->width; i++)
            padded[i] = rounded_to_bf16(((const float *)s->queries)[query * s->width + i]);
        scan_portable.bf16(at, s->keys.stride, 1, s->width, padded, &sum);
        return sum;
    }
    scan_portable.int8((const int8_t *)at, s->keys.stride, 1, s->width,
                       (const int8_t *)s->queries + query * s->width, &product);
    if (!s->scales.at)
        return (float)product;
    memcpy(&sum, s->scales.at + key * s->scales.stride, sizeof sum);
    return (float)product * sum;
}

static int passes(const chronos_search *s, size_t i) {
    int64_t time;
    memcpy(&time, s->times.at + i * s->times.stride, sizeof time);
    return s->allowed.at[i] && s->since <= time && time < s->until && s->wanted[s->sources.at[i]];
}

static void fail(const chronos_search *s, const char *what) {
    fprintf(stderr, "FAILED: %s (%s, bf16 %d, n %zu, width %zu, k %zu)\n", what, chronos_isa_name(), s->bf16,
            s->n, s->width, s->k);
    exit(1);
}

static void check(const chronos_search *s) {
    size_t size = s->q * s->k;
    int64_t *ids = malloc(size * sizeof *ids + 1);
    float *scores = malloc(size * sizeof *scores + 1);
    one *all = malloc(s->n * sizeof *all + 1);
    if (chronos_scan(s, ids, scores) != CHRONOS_OK)
        fail(s, "refused");
    for (size_t q = 0; q < s->q; q++) {
        size_t n = 0;
        for (size_t i = 0; i < s->n; i++) {
            float score = passes(s, i) ? score_of(s, i, q) : 0;
            if (passes(s, i) && score == score)
                all[n++] = (one){(int64_t)i, score};
        }
        qsort(all, n, sizeof *all, compare);
        for (size_t j = 0; j < s->k; j++) {
            int32_t whole;
            memcpy(&whole, scores + q * s->k + j, sizeof whole);
            float found = s->bf16 || s->scales.at ? scores[q * s->k + j] : (float)whole;
            if (ids[q * s->k + j] != (j < n ? all[j].id : -1) || found != (j < n ? all[j].score : 0))
                fail(s, "another key");
        }
    }
    free(ids);
    free(scores);
    free(all);
}

static void check_random(size_t n, size_t width, int bf16) {
    size_t bytes = width * (bf16 ? 2 : 1), stride = bytes + noise() % 5;
    chronos_search s = {.n = n, .width = width, .bf16 = bf16};
    s.q = noise() % 40, s.k = n ? noise() % n % 20 : 0;
    uint8_t *keys = random_bytes(n ? (n - 1) * stride + bytes : 0, noise() % 2 ? 256 : 3);
    uint8_t *allowed = random_bytes(n, 3), *sources = random_bytes(n, 4), *times = random_bytes(8 * n, 2);
    uint8_t *scales = random_bytes(4 * n, 128), *wanted = random_bytes(256, 3);
    size_t numbers = s.q * width;
    int8_t *small = (int8_t *)random_bytes(numbers, 256);
    float *large = malloc(numbers * sizeof *large + 1);
    for (size_t i = 0; i < numbers; i++)
        large[i] = (float)(int32_t)noise() * 0x1p-31f;
    s.keys = (chronos_column){keys, stride};
    s.allowed = (chronos_column){allowed, 1};
    s.sources = (chronos_column){sources, 1};
    s.times = (chronos_column){times, 8};
    if (!bf16 && noise() % 2)
        s.scales = (chronos_column){scales, 4};
    s.since = 2, s.until = INT64_MAX, s.wanted = wanted;
    s.queries = bf16 ? (void *)large : (void *)small;
    check(&s);
    void *used[] = {keys, allowed, sources, times, scales, wanted, small, large};
    for (size_t i = 0; i < sizeof used / sizeof *used; i++)
        free(used[i]);
}

int main(void) {
    static const size_t widths[] = {1, 2, 15, 16, 17, 31, 33, 63, 64, 65, 130};
    const char *isa;
    for (int i = 0; (isa = chronos_isa_at(i)); i++) {
        if (chronos_isa_choose(isa) != CHRONOS_OK)
            return 1;
        for (int threads = 1; threads < 4; threads++) {
            chronos_set_threads(threads);
            for (size_t w = 0; w < sizeof widths / sizeof *widths; w++)
                for (size_t n = 0; n < 40; n += 1 + n / 8)
                    check_random(n, widths[w], (int)(n + w + (size_t)threads) % 2);
            check_random(40000, 65, threads % 2); /* more than one task */
        }
        printf("scan, %s: good\n", isa);
    }
    chronos_set_threads(1);
    return 0;
}
