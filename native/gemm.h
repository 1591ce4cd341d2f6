/* Between the gemm files only: products of float32 matrices, each first packed into panels.
 * c (M, N) = a (M, K) b (K, N), with a and b as they are (F32) or rounded to bf16 (BF16), summed in float32.
 *
 * A panel holds `width` lines (rows of a, columns of b) side by side, in units of 32 bits:
 *
 *   | line 0, unit 0 | line 1, unit 0 | ... | line width-1, unit 0 | line 0, unit 1 | ...
 *
 * A unit of F32 is one float; one of BF16 a pair, k = 2u in its low half and 2u + 1 (0 past K) above.
 * Panels of b are B_WIDTH wide, with zeros past N; those of a, called tiles, have as many lines as they need,
 * at most A_WIDTH. K is cut into blocks of K_BLOCK; all panels of the first come first. */
#ifndef CHRONOS_GEMM_H
#define CHRONOS_GEMM_H

#include "chronos_native.h"

enum { GEMM_F32, GEMM_BF16 };
enum { A_WIDTH = 14, B_WIDTH = 32, K_BLOCK = 2048 };

/* A matrix of which one of the strides is 1; strides count floats. A panel puts lines side by side. */
typedef struct {
    const float *data;
    size_t line_stride, k_stride;
} gemm_source;

/* Some tiles of a by some panels of b for one block of K: c[i * ldc + j] for i < rows, j < cols is set, or
 * with `add` added to. Each tile has tile_rows rows, the last what is left; a_width rows, one tile or several,
 * lie side by side. `stream`: c is too large to be read again soon, and its rows begin on cache lines. */
typedef struct {
    const uint32_t *a, *b;
    float *c;
    size_t rows, cols, units, tile_rows, a_width, ldc;
    int add, stream;
} gemm_part;

/* pack: `lines` lines of k values from src -> panels of `width` lines, the last of as many as are left or,
 * with `pad`, of zeros for what is missing. part: see above; how an element is summed depends on K alone, so
 * results are the same for every number of threads and whatever the other rows and columns are.
 * few: the same for at most FEW_ROWS rows, in tiles of FEW_TILE at most, by b as it is; p->b is not used. */
enum { FEW_ROWS = 64, FEW_TILE = 11 };
typedef void gemm_pack_fn(gemm_source src, size_t lines, size_t k, size_t width, int pad, uint32_t *panels);
typedef void gemm_part_fn(const gemm_part *p);
typedef void gemm_few_fn(const gemm_part *p, gemm_source b, size_t k);
typedef struct {
    gemm_pack_fn *pack[2]; /* by GEMM_F32, GEMM_BF16 */
    gemm_part_fn *part[2];
    gemm_few_fn *few[2]; /* NULL where packing all of b first is no slower */
    int bf16; /* whether instructions made for bf16 multiply it */
} gemm_kernels;

gemm_pack_fn gemm_pack_f32, gemm_pack_bf16; /* the portable ones, where an ISA has none of its own */
gemm_part_fn gemm_part_bf16;
extern const gemm_kernels gemm_portable;
#ifdef HAVE_AVX2
extern const gemm_kernels gemm_avx2;
#elif defined(HAVE_NEON)
extern const gemm_kernels gemm_neon;
#endif
#if defined(HAVE_AVX2) && (__GNUC__ >= 10 || __clang_major__ >= 9)
#define GEMM_AVX512 1
extern const gemm_kernels gemm_avx512, gemm_avx512_bf16;
#endif

const gemm_kernels *gemm_chosen(void); /* gemm.c: those of the chosen ISA */

/* gemm.c: memory of this thread, on a cache line, until it is given back; one at a time, NULL where there is
 * none. */
uint32_t *gemm_take_room(size_t bytes);
void gemm_give_room(uint32_t *room);

/* gemm.c, for Python. Strides count floats; of a's two and of b's two, one is 1 each.
 *   bf16:    whether instructions made for bf16 multiply it       packed:  how many units `pack` writes
 *   pack:    b (k, n) -> panels, on a cache line
 *   gemm:    a (m, k) by b (k, n) or, where that is not NULL, by packed b -> c (m, n), rows ldc apart; with
 *            `add` added to it. Returns 0 or CHRONOS_NO_MEMORY. */
int chronos_gemm_bf16(void);
size_t chronos_gemm_packed(int kind, size_t n, size_t k);
int chronos_gemm_pack(int kind, size_t n, size_t k, const float *b, size_t b_row, size_t b_col,
                      uint32_t *packed);
int chronos_gemm(int kind, size_t m, size_t n, size_t k, const float *a, size_t a_row, size_t a_col,
                 const float *b, size_t b_row, size_t b_col, const uint32_t *packed, float *c, size_t ldc,
                 int add);

static inline size_t gemm_units(int kind, size_t k) { return kind == GEMM_BF16 ? (k + 1) / 2 : k; }

/* The tile from row i on; *width: how far its units are apart. */
static inline const uint32_t *gemm_tile(const gemm_part *p, size_t i, size_t *width) {
    size_t start = p->a_width == p->tile_rows ? i : i / p->a_width * p->a_width, left = p->rows - start;
    *width = left < p->a_width ? left : p->a_width;
    return p->a + start * p->units + (i - start);
}

/* float32 to bf16, to nearest, ties to even; below 2^-126 zero, as processors have it; a NaN stays one. */
static inline uint32_t bf16_of_float(float f) {
    uint32_t u = float_bits(f), a = u & 0x7fffffff;
    if (a < 0x00800000)
        return u >> 16 & 0x8000;
    if (a > 0x7f800000)
        return u >> 16 | 0x40;
    return (u + 0x7fff + (u >> 16 & 1)) >> 16;
}

#endif
