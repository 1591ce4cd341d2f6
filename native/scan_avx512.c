/* The kernels of the scan for x86-64 with AVX-512 (F, BW) and VNNI: 16 keys at a time, a vector a key.
 * Compiled without -march, as matmul_avx2.c; nothing here runs before dispatch.c has asked the CPU. */
#include "scan.h"

#ifdef HAVE_AVX2
#include <immintrin.h>

#define AVX512 __attribute__((target("avx512f,avx512bw,avx512vnni")))
#define INLINE static inline __attribute__((always_inline)) AVX512

enum { AHEAD = 4096 }; /* bytes of keys that are asked for early */

/* Key p of 16 goes through slot slot_of[p] of a fold, so that the sums come out in the keys' order. */
static const uint8_t slot_of[16] = {0, 2, 1, 3, 8, 10, 9, 11, 4, 6, 5, 7, 12, 14, 13, 15};

INLINE __m512 pairs_lo(__m512 a, __m512 b) {
    return _mm512_castpd_ps(_mm512_unpacklo_pd(_mm512_castps_pd(a), _mm512_castps_pd(b)));
}
INLINE __m512 pairs_hi(__m512 a, __m512 b) {
    return _mm512_castpd_ps(_mm512_unpackhi_pd(_mm512_castps_pd(a), _mm512_castps_pd(b)));
}

INLINE __m512 sum_of(int integers, __m512 a, __m512 b) {
    if (!integers)
        return _mm512_add_ps(a, b);
    return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(a), _mm512_castps_si512(b)));
}

/* 16 vectors of 16 partial sums -> the 16 sums. x is used up. */
INLINE __m512 fold(int integers, __m512 *x) {
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++)
        x[i] = sum_of(integers, _mm512_shuffle_f32x4(x[i], x[i + 8], 0x44),
                      _mm512_shuffle_f32x4(x[i], x[i + 8], 0xee));
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++)
        x[i] = sum_of(integers, _mm512_shuffle_f32x4(x[i], x[i + 4], 0x88),
                      _mm512_shuffle_f32x4(x[i], x[i + 4], 0xdd));
#pragma GCC unroll 2
    for (int i = 0; i < 2; i++)
        x[i] = sum_of(integers, pairs_lo(x[i], x[i + 2]), pairs_hi(x[i], x[i + 2]));
    return sum_of(integers, _mm512_shuffle_ps(x[0], x[1], 0x88), _mm512_shuffle_ps(x[0], x[1], 0xdd));
}

/* vpdpbusd multiplies unsigned by signed bytes: keys are taken as key + 128, which adds 128 times the sum of
 * the query. */
INLINE __m512i int8_key(const int8_t *key, size_t width, const int8_t *query) {
    const __m512i flip = _mm512_set1_epi8(-128);
    __m512i sum = _mm512_setzero_si512();
    size_t i = 0;
    for (; i + 64 <= width; i += 64)
        sum = _mm512_dpbusd_epi32(sum, _mm512_xor_si512(_mm512_loadu_si512(key + i), flip),
                                  _mm512_loadu_si512(query + i));
    if (i < width) {
        __mmask64 there = ~0ull >> (64 - (width - i));
        sum = _mm512_dpbusd_epi32(sum, _mm512_xor_si512(_mm512_maskz_loadu_epi8(there, key + i), flip),
                                  _mm512_loadu_si512(query + i));
    }
    return sum;
}

INLINE void int8_rows(const int8_t *keys, size_t stride, size_t rows, size_t width, const int8_t *query,
                      int32_t *scores) {
    int32_t bias = 0;
    for (size_t i = 0; i < width; i++)
        bias -= 128 * query[i];
    const __m512i correction = _mm512_set1_epi32(bias);
    for (size_t r = 0; r < rows; r += 16, keys += 16 * stride) {
        size_t left = rows - r;
        __m512 x[16];
#pragma GCC unroll 16
        for (size_t p = 0; p < 16; p++) {
            const int8_t *key = keys + (p < left ? p : left - 1) * stride; /* past the end: the last again */
            _mm_prefetch((const char *)key + AHEAD, _MM_HINT_T0);
            x[slot_of[p]] = _mm512_castsi512_ps(int8_key(key, width, query));
        }
        __m512i sums = _mm512_add_epi32(_mm512_castps_si512(fold(1, x)), correction);
        _mm512_mask_storeu_epi32(scores + r, left < 16 ? (__mmask16)((1u << left) - 1) : 0xffff, sums);
    }
}

AVX512 static void int8_scores(const int8_t *keys, size_t stride, size_t rows, size_t width,
                               const int8_t *query, int32_t *scores) {
    if (width == 64) /* one load a key: worth a loop of its own */
        int8_rows(keys, stride, rows, 64, query, scores);
    else
        int8_rows(keys, stride, rows, width, query, scores);
}

INLINE __m512 bf16_step(__m512 sum, __m256i key, const float *query) {
    __m512 k = _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(key), 16));
    return _mm512_add_ps(sum, _mm512_mul_ps(k, _mm512_loadu_ps(query)));
}

INLINE __m512 bf16_key(const uint8_t *key, size_t width, const float *query) {
    __m512 sum = _mm512_setzero_ps();
    size_t i = 0;
    for (; i + 16 <= width; i += 16)
        sum = bf16_step(sum, _mm256_loadu_si256((const __m256i *)(const void *)(key + 2 * i)), query + i);
    if (i < width) {
        __mmask32 there = (1u << (width - i)) - 1;
        __m256i rest = _mm512_castsi512_si256(_mm512_maskz_loadu_epi16(there, key + 2 * i));
        sum = bf16_step(sum, rest, query + i);
    }
    return sum;
}

INLINE void bf16_rows(const uint8_t *keys, size_t stride, size_t rows, size_t width, const float *query,
                      float *scores) {
    for (size_t r = 0; r < rows; r += 16, keys += 16 * stride) {
        size_t left = rows - r;
        __m512 x[16];
#pragma GCC unroll 16
        for (size_t p = 0; p < 16; p++) {
            const uint8_t *key = keys + (p < left ? p : left - 1) * stride;
            for (size_t line = 0; line < 2 * width; line += 64)
                _mm_prefetch((const char *)key + AHEAD + line, _MM_HINT_T0);
            x[slot_of[p]] = bf16_key(key, width, query);
        }
        _mm512_mask_storeu_ps(scores + r, left < 16 ? (__mmask16)((1u << left) - 1) : 0xffff, fold(0, x));
    }
}

AVX512 static void bf16_scores(const uint8_t *keys, size_t stride, size_t rows, size_t width,
                               const float *query, float *scores) {
    if (width == 64)
        bf16_rows(keys, stride, rows, 64, query, scores);
    else
        bf16_rows(keys, stride, rows, width, query, scores);
}

AVX512 static size_t above(const int32_t *scores, size_t rows, int32_t floor, uint16_t *places) {
    const __m512i least = _mm512_set1_epi32(floor);
    size_t n = 0;
    for (size_t r = 0; r < rows; r += 16) {
        __mmask16 there = rows - r < 16 ? (__mmask16)((1u << (rows - r)) - 1) : 0xffff;
        __m512i some = _mm512_maskz_loadu_epi32(there, scores + r);
        unsigned found = _mm512_mask_cmpge_epi32_mask(there, some, least);
        for (; found; found &= found - 1)
            places[n++] = (uint16_t)(r + (size_t)__builtin_ctz(found));
    }
    return n;
}

const scan_kernels scan_avx512 = {"avx512", int8_scores, bf16_scores, above};

#else
typedef int nothing; /* no other machine has these instructions; ISO C wants something in a file */
#endif
