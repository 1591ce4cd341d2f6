/* Between the AVX-512 files of float products only: how panels are made, and how sums reach c.
 * All of it is inlined. It chooses nothing, and no file is compiled with -march: each function names what it
 * needs. */
#ifndef CHRONOS_GEMM_AVX512_H
#define CHRONOS_GEMM_AVX512_H

#include "gemm.h"
#include <immintrin.h>

#define AVX512 __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")))
#define INLINE AVX512 static inline __attribute__((always_inline))

#ifdef __clang__
#define EACH _Pragma("unroll")
#else
#define EACH _Pragma("GCC unroll 28")
#endif

enum { LINE = 64, LANES = 16, MAX_SUMS = 28, CHUNK = 8 /* units that are turned at a time */ };

gemm_pack_fn gemm_pack_avx512_bf16;
gemm_few_fn gemm_few_avx512_bf16;

INLINE __mmask16 first(size_t n) { return n < LANES ? (__mmask16)((1u << n) - 1) : 0xffff; }

INLINE void ask(uintptr_t address) { _mm_prefetch((const char *)address, _MM_HINT_T0); }

INLINE __m512 pairs(__m512 low, __m512 high) { return (__m512)_mm512_cvtne2ps_pbh(high, low); }

/* 16 lines of 16 values each, k contiguous -> half a panel of 8 units of bf16. First, in four parts, each two
 * of the vectors r, which hold two lines; then three steps turn them. */
INLINE void turn_load(int part, const float *x, size_t line_stride, __m512 r[CHUNK]) {
    EACH for (int i = 2 * part; i < 2 * part + 2; i++) {
        const float *y = x + (i < 4 ? i : i + 4) * line_stride;
        r[i] = pairs(_mm512_loadu_ps(y), _mm512_loadu_ps(y + 4 * line_stride));
    }
}

INLINE void turn_store(const __m512 r[CHUNK], uint32_t *panel) {
    __m512 t[CHUNK];
    EACH for (int i = 0; i < CHUNK; i += 4) {
        __m512 lo = _mm512_unpacklo_ps(r[i], r[i + 1]), hi = _mm512_unpackhi_ps(r[i], r[i + 1]);
        __m512 lo2 = _mm512_unpacklo_ps(r[i + 2], r[i + 3]), hi2 = _mm512_unpackhi_ps(r[i + 2], r[i + 3]);
        t[i] = _mm512_shuffle_ps(lo, lo2, 0x44); /* units i and i + 4, each of four lines, twice */
        t[i + 1] = _mm512_shuffle_ps(lo, lo2, 0xee);
        t[i + 2] = _mm512_shuffle_ps(hi, hi2, 0x44);
        t[i + 3] = _mm512_shuffle_ps(hi, hi2, 0xee);
    }
    EACH for (int i = 0; i < 4; i++) {
        _mm512_storeu_ps(panel + i * B_WIDTH, _mm512_shuffle_f32x4(t[i], t[i + 4], 0x88));
        _mm512_storeu_ps(panel + (i + 4) * B_WIDTH, _mm512_shuffle_f32x4(t[i], t[i + 4], 0xdd));
    }
}

INLINE void turn(const float *x, size_t line_stride, uint32_t *panel) {
    __m512 r[CHUNK];
    EACH for (int part = 0; part < 4; part++)
        turn_load(part, x, line_stride, r);
    turn_store(r, panel);
}

INLINE __m512i zip_order(void) {
    static const uint16_t zip[32] = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                                     8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
    return _mm512_loadu_si512(zip);
}

/* Sixteen values of a row of k and what stands below them -> units of bf16. */
INLINE __m512 zip(__m512i order, __m512 low, __m512 high) {
    return (__m512)_mm512_permutexvar_epi16(order, (__m512i)pairs(low, high));
}

INLINE __m512 add_product(int kind, __m512 sum, __m512 a, __m512 b) {
    return kind == GEMM_F32 ? _mm512_fmadd_ps(a, b, sum) : _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b);
}

/* The sums of a tile to c. All loops over sums are unrolled, or the compiler keeps sums in memory. */
INLINE void store(int rows, int vecs, const gemm_part *p, const __m512 *sum, float *c) {
    size_t ldc = p->ldc;
    if (p->stream) {
        EACH for (int i = 0; i < rows; i++)
            EACH for (int v = 0; v < vecs; v++)
                _mm512_stream_ps(c + i * ldc + v * LANES, sum[i * vecs + v]);
    } else if (p->add) {
        EACH for (int i = 0; i < rows; i++)
            EACH for (int v = 0; v < vecs; v++) {
                float *y = c + i * ldc + v * LANES;
                _mm512_storeu_ps(y, _mm512_add_ps(sum[i * vecs + v], _mm512_loadu_ps(y)));
            }
    } else {
        EACH for (int i = 0; i < rows; i++)
            EACH for (int v = 0; v < vecs; v++)
                _mm512_storeu_ps(c + i * ldc + v * LANES, sum[i * vecs + v]);
    }
}

/* The same for the last columns, with masks, which are slower. */
INLINE void store_some(int rows, int vecs, const gemm_part *p, const __m512 *sum, float *c, size_t cols) {
    size_t ldc = p->ldc;
    EACH for (int v = 0; v < vecs; v++) {
        __mmask16 there = first(cols > (size_t)v * LANES ? cols - v * LANES : 0);
        __mmask16 before = p->add ? there : 0;
        EACH for (int i = 0; i < rows; i++) {
            float *y = c + i * ldc + v * LANES;
            __m512 x = _mm512_add_ps(sum[i * vecs + v], _mm512_maskz_loadu_ps(before, y));
            _mm512_mask_storeu_ps(y, there, x);
        }
    }
}

#endif
