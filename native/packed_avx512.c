/* Products with panels for x86-64 with AVX-512 and its VNNI: one lane is one row, so nothing is added across.
 * Compiled without -march; each function carries its own target. products.h draws what is read here.
 *
 * vpdpbusd adds four products of unsigned by signed bytes to 32 bits and cannot overflow. What is kept in
 * registers is two panels' step, unpacked once, times up to four rows of x. */
#include "products.h"

#ifdef HAVE_AVX512
#include <immintrin.h>
#include <math.h>

#define AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c")))
#define INLINE AVX512 static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")

/* How many bytes ahead what is not in a cache yet is asked for: less where each of them is little work. */
enum { AHEAD = 4096, AHEAD_LIGHT = 3072 };
INLINE size_t ahead_of(int type) { return type == CHRONOS_Q4_0 || type == CHRONOS_Q2_K ? AHEAD : AHEAD_LIGHT; }

INLINE __m512i bytes64(const uint8_t *p) { return _mm512_loadu_si512(p); }
INLINE __m512i spread(const uint8_t *p) { return _mm512_set1_epi32(load_i32(p)); }
INLINE __m512 spread_float(const uint8_t *p) { return _mm512_set1_ps(load_f32(p)); }
INLINE __m512 halves16(const uint8_t *p) { return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p)); }

INLINE void prefetch(const uint8_t *p, size_t ahead, size_t bytes) {
    for (size_t i = 0; i < bytes; i += 64)
        _mm_prefetch((const char *)((uintptr_t)p + ahead + i), _MM_HINT_T0);
}

/* Part n of `of` of what a step asks for early: little at a time, or it would wait in a row.
 * What comes later still is asked for into the second-level cache: it must not push out what is used now. */
INLINE void ask(int type, const panel_part *p, size_t i, const uint8_t *v, const uint8_t *w, size_t n, size_t of) {
    if (p->fresh) {
        size_t step = panel_step_bytes(type), lines = step / 64, ahead = ahead_of(type);
        ahead += (p->steps - i) * step <= ahead ? p->skip : 0;
        size_t part = (lines + of - 1) / of * 64;
        prefetch(v + n * part, ahead, part), prefetch(w + n * part, ahead, part);
    }
    if (n > 0)
        return;
    for (size_t l = i * p->lines; l < (i + 1) * p->lines; l++) {
        _mm_prefetch((const char *)(p->next[0] + 64 * l), _MM_HINT_T1);
        _mm_prefetch((const char *)(p->next[1] + 64 * l), _MM_HINT_T1);
    }
}

/* The sums of two panels: those of panel i and row c of x are sum[c][i]. */
typedef __m512 sums[COLS][2];

INLINE __mmask16 rows_of(const panel_part *p, int i) {
    size_t rows = p->rows > 16u * i ? p->rows - 16u * i : 0;
    return (__mmask16)((1u << (rows < 16 ? rows : 16)) - 1);
}

INLINE void load(const panel_part *p, sums sum, size_t cols) {
    UNROLL for (size_t c = 0; c < cols; c++)
        UNROLL for (int i = 0; i < 2; i++)
            sum[c][i] = p->more ? _mm512_maskz_loadu_ps(rows_of(p, i), p->y + c * p->ldy + 16 * i)
                                : _mm512_setzero_ps();
}

INLINE void store(const panel_part *p, sums sum, size_t cols) {
    UNROLL for (size_t c = 0; c < cols; c++)
        UNROLL for (int i = 0; i < 2; i++)
            _mm512_mask_storeu_ps(p->y + c * p->ldy + 16 * i, rows_of(p, i), sum[c][i]);
}

/* Vector i of the eight with the codes of 32 weights. */
INLINE __m512i codes32(int type, const uint8_t *w, int i) {
    const __m512i nibble = _mm512_set1_epi8(15);
    if (type == CHRONOS_Q8_0)
        return bytes64(w + i * LANES4);
    __m512i bytes = bytes64(w + i % 4 * LANES4);
    return _mm512_and_si512(i < 4 ? bytes : _mm512_srli_epi16(bytes, 4), nibble);
}

/* 32 weights of both panels; v is the first panel's codes, w the second's. */
INLINE void step32(int type, const uint8_t *v, const uint8_t *w, __m512 v_scale, __m512 w_scale,
                   const uint8_t *x, size_t cols, sums sum) {
    const uint8_t *scales = x + cols * BLOCK, *biases = scales + cols * sizeof(float);
    __m512i dot[COLS][2], odd[COLS][2];
    UNROLL for (size_t c = 0; c < cols; c++)
        dot[c][0] = dot[c][1] = spread(biases + c * 4), odd[c][0] = odd[c][1] = _mm512_setzero_si512();
    UNROLL for (int i = 0; i < 8; i++) {
        __m512i first = codes32(type, v, i), second = codes32(type, w, i);
        UNROLL for (size_t c = 0; c < cols; c++) { /* what is read of x serves twice: loads, too, have a limit */
            __m512i four = spread(x + c * BLOCK + 4 * i), *sums = cols < 3 && i % 2 ? odd[c] : dot[c];
            sums[0] = _mm512_dpbusd_epi32(sums[0], first, four);
            sums[1] = _mm512_dpbusd_epi32(sums[1], second, four);
        }
    }
    UNROLL for (size_t c = 0; c < cols; c++) {
        if (cols < 3)
            UNROLL for (int n = 0; n < 2; n++) dot[c][n] = _mm512_add_epi32(dot[c][n], odd[c][n]);
        __m512 scale = spread_float(scales + c * 4);
        sum[c][0] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot[c][0]), _mm512_mul_ps(v_scale, scale), sum[c][0]);
        sum[c][1] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot[c][1]), _mm512_mul_ps(w_scale, scale), sum[c][1]);
    }
}

INLINE void by_32(int type, const panel_part *p, size_t cols) {
    size_t codes = (type == CHRONOS_Q8_0 ? 8 : 4) * LANES4, step = LANES4 + 2 * codes, x_step = cols * XSTEP_BYTES;
    const uint8_t *v = p->panel[0], *w = p->panel[1], *x = p->x;
    sums sum;
    load(p, sum, cols);
    for (size_t i = 0; i < p->steps; i++, v += step, w += step, x += 2 * x_step) {
        const uint8_t *v_codes = v + LANES4, *w_codes = w + LANES4;
        ask(type, p, i, v, w, 0, 2);
        step32(type, v_codes, w_codes, halves16(v), halves16(w), x, cols, sum);
        ask(type, p, i, v, w, 1, 2);
        step32(type, v_codes + codes, w_codes + codes, halves16(v + 32), halves16(w + 32), x + x_step, cols, sum);
    }
    store(p, sum, cols);
}

typedef __m512i totals[COLS][2];

/* Sums of sixteen products each: w's codes at bits 2p of four vectors by 16 of x. */
INLINE void sixteen(const uint8_t *const *w, int p, const uint8_t *x, size_t cols, totals dot) {
    const __m512i two_bits = _mm512_set1_epi8(3);
    UNROLL for (size_t c = 0; c < cols; c++)
        dot[c][0] = dot[c][1] = _mm512_setzero_si512();
    UNROLL for (int i = 0; i < 4; i++) {
        __m512i code[2];
        UNROLL for (int n = 0; n < 2; n++)
            code[n] = _mm512_and_si512(_mm512_srli_epi16(bytes64(w[n] + i * LANES4), 2 * p), two_bits);
        UNROLL for (size_t c = 0; c < cols; c++) {
            __m512i four = spread(x + c * 16 + 4 * i);
            dot[c][0] = _mm512_dpbusd_epi32(dot[c][0], code[0], four);
            dot[c][1] = _mm512_dpbusd_epi32(dot[c][1], code[1], four);
        }
    }
}

/* 64 of a super-block's weights: four vectors of bytes hold four sixteens, two bits each. Sums of sixteen are
 * below 2^15, so two of them share 32 bits and meet their scales in one instruction. */
INLINE void quarter(const uint8_t *const *w, const uint8_t *const *scales, int odd, const uint8_t *x, size_t cols,
                    totals total) {
    const __mmask64 high = 0xcccccccccccccccc; /* two bytes of four */
    const __m512i pairs = _mm512_set1_epi32(0x000f000f);
    UNROLL for (int p = 0; p < 4; p += 2) { /* sixteens 2p + odd and 2p + odd + 2 of the eight of this half */
        const uint8_t *row = x + (2 * p + odd) * cols * 16;
        totals first, second;
        sixteen(w, p, row, cols, first);
        sixteen(w, p + 1, row + 2 * cols * 16, cols, second);
        UNROLL for (int n = 0; n < 2; n++) {
            __m512i four = bytes64(scales[n] + p / 2 * LANES4);
            __m512i scale = _mm512_and_si512(_mm512_srli_epi32(four, 8 * odd), pairs);
            UNROLL for (size_t c = 0; c < cols; c++) {
                __m512i two = _mm512_mask_alignr_epi8(first[c][n], high, second[c][n], second[c][n], 14);
                total[c][n] = _mm512_dpwssd_epi32(total[c][n], two, scale);
            }
        }
    }
}

/* The sixteens' minima times the sums of x's codes. */
INLINE void minima(const uint8_t *scales, const uint8_t *x_sums, size_t cols, int n, totals total) {
    const __m512i pairs = _mm512_set1_epi32(0x000f000f);
    UNROLL for (int j = 0; j < 8; j++) {
        __m512i four = bytes64(scales + j / 2 * LANES4);
        __m512i two = _mm512_and_si512(_mm512_srli_epi32(four, j % 2 ? 12 : 4), pairs);
        UNROLL for (size_t c = 0; c < cols; c++)
            total[c][n] = _mm512_dpwssd_epi32(total[c][n], two, spread(x_sums + (j * cols + c) * 4));
    }
}

INLINE void by_256(const panel_part *p, size_t cols) {
    const uint8_t *w[2] = {p->panel[0], p->panel[1]}, *x = p->x;
    size_t step = panel_step_bytes(CHRONOS_Q2_K);
    sums sum;
    load(p, sum, cols);
    for (size_t i = 0; i < p->steps; i++, w[0] += step, w[1] += step, x += cols * XSUPER_BYTES) {
        const uint8_t *x_scales = x + cols * SUPER;
        totals dot, min;
        UNROLL for (size_t c = 0; c < cols; c++)
            dot[c][0] = dot[c][1] = min[c][0] = min[c][1] = _mm512_setzero_si512();
        for (size_t q = 0; q < 4; q++) {
            ask(CHRONOS_Q2_K, p, i, w[0], w[1], q, 4);
            const uint8_t *codes[2], *scales[2];
            for (int n = 0; n < 2; n++) {
                codes[n] = w[n] + (5 + 4 * q) * LANES4;
                scales[n] = w[n] + (1 + q / 2 * 2) * LANES4;
            }
            quarter(codes, scales, q % 2, x + q / 2 * cols * 128, cols, dot);
        }
        UNROLL for (int n = 0; n < 2; n++) {
            __m512 d = halves16(w[n]), dmin = halves16(w[n] + 32);
            minima(w[n] + LANES4, x_scales + cols * 4, cols, n, min);
            UNROLL for (size_t c = 0; c < cols; c++) {
                __m512 scale = spread_float(x_scales + c * 4);
                sum[c][n] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dot[c][n]), _mm512_mul_ps(d, scale), sum[c][n]);
                sum[c][n] = _mm512_fnmadd_ps(_mm512_cvtepi32_ps(min[c][n]), _mm512_mul_ps(dmin, scale), sum[c][n]);
            }
        }
    }
    store(p, sum, cols);
}

INLINE void by_2(const panel_part *p, size_t cols) {
    const uint8_t *v = p->panel[0], *w = p->panel[1], *x = p->x;
    sums sum;
    load(p, sum, cols);
    for (size_t i = 0; i < 2 * p->steps; i++, v += 32, w += 32, x += cols * 4) {
        if (p->fresh && i % 2 == 0)
            prefetch(v, AHEAD_LIGHT, LANES4), prefetch(w, AHEAD_LIGHT, LANES4);
        __m512 first = halves16(v), second = halves16(w);
        UNROLL for (size_t c = 0; c < cols; c++) {
            __m512 value = spread_float(x + c * 4);
            sum[c][0] = _mm512_fmadd_ps(first, value, sum[c][0]);
            sum[c][1] = _mm512_fmadd_ps(second, value, sum[c][1]);
        }
    }
    store(p, sum, cols);
}

/* The first numbers of pairs, and the second. */
INLINE __m512 firsts(__m512i pairs) { return (__m512)_mm512_slli_epi32(pairs, 16); }
INLINE __m512 seconds(__m512i pairs) { return (__m512)_mm512_and_si512(pairs, _mm512_set1_epi32((int)HIGH_HALF)); }

/* Where packed_bf16.c's instructions are not. */
INLINE void by_pairs(const panel_part *p, size_t cols) {
    sums sum;
    load(p, sum, cols);
    for (size_t i = 0; i < p->steps; i++) {
        __m512i v = bytes64(p->panel[0] + i * LANES4), w = bytes64(p->panel[1] + i * LANES4);
        UNROLL for (size_t c = 0; c < cols; c++) {
            __m512i two = spread(p->x + (i * cols + c) * 4);
            sum[c][0] = _mm512_fmadd_ps(seconds(v), seconds(two), _mm512_fmadd_ps(firsts(v), firsts(two), sum[c][0]));
            sum[c][1] = _mm512_fmadd_ps(seconds(w), seconds(two), _mm512_fmadd_ps(firsts(w), firsts(two), sum[c][1]));
        }
    }
    store(p, sum, cols);
}

/* One copy for each number of rows of x, so that all of them are constants where this is inlined. */
#define CASE(n, call)                                                                                     \
    case n: {                                                                                             \
        enum { N = n };                                                                                   \
        call;                                                                                             \
        break;                                                                                            \
    }
#define EVERY_COLS(name, call)                                                                            \
    AVX512 static void name(const panel_part *p, size_t cols) {                                           \
        switch (cols) {                                                                                   \
            CASE(1, call) CASE(2, call) CASE(3, call) CASE(4, call)                                       \
        }                                                                                                 \
    }
EVERY_COLS(q4_0, by_32(CHRONOS_Q4_0, p, N))
EVERY_COLS(q8_0, by_32(CHRONOS_Q8_0, p, N))
EVERY_COLS(q2_k, by_256(p, N))
EVERY_COLS(f16, by_2(p, N))
EVERY_COLS(bf16, by_pairs(p, N))

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

/* The sum of each of four vectors. */
INLINE __m128i sum_each(const __m128i *v) {
    return _mm_hadd_epi32(_mm_hadd_epi32(v[0], v[1]), _mm_hadd_epi32(v[2], v[3]));
}

/* max|x| of each of four blocks, as bits. */
INLINE __m128i four_maxima(const float *x, size_t ldx) {
    __m512i m[4];
    UNROLL for (int c = 0; c < 4; c++)
        m[c] = larger(larger(_mm512_setzero_si512(), x + c * ldx), x + c * ldx + 16);
    __m512i a = _mm512_max_epi32(_mm512_unpacklo_epi32(m[0], m[1]), _mm512_unpackhi_epi32(m[0], m[1]));
    __m512i b = _mm512_max_epi32(_mm512_unpacklo_epi32(m[2], m[3]), _mm512_unpackhi_epi32(m[2], m[3]));
    a = _mm512_max_epi32(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
    __m256i half = _mm256_max_epi32(_mm512_castsi512_si256(a), _mm512_extracti64x4_epi64(a, 1));
    return _mm_max_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
}

/* A block of each of four rows, to the bits that each alone would get: divisions and sums are of all at once. */
INLINE void prepare_four(const float *x, size_t ldx, int zero, uint8_t *to) {
    const __m128i ones = _mm_set1_epi8(1);
    __m128i bits = four_maxima(x, ldx), finite = _mm_cmplt_epi32(bits, _mm_set1_epi32(0x7f800000));
    __m128 max = _mm_castsi128_ps(bits), seven = _mm_set1_ps(127.0f), nan = _mm_set1_ps(NAN);
    __mmask8 counts = _mm_cmp_ps_mask(max, _mm_set1_ps(TINY), _CMP_GE_OQ) & _mm_movepi32_mask(finite);
    __m128 scale = _mm_blendv_ps(nan, _mm_maskz_div_ps(counts, max, seven), _mm_castsi128_ps(finite));
    float inverse[4];
    _mm_storeu_ps(inverse, _mm_maskz_div_ps(counts, seven, max));
    __m128i sum[4];
    UNROLL for (int c = 0; c < 4; c++) {
        __mmask16 all = (__mmask16)(0 - (counts >> c & 1)); /* what does not count may be NaN */
        __m512 by = _mm512_set1_ps(inverse[c]);
        sum[c] = _mm_setzero_si128();
        UNROLL for (int i = 0; i < 2; i++) {
            __m512 scaled = _mm512_mul_ps(_mm512_loadu_ps(x + c * ldx + 16 * i), by);
            __m128i codes = _mm512_maskz_cvtsepi32_epi8(all, _mm512_cvtps_epi32(scaled));
            _mm_storeu_si128((__m128i *)(to + c * BLOCK + 16 * i), codes);
            sum[c] = _mm_dpbusd_epi32(sum[c], ones, codes);
        }
    }
    _mm_storeu_ps((float *)(void *)(to + 4 * BLOCK), scale);
    _mm_storeu_si128((__m128i *)(to + 4 * BLOCK + 16), _mm_mullo_epi32(sum_each(sum), _mm_set1_epi32(-zero)));
}

AVX512 static void prepare(const float *x, size_t ldx, size_t cols, size_t k, int zero, uint8_t *out) {
    size_t steps = panel_steps(CHRONOS_Q4_0, k) * 2, step = cols * XSTEP_BYTES;
    size_t done = cols == COLS ? k / BLOCK : 0;
    for (size_t i = 0; i < done; i++)
        prepare_four(x + i * BLOCK, ldx, zero, out + i * step);
    for (size_t c = 0; c < cols; c++)
        for (size_t i = done; i < steps; i++) {
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
            for (size_t j = 0; j < 16; j += 4) { /* four sums are two pairs */
                __m128i sum[4];
                UNROLL for (size_t s = 0; s < 4; s++) {
                    __m128i codes = codes16(from + 16 * (j + s), inverse);
                    _mm_storeu_si128((__m128i *)(to + ((j + s) * cols + c) * 16), codes);
                    sum[s] = _mm_dpbusd_epi32(_mm_setzero_si128(), _mm_set1_epi8(1), codes);
                }
                __m128i sums = sum_each(sum), pairs = _mm_shufflelo_epi16(_mm_packs_epi32(sums, sums), 0xd8);
                uint8_t *pair = to + cols * (SUPER + 4) + (j / 2 * cols + c) * 4;
                _mm_storeu_si32(pair, pairs), _mm_storeu_si32(pair + cols * 4, _mm_srli_epi64(pairs, 32));
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
