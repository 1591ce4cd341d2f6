/* The header that all C of chronos.native shares: layouts, and what each file of kernels promises the others.
 * It is no public interface (that is __init__.py) and knows nothing of Python. Everything in it is a
 * type, a prototype or `static inline`. Shapes: B rows of x, N rows of w (outputs), K columns of both. */
#ifndef CHRONOS_NATIVE_H
#define CHRONOS_NATIVE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* A block is 32 consecutive weights of one row, laid out as llama.cpp lays them out. d is an IEEE half,
 * little-endian; blocks lie one after another without padding, so nothing here is aligned.
 *
 *   Q4_0, 18 bytes:  | d d | q0+q16<<4 | q1+q17<<4 | ... | q15+q31<<4 |    weight = d * (q - 8), q in 0..15
 *   Q8_0, 34 bytes:  | d d | q0 | q1 | ... | q31 |                         weight = d * q, q in -128..127 */
enum { BLOCK = 32, Q4_0_BYTES = 18, Q8_0_BYTES = 34 };
enum { CHRONOS_Q4_0 = 2, CHRONOS_Q8_0 = 8 }; /* ggml's own numbers for the types */

/* Activations, quantized on the fly: eight blocks of 32 together, so that their scales fill a vector.
 * A row of K takes ceil(K/256) groups; the blocks past its end hold zeros.
 *
 *   codes[j][i] = round_to_even(x / scale[j]), in -127..127     scale[j] = max|x| / 127 of block j
 *   offset[j] = -8 * scale[j] * sum(codes[j])                   what the "- 8" of Q4_0 comes to
 *
 * A block with NaN or infinity gets codes 0 and scale NaN, so that its whole row of y is NaN; a block whose
 * max|x| is below TINY counts as zero, for 127 / max|x| could overflow. */
enum { GROUP = 8 };
#define TINY 0x1p-120f
typedef struct {
    int8_t codes[GROUP][BLOCK];
    float scale[GROUP];
    float offset[GROUP];
} x_group;

/* A part of a product: w (rows, blocks) and groups (cols, ceil(blocks/8)) are read, y[c * ldy + r] is written
 * for r < rows and c < cols. The caller owns all three. */
typedef struct {
    const uint8_t *w;
    const x_group *groups;
    float *y;
    size_t rows, cols, blocks, ldy;
} part;

/* quantize_x: x (K,) is read, groups (ceil(K/256),) written whole. product: see `part`; how an element is
 * computed depends on neither rows nor cols, so results are the same for every number of threads and every
 * batch. */
typedef void quantize_x_fn(const float *x, size_t k, x_group *groups);
typedef void product_fn(const part *p);

/* What a CPU can do, one such table an ISA; dispatch.c chooses. */
typedef struct panel_table panel_table; /* products.h: what it does with packed weights */
typedef struct {
    const char *name;
    quantize_x_fn *quantize_x;
    product_fn *q4_0, *q8_0;
    const panel_table *panels; /* NULL: the portable ones */
} isa_table;

extern const isa_table isa_portable;
quantize_x_fn portable_quantize_x; /* for an ISA that has none of its own */
#if defined(__x86_64__) && (defined(__GNUC__) || defined(__clang__))
#define HAVE_AVX2 1
extern const isa_table isa_avx2, isa_avx512;
#elif defined(__aarch64__) && !defined(__AARCH64EB__)
#define HAVE_NEON 1 /* every 64-bit ARM has it; SDOT is for those that dispatch.c asks */
#if defined(__ARM_FEATURE_DOTPROD) || __clang_major__ >= 17 || (!defined(__clang__) && __GNUC__ >= 8)
#define HAVE_NEON_DOT 1
#endif
extern const isa_table isa_neon, isa_neon_dot;
#endif

/* dispatch.c. chronos_isa_choose(NULL) takes the best; a name that this CPU or this build lacks is refused.
 * chronos_isa_at lists what there is, slowest first, and NULL past its end. */
int chronos_isa_choose(const char *name);
const isa_table *isa_chosen(void);
const char *chronos_isa_name(void);
const char *chronos_isa_at(int i);

/* pool.c. Runs task(context, i) once for each i < n, on all threads, and returns when all are done; n < 2^31.
 * A second caller at the same time, and a call from within a task, run their tasks alone. */
typedef void pool_task(void *context, size_t i);
void pool_run(pool_task *task, void *context, size_t n);
int chronos_set_threads(int n); /* 1 <= n <= 256; returns the number that will be used */
int chronos_threads(void);

/* quants.c, matmul.c: what Python calls. Each returns 0, or an error that __init__.py would have caught.
 *   quantize:   w (rows, k) float32 -> blocks (rows, ceil(k/32))       dequantize: the way back
 *   matmul:     x (b, k), w (n, ceil(k/32)) blocks -> y (b, n) = x w^T
 *   nonfinite:  the index of the first NaN or infinity among x (n,), or n */
enum { CHRONOS_OK, CHRONOS_BAD_TYPE = -1, CHRONOS_BAD_K = -2, CHRONOS_NO_MEMORY = -3, CHRONOS_BAD_ISA = -4, CHRONOS_BAD_INDEX = -5 };
int chronos_quantize(int type, const float *w, size_t rows, size_t k, uint8_t *blocks);
int chronos_dequantize(int type, const uint8_t *blocks, size_t rows, size_t k, float *w);
int chronos_matmul(int type, const uint8_t *w, size_t n, size_t k, const float *x, size_t b, float *y);
size_t chronos_nonfinite(const float *x, size_t n);

/* limits.c, for the clock.
 *   read:  reads data (bytes,) so many times with all threads; the sum of its words (whole steps of 256 bytes)
 *          times `times`, modulo 2^64; with times > 1 each thread keeps to a part of its own
 *   peak:  the operations that all threads did together, of float32 (0), int8 (1) or bf16 (2); 0 if this ISA
 *          has none
 *   empty_jobs: that do nothing */
uint64_t chronos_read(const uint8_t *data, size_t bytes, size_t times);
double chronos_peak(int kind, size_t rounds);
void chronos_empty_jobs(size_t jobs);

static inline size_t block_bytes(int type) { /* 0 for a type that we do not have */
    return type == CHRONOS_Q4_0 ? Q4_0_BYTES : type == CHRONOS_Q8_0 ? Q8_0_BYTES : 0;
}

static inline size_t groups_of(size_t k) { return (k + BLOCK * GROUP - 1) / (BLOCK * GROUP); }

static inline uint32_t float_bits(float f) {
    uint32_t u;
    memcpy(&u, &f, sizeof u);
    return u;
}

static inline float float_of_bits(uint32_t u) {
    float f;
    memcpy(&f, &u, sizeof f);
    return f;
}

/* float32 to half, to nearest, ties to even; too large becomes infinity, a NaN stays one. */
static inline uint16_t half_of_float(float f) {
    uint32_t u = float_bits(f), sign = u >> 16 & 0x8000, a = u & 0x7fffffff;
    if (a > 0x7f800000)
        return (uint16_t)(sign | 0x7e00);
    if (a >= 0x477ff000) /* 65520: what rounds past the largest half */
        return (uint16_t)(sign | 0x7c00);
    if (a < 0x38800000) /* below 2^-14 a half counts in steps of 2^-24: let a float addition round to them */
        return (uint16_t)(sign | (float_bits(float_of_bits(a) + 0.5f) - 0x3f000000));
    return (uint16_t)(sign | ((a + 0xfff + (a >> 13 & 1) - 0x38000000) >> 13));
}

static inline float float_of_half(uint16_t h) {
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, a = h & 0x7fff;
    if (a >= 0x7c00)
        return float_of_bits(sign | 0x7f800000 | (a & 0x3ff) << 13);
    if (a >= 0x400)
        return float_of_bits(sign | ((a << 13) + 0x38000000));
    return float_of_bits(sign | float_bits((float)a * 0x1p-24f));
}

static inline uint16_t load_half(const uint8_t *p) { return (uint16_t)(p[0] | p[1] << 8); }
static inline void store_half(uint8_t *p, uint16_t h) { p[0] = (uint8_t)h, p[1] = (uint8_t)(h >> 8); }

#endif
