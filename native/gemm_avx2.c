/* The kernel of float32 products for x86-64 with AVX2 and FMA; bf16 and packing are the portable ones.
 * Like matmul_avx2.c it is compiled without -march: each function names what it needs.
 *
 * Sixteen registers hold 6 rows by 2 vectors of sums, or 3 by 4; a tile of more rows is done in parts. */
#include "gemm.h"

#ifdef HAVE_AVX2
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2,fma")))
#define INLINE AVX2 static inline __attribute__((always_inline))

#ifdef __clang__ /* loops over sums are unrolled, or the compiler keeps sums in memory */
#define EACH _Pragma("unroll")
#else
#define EACH _Pragma("GCC unroll 12")
#endif

enum { LANES = 8, MAX_ROWS = 6, MAX_SUMS = 12 };

/* `rows` rows of a tile, its units `width` apart, by `vecs` vectors of a panel; rows and vecs are constants
 * where this is inlined. */
INLINE void strip(int rows, int vecs, const gemm_part *p, const float *a, size_t width, const float *b,
                  float *c, size_t cols) {
    __m256 sum[MAX_SUMS];
    EACH for (int i = 0; i < rows * vecs; i++)
        sum[i] = _mm256_setzero_ps();
    for (size_t u = 0; u < p->units; u++, a += width, b += B_WIDTH)
        EACH for (int v = 0; v < vecs; v++) {
            __m256 w = _mm256_loadu_ps(b + v * LANES);
            EACH for (int i = 0; i < rows; i++)
                sum[i * vecs + v] = _mm256_fmadd_ps(_mm256_broadcast_ss(a + i), w, sum[i * vecs + v]);
        }
    EACH for (int i = 0; i < rows; i++) {
        float row[4 * LANES], *y = c + i * p->ldc;
        EACH for (int v = 0; v < vecs; v++)
            _mm256_storeu_ps(row + v * LANES, sum[i * vecs + v]);
        for (size_t j = 0; j < (size_t)vecs * LANES && j < cols; j++)
            y[j] = p->add ? y[j] + row[j] : row[j];
    }
}

/* A whole tile of `rows` rows by one panel. */
INLINE void tile(const gemm_part *p, size_t rows, const float *a, size_t width, const float *b, float *c,
                 size_t cols) {
#define ROWS(n)                                                                                     \
    case n:                                                                                         \
        strip(n, n <= 3 ? 4 : 2, p, a + i, width, b + v, c + i * p->ldc + v, cols - v);              \
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

AVX2 static void part_f32(const gemm_part *p) {
    for (size_t j = 0; j < p->cols; j += B_WIDTH)
        for (size_t i = 0; i < p->rows; i += p->tile_rows) {
            size_t rows = p->rows - i < p->tile_rows ? p->rows - i : p->tile_rows, width;
            const float *a = (const float *)gemm_tile(p, i, &width);
            const float *b = (const float *)(p->b + j * p->units);
            tile(p, rows, a, width, b, p->c + i * p->ldc + j, p->cols - j);
        }
}

const gemm_kernels gemm_avx2 = {{gemm_pack_f32, gemm_pack_bf16}, {part_f32, gemm_part_bf16}, {NULL, NULL}, 0};
#endif
