/* Products with panels for x86-64 with AVX-512 and its VNNI: one lane is one row, so nothing is added across.
 * Compiled without -march; each function carries its own target. products.h draws what is read here.
 *
 * vpdpbusd adds four products of unsigned by signed bytes to 32 bits and cannot overflow. What is kept in
 * registers is a panel's step, unpacked once, times up to eight rows of x. */
#include "products.h"

#ifdef HAVE_AVX512
#include <immintrin.h>
#include <math.h>

#define AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c")))
#define INLINE AVX512 static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")

/* How far ahead one row of x asks for weights: they come from memory, and it does little with them. */
enum { AHEAD = 4096 };

INLINE __m512i bytes64(const uint8_t *p) { return _mm512_loadu_si512(p); }
INLINE __m512i spread(const uint8_t *p) { return _mm512_set1_epi32(load_i32(p)); }
INLINE __m512 spread_float(const uint8_t *p) { return _mm512_set1_ps(load_f32(p)); }
INLINE __m512 halves16(const uint8_t *p) { return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p)); }

INLINE void prefetch(const uint8_t *p, size_t bytes) {
    for (size_t i = 0; i < bytes; i += 64)
        _mm_prefetch((const char *)((uintptr_t)p + AHEAD + i), _MM_HINT_T0);
}

INLINE void store(const panel_part *p, const __m512 *sum, size_t cols) {
    __mmask16 rows = (__mmask16)((1u << p->rows) - 1);
    for (size_t c = 0; c < cols; c++)
        _mm512_mask_storeu_ps(p->y + c * p->ldy, rows, sum[c]);
}

/* 32 weights: eight vectors of codes, times the codes of each row of x. */
INLINE void step32(int type, const uint8_t *w, __m512 w_scale, const uint8_t *x, size_t cols, __m512 *sum) {
    const __m512i nibble = _mm512_set1_epi8(15);
    const uint8_t *scales = x + cols * BLOCK, *biases = scales + cols * sizeof(float);
    __m512i code[8];
    UNROLL for (int i = 0; i < 8; i++)
        if (type == CHRONOS_Q8_0)
            code[i] = bytes64(w + i * LANES4);
        else if (i < 4)
            code[i] = _mm512_and_si512(bytes64(w + i * LANES4), nibble);
        else
            code[i] = _mm512_and_si512(_mm512_srli_epi16(bytes64(w + (i - 4) * LANES4), 4), nibble);
    UNROLL for (size_t c = 0; c < cols; c++) {
        __m512i dot = spread(biases + c * 4), other = _mm512_setzero_si512();
        if (cols > 2) {
            UNROLL for (int i = 0; i < 8; i++)
                dot = _mm512_dpbusd_epi32(dot, code[i], spread(x + c * BLOCK + 4 * i));
        } else { /* two sums under way hide the latency of adding to one */
            UNROLL for (int i = 0; i < 4; i++) {
                dot = _mm512_dpbusd_epi32(dot, code[i], spread(x + c * BLOCK + 4 * i));
                other = _mm512_dpbusd_epi32(other, code[i + 4], spread(x + c * BLOCK + 4 * i + 16));
            }
            dot = _mm512_add_epi32(dot, other);
        }
        __m512 scale = _mm512_mul_ps(w_scale, spread_float(scales + c * 4));
        sum[c] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot), scale, sum[c]);
    }
}

INLINE void by_32(int type, const panel_part *p, size_t cols) {
    size_t codes = (type == CHRONOS_Q8_0 ? 8 : 4) * LANES4, x_step = cols * XSTEP_BYTES;
    const uint8_t *w = p->panel, *x = p->x;
    __m512 sum[COLS];
    for (size_t c = 0; c < cols; c++)
        sum[c] = _mm512_setzero_ps();
    for (size_t i = 0; i < p->steps; i++, w += LANES4 + 2 * codes, x += 2 * x_step) {
        if (cols == 1)
            prefetch(w, LANES4 + 2 * codes);
        step32(type, w + LANES4, halves16(w), x, cols, sum);
        step32(type, w + LANES4 + codes, halves16(w + 32), x + x_step, cols, sum);
    }
    store(p, sum, cols);
}

/* 64 of a super-block's weights: four vectors of bytes hold four sixteens, two bits each. */
INLINE void quarter(const uint8_t *w, const __m512i *scales, int odd, const uint8_t *x, size_t cols,
                    __m512i *sum) {
    const __m512i two_bits = _mm512_set1_epi8(3), low = _mm512_set1_epi32(15);
    __m512i bytes[4];
    UNROLL for (int i = 0; i < 4; i++) bytes[i] = bytes64(w + i * LANES4);
    UNROLL for (int p = 0; p < 4; p++) { /* sixteen 2p + odd of the eight of this half */
        __m512i code[4], from = scales[p / 2];
        UNROLL for (int i = 0; i < 4; i++)
            code[i] = _mm512_and_si512(_mm512_srli_epi16(bytes[i], 2 * p), two_bits);
        __m512i scale = _mm512_and_si512(_mm512_srli_epi32(from, 8 * ((2 * p + odd) % 4)), low);
        const uint8_t *row = x + (2 * p + odd) * cols * 16;
        UNROLL for (size_t c = 0; c < cols; c++, row += 16) {
            __m512i dot = _mm512_setzero_si512();
            UNROLL for (int i = 0; i < 4; i++) dot = _mm512_dpbusd_epi32(dot, code[i], spread(row + 4 * i));
            sum[c] = _mm512_dpwssd_epi32(sum[c], dot, scale); /* |dot| < 2^15, so its low half is all of it */
        }
    }
}

INLINE void by_256(const panel_part *p, size_t cols) {
    const __m512i minima = _mm512_set1_epi32(0x000f000f);
    const uint8_t *w = p->panel, *x = p->x;
    size_t step = panel_step_bytes(CHRONOS_Q2_K);
    __m512 sum[COLS];
    for (size_t c = 0; c < cols; c++)
        sum[c] = _mm512_setzero_ps();
    for (size_t i = 0; i < p->steps; i++, w += step, x += cols * XSUPER_BYTES) {
        const uint8_t *codes = w + 5 * LANES4, *scales = x + cols * SUPER, *sums = scales + cols * 4;
        __m512i dot[COLS], min[COLS], s[4];
        if (cols == 1)
            prefetch(w, step);
        for (size_t c = 0; c < cols; c++)
            dot[c] = min[c] = _mm512_setzero_si512();
        UNROLL for (int z = 0; z < 4; z++) s[z] = bytes64(w + (1 + z) * LANES4);
        for (int q = 0; q < 4; q++)
            quarter(codes + q * 4 * LANES4, s + q / 2 * 2, q % 2, x + q / 2 * cols * 128, cols, dot);
        UNROLL for (int j = 0; j < 8; j++) {
            __m512i m = _mm512_and_si512(_mm512_srli_epi32(s[j / 2], j % 2 ? 12 : 4), minima);
            UNROLL for (size_t c = 0; c < cols; c++)
                min[c] = _mm512_dpwssd_epi32(min[c], m, spread(sums + (j * cols + c) * 4));
        }
        __m512 d = halves16(w), dmin = halves16(w + 32);
        UNROLL for (size_t c = 0; c < cols; c++) {
            __m512 scale = spread_float(scales + c * 4);
            sum[c] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot[c]), _mm512_mul_ps(d, scale), sum[c]);
            sum[c] = _mm512_fnmadd_ps(_mm512_cvtepi32_ps(min[c]), _mm512_mul_ps(dmin, scale), sum[c]);
        }
    }
    store(p, sum, cols);
}

INLINE __m512 floats16(int type, const uint8_t *p) {
    if (type == CHRONOS_F16)
        return halves16(p);
    __m512i high = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(high, 16));
}

INLINE void by_2(int type, const panel_part *p, size_t cols) {
    const uint8_t *w = p->panel, *x = p->x;
    __m512 even[COLS], odd[COLS];
    for (size_t c = 0; c < cols; c++)
        even[c] = odd[c] = _mm512_setzero_ps();
    for (size_t i = 0; i < p->steps; i++, w += LANES4, x += cols * 8) {
        if (cols == 1)
            prefetch(w, LANES4);
        __m512 first = floats16(type, w), second = floats16(type, w + 32);
        UNROLL for (size_t c = 0; c < cols; c++) {
            even[c] = _mm512_fmadd_ps(first, spread_float(x + c * 4), even[c]);
            odd[c] = _mm512_fmadd_ps(second, spread_float(x + (cols + c) * 4), odd[c]);
        }
    }
    for (size_t c = 0; c < cols; c++)
        even[c] = _mm512_add_ps(even[c], odd[c]);
    store(p, even, cols);
}

/* One copy for each number of rows of x, so that all of them are constants where this is inlined. */
#define CASE(n, call)                                                                                     \
    case n: {                                                                                             \
        enum { N = n };                                                                                   \
        call;                                                                                             \
        break;                                                                                            \
    }
#define EACH_COLS(name, call)                                                                             \
    AVX512 static void name(const panel_part *p, size_t cols) {                                           \
        switch (cols) {                                                                                   \
            CASE(1, call) CASE(2, call) CASE(3, call) CASE(4, call)                                       \
            CASE(5, call) CASE(6, call) CASE(7, call) CASE(8, call)                                       \
        }                                                                                                 \
    }
EACH_COLS(q4_0, by_32(CHRONOS_Q4_0, p, N))
EACH_COLS(q8_0, by_32(CHRONOS_Q8_0, p, N))
EACH_COLS(q2_k, by_256(p, N))
EACH_COLS(f16, by_2(CHRONOS_F16, p, N))
EACH_COLS(bf16, by_2(CHRONOS_BF16, p, N))

/* max|x| of 16 values at a time, as bits: integers order them like the floats, NaN above infinity. */
INLINE __m512i larger(__m512i bits, const float *x) {
    return _mm512_max_epi32(bits, _mm512_and_si512(_mm512_loadu_si512(x), _mm512_set1_epi32(0x7fffffff)));
}

/* The scale of a step whose max|x| has these bits, and what x is multiplied by, 0 where it counts as zero. */
INLINE float scale_of(uint32_t bits, float *inverse) {
    float max = float_of_bits(bits);
    int usable = bits < 0x7f800000 && max >= TINY;
    *inverse = usable ? 127.0f / max : 0.0f;
    return usable ? max / 127.0f : bits >= 0x7f800000 ? NAN : 0.0f;
}

/* 16 codes; a usable inverse is never 0, and what is not usable may be NaN, so it is left out altogether. */
INLINE __m128i codes16(const float *x, float inverse) {
    if (inverse == 0.0f)
        return _mm_setzero_si128();
    __m512 scaled = _mm512_mul_ps(_mm512_loadu_ps(x), _mm512_set1_ps(inverse));
    return _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(scaled));
}

INLINE int sum16(__m128i codes) {
    __m128i s = _mm_dpbusd_epi32(_mm_setzero_si128(), _mm_set1_epi8(1), codes);
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
    return _mm_cvtsi128_si32(_mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1)));
}

AVX512 static void prepare(const float *x, size_t ldx, size_t cols, size_t k, int zero, uint8_t *out) {
    size_t steps = panel_steps(CHRONOS_Q4_0, k) * 2, step = cols * XSTEP_BYTES;
    for (size_t c = 0; c < cols; c++)
        for (size_t i = 0; i < steps; i++) {
            uint8_t *to = out + i * step;
            const float *from = x + c * ldx + i * BLOCK;
            __m128i low = _mm_setzero_si128(), high = low;
            float scale = 0.0f, inverse;
            if (i * BLOCK < k) { /* else what fills up the last pair */
                __m512i bits = larger(larger(_mm512_setzero_si512(), from), from + 16);
                scale = scale_of((uint32_t)_mm512_reduce_max_epi32(bits), &inverse);
                low = codes16(from, inverse), high = codes16(from + 16, inverse);
            }
            int bias = -zero * (sum16(low) + sum16(high));
            _mm_storeu_si128((__m128i *)(to + c * BLOCK), low);
            _mm_storeu_si128((__m128i *)(to + c * BLOCK + 16), high);
            memcpy(to + cols * BLOCK + c * 4, &scale, 4);
            memcpy(to + cols * (BLOCK + 4) + c * 4, &bias, 4);
        }
}

AVX512 static void prepare_super(const float *x, size_t ldx, size_t cols, size_t k, int zero, uint8_t *out) {
    (void)zero;
    for (size_t c = 0; c < cols; c++)
        for (size_t i = 0; i < k / SUPER; i++) {
            uint8_t *to = out + i * cols * XSUPER_BYTES;
            const float *from = x + c * ldx + i * SUPER;
            __m512i bits = _mm512_setzero_si512();
            for (int j = 0; j < 16; j++)
                bits = larger(bits, from + 16 * j);
            float inverse, scale = scale_of((uint32_t)_mm512_reduce_max_epi32(bits), &inverse);
            memcpy(to + cols * SUPER + c * 4, &scale, 4);
            for (size_t j = 0; j < 16; j++) {
                __m128i codes = codes16(from + 16 * j, inverse);
                int16_t sum = (int16_t)sum16(codes);
                size_t pair = j / 4 * 2 + j % 2;
                _mm_storeu_si128((__m128i *)(to + (j * cols + c) * 16), codes);
                memcpy(to + cols * (SUPER + 4) + (pair * cols + c) * 4 + j % 4 / 2 * 2, &sum, 2);
            }
        }
}

/* A register tile: `b` rows of y by 64 columns; each sum is added to one product after another. */
INLINE void back_tile(const float *g, size_t ldg, size_t b, const float *w, size_t rows, float *y) {
    __m512 sum[6][4];
    UNROLL for (size_t c = 0; c < b; c++)
        UNROLL for (int i = 0; i < 4; i++) sum[c][i] = _mm512_loadu_ps(y + c * BACK_COLS + 16 * i);
    for (size_t r = 0; r < rows; r++, w += BACK_COLS) {
        UNROLL for (int i = 0; i < 4; i++) {
            __m512 row = _mm512_loadu_ps(w + 16 * i);
            UNROLL for (size_t c = 0; c < b; c++)
                sum[c][i] = _mm512_fmadd_ps(_mm512_set1_ps(g[c * ldg + r]), row, sum[c][i]);
        }
    }
    UNROLL for (size_t c = 0; c < b; c++)
        UNROLL for (int i = 0; i < 4; i++) _mm512_storeu_ps(y + c * BACK_COLS + 16 * i, sum[c][i]);
}

AVX512 static void accumulate(const float *g, size_t ldg, size_t b, const float *w, size_t rows, float *y) {
    for (size_t i = 0; i < BACK_COLS; i += 64) {
        size_t c = 0;
        for (; c + 6 <= b; c += 6)
            back_tile(g + c * ldg, ldg, 6, w + i, rows, y + c * BACK_COLS + i);
        for (; c < b; c++)
            back_tile(g + c * ldg, ldg, 1, w + i, rows, y + c * BACK_COLS + i);
    }
}

const panel_table panels_avx512 = {prepare, prepare_super, q4_0, q8_0, q2_k, f16, bf16, accumulate};
#endif
