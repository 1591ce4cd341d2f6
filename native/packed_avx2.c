/* Products with panels for x86-64 with AVX2, FMA and F16C: one lane is one row, so nothing is added across.
 * Compiled without -march; each function carries its own target. products.h draws what is read here; x is
 * quantized by the portable code.
 *
 * vpmaddubsw adds pairs of products into 16 bits: 2 * 15 * 127 for four bits a weight, of which eight fit, and
 * 2 * 128 * 127 for eight bits, of which one does (|w| by x with w's sign). */
#include "products.h"

#ifdef HAVE_AVX2
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2,fma,f16c")))
#define INLINE AVX2 static inline __attribute__((always_inline))
enum { HALF = 8 }; /* rows in a vector */

INLINE __m256i bytes32(const uint8_t *p) { return _mm256_loadu_si256((const __m256i *)p); }
INLINE __m256i spread(const uint8_t *p) { return _mm256_set1_epi32(load_i32(p)); }
INLINE __m256 spread_float(const uint8_t *p) { return _mm256_set1_ps(load_f32(p)); }
INLINE __m256 halves8(const uint8_t *p) { return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p)); }

/* A quarter of the two panels: eight rows, of which `rows` are there. */
typedef struct {
    const uint8_t *w; /* the panel, moved on by the lanes before: 4 bytes each, or 2 where there are 2 */
    size_t lane, rows;
    float *y;
} eight;

INLINE eight eight_of(const panel_part *p, size_t i) {
    size_t before = i * HALF, rows = p->rows > before ? p->rows - before : 0;
    return (eight){p->panel[i / 2], i % 2 * HALF, rows < HALF ? rows : HALF, p->y + before};
}

INLINE void load(const panel_part *p, eight e, size_t cols, __m256 *sum) {
    for (size_t c = 0; c < cols; c++) {
        float lanes[HALF] = {0};
        if (p->more)
            memcpy(lanes, e.y + c * p->ldy, e.rows * sizeof(float));
        sum[c] = _mm256_loadu_ps(lanes);
    }
}

INLINE void store(const panel_part *p, eight e, size_t cols, const __m256 *sum) {
    for (size_t c = 0; c < cols; c++) {
        float lanes[HALF];
        _mm256_storeu_ps(lanes, sum[c]);
        memcpy(e.y + c * p->ldy, lanes, e.rows * sizeof(float));
    }
}

/* 32 weights of eight rows: their dots with a row of x, whose bias counts only where codes have too much. */
INLINE __m256i dot32(int type, const __m256i *code, const uint8_t *x, const uint8_t *bias) {
    const __m256i ones = _mm256_set1_epi16(1);
    __m256i sum = _mm256_setzero_si256();
    if (type == CHRONOS_Q8_0) {
        for (int i = 0; i < 8; i++) {
            __m256i four = _mm256_sign_epi8(spread(x + 4 * i), code[i]);
            __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(code[i]), four);
            sum = _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, ones));
        }
        return sum;
    }
    for (int i = 0; i < 8; i++)
        sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(code[i], spread(x + 4 * i)));
    return _mm256_add_epi32(_mm256_madd_epi16(sum, ones), spread(bias));
}

INLINE void step32(int type, const uint8_t *w, __m256 w_scale, const uint8_t *x, size_t cols, __m256 *sum) {
    const uint8_t *scales = x + cols * BLOCK, *biases = scales + cols * 4;
    __m256i code[8];
    for (int i = 0; i < 8; i++)
        if (type == CHRONOS_Q8_0)
            code[i] = _mm256_xor_si256(bytes32(w + i * LANES4), _mm256_set1_epi8(-128));
        else {
            __m256i bytes = bytes32(w + i % 4 * LANES4);
            code[i] = _mm256_and_si256(i < 4 ? bytes : _mm256_srli_epi16(bytes, 4), _mm256_set1_epi8(15));
        }
    for (size_t c = 0; c < cols; c++) {
        __m256 dot = _mm256_cvtepi32_ps(dot32(type, code, x + c * BLOCK, biases + c * 4));
        sum[c] = _mm256_fmadd_ps(dot, _mm256_mul_ps(w_scale, spread_float(scales + c * 4)), sum[c]);
    }
}

INLINE void by_32(int type, const panel_part *p, size_t cols) {
    size_t codes = (type == CHRONOS_Q8_0 ? 8 : 4) * LANES4, step = LANES4 + 2 * codes, x_step = cols * XSTEP_BYTES;
    for (size_t e = 0; e < 4 && e * HALF < p->rows; e++) {
        eight rows = eight_of(p, e);
        const uint8_t *w = rows.w + 4 * rows.lane, *d = rows.w + 2 * rows.lane, *x = p->x;
        __m256 sum[COLS];
        load(p, rows, cols, sum);
        for (size_t i = 0; i < p->steps; i++, w += step, d += step, x += 2 * x_step) {
            step32(type, w + LANES4, halves8(d), x, cols, sum);
            step32(type, w + LANES4 + codes, halves8(d + 32), x + x_step, cols, sum);
        }
        store(p, rows, cols, sum);
    }
}

/* A sixteen of a super-block: its dot, at most 8 * 3 * 127 in 16 bits, times its scale. */
INLINE __m256i sixteen(const __m256i *code, __m256i scale, const uint8_t *x) {
    __m256i dot = _mm256_setzero_si256();
    for (int i = 0; i < 4; i++)
        dot = _mm256_add_epi16(dot, _mm256_maddubs_epi16(code[i], spread(x + 4 * i)));
    return _mm256_madd_epi16(dot, scale);
}

INLINE void super(const uint8_t *w, const uint8_t *x, size_t cols, __m256i *dot, __m256i *min) {
    const __m256i low = _mm256_set1_epi32(15), pairs = _mm256_set1_epi32(0x000f000f);
    const uint8_t *codes = w + 5 * LANES4, *x_sums = x + cols * (SUPER + 4);
    for (int j = 0; j < 16; j++) {
        __m256i code[4], scale = bytes32(w + (1 + j / 4) * LANES4);
        scale = _mm256_and_si256(_mm256_srli_epi32(scale, j % 4 * 8), low);
        scale = _mm256_or_si256(scale, _mm256_slli_epi32(scale, 16));
        for (int i = 0; i < 4; i++) {
            __m256i bytes = bytes32(codes + (j / 8 * 8 + j % 2 * 4 + i) * LANES4);
            code[i] = _mm256_and_si256(_mm256_srli_epi16(bytes, j % 8 / 2 * 2), _mm256_set1_epi8(3));
        }
        for (size_t c = 0; c < cols; c++)
            dot[c] = _mm256_add_epi32(dot[c], sixteen(code, scale, x + ((size_t)j * cols + c) * 16));
    }
    for (int j = 0; j < 8; j++) {
        __m256i two = _mm256_srli_epi32(bytes32(w + (1 + j / 2) * LANES4), j % 2 ? 12 : 4);
        for (size_t c = 0; c < cols; c++) {
            __m256i sums = spread(x_sums + ((size_t)j * cols + c) * 4);
            min[c] = _mm256_add_epi32(min[c], _mm256_madd_epi16(_mm256_and_si256(two, pairs), sums));
        }
    }
}

INLINE void by_256(const panel_part *p, size_t cols) {
    size_t step = panel_step_bytes(CHRONOS_Q2_K);
    for (size_t e = 0; e < 4 && e * HALF < p->rows; e++) {
        eight rows = eight_of(p, e);
        const uint8_t *w = rows.w + 4 * rows.lane, *d = rows.w + 2 * rows.lane, *x = p->x;
        __m256 sum[COLS];
        load(p, rows, cols, sum);
        for (size_t i = 0; i < p->steps; i++, w += step, d += step, x += cols * XSUPER_BYTES) {
            __m256i dot[COLS], min[COLS];
            for (size_t c = 0; c < cols; c++)
                dot[c] = min[c] = _mm256_setzero_si256();
            super(w, x, cols, dot, min);
            for (size_t c = 0; c < cols; c++) {
                __m256 scale = spread_float(x + cols * SUPER + c * 4);
                __m256 more = _mm256_mul_ps(halves8(d), scale), less = _mm256_mul_ps(halves8(d + 32), scale);
                sum[c] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dot[c]), more, sum[c]);
                sum[c] = _mm256_fnmadd_ps(_mm256_cvtepi32_ps(min[c]), less, sum[c]);
            }
        }
        store(p, rows, cols, sum);
    }
}

INLINE void by_2(const panel_part *p, size_t cols) {
    for (size_t e = 0; e < 4 && e * HALF < p->rows; e++) {
        eight rows = eight_of(p, e);
        const uint8_t *w = rows.w + 2 * rows.lane, *x = p->x;
        __m256 sum[COLS];
        load(p, rows, cols, sum);
        for (size_t i = 0; i < 2 * p->steps; i++, w += 32, x += cols * 4) {
            __m256 weights = halves8(w);
            for (size_t c = 0; c < cols; c++)
                sum[c] = _mm256_fmadd_ps(weights, spread_float(x + c * 4), sum[c]);
        }
        store(p, rows, cols, sum);
    }
}

/* The first numbers of pairs, and the second. */
INLINE __m256 firsts(__m256i pairs) { return _mm256_castsi256_ps(_mm256_slli_epi32(pairs, 16)); }
INLINE __m256 seconds(__m256i pairs) {
    return _mm256_castsi256_ps(_mm256_and_si256(pairs, _mm256_set1_epi32((int)HIGH_HALF)));
}

INLINE void by_pairs(const panel_part *p, size_t cols) {
    for (size_t e = 0; e < 4 && e * HALF < p->rows; e++) {
        eight rows = eight_of(p, e);
        const uint8_t *w = rows.w + 4 * rows.lane, *x = p->x;
        __m256 sum[COLS];
        load(p, rows, cols, sum);
        for (size_t i = 0; i < p->steps; i++, w += LANES4, x += cols * 4) {
            __m256i pairs = bytes32(w);
            for (size_t c = 0; c < cols; c++) {
                sum[c] = _mm256_fmadd_ps(firsts(pairs), firsts(spread(x + c * 4)), sum[c]);
                sum[c] = _mm256_fmadd_ps(seconds(pairs), seconds(spread(x + c * 4)), sum[c]);
            }
        }
        store(p, rows, cols, sum);
    }
}

EACH_COLS(AVX2, q4_0, by_32(CHRONOS_Q4_0, p, N))
EACH_COLS(AVX2, q8_0, by_32(CHRONOS_Q8_0, p, N))
EACH_COLS(AVX2, q2_k, by_256(p, N))
EACH_COLS(AVX2, f16, by_2(p, N))
EACH_COLS(AVX2, bf16, by_pairs(p, N))

AVX2 static void accumulate(const float *g, size_t ldg, size_t b, const float *w, size_t rows, float *y) {
    for (size_t c = 0; c < b; c++)
        for (size_t i = 0; i < BACK_COLS; i += 64) {
            __m256 sum[8];
            for (int j = 0; j < 8; j++)
                sum[j] = _mm256_loadu_ps(y + c * BACK_COLS + i + 8 * j);
            for (size_t r = 0; r < rows; r++)
                for (int j = 0; j < 8; j++) {
                    __m256 weights = _mm256_loadu_ps(w + r * BACK_COLS + i + 8 * j);
                    sum[j] = _mm256_fmadd_ps(_mm256_set1_ps(g[c * ldg + r]), weights, sum[j]);
                }
            for (int j = 0; j < 8; j++)
                _mm256_storeu_ps(y + c * BACK_COLS + i + 8 * j, sum[j]);
        }
}

const panel_table panels_avx2 = {portable_prepare, portable_prepare_super, q4_0, q8_0, q2_k, f16, bf16, accumulate};
#endif
