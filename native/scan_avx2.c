/* The kernels of the scan for x86-64 with AVX2: eight keys at a time.
 * Compiled without -march, as matmul_avx2.c; nothing here runs before dispatch.c has asked the CPU. */
#include "scan.h"

#ifdef HAVE_AVX2
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2")))
#define INLINE static inline __attribute__((always_inline)) AVX2

enum { AHEAD = 4096 }; /* bytes of keys that are asked for early */

/* Key p of eight goes through slot slot_of[p] of a fold, so that the sums come out in the keys' order. */
static const uint8_t slot_of[8] = {0, 2, 1, 3, 4, 6, 5, 7};

INLINE __m256 pairs_lo(__m256 a, __m256 b) {
    return _mm256_castpd_ps(_mm256_unpacklo_pd(_mm256_castps_pd(a), _mm256_castps_pd(b)));
}
INLINE __m256 pairs_hi(__m256 a, __m256 b) {
    return _mm256_castpd_ps(_mm256_unpackhi_pd(_mm256_castps_pd(a), _mm256_castps_pd(b)));
}

INLINE __m256 sum_of(int integers, __m256 a, __m256 b) {
    if (!integers)
        return _mm256_add_ps(a, b);
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(a), _mm256_castps_si256(b)));
}

/* Eight vectors of eight partial sums -> the eight sums. x is used up. */
INLINE __m256 fold(int integers, __m256 *x) {
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++)
        x[i] = sum_of(integers, _mm256_permute2f128_ps(x[i], x[i + 4], 0x20),
                      _mm256_permute2f128_ps(x[i], x[i + 4], 0x31));
#pragma GCC unroll 2
    for (int i = 0; i < 2; i++)
        x[i] = sum_of(integers, pairs_lo(x[i], x[i + 2]), pairs_hi(x[i], x[i + 2]));
    return sum_of(integers, _mm256_shuffle_ps(x[0], x[1], 0x88), _mm256_shuffle_ps(x[0], x[1], 0xdd));
}

INLINE __m256i int8_step(__m256i sum, __m128i key, const int8_t *query) {
    __m256i q = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(const void *)query));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_cvtepi8_epi16(key), q));
}

INLINE __m256i int8_key(const int8_t *key, size_t width, const int8_t *query) {
    __m256i sum = _mm256_setzero_si256();
    size_t i = 0;
    for (; i + 16 <= width; i += 16)
        sum = int8_step(sum, _mm_loadu_si128((const __m128i *)(const void *)(key + i)), query + i);
    if (i < width) {
        int8_t rest[16] = {0};
        memcpy(rest, key + i, width - i);
        sum = int8_step(sum, _mm_loadu_si128((const __m128i *)(const void *)rest), query + i);
    }
    return sum;
}

INLINE void store(float *scores, size_t left, __m256 sums) {
    float all[8];
    if (left >= 8) {
        _mm256_storeu_ps(scores, sums);
        return;
    }
    _mm256_storeu_ps(all, sums);
    memcpy(scores, all, left * sizeof *all);
}

INLINE void int8_rows(const int8_t *keys, size_t stride, size_t rows, size_t width, const int8_t *query,
                      int32_t *scores) {
    for (size_t r = 0; r < rows; r += 8, keys += 8 * stride) {
        size_t left = rows - r;
        __m256 x[8];
#pragma GCC unroll 8
        for (size_t p = 0; p < 8; p++) {
            const int8_t *key = keys + (p < left ? p : left - 1) * stride; /* past the end: the last again */
            _mm_prefetch((const char *)key + AHEAD, _MM_HINT_T0);
            x[slot_of[p]] = _mm256_castsi256_ps(int8_key(key, width, query));
        }
        store((float *)(void *)(scores + r), left, fold(1, x));
    }
}

AVX2 static void int8_scores(const int8_t *keys, size_t stride, size_t rows, size_t width,
                             const int8_t *query, int32_t *scores) {
    if (width == 64) /* worth a loop of its own */
        int8_rows(keys, stride, rows, 64, query, scores);
    else
        int8_rows(keys, stride, rows, width, query, scores);
}

INLINE __m256 bf16_step(__m256 sum, const uint8_t *key, const float *query) {
    __m128i bits = _mm_loadu_si128((const __m128i *)(const void *)key);
    __m256 k = _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
    return _mm256_add_ps(sum, _mm256_mul_ps(k, _mm256_loadu_ps(query)));
}

/* Lanes 0 ... 7 and 8 ... 15 of the sum, already added. */
INLINE __m256 bf16_key(const uint8_t *key, size_t width, const float *query) {
    __m256 low = _mm256_setzero_ps(), high = low;
    size_t i = 0;
    for (; i + 16 <= width; i += 16) {
        low = bf16_step(low, key + 2 * i, query + i);
        high = bf16_step(high, key + 2 * i + 16, query + i + 8);
    }
    if (i < width) {
        uint8_t rest[32] = {0};
        memcpy(rest, key + 2 * i, 2 * (width - i));
        low = bf16_step(low, rest, query + i);
        high = bf16_step(high, rest + 16, query + i + 8);
    }
    return _mm256_add_ps(low, high);
}

INLINE void bf16_rows(const uint8_t *keys, size_t stride, size_t rows, size_t width, const float *query,
                      float *scores) {
    for (size_t r = 0; r < rows; r += 8, keys += 8 * stride) {
        size_t left = rows - r;
        __m256 x[8];
#pragma GCC unroll 8
        for (size_t p = 0; p < 8; p++) {
            const uint8_t *key = keys + (p < left ? p : left - 1) * stride;
            for (size_t line = 0; line < 2 * width; line += 64)
                _mm_prefetch((const char *)key + AHEAD + line, _MM_HINT_T0);
            x[slot_of[p]] = bf16_key(key, width, query);
        }
        store(scores + r, left, fold(0, x));
    }
}

AVX2 static void bf16_scores(const uint8_t *keys, size_t stride, size_t rows, size_t width,
                             const float *query, float *scores) {
    if (width == 64)
        bf16_rows(keys, stride, rows, 64, query, scores);
    else
        bf16_rows(keys, stride, rows, width, query, scores);
}

AVX2 static size_t above(const int32_t *scores, size_t rows, int32_t floor, uint16_t *places) {
    const __m256i below = _mm256_set1_epi32(floor - 1); /* floor is above INT32_MIN */
    size_t n = 0, r = 0;
    for (; r + 8 <= rows; r += 8) {
        __m256i eight = _mm256_loadu_si256((const __m256i *)(const void *)(scores + r));
        __m256i found = _mm256_cmpgt_epi32(eight, below);
        unsigned bits = (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(found));
        for (; bits; bits &= bits - 1)
            places[n++] = (uint16_t)(r + (size_t)__builtin_ctz(bits));
    }
    for (; r < rows; r++)
        if (scores[r] >= floor)
            places[n++] = (uint16_t)r;
    return n;
}

const scan_kernels scan_avx2 = {"avx2", int8_scores, bf16_scores, above};

#else
typedef int nothing; /* no other machine has these instructions; ISO C wants something in a file */
#endif
