/* The kernels of the product for x86-64 with AVX2, FMA and F16C.
 * The file is compiled without -march; each function carries its own target, so nothing here runs, or is
 * inlined, where the CPU lacks it.
 *
 * Codes of w, made unsigned, times codes of x: vpmaddubsw adds pairs of products into 16 bits, vpmaddwd with
 * ones adds pairs of those into 32. Neither can overflow: Q4_0 has 2 * 15 * 127 = 3,810 at most, Q8_0 (|w| by
 * x with w's sign) 2 * 128 * 127 = 32,512. Q4_0 leaves its 8 in; `offset` takes it out once a group. */
#include "products.h"

#ifdef HAVE_AVX2
#include <immintrin.h>
#include <math.h>

#define AVX2 __attribute__((target("avx2,fma,f16c")))
#define INLINE AVX2 static inline __attribute__((always_inline))

INLINE uint32_t max_of(__m256i v) {
    __m128i m = _mm_max_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    m = _mm_max_epi32(m, _mm_shuffle_epi32(m, 0x4e));
    return (uint32_t)_mm_cvtsi128_si32(_mm_max_epi32(m, _mm_shuffle_epi32(m, 0xb1)));
}

INLINE int sum_of_codes(__m256i codes) {
    __m256i v = _mm256_madd_epi16(_mm256_maddubs_epi16(_mm256_set1_epi8(1), codes), _mm256_set1_epi16(1));
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1)));
}

/* The same codes and scales as the portable one, bit for bit: the same operations, the same rounding. */
INLINE void quantize_block(const float *x, int8_t *codes, float *scale, float *offset) {
    const __m256i magnitude = _mm256_set1_epi32(0x7fffffff);
    __m256 v[4];
    __m256i bits = _mm256_setzero_si256();
    for (int i = 0; i < 4; i++) {
        v[i] = _mm256_loadu_ps(x + 8 * i);
        bits = _mm256_max_epi32(bits, _mm256_and_si256(_mm256_castps_si256(v[i]), magnitude));
    }
    uint32_t max_bits = max_of(bits);
    float max = float_of_bits(max_bits), id = 127.0f / max;
    if (max_bits >= 0x7f800000 || max < TINY) {
        _mm256_storeu_si256((__m256i *)codes, _mm256_setzero_si256());
        *scale = *offset = max_bits >= 0x7f800000 ? NAN : 0.0f;
        return;
    }
    __m256i q[4];
    for (int i = 0; i < 4; i++)
        q[i] = _mm256_cvtps_epi32(_mm256_mul_ps(v[i], _mm256_set1_ps(id)));
    __m256i packed = _mm256_packs_epi16(_mm256_packs_epi32(q[0], q[1]), _mm256_packs_epi32(q[2], q[3]));
    packed = _mm256_permutevar8x32_epi32(packed, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    _mm256_storeu_si256((__m256i *)codes, packed);
    *scale = max / 127.0f;
    *offset = *scale * (float)(-8 * sum_of_codes(packed));
}

AVX2 static void quantize_x(const float *x, size_t k, x_group *groups) {
    size_t blocks = k / BLOCK, used = blocks % GROUP;
    if (used)
        memset(groups + blocks / GROUP, 0, sizeof *groups);
    for (size_t i = 0; i < blocks; i++) {
        x_group *g = groups + i / GROUP;
        quantize_block(x + i * BLOCK, g->codes[i % GROUP], &g->scale[i % GROUP], &g->offset[i % GROUP]);
    }
}

/* The scales of `count` blocks, at most eight, as floats; the rest is 0, and not read. */
INLINE __m256 load_scales(const uint8_t *w, size_t size, size_t count) {
    if (count < GROUP) {
        uint16_t h[GROUP] = {0};
        for (size_t j = 0; j < count; j++)
            h[j] = load_half(w + j * size);
        return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)h));
    }
#define H(j) (short)load_half(w + (j) * size)
    return _mm256_cvtph_ps(_mm_setr_epi16(H(0), H(1), H(2), H(3), H(4), H(5), H(6), H(7)));
#undef H
}

/* A block's 32 codes: Q4_0 as they are stored, in 0..15 (low nibbles below, high ones above), Q8_0 signed. */
INLINE __m256i load_codes(int type, const uint8_t *block) {
    if (type == CHRONOS_Q8_0)
        return _mm256_loadu_si256((const __m256i *)(block + 2));
    __m256i both = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)(block + 2)));
    __m256i shifted = _mm256_srlv_epi64(both, _mm256_setr_epi64x(0, 0, 4, 4));
    return _mm256_and_si256(shifted, _mm256_set1_epi8(15));
}

INLINE __m256 dot(int type, __m256i w, __m256i w_abs, __m256i x) {
    __m256i pairs = type == CHRONOS_Q8_0 ? _mm256_maddubs_epi16(w_abs, _mm256_sign_epi8(x, w))
                                         : _mm256_maddubs_epi16(w, x);
    return _mm256_cvtepi32_ps(_mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

/* One row of x reads w once and does little with it: ask for the next tile's rows early (SPEED.md). */
INLINE void prefetch(uintptr_t address, size_t bytes) {
    for (size_t i = 0; i < bytes; i += 64)
        _mm_prefetch((const char *)(address + i), _MM_HINT_T0);
}

INLINE float sum_of(__m256 v) {
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

enum { MAX_ROWS = 4, MAX_COLS = 4 };

/* A register tile: `rows` rows of w from row r by `cols` rows of x from row c; the three are constants where
 * this is inlined. One step is one group: eight blocks, or the `count` that are left. */
typedef struct {
    __m256 sum[MAX_ROWS][MAX_COLS], offset[MAX_ROWS][MAX_COLS];
} accumulators;

INLINE void group_step(int type, int rows, int cols, size_t count, const uint8_t *w, size_t row_bytes,
                       const x_group *groups, size_t row_groups, accumulators *a) {
    size_t size = type == CHRONOS_Q8_0 ? Q8_0_BYTES : Q4_0_BYTES;
    float scale[MAX_ROWS][MAX_COLS][GROUP];
    for (int r = 0; r < rows; r++) {
        if (cols == 1)
            prefetch((uintptr_t)w + (size_t)(rows + r) * row_bytes, GROUP * size);
        __m256 w_scale = load_scales(w + r * row_bytes, size, count);
        for (int c = 0; c < cols; c++) {
            const x_group *g = groups + c * row_groups;
            _mm256_storeu_ps(scale[r][c], _mm256_mul_ps(w_scale, _mm256_loadu_ps(g->scale)));
            if (type == CHRONOS_Q4_0)
                a->offset[r][c] = _mm256_fmadd_ps(w_scale, _mm256_loadu_ps(g->offset), a->offset[r][c]);
        }
    }
    for (size_t j = 0; j < count; j++) {
        __m256i codes[MAX_ROWS], magnitude[MAX_ROWS];
        for (int r = 0; r < rows; r++) {
            codes[r] = load_codes(type, w + r * row_bytes + j * size);
            magnitude[r] = _mm256_abs_epi8(codes[r]);
        }
        for (int c = 0; c < cols; c++) {
            __m256i x = _mm256_loadu_si256((const __m256i *)groups[c * row_groups].codes[j]);
            for (int r = 0; r < rows; r++)
                a->sum[r][c] = _mm256_fmadd_ps(dot(type, codes[r], magnitude[r], x),
                                               _mm256_broadcast_ss(&scale[r][c][j]), a->sum[r][c]);
        }
    }
}

INLINE void tile(int type, int rows, int cols, const part *p, size_t r0, size_t c0) {
    size_t size = type == CHRONOS_Q8_0 ? Q8_0_BYTES : Q4_0_BYTES, step = GROUP * size;
    size_t row_bytes = p->blocks * size, row_groups = groups_of(p->blocks * BLOCK), left = p->blocks % GROUP;
    const uint8_t *w = p->w + r0 * row_bytes;
    const x_group *groups = p->groups + c0 * row_groups, *end = groups + p->blocks / GROUP;
    accumulators a;
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < cols; c++)
            a.sum[r][c] = a.offset[r][c] = _mm256_setzero_ps();
    for (; groups < end; groups++, w += step)
        group_step(type, rows, cols, GROUP, w, row_bytes, groups, row_groups, &a);
    if (left)
        group_step(type, rows, cols, left, w, row_bytes, groups, row_groups, &a);
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < cols; c++)
            p->y[(c0 + c) * p->ldy + r0 + r] = sum_of(_mm256_add_ps(a.sum[r][c], a.offset[r][c]));
}

/* Rows in the inner loop: the quantized x of four columns stays in the first-level cache meanwhile. */
INLINE void product(int type, const part *p) {
    size_t c = 0;
    for (; c + 4 <= p->cols; c += 4) {
        size_t r = 0;
        for (; r + 2 <= p->rows; r += 2)
            tile(type, 2, 4, p, r, c);
        for (; r < p->rows; r++)
            tile(type, 1, 4, p, r, c);
    }
    for (; c < p->cols; c++) {
        size_t r = 0;
        for (; r + 4 <= p->rows; r += 4) /* four sums at once hide the latency of adding to one */
            tile(type, 4, 1, p, r, c);
        for (; r < p->rows; r++)
            tile(type, 1, 1, p, r, c);
    }
}

AVX2 static void product_q4_0(const part *p) { product(CHRONOS_Q4_0, p); }
AVX2 static void product_q8_0(const part *p) { product(CHRONOS_Q8_0, p); }

/* AVX-512 differs in packed weights only: blocks as files have them are not worth a third set of kernels. */
const isa_table isa_avx2 = {"avx2", quantize_x, product_q4_0, product_q8_0, &panels_avx2};
const isa_table isa_avx512 = {"avx512", quantize_x, product_q4_0, product_q8_0, &panels_avx512};
#endif
