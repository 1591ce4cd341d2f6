/* Products with panels of BF16 for x86-64 with AVX-512 and its BF16: vdpbf16ps adds two products to a float.
 * What packed_avx512.c has for it is for processors without them. Compiled without -march. */
#include "gemm.h"
#include "products.h"

#ifdef GEMM_AVX512
#include <immintrin.h>

#define AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")))
#define INLINE AVX512 static inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 8")

enum { AHEAD = 3072 }; /* bytes that are asked for early */

typedef __m512 sums[COLS][2];

INLINE __mmask16 rows_of(const panel_part *p, int i) {
    size_t rows = p->rows > 16u * i ? p->rows - 16u * i : 0;
    return (__mmask16)((1u << (rows < 16 ? rows : 16)) - 1);
}

INLINE __m512bh pairs_at(const uint8_t *p) { return (__m512bh)_mm512_loadu_si512(p); }

INLINE void step(const panel_part *p, size_t i, size_t cols, sums sum) {
    const uint8_t *v = p->panel[0] + i * LANES4, *w = p->panel[1] + i * LANES4;
    if (p->fresh) {
        _mm_prefetch((const char *)((uintptr_t)v + AHEAD), _MM_HINT_T0);
        _mm_prefetch((const char *)((uintptr_t)w + AHEAD), _MM_HINT_T0);
    }
    __m512bh first = pairs_at(v), second = pairs_at(w);
    UNROLL for (size_t c = 0; c < cols; c++) {
        __m512bh two = (__m512bh)_mm512_set1_epi32(load_i32(p->x + (i * cols + c) * 4));
        sum[c][0] = _mm512_dpbf16_ps(sum[c][0], first, two);
        sum[c][1] = _mm512_dpbf16_ps(sum[c][1], second, two);
    }
}

/* Every second step has sums of its own, for each waits six cycles for the one before. They join after BF16_STEPS
 * steps, where panels may be cut, so that an element is the same however they are. */
INLINE void by_pairs(const panel_part *p, size_t cols) {
    sums even, odd;
    UNROLL for (size_t c = 0; c < cols; c++)
        UNROLL for (int n = 0; n < 2; n++)
            even[c][n] = p->more ? _mm512_maskz_loadu_ps(rows_of(p, n), p->y + c * p->ldy + 16 * n)
                                 : _mm512_setzero_ps();
    for (size_t i = 0, end; i < p->steps; i = end) {
        end = p->steps - i < BF16_STEPS ? p->steps : i + BF16_STEPS;
        UNROLL for (size_t c = 0; c < cols; c++) odd[c][0] = odd[c][1] = _mm512_setzero_ps();
        for (; i + 2 <= end; i += 2) {
            step(p, i, cols, even);
            step(p, i + 1, cols, odd);
        }
        if (i < end)
            step(p, i, cols, even);
        UNROLL for (size_t c = 0; c < cols; c++)
            UNROLL for (int n = 0; n < 2; n++) even[c][n] = _mm512_add_ps(even[c][n], odd[c][n]);
    }
    UNROLL for (size_t c = 0; c < cols; c++)
        UNROLL for (int n = 0; n < 2; n++)
            _mm512_mask_storeu_ps(p->y + c * p->ldy + 16 * n, rows_of(p, n), even[c][n]);
}

AVX512 void panels_bf16(const panel_part *p, size_t cols) {
    switch (cols) { /* a constant in each */
    case 1: by_pairs(p, 1); break;
    case 2: by_pairs(p, 2); break;
    case 3: by_pairs(p, 3); break;
    default: by_pairs(p, 4); break;
    }
}
#endif
