/* The kernels of float products for 64-bit ARM; packing is the portable one, and bf16 becomes floats by shifts.
 * 32 registers hold 6 rows by 4 vectors of sums, or 3 by 8; a tile of more rows is done in parts. */
#include "gemm.h"

#ifdef HAVE_NEON
#include <arm_neon.h>

#define INLINE static inline __attribute__((always_inline))

#ifdef __clang__ /* loops over sums are unrolled, or the compiler keeps sums in memory */
#define EACH _Pragma("unroll")
#else
#define EACH _Pragma("GCC unroll 24")
#endif

enum { LANES = 4, MAX_ROWS = 6, MAX_SUMS = 24 };

/* Of a unit, which is a float or a pair of bf16, the float or the upper or lower number. */
INLINE float32x4_t numbers(uint32x4_t units, int kind, int upper) {
    if (kind == GEMM_BF16)
        units = upper ? vandq_u32(units, vdupq_n_u32(0xffff0000)) : vshlq_n_u32(units, 16);
    return vreinterpretq_f32_u32(units);
}

/* `rows` rows of a tile, its units `width` apart, by `vecs` vectors of a panel; rows and vecs are constants
 * where this is inlined. */
INLINE void strip(int kind, int rows, int vecs, const gemm_part *p, const uint32_t *a, size_t width, const uint32_t *b,
                  float *c, size_t cols) {
    float32x4_t sum[MAX_SUMS];
    EACH for (int i = 0; i < rows * vecs; i++)
        sum[i] = vdupq_n_f32(0.0f);
    for (size_t u = 0; u < p->units; u++, a += width, b += B_WIDTH)
        EACH for (int v = 0; v < vecs; v++) {
            uint32x4_t w = vld1q_u32(b + v * LANES);
            EACH for (int i = 0; i < rows; i++) {
                float32x4_t *s = sum + i * vecs + v;
                *s = vfmaq_f32(*s, numbers(vdupq_n_u32(a[i]), kind, 1), numbers(w, kind, 1));
                if (kind == GEMM_BF16)
                    *s = vfmaq_f32(*s, numbers(vdupq_n_u32(a[i]), kind, 0), numbers(w, kind, 0));
            }
        }
    EACH for (int i = 0; i < rows; i++) {
        float row[B_WIDTH], *y = c + i * p->ldc;
        EACH for (int v = 0; v < vecs; v++)
            vst1q_f32(row + v * LANES, sum[i * vecs + v]);
        for (size_t j = 0; j < (size_t)vecs * LANES && j < cols; j++)
            y[j] = p->add ? y[j] + row[j] : row[j];
    }
}

/* A whole tile of `rows` rows by one panel. */
INLINE void tile(int kind, const gemm_part *p, size_t rows, const uint32_t *a, size_t width,
                 const uint32_t *b, float *c, size_t cols) {
#define ROWS(n)                                                                                     \
    case n:                                                                                         \
        strip(kind, n, n <= 3 ? 8 : 4, p, a + i, width, b + v, c + i * p->ldc + v, cols - v);        \
        break;
    for (size_t i = 0, some; i < rows; i += some) {
        some = rows - i < MAX_ROWS ? rows - i : MAX_ROWS;
        size_t step = some <= 3 ? B_WIDTH : B_WIDTH / 2;
        for (size_t v = 0; v < B_WIDTH && v < cols; v += step)
            switch (some) {
                ROWS(1) ROWS(2) ROWS(3) ROWS(4) ROWS(5) ROWS(6)
            }
    }
#undef ROWS
}

INLINE void multiply(int kind, const gemm_part *p) {
    for (size_t j = 0; j < p->cols; j += B_WIDTH)
        for (size_t i = 0; i < p->rows; i += p->tile_rows) {
            size_t rows = p->rows - i < p->tile_rows ? p->rows - i : p->tile_rows, width;
            const uint32_t *a = gemm_tile(p, i, &width), *b = p->b + j * p->units;
            tile(kind, p, rows, a, width, b, p->c + i * p->ldc + j, p->cols - j);
        }
}

static void part_f32(const gemm_part *p) { multiply(GEMM_F32, p); }
static void part_bf16(const gemm_part *p) { multiply(GEMM_BF16, p); }

const gemm_kernels gemm_neon = {{gemm_pack_f32, gemm_pack_bf16}, {part_f32, part_bf16}, {NULL, NULL}, 0};
#endif
