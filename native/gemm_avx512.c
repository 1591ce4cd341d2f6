/* The kernels of float products for x86-64 with AVX-512, and its BF16 for those of bf16.
 * Like matmul_avx2.c it is compiled without -march: each function names what it needs.
 *
 * A register tile is `rows` rows of a by `vecs` vectors of 16 columns of b: 14 x 2 keeps 28 sums, which hide
 * the latency of vdpbf16ps (6 cycles, two begun in each), and loads only 16 values for 28 multiplications. */
#include "gemm.h"

#ifdef GEMM_AVX512
#include "gemm_avx512.h"

enum { AHEAD = 64 /* floats to ask for early */ };
enum { FIRST_LEVEL = 8 << 10 /* units, 32 KiB */, FEW_UNITS = 16 };

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
        __m512 lo = _mm512_shuffle_f32x4(t[i], t[i + 4], 0x88);
        __m512 hi = _mm512_shuffle_f32x4(t[i], t[i + 4], 0xdd);
        __m512 lo2 = _mm512_shuffle_f32x4(t[i + 8], t[i + 12], 0x88);
        __m512 hi2 = _mm512_shuffle_f32x4(t[i + 8], t[i + 12], 0xdd);
        r[i] = _mm512_shuffle_f32x4(lo, lo2, 0x88);
        r[i + 8] = _mm512_shuffle_f32x4(lo, lo2, 0xdd);
        r[i + 4] = _mm512_shuffle_f32x4(hi, hi2, 0x88);
        r[i + 12] = _mm512_shuffle_f32x4(hi, hi2, 0xdd);
    }
}

/* Sixteen units of one line, k contiguous, of which `left` values are there. */
INLINE __m512 line_units(int kind, const float *x, size_t left) {
    if (kind == GEMM_F32)
        return _mm512_maskz_loadu_ps(first(left), x);
    __m512 low = _mm512_maskz_loadu_ps(first(left), x);
    if (left <= LANES)
        return pairs(low, _mm512_setzero_ps());
    return pairs(low, _mm512_maskz_loadu_ps(first(left - LANES), x + LANES));
}

/* k contiguous: squares of 16 lines, of which some are there, by 16 units are turned. */
INLINE void pack_lines(int kind, gemm_source s, size_t there, size_t k, size_t width, __mmask16 place,
                       uint32_t *panel) {
    size_t units = gemm_units(kind, k), step = kind == GEMM_BF16 ? 2 * LANES : LANES;
    for (size_t u = 0; u < units; u += LANES) {
        const float *x = s.data + u / LANES * step;
        size_t left = k - u / LANES * step;
        if (kind == GEMM_BF16 && width == B_WIDTH && there >= LANES && left >= step) {
            turn(x, s.line_stride, panel + u * B_WIDTH);
            turn(x + step / 2, s.line_stride, panel + (u + CHUNK) * B_WIDTH);
            continue;
        }
        __m512 r[LANES];
        for (size_t i = 0; i < LANES; i++) {
            r[i] = i < there ? line_units(kind, x + i * s.line_stride, left) : _mm512_setzero_ps();
            if (i < there && left > AHEAD + step) {
                ask((uintptr_t)(x + i * s.line_stride + AHEAD));
                ask((uintptr_t)(x + i * s.line_stride + AHEAD) + LINE);
            }
        }
        transpose(r);
        for (size_t i = 0; i < LANES && u + i < units; i++)
            _mm512_mask_storeu_ps(panel + (u + i) * width, place, r[i]);
    }
}

/* Lines contiguous: each unit lies as it must, but for two rows of k that become pairs. All panels row by
 * row, so that src is read in its order. */
INLINE void pack_rows(int kind, gemm_source s, size_t lines, size_t k, size_t width, int pad,
                      uint32_t *panels) {
    __m512i order = zip_order();
    size_t units = gemm_units(kind, k), step = kind == GEMM_BF16 ? 2 : 1;
    for (size_t u = 0; u < units; u++) {
        const float *row = s.data + u * step * s.k_stride;
        int odd = kind == GEMM_BF16 && u * 2 + 1 < k, more = u + 2 < units;
        for (size_t start = 0; start < lines; start += width) {
            size_t wide = pad || lines - start > width ? width : lines - start;
            uint32_t *to = panels + start * units + u * wide;
            for (size_t l = 0; l < wide; l += LANES) {
                __mmask16 there = first(lines > start + l ? lines - start - l : 0), place = first(wide - l);
                const float *x = row + start + l;
                if (more) {
                    ask((uintptr_t)x + 2 * step * s.k_stride * sizeof(float));
                    if (odd)
                        ask((uintptr_t)x + 5 * s.k_stride * sizeof(float));
                }
                __m512 v = _mm512_maskz_loadu_ps(there & place, x);
                if (kind == GEMM_BF16) {
                    __m512 next = _mm512_setzero_ps();
                    if (odd)
                        next = _mm512_maskz_loadu_ps(there & place, x + s.k_stride);
                    v = zip(order, v, next);
                }
                _mm512_mask_storeu_ps(to + l, place, v);
            }
        }
    }
}

INLINE void pack(int kind, gemm_source s, size_t lines, size_t k, size_t width, int pad, uint32_t *panels) {
    if (s.k_stride != 1) {
        pack_rows(kind, s, lines, k, width, pad, panels);
        return;
    }
    size_t units = gemm_units(kind, k);
    for (size_t start = 0; start < lines; start += width) {
        size_t wide = pad || lines - start > width ? width : lines - start;
        for (size_t l = 0; l < wide; l += LANES) {
            gemm_source some = {s.data + (start + l) * s.line_stride, s.line_stride, 1};
            size_t there = lines > start + l ? lines - start - l : 0;
            pack_lines(kind, some, there, k, wide, first(wide - l), panels + start * units + l);
        }
    }
}
AVX512 static void pack_f32(gemm_source s, size_t lines, size_t k, size_t width, int pad, uint32_t *panels) {
    pack(GEMM_F32, s, lines, k, width, pad, panels);
}

AVX512 void gemm_pack_avx512_bf16(gemm_source s, size_t lines, size_t k, size_t width, int pad,
                                  uint32_t *panels) {
    pack(GEMM_BF16, s, lines, k, width, pad, panels);
}

/* One tile of a, its units `width` apart, by vecs / 2 panels of b; rows and vecs are constants where this is
 * inlined. */
INLINE void tile(int kind, int rows, int vecs, const gemm_part *p, const uint32_t *a, size_t width,
                 const uint32_t *b, float *c, size_t cols) {
    __m512 sum[MAX_SUMS];
    EACH for (int i = 0; i < rows * vecs; i++)
        sum[i] = _mm512_setzero_ps();
    if (p->add || (!p->stream && p->units > FEW_UNITS)) /* else c's lines would not come in time */
        for (int i = 0; i < rows; i++) {
            ask((uintptr_t)(c + i * p->ldc));
            ask((uintptr_t)(c + i * p->ldc) + LINE);
        }
    size_t panel = p->units * B_WIDTH;
    for (size_t u = 0; u < p->units; u++, a += width, b += B_WIDTH) {
        __m512 w[8];
        EACH for (int v = 0; v < vecs; v++)
            w[v] = _mm512_loadu_ps(b + v / 2 * panel + v % 2 * LANES);
        EACH for (int i = 0; i < rows; i++) {
            __m512 x = (__m512)_mm512_set1_epi32((int)a[i]);
            EACH for (int v = 0; v < vecs; v++)
                sum[i * vecs + v] = add_product(kind, sum[i * vecs + v], x, w[v]);
        }
    }
    if (cols >= (size_t)vecs * LANES)
        store(rows, vecs, p, sum, c);
    else
        store_some(rows, vecs, p, sum, c, cols);
}

/* Of few rows, more panels at once: enough sums, whatever the number of rows. */
INLINE size_t vecs_of(size_t rows) { return rows <= 3 ? 8 : rows <= 6 ? 4 : 2; }

typedef void tile_fn(const gemm_part *p, const uint32_t *a, size_t width, const uint32_t *b, float *c,
                     size_t cols);
#define TILE(kind, rows, vecs)                                                                      \
    AVX512 static void tile_##kind##_##rows##_##vecs(const gemm_part *p, const uint32_t *a, size_t width,\
                                                     const uint32_t *b, float *c, size_t cols) {    \
        tile(GEMM_##kind, rows, vecs, p, a, width, b, c, cols);                                     \
    }
#define TILES(kind)                                                                                 \
    TILE(kind, 1, 2) TILE(kind, 2, 2) TILE(kind, 3, 2) TILE(kind, 4, 2) TILE(kind, 5, 2) TILE(kind, 6, 2)\
    TILE(kind, 7, 2) TILE(kind, 8, 2) TILE(kind, 9, 2) TILE(kind, 10, 2) TILE(kind, 11, 2) TILE(kind, 12, 2)\
    TILE(kind, 13, 2) TILE(kind, 14, 2) TILE(kind, 1, 8) TILE(kind, 2, 8) TILE(kind, 3, 8) TILE(kind, 4, 4)\
    TILE(kind, 5, 4) TILE(kind, 6, 4)                                                               \
    static tile_fn *const tiles_##kind[A_WIDTH + 1] = {                                             \
        NULL, tile_##kind##_1_2, tile_##kind##_2_2, tile_##kind##_3_2, tile_##kind##_4_2, tile_##kind##_5_2,\
        tile_##kind##_6_2, tile_##kind##_7_2, tile_##kind##_8_2, tile_##kind##_9_2, tile_##kind##_10_2,\
        tile_##kind##_11_2, tile_##kind##_12_2, tile_##kind##_13_2, tile_##kind##_14_2};            \
    static tile_fn *const wide_##kind[] = {NULL, tile_##kind##_1_8, tile_##kind##_2_8, tile_##kind##_3_8,\
                                           tile_##kind##_4_4, tile_##kind##_5_4, tile_##kind##_6_4};
TILES(F32)
TILES(BF16)

/* The tile of a from row i on by the panels from column j on, as many as a tile of so few rows takes. */
INLINE void some_panels(const gemm_part *p, const uint32_t *a, size_t width, size_t i, size_t j, size_t most,
                        tile_fn *const *tiles, tile_fn *const *wide) {
    size_t rows = p->rows - i < p->tile_rows ? p->rows - i : p->tile_rows, left = p->cols - j;
    const uint32_t *b = p->b + j * p->units;
    float *c = p->c + i * p->ldc + j;
    if (most > 2 && rows == p->tile_rows && left > (most - 2) * LANES)
        wide[rows](p, a, width, b, c, left);
    else
        for (size_t v = 0; v < most * LANES && v < left; v += B_WIDTH)
            tiles[rows](p, a, width, b + v * p->units, c + v, left - v);
}

/* A panel stays in the first-level cache for all tiles; but where all panels fit, c is written row by row. */
INLINE void multiply(const gemm_part *p, tile_fn *const *tiles, tile_fn *const *wide) {
    size_t most = vecs_of(p->tile_rows), step = most * LANES, width;
    if (p->cols * p->units <= FIRST_LEVEL) {
        for (size_t i = 0; i < p->rows; i += p->tile_rows) {
            const uint32_t *a = gemm_tile(p, i, &width);
            for (size_t j = 0; j < p->cols; j += step)
                some_panels(p, a, width, i, j, most, tiles, wide);
        }
    } else {
        for (size_t j = 0; j < p->cols; j += step)
            for (size_t i = 0; i < p->rows; i += p->tile_rows) {
                const uint32_t *a = gemm_tile(p, i, &width);
                some_panels(p, a, width, i, j, most, tiles, wide);
            }
    }
    if (p->stream) /* such stores are done in any order, and the next reader may be another thread */
        _mm_sfence();
}

AVX512 static void part_f32(const gemm_part *p) { multiply(p, tiles_F32, wide_F32); }
AVX512 static void part_bf16(const gemm_part *p) { multiply(p, tiles_BF16, wide_BF16); }

const gemm_kernels gemm_avx512 = {{pack_f32, gemm_pack_bf16}, {part_f32, gemm_part_bf16}, {NULL, NULL}, 0};
const gemm_kernels gemm_avx512_bf16 = {
    {pack_f32, gemm_pack_avx512_bf16}, {part_f32, part_bf16}, {NULL, gemm_few_avx512_bf16}, 1};
#endif
