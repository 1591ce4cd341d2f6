/* The limits of x86-64: AVX-512 with VNNI and BF16, and AVX2. Compiled without -march; see peaks.h.
 * A round is SUMS multiply-adds, twice as many as wait for each other's four or five cycles on two ports. */
#include "peaks.h"

#ifdef HAVE_AVX2
#include <immintrin.h>

#define AVX2 __attribute__((target("avx2,fma")))
#define AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")))
#define BF16 __attribute__((target("avx512f,avx512bf16")))
#define UNROLL _Pragma("GCC unroll 16")
/* The compiler must not know these numbers: it would find shorter ways to the sums. */
#define HIDE(...) __asm__ volatile("" : "+v"(__VA_ARGS__))

enum { SUMS2 = 12, SUMS = 16 }; /* AVX2 has 16 registers, AVX-512 32 */

AVX2 static uint64_t read_avx2(const uint8_t *data, size_t bytes) {
    __m256i sum[8];
    uint64_t words[4];
    UNROLL for (int i = 0; i < 8; i++) sum[i] = _mm256_setzero_si256();
    for (const uint8_t *end = data + bytes; data < end; data += READ_STEP)
        UNROLL for (int i = 0; i < 8; i++)
            sum[i] = _mm256_add_epi64(sum[i], _mm256_loadu_si256((const __m256i *)(const void *)(data + 32 * i)));
    UNROLL for (int i = 1; i < 8; i++) sum[0] = _mm256_add_epi64(sum[0], sum[i]);
    _mm256_storeu_si256((__m256i *)(void *)words, sum[0]);
    return words[0] + words[1] + words[2] + words[3];
}

AVX2 static float float32_avx2(size_t rounds) {
    __m256 sum[SUMS2], a = _mm256_set1_ps(0.999f), b = _mm256_set1_ps(0.001f);
    HIDE(a);
    UNROLL for (int i = 0; i < SUMS2; i++) sum[i] = _mm256_set1_ps((float)i);
    for (size_t n = 0; n < rounds; n++)
        UNROLL for (int i = 0; i < SUMS2; i++) sum[i] = _mm256_fmadd_ps(sum[i], a, b);
    UNROLL for (int i = 1; i < SUMS2; i++) sum[0] = _mm256_add_ps(sum[0], sum[i]);
    return _mm256_cvtss_f32(sum[0]);
}

/* Without VNNI a product of bytes takes three instructions. */
AVX2 static float int8_avx2(size_t rounds) {
    __m256i sum[SUMS2], a = _mm256_set1_epi8(3), b = _mm256_set1_epi8(1), ones = _mm256_set1_epi16(1);
    UNROLL for (int i = 0; i < SUMS2; i++) sum[i] = _mm256_set1_epi32(i);
    for (size_t n = 0; n < rounds; n++)
        UNROLL for (int i = 0; i < SUMS2; i++) {
            HIDE(a);
            sum[i] = _mm256_add_epi32(sum[i], _mm256_madd_epi16(_mm256_maddubs_epi16(a, b), ones));
        }
    UNROLL for (int i = 1; i < SUMS2; i++) sum[0] = _mm256_add_epi32(sum[0], sum[i]);
    return (float)_mm256_extract_epi32(sum[0], 0);
}

AVX512 static uint64_t read_avx512(const uint8_t *data, size_t bytes) {
    __m512i sum[8];
    UNROLL for (int i = 0; i < 8; i++) sum[i] = _mm512_setzero_si512();
    const uint8_t *end = data + bytes;
    for (; data + 2 * READ_STEP <= end; data += 2 * READ_STEP)
        UNROLL for (int i = 0; i < 8; i++) sum[i] = _mm512_add_epi64(sum[i], _mm512_loadu_si512(data + 64 * i));
    UNROLL for (int i = 0; i < 4 && data < end; i++)
        sum[i] = _mm512_add_epi64(sum[i], _mm512_loadu_si512(data + 64 * i));
    UNROLL for (int i = 1; i < 8; i++) sum[0] = _mm512_add_epi64(sum[0], sum[i]);
    return (uint64_t)_mm512_reduce_add_epi64(sum[0]);
}

AVX512 static float float32_avx512(size_t rounds) {
    __m512 sum[SUMS], a = _mm512_set1_ps(0.999f), b = _mm512_set1_ps(0.001f);
    HIDE(a);
    UNROLL for (int i = 0; i < SUMS; i++) sum[i] = _mm512_set1_ps((float)i);
    for (size_t n = 0; n < rounds; n++)
        UNROLL for (int i = 0; i < SUMS; i++) sum[i] = _mm512_fmadd_ps(sum[i], a, b);
    UNROLL for (int i = 1; i < SUMS; i++) sum[0] = _mm512_add_ps(sum[0], sum[i]);
    return _mm512_cvtss_f32(sum[0]);
}

AVX512 static float int8_avx512(size_t rounds) {
    __m512i sum[SUMS], a = _mm512_set1_epi8(3), b = _mm512_set1_epi8(1);
    HIDE(a);
    UNROLL for (int i = 0; i < SUMS; i++) sum[i] = _mm512_set1_epi32(i); /* alike, they would be one */
    for (size_t n = 0; n < rounds; n++)
        UNROLL for (int i = 0; i < SUMS; i++) sum[i] = _mm512_dpbusd_epi32(sum[i], a, b);
    UNROLL for (int i = 1; i < SUMS; i++) sum[0] = _mm512_add_epi32(sum[0], sum[i]);
    return (float)_mm512_cvtsi512_si32(sum[0]);
}

BF16 static float bf16_avx512(size_t rounds) {
    __m512 sum[SUMS];
    __m512i ones = _mm512_set1_epi16(0x3f80);
    HIDE(ones);
    UNROLL for (int i = 0; i < SUMS; i++) sum[i] = _mm512_set1_ps((float)i);
    for (size_t n = 0; n < rounds; n++)
        UNROLL for (int i = 0; i < SUMS; i++) sum[i] = _mm512_dpbf16_ps(sum[i], (__m512bh)ones, (__m512bh)ones);
    UNROLL for (int i = 1; i < SUMS; i++) sum[0] = _mm512_add_ps(sum[0], sum[i]);
    return _mm512_cvtss_f32(sum[0]);
}

const limit_table limits_avx2 = {
    read_avx2, {float32_avx2, int8_avx2, NULL}, {SUMS2 * 8 * 2, SUMS2 * 32 * 2, 0}};
const limit_table limits_avx512 = {read_avx512,
                                   {float32_avx512, int8_avx512, bf16_avx512},
                                   {SUMS * 16 * 2, SUMS * 64 * 2, SUMS * 32 * 2}};
#endif
