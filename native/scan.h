/* The header of the scan: what a search for the best keys is given, and what the file of each ISA promises.
 * Shapes: N keys and Q queries of D numbers, k results each. Everything here is borrowed for one call. */
#ifndef CHRONOS_SCAN_H
#define CHRONOS_SCAN_H

#include "chronos_native.h"

/* A column of the N events: the first one's address and the bytes from one to the next (an event may lie in a
 * record, at any alignment). NULL where there is none. */
typedef struct {
    const uint8_t *at;
    size_t stride;
} chronos_column;

/* Of the keys that pass the filters the k with the highest scores. int8 keys take int8 queries: the score is
 * their product in integers, times the key's float32 scale where there are scales. bfloat16 keys take float32
 * queries, which are rounded to bfloat16. A key passes when its byte in `allowed` is not 0, when since <= its
 * int64 time < until, and when wanted[its source, a byte] is not 0. */
typedef struct {
    chronos_column keys, scales, allowed, times, sources;
    size_t n, width, q, k;
    int bf16;
    const void *queries; /* int8 or float32 (q, width) */
    int64_t since, until;
    const uint8_t *wanted;
} chronos_search;

/* ids (q, k), best first, of equal scores the lower id first, -1 where there are no more. scores (q, k):
 * int32 for int8 keys without scales, else float32; none is NaN. width <= SCAN_WIDTH, k <= n. */
int chronos_scan(const chronos_search *search, int64_t *ids, void *scores);

enum {
    SCAN_WIDTH = 1 << 16, /* so that a sum of products of int8 stays below 2^30 */
    SCAN_ROWS = 256,      /* keys whose scores are held at once */
    SCAN_PAD = 64,        /* numbers to a multiple of which a query is padded with zeros */
};

/* Keys (rows, width) `stride` bytes apart, rows <= SCAN_ROWS, and a padded query -> scores (rows,). A sum of
 * bfloat16 has 16 lanes: lane j adds the rounded products i = j, j + 16, ... in this order; then lanes j and
 * j + 8 are added, then j and j + 4, j + 2, j + 1: every ISA gives the same bits. `above` lists where scores
 * are at least `floor`, ascending, and returns how many. */
typedef struct {
    const char *isa;
    void (*int8)(const int8_t *keys, size_t stride, size_t rows, size_t width, const int8_t *query,
                 int32_t *scores);
    void (*bf16)(const uint8_t *keys, size_t stride, size_t rows, size_t width, const float *query,
                 float *scores);
    size_t (*above)(const int32_t *scores, size_t rows, int32_t floor, uint16_t *places);
} scan_kernels;

extern const scan_kernels scan_portable;
#ifdef HAVE_AVX2
extern const scan_kernels scan_avx2, scan_avx512;
#elif defined(HAVE_NEON)
extern const scan_kernels scan_neon, scan_neon_dot;
#endif

static inline float float_of_bf16(const uint8_t *p) { return float_of_bits((uint32_t)load_half(p) << 16); }

/* To nearest, ties to even; a NaN stays one. */
static inline float rounded_to_bf16(float f) {
    uint32_t u = float_bits(f);
    if ((u & 0x7fffffff) > 0x7f800000)
        return f;
    return float_of_bits((u + 0x7fff + (u >> 16 & 1)) & 0xffff0000);
}

/* Floats as integers of the same order, -0 as 0, NaN below all, without a branch; and back. */
static inline int32_t order_of_float(float f) {
    uint32_t u = float_bits(f + 0.0f), negative = 0 - (u >> 31), number = 0 - (uint32_t)(f == f);
    return (int32_t)(((u ^ (negative & 0x7fffffff)) & number) | (~number & 0x80000000));
}
static inline float float_of_order(int32_t i) {
    uint32_t u = (uint32_t)i;
    return float_of_bits(u >> 31 ? u ^ 0x7fffffff : u);
}

#endif
