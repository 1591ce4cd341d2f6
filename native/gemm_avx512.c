/* The kernels of float products for x86-64 with AVX-512, and its BF16 for those of bf16.
 * Like matmul_avx2.c it is compiled without -march: each function names what it needs.
 *
 * A register tile is `rows` rows of a by `vecs` vectors of 16 columns of b: 14 x 2 keeps 28 sums, which hide
 * the latency of vdpbf16ps (6 cycles, two begun in each), and loads only 16 values for 28 multiplications. */
#include "gemm.h"

#ifdef HAVE_AVX512
#include <immintrin.h>

#define AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")))
#define INLINE AVX512 static inline __attribute__((always_inline))

enum { LANES = 16, MAX_SUMS = 28 };

INLINE __mmask16 first(size_t n) { return n < LANES ? (__mmask16)((1u << n) - 1) : 0xffff; }

/* rows[i][j] -> rows[j][i], 32 bits each. */
INLINE void transpose(__m512 r[LANES]) {
    __m512 t[LANES];
    for (int i = 0; i < LANES; i += 4) {
        __m512 lo = _mm512_unpacklo_ps(r[i], r[i + 1]), hi = _mm512_unpackhi_ps(r[i], r[i + 1]);
        __m512 lo2 = _mm512_unpacklo_ps(r[i + 2], r[i + 3]), hi2 = _mm512_unpackhi_ps(r[i + 2], r[i + 3]);
        t[i] = _mm512_shuffle_ps(lo, lo2, 0x44);
        t[i + 1] = _mm512_shuffle_ps(lo, lo2, 0xee);
        t[i + 2] = _mm512_shuffle_ps(hi, hi2, 0x44);
        t[i + 3] = _mm512_shuffle_ps(hi, hi2, 0xee);
    }
    for (int i = 0; i < 4; i++) { /* t[i + 4 q] has columns i, i+4, i+8, i+12 of rows 4q..4q+3 */
        __m512 lo = _mm512_shuffle_f32x4(t[i], t[i + 4], 0x88), hi = _mm512_shuffle_f32x4(t[i], t[i + 4], 0xdd);
        __m512 lo2 = _mm512_shuffle_f32x4(t[i + 8], t[i + 12], 0x88);
        __m512 hi2 = _mm512_shuffle_f32x4(t[i + 8], t[i + 12], 0xdd);
        r[i] = _mm512_shuffle_f32x4(lo, lo2, 0x88);
        r[i + 8] = _mm512_shuffle_f32x4(lo, lo2, 0xdd);
        r[i + 4] = _mm512_shuffle_f32x4(hi, hi2, 0x88);
        r[i + 12] = _mm512_shuffle_f32x4(hi, hi2, 0xdd);
    }
}

INLINE __m512 pairs(__m512 low, __m512 high) { return (__m512)_mm512_cvtne2ps_pbh(high, low); }

/* Sixteen units of one line, k contiguous, of which `left` values are there. */
INLINE __m512 line_units(int kind, const float *x, size_t left) {
    if (kind == GEMM_F32)
        return _mm512_maskz_loadu_ps(first(left), x);
    __m512 low = _mm512_maskz_loadu_ps(first(left), x);
    return pairs(low, left > LANES ? _mm512_maskz_loadu_ps(first(left - LANES), x + LANES) : _mm512_setzero_ps());
}

/* k contiguous: squares of 16 lines by 16 units are turned. */
INLINE void pack_lines(int kind, gemm_source s, size_t lines, size_t k, size_t width, uint32_t *panel) {
    size_t units = gemm_units(kind, k), step = kind == GEMM_BF16 ? 2 * LANES : LANES;
    for (size_t l = 0; l < width; l += LANES)
        for (size_t u = 0; u < units; u += LANES) {
            const float *x = s.data + l * s.line_stride + u / LANES * step;
            size_t left = k - u / LANES * step, there = lines > l ? lines - l : 0;
            __m512 r[LANES];
            if (there >= LANES && left >= step)
                for (int i = 0; i < LANES; i++)
                    r[i] = line_units(kind, x + i * s.line_stride, 2 * LANES);
            else
                for (size_t i = 0; i < LANES; i++)
                    r[i] = i < there ? line_units(kind, x + i * s.line_stride, left) : _mm512_setzero_ps();
            transpose(r);
            for (size_t i = 0; i < LANES && u + i < units; i++)
                _mm512_mask_storeu_ps(panel + (u + i) * width + l, first(width - l), r[i]);
        }
}

/* Lines contiguous: each unit lies as it must, but for two rows of k that become pairs. */
INLINE void pack_columns(int kind, gemm_source s, size_t lines, size_t k, size_t width, uint32_t *panel) {
    static const uint16_t zip[32] = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                     8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    __m512i order = _mm512_loadu_si512(zip);
    size_t units = gemm_units(kind, k), step = kind == GEMM_BF16 ? 2 : 1;
    for (size_t u = 0; u < units; u++)
        for (size_t l = 0; l < width; l += LANES) {
            __mmask16 there = first(lines > l ? lines - l : 0);
            const float *x = s.data + u * step * s.k_stride + l;
            __m512 v = _mm512_maskz_loadu_ps(there, x);
            if (kind == GEMM_BF16) {
                __m512 odd = u * 2 + 1 < k ? _mm512_maskz_loadu_ps(there, x + s.k_stride) : _mm512_setzero_ps();
                v = (__m512)_mm512_permutexvar_epi16(order, (__m512i)pairs(v, odd));
            }
            _mm512_mask_storeu_ps(panel + u * width + l, first(width - l), v);
        }
}

INLINE void pack(int kind, gemm_source s, size_t lines, size_t k, size_t width, uint32_t *panel) {
    if (s.k_stride == 1)
        pack_lines(kind, s, lines, k, width, panel);
    else
        pack_columns(kind, s, lines, k, width, panel);
}

AVX512 static void pack_f32(gemm_source s, size_t lines, size_t k, size_t width, uint32_t *panel) {
    pack(GEMM_F32, s, lines, k, width, panel);
}

AVX512 static void pack_bf16(gemm_source s, size_t lines, size_t k, size_t width, uint32_t *panel) {
    pack(GEMM_BF16, s, lines, k, width, panel);
}

INLINE __m512 add_product(int kind, __m512 sum, __m512 a, __m512 b) {
    return kind == GEMM_F32 ? _mm512_fmadd_ps(a, b, sum) : _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b);
}

/* One tile of a by vecs / 2 panels of b; rows and vecs are constants where this is inlined. */
INLINE void tile(int kind, int rows, int vecs, const gemm_part *p, const uint32_t *a, const uint32_t *b,
                 float *c, size_t cols) {
    __m512 sum[MAX_SUMS];
    for (int i = 0; i < rows; i++) {
        for (int v = 0; v < vecs; v++)
            sum[i * vecs + v] = _mm512_setzero_ps();
        _mm_prefetch((const char *)(c + i * p->ldc), _MM_HINT_T0);
        _mm_prefetch((const char *)(c + i * p->ldc + LANES), _MM_HINT_T0);
    }
    size_t panel = p->units * B_WIDTH;
    for (size_t u = 0; u < p->units; u++, a += rows, b += B_WIDTH) {
        __m512 w[8];
        for (int v = 0; v < vecs; v++)
            w[v] = _mm512_loadu_ps(b + v / 2 * panel + v % 2 * LANES);
        for (int i = 0; i < rows; i++) {
            __m512 x = (__m512)_mm512_set1_epi32((int)a[i]);
            for (int v = 0; v < vecs; v++)
                sum[i * vecs + v] = add_product(kind, sum[i * vecs + v], x, w[v]);
        }
    }
    for (int i = 0; i < rows; i++)
        for (int v = 0; v < vecs; v++) {
            size_t done = (size_t)v * LANES;
            __mmask16 there = first(cols > done ? cols - done : 0);
            float *y = c + i * p->ldc + done;
            if (p->add)
                sum[i * vecs + v] = _mm512_add_ps(sum[i * vecs + v], _mm512_maskz_loadu_ps(there, y));
            _mm512_mask_storeu_ps(y, there, sum[i * vecs + v]);
        }
}

/* Of few rows, more panels at once: enough sums, whatever the number of rows. */
INLINE int vecs_of(size_t rows) { return rows <= 3 ? 8 : rows <= 6 ? 4 : 2; }

INLINE void any_tile(int kind, size_t rows, int vecs, const gemm_part *p, const uint32_t *a, const uint32_t *b,
                     float *c, size_t cols) {
#define ROWS(n)                                                                                                \
    case n:                                                                                                    \
        if (vecs == 2)                                                                                         \
            tile(kind, n, 2, p, a, b, c, cols);                                                                \
        else                                                                                                   \
            tile(kind, n, vecs_of(n), p, a, b, c, cols);                                                       \
        break;
    switch (rows) {
        ROWS(1) ROWS(2) ROWS(3) ROWS(4) ROWS(5) ROWS(6) ROWS(7)
        ROWS(8) ROWS(9) ROWS(10) ROWS(11) ROWS(12) ROWS(13) ROWS(14)
    }
#undef ROWS
}

INLINE void multiply(int kind, const gemm_part *p) {
    int most = vecs_of(p->tile_rows);
    for (size_t j = 0; j < p->cols;) {
        size_t cols = p->cols - j;
        int vecs = cols > (size_t)(most - 2) * LANES ? most : 2;
        if (cols > (size_t)vecs * LANES)
            cols = (size_t)vecs * LANES;
        for (size_t i = 0; i < p->rows; i += p->tile_rows) {
            size_t rows = p->rows - i < p->tile_rows ? p->rows - i : p->tile_rows;
            float *c = p->c + i * p->ldc + j;
            const uint32_t *a = p->a + i * p->units, *b = p->b + j * p->units;
            if (rows == p->tile_rows)
                any_tile(kind, rows, vecs, p, a, b, c, cols);
            else
                for (int v = 0; v < vecs && cols > (size_t)v * LANES; v += 2)
                    any_tile(kind, rows, 2, p, a, b + v * LANES * p->units, c + v * LANES, cols - v * LANES);
        }
        j += cols;
    }
}

AVX512 static void part_f32(const gemm_part *p) { multiply(GEMM_F32, p); }
AVX512 static void part_bf16(const gemm_part *p) { multiply(GEMM_BF16, p); }

const gemm_kernels gemm_avx512 = {{pack_f32, pack_bf16}, {part_f32, part_bf16}};
#endif
