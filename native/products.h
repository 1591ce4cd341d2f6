/* Products with packed weights: 16 rows of w side by side, so that a vector holds one number of each row.
 * What pack.c lays out, packed.c cuts into tasks and packed_*.c multiply. No file holds this layout: it is
 * made once, when weights are loaded. Shapes: B rows of x, N rows of w, K columns of both. */
#ifndef CHRONOS_PRODUCTS_H
#define CHRONOS_PRODUCTS_H

#include "chronos_native.h"

/* Types beside Q4_0 and Q8_0. INT4 is ours: groups of G = 32, 64 or 128 weights share d, codes are 1..15, and
 * each 32 weights in a group have their nibbles in the order of Q4_0. Q2_K is llama.cpp's: 256 weights, each
 * sixteen of which have a scale and a minimum of four bits. F16, BF16: one number of two bytes a weight.
 *
 *   INT4_G, 2 + G/2 bytes:  | d d | q0+q16<<4 ... q15+q31<<4 | q32+q48<<4 ... |     weight = d * (q - 8)
 *   Q2_K, 84 bytes:  | scale+min<<4, 16 of them | 64 bytes of codes | d d | dmin dmin |
 *     weight = d * scale * q - dmin * min, q in 0..3; code 128h + 32p + i is bits 2p, 2p+1 of byte 32h + i */
enum { SUPER = 256, Q2_K_BYTES = 84 };
enum {
    CHRONOS_F16 = 1,
    CHRONOS_Q2_K = 10,
    CHRONOS_BF16 = 30, /* ggml's numbers so far; those of INT4 are not ggml's */
    CHRONOS_INT4_32 = 1032,
    CHRONOS_INT4_64 = 1064,
    CHRONOS_INT4_128 = 1128
};

/* A type's shape: weights and bytes a block; blocks of these bytes lie one after another in a row. */
typedef struct {
    size_t weights, bytes;
} format;
format format_of(int type); /* {0, 0} for a type that we do not have */

/* Rows are of any length: zeros fill up the last block of each when it is made; x counts as zero there, and
 * nothing of it comes back. `filled` is k with them, row_bytes what a row takes. */
static inline size_t filled(int type, size_t k) {
    size_t weights = format_of(type).weights;
    return (k + weights - 1) / weights * weights;
}
static inline size_t row_bytes(int type, size_t k) {
    format f = format_of(type);
    return (k + f.weights - 1) / f.weights * f.bytes;
}

/* Blocks one after another: x (count, weights) to blocks, and the way back. */
typedef struct {
    void (*quantize)(const float *x, uint8_t *blocks, size_t count);
    void (*dequantize)(const uint8_t *blocks, float *x, size_t count);
} codec;
codec codec_of(int type);
extern const codec codec_q2_k, codec_int4_32, codec_int4_64, codec_int4_128, codec_f16, codec_bf16;

/* A panel is 16 rows (the last is filled up with zeros), from block to block; "x16" is once for each row, and
 * 4 bytes x 16 fill a vector. Every step begins on a cache line.
 *
 *   Q4_0, INT4, a step of 64 weights, 576 bytes:   d x16 | d x16 | 4 bytes x16, 4 times | the same, 4 times
 *   Q8_0, a step of 64 weights, 1,088 bytes:       d x16 | d x16 | 4 bytes x16, 8 times | the same, 8 times
 *   Q2_K, a step of 256 weights, 1,344 bytes:      d x16 | dmin x16 | 4 scales x16, 4 times | 4 bytes x16, ...
 *   F16, a step of 2 weights, 64 bytes:            w x16 | w x16
 *   BF16, a step of 2 weights, 64 bytes:           w w x16
 *
 * Bytes are those of the block, in their order, but Q8_0's codes have 128 added: they must be unsigned. */
enum { PANEL = 16, LANES4 = 64 };
static inline size_t panel_step_weights(int type) {
    return type == CHRONOS_Q2_K ? SUPER : type == CHRONOS_F16 || type == CHRONOS_BF16 ? 2 : 2 * BLOCK;
}
static inline size_t panel_step_bytes(int type) {
    if (type == CHRONOS_Q2_K)
        return 21 * LANES4;
    if (type == CHRONOS_F16 || type == CHRONOS_BF16)
        return LANES4;
    return type == CHRONOS_Q8_0 ? 17 * LANES4 : 9 * LANES4;
}
static inline size_t panel_steps(int type, size_t k) {
    return (k + panel_step_weights(type) - 1) / panel_step_weights(type);
}
static inline size_t panel_bytes(int type, size_t k) { return panel_steps(type, k) * panel_step_bytes(type); }

/* One panel from the blocks of its rows, 1..16; and one row's blocks from all panels. k is whole blocks. */
void pack_panel(int type, const uint8_t *blocks, size_t rows, size_t k, uint8_t *panel);
void unpack_row(int type, const uint8_t *panels, size_t k, size_t row, uint8_t *blocks);

/* x of `cols` rows, 1..COLS, quantized for one pass over the panels. For each step of weights, s = 32 (two of
 * them a panel step) or, for Q2_K, 256:
 *
 *   32:   codes int8 (cols, 32) | scale float (cols) | bias int32 (cols)
 *   256:  codes int8 (16, cols, 16) | scale float (cols) | sums int16 (8, cols, 2)
 *
 * code = round_to_even(x / scale), scale = max|x| / 127 of the step. bias = -zero times the codes' sum, where
 * zero is what w's codes have too much, 8 or (Q8_0) 128. `sums` are those of 16 codes; pair i is of
 * the sixteens 4(i/2) + i%2 and 4(i/2) + i%2 + 2, the order in which Q2_K's minima come out of a vector.
 * NaN, infinity and what is below TINY are treated as in chronos_native.h. F16 takes x as it is: float (k rounded
 * up to 2, cols). BF16 takes it rounded to bf16, by bf16_of_float: pairs of columns (k / 2 rounded up, cols). */
enum { COLS = 4, XSTEP_BYTES = 40, XSUPER_BYTES = 292 };
static inline size_t x_bytes(int type, size_t k, size_t cols) {
    size_t w = panel_step_weights(type), steps = panel_steps(type, k);
    size_t floats = type == CHRONOS_BF16 ? 1 : 2;
    return steps * cols * (w == SUPER ? XSUPER_BYTES : w == 2 ? floats * sizeof(float) : 2 * XSTEP_BYTES);
}

/* Two panels, which may be the same, by the quantized x of `cols` rows, over some steps: y[c * ldy + r] is written
 * for r < rows, up to 32, and c < cols; with `more` the sums go on from what stands there; `fresh` panels are not
 * in a cache yet. An element is computed alike whatever rows and cols are and however the steps are cut. */
typedef struct {
    const uint8_t *panel[2], *x;
    float *y;
    size_t steps, rows, ldy;
    int more, fresh;
    size_t skip; /* bytes between the end of each panel and what is read after it */
    uintptr_t next[2]; /* where to ask early for what comes later, so many lines in each step */
    size_t lines;
} panel_part;
enum { FIRST_LEVEL = 28 << 10 }; /* bytes of two panels at a time, where several rows of x read them again */
enum { BF16_STEPS = FIRST_LEVEL / (2 * LANES4) }; /* of BF16 then: packed_bf16.c joins sums there */
typedef void panel_fn(const panel_part *p, size_t cols);
typedef void prepare_fn(const float *x, size_t ldx, size_t cols, size_t k, int zero, uint8_t *out);

/* y (BACK_COLS,) of each of b rows += sum over r < rows of g[r] * w[r] (BACK_COLS,), r one after another. */
enum { BACK_COLS = 256 };
typedef void accumulate_fn(const float *g, size_t ldg, size_t b, const float *w, size_t rows, float *y);

/* What an ISA does with panels: quantizing x by 32 and by 256, and the products; and the way back. */
struct panel_table {
    prepare_fn *prepare, *prepare_super;
    panel_fn *q4_0, *q8_0, *q2_k, *f16, *bf16;
    accumulate_fn *accumulate;
};
extern const panel_table panels_portable;
prepare_fn portable_prepare, portable_prepare_super; /* for an ISA that has none of its own */
#ifdef HAVE_AVX2
#define HAVE_AVX512 1
extern const panel_table panels_avx2, panels_avx512;
panel_fn panels_bf16; /* where gemm.h's GEMM_AVX512 is, and processors have the instructions */
#endif

/* Inline parts that every ISA shares. */
#define HIGH_HALF 0xffff0000u /* of a pair: its second number, as a float */

static inline int32_t load_i32(const uint8_t *p) {
    int32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline float load_f32(const uint8_t *p) {
    float v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* A panel_fn: one copy for each number N of rows of x that pays, so that it is a constant where `call` is inlined. */
#define EACH_COLS(target, name, call)                                                                     \
    target static void name(const panel_part *p, size_t cols) {                                           \
        if (cols == 1) {                                                                                  \
            enum { N = 1 };                                                                               \
            call;                                                                                         \
        } else if (cols == COLS) {                                                                        \
            enum { N = COLS };                                                                            \
            call;                                                                                         \
        } else {                                                                                          \
            size_t N = cols;                                                                              \
            call;                                                                                         \
        }                                                                                                 \
    }

/* Called from Python. Each returns 0 or an error of chronos_native.h.
 *   pack:           blocks of w (n, k) -> panels; packed_bytes says how large they are
 *   unpack_rows:    the blocks of `count` rows of w, from its panels
 *   matmul_packed:  x (b, k), panels of w (n, k) -> y (b, n) = x w^T, nearly
 *   back:           g (b, n), blocks of w (n, k) -> y (b, k) = g w, in float32 */
size_t chronos_packed_bytes(int type, size_t n, size_t k);
int chronos_pack(int type, const uint8_t *blocks, size_t n, size_t k, uint8_t *panels);
int chronos_unpack_rows(int type, const uint8_t *panels, size_t k, const int64_t *rows, size_t count,
                        uint8_t *blocks);
int chronos_matmul_packed(int type, const uint8_t *panels, size_t n, size_t k, const float *x, size_t b,
                          float *y);
int chronos_back(int type, const uint8_t *blocks, size_t n, size_t k, const float *g, size_t b, float *y);

#endif
